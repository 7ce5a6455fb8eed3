// Threads that storm the socket, and one that asks, see hostile.h.
#include "hostile.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"
#include "client.h"

#define LINE_BYTES  (16u << 20)
#define HALF_BYTES  (1u << 20)
#define MAX_SAMPLES 100000

static const char status[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"}\n";
static const char stats[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"stats\"}\n";

struct storm {
	const char *socket;
	unsigned services, cpu, control_cpu, seconds;
	int echo_fd, ask_echo_fd;          // two ends
	bool stop;                         // written by the caller's thread
	struct sg_hostile_figures figures; // each field by one thread
};

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static bool goes_on(const struct storm *storm)
{
	return !__atomic_load_n(&storm->stop, __ATOMIC_RELAXED);
}

static void move_to(unsigned cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
}

// Those that mean harm, behind the one who asks.
static void stand_back(const struct storm *storm)
{
	move_to(storm->cpu);
	setpriority(PRIO_PROCESS, (id_t)gettid(), 19);
}

// Before everybody, so that no other thread of this program makes it wait for a CPU.
static void come_first(unsigned cpu)
{
	struct sched_param first = {.sched_priority = 1};

	move_to(cpu);
	if (pthread_setschedparam(pthread_self(), SCHED_FIFO, &first) != 0)
		sg_bench_die("this needs real-time priority");
}

static int connect_to(const struct storm *storm)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_usec = 100000};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", storm->socket);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		sg_bench_die("the control thread has closed its socket");
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	return fd;
}

// Returns whether all of it was sent before the end of the storm.
static bool send_all(const struct storm *storm, int fd, const char *bytes, size_t length)
{
	for (size_t at = 0; at < length && goes_on(storm);) {
		ssize_t n = send(fd, bytes + at, length - at, MSG_NOSIGNAL);

		if (n > 0)
			at += (size_t)n;
	}
	return goes_on(storm);
}

static void *send_garbage(void *context)
{
	struct storm *storm = context;
	char *line = malloc(LINE_BYTES), answer[4096];
	int fd = connect_to(storm);

	stand_back(storm);
	memset(line, ' ', LINE_BYTES);
	// Values that fit the bound, so that they are read to the end.
	for (unsigned at = 1; at < LINE_BYTES / 4; at += 2)
		memcpy(line + at, "1,", 2);
	line[0] = '[';
	line[LINE_BYTES - 2] = ']';
	line[LINE_BYTES - 1] = '\n';
	while (send_all(storm, fd, line, LINE_BYTES)) {
		while (recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0)
			;
		storm->figures.lines++;
	}
	close(fd);
	free(line);
	return NULL;
}

static void *send_halves(void *context)
{
	struct storm *storm = context;
	char *half = malloc(HALF_BYTES);

	stand_back(storm);
	memset(half, '[', HALF_BYTES);
	while (goes_on(storm)) {
		int fd = connect_to(storm);

		send_all(storm, fd, half, HALF_BYTES);
		close(fd);
		storm->figures.halves++;
	}
	free(half);
	return NULL;
}

static void *ask_and_never_read(void *context)
{
	struct storm *storm = context;

	stand_back(storm);
	while (goes_on(storm)) {
		int fd = connect_to(storm);

		for (unsigned i = 0; i < 1000; i++)
			storm->figures.stats += send_all(storm, fd, stats, strlen(stats));
		close(fd);
	}
	return NULL;
}

static void *apply_all(void *context)
{
	struct storm *storm = context;
	struct sg_client client;

	stand_back(storm);
	sg_client_open(&client, storm->socket, storm->services);
	while (goes_on(storm))
		sg_client_apply(&client, 2 + storm->figures.applies++ % 100);
	sg_client_close(&client);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double ask_once(int fd)
{
	double start = now_ms();
	char answer[4096];
	ssize_t n;

	if (send(fd, status, strlen(status), MSG_NOSIGNAL) < 0)
		sg_bench_die("the control thread has closed its socket");
	do
		n = recv(fd, answer, sizeof(answer), 0);
	while (n > 0 && answer[n - 1] != '\n');
	if (n <= 0)
		sg_bench_die("a question was not answered");
	return now_ms() - start;
}

static void summarise(double *samples, unsigned n, struct sg_hostile_wait *ret_wait)
{
	qsort(samples, n, sizeof(samples[0]), compare);
	ret_wait->p50_ms = samples[n / 2];
	ret_wait->p99_ms = samples[n - 1 - n / 100];
	ret_wait->longest_ms = samples[n - 1];
}

// Answers whatever comes, at once, on the control thread's CPU: what is between it and the one who
// asks is the machine.
static void *echo(void *context)
{
	const struct storm *storm = context;
	char line[4096];
	ssize_t n;

	come_first(storm->control_cpu);
	while ((n = recv(storm->echo_fd, line, sizeof(line), 0)) > 0)
		send(storm->echo_fd, line, (size_t)n, MSG_NOSIGNAL);
	return NULL;
}

static void *ask(void *context)
{
	static double samples[2][MAX_SAMPLES];
	struct storm *storm = context;
	struct sg_hostile_figures *figures = &storm->figures;
	double end = now_ms() + storm->seconds * 1e3;
	int fd = connect_to(storm);

	come_first(storm->cpu);
	while (now_ms() < end && figures->n < MAX_SAMPLES) {
		samples[0][figures->n] = ask_once(fd);
		usleep(1000);
		samples[1][figures->n++] = ask_once(storm->ask_echo_fd);
		usleep(1000);
	}
	close(fd);
	summarise(samples[0], figures->n, &figures->status);
	summarise(samples[1], figures->n, &figures->echo);
	return NULL;
}

static void start(pthread_t *thread, void *(*run)(void *), struct storm *storm)
{
	if (pthread_create(thread, NULL, run, storm) != 0)
		sg_bench_die("no thread is to be had");
}

void sg_hostile_measure(
	const struct sg_hostile_options *options, struct sg_hostile_figures *ret_figures)
{
	static void *(*const harm[])(void *) = {
		send_garbage, send_halves, ask_and_never_read, apply_all};
	enum {
		N_HARM = sizeof(harm) / sizeof(harm[0])
	};
	struct storm storm = {.socket = options->socket,
		.services = options->services,
		.cpu = options->cpu,
		.control_cpu = options->control_cpu,
		.seconds = options->seconds};
	unsigned n_harm = options->with_harm ? N_HARM : 0;
	pthread_t harmful[N_HARM], echoing, asking;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		sg_bench_die("no descriptor is to be had");
	storm.echo_fd = fds[0];
	storm.ask_echo_fd = fds[1];
	for (unsigned i = 0; i < n_harm; i++)
		start(&harmful[i], harm[i], &storm);
	start(&echoing, echo, &storm);
	start(&asking, ask, &storm);
	pthread_join(asking, NULL);
	__atomic_store_n(&storm.stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < n_harm; i++)
		pthread_join(harmful[i], NULL);
	close(fds[1]);
	pthread_join(echoing, NULL);
	close(fds[0]);
	*ret_figures = storm.figures;
}
