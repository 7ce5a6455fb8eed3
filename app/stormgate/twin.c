// The twins' thread, see twin.h.
#include "twin.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <rte_lcore.h>
#include <rte_mbuf.h>

#include "base/clock.h"
#include "base/log.h"
#include "dataplane/worker.h"
#include "ports.h"
#include "twin_setup.h"

#define ROUND_PACKETS   64       // from one ring or TAP in one round
#define NAP_NS          10000000 // between rounds, when nobody rings
#define WATCH_PERIOD_NS 100000000
#define MAX_SEGMENTS    256          // of a datagram that was put together from fragments
#define BELL            SG_MAX_PORTS // among the descriptors, which are otherwise the twins'

struct twin {
	struct sg_port *port;
	int fd;
	int ifindex;
	bool carrier;
	bool broken; // the interface was deleted; said once
	char name[16];
};

struct sg_twins {
	struct sg_dataplane *dataplane;
	struct sg_counters *counters;
	struct sg_doorbell *bell; // ours
	struct twin twins[SG_MAX_PORTS];
	unsigned n_twins;
	int epoll_fd;
	bool owed[SG_MAX_WORKERS]; // workers that were given something in this round
	pthread_t thread;
	bool started;
	bool stop;              // written by the main thread
	struct rte_mbuf *spare; // a buffer that the last read had no use for
};

// Opening and closing.

static int open_one(struct sg_twins *twins, unsigned number,
	const struct sg_port_settings *settings, struct sg_error *error)
{
	struct twin *twin = &twins->twins[number];
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = number};
	int err;

	twin->port = &twins->dataplane->ports[number];
	twin->carrier = true;
	snprintf(twin->name, sizeof(twin->name), "%s", settings->twin);
	err = sg_twin_create(twin->port, settings, &twin->fd, &twin->ifindex, error);
	if (err)
		return err;
	twins->n_twins++;
	if (epoll_ctl(twins->epoll_fd, EPOLL_CTL_ADD, twin->fd, &event))
		return sg_error_set(
			error, -errno, "twin %s cannot be polled: %s", twin->name, strerror(errno));
	return 0;
}

int sg_twins_open(struct sg_twins **ret_twins, struct sg_dataplane *dataplane,
	const struct sg_settings *settings, struct sg_error *error)
{
	struct sg_twins *twins = calloc(1, sizeof(*twins));
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = BELL};
	int err = 0;

	if (!twins)
		return sg_error_set(error, -ENOMEM, "out of memory for the twins");
	twins->dataplane = dataplane;
	twins->bell = &dataplane->bells[dataplane->n_workers];
	twins->counters = dataplane->counters[dataplane->n_workers].totals;
	twins->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (twins->epoll_fd < 0 ||
		epoll_ctl(twins->epoll_fd, EPOLL_CTL_ADD, twins->bell->fd, &event))
		err = sg_error_set(
			error, -errno, "the twins cannot be polled: %s", strerror(errno));
	for (unsigned i = 0; i < dataplane->n_ports && !err; i++)
		err = open_one(twins, i, &settings->ports[i], error);
	if (err) {
		sg_twins_close(twins);
		return err;
	}
	*ret_twins = twins;
	return 0;
}

int sg_twins_ifindex(const struct sg_twins *twins, unsigned port)
{
	return twins->twins[port].ifindex;
}

void sg_twins_close(struct sg_twins *twins)
{
	if (!twins)
		return;
	for (unsigned i = 0; i < twins->n_twins; i++)
		close(twins->twins[i].fd);
	if (twins->epoll_fd >= 0)
		close(twins->epoll_fd);
	rte_pktmbuf_free(twins->spare);
	free(twins);
}

// To the kernel.

static void drop(struct sg_twins *twins, struct rte_mbuf *mbuf, enum sg_drop reason)
{
	sg_counter_add(&twins->counters->dropped[reason], 1);
	rte_pktmbuf_free(mbuf);
}

