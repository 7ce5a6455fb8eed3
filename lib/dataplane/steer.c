// steer: decides whose packet a miss is: the kernel's, another worker's, nobody's, or ours to
// admit.
#include "dataplane/steer.h"

#include "dataplane/answer.h"
#include "dataplane/dnat.h"
#include "dataplane/icmp_error.h"
#include "dataplane/tunnel_error.h"
#include "net/headers.h"

#define IPV4_LINK_MULTICAST \
	0xe0000000u // 224.0.0.0/24: routing protocols and their kin, never forwarded
#define IPV4_LINK_MASK 0xffffff00u

void sg_steer_send_as_is(struct sg_pkt *pkt)
{
	pkt->verdict = SG_VERDICT_SEND;
	pkt->out_port = pkt->port;
}

void sg_steer_punt(struct sg_pipeline *pipeline, struct sg_pkt *pkt)
{
	if (sg_limiter_take(&pipeline->punts))
		pkt->verdict = SG_VERDICT_PUNT;
	else
		sg_pkt_drop(pkt, SG_DROP_PUNT_BUDGET);
}

void sg_steer_punt_urgently(struct sg_pipeline *pipeline, struct sg_pkt *pkt)
{
	if (sg_limiter_take(&pipeline->urgent_punts))
		pkt->verdict = SG_VERDICT_PUNT_URGENT;
	else
		sg_pkt_drop(pkt, SG_DROP_PUNT_BUDGET);
}

static void steer_arp(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_pkt *pkt)
{
	const struct sg_arp_hdr *arp = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	uint32_t bits = sg_snapshot_address4(snapshot, arp->target_be);
	bool for_us = arp->operation_be == __builtin_bswap16(SG_ARP_REQUEST) &&
		      (bits & SG_ADDRESS_ANNOUNCE);

	// An announcement of an address by its own holder (RFC 5227) is no question.
	if (for_us && arp->sender_be != arp->target_be)
		sg_answer_arp(pipeline, pkt);
	else if (pkt->flags & SG_PKT_FROM_KERNEL)
		sg_steer_send_as_is(pkt);
	else
		sg_steer_punt_urgently(pipeline, pkt);
}

// To an address that is no VIP and no SNAT address: the kernel's, if it has it on the twin of this
// very port.
static void steer_to_kernel(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_pkt *pkt)
{
	const struct sg_ipv4_hdr *ip = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	uint32_t dst = __builtin_bswap32(ip->dst_be);
	struct sg_route_answer route;

	if (pkt->flags & SG_PKT_FROM_KERNEL)
		return sg_steer_send_as_is(pkt);
	if ((dst & IPV4_LINK_MASK) == IPV4_LINK_MULTICAST)
		return sg_steer_punt_urgently(pipeline, pkt);
	if (dst >> 28 == 0xe || dst == UINT32_MAX)
		return sg_pkt_drop(pkt, SG_DROP_MULTICAST);

	route = sg_routes_find4(snapshot->routes, ip->dst_be);
	if (route.kind == SG_ROUTE_LOCAL && route.port == pkt->port)
		sg_steer_punt(pipeline, pkt);
	else
		sg_pkt_drop(pkt, SG_DROP_NOT_LOCAL);
}

// A SNAT address may be the kernel's own as well, with the ports divided between the two.
static bool is_the_kernels_share(const struct sg_pipeline *pipeline,
	const struct sg_snapshot *snapshot, const struct sg_pkt *pkt, const struct sg_tuple *tuple,
	const struct sg_ipv4_hdr *ip)
{
	uint16_t port = __builtin_bswap16(tuple->dport_be);

	// A fragment's ports are not known before it is whole.
	if (pkt->class == SG_CLASS_FRAGMENT ||
		sg_routes_find4(snapshot->routes, ip->dst_be).kind != SG_ROUTE_LOCAL)
		return false;
	return pkt->class != SG_CLASS_FLOW || port < pipeline->snat_port_min ||
	       port > pipeline->snat_port_max;
}

static void steer_home(
	struct sg_pipeline *pipeline, struct sg_pkt *pkt, const struct sg_tuple *tuple)
{
	if (!sg_steer_is_settled_here(pipeline, pkt))
		sg_steer_hand_over(pipeline, pkt, sg_home_of_tuple4(pipeline->home, tuple));
}

