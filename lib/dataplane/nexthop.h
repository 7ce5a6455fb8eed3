// The next hop of a flow's packets, in either direction: looked up once, kept in the flow's record,
// and looked up again when routes changed or nothing was known.
#pragma once

#include "dataplane/packet.h"
#include "dataplane/pipeline.h"

// At a flow's start: fills in both hops and the route generation, and remembers the client's MAC
// when its neighbour is not resolved yet. `pkt` is the client's first packet. Returns false when
// one side has no route at all.
bool sg_nexthop_begin(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_pkt *pkt, struct sg_flow *flow);

// Gives the packet its way out: verdict, hop and MACs, or the drop.
void sg_nexthop_apply(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_flow *flow, enum sg_flow_direction direction, struct sg_pkt *pkt);
