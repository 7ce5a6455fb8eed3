// A worker: one polling lcore with its queues, its pipeline and its counters. Sees DPDK.
//
// It gives packets to other threads through rings, and wakes those who sleep (base/doorbell.h) at
// the end of the turn: for whoever is awake that costs it a fence and a read. A worker that has
// packets to carry makes the system call at most every 100 us, which is how long a packet may wait
// to be rung for; an idle one makes it at once.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/announce.h"
#include "dataplane/dataplane.h"
#include "dataplane/hold.h"
#include "dataplane/pipeline.h"
#include "dataplane/publish.h"
#include "dataplane/reassemble.h"
#include "dataplane/sleep.h"

#define SG_TX_BATCH 64

struct sg_rx_queue {
	uint8_t port; // our number
	uint16_t queue;
};

struct sg_tx_queue {
	unsigned owner; // the worker that may transmit for us on this port; this one or another
	uint16_t queue; // when the owner is this worker
	unsigned n;
	struct rte_mbuf *mbufs[SG_TX_BATCH];
};

// What a turn has for another worker.
struct sg_outbox {
	unsigned n;
	struct rte_mbuf *mbufs[SG_BURST];
};

struct sg_worker {
	unsigned number;
	bool adaptive; // sleeps after many empty polls
	struct sg_dataplane *dataplane;
	struct sg_pipeline *pipeline;
	struct sg_counters *counters; // the pipeline's totals
	unsigned n_rx_queues;
	struct sg_rx_queue rx_queues[SG_MAX_PORTS * 4];
	struct sg_tx_queue tx_queues[SG_MAX_PORTS]; // by our port number
	struct sg_outbox outboxes[SG_MAX_WORKERS];
	uint64_t outgoing; // a bit for each worker whose outbox is not empty
	struct sg_hold hold;
	struct sg_reassembly *reassembly;
	struct sg_announcer announcer; // worker 0 only
	struct sg_sleep sleep;
	bool owes_rings;               // somebody was given something since the last ringing:
	bool owed[SG_MAX_WORKERS + 1]; // a worker, or the twins' thread at [n_workers]
	uint64_t us_ticks;             // of the time-stamp counter in a microsecond
	uint64_t clock_tsc;            // when the clock was last read
	uint64_t turn_tsc;             // when the last turn began
	uint64_t rung_tsc;             // of the last turn that woke somebody
	struct sg_burst burst;

	_Alignas(64) bool stop; // written by control
};

// Where the queues of all ports go: receive queue q of a port to worker q mod n; a transmit queue
// to each worker, or where a port has fewer, worker w's packets to the owner of queue w mod
// n_tx_queues. Control thread, before launch.
void sg_worker_assign_queues(struct sg_worker *worker, struct sg_dataplane *dataplane);

// The loop; returns after sg_worker_stop. For rte_eal_remote_launch: `worker` is a struct
// sg_worker.
int sg_worker_run(void *worker);
// What it is made of, for whoever drives a worker himself: begin, any number of turns, end. A turn
// returns how many packets it took in.
void sg_worker_begin(struct sg_worker *worker);
unsigned sg_worker_turn(struct sg_worker *worker);
void sg_worker_end(struct sg_worker *worker);
void sg_worker_stop(struct sg_worker *worker); // control thread

// rx.c: one burst from a queue or from the inbox. Returns how many packets; those that only pass
// through to a transmit queue are given to tx at once and not counted in `burst->n`.
unsigned sg_rx_queue_burst(
	struct sg_worker *worker, const struct sg_rx_queue *queue, struct sg_burst *burst);
unsigned sg_rx_inbox_burst(struct sg_worker *worker, struct sg_burst *burst);
// Datagrams that the last burst has completed.
unsigned sg_rx_whole_burst(struct sg_worker *worker, struct sg_burst *burst);
// A buffer as the stages see it.
void sg_rx_describe(struct sg_pkt *pkt, struct rte_mbuf *mbuf, uint8_t port, uint16_t flags);
// What the stages ask about a chain, see pipeline.h.
sg_sum_chain_fn sg_rx_sum_chain;

// tx.c: carries the verdicts of a burst out; afterwards no packet of it is ours.
void sg_tx_burst(
	struct sg_worker *worker, const struct sg_snapshot *snapshot, struct sg_burst *burst);
// A buffer whose packet is counted already, and which has become a message of our own.
void sg_tx_originate(struct sg_worker *worker, const struct sg_pkt *pkt);
// A packet that is done: out of a port, through the queue's owner; in fragments if it is too long.
void sg_tx_port(struct sg_worker *worker, uint8_t port, struct rte_mbuf *mbuf);
// Counts and frees.
void sg_tx_drop(struct sg_worker *worker, struct rte_mbuf *mbuf, enum sg_drop drop);
// Sends what the turn has gathered.
void sg_tx_flush(struct sg_worker *worker);
// An announcement of an address out of every port.
void sg_tx_announce(struct sg_worker *worker, const struct sg_addr *addr);
