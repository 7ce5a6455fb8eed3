// parse: reads what the bytes are, and writes the tuple of what can be a flow's.
//
// What is broken below IP's addresses is lost here. What is broken above them is only noted as a
// flaw: it matters when the packet turns out to be for us, and the kernel judges its own.
#include "dataplane/parse.h"

#include <string.h>

#include "base/prefetch.h"
#include "net/checksum.h"
#include "net/headers.h"

#define MAX_DATAGRAM 65535
#define TCP_SPLIT    16 // RFC 1858: a first fragment has at least so much of it, with the flags
#define PLAIN_BYTES  54 // Ethernet, IPv4 and TCP without options
#define PLAIN_TYPE   0x00450008 // IPv4, header of 20 bytes: as 12 to 14 lie in memory

// The kernel answers for what it sends: a frame of its own that we cannot read goes out as it is.
void sg_parse_refuse(struct sg_pkt *pkt, enum sg_drop drop)
{
	if (pkt->flags & SG_PKT_FROM_KERNEL) {
		pkt->verdict = SG_VERDICT_SEND;
		pkt->out_port = pkt->port;
		return;
	}
	sg_pkt_drop(pkt, drop);
}

static bool is_our_mac(const struct sg_pipeline *pipeline, const struct sg_pkt *pkt)
{
	return memcmp(pkt->bytes, pipeline->ports[pkt->port].mac, 6) == 0;
}

// A host's address: not 0.0.0.0/8, 127.0.0.0/8, multicast, reserved or broadcast.
static inline bool is_host(uint32_t addr_be)
{
	uint8_t first = (uint8_t)addr_be;

	return (uint8_t)(first - 1) < 223 && first != 127;
}

static uint64_t sum_pseudo(const struct sg_pkt *pkt, uint8_t proto, uint16_t length)
{
	const struct sg_ipv4_hdr *ip = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));

	if (sg_pkt_is_ipv6(pkt))
		return sg_checksum_pseudo6(&sg_pkt_ip6(pkt)->pair, proto, length);
	return sg_checksum_pseudo4(ip->src_be, ip->dst_be, proto, length);
}

uint16_t sg_parse_sum_l4(const struct sg_pipeline *pipeline, const struct sg_pkt *pkt,
	uint8_t proto, uint16_t length)
{
	return sg_checksum_finish(
		sg_pkt_sum(pipeline, pkt, sum_pseudo(pkt, proto, length), pkt->l4_offset, length));
}

enum sg_drop sg_parse_check_tcp(
	const struct sg_pipeline *pipeline, const struct sg_pkt *pkt, uint16_t length)
{
	const struct sg_tcp_hdr *tcp = (const void *)(pkt->bytes + pkt->l4_offset);
	unsigned header;

	if (length < sizeof(*tcp))
		return SG_DROP_BAD_L4_HEADER;
	header = (tcp->offset >> 4) * 4u;
	if (header < sizeof(*tcp) || header > length)
		return SG_DROP_BAD_L4_HEADER;
	if (!(pkt->flags & SG_PKT_L4_GOOD) &&
		sg_parse_sum_l4(pipeline, pkt, SG_PROTO_TCP, length) != 0)
		return SG_DROP_BAD_L4_CHECKSUM;
	return SG_DROP_NONE;
}

enum sg_drop sg_parse_check_udp(
	const struct sg_pipeline *pipeline, const struct sg_pkt *pkt, uint16_t length)
{
	const struct sg_udp_hdr *udp = (const void *)(pkt->bytes + pkt->l4_offset);
	uint16_t claimed;

	if (length < sizeof(*udp))
		return SG_DROP_BAD_L4_HEADER;
	claimed = __builtin_bswap16(udp->length_be);
	if (claimed < sizeof(*udp) || claimed > length)
		return SG_DROP_BAD_L4_HEADER;
	// RFC 8200, 8.1: over IPv6 nobody goes without.
	if (udp->checksum == 0)
		return sg_pkt_is_ipv6(pkt) ? SG_DROP_BAD_L4_CHECKSUM : SG_DROP_NONE;
	if (!(pkt->flags & SG_PKT_L4_GOOD) &&
		sg_parse_sum_l4(pipeline, pkt, SG_PROTO_UDP, claimed) != 0)
		return SG_DROP_BAD_L4_CHECKSUM;
	return SG_DROP_NONE;
}

