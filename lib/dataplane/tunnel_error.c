// ICMP errors about outer packets, see tunnel_error.h.
#include "dataplane/tunnel_error.h"

#include <string.h>

#include "dataplane/loss.h"
#include "dataplane/nexthop.h"
#include "dataplane/stateless.h"
#include "dataplane/steer.h"
#include "dataplane/tunnel.h"
#include "net/checksum.h"
#include "net/headers.h"
#include "net/ipv6.h"

#define MIN_L4_QUOTE      8u // at least the ports
#define MIN_SHORT_QUOTE   8u // of the packet inside: its length and its DF bit
#define LENGTH_UNIT4      4u // RFC 4884: of the quote's length where more follows the quote
#define LENGTH_UNIT6      8u
#define OUTER_MAX_BYTES   65535u
#define CODE_HOST         1
#define CODE_PROTOCOL     2
#define CODE_SOURCE_ROUTE 5
#define CODE_ADDRESS6     3

// What an error says.
struct error {
	struct sg_icmp_hdr header; // of the client's error, but for the checksum
	uint16_t mtu;              // of the way; 0: it is not about that
	uint16_t outer_bytes;      // in the quote, before the packet inside
	bool names_client;         // `client`, and of IPv6 `pair`, are what the client has sent
	struct sg_addr receiver;   // the outer destination
	struct sg_tuple client;    // of IPv6 no key yet
	struct sg_pair6 pair;
};

static const uint8_t *quote_of(const struct sg_pkt *pkt)
{
	return pkt->bytes + pkt->l4_offset + sizeof(struct sg_icmp_hdr);
}

// Bytes of the quote that lie in one piece.
static uint32_t quoted_bytes(const struct sg_pkt *pkt)
{
	return sg_pkt_contiguous(pkt, pkt->l4_offset + (uint32_t)sizeof(struct sg_icmp_hdr));
}

// --- IPv4 ---

// The error that the client gets. False: this one says nothing of his packet.
static bool translate4(const struct sg_icmp_hdr *icmp, struct error *ret)
{
	ret->header = (struct sg_icmp_hdr){.type = SG_ICMP_UNREACHABLE, .code = CODE_HOST};
	if (icmp->type == SG_ICMP_TIME_EXCEEDED)
		return true;
	if (icmp->type != SG_ICMP_UNREACHABLE || icmp->code == SG_ICMP_CODE_PORT_UNREACHABLE ||
		icmp->code == CODE_SOURCE_ROUTE)
		return false;
	if (icmp->code != CODE_PROTOCOL)
		ret->header.code = icmp->code;
	if (icmp->code == SG_ICMP_CODE_FRAG_NEEDED)
		ret->mtu = (uint16_t)__builtin_bswap32(icmp->rest_be);
	return true;
}

// As we make them: of this address, with DF inside where there is one outside, no longer than it
// says.
static bool is_outer4(const struct sg_pkt *pkt, const struct sg_ipv4_hdr *outer, uint32_t available)
{
	const struct sg_ipv4_hdr *ip = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	const struct sg_ipv4_hdr *inner = outer + 1;

	return available >= sizeof(*outer) + MIN_SHORT_QUOTE && outer->version_ihl == 0x45 &&
	       outer->proto == SG_PROTO_IPIP && outer->src_be == ip->dst_be &&
	       !(outer->fragment_be & __builtin_bswap16(SG_IPV4_OFFSET_MASK)) &&
	       inner->version_ihl >> 4 == 4 &&
	       (outer->fragment_be & __builtin_bswap16(SG_IPV4_DF)) ==
		       (inner->fragment_be & __builtin_bswap16(SG_IPV4_DF));
}

static bool is_mtu4(const struct sg_ipv4_hdr *outer, uint16_t mtu)
{
	const struct sg_ipv4_hdr *inner = outer + 1;
	uint16_t length = __builtin_bswap16(outer->total_length_be);

	return mtu >= SG_TUNNEL_LEAST_MTU4 && mtu < length &&
	       outer->fragment_be & __builtin_bswap16(SG_IPV4_DF) &&
	       __builtin_bswap16(inner->total_length_be) + sizeof(*outer) == length;
}

