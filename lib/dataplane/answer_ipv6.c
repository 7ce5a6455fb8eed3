// Answers over IPv6, see answer_ipv6.h.
#include "dataplane/answer_ipv6.h"

#include <string.h>

#include "dataplane/answer.h"
#include "net/checksum.h"
#include "net/headers.h"

#define ANSWER_HOP_LIMIT 64
#define ERROR_CLASS      0x0c000000u // traffic class 0xc0: network control, as IPv4's errors

static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};

// A header, without extension headers, over what already lies behind it.
static void write_ip(struct sg_pkt *pkt, const struct sg_pair6 *pair, uint32_t traffic_class,
	uint8_t next, uint16_t payload_length, uint8_t hop_limit)
{
	*sg_pkt_ip6(pkt) = (struct sg_ipv6_hdr){
		.version_class_label_be = __builtin_bswap32(SG_IPV6_VERSION | traffic_class),
		.payload_length_be = __builtin_bswap16(payload_length),
		.next = next,
		.hop_limit = hop_limit,
		.pair = *pair};
	pkt->l4_offset = sizeof(struct sg_eth_hdr) + sizeof(struct sg_ipv6_hdr);
	pkt->length = pkt->l4_offset + payload_length;
}

// Fills the checksum of an ICMPv6 message that is all of the packet's payload.
static void finish_icmp(const struct sg_pipeline *pipeline, struct sg_pkt *pkt)
{
	struct sg_icmp_hdr *icmp = (void *)(pkt->bytes + pkt->l4_offset);
	uint16_t length = (uint16_t)(pkt->length - pkt->l4_offset);
	uint64_t pseudo = sg_checksum_pseudo6(&sg_pkt_ip6(pkt)->pair, SG_PROTO_ICMPV6, length);

	icmp->checksum = 0;
	icmp->checksum =
		sg_checksum_finish(sg_pkt_sum(pipeline, pkt, pseudo, pkt->l4_offset, length));
}

void sg_answer_solicitation(struct sg_pipeline *pipeline, struct sg_pkt *pkt)
{
	static const uint8_t nobody[16];
	const struct sg_pair6 asked = sg_pkt_ip6(pkt)->pair;
	struct sg_eth_hdr *eth = (void *)pkt->bytes;
	struct sg_ndp_hdr *ndp = (void *)(sg_pkt_ip6(pkt) + 1);
	bool to_all = memcmp(asked.src, nobody, 16) == 0;
	struct sg_pair6 pair;

	if (sizeof(*eth) + sizeof(struct sg_ipv6_hdr) + sizeof(*ndp) > pkt->room)
		return sg_pkt_drop(pkt, SG_DROP_NO_BUFFER);
	memcpy(pair.src, ndp->target, 16);
	memcpy(pair.dst, to_all ? all_nodes : asked.src, 16);
	ndp->icmp = (struct sg_icmp_hdr){.type = SG_NDP_ADVERTISE,
		.rest_be = __builtin_bswap32(SG_NDP_OVERRIDE | (to_all ? 0 : SG_NDP_SOLICITED))};
	ndp->option = SG_NDP_OPTION_TARGET;
	ndp->option_length = 1;
	memcpy(ndp->mac, pipeline->ports[pkt->port].mac, 6);
	write_ip(pkt, &pair, 0, SG_PROTO_ICMPV6, sizeof(*ndp), SG_NDP_HOP_LIMIT);
	finish_icmp(pipeline, pkt);
	memcpy(eth->dst, to_all ? all_nodes_mac : eth->src, 6);
	memcpy(eth->src, pipeline->ports[pkt->port].mac, 6);
	pkt->verdict = SG_VERDICT_ANSWER;
}