static enum sg_drop check_icmp(
	const struct sg_pipeline *pipeline, const struct sg_pkt *pkt, uint16_t length)
{
	if (length < sizeof(struct sg_icmp_hdr))
		return SG_DROP_BAD_L4_HEADER;
	if (sg_checksum_finish(sg_pkt_sum(pipeline, pkt, 0, pkt->l4_offset, length)) != 0)
		return SG_DROP_BAD_L4_CHECKSUM;
	return SG_DROP_NONE;
}

static inline bool is_fragment(const struct sg_ipv4_hdr *ip)
{
	return ip->fragment_be & __builtin_bswap16(SG_IPV4_FRAG_MASK);
}

static enum sg_drop check_fragment(const struct sg_ipv4_hdr *ip, uint16_t length)
{
	uint16_t word = __builtin_bswap16(ip->fragment_be);
	unsigned offset = (word & SG_IPV4_OFFSET_MASK) * 8u;
	unsigned header = (ip->version_ihl & 15) * 4u;

	if (length == 0 || (word & SG_IPV4_MORE && length % 8 != 0) ||
		header + offset + length > MAX_DATAGRAM)
		return SG_DROP_FRAGMENT_BAD;
	if (ip->proto == SG_PROTO_TCP && (offset == 8 || (offset == 0 && length < TCP_SPLIT)))
		return SG_DROP_FRAGMENT_TINY;
	return SG_DROP_NONE;
}

// What is wrong with it as a packet for one of our addresses.
static enum sg_drop find_flaw(const struct sg_pipeline *pipeline, const struct sg_pkt *pkt,
	const struct sg_ipv4_hdr *ip, uint16_t l4_length)
{
	if (!is_host(ip->src_be) || ip->src_be == ip->dst_be)
		return SG_DROP_BAD_ADDRESS;
	if (sg_parse_is_group_mac(pkt->bytes) && is_host(ip->dst_be))
		return SG_DROP_BAD_ADDRESS; // RFC 1122 3.3.6: unicast to a link-layer broadcast
	if (is_fragment(ip))
		return check_fragment(ip, l4_length);
	switch (ip->proto) {
	case SG_PROTO_TCP:
		return sg_parse_check_tcp(pipeline, pkt, l4_length);
	case SG_PROTO_UDP:
		return sg_parse_check_udp(pipeline, pkt, l4_length);
	case SG_PROTO_ICMP:
		return check_icmp(pipeline, pkt, l4_length);
	default:
		return SG_DROP_NONE;
	}
}

static void read_tuple(const struct sg_pipeline *pipeline, const struct sg_pkt *pkt,
	const struct sg_ipv4_hdr *ip, struct sg_tuple *ret_tuple)
{
	const uint8_t *l4 = pkt->bytes + pkt->l4_offset;

	// Addresses lie side by side in the header, and so do ports in TCP and UDP: two loads, as
	// in the tuple.
	memcpy(&ret_tuple->src_be, &ip->src_be, 8);
	memcpy(&ret_tuple->sport_be, l4, 4);
	ret_tuple->proto = ip->proto;
	ret_tuple->domain = pipeline->domains[pkt->port];
	ret_tuple->hop = 0;
}

static void parse_ipv4(
	const struct sg_pipeline *pipeline, struct sg_pkt *pkt, struct sg_tuple *ret_tuple)
{
	const struct sg_ipv4_hdr *ip = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	unsigned available = pkt->length - sizeof(struct sg_eth_hdr);
	unsigned header, total;

	if (available < sizeof(*ip))
		return sg_parse_refuse(pkt, SG_DROP_TRUNCATED);
	header = (ip->version_ihl & 15) * 4u;
	total = __builtin_bswap16(ip->total_length_be);
	if (ip->version_ihl >> 4 != 4 || header < sizeof(*ip) || total < header)
		return sg_parse_refuse(pkt, SG_DROP_BAD_IP_HEADER);
	if (total > available)
		return sg_parse_refuse(pkt, SG_DROP_TRUNCATED);
	if (!(pkt->flags & SG_PKT_IP_GOOD) &&
		sg_checksum_finish(sg_checksum_add(0, ip, header)) != 0)
		return sg_parse_refuse(pkt, SG_DROP_BAD_IP_CHECKSUM);

	pkt->length = sizeof(struct sg_eth_hdr) + total;
	pkt->l4_offset = (uint8_t)(sizeof(struct sg_eth_hdr) + header);
	pkt->flaw = (uint8_t)find_flaw(pipeline, pkt, ip, (uint16_t)(total - header));
	pkt->class = SG_CLASS_IPV4;
	if (pkt->flaw)
		return;
	if (is_fragment(ip)) {
		pkt->class = SG_CLASS_FRAGMENT;
	} else if (ip->proto == SG_PROTO_TCP || ip->proto == SG_PROTO_UDP) {
		pkt->class = SG_CLASS_FLOW;
		read_tuple(pipeline, pkt, ip, ret_tuple);
	} else if (ip->proto == SG_PROTO_ICMP) {
		pkt->class = SG_CLASS_ICMP;
	}
}