static bool read_client4(const struct sg_ipv4_hdr *inner, uint32_t available, struct error *ret)
{
	unsigned header;

	if (available < sizeof(*inner))
		return false;
	header = (inner->version_ihl & 15) * 4u;
	if (header < sizeof(*inner) || available < header + MIN_L4_QUOTE ||
		(inner->fragment_be & __builtin_bswap16(SG_IPV4_OFFSET_MASK)) != 0 ||
		(inner->proto != SG_PROTO_TCP && inner->proto != SG_PROTO_UDP))
		return false;
	ret->client.proto = inner->proto;
	memcpy(&ret->client.src_be, &inner->src_be, 8);
	memcpy(&ret->client.sport_be, (const uint8_t *)inner + header, 4);
	return true;
}

static bool read4(const struct sg_pkt *pkt, struct error *ret)
{
	const struct sg_ipv4_hdr *outer = (const void *)quote_of(pkt);
	uint32_t available = quoted_bytes(pkt);

	if (!is_outer4(pkt, outer, available) ||
		!translate4((const void *)(pkt->bytes + pkt->l4_offset), ret))
		return false;
	if (ret->header.code == SG_ICMP_CODE_FRAG_NEEDED) {
		if (!is_mtu4(outer, ret->mtu))
			return false;
		ret->header.rest_be = __builtin_bswap32(ret->mtu - (uint32_t)sizeof(*outer));
	}
	ret->outer_bytes = sizeof(*outer);
	ret->receiver = sg_addr_from_ipv4(outer->dst_be);
	ret->names_client = read_client4(outer + 1, available - (uint32_t)sizeof(*outer), ret);
	return true;
}

// --- IPv6 ---

static bool translate6(const struct sg_icmp_hdr *icmp, struct error *ret)
{
	uint32_t mtu = __builtin_bswap32(icmp->rest_be);

	ret->header = (struct sg_icmp_hdr){.type = SG_ICMPV6_UNREACHABLE, .code = CODE_ADDRESS6};
	if (icmp->type == SG_ICMPV6_UNREACHABLE || icmp->type == SG_ICMPV6_TIME_EXCEEDED)
		return true;
	if (icmp->type != SG_ICMPV6_TOO_BIG || mtu < SG_TUNNEL_LEAST_MTU6 || mtu > OUTER_MAX_BYTES)
		return false;
	ret->mtu = (uint16_t)mtu;
	ret->header.type = SG_ICMPV6_TOO_BIG;
	ret->header.code = 0;
	mtu = mtu < SG_IPV6_MIN_MTU + sizeof(struct sg_ipv6_hdr) // RFC 2473, 7.1
		      ? SG_IPV6_MIN_MTU
		      : mtu - (uint32_t)sizeof(struct sg_ipv6_hdr);
	ret->header.rest_be = __builtin_bswap32(mtu);
	return true;
}

// Of this address, and the whole of the packet inside behind it, or its first fragment.
static bool is_outer6(const struct sg_pkt *pkt, const struct sg_ipv6_hdr *outer, uint32_t available,
	struct error *ret)
{
	struct sg_ipv6_payload payload;

	if (available < sizeof(*outer) ||
		(outer->version_class_label_be & 0xf0) != SG_IPV6_VERSION >> 24 ||
		memcmp(outer->pair.src, sg_pkt_ip6(pkt)->pair.dst, 16) != 0)
		return false;
	payload = sg_ipv6_find_payload(outer, available);
	if (payload.way == SG_IPV6_FRAGMENT) {
		const struct sg_fragment_hdr *header =
			(const void *)((const uint8_t *)outer + payload.offset);

		if (header->offset_be & __builtin_bswap16(SG_FRAGMENT_OFFSET_MASK))
			return false;
		payload.proto = header->next;
		payload.offset = (uint16_t)(payload.offset + sizeof(*header));
	} else if (payload.way != SG_IPV6_ARRIVED) {
		return false;
	}
	ret->outer_bytes = payload.offset;
	return payload.proto == SG_PROTO_IPV6;
}

