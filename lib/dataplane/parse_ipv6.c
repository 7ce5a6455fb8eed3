// parse, IPv6: past extension headers to what can be a flow's, see parse.c.
#include "dataplane/parse.h"

#include <string.h>

#include "net/headers.h"
#include "net/ipv6.h"

// A host's address: not multicast, and none of what begins with 64 zero bits (::, ::1, IPv4's).
static bool is_host(const uint8_t addr[16])
{
	uint64_t prefix;

	memcpy(&prefix, addr, sizeof(prefix));
	return prefix != 0 && addr[0] != 0xff;
}

static enum sg_drop check_icmp(
	const struct sg_pipeline *pipeline, const struct sg_pkt *pkt, uint16_t length)
{
	if (length < sizeof(struct sg_icmp_hdr))
		return SG_DROP_BAD_L4_HEADER;
	if (sg_parse_sum_l4(pipeline, pkt, SG_PROTO_ICMPV6, length) != 0)
		return SG_DROP_BAD_L4_CHECKSUM;
	return SG_DROP_NONE;
}

// Whether a first fragment has all headers (RFC 7112). What may stand behind a fragment header are
// destination options; a second fragment header is nobody's business.
static bool has_all_headers(const struct sg_pkt *pkt, uint32_t at, uint8_t next)
{
	const uint32_t end = sg_pkt_contiguous(pkt, 0);

	while (next == SG_PROTO_DESTINATION && at + 2 <= end) {
		const uint8_t *options = pkt->bytes + at;

		next = options[0];
		at += (options[1] + 1u) * 8;
	}
	return at + (next == SG_PROTO_TCP ? sizeof(struct sg_tcp_hdr) : 8) <= end;
}

// `length` bytes from the fragment header on.
static enum sg_drop check_fragment(const struct sg_pkt *pkt, uint16_t length)
{
	const struct sg_fragment_hdr *header = (const void *)(pkt->bytes + pkt->l4_offset);
	uint16_t word = __builtin_bswap16(header->offset_be);
	unsigned before = pkt->l4_offset - sizeof(struct sg_eth_hdr) - sizeof(struct sg_ipv6_hdr);
	unsigned offset = word & SG_FRAGMENT_OFFSET_MASK;
	unsigned payload = length - sizeof(*header);
	bool more = word & SG_FRAGMENT_MORE;

	if ((payload == 0 && (offset || more)) || (more && payload % 8 != 0) ||
		before + offset + payload > UINT16_MAX)
		return SG_DROP_FRAGMENT_BAD;
	if (offset == 0 && more &&
		!has_all_headers(pkt, pkt->l4_offset + sizeof(*header), header->next))
		return SG_DROP_FRAGMENT_TINY;
	return SG_DROP_NONE;
}

// What is wrong with it as a packet for one of our addresses.
static enum sg_drop find_flaw(const struct sg_pipeline *pipeline, const struct sg_pkt *pkt,
	const struct sg_ipv6_hdr *ip, struct sg_ipv6_payload payload, uint16_t l4_length)
{
	if (!is_host(ip->pair.src) || memcmp(ip->pair.src, ip->pair.dst, 16) == 0)
		return SG_DROP_BAD_ADDRESS;
	if (sg_parse_is_group_mac(pkt->bytes) && is_host(ip->pair.dst))
		return SG_DROP_BAD_ADDRESS;
	switch (payload.way) {
	case SG_IPV6_FRAGMENT:
		return check_fragment(pkt, l4_length);
	case SG_IPV6_TRUNCATED:
		return SG_DROP_TRUNCATED;
	case SG_IPV6_REFUSED:
		return SG_DROP_EXTENSION_HEADERS;
	}
	switch (payload.proto) {
	case SG_PROTO_TCP:
		return sg_parse_check_tcp(pipeline, pkt, l4_length);
	case SG_PROTO_UDP:
		return sg_parse_check_udp(pipeline, pkt, l4_length);
	case SG_PROTO_ICMPV6:
		return check_icmp(pipeline, pkt, l4_length);
	default:
		return SG_DROP_NONE;
	}
}

static void read_tuple(const struct sg_pipeline *pipeline, const struct sg_pkt *pkt, uint8_t proto,
	struct sg_tuple *ret_tuple)
{
	memcpy(&ret_tuple->sport_be, pkt->bytes + pkt->l4_offset, 4);
	ret_tuple->proto = proto;
	ret_tuple->domain = sg_pipeline_domain6(pipeline, pkt->port, sg_pkt_ip6(pkt)->pair.src);
	sg_flow_table_key6(pipeline->flows, &sg_pkt_ip6(pkt)->pair, ret_tuple);
}

void sg_parse_ipv6(
	const struct sg_pipeline *pipeline, struct sg_pkt *pkt, struct sg_tuple *ret_tuple)
{
	const struct sg_ipv6_hdr *ip = sg_pkt_ip6(pkt);
	uint32_t available = pkt->length - sizeof(struct sg_eth_hdr);
	struct sg_ipv6_payload payload;
	uint32_t total;

	if (available < sizeof(*ip))
		return sg_parse_refuse(pkt, SG_DROP_TRUNCATED);
	total = sizeof(*ip) + __builtin_bswap16(ip->payload_length_be);
	// A length of 0 with options is a jumbogram (RFC 2675): no link that we know carries one.
	if ((ip->version_class_label_be & 0xf0) != SG_IPV6_VERSION >> 24 ||
		(total == sizeof(*ip) && ip->next == SG_PROTO_HOP_BY_HOP))
		return sg_parse_refuse(pkt, SG_DROP_BAD_IP_HEADER);
	if (total > available)
		return sg_parse_refuse(pkt, SG_DROP_TRUNCATED);

	pkt->length = sizeof(struct sg_eth_hdr) + total;
	pkt->class = SG_CLASS_IPV6;
	payload = sg_ipv6_find_payload(ip, sg_pkt_contiguous(pkt, sizeof(struct sg_eth_hdr)));
	pkt->l4_offset = (uint8_t)(sizeof(struct sg_eth_hdr) + payload.offset);
	pkt->flaw =
		(uint8_t)find_flaw(pipeline, pkt, ip, payload, (uint16_t)(total - payload.offset));
	if (pkt->flaw)
		return;
	if (payload.way == SG_IPV6_FRAGMENT) {
		pkt->class = SG_CLASS_FRAGMENT6;
	} else if (payload.proto == SG_PROTO_TCP || payload.proto == SG_PROTO_UDP) {
		pkt->class = SG_CLASS_FLOW6;
		read_tuple(pipeline, pkt, payload.proto, ret_tuple);
	} else if (payload.proto == SG_PROTO_ICMPV6) {
		pkt->class = SG_CLASS_ICMP6;
	}
}
