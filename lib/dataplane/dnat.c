// Answers in mode dnat, see dnat.h.
#include "dataplane/dnat.h"

#include <string.h>

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

bool sg_dnat_may_send6(const struct sg_snapshot *snapshot, const uint8_t addr[16])
{
	return sg_index6_find(snapshot->dnat6, addr, 0) != SG_INDEX_NONE;
}

bool sg_dnat_may_send4(const struct sg_snapshot *snapshot, uint32_t addr_be)
{
	return sg_index_find(snapshot->dnat4, SG_VIP_KEY(addr_be, 0, 0)) != SG_INDEX_NONE;
}

bool sg_dnat_find6(const struct sg_snapshot *snapshot, const struct sg_tuple *answer,
	const struct sg_pair6 *answer_pair, struct sg_tuple *ret_client,
	struct sg_pair6 *ret_client_pair, uint32_t *ret_backend_slot)
{
	const struct sg_service *service;
	uint32_t slot;

	if (snapshot->dnat6->n_keys == 0)
		return false;
	slot = sg_index6_find(
		snapshot->dnat6, answer_pair->src, SG_VIP6_REST(answer->sport_be, answer->proto));
	if (slot == SG_INDEX_NONE)
		return false;
	service = snapshot->services[sg_snapshot_backend(snapshot, slot)->service_slot];
	*ret_client = (struct sg_tuple){.sport_be = answer->dport_be,
		.dport_be = service->port_be,
		.proto = answer->proto,
		.domain = answer->domain};
	memcpy(ret_client_pair->src, answer_pair->dst, 16);
	memcpy(ret_client_pair->dst, service->vip6, 16);
	*ret_backend_slot = slot;
	return true;
}

static void refuse(struct sg_pipeline *pipeline, struct sg_pkt *pkt, uint8_t protocol)
{
	if (protocol == SG_PROTO_TCP)
		sg_answer_reset(pipeline, pkt, SG_DROP_REPLY_NO_FLOW, SG_DROP_ANSWER_LIMIT);
	else
		sg_pkt_drop(pkt, SG_DROP_REPLY_NO_FLOW);
}

static bool is_out_of_time(const struct sg_pkt *pkt)
{
	const struct sg_ipv4_hdr *ip = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));

	return (sg_pkt_is_ipv6(pkt) ? sg_pkt_ip6(pkt)->hop_limit : ip->ttl) <= 1;
}

// The flow that an answer would belong to, and of IPv6 its addresses.
static bool find(const struct sg_snapshot *snapshot, const struct sg_pkt *pkt,
	const struct sg_tuple *answer, struct sg_flow *flow, struct sg_flow_addresses *addresses)
{
	if (!sg_pkt_is_ipv6(pkt))
		return sg_dnat_find(snapshot, answer, &flow->client, &flow->backend_slot);
	addresses->server = sg_pkt_ip6(pkt)->pair;
	return sg_dnat_find6(snapshot, answer, &addresses->server, &flow->client,
		&addresses->client, &flow->backend_slot);
}

// Why the client whom it answers may not be answered, or SG_DROP_NONE.
static enum sg_drop judge_client(const struct sg_snapshot *snapshot,
	const struct sg_service *service, const struct sg_pkt *pkt, const struct sg_tuple *answer)
{
	if (sg_pkt_is_ipv6(pkt))
		return sg_source_judge6(
			snapshot->policy, service->policy, sg_pkt_ip6(pkt)->pair.dst);
	return sg_source_judge4(snapshot->policy, service->policy, answer->dst_be);
}

// Settles the answer, unless it may be carried across.
static void judge(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, const struct sg_tuple *answer, const struct sg_service *service)
{
	enum sg_drop refused = judge_client(snapshot, service, pkt, answer);

	if (!sg_source_may_be_reached(snapshot, pkt))
		sg_pkt_drop(pkt, SG_DROP_BACKEND_OUTSIDE);
	else if (!sg_service_is_stateless(service))
		refuse(pipeline, pkt, answer->proto);
	else if (refused)
		sg_pkt_drop(pkt, refused);
	else if (is_out_of_time(pkt))
		sg_answer_ttl(pipeline, snapshot, pkt);
}

void sg_dnat_answer_without_flow(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, const struct sg_tuple *answer)
{
	struct sg_flow flow = {.server = *answer, .mode = SG_FORWARD_DNAT};
	const struct sg_backend *backend;
	struct sg_flow_addresses addresses;

	if (!find(snapshot, pkt, answer, &flow, &addresses))
		return sg_pkt_drop(pkt, SG_DROP_REPLY_NO_FLOW);
	backend = sg_snapshot_backend(snapshot, flow.backend_slot);
	flow.service_slot = backend->service_slot;
	judge(pipeline, snapshot, pkt, answer, snapshot->services[flow.service_slot]);
	if (pkt->verdict)
		return sg_loss_of_backend(pipeline, flow.backend_slot, SG_FLOW_TO_CLIENT, pkt);
	if (sg_pkt_is_ipv6(pkt))
		sg_rewrite_note_deltas6(&flow, &addresses);
	else
		sg_rewrite_note_deltas(&flow);
	sg_rewrite_stateless(pipeline, snapshot, &flow, sg_pkt_is_ipv6(pkt) ? &addresses : NULL,
		SG_FLOW_TO_CLIENT, pkt);
}
