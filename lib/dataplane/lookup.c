// lookup: finds the flows that packets belong to, both directions at once, and counts what it does
// not know.
//
// A flow that is over does not take new packets: a SYN over a closed connection and a datagram to a
// removed backend start anew, and what else comes for a backend that is gone is refused.
#include "dataplane/pipeline.h"

#include "base/prefetch.h"
#include "dataplane/answer.h"
#include "dataplane/flow_life.h"
#include "dataplane/loss.h"
#include "dataplane/recheck.h"
#include "dataplane/source.h"
#include "flow/tcp.h"
#include "net/headers.h"

static const struct sg_tcp_hdr *tcp_of(const struct sg_pkt *pkt)
{
	return (const void *)(pkt->bytes + pkt->l4_offset);
}

// Whether this packet may start a new flow where the old one is closed.
static bool starts_anew(const struct sg_flow *flow, const struct sg_pkt *pkt)
{
	const struct sg_tcp_hdr *tcp = tcp_of(pkt);

	return flow->state == SG_FLOW_TCP_CLOSED &&
	       sg_flow_ref_direction(pkt->ref) == SG_FLOW_TO_BACKEND &&
	       (tcp->flags & (SG_TCP_SYN | SG_TCP_ACK | SG_TCP_RST)) == SG_TCP_SYN;
}

static void forget(struct sg_pipeline *pipeline, struct sg_pkt *pkt)
{
	sg_flow_end_bulk(pipeline, &pkt->ref, 1);
	pkt->ref = 0;
}

// The flow's backend lies outside of backend_cidrs, which have changed since the flow began: it is
// over, and the packet lost. A client is told, who might have nothing more to say; a backend is
// not.
static void end_outside(
	struct sg_pipeline *pipeline, struct sg_pkt *pkt, enum sg_flow_direction direction)
{
	const enum sg_drop drop = SG_DROP_BACKEND_OUTSIDE;
	uint32_t slot = sg_flow_table_get(pipeline->flows, pkt->ref)->backend_slot;

	forget(pipeline, pkt);
	if (direction == SG_FLOW_TO_BACKEND)
		sg_answer_reset(pipeline, pkt, drop, drop);
	else
		sg_pkt_drop(pkt, drop);
	pkt->drop = (uint8_t)drop;
	sg_loss_add(&pipeline->counters.backend_losses[slot], direction, drop);
}

static void reset_gone(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, enum sg_flow_direction direction, bool same)
{
	uint32_t slot = sg_flow_table_get(pipeline->flows, pkt->ref)->backend_slot;

	forget(pipeline, pkt);
	if (direction == SG_FLOW_TO_CLIENT && !sg_source_may_be_reached(snapshot, pkt))
		sg_pkt_drop(pkt, SG_DROP_BACKEND_GONE);
	else
		sg_answer_reset(pipeline, pkt, SG_DROP_BACKEND_GONE, SG_DROP_ANSWER_LIMIT);
	if (same)
		sg_loss_of_backend(pipeline, slot, direction, pkt);
}

// The flow's backend is no longer what it was: REMOVED, DEAD, OUTSIDE, or its slot has another
// tenant.
static void judge_orphan(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, const struct sg_flow *flow, uint32_t word)
{
	enum sg_flow_direction direction = sg_flow_ref_direction(pkt->ref);
	bool same = word >> 8 == flow->backend_generation;
	uint8_t life = (uint8_t)word;
	bool outside = same && life == SG_BACKEND_OUTSIDE;

	// The client's next datagram picks anew; until then the backend may still answer.
	if (flow->client.proto == SG_PROTO_UDP && direction == SG_FLOW_TO_BACKEND)
		return sg_flow_release_client(pipeline, pkt);
	if (same && life == SG_BACKEND_REMOVED)
		return;
	// A client that only receives may have nothing more to say, and would wait for ever: what
	// the backend sends him first tells him. The backend sends again what nobody acknowledges,
	// and is told then.
	if (flow->client.proto == SG_PROTO_TCP && direction == SG_FLOW_TO_CLIENT &&
		flow->state != SG_FLOW_TCP_CLOSED)
		return sg_become_reset(pkt);
	if (outside)
		return end_outside(pipeline, pkt, direction);
	if (flow->client.proto == SG_PROTO_TCP)
		reset_gone(pipeline, snapshot, pkt, direction, same);
}

