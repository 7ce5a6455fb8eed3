// Frames for packet tests: built from what a row wants to say, with right lengths and checksums,
// and read back.
//
// Most stories are told over both families. They name IPv4 addresses; over IPv6 each stands for the
// address of the same number in 2001:db8::/96, and those that are no host's for their like (::,
// ::1, ff02::/16, ff05::/16). What reads a frame goes by its version.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/addr.h"
#include "net/headers.h"

#define FRAME_ROOM 2048

struct frame {
	uint8_t bytes[FRAME_ROOM];
	uint16_t length;
};

// The family of what frame_packet writes, and of what the rig serves.
extern enum sg_family test_family;

// What a packet of a test says. Zero fields get a plain value: TTL 64, shortest headers, no
// payload. ICMP is named as in IPv4.
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

// Over `test_family`; the other is IPv4 whatever that is.
void frame_packet(struct frame *frame, const uint8_t dst_mac[6], const uint8_t src_mac[6],
	const struct ipv4_text *text);
void frame_ipv4(struct frame *frame, const uint8_t dst_mac[6], const uint8_t src_mac[6],
	const struct ipv4_text *text);
// The rest of what frame_packet would send, behind these extension headers (a multiple of 8 bytes;
// each but the last names the next, whose protocol is filled in).
void frame_insert_extensions(
	struct frame *frame, uint8_t first, const uint8_t *extensions, uint16_t length);
void frame_arp(struct frame *frame, const uint8_t dst_mac[6], const uint8_t src_mac[6],
	uint16_t operation, const char *sender, const char *target);

// A solicitation for `target`, from `src` (NULL: from nobody), to its solicited-node group or to
// `dst`, with the sender's MAC as an option unless nobody asks.
void frame_solicitation(struct frame *frame, const char *src, const char *target, const char *dst);

bool frame_is_ipv6(const struct frame *frame);
struct sg_ipv4_hdr *frame_ip(struct frame *frame);
struct sg_ipv6_hdr *frame_ip6(struct frame *frame);
void *frame_l4(struct frame *frame);
unsigned frame_ip_bytes(const struct frame *frame); // headers before TCP, UDP or ICMP
uint8_t *frame_ttl(struct frame *frame);            // or hop limit
uint8_t frame_proto(const struct frame *frame);     // SG_PROTO_ of what frame_l4 finds
struct sg_addr frame_src(const struct frame *frame);
struct sg_addr frame_dst(const struct frame *frame);
// Puts a tag (802.1Q's two bytes) before the Ethertype; `type` is 0x8100, or a provider's.
void frame_tag(struct frame *frame, uint16_t type, uint16_t tag);
// IPv4 options that do nothing; `bytes` is a multiple of 4, at most 40.
void frame_add_options(struct frame *frame, unsigned bytes);
// After a test has changed a header by hand.
void frame_fix_checksums(struct frame *frame);
// Whether the IP header's and TCP's, UDP's or ICMP's checksums, and its lengths, are right.
bool frame_checksums_hold(const uint8_t *bytes, uint16_t length);

uint32_t addr_be(const char *text);
// What a name stands for in `test_family`, and the name that an address has.
struct sg_addr test_addr(const char *text);
const char *test_text(const struct sg_addr *addr);
// The same of a prefix; one that is written as IPv6 is meant so.
struct sg_prefix test_prefix(const char *text);
bool test_addr_is(const struct sg_addr *addr, const char *text);