// Settles an ICMP error about a flow of this worker, or of another. `for_us`: to an address of
// ours; if not, it can only be about what a dnat service has sent.
static bool steer_icmp_error(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, bool for_us)
{
	struct sg_tuple answer, client;
	uint32_t backend_slot;
	sg_flow_ref ref;
	uint64_t hash;

	if (!sg_icmp_error_read(pkt, &answer))
		return false;
	answer.domain = pipeline->domains[pkt->port];
	if (for_us)
		client = answer;
	else if (!sg_dnat_find(snapshot, &answer, &client, &backend_slot))
		return false;
	sg_flow_table_hash(pipeline->flows, &answer, 1, &hash);
	ref = sg_flow_table_find(pipeline->flows, &answer, hash);
	if (ref)
		sg_icmp_error_forward(pipeline, snapshot, pkt, ref);
	else
		steer_home(pipeline, pkt, &client);
	if (!pkt->verdict)
		sg_icmp_error_without_flow(pipeline, snapshot, pkt, &client,
			for_us ? SG_FLOW_TO_BACKEND : SG_FLOW_TO_CLIENT);
	return pkt->verdict != SG_VERDICT_NONE;
}

// Settles what a dnat service's backend sends to a client: an answer, or an ICMP error.
static bool steer_dnat(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, const struct sg_tuple *tuple)
{
	const struct sg_ipv4_hdr *ip = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	struct sg_tuple client;
	uint32_t backend_slot;

	if (snapshot->dnat4->n_keys == 0)
		return false;
	if (pkt->class == SG_CLASS_ICMP)
		return steer_icmp_error(pipeline, snapshot, pkt, false);
	if (pkt->class == SG_CLASS_FRAGMENT && sg_dnat_may_send4(snapshot, ip->src_be)) {
		sg_steer_fragment(pipeline, pkt, sg_home_of_pair4(pipeline->home, &ip->src_be));
		return true;
	}
	if (pkt->class != SG_CLASS_FLOW || !sg_dnat_find(snapshot, tuple, &client, &backend_slot))
		return false;
	steer_home(pipeline, pkt, &client);
	if (!pkt->verdict)
		sg_dnat_answer_without_flow(pipeline, snapshot, pkt, tuple);
	return true;
}

// Without SNAT addresses, outer packets of mode ipip are from an address of the node itself.
static bool steer_tunnel_error(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_pkt *pkt)
{
	return pkt->class == SG_CLASS_ICMP && !pipeline->has_snat4 &&
	       sg_tunnel_error_settle(pipeline, snapshot, pkt, false);
}

static void steer_ipv4(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, const struct sg_tuple *tuple)
{
	const struct sg_ipv4_hdr *ip = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	const struct sg_icmp_hdr *icmp = (const void *)(pkt->bytes + pkt->l4_offset);
	uint32_t bits = sg_snapshot_address4(snapshot, ip->dst_be);

	if (!(bits & (SG_ADDRESS_VIP | SG_ADDRESS_SNAT))) {
		if (steer_dnat(pipeline, snapshot, pkt, tuple) ||
			steer_tunnel_error(pipeline, snapshot, pkt))
			return;
		return steer_to_kernel(pipeline, snapshot, pkt);
	}
	if (pkt->class == SG_CLASS_ICMP &&
		(steer_icmp_error(pipeline, snapshot, pkt, true) ||
			sg_tunnel_error_settle(pipeline, snapshot, pkt, true)))
		return;
	if (!(bits & SG_ADDRESS_VIP) && is_the_kernels_share(pipeline, snapshot, pkt, tuple, ip))
		return steer_to_kernel(pipeline, snapshot, pkt);
	if (pkt->flaw)
		return sg_pkt_drop(pkt, pkt->flaw);
	if (!(pkt->flags & SG_PKT_FROM_KERNEL) && sg_snapshot_address4(snapshot, ip->src_be))
		return sg_pkt_drop(pkt, SG_DROP_BAD_ADDRESS); // one of ours, from outside

	if (pkt->class == SG_CLASS_FLOW)
		steer_home(pipeline, pkt, tuple);
	else if (pkt->class == SG_CLASS_FRAGMENT)
		sg_steer_fragment(pipeline, pkt, sg_home_of_pair4(pipeline->home, &ip->src_be));
	else if (pkt->class != SG_CLASS_ICMP)
		sg_pkt_drop(pkt, SG_DROP_UNSERVED_PROTOCOL);
	else if (icmp->type == SG_ICMP_ECHO && icmp->code == 0)
		sg_answer_echo(pkt);
	else
		sg_pkt_drop(pkt, SG_DROP_ICMP_UNMATCHED);
}

void sg_stage_steer(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_burst *burst)
{
	for (unsigned i = 0; i < burst->n; i++) {
		struct sg_pkt *pkt = &burst->pkts[i];

		if (pkt->verdict || pkt->ref)
			continue;
		if (pkt->class == SG_CLASS_ARP)
			steer_arp(pipeline, snapshot, pkt);
		else if (sg_pkt_is_ipv6(pkt))
			sg_steer_ipv6(pipeline, snapshot, pkt, &burst->tuples[i]);
		else
			steer_ipv4(pipeline, snapshot, pkt, &burst->tuples[i]);
	}
}
