// The headers that stormgate reads and writes, as they are on the wire. All fields are in network
// order.
//
// Ethernet: IEEE 802.3. ARP: RFC 826. IPv4: RFC 791. ICMP: RFC 792. TCP: RFC 9293. UDP: RFC 768.
// Structs are packed to 2 bytes: an IP header follows 14 bytes of Ethernet, so no field is ever
// aligned to more.
#pragma once

#include <assert.h>
#include <stdint.h>

#define SG_ETHERTYPE_IPV4 0x0800
#define SG_ETHERTYPE_ARP  0x0806
#define SG_ETHERTYPE_VLAN 0x8100
#define SG_ETHERTYPE_QINQ 0x88a8
#define SG_ETHERTYPE_IPV6 0x86dd

#define SG_PROTO_ICMP   1
#define SG_PROTO_IPIP   4
#define SG_PROTO_TCP    6
#define SG_PROTO_UDP    17
#define SG_PROTO_ICMPV6 58

#define SG_ICMP_ECHO_REPLY    0
#define SG_ICMP_UNREACHABLE   3
#define SG_ICMP_ECHO          8
#define SG_ICMP_TIME_EXCEEDED 11
#define SG_ICMP_PARAMETER     12

#define SG_ICMP_CODE_PORT_UNREACHABLE 3
#define SG_ICMP_CODE_FRAG_NEEDED      4

#define SG_TCP_FIN 0x01
#define SG_TCP_SYN 0x02
#define SG_TCP_RST 0x04
#define SG_TCP_ACK 0x10

#define SG_IPV4_DF        0x4000
#define SG_IPV4_FRAG_MASK 0x3fff // more fragments, or an offset
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

struct __attribute__((packed, aligned(2))) sg_icmp_hdr {
	uint8_t type;
	uint8_t code;
	uint16_t checksum;
	uint32_t rest_be; // identifier and sequence, or next-hop MTU, or unused
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
static_assert(sizeof(struct sg_icmp_hdr) == 8, "ICMP header");
static_assert(sizeof(struct sg_tcp_hdr) == 20, "TCP header without options");
static_assert(sizeof(struct sg_udp_hdr) == 8, "UDP header");