static void parse_arp(struct sg_pkt *pkt)
{
	const struct sg_arp_hdr *arp = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));

	if (pkt->length < sizeof(struct sg_eth_hdr) + sizeof(*arp))
		return sg_parse_refuse(pkt, SG_DROP_TRUNCATED);
	if (arp->hardware_be != __builtin_bswap16(1) ||
		arp->protocol_be != __builtin_bswap16(SG_ETHERTYPE_IPV4) ||
		arp->hardware_length != 6 || arp->protocol_length != 4)
		return sg_parse_refuse(pkt, SG_DROP_BAD_ARP);
	pkt->class = SG_CLASS_ARP;
}

static bool is_tag(uint16_t ethertype_be)
{
	return ethertype_be == __builtin_bswap16(SG_ETHERTYPE_VLAN) ||
	       ethertype_be == __builtin_bswap16(SG_ETHERTYPE_QINQ);
}

// The frame as if it had no tag.
static void cut_tag_out(struct sg_pkt *pkt)
{
	memmove(pkt->bytes + SG_VLAN_TAG_BYTES, pkt->bytes, 12); // both MACs
	pkt->bytes += SG_VLAN_TAG_BYTES;
	pkt->length -= SG_VLAN_TAG_BYTES;
	pkt->head = (uint16_t)(pkt->head + SG_VLAN_TAG_BYTES);
	pkt->room = (uint16_t)(pkt->room - SG_VLAN_TAG_BYTES);
	if (pkt->contiguous)
		pkt->contiguous = (uint16_t)(pkt->contiguous - SG_VLAN_TAG_BYTES);
}

static bool enter_vlan(const struct sg_pipeline *pipeline, struct sg_pkt *pkt, uint16_t tag)
{
	uint16_t id = tag & SG_VLAN_ID_MASK;

	if (id == 0)
		return true; // only a priority (802.1Q)
	for (unsigned i = 0; i < pipeline->n_vlans; i++) {
		if (pipeline->vlans[i].id == id && pipeline->vlans[i].device == pkt->port) {
			pkt->port = pipeline->vlans[i].port;
			return true;
		}
	}
	return false;
}

// A tagged frame becomes an untagged one that came in on the VLAN's port, or stays as it is and is
// lost.
static enum sg_drop take_tag(const struct sg_pipeline *pipeline, struct sg_pkt *pkt)
{
	uint16_t types_be[3]; // type, tag, inner type
	bool taken_off = pkt->flags & SG_PKT_TAGGED;

	if (!taken_off && pkt->length < sizeof(struct sg_eth_hdr) + SG_VLAN_TAG_BYTES)
		return SG_DROP_TRUNCATED;
	memcpy(types_be, pkt->bytes + 12, taken_off ? 2 : sizeof(types_be));
	if (pkt->flags & SG_PKT_STACKED || (taken_off && is_tag(types_be[0])) ||
		(!taken_off && (types_be[0] == __builtin_bswap16(SG_ETHERTYPE_QINQ) ||
				       is_tag(types_be[2]))))
		return SG_DROP_VLAN_STACKED;
	if (!enter_vlan(pipeline, pkt, taken_off ? pkt->vlan : __builtin_bswap16(types_be[1])))
		return SG_DROP_VLAN_TAG;
	if (!taken_off)
		cut_tag_out(pkt);
	pkt->flags &= (uint16_t)~SG_PKT_TAGGED;
	return SG_DROP_NONE;
}

static void parse_frame(
	const struct sg_pipeline *pipeline, struct sg_pkt *pkt, struct sg_tuple *ret_tuple)
{
	const struct sg_eth_hdr *eth = (const void *)pkt->bytes;

	if (pkt->length < sizeof(*eth))
		return sg_parse_refuse(pkt, SG_DROP_TRUNCATED);
	if (!(pkt->flags & SG_PKT_FROM_KERNEL) && !is_our_mac(pipeline, pkt) &&
		!sg_parse_is_group_mac(eth->dst))
		return sg_parse_refuse(pkt, SG_DROP_OTHER_MAC);
	if (pkt->flags & SG_PKT_TAGGED || is_tag(eth->ethertype_be)) {
		enum sg_drop drop = take_tag(pipeline, pkt);

		if (drop)
			return sg_parse_refuse(pkt, drop);
		eth = (const void *)pkt->bytes;
	}

	switch (__builtin_bswap16(eth->ethertype_be)) {
	case SG_ETHERTYPE_IPV4:
		return parse_ipv4(pipeline, pkt, ret_tuple);
	case SG_ETHERTYPE_ARP:
		return parse_arp(pkt);
	case SG_ETHERTYPE_IPV6:
		return sg_parse_ipv6(pipeline, pkt, ret_tuple);
	default:
		return sg_parse_refuse(pkt, SG_DROP_UNKNOWN_ETHERTYPE);
	}
}

