// Builds and checks frames, see frames.h.
#include "frames.h"

#include <arpa/inet.h>
#include <string.h>

#include "net/checksum.h"
#include "net/ipv6.h"

const uint8_t client_mac[6] = {0x02, 0, 0, 0, 0xc1, 1};
const uint8_t gateway_mac[6] = {0x02, 0, 0, 0, 0xc1, 0xfe};
const uint8_t pod_mac[6] = {0x02, 0, 0, 0, 0xb0, 2};
const uint8_t pod2_mac[6] = {0x02, 0, 0, 0, 0xb0, 3};
const uint8_t port_macs[2][6] = {{0x02, 0, 0, 0, 0x57, 0}, {0x02, 0, 0, 0, 0x57, 1}};

enum sg_family test_family = SG_FAMILY_IPV4;

static const uint8_t documentation[12] = {0x20, 0x01, 0x0d, 0xb8};

uint32_t addr_be(const char *text)
{
	return inet_addr(text);
}

struct sg_addr test_addr(const char *text)
{
	struct sg_addr addr = {.family = SG_FAMILY_IPV6};
	uint32_t number_be = addr_be(text);
	uint8_t first = (uint8_t)number_be;

	if (test_family == SG_FAMILY_IPV4)
		return sg_addr_from_ipv4(number_be);
	if (number_be == 0)
		return addr;
	memcpy(addr.bytes + 12, &number_be, 4);
	if (first == 127) {
		memset(addr.bytes + 12, 0, 3);
	} else if (first >= 224) {
		addr.bytes[0] = 0xff;
		addr.bytes[1] = first == 224 ? 2 : 5; // the link, the site
		memset(addr.bytes + 12, 0, 3);
	} else {
		memcpy(addr.bytes, documentation, sizeof(documentation));
	}
	return addr;
}

struct sg_prefix test_prefix(const char *text)
{
	struct sg_prefix prefix = {0};

	sg_prefix_parse(text, &prefix, NULL);
	if (test_family == SG_FAMILY_IPV4 || prefix.addr.family == SG_FAMILY_IPV6)
		return prefix;
	// The same bits lie behind 96 others.
	if (prefix.length > 0)
		prefix.length = (uint8_t)(prefix.length + 96);
	prefix.addr = test_addr(test_text(&prefix.addr));
	return prefix;
}

// Texts that stay: tests meet only a few addresses.
const char *test_text(const struct sg_addr *addr)
{
	static char texts[64][16];
	char text[16];
	unsigned i = 0;
	const uint8_t *number = addr->family == SG_FAMILY_IPV4 ? addr->bytes : addr->bytes + 12;

	inet_ntop(AF_INET, number, text, sizeof(text));
	while (i < 63 && texts[i][0] && strcmp(texts[i], text) != 0)
		i++;
	return strcpy(texts[i], text);
}

bool test_addr_is(const struct sg_addr *addr, const char *text)
{
	struct sg_addr named = test_addr(text);

	return sg_addr_equal(addr, &named);
}

struct sg_ipv4_hdr *frame_ip(struct frame *frame)
{
	return (void *)(frame->bytes + sizeof(struct sg_eth_hdr));
}

struct sg_ipv6_hdr *frame_ip6(struct frame *frame)
{
	return (void *)(frame->bytes + sizeof(struct sg_eth_hdr));
}

void frame_solicitation(struct frame *frame, const char *src, const char *target, const char *dst)
{
	struct sg_ipv6_hdr *ip = frame_ip6(frame);
	struct sg_ndp_hdr *ndp = (void *)(ip + 1);
	struct sg_addr asked = test_addr(target);
	uint16_t length = src ? sizeof(*ndp) : sizeof(*ndp) - 8;

	memset(frame, 0, sizeof(*frame));
	memcpy(frame->bytes, port_macs[0], 6);
	memcpy(frame->bytes + 6, client_mac, 6);
	frame->bytes[12] = 0x86;
	frame->bytes[13] = 0xdd;
	*ip = (struct sg_ipv6_hdr){.version_class_label_be = htonl(SG_IPV6_VERSION),
		.payload_length_be = htons(length),
		.next = SG_PROTO_ICMPV6,
		.hop_limit = 255};
	if (src)
		inet_pton(AF_INET6, src, ip->pair.src);
	if (dst) {
		struct sg_addr addr = test_addr(dst);

		memcpy(ip->pair.dst, addr.bytes, 16);
	} else {
		inet_pton(AF_INET6, "ff02::1:ff00:0", ip->pair.dst);
		memcpy(ip->pair.dst + 13, asked.bytes + 13, 3);
		memcpy(frame->bytes, (uint8_t[]){0x33, 0x33, 0xff}, 3);
		memcpy(frame->bytes + 3, asked.bytes + 13, 3);
	}
	ndp->icmp.type = SG_NDP_SOLICIT;
	memcpy(ndp->target, asked.bytes, 16);
	if (src) {
		ndp->option = SG_NDP_OPTION_SOURCE;
		ndp->option_length = 1;
		memcpy(ndp->mac, client_mac, 6);
	}
	frame->length = (uint16_t)(14 + sizeof(*ip) + length);
	frame_fix_checksums(frame);
}

