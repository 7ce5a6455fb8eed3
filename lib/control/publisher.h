// What control needs of a data plane: to publish to it, to wait for it, and to read what it counts.
//
// The daemon's main fills this in with functions of the dataplane library; tests fill it in with a
// fake. All functions are called by the control thread and never block.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "flow/table.h"
#include "service/counters.h"
#include "service/explanation.h"
#include "service/snapshot.h"

struct sg_publisher {
	void *dataplane;
	unsigned n_workers;
	// One per worker, and behind them one for the twins' thread.
	const struct sg_worker_counters *counters;
	struct sg_flow_table *const *flows; // by worker; read with sg_flow_table_read only

	// Makes workers use `snapshot` from their next turn on. Returns a token for `passed`.
	uint64_t (*publish)(void *dataplane, const struct sg_snapshot *snapshot);
	// Whether every worker has passed a quiescent state since. If not, names one that has not
	// (may be NULL).
	bool (*passed)(void *dataplane, uint64_t token, unsigned *ret_late_worker);
	// Takes the next wish of any worker. False when there is none.
	bool (*next_wish)(void *dataplane, struct sg_wish *ret_wish);
	// Tells all workers of the MTU on the way to the backends at an address: a wish of one of
	// them.
	void (*note_mtu)(void *dataplane, const struct sg_addr *addr, uint16_t mtu);
	// Flows that use a backend slot now, over all workers (racy by a few packets).
	uint32_t (*backend_flows)(void *dataplane, uint32_t slot);
	// What would happen to a packet under `snapshot`. Errors: -ENOMEM with a sentence.
	int (*explain)(void *dataplane, const struct sg_snapshot *snapshot,
		const struct sg_question *question, struct sg_explanation *ret_explanation,
		struct sg_error *error);
};
