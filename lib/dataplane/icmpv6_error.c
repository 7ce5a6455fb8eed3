// ICMPv6 errors about a flow, see icmpv6_error.h.
#include "dataplane/icmpv6_error.h"

#include <stddef.h>
#include <string.h>

#include "dataplane/encapsulate.h"
#include "dataplane/loss.h"
#include "dataplane/nexthop.h"
#include "dataplane/stateless.h"
#include "net/checksum.h"
#include "net/headers.h"
#include "net/ipv6.h"

#define MIN_L4_QUOTE    8u // at least the ports, and UDP's checksum
#define FRAGMENT_BYTES  8
#define FRAGMENT_OFFSET 0xfff8u // of the 16 bits that are second in a fragment header

// The packet that an error quotes, as far as it is there.
struct quote {
	struct sg_ipv6_hdr *ip;
	uint8_t *l4;
	uint32_t l4_bytes; // of them are quoted
	uint8_t proto;
};

// Only a first fragment has ports; they are behind the fragment header then.
static bool is_first_fragment(const uint8_t *header)
{
	return ((header[2] << 8 | header[3]) & FRAGMENT_OFFSET) == 0;
}

// False: it does not quote a TCP or UDP packet with its ports.
static bool find_quote(const struct sg_pkt *pkt, struct quote *ret_quote)
{
	uint32_t at = pkt->l4_offset + (uint32_t)sizeof(struct sg_icmp_hdr);
	uint32_t available = sg_pkt_contiguous(pkt, at);
	struct sg_ipv6_hdr *ip = (void *)(pkt->bytes + at);
	struct sg_ipv6_payload payload;

	if (available < sizeof(*ip) || (ip->version_class_label_be & 0xf0) != SG_IPV6_VERSION >> 24)
		return false;
	payload = sg_ipv6_find_payload(ip, available);
	if (payload.way == SG_IPV6_FRAGMENT) {
		const uint8_t *header = (const uint8_t *)ip + payload.offset;

		if (!is_first_fragment(header))
			return false;
		payload.proto = header[0];
		payload.offset += FRAGMENT_BYTES;
	} else if (payload.way != SG_IPV6_ARRIVED) {
		return false;
	}
	if ((payload.proto != SG_PROTO_TCP && payload.proto != SG_PROTO_UDP) ||
		available < payload.offset + MIN_L4_QUOTE)
		return false;
	*ret_quote = (struct quote){.ip = ip,
		.l4 = (uint8_t *)ip + payload.offset,
		.l4_bytes = available - payload.offset,
		.proto = payload.proto};
	return true;
}

bool sg_icmpv6_error_read(
	const struct sg_pkt *pkt, struct sg_tuple *ret_tuple, struct sg_pair6 *ret_pair)
{
	const struct sg_icmp_hdr *icmp = (const void *)(pkt->bytes + pkt->l4_offset);
	struct quote quote;

	if (icmp->type < SG_ICMPV6_UNREACHABLE || icmp->type > SG_ICMPV6_PARAMETER ||
		!find_quote(pkt, &quote))
		return false;
	*ret_tuple = (struct sg_tuple){.proto = quote.proto};
	memcpy(&ret_tuple->dport_be, quote.l4, 2);
	memcpy(&ret_tuple->sport_be, quote.l4 + 2, 2);
	*ret_pair = sg_pair6_reversed(&quote.ip->pair);
	return true;
}

// The quoted packet, as we sent it, becomes what its sender had sent. Its checksum may lie behind
// the quote's end.
static void restore_quote(const struct quote *quote, const struct sg_tuple *sent,
	const struct sg_pair6 *sent_pair, uint16_t l4_delta)
{
	size_t at = quote->proto == SG_PROTO_TCP ? offsetof(struct sg_tcp_hdr, checksum)
						 : offsetof(struct sg_udp_hdr, checksum);
	uint16_t *checksum = (void *)(quote->l4 + at);

	quote->ip->pair = *sent_pair;
	memcpy(quote->l4, &sent->sport_be, 4);
	if (at + sizeof(*checksum) <= quote->l4_bytes)
		*checksum = sg_checksum_apply(*checksum, l4_delta);
}

