// Builds and checks frames, see frames.h.
#include "frames.h"

#include <arpa/inet.h>
#include <string.h>

#include "net/checksum.h"

const uint8_t client_mac[6] = {0x02, 0, 0, 0, 0xc1, 1};
const uint8_t gateway_mac[6] = {0x02, 0, 0, 0, 0xc1, 0xfe};
const uint8_t pod_mac[6] = {0x02, 0, 0, 0, 0xb0, 2};
const uint8_t pod2_mac[6] = {0x02, 0, 0, 0, 0xb0, 3};
const uint8_t port_macs[2][6] = {{0x02, 0, 0, 0, 0x57, 0}, {0x02, 0, 0, 0, 0x57, 1}};

uint32_t addr_be(const char *text)
{
	return inet_addr(text);
}

struct sg_ipv4_hdr *frame_ip(struct frame *frame)
{
	return (void *)(frame->bytes + sizeof(struct sg_eth_hdr));
}

void *frame_l4(struct frame *frame)
{
	return (uint8_t *)frame_ip(frame) + (frame_ip(frame)->version_ihl & 15) * 4;
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
	for (uint16_t i = 0; i < text->payload; i++)
		frame->bytes[frame->length - text->payload + i] = (uint8_t)(i * 7 + 1);
	frame_fix_checksums(frame);
	if (text->no_udp_checksum)
		((struct sg_udp_hdr *)frame_l4(frame))->checksum = 0;
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

// The checksum over what follows the IP header; with a right checksum in place it comes out as 0.
static uint16_t sum_l4(const struct sg_ipv4_hdr *ip)
{
	unsigned header = (ip->version_ihl & 15) * 4;
	uint16_t length = (uint16_t)(ntohs(ip->total_length_be) - header);
	uint64_t sum = ip->proto == SG_PROTO_ICMP
			       ? 0
			       : sg_checksum_pseudo4(ip->src_be, ip->dst_be, ip->proto, length);

	return sg_checksum_finish(sg_checksum_add(sum, (const uint8_t *)ip + header, length));
}

static uint16_t *l4_checksum(struct frame *frame)
{
	switch (frame_ip(frame)->proto) {
	case SG_PROTO_TCP:
		return &((struct sg_tcp_hdr *)frame_l4(frame))->checksum;
	case SG_PROTO_UDP:
		return &((struct sg_udp_hdr *)frame_l4(frame))->checksum;
	case SG_PROTO_ICMP:
		return &((struct sg_icmp_hdr *)frame_l4(frame))->checksum;
	default:
		return NULL;
	}
}

void frame_fix_checksums(struct frame *frame)
{
	struct sg_ipv4_hdr *ip = frame_ip(frame);
	uint16_t *checksum = l4_checksum(frame);

	ip->checksum = 0;
	ip->checksum = sg_checksum_finish(sg_checksum_add(0, ip, (ip->version_ihl & 15) * 4));
	if (checksum) {
		*checksum = 0;
		*checksum = sum_l4(ip);
	}
}

bool frame_checksums_hold(const uint8_t *bytes, uint16_t length)
{
	struct frame frame = {.length = length};
	struct sg_ipv4_hdr *ip = frame_ip(&frame);

	memcpy(frame.bytes, bytes, length);
	if (sg_checksum_finish(sg_checksum_add(0, ip, (ip->version_ihl & 15) * 4)) != 0)
		return false;
	if (ip->proto == SG_PROTO_UDP && *l4_checksum(&frame) == 0)
		return true;
	return sum_l4(ip) == 0;
}