static void judge_backend(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, const struct sg_flow *flow)
{
	uint32_t word = sg_snapshot_backend_word(snapshot, flow->backend_slot);

	if (word >> 8 != flow->backend_generation || (word & 0xff) > SG_BACKEND_DRAINING)
		judge_orphan(pipeline, snapshot, pkt, flow, word);
}

static void judge_hit(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_pkt *pkt)
{
	const struct sg_flow *flow = sg_flow_table_get(pipeline->flows, pkt->ref);

	// A packet earlier in this burst may have ended the flow: its record stays free until
	// schedule.
	if (__builtin_expect(flow->state == SG_FLOW_FREE, 0))
		pkt->ref = 0;
	// Before the backend is judged: a backend that finishes its flows gets no new one.
	else if (__builtin_expect(flow->state == SG_FLOW_TCP_CLOSED, 0) && starts_anew(flow, pkt))
		forget(pipeline, pkt);
	// fast path: nothing has to be said of any backend around.
	else if (__builtin_expect(
			 sg_snapshot_backend_page(snapshot, flow->backend_slot)->n_uneasy > 0, 0))
		judge_backend(pipeline, snapshot, pkt, flow);
}

// fast path: what a hit touches beside its record is its backend's counters, and where some are
// leaving their words. With many backends each is a cache miss, so they are asked for while the
// rest of the burst is looked at.
static void prefetch_backends(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const sg_flow_ref *refs, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint32_t slot = sg_flow_table_get(pipeline->flows, refs[i])->backend_slot;
		const struct sg_backend_page *page;

		if (refs[i] == 0)
			continue;
		page = sg_snapshot_backend_page(snapshot, slot);
		sg_prefetch_write(&pipeline->counters.backends[slot]);
		if (page->n_uneasy > 0)
			sg_prefetch(&page->words[slot % SG_BACKENDS_PER_PAGE]);
	}
}

// A known key is not yet a known flow: the addresses must be the flow's, too. They are asked for
// together; rewriting wants the same lines.
static void check_addresses(
	const struct sg_pipeline *pipeline, struct sg_burst *burst, sg_flow_ref *refs)
{
	for (unsigned i = 0; i < burst->n; i++) {
		if (refs[i] && sg_tuple_is_ipv6(&burst->tuples[i]))
			__builtin_prefetch(sg_flow_table_addresses(pipeline->flows, refs[i]));
	}
	for (unsigned i = 0; i < burst->n; i++) {
		struct sg_pkt *pkt = &burst->pkts[i];

		if (!refs[i] || !sg_tuple_is_ipv6(&burst->tuples[i]) ||
			sg_pkt_is_of(pipeline, pkt, refs[i]))
			continue;
		refs[i] = 0;
		sg_pkt_drop(pkt, SG_DROP_KEY_COLLISION);
	}
}

void sg_stage_lookup(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_burst *burst)
{
	sg_flow_ref refs[SG_BURST];

	sg_flow_table_hash(pipeline->flows, burst->tuples, burst->n, burst->hashes);
	sg_flow_table_find_bulk(pipeline->flows, burst->tuples, burst->hashes, burst->n, refs);

	if (__builtin_expect(burst->n_ipv6 > 0, 0))
		check_addresses(pipeline, burst, refs);
	if (snapshot->n_pages > SG_FEW_PAGES)
		prefetch_backends(pipeline, snapshot, refs, burst->n);
	burst->n_misses = 0;
	for (unsigned i = 0; i < burst->n; i++) {
		struct sg_pkt *pkt = &burst->pkts[i];

		pkt->ref = refs[i];
		if (pkt->verdict)
			continue;
		if (pkt->ref)
			judge_hit(pipeline, snapshot, pkt);
		if (!pkt->ref && !pkt->verdict)
			burst->n_misses++;
	}
	if (__builtin_expect(sg_recheck_is_due(pipeline, snapshot), 0))
		sg_recheck_hits(pipeline, snapshot, burst);
}
