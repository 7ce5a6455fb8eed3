// Flows that a change of the configuration ends, see recheck.h.
#include "dataplane/recheck.h"

#include "dataplane/answer.h"
#include "dataplane/flow_life.h"
#include "dataplane/loss.h"
#include "dataplane/source.h"
#include "net/headers.h"

// Why a flow has to end, or SG_DROP_NONE.
static enum sg_drop judge(const struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	sg_flow_ref ref, const struct sg_flow *flow)
{
	const struct sg_service *service = flow->service_slot < snapshot->n_service_slots
						   ? snapshot->services[flow->service_slot]
						   : NULL;
	const struct sg_policy *all = snapshot->policy_ends ? snapshot->policy : NULL;
	const struct sg_policy *own =
		service && service->existing == SG_EXISTING_END ? service->policy : NULL;

	if (flow->state == SG_FLOW_AFFINITY || (!all && !own))
		return SG_DROP_NONE;
	if (sg_tuple_is_ipv6(&flow->client))
		return sg_source_judge6(
			all, own, sg_flow_table_addresses(pipeline->flows, ref)->client.src);
	return sg_source_judge4(all, own, flow->client.src_be);
}

// The client's packet is lost as that of a new flow would be; the backend should not wait for more.
static void settle(struct sg_pipeline *pipeline, struct sg_pkt *pkt, uint8_t protocol,
	enum sg_flow_direction direction, enum sg_drop drop)
{
	if (direction == SG_FLOW_TO_CLIENT && protocol == SG_PROTO_TCP)
		sg_answer_reset(pipeline, pkt, drop, drop);
	else
		sg_pkt_drop(pkt, drop);
}

void sg_recheck_hits(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_burst *burst)
{
	for (unsigned i = 0; i < burst->n; i++) {
		struct sg_pkt *pkt = &burst->pkts[i];
		const struct sg_flow *flow;
		enum sg_flow_direction direction;
		enum sg_drop drop;
		uint32_t backend_slot;

		if (pkt->verdict || !pkt->ref)
			continue;
		flow = sg_flow_table_get(pipeline->flows, pkt->ref);
		if (flow->state == SG_FLOW_FREE) {
			// A packet before this one has ended it.
			pkt->ref = 0;
			burst->n_misses++;
			continue;
		}
		drop = judge(pipeline, snapshot, pkt->ref, flow);
		if (!drop)
			continue;
		direction = sg_flow_ref_direction(pkt->ref);
		backend_slot = flow->backend_slot;
		sg_flow_end_bulk(pipeline, &pkt->ref, 1);
		pkt->ref = 0;
		settle(pipeline, pkt, burst->tuples[i].proto, direction, drop);
		sg_loss_of_backend(pipeline, backend_slot, direction, pkt);
	}
}

void sg_recheck_turn(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot)
{
	uint32_t n_used = sg_flow_table_used(pipeline->flows);
	sg_flow_ref refs[SG_RECHECKS_PER_TURN];
	unsigned n = 0;

	if (pipeline->rechecking != snapshot->policy_epoch) {
		pipeline->rechecking = snapshot->policy_epoch;
		pipeline->recheck_at = 1;
	}
	for (unsigned i = 0; i < SG_RECHECKS_PER_TURN && pipeline->recheck_at <= n_used; i++) {
		sg_flow_ref ref = pipeline->recheck_at++ << 1;
		const struct sg_flow *flow = sg_flow_table_get(pipeline->flows, ref);

		if (flow->state != SG_FLOW_FREE && judge(pipeline, snapshot, ref, flow))
			refs[n++] = ref;
	}
	sg_flow_end_bulk(pipeline, refs, n);
	// Flows that started meanwhile were judged when they did.
	if (pipeline->recheck_at > n_used)
		pipeline->policy_epoch = snapshot->policy_epoch;
}

void sg_recheck_tenants(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	uint32_t first, uint32_t n_records)
{
	uint32_t n_used = sg_flow_table_used(pipeline->flows);
	sg_flow_ref refs[SG_SWEEP_PER_TURN];
	unsigned n = 0;

	if (n_records > n_used)
		n_records = n_used;
	for (uint32_t at = first; n_records > 0; n_records--) {
		const struct sg_flow *flow = sg_flow_table_get(pipeline->flows, at << 1);

		if (flow->state != SG_FLOW_FREE &&
			sg_snapshot_backend_word(snapshot, flow->backend_slot) >> 8 !=
				flow->backend_generation)
			refs[n++] = at << 1;
		at = at == n_used ? 1 : at + 1;
	}
	sg_flow_end_bulk(pipeline, refs, n);
}
