// Answers in our own name, see answer.h.
#include "dataplane/answer.h"

#include <string.h>

#include "dataplane/answer_ipv6.h"
#include "dataplane/source.h"
#include "net/checksum.h"
#include "net/headers.h"

#define ANSWER_TTL 64

// Back to the station that sent it, from the port that it came in on.
void sg_answer_turn_round(struct sg_pkt *pkt)
{
	struct sg_eth_hdr *eth = (void *)pkt->bytes;
	uint8_t mac[6];

	memcpy(mac, eth->dst, 6);
	memcpy(eth->dst, eth->src, 6);
	memcpy(eth->src, mac, 6);
	pkt->verdict = SG_VERDICT_ANSWER;
}

static void finish_ipv4(struct sg_pkt *pkt, struct sg_ipv4_hdr *ip, uint16_t total_length)
{
	ip->total_length_be = __builtin_bswap16(total_length);
	ip->ttl = ANSWER_TTL;
	ip->checksum = 0;
	ip->checksum = sg_checksum_finish(sg_checksum_add(0, ip, (ip->version_ihl & 15) * 4u));
	pkt->length = sizeof(struct sg_eth_hdr) + total_length;
	sg_answer_turn_round(pkt);
}

void sg_answer_arp(struct sg_pipeline *pipeline, struct sg_pkt *pkt)
{
	struct sg_eth_hdr *eth = (void *)pkt->bytes;
	struct sg_arp_hdr *arp = (void *)(pkt->bytes + sizeof(*eth));
	const uint8_t *mac = pipeline->ports[pkt->port].mac;
	uint32_t asked_be = arp->target_be;

	memcpy(arp->target_mac, arp->sender_mac, 6);
	arp->target_be = arp->sender_be;
	memcpy(arp->sender_mac, mac, 6);
	arp->sender_be = asked_be;
	arp->operation_be = __builtin_bswap16(SG_ARP_REPLY);
	memcpy(eth->dst, eth->src, 6);
	memcpy(eth->src, mac, 6);
	pkt->verdict = SG_VERDICT_ANSWER;
}