// The headers move up to what they carry.
static void cut_extensions(struct sg_pkt *pkt)
{
	const uint16_t kept = sizeof(struct sg_eth_hdr) + sizeof(struct sg_ipv6_hdr);
	uint16_t n = (uint16_t)(pkt->l4_offset - kept);

	if (n == 0)
		return;
	memmove(pkt->bytes + n, pkt->bytes, kept);
	pkt->bytes += n;
	pkt->length -= n;
	pkt->head = (uint16_t)(pkt->head + n);
	pkt->room = (uint16_t)(pkt->room - n);
	if (pkt->contiguous)
		pkt->contiguous = (uint16_t)(pkt->contiguous - n);
	pkt->l4_offset = (uint8_t)kept;
}

void sg_answer_echo6(struct sg_pkt *pkt)
{
	const struct sg_pair6 pair = sg_pair6_reversed(&sg_pkt_ip6(pkt)->pair);
	struct sg_icmp_hdr *icmp = (void *)(pkt->bytes + pkt->l4_offset);
	uint16_t length = (uint16_t)(pkt->length - pkt->l4_offset);

	// Type and code are the first word; in memory order the type is its low byte. Addresses
	// that change places add the same.
	icmp->checksum = sg_checksum_apply(
		icmp->checksum, sg_checksum_delta32(SG_ICMPV6_ECHO, SG_ICMPV6_ECHO_REPLY));
	icmp->type = SG_ICMPV6_ECHO_REPLY;
	cut_extensions(pkt);
	write_ip(pkt, &pair, 0, SG_PROTO_ICMPV6, length, ANSWER_HOP_LIMIT);
	sg_answer_turn_round(pkt);
}

void sg_answer_icmpv6_error(struct sg_pipeline *pipeline, struct sg_pkt *pkt,
	const struct sg_icmp_hdr *header, const uint8_t src[16], enum sg_drop over_limit)
{
	struct sg_ipv6_hdr *ip = sg_pkt_ip6(pkt);
	struct sg_icmp_hdr *icmp = (void *)(ip + 1);
	const uint32_t most = SG_IPV6_MIN_MTU - sizeof(*ip) - sizeof(*icmp);
	uint32_t quoted = sg_pkt_contiguous(pkt, sizeof(struct sg_eth_hdr));
	uint32_t room =
		pkt->room - (uint32_t)(sizeof(struct sg_eth_hdr) + sizeof(*ip) + sizeof(*icmp));
	struct sg_pair6 pair;

	if (quoted > most)
		quoted = most;
	if (quoted > room)
		quoted = room;
	if (!sg_limiter_take(&pipeline->answers))
		return sg_pkt_drop(pkt, over_limit);

	memcpy(pair.src, src, 16);
	memcpy(pair.dst, ip->pair.src, 16);
	memmove(icmp + 1, ip, quoted);
	*icmp = *header;
	write_ip(pkt, &pair, ERROR_CLASS, SG_PROTO_ICMPV6, (uint16_t)(sizeof(*icmp) + quoted),
		ANSWER_HOP_LIMIT);
	if (pkt->contiguous)
		pkt->contiguous = (uint16_t)pkt->length;
	finish_icmp(pipeline, pkt);
	sg_answer_turn_round(pkt);
}

void sg_answer_tcp6(struct sg_pkt *pkt, const struct sg_tcp_hdr *tcp, bool onwards)
{
	struct sg_ipv6_hdr *ip = sg_pkt_ip6(pkt);
	struct sg_tcp_hdr *answer = (void *)(ip + 1);
	const struct sg_pair6 pair = onwards ? ip->pair : sg_pair6_reversed(&ip->pair);

	*answer = *tcp;
	answer->checksum = 0;
	answer->checksum = sg_checksum_finish(sg_checksum_add(
		sg_checksum_pseudo6(&pair, SG_PROTO_TCP, sizeof(*tcp)), answer, sizeof(*tcp)));
	write_ip(pkt, &pair, 0, SG_PROTO_TCP, sizeof(*tcp),
		onwards ? ip->hop_limit : ANSWER_HOP_LIMIT);
	if (!onwards)
		sg_answer_turn_round(pkt);
}