static inline uint32_t load_word(const void *bytes, unsigned at)
{
	uint32_t word;

	memcpy(&word, (const uint8_t *)bytes + at, 4);
	return word;
}

// Whether both checksums are right. The headers without options are added up without a branch, in
// words of 4 bytes: so few cannot overflow the sum. What follows them differs from packet to packet.
static inline bool has_plain_sums(const struct sg_pkt *pkt, const struct sg_ipv4_hdr *ip,
	const struct sg_tcp_hdr *tcp, uint32_t length)
{
	uint64_t of_ip = 0;
	uint64_t of_tcp =
		sg_checksum_pseudo4(ip->src_be, ip->dst_be, SG_PROTO_TCP, (uint16_t)length);

	static_assert(sizeof(*ip) == sizeof(*tcp), "one loop for both");
	if (pkt->contiguous)
		return false;
	for (unsigned i = 0; i < sizeof(*ip); i += 4) {
		of_ip += load_word(ip, i);
		of_tcp += load_word(tcp, i);
	}
	if (length > sizeof(*tcp))
		of_tcp = sg_checksum_add(of_tcp, tcp + 1, length - sizeof(*tcp));
	return (sg_checksum_finish(of_ip) | sg_checksum_finish(of_tcp)) == 0;
}

// fast path: nearly every packet is TCP for this station, without IP options and no fragment; its
// checksums are right, whether the device says so or it has to be seen. What this says of such a
// packet parse_frame says too; everything else is left to it.
static inline bool parse_plain(
	const struct sg_pipeline *pipeline, struct sg_pkt *pkt, struct sg_tuple *ret_tuple)
{
	const uint8_t checked = SG_PKT_IP_GOOD | SG_PKT_L4_GOOD;
	const struct sg_ipv4_hdr *ip = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	const struct sg_tcp_hdr *tcp = (const void *)(ip + 1);
	uint64_t mac, ours;
	uint32_t type; // Ethertype, version and header length, type of service
	uint32_t total, header;

	if (pkt->length < PLAIN_BYTES || (pkt->flags & SG_PKT_TAGGED))
		return false;
	memcpy(&mac, pkt->bytes, 8);
	memcpy(&ours, &pipeline->ports[pkt->port], 8);
	memcpy(&type, pkt->bytes + 12, 4);
	total = __builtin_bswap16(ip->total_length_be);
	if ((mac ^ ours) << 16 != 0 || (type & 0xffffff) != PLAIN_TYPE ||
		(ip->fragment_be & __builtin_bswap16(SG_IPV4_FRAG_MASK)) != 0 ||
		ip->proto != SG_PROTO_TCP || !is_host(ip->src_be) || ip->src_be == ip->dst_be)
		return false;
	header = (tcp->offset >> 4) * 4u;
	if (header < sizeof(*tcp) || sizeof(*ip) + header > total ||
		total + sizeof(struct sg_eth_hdr) > pkt->length)
		return false;
	if ((pkt->flags & checked) != checked && !has_plain_sums(pkt, ip, tcp, total - sizeof(*ip)))
		return false;

	pkt->length = sizeof(struct sg_eth_hdr) + total;
	pkt->l4_offset = sizeof(struct sg_eth_hdr) + sizeof(*ip);
	pkt->class = SG_CLASS_FLOW;
	read_tuple(pipeline, pkt, ip, ret_tuple);
	return true;
}

void sg_stage_parse(struct sg_pipeline *pipeline, struct sg_burst *burst)
{
	burst->n_ipv6 = 0;
	for (unsigned i = 0; i < burst->n; i++) {
		struct sg_pkt *pkt = &burst->pkts[i];

		if (i + 4 < burst->n)
			sg_prefetch(burst->pkts[i + 4].bytes);
		if (parse_plain(pipeline, pkt, &burst->tuples[i]))
			continue;
		burst->tuples[i] = (struct sg_tuple){0};
		parse_frame(pipeline, pkt, &burst->tuples[i]);
		burst->n_ipv6 += pkt->class == SG_CLASS_FLOW6;
	}
}