static ssize_t write_packet(int fd, const struct rte_mbuf *mbuf)
{
	struct iovec pieces[MAX_SEGMENTS];
	int n = 0;

	if (mbuf->nb_segs > MAX_SEGMENTS)
		return -1;
	for (; mbuf; mbuf = mbuf->next)
		pieces[n++] =
			(struct iovec){rte_pktmbuf_mtod(mbuf, void *), rte_pktmbuf_data_len(mbuf)};
	return writev(fd, pieces, n);
}

// A write that fails (the twin is down, its queue is full) loses one packet and is no reason to
// wait.
static unsigned deliver(struct sg_twins *twins, const struct twin *twin, struct rte_ring *ring)
{
	struct rte_mbuf *mbufs[ROUND_PACKETS];
	unsigned n = rte_ring_dequeue_burst(ring, (void **)mbufs, ROUND_PACKETS, NULL);

	if (n == 0)
		return 0;
	sg_counter_add(&twins->counters->handed_in, n);
	for (unsigned i = 0; i < n; i++) {
		if (write_packet(twin->fd, mbufs[i]) < 0) {
			drop(twins, mbufs[i], SG_DROP_PUNT_FULL);
			continue;
		}
		sg_counter_add(&twins->counters->punted, 1);
		rte_pktmbuf_free(mbufs[i]);
	}
	return n;
}

static unsigned deliver_all(struct sg_twins *twins)
{
	unsigned n = 0;

	// Every port's urgent packets before anybody's others.
	for (unsigned i = 0; i < twins->n_twins; i++)
		n += deliver(twins, &twins->twins[i], twins->twins[i].port->punt_urgent);
	for (unsigned i = 0; i < twins->n_twins; i++)
		n += deliver(twins, &twins->twins[i], twins->twins[i].port->punt);
	return n;
}

// From the kernel.

static struct rte_mbuf *take_spare(struct sg_twins *twins)
{
	struct rte_mbuf *mbuf = twins->spare;

	twins->spare = NULL;
	return mbuf ? mbuf : rte_pktmbuf_alloc(twins->dataplane->mempool);
}

// Without a buffer the frame is still read, and lost by name: left there it would wake us again and
// again.
static ssize_t discard(struct sg_twins *twins, const struct twin *twin)
{
	uint8_t byte;
	ssize_t length = read(twin->fd, &byte, sizeof(byte));

	if (length > 0) {
		sg_counter_add(&twins->counters->generated, 1);
		sg_counter_add(&twins->counters->dropped[SG_DROP_NO_BUFFER], 1);
	}
	return length;
}

static void hand_out(struct sg_twins *twins, const struct twin *twin, struct rte_mbuf *mbuf)
{
	const struct sg_dataplane *dataplane = twins->dataplane;
	uint8_t number = twin->port->number;
	unsigned target = number % dataplane->n_workers;

	*sg_mbuf_meta(mbuf) = (struct sg_mbuf_meta){.port = number, .from_kernel = true};
	sg_counter_add(&twins->counters->generated, 1);
	if (rte_ring_enqueue(dataplane->inboxes[target], mbuf) != 0)
		return drop(twins, mbuf, SG_DROP_TWIN_FULL);
	sg_counter_add(&twins->counters->handed_out, 1);
	twins->owed[target] = true;
}

static void ring_bells(struct sg_twins *twins)
{
	struct sg_dataplane *dataplane = twins->dataplane;

	for (unsigned i = 0; i < dataplane->n_workers; i++)
		if (twins->owed[i])
			sg_doorbell_ring(&dataplane->bells[i]);
	memset(twins->owed, 0, sizeof(twins->owed));
}

static void note_broken(struct sg_twins *twins, struct twin *twin)
{
	if (twin->broken)
		return;
	twin->broken = true;
	// Its descriptor would be ready for ever.
	epoll_ctl(twins->epoll_fd, EPOLL_CTL_DEL, twin->fd, NULL);
	sg_log_error(
		"twin %s: somebody has deleted it; the kernel is not reached through port %s until "
		"stormgate is started anew",
		twin->name, twin->port->name);
}

