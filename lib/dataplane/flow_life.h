// How flows begin to be counted and stop to be: the counters of a flow's backend and service follow
// its record.
#pragma once

#include "dataplane/packet.h"
#include "dataplane/pipeline.h"

// Counts a flow that was just inserted.
void sg_flow_begin(struct sg_pipeline *pipeline, const struct sg_flow *flow);
// Counts flows out and removes them. None is named twice.
void sg_flow_end_bulk(struct sg_pipeline *pipeline, const sg_flow_ref *refs, unsigned n);
// The oldest embryos make room for `n_more` flows, SG_BURST at most. Established flows never do.
void sg_flow_make_room(struct sg_pipeline *pipeline, unsigned n_more);
// The client of this packet's UDP flow is free to pick another backend, and the packet belongs to
// no flow any more. What the old backend still answers passes for SG_RELEASED_SECONDS.
#define SG_RELEASED_SECONDS 5
void sg_flow_release_client(struct sg_pipeline *pipeline, struct sg_pkt *pkt);
