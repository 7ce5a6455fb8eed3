// What the files of steer share: where a packet may be sent on to.
#pragma once

#include "dataplane/pipeline.h"

// Out of its port, as the kernel has made it.
void sg_steer_send_as_is(struct sg_pkt *pkt);
// To the kernel, within its budget; urgently: ARP, neighbour discovery and routing protocols.
void sg_steer_punt(struct sg_pipeline *pipeline, struct sg_pkt *pkt);
void sg_steer_punt_urgently(struct sg_pipeline *pipeline, struct sg_pkt *pkt);

// Whether it is for this worker to find out whose it is, before home() is asked.
static inline bool sg_steer_is_settled_here(
	const struct sg_pipeline *pipeline, const struct sg_pkt *pkt)
{
	return pipeline->n_workers == 1 || (pkt->flags & SG_PKT_HANDED_OFF);
}

// To its home, unless that is this worker.
static inline void sg_steer_hand_over(
	const struct sg_pipeline *pipeline, struct sg_pkt *pkt, unsigned home)
{
	if (home == pipeline->worker)
		return;
	pkt->verdict = SG_VERDICT_HANDOFF;
	pkt->target = (uint8_t)home;
}

// A fragment of what is for us: it has no ports, so all of a datagram meet where their addresses
// are at home. What they become is a packet of its own, and goes home from there.
static inline void sg_steer_fragment(
	const struct sg_pipeline *pipeline, struct sg_pkt *pkt, unsigned home)
{
	if (!sg_steer_is_settled_here(pipeline, pkt))
		sg_steer_hand_over(pipeline, pkt, home);
	if (!pkt->verdict)
		pkt->verdict = SG_VERDICT_REASSEMBLE;
}

// The IPv6 half of steer.
void sg_steer_ipv6(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, const struct sg_tuple *tuple);
