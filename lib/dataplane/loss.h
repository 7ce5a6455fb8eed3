// Lost packets of a service or a backend, by name and direction: beside the worker's own account,
// for packets of which it is known whose they are.
#pragma once

#include <stdint.h>

#include "dataplane/packet.h"
#include "dataplane/pipeline.h"

static inline void sg_loss_add(
	struct sg_losses *losses, enum sg_flow_direction direction, enum sg_drop drop)
{
	uint8_t number = sg_service_drop_numbers[drop];

	if (number != SG_SERVICE_DROP_NONE)
		sg_counter_add(&losses->by_number[direction][number], 1);
}

// Both count nothing unless the packet was dropped: it may have become an answer instead.

// A client's packet that is the service's, and no backend's yet.
static inline void sg_loss_of_service(
	struct sg_pipeline *pipeline, uint32_t service_slot, const struct sg_pkt *pkt)
{
	if (pkt->verdict == SG_VERDICT_DROP)
		sg_loss_add(&pipeline->counters.service_losses[service_slot], SG_FLOW_TO_BACKEND,
			(enum sg_drop)pkt->drop);
}

// A packet of a flow to or from a backend.
static inline void sg_loss_of_backend(struct sg_pipeline *pipeline, uint32_t backend_slot,
	enum sg_flow_direction direction, const struct sg_pkt *pkt)
{
	if (pkt->verdict == SG_VERDICT_DROP)
		sg_loss_add(&pipeline->counters.backend_losses[backend_slot], direction,
			(enum sg_drop)pkt->drop);
}
