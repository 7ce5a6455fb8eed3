// steer, IPv6: whose packet a miss is, as in steer.c, and neighbour discovery in place of ARP.
#include "dataplane/steer.h"

#include <stddef.h>
#include <string.h>

#include "dataplane/answer.h"
#include "dataplane/answer_ipv6.h"
#include "dataplane/dnat.h"
#include "dataplane/icmpv6_error.h"
#include "dataplane/tunnel_error.h"
#include "net/checksum.h"

static bool is_multicast(const uint8_t addr[16])
{
	return addr[0] == 0xff;
}

static bool is_link_multicast(const uint8_t addr[16])
{
	return is_multicast(addr) && (addr[1] & 0x0f) == 2;
}

static bool is_unspecified(const uint8_t addr[16])
{
	static const uint8_t zero[16];

	return memcmp(addr, zero, 16) == 0;
}

// ff02::1:ffXX:XXXX with the last three bytes of the address that is asked for.
static bool is_solicited_node(const uint8_t group[16], const uint8_t addr[16])
{
	static const uint8_t prefix[13] = {0xff, 2, [11] = 1, [12] = 0xff};

	return memcmp(group, prefix, sizeof(prefix)) == 0 && memcmp(group + 13, addr + 13, 3) == 0;
}

static const struct sg_ndp_hdr *find_ndp(const struct sg_pkt *pkt)
{
	const struct sg_ndp_hdr *ndp = (const void *)(sg_pkt_ip6(pkt) + 1);

	if (sg_pkt_ip6(pkt)->next != SG_PROTO_ICMPV6 ||
		pkt->length < sizeof(struct sg_eth_hdr) + sizeof(struct sg_ipv6_hdr) + 1 ||
		ndp->icmp.type < SG_NDP_FIRST || ndp->icmp.type > SG_NDP_LAST)
		return NULL;
	return ndp;
}

// Each has a length and ends with the packet or before, and who has no address yet tells no
// link-layer address.
static bool are_valid_options(const struct sg_pkt *pkt, bool has_source)
{
	const unsigned first = sizeof(struct sg_ipv6_hdr) + offsetof(struct sg_ndp_hdr, option);
	const uint8_t *at = (const uint8_t *)sg_pkt_ip6(pkt) + first;
	uint32_t left = sg_pkt_contiguous(pkt, sizeof(struct sg_eth_hdr) + first);

	while (left >= 8) {
		uint32_t length = at[1] * 8u;

		if (length == 0 || length > left || (at[0] == SG_NDP_OPTION_SOURCE && !has_source))
			return false;
		at += length;
		left -= length;
	}
	return left == 0;
}

// RFC 4861, 7.1.1, as far as it matters to who only answers.
static bool is_valid_solicitation(const struct sg_pipeline *pipeline, const struct sg_pkt *pkt,
	const struct sg_ndp_hdr *ndp, uint32_t length)
{
	const struct sg_ipv6_hdr *ip = sg_pkt_ip6(pkt);
	uint64_t pseudo = sg_checksum_pseudo6(&ip->pair, SG_PROTO_ICMPV6, (uint16_t)length);

	if (ip->hop_limit != SG_NDP_HOP_LIMIT || ndp->icmp.code != 0 ||
		sg_checksum_finish(sg_pkt_sum(pipeline, pkt, pseudo, pkt->l4_offset, length)) != 0)
		return false;
	if (!are_valid_options(pkt, !is_unspecified(ip->pair.src)))
		return false;
	// Who looks whether an address is free has none yet, and asks all who might have it.
	return !is_unspecified(ip->pair.src) || is_solicited_node(ip->pair.dst, ndp->target);
}

static void steer_ndp(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, const struct sg_ndp_hdr *ndp)
{
	uint32_t length =
		pkt->length - (uint32_t)(sizeof(struct sg_eth_hdr) + sizeof(struct sg_ipv6_hdr));
	bool for_us = ndp->icmp.type == SG_NDP_SOLICIT &&
		      length >= offsetof(struct sg_ndp_hdr, option) &&
		      (sg_snapshot_address6(snapshot, ndp->target) & SG_ADDRESS_ANNOUNCE);

	if (for_us && is_valid_solicitation(pipeline, pkt, ndp, length))
		sg_answer_solicitation(pipeline, pkt);
	else if (for_us)
		sg_pkt_drop(pkt, SG_DROP_BAD_NDP);
	else if (pkt->flags & SG_PKT_FROM_KERNEL)
		sg_steer_send_as_is(pkt);
	else
		sg_steer_punt_urgently(pipeline, pkt);
}

