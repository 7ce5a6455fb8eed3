// What rewriting needs to know of a flow, and carrying one packet across without a flow: where the
// table has no room for one, or has forgotten it, and the scheduler says by itself where the packet
// belongs (sg_service_is_stateless).
#pragma once

#include "dataplane/packet.h"
#include "dataplane/pipeline.h"
#include "net/checksum.h"

// What the rewrite from the client's tuple to the server's adds to the checksums (RFC 1624).
static inline void sg_rewrite_note_deltas(struct sg_flow *flow)
{
	const struct sg_tuple *c = &flow->client, *s = &flow->server;
	uint64_t addresses =
		(uint64_t)(uint32_t)~c->src_be + (uint32_t)~c->dst_be + s->dst_be + s->src_be;
	uint64_t ports = (uint64_t)(uint16_t)~c->sport_be + (uint16_t)~c->dport_be + s->dport_be +
			 s->sport_be;

	flow->l3_delta = sg_checksum_fold(addresses);
	flow->l4_delta = sg_checksum_fold(addresses + ports);
}

// The same of an IPv6 flow. There is no sum over its header, so `l3_delta` stays 0.
void sg_rewrite_note_deltas6(struct sg_flow *flow, const struct sg_flow_addresses *addresses);

// `flow` is a description of the flow that is in no table, with its deltas; `addresses` an IPv6
// flow's, else NULL. Counts and settles the packet.
void sg_rewrite_stateless(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_flow *flow, const struct sg_flow_addresses *addresses,
	enum sg_flow_direction direction, struct sg_pkt *pkt);