void sg_answer_echo(struct sg_pkt *pkt)
{
	struct sg_ipv4_hdr *ip = (void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	struct sg_icmp_hdr *icmp = (void *)(pkt->bytes + pkt->l4_offset);
	uint32_t asker_be = ip->src_be;

	ip->src_be = ip->dst_be;
	ip->dst_be = asker_be;
	icmp->type = SG_ICMP_ECHO_REPLY;
	// Type and code are the first word; in memory order the type is its low byte.
	icmp->checksum = sg_checksum_apply(
		icmp->checksum, sg_checksum_delta32(SG_ICMP_ECHO, SG_ICMP_ECHO_REPLY));
	finish_ipv4(pkt, ip, __builtin_bswap16(ip->total_length_be));
}

static void answer_icmp(struct sg_pipeline *pipeline, struct sg_pkt *pkt,
	const struct sg_icmp_hdr *header, uint32_t src_be, enum sg_drop over_limit)
{
	struct sg_ipv4_hdr *ip = (void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	struct sg_icmp_hdr *icmp = (void *)(ip + 1);
	uint8_t *quote = (uint8_t *)(icmp + 1);
	unsigned quoted = (ip->version_ihl & 15) * 4u + 8; // RFC 792: the header and 64 bits
	unsigned available = pkt->length - sizeof(struct sg_eth_hdr);
	uint32_t dst_be = ip->src_be;

	if (quoted > available)
		quoted = available;
	if (sizeof(struct sg_eth_hdr) + sizeof(*ip) + sizeof(*icmp) + quoted > pkt->room ||
		!sg_limiter_take(&pipeline->answers))
		return sg_pkt_drop(pkt, over_limit);

	memmove(quote, ip, quoted);
	*icmp = *header;
	icmp->checksum = sg_checksum_finish(sg_checksum_add(0, icmp, sizeof(*icmp) + quoted));
	*ip = (struct sg_ipv4_hdr){.version_ihl = 0x45,
		.tos = 0xc0,
		.proto = SG_PROTO_ICMP,
		.src_be = src_be,
		.dst_be = dst_be};
	finish_ipv4(pkt, ip, (uint16_t)(sizeof(*ip) + sizeof(*icmp) + quoted));
}

void sg_answer_icmp_error(struct sg_pipeline *pipeline, struct sg_pkt *pkt, uint8_t type,
	uint8_t code, uint32_t src_be, enum sg_drop over_limit)
{
	answer_icmp(pipeline, pkt, &(struct sg_icmp_hdr){.type = type, .code = code}, src_be,
		over_limit);
}

// Bytes of sequence space that the segment takes.
static uint32_t sequence_length(const struct sg_pkt *pkt, const struct sg_tcp_hdr *tcp)
{
	uint32_t payload = pkt->length - pkt->l4_offset - (tcp->offset >> 4) * 4u;

	return payload + !!(tcp->flags & SG_TCP_SYN) + !!(tcp->flags & SG_TCP_FIN);
}

// RFC 9293 3.10.7.1: where there is no acknowledgement to take the number from, it is zero and
// acknowledges.
static struct sg_tcp_hdr reset_of(const struct sg_pkt *pkt)
{
	const struct sg_tcp_hdr *tcp = (const void *)(pkt->bytes + pkt->l4_offset);
	uint32_t behind = __builtin_bswap32(tcp->seq_be) + sequence_length(pkt, tcp);
	struct sg_tcp_hdr reset = {.sport_be = tcp->dport_be,
		.dport_be = tcp->sport_be,
		.offset = 5 << 4,
		.flags = SG_TCP_RST};

	if (tcp->flags & SG_TCP_ACK) {
		reset.seq_be = tcp->ack_be;
	} else {
		reset.ack_be = __builtin_bswap32(behind);
		reset.flags |= SG_TCP_ACK;
	}
	return reset;
}

void sg_answer_reset(struct sg_pipeline *pipeline, struct sg_pkt *pkt, enum sg_drop drop,
	enum sg_drop over_limit)
{
	struct sg_ipv4_hdr *ip = (void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	struct sg_tcp_hdr *tcp = (void *)(pkt->bytes + pkt->l4_offset);
	const struct sg_tcp_hdr reset = reset_of(pkt);
	uint32_t asker_be = ip->src_be;

	if (tcp->flags & SG_TCP_RST)
		return sg_pkt_drop(pkt, drop);
	if (!sg_limiter_take(&pipeline->answers))
		return sg_pkt_drop(pkt, over_limit);
	if (sg_pkt_is_ipv6(pkt))
		return sg_answer_tcp6(pkt, &reset, false);
	*tcp = reset;
	ip->src_be = ip->dst_be;
	ip->dst_be = asker_be;
	tcp->checksum = sg_checksum_finish(sg_checksum_add(
		sg_checksum_pseudo4(ip->src_be, ip->dst_be, SG_PROTO_TCP, sizeof(*tcp)), tcp,
		sizeof(*tcp)));
	finish_ipv4(pkt, ip, (uint16_t)((ip->version_ihl & 15) * 4u + sizeof(*tcp)));
}

void sg_become_reset(struct sg_pkt *pkt)
{
	struct sg_ipv4_hdr *ip = (void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	struct sg_tcp_hdr *tcp = (void *)(pkt->bytes + pkt->l4_offset);
	unsigned ip_bytes = (ip->version_ihl & 15) * 4u;
	const struct sg_tcp_hdr reset = {.sport_be = tcp->sport_be,
		.dport_be = tcp->dport_be,
		.seq_be = tcp->seq_be,
		.ack_be = tcp->ack_be,
		.offset = 5 << 4,
		.flags = SG_TCP_RST | (tcp->flags & SG_TCP_ACK)};

	if (sg_pkt_is_ipv6(pkt))
		return sg_answer_tcp6(pkt, &reset, true);
	*tcp = reset;
	tcp->checksum = sg_checksum_finish(sg_checksum_add(
		sg_checksum_pseudo4(ip->src_be, ip->dst_be, SG_PROTO_TCP, sizeof(*tcp)), tcp,
		sizeof(*tcp)));
	ip->total_length_be = __builtin_bswap16((uint16_t)(ip_bytes + sizeof(*tcp)));
	ip->checksum = 0;
	ip->checksum = sg_checksum_finish(sg_checksum_add(0, ip, ip_bytes));
	pkt->length = pkt->l4_offset + sizeof(*tcp);
}

// Without an address of our own on this port, the address that was spoken to answers.
static uint32_t own_address(const struct sg_snapshot *snapshot, const struct sg_pkt *pkt)
{
	const struct sg_ipv4_hdr *ip = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	uint32_t ours_be = snapshot->routes->port_addr4_be[pkt->port];

	return ours_be ? ours_be : ip->dst_be;
}

static const uint8_t *own_address6(const struct sg_snapshot *snapshot, const struct sg_pkt *pkt)
{
	static const uint8_t none[16];
	const uint8_t *ours = snapshot->routes->port_addr6[pkt->port];

	return memcmp(ours, none, 16) != 0 ? ours : sg_pkt_ip6(pkt)->pair.dst;
}

static void answer_too_big6(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, uint16_t mtu)
{
	const struct sg_icmp_hdr header = {
		.type = SG_ICMPV6_TOO_BIG, .rest_be = __builtin_bswap32(mtu)};

	if (pkt->class == SG_CLASS_ICMP6)
		return sg_pkt_drop(pkt, SG_DROP_TOO_BIG);
	sg_answer_icmpv6_error(
		pipeline, pkt, &header, own_address6(snapshot, pkt), SG_DROP_TOO_BIG);
}

void sg_answer_too_big(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, uint16_t mtu)
{
	const struct sg_ipv4_hdr *ip = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	const struct sg_icmp_hdr header = {.type = SG_ICMP_UNREACHABLE,
		.code = SG_ICMP_CODE_FRAG_NEEDED,
		.rest_be = __builtin_bswap32(mtu)};

	if (sg_pkt_is_ipv6(pkt))
		return answer_too_big6(pipeline, snapshot, pkt, mtu);
	if (ip->proto == SG_PROTO_ICMP || !(ip->fragment_be & __builtin_bswap16(SG_IPV4_DF)))
		return sg_pkt_drop(pkt, SG_DROP_TOO_BIG);
	answer_icmp(pipeline, pkt, &header, own_address(snapshot, pkt), SG_DROP_TOO_BIG);
}

void sg_answer_ttl(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_pkt *pkt)
{
	const struct sg_icmp_hdr header6 = {.type = SG_ICMPV6_TIME_EXCEEDED};

	if (sg_pkt_is_ipv6(pkt))
		return sg_answer_icmpv6_error(
			pipeline, pkt, &header6, own_address6(snapshot, pkt), SG_DROP_TTL_EXCEEDED);
	sg_answer_icmp_error(pipeline, pkt, SG_ICMP_TIME_EXCEEDED, 0, own_address(snapshot, pkt),
		SG_DROP_TTL_EXCEEDED);
}

// SG_ADDRESS_ bits of where it is sent to.
static uint32_t find_address(const struct sg_snapshot *snapshot, const struct sg_pkt *pkt)
{
	const struct sg_ipv4_hdr *ip = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));

	return sg_pkt_is_ipv6(pkt) ? sg_snapshot_address6(snapshot, sg_pkt_ip6(pkt)->pair.dst)
				   : sg_snapshot_address4(snapshot, ip->dst_be);
}

// Of a first fragment: what it may be answered about.
static bool is_served(const struct sg_pkt *pkt)
{
	const struct sg_ipv4_hdr *ip = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	const uint8_t *l4 = pkt->bytes + pkt->l4_offset;
	uint8_t proto = ip->proto;

	if (sg_pkt_is_ipv6(pkt)) {
		proto = ((const struct sg_fragment_hdr *)l4)->next;
		l4 += sizeof(struct sg_fragment_hdr);
		if (proto == SG_PROTO_ICMPV6)
			return *l4 == SG_ICMPV6_ECHO;
	} else if (proto == SG_PROTO_ICMP) {
		return *l4 == SG_ICMP_ECHO;
	}
	return proto == SG_PROTO_TCP || proto == SG_PROTO_UDP;
}

void sg_answer_late_fragment(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_pkt *pkt)
{
	const struct sg_icmp_hdr header6 = {
		.type = SG_ICMPV6_TIME_EXCEEDED, .code = SG_ICMP_CODE_FRAGMENTS};
	const struct sg_ipv4_hdr *ip = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	uint32_t address = find_address(snapshot, pkt);
	// Not so what a dnat service's backend sends.
	bool ours = address & (SG_ADDRESS_VIP | SG_ADDRESS_SNAT);
	uint8_t src[16];

	if (!is_served(pkt) ||
		(!(address & SG_ADDRESS_VIP) && !sg_source_may_be_reached(snapshot, pkt)))
		return sg_pkt_drop(pkt, SG_DROP_FRAGMENT_TIMEOUT);
	if (!sg_pkt_is_ipv6(pkt))
		return sg_answer_icmp_error(pipeline, pkt, SG_ICMP_TIME_EXCEEDED,
			SG_ICMP_CODE_FRAGMENTS, ours ? ip->dst_be : own_address(snapshot, pkt),
			SG_DROP_FRAGMENT_TIMEOUT);
	memcpy(src, ours ? sg_pkt_ip6(pkt)->pair.dst : own_address6(snapshot, pkt), sizeof(src));
	sg_answer_icmpv6_error(pipeline, pkt, &header6, src, SG_DROP_FRAGMENT_TIMEOUT);
}

static void answer_unreachable6(struct sg_pipeline *pipeline, struct sg_pkt *pkt, enum sg_drop drop)
{
	const struct sg_icmp_hdr header = {
		.type = SG_ICMPV6_UNREACHABLE, .code = SG_ICMPV6_CODE_PORT_UNREACHABLE};
	uint8_t src[16];

	memcpy(src, sg_pkt_ip6(pkt)->pair.dst, 16);
	sg_answer_icmpv6_error(pipeline, pkt, &header, src, drop);
}

void sg_answer_refusal(
	struct sg_pipeline *pipeline, struct sg_pkt *pkt, uint8_t protocol, enum sg_drop drop)
{
	const struct sg_ipv4_hdr *ip = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));

	if (protocol == SG_PROTO_TCP)
		sg_answer_reset(pipeline, pkt, drop, drop);
	else if (sg_pkt_is_ipv6(pkt))
		answer_unreachable6(pipeline, pkt, drop);
	else
		sg_answer_icmp_error(pipeline, pkt, SG_ICMP_UNREACHABLE,
			SG_ICMP_CODE_PORT_UNREACHABLE, ip->dst_be, drop);
}
