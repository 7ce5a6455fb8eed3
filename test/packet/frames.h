// Frames for packet tests: built from what a row wants to say, with right lengths and checksums,
// and read back.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/headers.h"

#define FRAME_ROOM 2048

struct frame {
	uint8_t bytes[FRAME_ROOM];
	uint16_t length;
};

// What an IPv4 packet of a test says. Zero fields get a plain value: TTL 64, 20-byte headers, no
// payload.
struct ipv4_text {
	const char *src, *dst; // dotted quads
	uint16_t sport, dport; // host order
	uint8_t proto;         // SG_PROTO_
	uint8_t flags;         // TCP
	uint32_t seq, ack;     // TCP, host order
	uint8_t ttl;
	uint16_t payload; // bytes
	uint8_t icmp_type, icmp_code;
	bool no_udp_checksum;
};

extern const uint8_t client_mac[6], gateway_mac[6], pod_mac[6], pod2_mac[6];
extern const uint8_t port_macs[2][6]; // stormgate's ports 0 (clients) and 1 (pods)

void frame_ipv4(struct frame *frame, const uint8_t dst_mac[6], const uint8_t src_mac[6],
	const struct ipv4_text *text);
void frame_arp(struct frame *frame, const uint8_t dst_mac[6], const uint8_t src_mac[6],
	uint16_t operation, const char *sender, const char *target);

struct sg_ipv4_hdr *frame_ip(struct frame *frame);
void *frame_l4(struct frame *frame);
// Puts a tag (802.1Q's two bytes) before the Ethertype; `type` is 0x8100, or a provider's.
void frame_tag(struct frame *frame, uint16_t type, uint16_t tag);
// IPv4 options that do nothing; `bytes` is a multiple of 4, at most 40.
void frame_add_options(struct frame *frame, unsigned bytes);
// After a test has changed a header by hand.
void frame_fix_checksums(struct frame *frame);
// Whether the IP header's and TCP's, UDP's or ICMP's checksums are right.
bool frame_checksums_hold(const uint8_t *bytes, uint16_t length);

uint32_t addr_be(const char *text);
