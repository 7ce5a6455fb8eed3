// worker: the loop that carries packets from the queues through the pipeline, and what it does
// between bursts.
#include "dataplane/worker.h"

#include <assert.h>
#include <string.h>
#include <sys/prctl.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "base/clock.h"

#define STOLEN_GAP_US   1000 // a turn that began this late means that the CPU was elsewhere
#define BURSTS_PER_TURN 2    // of one queue
#define CLOCK_PERIOD_US 250  // how stale the time of a turn may be
#define RING_PERIOD_US  100  // between two system calls of a worker that has packets to carry

void sg_worker_assign_queues(struct sg_worker *worker, struct sg_dataplane *dataplane)
{
	worker->n_rx_queues = 0;
	for (unsigned i = 0; i < dataplane->n_ports; i++) {
		const struct sg_port *port = &dataplane->ports[i];
		unsigned n = port->n_tx_queues < dataplane->n_workers ? port->n_tx_queues
								      : dataplane->n_workers;

		worker->tx_queues[i].owner = UINT_MAX; // a VLAN has no queues
		if (port->vlan)
			continue;
		for (unsigned q = worker->number; q < port->n_rx_queues; q += dataplane->n_workers)
			worker->rx_queues[worker->n_rx_queues++] =
				(struct sg_rx_queue){.port = port->number, .queue = (uint16_t)q};
		worker->tx_queues[i].queue = (uint16_t)(worker->number % n);
		worker->tx_queues[i].owner = worker->number % n;
	}
}

static void read_clock(struct sg_worker *worker, uint64_t tsc)
{
	if (tsc - worker->clock_tsc < worker->us_ticks * CLOCK_PERIOD_US && worker->clock_tsc != 0)
		return;
	worker->clock_tsc = tsc;
	sg_pipeline_set_time(worker->pipeline, sg_clock_ms());
}

// Notices that this loop stood still though it did not sleep.
static void note_gap(struct sg_worker *worker, uint64_t tsc)
{
	uint64_t gap = worker->turn_tsc == 0 ? 0 : tsc - worker->turn_tsc;
	uint64_t us;

	worker->turn_tsc = tsc;
	if (__builtin_expect(gap < worker->us_ticks * STOLEN_GAP_US, 1))
		return;
	us = gap / worker->us_ticks;
	sg_counter_add(&worker->counters->stolen_gaps, 1);
	if (us > worker->counters->stolen_max_us)
		__atomic_store_n(&worker->counters->stolen_max_us, us, __ATOMIC_RELAXED);
}

static void carry(struct sg_worker *worker, const struct sg_snapshot *snapshot)
{
	if (worker->burst.n == 0)
		return;
	sg_pipeline_run(worker->pipeline, snapshot, &worker->burst);
	sg_tx_burst(worker, snapshot, &worker->burst);
	// What has become whole of fragments goes the whole way. It ends: this takes in nothing.
	while (sg_rx_whole_burst(worker, &worker->burst) > 0) {
		sg_pipeline_run(worker->pipeline, snapshot, &worker->burst);
		sg_tx_burst(worker, snapshot, &worker->burst);
	}
}

static void note_held(struct sg_worker *worker)
{
	__atomic_store_n(&worker->counters->held,
		worker->hold.n + worker->reassembly->fragments.n_held, __ATOMIC_RELAXED);
}

static void note_gauges(struct sg_worker *worker, const struct sg_snapshot *snapshot)
{
	struct sg_counters *counters = worker->counters;

	__atomic_store_n(&counters->generation, snapshot->generation, __ATOMIC_RELAXED);
	__atomic_store_n(
		&counters->flows, sg_flow_table_count(worker->pipeline->flows), __ATOMIC_RELAXED);
	__atomic_store_n(&counters->embryos, sg_flow_table_embryos(worker->pipeline->flows),
		__ATOMIC_RELAXED);
	note_held(worker);
	sg_counter_add(&counters->turns, 1);
}

