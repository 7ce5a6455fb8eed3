// How many flows each backend has over all workers, for lc and wlc.
//
// Each worker counts its own (sg_pipeline.backend_flows). Control adds them up every millisecond
// into a view that all workers read; between two sums a worker assumes that the others act as it
// does itself, so it scores a backend at view + workers x (own now - own then). With one worker
// there is no view: its own count is exact. All fields are written by control, relaxed; a worker
// that reads a new sum beside an old share misjudges one choice.
#pragma once

#include <stdint.h>

#include "service/limits.h"
#include "service/snapshot.h"

struct sg_pipeline;

struct sg_loads {
	uint32_t *view;                 // [SG_MAX_BACKENDS] flows over all workers
	uint32_t *seen[SG_MAX_WORKERS]; // [SG_MAX_BACKENDS] each worker's share in that sum
	// The same of services with limits, see allowance.h.
	uint32_t *service_view;                 // [SG_MAX_SERVICES]
	uint32_t *service_seen[SG_MAX_WORKERS]; // [SG_MAX_SERVICES]
};

// Sums the backends of the snapshot's lc and wlc services, and of those with limits. Control
// thread.
void sg_loads_refresh(struct sg_loads *loads, struct sg_pipeline *const *pipelines,
	unsigned n_workers, const struct sg_snapshot *snapshot);