static bool read_client6(const struct sg_ipv6_hdr *inner, uint32_t available, struct error *ret)
{
	struct sg_ipv6_payload payload;

	if (available < sizeof(*inner) ||
		(inner->version_class_label_be & 0xf0) != SG_IPV6_VERSION >> 24)
		return false;
	payload = sg_ipv6_find_payload(inner, available);
	if (payload.way != SG_IPV6_ARRIVED || available < payload.offset + MIN_L4_QUOTE ||
		(payload.proto != SG_PROTO_TCP && payload.proto != SG_PROTO_UDP))
		return false;
	ret->client.proto = payload.proto;
	memcpy(&ret->client.sport_be, (const uint8_t *)inner + payload.offset, 4);
	ret->pair = inner->pair;
	return true;
}

static bool read6(const struct sg_pkt *pkt, struct error *ret)
{
	const struct sg_ipv6_hdr *outer = (const void *)quote_of(pkt);
	uint32_t available = quoted_bytes(pkt);

	if (!is_outer6(pkt, outer, available, ret) ||
		!translate6((const void *)(pkt->bytes + pkt->l4_offset), ret) ||
		(ret->mtu && ret->mtu >= __builtin_bswap16(outer->payload_length_be) +
						 (uint32_t)sizeof(*outer)))
		return false;
	ret->receiver = sg_addr_from_ipv6(outer->pair.dst);
	ret->names_client = read_client6((const void *)((const uint8_t *)outer + ret->outer_bytes),
		available - ret->outer_bytes, ret);
	return true;
}

// --- both ---

// Tells control, unless it is known already. Forged quotes cost control a little time each.
static void note_mtu(struct sg_pipeline *pipeline, const struct error *error)
{
	if (error->mtu && sg_limiter_take(&pipeline->tunnel_notes))
		sg_wishes_put(pipeline->wishes,
			(struct sg_wish){.addr = error->receiver, .mtu = error->mtu});
}

// The port that the client came in on is not known: its domain may be any.
static uint8_t domain_of(const struct sg_pipeline *pipeline, unsigned i)
{
	return i == 0 ? 0 : pipeline->domains[pipeline->vlans[i - 1].port];
}

static sg_flow_ref find_in_domain(const struct sg_pipeline *pipeline, const struct sg_pkt *pkt,
	struct error *error, uint8_t domain)
{
	sg_flow_ref ref;
	uint64_t hash;

	error->client.domain = domain;
	if (sg_pkt_is_ipv6(pkt))
		sg_flow_table_key6(pipeline->flows, &error->pair, &error->client);
	sg_flow_table_hash(pipeline->flows, &error->client, 1, &hash);
	ref = sg_flow_table_find(pipeline->flows, &error->client, hash);
	if (ref && sg_pkt_is_ipv6(pkt) &&
		!sg_pair6_equal(
			&sg_flow_table_addresses(pipeline->flows, ref)->client, &error->pair))
		return 0;
	return ref;
}

static sg_flow_ref find_flow(
	const struct sg_pipeline *pipeline, const struct sg_pkt *pkt, struct error *error)
{
	sg_flow_ref ref = 0;

	for (unsigned i = 0; i <= pipeline->n_vlans && !ref; i++)
		ref = find_in_domain(pipeline, pkt, error, domain_of(pipeline, i));
	return ref;
}

// Where the quote has been padded and more follows it (RFC 4884), that is cut off: it would follow
// too soon now.
static void cut_behind_quote(struct sg_pkt *pkt)
{
	const uint8_t *icmp = pkt->bytes + pkt->l4_offset;
	uint32_t quote = sg_pkt_is_ipv6(pkt) ? icmp[4] * LENGTH_UNIT6 : icmp[5] * LENGTH_UNIT4;
	uint32_t end = pkt->l4_offset + (uint32_t)sizeof(struct sg_icmp_hdr) + quote;

	if (quote == 0 || end >= pkt->length)
		return;
	pkt->length = end;
	if (pkt->contiguous > end)
		pkt->contiguous = (uint16_t)end;
}