bool frame_is_ipv6(const struct frame *frame)
{
	return frame->bytes[12] == 0x86 && frame->bytes[13] == 0xdd;
}

static struct sg_ipv6_payload payload_of(const struct frame *frame)
{
	const struct sg_ipv6_hdr *ip = (const void *)(frame->bytes + sizeof(struct sg_eth_hdr));

	return sg_ipv6_find_payload(ip, frame->length - (unsigned)sizeof(struct sg_eth_hdr));
}

unsigned frame_ip_bytes(const struct frame *frame)
{
	if (frame_is_ipv6(frame))
		return payload_of(frame).offset;
	return (frame->bytes[sizeof(struct sg_eth_hdr)] & 15) * 4;
}

void *frame_l4(struct frame *frame)
{
	return (uint8_t *)frame_ip(frame) + frame_ip_bytes(frame);
}

uint8_t *frame_ttl(struct frame *frame)
{
	return frame_is_ipv6(frame) ? &frame_ip6(frame)->hop_limit : &frame_ip(frame)->ttl;
}

uint8_t frame_proto(const struct frame *frame)
{
	if (frame_is_ipv6(frame))
		return payload_of(frame).proto;
	return frame_ip((struct frame *)frame)->proto;
}

static struct sg_addr addr_at(const struct frame *frame, unsigned at4, unsigned at6)
{
	struct sg_addr addr = {.family = SG_FAMILY_IPV6};
	uint32_t number_be;

	if (frame_is_ipv6(frame)) {
		memcpy(addr.bytes, frame->bytes + sizeof(struct sg_eth_hdr) + at6, 16);
		return addr;
	}
	memcpy(&number_be, frame->bytes + sizeof(struct sg_eth_hdr) + at4, 4);
	return sg_addr_from_ipv4(number_be);
}

struct sg_addr frame_src(const struct frame *frame)
{
	return addr_at(frame, 12, 8);
}

struct sg_addr frame_dst(const struct frame *frame)
{
	return addr_at(frame, 16, 24);
}

static void write_eth(
	struct frame *frame, const uint8_t *dst, const uint8_t *src, uint16_t ethertype)
{
	struct sg_eth_hdr *eth = (void *)frame->bytes;

	memset(frame, 0, sizeof(*frame));
	memcpy(eth->dst, dst, 6);
	memcpy(eth->src, src, 6);
	eth->ethertype_be = htons(ethertype);
}

static uint16_t l4_header_bytes(uint8_t proto)
{
	return proto == SG_PROTO_TCP ? sizeof(struct sg_tcp_hdr) : 8;
}

static void write_l4(struct frame *frame, const struct ipv4_text *text)
{
	void *l4 = frame_l4(frame);

	if (text->proto == SG_PROTO_TCP)
		*(struct sg_tcp_hdr *)l4 = (struct sg_tcp_hdr){.sport_be = htons(text->sport),
			.dport_be = htons(text->dport),
			.seq_be = htonl(text->seq),
			.ack_be = htonl(text->ack),
			.offset = 5 << 4,
			.flags = text->flags,
			.window_be = htons(1000)};
	else if (text->proto == SG_PROTO_UDP)
		*(struct sg_udp_hdr *)l4 = (struct sg_udp_hdr){.sport_be = htons(text->sport),
			.dport_be = htons(text->dport),
			.length_be = htons(8 + text->payload),
			.checksum = 1};
	else
		*(struct sg_icmp_hdr *)l4 = (struct sg_icmp_hdr){
			.type = text->icmp_type, .code = text->icmp_code, .rest_be = 0x12345678};
}

static void write_payload(struct frame *frame, uint16_t length)
{
	for (uint16_t i = 0; i < length; i++)
		frame->bytes[frame->length - length + i] = (uint8_t)(i * 7 + 1);
}