// To an address that is no VIP and no SNAT address: the kernel's, if it has it on the twin of this
// very port, or a link-local one.
static void steer_to_kernel(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_pkt *pkt)
{
	const uint8_t *dst = sg_pkt_ip6(pkt)->pair.dst;
	struct sg_route_answer route;

	if (pkt->flags & SG_PKT_FROM_KERNEL)
		return sg_steer_send_as_is(pkt);
	if (is_link_multicast(dst))
		return sg_steer_punt_urgently(pipeline, pkt);
	if (is_multicast(dst))
		return sg_pkt_drop(pkt, SG_DROP_MULTICAST);
	if (sg_is_link_local6(dst))
		return sg_steer_punt(pipeline, pkt);

	route = sg_routes_find6(snapshot->routes, dst);
	if (route.kind == SG_ROUTE_LOCAL && route.port == pkt->port)
		sg_steer_punt(pipeline, pkt);
	else
		sg_pkt_drop(pkt, SG_DROP_NOT_LOCAL);
}

// A SNAT address may be the kernel's own as well, with the ports divided between the two.
static bool is_the_kernels_share(const struct sg_pipeline *pipeline,
	const struct sg_snapshot *snapshot, const struct sg_pkt *pkt, const struct sg_tuple *tuple)
{
	uint16_t port = __builtin_bswap16(tuple->dport_be);

	// A fragment's ports are not known before it is whole.
	if (pkt->class == SG_CLASS_FRAGMENT6 ||
		sg_routes_find6(snapshot->routes, sg_pkt_ip6(pkt)->pair.dst).kind != SG_ROUTE_LOCAL)
		return false;
	return pkt->class != SG_CLASS_FLOW6 || port < pipeline->snat_port_min ||
	       port > pipeline->snat_port_max;
}

static void steer_home(struct sg_pipeline *pipeline, struct sg_pkt *pkt,
	const struct sg_pair6 *pair, const struct sg_tuple *tuple)
{
	if (!sg_steer_is_settled_here(pipeline, pkt))
		sg_steer_hand_over(pipeline, pkt, sg_home_of_tuple6(pipeline->home, pair, tuple));
}

// The flow of a direction's addresses and ports; 0: unknown.
static sg_flow_ref find_flow(
	const struct sg_pipeline *pipeline, const struct sg_pair6 *pair, struct sg_tuple *tuple)
{
	sg_flow_ref ref;
	uint64_t hash;

	sg_flow_table_key6(pipeline->flows, pair, tuple);
	sg_flow_table_hash(pipeline->flows, tuple, 1, &hash);
	ref = sg_flow_table_find(pipeline->flows, tuple, hash);
	if (ref && !sg_pair6_equal(sg_flow_pair(sg_flow_table_addresses(pipeline->flows, ref),
					   sg_flow_ref_direction(ref)),
			   pair))
		return 0;
	return ref;
}

// Settles an ICMPv6 error about a flow of this worker, or of another. `for_us`: to an address of
// ours; if not, it can only be about what a dnat service has sent.
static bool steer_icmp_error(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, bool for_us)
{
	struct sg_tuple answer, client;
	struct sg_pair6 answer_pair, client_pair;
	uint32_t backend_slot;
	sg_flow_ref ref;

	if (!sg_icmpv6_error_read(pkt, &answer, &answer_pair))
		return false;
	answer.domain = sg_pipeline_domain6(pipeline, pkt->port, answer_pair.src);
	client = answer;
	client_pair = answer_pair;
	if (!for_us && !sg_dnat_find6(snapshot, &answer, &answer_pair, &client, &client_pair,
			       &backend_slot))
		return false;
	ref = find_flow(pipeline, &answer_pair, &answer);
	if (ref)
		sg_icmpv6_error_forward(pipeline, snapshot, pkt, ref);
	else
		steer_home(pipeline, pkt, &client_pair, &client);
	if (!pkt->verdict)
		sg_icmpv6_error_without_flow(pipeline, snapshot, pkt, &client, &client_pair,
			for_us ? SG_FLOW_TO_BACKEND : SG_FLOW_TO_CLIENT);
	return pkt->verdict != SG_VERDICT_NONE;
}