// The headers move up to the packet inside.
static void cut_outer(struct sg_pkt *pkt, uint16_t outer_bytes)
{
	memmove(pkt->bytes + outer_bytes, pkt->bytes, pkt->l4_offset + sizeof(struct sg_icmp_hdr));
	pkt->bytes += outer_bytes;
	pkt->length -= outer_bytes;
	pkt->head = (uint16_t)(pkt->head + outer_bytes);
	pkt->room = (uint16_t)(pkt->room - outer_bytes);
	if (pkt->contiguous)
		pkt->contiguous = (uint16_t)(pkt->contiguous - outer_bytes);
}

static void finish4(
	const struct sg_pipeline *pipeline, struct sg_pkt *pkt, const struct error *error)
{
	struct sg_ipv4_hdr *ip = (void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	struct sg_icmp_hdr *icmp = (void *)(pkt->bytes + pkt->l4_offset);

	icmp->checksum = sg_checksum_finish(
		sg_pkt_sum(pipeline, pkt, 0, pkt->l4_offset, pkt->length - pkt->l4_offset));
	ip->total_length_be =
		__builtin_bswap16((uint16_t)(pkt->length - sizeof(struct sg_eth_hdr)));
	ip->src_be = error->client.dst_be;
	ip->dst_be = error->client.src_be;
	ip->ttl--;
	ip->checksum = 0;
	ip->checksum = sg_checksum_finish(sg_checksum_add(0, ip, (ip->version_ihl & 15) * 4u));
}

static void finish6(
	const struct sg_pipeline *pipeline, struct sg_pkt *pkt, const struct error *error)
{
	struct sg_ipv6_hdr *ip = sg_pkt_ip6(pkt);
	struct sg_icmp_hdr *icmp = (void *)(pkt->bytes + pkt->l4_offset);
	uint16_t length = (uint16_t)(pkt->length - pkt->l4_offset);

	ip->payload_length_be = __builtin_bswap16(
		(uint16_t)(pkt->length - sizeof(struct sg_eth_hdr) - sizeof(*ip)));
	ip->pair = sg_pair6_reversed(&error->pair);
	ip->hop_limit--;
	icmp->checksum = sg_checksum_finish(sg_pkt_sum(pipeline, pkt,
		sg_checksum_pseudo6(&ip->pair, SG_PROTO_ICMPV6, length), pkt->l4_offset, length));
}

// To the client; `flow` and `addresses` say the way to him.
static void carry(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, const struct error *error, struct sg_flow *flow,
	const struct sg_flow_addresses *addresses)
{
	const struct sg_ipv4_hdr *ip = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));

	note_mtu(pipeline, error);
	// No error is answered with an error (RFC 1122 3.2.2; RFC 4443, 2.4).
	if ((sg_pkt_is_ipv6(pkt) ? sg_pkt_ip6(pkt)->hop_limit : ip->ttl) <= 1)
		return sg_pkt_drop(pkt, SG_DROP_TTL_EXCEEDED);
	if (!sg_limiter_take(&pipeline->answers))
		return sg_pkt_drop(pkt, SG_DROP_ANSWER_LIMIT);
	cut_behind_quote(pkt);
	cut_outer(pkt, error->outer_bytes);
	*(struct sg_icmp_hdr *)(pkt->bytes + pkt->l4_offset) = error->header;
	if (addresses)
		finish6(pipeline, pkt, error);
	else
		finish4(pipeline, pkt, error);
	sg_nexthop_apply(pipeline, snapshot, flow, addresses, SG_FLOW_TO_CLIENT, pkt);
}

static bool is_receiver(
	const struct sg_snapshot *snapshot, uint32_t backend_slot, const struct error *error)
{
	return sg_addr_equal(&sg_snapshot_backend(snapshot, backend_slot)->addr, &error->receiver);
}

