// How an adaptive worker sleeps, and what wakes it. Sees DPDK.
//
// After many empty turns it naps for some microseconds, a little longer each time: what comes
// meanwhile is carried in one burst. When nothing comes, it sleeps until one of its receive queues
// or its inbox has something: net_af_packet and net_af_xdp have a descriptor that says so, and
// whoever fills the inbox rings its bell. It gets up by itself
//
// * after SG_SLEEP_MAX_US, to age flows and to read the clock,
// * sooner while the flow table is so full that the sweep would come behind (SG_SWEEP_PER_TURN),
// * after a nap while anything waits for its turn: packets held for a next hop, addresses to
//   announce, flows to be judged anew; and while one of its queues cannot wake it.
#pragma once

#include <poll.h>
#include <stdbool.h>

#include "service/limits.h"

struct sg_worker;
struct sg_snapshot;

#define SG_NAP_FIRST_US 20
#define SG_NAP_MAX_US   200
#define SG_SLEEP_MAX_US 10000

struct sg_sleep {
	unsigned empty_turns;
	unsigned nap_us; // the next one
	unsigned n_fds;
	struct pollfd fds[1 + SG_MAX_PORTS * 4]; // its bell first
	bool naps_only;                          // a queue of its has no descriptor
};

// Before the loop, when the queues are assigned.
void sg_sleep_begin(struct sg_worker *worker);
// After each turn; `n` packets were taken in. May sleep, offline for control meanwhile.
void sg_sleep_after_turn(struct sg_worker *worker, unsigned n);
