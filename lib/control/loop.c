// epoll and one timer, see loop.h.
#include "control/loop.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"

#define EVENTS_PER_WAIT 64

struct source {
	sg_loop_fn *call; // NULL: this descriptor is not watched
	void *context;
	uint32_t life; // counts how often the slot was filled; events carry it
};

struct sg_loop {
	int epoll;
	int timer;
	bool stopped;
	uint64_t turn_begun_ns;   // of this thread's CPU time; 0: no turn yet
	uint64_t longest_turn_ns; // atomic: others take it
	struct source *sources;   // by descriptor
	int n_sources;
};

static void read_timer(void *context, int fd, uint32_t events)
{
	uint64_t expirations;

	(void)context;
	(void)events;
	if (read(fd, &expirations, sizeof(expirations)) < 0)
		return; // it was set anew meanwhile
}

int sg_loop_create(struct sg_loop **ret_loop, struct sg_error *error)
{
	struct sg_loop *loop = calloc(1, sizeof(*loop));
	int err = -ENOMEM;

	if (!loop)
		return sg_error_set(error, -ENOMEM, "no memory is left for the event loop");
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	loop->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (loop->epoll < 0 || loop->timer < 0)
		err = -errno;
	else
		err = sg_loop_add(loop, loop->timer, EPOLLIN, read_timer, loop);
	if (err) {
		sg_loop_destroy(loop);
		return sg_error_set(
			error, err, "the event loop cannot be made: %s", strerror(-err));
	}
	*ret_loop = loop;
	return 0;
}

void sg_loop_destroy(struct sg_loop *loop)
{
	if (!loop)
		return;
	if (loop->timer >= 0)
		close(loop->timer);
	if (loop->epoll >= 0)
		close(loop->epoll);
	free(loop->sources);
	free(loop);
}

static int make_room(struct sg_loop *loop, int fd)
{
	int n = loop->n_sources ? loop->n_sources : 64;
	struct source *sources;

	if (fd < loop->n_sources)
		return 0;
	while (n <= fd)
		n *= 2;
	sources = realloc(loop->sources, (size_t)n * sizeof(sources[0]));
	if (!sources)
		return -ENOMEM;
	memset(sources + loop->n_sources, 0, (size_t)(n - loop->n_sources) * sizeof(sources[0]));
	loop->sources = sources;
	loop->n_sources = n;
	return 0;
}

static struct epoll_event event_of(const struct sg_loop *loop, int fd, uint32_t events)
{
	return (struct epoll_event){.events = events,
		.data.u64 = (uint64_t)loop->sources[fd].life << 32 | (uint32_t)fd};
}

int sg_loop_add(struct sg_loop *loop, int fd, uint32_t events, sg_loop_fn *call, void *context)
{
	struct epoll_event event;
	int err = make_room(loop, fd);

	if (err)
		return err;
	if (loop->sources[fd].call)
		return -EEXIST;
	loop->sources[fd].life++;
	event = event_of(loop, fd, events);
	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	loop->sources[fd].call = call;
	loop->sources[fd].context = context;
	return 0;
}

void sg_loop_modify(struct sg_loop *loop, int fd, uint32_t events)
{
	struct epoll_event event = event_of(loop, fd, events);

	epoll_ctl(loop->epoll, EPOLL_CTL_MOD, fd, &event);
}

void sg_loop_remove(struct sg_loop *loop, int fd)
{
	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
	loop->sources[fd].call = NULL;
}

static void dispatch(struct sg_loop *loop, const struct epoll_event *event)
{
	int fd = (int)(uint32_t)event->data.u64;
	struct source source = loop->sources[fd];

	if (source.call && source.life == (uint32_t)(event->data.u64 >> 32))
		source.call(source.context, fd, event->events);
}

static void set_timer(struct sg_loop *loop, uint64_t delay_us)
{
	struct itimerspec spec = {0};

	if (delay_us != SG_LOOP_NEVER) {
		spec.it_value.tv_sec = (time_t)(delay_us / 1000000);
		spec.it_value.tv_nsec = (long)(delay_us % 1000000) * 1000;
	}
	timerfd_settime(loop->timer, 0, &spec, NULL);
}

// A turn ends where waiting begins.
static void note_turn(struct sg_loop *loop)
{
	uint64_t ns = sg_clock_thread_ns() - loop->turn_begun_ns;

	if (loop->turn_begun_ns && ns > sg_loop_longest_turn_ns(loop))
		__atomic_store_n(&loop->longest_turn_ns, ns, __ATOMIC_RELAXED);
}

int sg_loop_run_once(struct sg_loop *loop, sg_loop_turn_fn *turn, void *context, int no_wait)
{
	struct epoll_event events[EVENTS_PER_WAIT];
	uint64_t delay_us = turn ? turn(context) : SG_LOOP_NEVER;
	int n;

	if (loop->stopped)
		return 0;
	// A timer of 0 would be no timer: it switches it off.
	set_timer(loop, delay_us ? delay_us : SG_LOOP_NEVER);
	note_turn(loop);
	n = epoll_wait(loop->epoll, events, EVENTS_PER_WAIT, no_wait || delay_us == 0 ? 0 : -1);
	loop->turn_begun_ns = sg_clock_thread_ns();
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++)
		dispatch(loop, &events[i]);
	return 0;
}

int sg_loop_run(struct sg_loop *loop, sg_loop_turn_fn *turn, void *context)
{
	int err = 0;

	while (!loop->stopped && !err)
		err = sg_loop_run_once(loop, turn, context, 0);
	return err;
}

void sg_loop_stop(struct sg_loop *loop)
{
	loop->stopped = true;
}

bool sg_loop_is_stopped(const struct sg_loop *loop)
{
	return loop->stopped;
}

uint64_t sg_loop_longest_turn_ns(const struct sg_loop *loop)
{
	return __atomic_load_n(&loop->longest_turn_ns, __ATOMIC_RELAXED);
}

uint64_t sg_loop_take_longest_turn_ns(struct sg_loop *loop)
{
	return __atomic_exchange_n(&loop->longest_turn_ns, 0, __ATOMIC_RELAXED);
}