static bool carry_of_flow(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, struct error *error)
{
	sg_flow_ref ref = find_flow(pipeline, pkt, error);
	struct sg_flow *flow = sg_flow_table_get(pipeline->flows, ref);

	if (!ref || flow->mode != SG_FORWARD_IPIP ||
		!is_receiver(snapshot, flow->backend_slot, error))
		return false;
	carry(pipeline, snapshot, pkt, error, flow,
		sg_pkt_is_ipv6(pkt) ? sg_flow_table_addresses(pipeline->flows, ref) : NULL);
	sg_loss_of_backend(pipeline, flow->backend_slot, SG_FLOW_TO_CLIENT, pkt);
	return true;
}

// Of a flow that nobody need know.
static bool carry_without_flow(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, struct error *error)
{
	const struct sg_pair6 *pair = sg_pkt_is_ipv6(pkt) ? &error->pair : NULL;
	struct sg_flow_addresses addresses;
	struct sg_flow flow;

	for (unsigned i = 0; i <= pipeline->n_vlans; i++) {
		error->client.domain = domain_of(pipeline, i);
		if (!sg_stateless_flow(
			    pipeline, snapshot, &error->client, pair, &flow, &addresses) ||
			flow.mode != SG_FORWARD_IPIP ||
			!is_receiver(snapshot, flow.backend_slot, error))
			continue;
		carry(pipeline, snapshot, pkt, error, &flow, pair ? &addresses : NULL);
		sg_loss_of_backend(pipeline, flow.backend_slot, SG_FLOW_TO_CLIENT, pkt);
		return true;
	}
	return false;
}

// Whether the quoted packet was for one of our services: if not, the node itself has sent it.
static bool is_to_vip(
	const struct sg_snapshot *snapshot, const struct sg_pkt *pkt, const struct error *error)
{
	uint32_t bits = sg_pkt_is_ipv6(pkt) ? sg_snapshot_address6(snapshot, error->pair.dst)
					    : sg_snapshot_address4(snapshot, error->client.dst_be);

	return bits & SG_ADDRESS_VIP;
}

static unsigned home_of(
	const struct sg_pipeline *pipeline, const struct sg_pkt *pkt, const struct error *error)
{
	return sg_pkt_is_ipv6(pkt) ? sg_home_of_tuple6(pipeline->home, &error->pair, &error->client)
				   : sg_home_of_tuple4(pipeline->home, &error->client);
}

// Whether it is to an address that outer packets are from where there is no SNAT address.
static bool is_to_port(const struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_pkt *pkt)
{
	const struct sg_routes *routes = snapshot->routes;
	const struct sg_ipv4_hdr *ip = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));

	for (unsigned i = 0; i < pipeline->n_ports; i++) {
		if (sg_pkt_is_ipv6(pkt)
				? memcmp(routes->port_addr6[i], sg_pkt_ip6(pkt)->pair.dst, 16) == 0
				: routes->port_addr4_be[i] == ip->dst_be)
			return true;
	}
	return false;
}

bool sg_tunnel_error_settle(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, bool for_us)
{
	struct error error = {0};

	if (!(sg_pkt_is_ipv6(pkt) ? read6(pkt, &error) : read4(pkt, &error)) ||
		(!for_us && !is_to_port(pipeline, snapshot, pkt)))
		return false;
	if (!error.names_client) {
		note_mtu(pipeline, &error);
		// The node's own tunnels may want to hear of it, too.
		if (error.mtu && for_us)
			pkt->verdict = SG_VERDICT_CONSUME;
		return pkt->verdict != SG_VERDICT_NONE;
	}
	if (!is_to_vip(snapshot, pkt, &error))
		return false;
	if (carry_of_flow(pipeline, snapshot, pkt, &error))
		return true;
	if (!sg_steer_is_settled_here(pipeline, pkt))
		sg_steer_hand_over(pipeline, pkt, home_of(pipeline, pkt, &error));
	return pkt->verdict != SG_VERDICT_NONE ||
	       carry_without_flow(pipeline, snapshot, pkt, &error);
}