// `pair`: the error's own addresses from here on.
static void finish(
	const struct sg_pipeline *pipeline, struct sg_pkt *pkt, const struct sg_pair6 *pair)
{
	struct sg_icmp_hdr *icmp = (void *)(pkt->bytes + pkt->l4_offset);
	uint16_t length = (uint16_t)(pkt->length - pkt->l4_offset);

	sg_pkt_ip6(pkt)->pair = *pair;
	sg_pkt_ip6(pkt)->hop_limit--;
	icmp->checksum = 0;
	icmp->checksum = sg_checksum_finish(sg_pkt_sum(pipeline, pkt,
		sg_checksum_pseudo6(pair, SG_PROTO_ICMPV6, length), pkt->l4_offset, length));
}

static void forward(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, struct sg_flow *flow, const struct sg_flow_addresses *addresses,
	enum sg_flow_direction direction)
{
	enum sg_flow_direction other = (enum sg_flow_direction)(SG_FLOW_TO_CLIENT - direction);
	// What the receiver of the error had sent.
	const struct sg_pair6 *sent = sg_flow_pair(addresses, other);
	uint16_t sign = (uint16_t)(0u - direction); // all ones negates a delta
	struct sg_pair6 pair = sg_pkt_ip6(pkt)->pair;
	struct quote quote;

	if (direction == SG_FLOW_TO_BACKEND &&
		!sg_snapshot_may_reach6(snapshot, addresses->server.src))
		return sg_pkt_drop(pkt, SG_DROP_BACKEND_OUTSIDE);
	// No error is answered with an error (RFC 4443, 2.4).
	if (sg_pkt_ip6(pkt)->hop_limit <= 1)
		return sg_pkt_drop(pkt, SG_DROP_TTL_EXCEEDED);
	// In one-way modes the backend speaks for the VIP itself: the quote is what it had sent.
	if (!flow->one_way && find_quote(pkt, &quote)) {
		restore_quote(&quote, sg_flow_tuple(flow, other), sent, flow->l4_delta ^ sign);
		pair = sg_pair6_reversed(sent);
	}
	finish(pipeline, pkt, &pair);
	if (flow->mode == SG_FORWARD_IPIP &&
		(!sg_encapsulate_fits(pipeline, snapshot, flow, addresses, pkt) ||
			!sg_encapsulate(pipeline, snapshot, flow, addresses, pkt)))
		return;
	sg_nexthop_apply(pipeline, snapshot, flow, addresses, direction, pkt);
}

void sg_icmpv6_error_forward(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, sg_flow_ref ref)
{
	struct sg_flow *flow = sg_flow_table_get(pipeline->flows, ref);
	enum sg_flow_direction direction = sg_flow_ref_direction(ref);

	forward(pipeline, snapshot, pkt, flow, sg_flow_table_addresses(pipeline->flows, ref),
		direction);
	sg_loss_of_backend(pipeline, flow->backend_slot, direction, pkt);
}

void sg_icmpv6_error_without_flow(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, const struct sg_tuple *client, const struct sg_pair6 *pair,
	enum sg_flow_direction direction)
{
	struct sg_flow_addresses addresses;
	struct sg_flow flow;
	struct quote quote;

	if (!sg_stateless_flow(pipeline, snapshot, client, pair, &flow, &addresses))
		return;
	if (direction == SG_FLOW_TO_CLIENT && find_quote(pkt, &quote) &&
		(memcmp(quote.ip->pair.dst, addresses.server.src, 16) != 0 ||
			memcmp(quote.l4 + 2, &flow.server.sport_be, 2) != 0))
		return;
	forward(pipeline, snapshot, pkt, &flow, &addresses, direction);
	sg_loss_of_backend(pipeline, flow.backend_slot, direction, pkt);
}