void frame_ipv4(struct frame *frame, const uint8_t dst_mac[6], const uint8_t src_mac[6],
	const struct ipv4_text *text)
{
	struct sg_ipv4_hdr *ip = frame_ip(frame);
	uint16_t total = (uint16_t)(20 + l4_header_bytes(text->proto) + text->payload);

	write_eth(frame, dst_mac, src_mac, SG_ETHERTYPE_IPV4);
	*ip = (struct sg_ipv4_hdr){.version_ihl = 0x45,
		.total_length_be = htons(total),
		.id_be = htons(7),
		.ttl = text->ttl ? text->ttl : 64,
		.proto = text->proto,
		.src_be = addr_be(text->src),
		.dst_be = addr_be(text->dst)};
	frame->length = (uint16_t)(sizeof(struct sg_eth_hdr) + total);
	write_l4(frame, text);
	write_payload(frame, text->payload);
	frame_fix_checksums(frame);
	if (text->no_udp_checksum)
		((struct sg_udp_hdr *)frame_l4(frame))->checksum = 0;
}

static uint8_t icmpv6_type(uint8_t type, uint8_t code)
{
	switch (type) {
	case SG_ICMP_ECHO:
		return SG_ICMPV6_ECHO;
	case SG_ICMP_ECHO_REPLY:
		return SG_ICMPV6_ECHO_REPLY;
	case SG_ICMP_TIME_EXCEEDED:
		return SG_ICMPV6_TIME_EXCEEDED;
	case SG_ICMP_PARAMETER:
		return SG_ICMPV6_PARAMETER;
	default:
		return code == SG_ICMP_CODE_FRAG_NEEDED ? SG_ICMPV6_TOO_BIG : SG_ICMPV6_UNREACHABLE;
	}
}

static uint8_t icmpv6_code(uint8_t type, uint8_t code)
{
	if (type != SG_ICMP_UNREACHABLE)
		return code;
	return code == SG_ICMP_CODE_PORT_UNREACHABLE ? SG_ICMPV6_CODE_PORT_UNREACHABLE : 0;
}

static void frame_ipv6(struct frame *frame, const uint8_t dst_mac[6], const uint8_t src_mac[6],
	const struct ipv4_text *text)
{
	struct sg_ipv6_hdr *ip = frame_ip6(frame);
	uint16_t length = (uint16_t)(l4_header_bytes(text->proto) + text->payload);
	struct sg_addr src = test_addr(text->src), dst = test_addr(text->dst);
	struct ipv4_text mapped = *text;

	if (text->proto == SG_PROTO_ICMP) {
		mapped.proto = SG_PROTO_ICMPV6;
		mapped.icmp_type = icmpv6_type(text->icmp_type, text->icmp_code);
		mapped.icmp_code = icmpv6_code(text->icmp_type, text->icmp_code);
	}
	write_eth(frame, dst_mac, src_mac, SG_ETHERTYPE_IPV6);
	*ip = (struct sg_ipv6_hdr){.version_class_label_be = htonl(SG_IPV6_VERSION | 0x54321),
		.payload_length_be = htons(length),
		.next = mapped.proto,
		.hop_limit = text->ttl ? text->ttl : 64};
	memcpy(ip->pair.src, src.bytes, 16);
	memcpy(ip->pair.dst, dst.bytes, 16);
	frame->length = (uint16_t)(sizeof(struct sg_eth_hdr) + sizeof(*ip) + length);
	write_l4(frame, &mapped);
	write_payload(frame, text->payload);
	frame_fix_checksums(frame);
	if (text->no_udp_checksum)
		((struct sg_udp_hdr *)frame_l4(frame))->checksum = 0;
}

void frame_packet(struct frame *frame, const uint8_t dst_mac[6], const uint8_t src_mac[6],
	const struct ipv4_text *text)
{
	if (test_family == SG_FAMILY_IPV6)
		frame_ipv6(frame, dst_mac, src_mac, text);
	else
		frame_ipv4(frame, dst_mac, src_mac, text);
}

void frame_insert_extensions(
	struct frame *frame, uint8_t first, const uint8_t *extensions, uint16_t length)
{
	struct sg_ipv6_hdr *ip = frame_ip6(frame);
	uint8_t *at = (uint8_t *)(ip + 1);
	uint8_t *next = at;

	memmove(at + length, at, frame->length - sizeof(struct sg_eth_hdr) - sizeof(*ip));
	memcpy(at, extensions, length);
	while (next + (next[1] + 1) * 8 < at + length)
		next += (next[1] + 1) * 8;
	next[0] = ip->next;
	ip->next = first;
	ip->payload_length_be = htons((uint16_t)(ntohs(ip->payload_length_be) + length));
	frame->length = (uint16_t)(frame->length + length);
}

void frame_arp(struct frame *frame, const uint8_t dst_mac[6], const uint8_t src_mac[6],
	uint16_t operation, const char *sender, const char *target)
{
	struct sg_arp_hdr *arp = (void *)(frame->bytes + sizeof(struct sg_eth_hdr));

	write_eth(frame, dst_mac, src_mac, SG_ETHERTYPE_ARP);
	*arp = (struct sg_arp_hdr){.hardware_be = htons(1),
		.protocol_be = htons(SG_ETHERTYPE_IPV4),
		.hardware_length = 6,
		.protocol_length = 4,
		.operation_be = htons(operation),
		.sender_be = addr_be(sender),
		.target_be = addr_be(target)};
	memcpy(arp->sender_mac, src_mac, 6);
	frame->length = 60;
}

