// Naps, then sleep until something comes, see sleep.h.
#include "dataplane/sleep.h"

#include <sys/socket.h>
#include <time.h>

#include <rte_ring.h>

#include "dataplane/recheck.h"
#include "dataplane/worker.h"

#define EMPTY_TURNS 64 // before the first nap

void sg_sleep_begin(struct sg_worker *worker)
{
	struct sg_sleep *sleep = &worker->sleep;

	*sleep = (struct sg_sleep){.nap_us = SG_NAP_FIRST_US, .n_fds = 1};
	sleep->fds[0] = (struct pollfd){
		.fd = worker->dataplane->bells[worker->number].fd, .events = POLLIN};
	for (unsigned i = 0; i < worker->n_rx_queues; i++) {
		const struct sg_rx_queue *queue = &worker->rx_queues[i];
		int fd = worker->dataplane->ports[queue->port].rx_fds[queue->queue];

		if (fd > 0)
			sleep->fds[sleep->n_fds++] = (struct pollfd){.fd = fd, .events = POLLIN};
		else
			sleep->naps_only = true;
	}
}

static bool has_work(const struct sg_worker *worker)
{
	const struct sg_snapshot *snapshot = sg_publish_get(worker->dataplane->publish);

	return worker->hold.n > 0 || sg_recheck_is_due(worker->pipeline, snapshot) ||
	       (worker->number == 0 && sg_announcer_is_walking(&worker->announcer, snapshot));
}

// The sweep passes every record that was ever used in SG_SWEEP_PASS_MS.
static unsigned between_sweeps_us(const struct sg_worker *worker)
{
	uint64_t n_used = sg_flow_table_used(worker->pipeline->flows);
	uint64_t us = n_used == 0 ? SG_SLEEP_MAX_US
				  : UINT64_C(1000) * SG_SWEEP_PASS_MS * SG_SWEEP_PER_TURN / n_used;

	return us < SG_SLEEP_MAX_US ? (unsigned)us : SG_SLEEP_MAX_US;
}

static unsigned choose_us(struct sg_worker *worker)
{
	struct sg_sleep *sleep = &worker->sleep;
	unsigned us = sleep->nap_us;

	sleep->nap_us = us * 2 > SG_NAP_MAX_US ? SG_NAP_MAX_US : us * 2;
	if (us < SG_NAP_MAX_US || sleep->naps_only || has_work(worker))
		return us;
	us = between_sweeps_us(worker);
	return us > SG_NAP_MAX_US ? us : SG_NAP_MAX_US;
}

static void nap(unsigned us)
{
	nanosleep(&(struct timespec){.tv_nsec = us * 1000L}, NULL);
}

// An interface that went down leaves an error in its socket, which would end every sleep at once.
static void take_error(int fd)
{
	socklen_t length = sizeof(int);
	int err;

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &length);
	nap(SG_NAP_MAX_US);
}

static void sleep_until_woken(struct sg_worker *worker, unsigned us)
{
	struct sg_sleep *sleep = &worker->sleep;
	struct sg_doorbell *bell = &worker->dataplane->bells[worker->number];
	int n = 0;

	sg_doorbell_go_to_bed(bell);
	if (rte_ring_empty(worker->dataplane->inboxes[worker->number]))
		n = ppoll(
			sleep->fds, sleep->n_fds, &(struct timespec){.tv_nsec = us * 1000L}, NULL);
	sg_doorbell_get_up(bell, n > 0 && sleep->fds[0].revents);
	for (unsigned i = 1; i < sleep->n_fds && n > 0; i++)
		if (sleep->fds[i].revents & ~POLLIN)
			take_error(sleep->fds[i].fd);
}

void sg_sleep_after_turn(struct sg_worker *worker, unsigned n)
{
	struct sg_sleep *sleep = &worker->sleep;
	unsigned us;

	if (n > 0) {
		sleep->empty_turns = 0;
		sleep->nap_us = SG_NAP_FIRST_US;
		return;
	}
	if (++sleep->empty_turns <= EMPTY_TURNS)
		return;
	us = choose_us(worker);
	sg_publish_offline(worker->dataplane->publish, worker->number);
	if (us <= SG_NAP_MAX_US)
		nap(us);
	else
		sleep_until_woken(worker, us);
	sg_publish_online(worker->dataplane->publish, worker->number);
	sg_counter_add(&worker->counters->sleeps, 1);
	worker->turn_tsc = 0;
}