// Settles what a dnat service's backend sends to a client: an answer, or an ICMPv6 error.
static bool steer_dnat(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, const struct sg_tuple *tuple)
{
	struct sg_tuple client;
	struct sg_pair6 client_pair;
	uint32_t backend_slot;

	if (snapshot->dnat6->n_keys == 0)
		return false;
	if (pkt->class == SG_CLASS_ICMP6)
		return steer_icmp_error(pipeline, snapshot, pkt, false);
	if (pkt->class == SG_CLASS_FRAGMENT6 &&
		sg_dnat_may_send6(snapshot, sg_pkt_ip6(pkt)->pair.src)) {
		sg_steer_fragment(
			pipeline, pkt, sg_home_of_pair6(pipeline->home, &sg_pkt_ip6(pkt)->pair));
		return true;
	}
	if (pkt->class != SG_CLASS_FLOW6 || !sg_dnat_find6(snapshot, tuple, &sg_pkt_ip6(pkt)->pair,
						    &client, &client_pair, &backend_slot))
		return false;
	steer_home(pipeline, pkt, &client_pair, &client);
	if (!pkt->verdict)
		sg_dnat_answer_without_flow(pipeline, snapshot, pkt, tuple);
	return true;
}

// Without SNAT addresses, outer packets of mode ipip are from an address of the node itself.
static bool steer_tunnel_error(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_pkt *pkt)
{
	return pkt->class == SG_CLASS_ICMP6 && !pipeline->has_snat6 &&
	       sg_tunnel_error_settle(pipeline, snapshot, pkt, false);
}

void sg_steer_ipv6(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, const struct sg_tuple *tuple)
{
	const struct sg_ipv6_hdr *ip = sg_pkt_ip6(pkt);
	const struct sg_icmp_hdr *icmp = (const void *)(pkt->bytes + pkt->l4_offset);
	const struct sg_ndp_hdr *ndp = find_ndp(pkt);
	uint32_t bits;

	if (ndp)
		return steer_ndp(pipeline, snapshot, pkt, ndp);
	bits = sg_snapshot_address6(snapshot, ip->pair.dst);
	if (!(bits & (SG_ADDRESS_VIP | SG_ADDRESS_SNAT))) {
		if (steer_dnat(pipeline, snapshot, pkt, tuple) ||
			steer_tunnel_error(pipeline, snapshot, pkt))
			return;
		return steer_to_kernel(pipeline, snapshot, pkt);
	}
	if (pkt->class == SG_CLASS_ICMP6 &&
		(steer_icmp_error(pipeline, snapshot, pkt, true) ||
			sg_tunnel_error_settle(pipeline, snapshot, pkt, true)))
		return;
	if (!(bits & SG_ADDRESS_VIP) && is_the_kernels_share(pipeline, snapshot, pkt, tuple))
		return steer_to_kernel(pipeline, snapshot, pkt);
	if (pkt->flaw)
		return sg_pkt_drop(pkt, pkt->flaw);
	if (!(pkt->flags & SG_PKT_FROM_KERNEL) && sg_snapshot_address6(snapshot, ip->pair.src))
		return sg_pkt_drop(pkt, SG_DROP_BAD_ADDRESS); // one of ours, from outside

	if (pkt->class == SG_CLASS_FLOW6)
		steer_home(pipeline, pkt, &ip->pair, tuple);
	else if (pkt->class == SG_CLASS_FRAGMENT6)
		sg_steer_fragment(pipeline, pkt, sg_home_of_pair6(pipeline->home, &ip->pair));
	else if (pkt->class != SG_CLASS_ICMP6)
		sg_pkt_drop(pkt, SG_DROP_UNSERVED_PROTOCOL);
	else if (icmp->type == SG_ICMPV6_ECHO && icmp->code == 0)
		sg_answer_echo6(pkt);
	else
		sg_pkt_drop(pkt, SG_DROP_ICMP_UNMATCHED);
}
