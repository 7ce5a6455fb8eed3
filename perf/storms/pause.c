// A signal whose handler waits, see pause.h.
#include "pause.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"

#define MAX_THREADS 64
#define LOOK_NS     100000

struct threads {
	unsigned n;
	int ids[MAX_THREADS];
};

static struct threads spared;
static bool on_hold;    // written by who holds, read in the handler
static unsigned n_held; // by the handlers
static double since_ms; // the last hold
static double held_ms;  // written before others go on

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void look_later(void)
{
	nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
}

static void stand_still(int number)
{
	(void)number;
	__atomic_add_fetch(&n_held, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&on_hold, __ATOMIC_SEQ_CST))
		look_later();
	__atomic_sub_fetch(&n_held, 1, __ATOMIC_SEQ_CST);
}

static bool has(const struct threads *threads, int id)
{
	for (unsigned i = 0; i < threads->n; i++)
		if (threads->ids[i] == id)
			return true;
	return false;
}

static void add(struct threads *threads, int id)
{
	if (threads->n == MAX_THREADS)
		sg_bench_die("there are more than %d threads", MAX_THREADS);
	threads->ids[threads->n++] = id;
}

// This process's threads, without opendir(), which allocates.
static struct threads list(void)
{
	struct threads threads = {0};
	_Alignas(struct dirent64) char buffer[4096];
	int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long length;

	while ((length = syscall(SYS_getdents64, fd, buffer, sizeof(buffer))) > 0) {
		for (long at = 0; at < length;) {
			const struct dirent64 *entry = (const void *)(buffer + at);

			if (entry->d_name[0] != '.')
				add(&threads, atoi(entry->d_name));
			at += entry->d_reclen;
		}
	}
	if (fd < 0 || length < 0)
		sg_bench_die("this process's threads cannot be listed");
	close(fd);
	return threads;
}

void sg_pause_open(void)
{
	struct sigaction action = {.sa_handler = stand_still, .sa_flags = SA_RESTART};

	spared = list();
	if (sigaction(SIGUSR1, &action, NULL) != 0)
		sg_bench_die("no signal is to be had");
}

// One that is held already, or is over, is not counted again.
static unsigned signal_others(struct threads *signalled)
{
	struct threads all = list();
	unsigned n = 0;

	for (unsigned i = 0; i < all.n; i++) {
		if (has(&spared, all.ids[i]) || has(signalled, all.ids[i]))
			continue;
		if (syscall(SYS_tgkill, getpid(), all.ids[i], SIGUSR1) != 0)
			continue;
		add(signalled, all.ids[i]);
		n++;
	}
	return n;
}

void sg_pause_hold(void)
{
	struct threads signalled = {0};

	since_ms = now_ms();
	__atomic_store_n(&on_hold, true, __ATOMIC_SEQ_CST);
	// Until then one of them may have started another.
	while (signal_others(&signalled) > 0) {
		while (__atomic_load_n(&n_held, __ATOMIC_SEQ_CST) < signalled.n)
			look_later();
	}
}

void sg_pause_release(void)
{
	held_ms += now_ms() - since_ms;
	__atomic_store_n(&on_hold, false, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&n_held, __ATOMIC_SEQ_CST) > 0)
		look_later();
}

double sg_pause_held_ms(void)
{
	return held_ms;
}
