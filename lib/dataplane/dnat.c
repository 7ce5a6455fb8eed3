// Answers in mode dnat, see dnat.h.
#include "dataplane/dnat.h"

#include "dataplane/answer.h"
#include "dataplane/loss.h"
#include "dataplane/rewrite.h"
#include "dataplane/source.h"
#include "net/headers.h"

bool sg_dnat_find(const struct sg_snapshot *snapshot, const struct sg_tuple *answer,
	struct sg_tuple *ret_client, uint32_t *ret_backend_slot)
{
	const struct sg_service *service;
	uint32_t slot;

	if (snapshot->dnat4->n_keys == 0)
		return false;
	slot = sg_index_find(
		snapshot->dnat4, SG_VIP_KEY(answer->src_be, answer->sport_be, answer->proto));
	if (slot == SG_INDEX_NONE)
		return false;
	service = snapshot->services[sg_snapshot_backend(snapshot, slot)->service_slot];
	*ret_client = (struct sg_tuple){.src_be = answer->dst_be,
		.dst_be = service->vip4_be,
		.sport_be = answer->dport_be,
		.dport_be = service->port_be,
		.proto = answer->proto,
		.domain = answer->domain};
	*ret_backend_slot = slot;
	return true;
}

bool sg_dnat_may_send(const struct sg_snapshot *snapshot, uint32_t addr_be)
{
	return sg_index_find(snapshot->dnat4, SG_VIP_KEY(addr_be, 0, 0)) != SG_INDEX_NONE;
}

static void refuse(struct sg_pipeline *pipeline, struct sg_pkt *pkt, uint8_t protocol)
{
	if (protocol == SG_PROTO_TCP)
		sg_answer_reset(pipeline, pkt, SG_DROP_REPLY_NO_FLOW, SG_DROP_ANSWER_LIMIT);
	else
		sg_pkt_drop(pkt, SG_DROP_REPLY_NO_FLOW);
}

// Settles the answer, unless it may be carried across.
static void judge(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, const struct sg_tuple *answer, const struct sg_service *service)
{
	const struct sg_ipv4_hdr *ip = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	enum sg_drop refused = sg_source_judge4(snapshot->policy, service->policy, answer->dst_be);

	if (!sg_service_is_stateless(service))
		refuse(pipeline, pkt, answer->proto);
	else if (refused)
		sg_pkt_drop(pkt, refused);
	else if (ip->ttl <= 1)
		sg_answer_ttl(pipeline, snapshot, pkt);
}

void sg_dnat_answer_without_flow(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, const struct sg_tuple *answer)
{
	struct sg_flow flow = {.server = *answer, .mode = SG_FORWARD_DNAT};
	const struct sg_backend *backend;

	if (!sg_dnat_find(snapshot, answer, &flow.client, &flow.backend_slot))
		return sg_pkt_drop(pkt, SG_DROP_REPLY_NO_FLOW);
	backend = sg_snapshot_backend(snapshot, flow.backend_slot);
	flow.service_slot = backend->service_slot;
	judge(pipeline, snapshot, pkt, answer, snapshot->services[flow.service_slot]);
	if (pkt->verdict)
		return sg_loss_of_backend(pipeline, flow.backend_slot, SG_FLOW_TO_CLIENT, pkt);
	sg_rewrite_note_deltas(&flow);
	sg_rewrite_stateless(pipeline, snapshot, &flow, SG_FLOW_TO_CLIENT, pkt);
}