void frame_add_options(struct frame *frame, unsigned bytes)
{
	struct sg_ipv4_hdr *ip = frame_ip(frame);
	uint8_t *options = (uint8_t *)(ip + 1);

	memmove(options + bytes, options, frame->length - 34u);
	memset(options, 1, bytes); // no operation
	frame->length = (uint16_t)(frame->length + bytes);
	ip->version_ihl = (uint8_t)(ip->version_ihl + bytes / 4);
	ip->total_length_be = htons(frame->length - 14);
	frame_fix_checksums(frame);
}

void frame_tag(struct frame *frame, uint16_t type, uint16_t tag)
{
	const uint16_t words[2] = {htons(type), htons(tag)};

	memmove(frame->bytes + 16, frame->bytes + 12, (size_t)(frame->length - 12));
	memcpy(frame->bytes + 12, words, 4);
	frame->length += 4;
}

// The checksum over what follows the IP headers; with a right checksum in place it comes out as 0.
static uint16_t sum_l4(const struct frame *frame)
{
	const struct sg_ipv4_hdr *ip = (const void *)(frame->bytes + sizeof(struct sg_eth_hdr));
	const struct sg_ipv6_hdr *ip6 = (const void *)ip;
	unsigned header = frame_ip_bytes(frame);
	uint8_t proto = frame_proto(frame);
	uint16_t length;
	uint64_t sum = 0;

	if (frame_is_ipv6(frame)) {
		length = (uint16_t)(ntohs(ip6->payload_length_be) + sizeof(*ip6) - header);
		sum = sg_checksum_pseudo6(&ip6->pair, proto, length);
	} else {
		length = (uint16_t)(ntohs(ip->total_length_be) - header);
		if (proto != SG_PROTO_ICMP)
			sum = sg_checksum_pseudo4(ip->src_be, ip->dst_be, proto, length);
	}
	// A test may have made lengths that lie.
	if (header + length > frame->length - sizeof(struct sg_eth_hdr))
		return 0;
	return sg_checksum_finish(sg_checksum_add(sum, (const uint8_t *)ip + header, length));
}

static uint16_t *l4_checksum(struct frame *frame)
{
	switch (frame_proto(frame)) {
	case SG_PROTO_TCP:
		return &((struct sg_tcp_hdr *)frame_l4(frame))->checksum;
	case SG_PROTO_UDP:
		return &((struct sg_udp_hdr *)frame_l4(frame))->checksum;
	case SG_PROTO_ICMP:
	case SG_PROTO_ICMPV6:
		return &((struct sg_icmp_hdr *)frame_l4(frame))->checksum;
	default:
		return NULL;
	}
}

void frame_fix_checksums(struct frame *frame)
{
	struct sg_ipv4_hdr *ip = frame_ip(frame);
	uint16_t *checksum = l4_checksum(frame);

	if (!frame_is_ipv6(frame)) {
		ip->checksum = 0;
		ip->checksum =
			sg_checksum_finish(sg_checksum_add(0, ip, (ip->version_ihl & 15) * 4));
	}
	if (checksum) {
		*checksum = 0;
		*checksum = sum_l4(frame);
		if (*checksum == 0 && frame_proto(frame) == SG_PROTO_UDP)
			*checksum = 0xffff; // 0 would mean that there is none
	}
}

static bool lengths_hold(struct frame *frame)
{
	uint16_t ip_bytes = (uint16_t)(frame->length - sizeof(struct sg_eth_hdr));

	if (frame_is_ipv6(frame))
		return ntohs(frame_ip6(frame)->payload_length_be) + 40 == ip_bytes;
	return ntohs(frame_ip(frame)->total_length_be) == ip_bytes;
}

bool frame_checksums_hold(const uint8_t *bytes, uint16_t length)
{
	struct frame frame = {.length = length};
	struct sg_ipv4_hdr *ip = frame_ip(&frame);

	memcpy(frame.bytes, bytes, length);
	if (!lengths_hold(&frame))
		return false;
	if (!frame_is_ipv6(&frame) &&
		sg_checksum_finish(sg_checksum_add(0, ip, (ip->version_ihl & 15) * 4)) != 0)
		return false;
	if (frame_proto(&frame) == SG_PROTO_UDP && *l4_checksum(&frame) == 0)
		return !frame_is_ipv6(&frame);
	return sum_l4(&frame) == 0;
}