static uint32_t links_up(const struct sg_dataplane *dataplane)
{
	uint32_t up = 0;

	static_assert(SG_MAX_PORTS <= 32, "one bit a port");
	for (unsigned i = 0; i < dataplane->n_ports; i++)
		up |= (uint32_t)__atomic_load_n(&dataplane->ports[i].up, __ATOMIC_RELAXED) << i;
	return up;
}

static void announce(struct sg_worker *worker, const struct sg_snapshot *snapshot)
{
	struct sg_addr addr;

	sg_announcer_see_links(&worker->announcer, links_up(worker->dataplane));
	while (sg_announcer_next(&worker->announcer, snapshot, worker->pipeline->now_ms, &addr))
		sg_tx_announce(worker, &addr);
}

// A queue that gives whole bursts has more: what a turn costs beside them is shared by several.
static unsigned drain(struct sg_worker *worker, const struct sg_snapshot *snapshot,
	const struct sg_rx_queue *queue)
{
	unsigned n = 0;

	for (unsigned i = 0; i < BURSTS_PER_TURN && n == i * SG_BURST; i++) {
		n += sg_rx_queue_burst(worker, queue, &worker->burst);
		carry(worker, snapshot);
	}
	return n;
}

// Wakes those who sleep of those who were given something. What is not rung for now is in a later
// turn: it stays owed.
static void ring_bells(struct sg_worker *worker, bool busy)
{
	struct sg_dataplane *dataplane = worker->dataplane;

	if (busy && worker->turn_tsc - worker->rung_tsc < worker->us_ticks * RING_PERIOD_US)
		return;
	for (unsigned i = 0; i <= dataplane->n_workers; i++) {
		if (worker->owed[i] && sg_doorbell_ring(&dataplane->bells[i]))
			worker->rung_tsc = worker->turn_tsc;
	}
	memset(worker->owed, 0, sizeof(worker->owed));
	worker->owes_rings = false;
}

unsigned sg_worker_turn(struct sg_worker *worker)
{
	const struct sg_snapshot *snapshot = sg_publish_get(worker->dataplane->publish);
	uint64_t tsc = rte_rdtsc();
	unsigned n = 0;

	note_gap(worker, tsc);
	read_clock(worker, tsc);
	for (unsigned i = 0; i < worker->n_rx_queues; i++)
		n += drain(worker, snapshot, &worker->rx_queues[i]);
	n += sg_rx_inbox_burst(worker, &worker->burst);
	carry(worker, snapshot);
	if (worker->hold.n > 0)
		sg_hold_turn(worker, snapshot);
	sg_reassembly_turn(worker, snapshot);
	if (worker->number == 0)
		announce(worker, snapshot);
	sg_tx_flush(worker);
	sg_pipeline_sweep(worker->pipeline, snapshot);
	note_gauges(worker, snapshot);
	sg_publish_quiescent(worker->dataplane->publish, worker->number);
	if (worker->owes_rings)
		ring_bells(worker, n > 0);
	return n;
}

void sg_worker_begin(struct sg_worker *worker)
{
	worker->us_ticks = rte_get_tsc_hz() / 1000000;
	prctl(PR_SET_TIMERSLACK, 1000);
	sg_sleep_begin(worker);
	sg_publish_online(worker->dataplane->publish, worker->number);
}

void sg_worker_end(struct sg_worker *worker)
{
	sg_hold_clear(worker);
	sg_fragments_clear(&worker->reassembly->fragments);
	note_held(worker);
	sg_publish_offline(worker->dataplane->publish, worker->number);
}

int sg_worker_run(void *argument)
{
	struct sg_worker *worker = argument;

	sg_worker_begin(worker);
	while (!__atomic_load_n(&worker->stop, __ATOMIC_RELAXED)) {
		unsigned n = sg_worker_turn(worker);

		if (worker->adaptive)
			sg_sleep_after_turn(worker, n);
	}
	sg_worker_end(worker);
	return 0;
}

void sg_worker_stop(struct sg_worker *worker)
{
	__atomic_store_n(&worker->stop, true, __ATOMIC_RELAXED);
}
