// The headers that stormgate reads and writes, as they are on the wire. All fields are in network
// order.
//
// Ethernet: IEEE 802.3. ARP: RFC 826. IPv4: RFC 791. ICMP: RFC 792. IPv6: RFC 8200. ICMPv6: RFC
// 4443. Neighbour discovery: RFC 4861. TCP: RFC 9293. UDP: RFC 768.
// Structs are packed to 2 bytes: an IP header follows 14 bytes of Ethernet, so no field is ever
// aligned to more.
#pragma once

#include <assert.h>
#include <stdint.h>

#include "net/tuple.h"

#define SG_ETHERTYPE_IPV4 0x0800
#define SG_ETHERTYPE_ARP  0x0806
#define SG_ETHERTYPE_VLAN 0x8100
#define SG_ETHERTYPE_QINQ 0x88a8
#define SG_ETHERTYPE_IPV6 0x86dd

// 802.1Q: a tag stands before the Ethertype; its low 12 bits are the VLAN, 0 for none.
#define SG_VLAN_TAG_BYTES 4
#define SG_VLAN_ID_MASK   0x0fff

#define SG_PROTO_ICMP   1
#define SG_PROTO_IPIP   4
#define SG_PROTO_TCP    6
#define SG_PROTO_UDP    17
#define SG_PROTO_IPV6   41 // inside another packet
#define SG_PROTO_ICMPV6 58

// IPv6 extension headers. What follows the last two cannot be read, or is nothing.
#define SG_PROTO_HOP_BY_HOP  0
#define SG_PROTO_ROUTING     43
#define SG_PROTO_FRAGMENT    44
#define SG_PROTO_DESTINATION 60
#define SG_PROTO_ESP         50
#define SG_PROTO_NONE        59

#define SG_ICMP_ECHO_REPLY    0
#define SG_ICMP_UNREACHABLE   3
#define SG_ICMP_ECHO          8
#define SG_ICMP_TIME_EXCEEDED 11
#define SG_ICMP_PARAMETER     12

#define SG_ICMP_CODE_PORT_UNREACHABLE 3
#define SG_ICMP_CODE_FRAG_NEEDED      4
#define SG_ICMP_CODE_FRAGMENTS        1 // of time exceeded, also ICMPv6's: not all came

#define SG_ICMPV6_UNREACHABLE   1
#define SG_ICMPV6_TOO_BIG       2
#define SG_ICMPV6_TIME_EXCEEDED 3
#define SG_ICMPV6_PARAMETER     4
#define SG_ICMPV6_INFORMATION   128 // from here on: no errors
#define SG_ICMPV6_ECHO          128
#define SG_ICMPV6_ECHO_REPLY    129

#define SG_ICMPV6_CODE_PORT_UNREACHABLE 4

// Neighbour discovery: types from router solicitation to redirect, flags of an advertisement,
// options, and the hop limit that proves its sender is on the link.
#define SG_NDP_FIRST         133
#define SG_NDP_SOLICIT       135
#define SG_NDP_ADVERTISE     136
#define SG_NDP_LAST          137
#define SG_NDP_SOLICITED     0x40000000u
#define SG_NDP_OVERRIDE      0x20000000u
#define SG_NDP_OPTION_SOURCE 1
#define SG_NDP_OPTION_TARGET 2
#define SG_NDP_HOP_LIMIT     255

#define SG_IPV6_VERSION 0x60000000u
#define SG_IPV6_MIN_MTU 1280

#define SG_TCP_FIN 0x01
#define SG_TCP_SYN 0x02
#define SG_TCP_RST 0x04
#define SG_TCP_ACK 0x10

#define SG_IPV4_DF          0x4000
#define SG_IPV4_MORE        0x2000 // fragments follow
#define SG_IPV4_FRAG_MASK   0x3fff // more fragments, or an offset
#define SG_IPV4_OFFSET_MASK 0x1fff

#define SG_ARP_REQUEST 1
#define SG_ARP_REPLY   2

struct __attribute__((packed, aligned(2))) sg_eth_hdr {
	uint8_t dst[6];
	uint8_t src[6];
	uint16_t ethertype_be;
};

struct __attribute__((packed, aligned(2))) sg_arp_hdr {
	uint16_t hardware_be;
	uint16_t protocol_be;
	uint8_t hardware_length;
	uint8_t protocol_length;
	uint16_t operation_be;
	uint8_t sender_mac[6];
	uint32_t sender_be;
	uint8_t target_mac[6];
	uint32_t target_be;
};

struct __attribute__((packed, aligned(2))) sg_ipv4_hdr {
	uint8_t version_ihl;
	uint8_t tos;
	uint16_t total_length_be;
	uint16_t id_be;
	uint16_t fragment_be;
	uint8_t ttl;
	uint8_t proto;
	uint16_t checksum;
	uint32_t src_be;
	uint32_t dst_be;
};

struct __attribute__((packed, aligned(2))) sg_ipv6_hdr {
	uint32_t version_class_label_be; // 4 bits, 8 bits, 20 bits
	uint16_t payload_length_be;      // of all that follows this header
	uint8_t next;                    // SG_PROTO_
	uint8_t hop_limit;
	struct sg_pair6 pair;
};

// RFC 8200, 4.5.
struct __attribute__((packed, aligned(2))) sg_fragment_hdr {
	uint8_t next;
	uint8_t reserved;
	uint16_t offset_be; // in the upper 13 bits, in units of 8 bytes; bit 0: more follow
	uint32_t id_be;
};
#define SG_FRAGMENT_OFFSET_MASK 0xfff8
#define SG_FRAGMENT_MORE        0x0001

// Also ICMPv6's.
struct __attribute__((packed, aligned(2))) sg_icmp_hdr {
	uint8_t type;
	uint8_t code;
	uint16_t checksum;
	uint32_t rest_be; // identifier and sequence, or next-hop MTU, or unused
};

// A neighbour solicitation or advertisement with one option, the link-layer address.
struct __attribute__((packed, aligned(2))) sg_ndp_hdr {
	struct sg_icmp_hdr icmp; // rest: an advertisement's flags
	uint8_t target[16];
	uint8_t option;        // SG_NDP_OPTION_
	uint8_t option_length; // in units of 8 bytes
	uint8_t mac[6];
};

struct __attribute__((packed, aligned(2))) sg_tcp_hdr {
	uint16_t sport_be;
	uint16_t dport_be;
	uint32_t seq_be;
	uint32_t ack_be;
	uint8_t offset; // high nibble, in 32-bit words
	uint8_t flags;
	uint16_t window_be;
	uint16_t checksum;
	uint16_t urgent_be;
};

struct __attribute__((packed, aligned(2))) sg_udp_hdr {
	uint16_t sport_be;
	uint16_t dport_be;
	uint16_t length_be;
	uint16_t checksum; // 0: none
};

static_assert(sizeof(struct sg_eth_hdr) == 14, "Ethernet header");
static_assert(sizeof(struct sg_arp_hdr) == 28, "ARP for IPv4 over Ethernet");
static_assert(sizeof(struct sg_ipv4_hdr) == 20, "IPv4 header without options");
static_assert(sizeof(struct sg_ipv6_hdr) == 40, "IPv6 header");
static_assert(sizeof(struct sg_icmp_hdr) == 8, "ICMP header");
static_assert(sizeof(struct sg_ndp_hdr) == 32, "neighbour discovery with one option");
static_assert(sizeof(struct sg_tcp_hdr) == 20, "TCP header without options");
static_assert(sizeof(struct sg_udp_hdr) == 8, "UDP header");