static void collect(struct sg_twins *twins, struct twin *twin)
{
	for (unsigned n = 0; n < ROUND_PACKETS; n++) {
		struct rte_mbuf *mbuf = take_spare(twins);
		ssize_t length;

		if (!mbuf)
			length = discard(twins, twin);
		else
			length = read(twin->fd, rte_pktmbuf_mtod(mbuf, void *),
				rte_pktmbuf_tailroom(mbuf));
		if (length <= 0) {
			int err = errno;

			twins->spare = mbuf;
			if (length == 0 || (err != EAGAIN && err != EINTR && err != EIO))
				note_broken(twins, twin);
			break;
		}
		if (!mbuf)
			continue;
		mbuf->data_len = (uint16_t)length;
		mbuf->pkt_len = (uint32_t)length;
		hand_out(twins, twin, mbuf);
	}
}

// The thread.

static void watch(struct sg_twins *twins, uint64_t now_ns, uint64_t *watched_ns)
{
	if (now_ns - *watched_ns < WATCH_PERIOD_NS)
		return;
	*watched_ns = now_ns;
	sg_ports_watch(twins->dataplane);
	for (unsigned i = 0; i < twins->n_twins; i++) {
		struct twin *twin = &twins->twins[i];

		if (twin->carrier == twin->port->up)
			continue;
		twin->carrier = twin->port->up;
		sg_twin_set_carrier(twin->fd, twin->carrier);
	}
}

static bool has_punted(const struct sg_twins *twins)
{
	for (unsigned i = 0; i < twins->n_twins; i++)
		if (!rte_ring_empty(twins->twins[i].port->punt_urgent) ||
			!rte_ring_empty(twins->twins[i].port->punt))
			return true;
	return false;
}

// Returns the number of events.
static int wait(struct sg_twins *twins, struct epoll_event events[BELL + 1])
{
	struct timespec nap = {.tv_nsec = NAP_NS};
	bool rung = false;
	int n;

	sg_doorbell_go_to_bed(twins->bell);
	if (has_punted(twins))
		nap.tv_nsec = 0;
	n = epoll_pwait2(twins->epoll_fd, events, BELL + 1, &nap, NULL);
	for (int i = 0; i < n; i++)
		rung |= events[i].data.u32 == BELL;
	sg_doorbell_get_up(twins->bell, rung);
	return n;
}

// One round: what workers have for the kernel, what the kernel has for workers.
static void serve(struct sg_twins *twins)
{
	struct epoll_event events[BELL + 1];
	int n_events = wait(twins, events);

	deliver_all(twins);
	for (int i = 0; i < n_events; i++)
		if (events[i].data.u32 != BELL)
			collect(twins, &twins->twins[events[i].data.u32]);
	ring_bells(twins);
}

static void *run(void *argument)
{
	struct sg_twins *twins = argument;
	uint64_t watched_ns = 0;
	bool registered;

	// With an lcore id of our own the mempool has a cache for us.
	registered = rte_thread_register() == 0;
	prctl(PR_SET_TIMERSLACK, 1000);
	while (!__atomic_load_n(&twins->stop, __ATOMIC_RELAXED)) {
		serve(twins);
		watch(twins, sg_clock_ns(), &watched_ns);
	}
	while (deliver_all(twins) > 0)
		; // what the workers left when they stopped
	if (registered)
		rte_thread_unregister();
	return NULL;
}

int sg_twins_start(struct sg_twins *twins, struct sg_error *error)
{
	sigset_t all, before;
	int err;

	// Signals are the main thread's.
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&twins->thread, NULL, run, twins);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		return sg_error_set(
			error, -err, "the twins' thread cannot be started: %s", strerror(err));
	pthread_setname_np(twins->thread, "twins");
	twins->started = true;
	return 0;
}

void sg_twins_stop(struct sg_twins *twins)
{
	if (!twins || !twins->started)
		return;
	__atomic_store_n(&twins->stop, true, __ATOMIC_RELAXED);
	pthread_join(twins->thread, NULL);
	twins->started = false;
}
