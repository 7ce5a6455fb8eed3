// One packet, one verdict: a table of what the stages make of a packet that nobody knows yet.
#include "net/checksum.h"
#include "rig.h"
#include "stages.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

// clang-format off
#define TCP(s, sp, d, dp, ...) .text = {.src = s, .dst = d, .sport = sp, .dport = dp, .proto = SG_PROTO_TCP, __VA_ARGS__}
#define UDP(s, sp, d, dp, ...) .text = {.src = s, .dst = d, .sport = sp, .dport = dp, .proto = SG_PROTO_UDP, __VA_ARGS__}
#define ICMP(s, d, t, ...) .text = {.src = s, .dst = d, .proto = SG_PROTO_ICMP, .icmp_type = t, __VA_ARGS__}
#define VLAN_CLIENT "198.18.0.7"
#define SYN .flags = SG_TCP_SYN
#define ACK .flags = SG_TCP_ACK
#define DROP(reason) SG_VERDICT_DROP, SG_DROP_##reason
// clang-format on

// What a row does to the frame after it was built.
// clang-format off
static void cut_to_13(struct frame *f) { f->length = 13; }
static void cut_ip(struct frame *f) { f->length = 30; }
static void cut_payload(struct frame *f) { f->length -= 1; }
static void pad_to_60(struct frame *f) { memset(f->bytes + f->length, 0xa5, 60); f->length = 60; }
static void version_6(struct frame *f) { frame_ip(f)->version_ihl = 0x65; }
static void ihl_4(struct frame *f) { frame_ip(f)->version_ihl = 0x44; }
static void total_10(struct frame *f) { frame_ip(f)->total_length_be = htons(10); }
static void break_ip_checksum(struct frame *f) { frame_ip(f)->checksum ^= 1; }
static void break_l4_checksum(struct frame *f) { f->bytes[f->length - 1] ^= 1; }
static void offset_4(struct frame *f) { ((struct sg_tcp_hdr *)frame_l4(f))->offset = 4 << 4; frame_fix_checksums(f); }
static void offset_15(struct frame *f) { ((struct sg_tcp_hdr *)frame_l4(f))->offset = 15 << 4; frame_fix_checksums(f); }
static void udp_length_7(struct frame *f) { ((struct sg_udp_hdr *)frame_l4(f))->length_be = htons(7); frame_fix_checksums(f); }
static void udp_length_99(struct frame *f) { ((struct sg_udp_hdr *)frame_l4(f))->length_be = htons(99); frame_fix_checksums(f); }
static void no_l4(struct frame *f) { frame_ip(f)->total_length_be = htons(22); f->length = 36; frame_ip(f)->checksum = 0; frame_fix_checksums(f); }
static void first_fragment(struct frame *f) { frame_ip(f)->fragment_be = htons(0x2000); frame_fix_checksums(f); }
static void last_fragment(struct frame *f) { frame_ip(f)->fragment_be = htons(0x0010); frame_fix_checksums(f); }
static void gre_fragment(struct frame *f) { frame_ip(f)->proto = 47; last_fragment(f); }
static void empty_fragment(struct frame *f) { frame_ip(f)->total_length_be = htons(20); last_fragment(f); }
static void beyond_fragment(struct frame *f) { frame_ip(f)->fragment_be = htons(0x1fff); frame_fix_checksums(f); }
static void furthest_fragment(struct frame *f) { frame_ip(f)->total_length_be = htons(27); frame_ip(f)->fragment_be = htons(0x1ffc); frame_fix_checksums(f); }
static void tiny_fragment(struct frame *f) { frame_ip(f)->total_length_be = htons(28); first_fragment(f); }
static void second_fragment(struct frame *f) { frame_ip(f)->fragment_be = htons(0x0001); frame_fix_checksums(f); }
static void tag_100_fragment(struct frame *f) { last_fragment(f); frame_tag(f, 0x8100, RIG_VLAN); }
static void dont_fragment(struct frame *f) { frame_ip(f)->fragment_be = htons(SG_IPV4_DF); frame_fix_checksums(f); }
static void other_mac(struct frame *f) { f->bytes[5] ^= 0x77; }
static void broadcast_mac(struct frame *f) { memset(f->bytes, 0xff, 6); }
static void multicast_mac(struct frame *f) { memcpy(f->bytes, "\x01\x00\x5e\x00\x00\x12", 6); }
static void options_4(struct frame *f) { frame_add_options(f, 4); }
static void options_40(struct frame *f) { frame_add_options(f, 40); }
static void options_cut(struct frame *f) { frame_ip(f)->version_ihl = 0x4f; frame_fix_checksums(f); }
static void udp_shorter(struct frame *f) { f->length += 3; frame_ip(f)->total_length_be = htons(f->length - 14); frame_ip(f)->checksum = 0; frame_ip(f)->checksum = sg_checksum_finish(sg_checksum_add(0, frame_ip(f), 20)); }
static void ttl_0(struct frame *f) { frame_ip(f)->ttl = 0; frame_fix_checksums(f); }
static void ip_checksum_0(struct frame *f) { frame_ip(f)->checksum = 0; }
static void tcp_checksum_0(struct frame *f) { ((struct sg_tcp_hdr *)frame_l4(f))->checksum = 0; }
static void ethertype_lldp(struct frame *f) { f->bytes[12] = 0x88; f->bytes[13] = 0xcc; }
static void tag_100(struct frame *f) { frame_tag(f, 0x8100, RIG_VLAN); }
static void padded_tag_100(struct frame *f) { pad_to_60(f); frame_tag(f, 0x8100, 0xe000 | RIG_VLAN); }
static void tag_priority(struct frame *f) { frame_tag(f, 0x8100, 0xa000); }
static void tag_101(struct frame *f) { frame_tag(f, 0x8100, 101); }
static void tag_twice(struct frame *f) { tag_100(f); frame_tag(f, 0x8100, RIG_VLAN); }
static void tag_provider(struct frame *f) { frame_tag(f, 0x88a8, RIG_VLAN); }
static void tag_cut(struct frame *f) { tag_100(f); f->length = 16; }
static void tag_cut_ip(struct frame *f) { tag_100(f); f->length = 30; }
static void proto_gre(struct frame *f) { frame_ip(f)->proto = 47; frame_fix_checksums(f); }
static void proto_ospf(struct frame *f) { frame_ip(f)->proto = 89; frame_fix_checksums(f); }

// clang-format on

// A bare IPv6 header to `dst`, with the next header given.
static void write_ipv6(struct frame *f, const char *dst, uint8_t next, uint8_t icmp_type)
{
	uint8_t *ip = f->bytes + 14;

	f->bytes[12] = 0x86;
	f->bytes[13] = 0xdd;
	memset(ip, 0, 60);
	ip[0] = 0x60;
	ip[5] = 8;
	ip[6] = next;
	ip[7] = 255;
	inet_pton(AF_INET6, "fe80::1", ip + 8);
	inet_pton(AF_INET6, dst, ip + 24);
	ip[40] = icmp_type;
	f->length = 14 + 48;
}

// clang-format off
static void ipv6_solicit(struct frame *f) { write_ipv6(f, "ff02::1:ff00:1", 58, 135); }
static void ipv6_ospf(struct frame *f) { write_ipv6(f, "ff02::5", 89, 0); }
static void ipv6_site_multicast(struct frame *f) { write_ipv6(f, "ff05::2", 17, 0); }
static void ipv6_link_local(struct frame *f) { write_ipv6(f, "fe80::2", 6, 0); }
static void ipv6_global(struct frame *f) { write_ipv6(f, "2001:db8::2", 6, 0); }
static void ipv6_kernels(struct frame *f) { write_ipv6(f, "2001:db8::11", 6, 0); }
static void ipv6_kernels_elsewhere(struct frame *f) { write_ipv6(f, "2001:db8::12", 6, 0); }
static void ipv6_cut(struct frame *f) { write_ipv6(f, "2001:db8::2", 6, 0); f->length = 50; }
// clang-format on

struct row {
	const char *story;
	uint8_t port;
	struct ipv4_text text;
	void (*change)(struct frame *frame);
	enum sg_verdict verdict;
	enum sg_drop drop;
	uint16_t flags;
};

// clang-format off
static const struct row rows[] = {
	{"a SYN to a service", 0, TCP(CLIENT, 4000, VIP, 80, SYN), NULL, SG_VERDICT_FORWARD, 0},
	{"with padding behind it", 0, TCP(CLIENT, 4000, VIP, 80, SYN), pad_to_60, SG_VERDICT_FORWARD, 0},
	{"with DF", 0, TCP(CLIENT, 4000, VIP, 80, SYN), dont_fragment, SG_VERDICT_FORWARD, 0},
	{"from behind a gateway", 0, TCP("203.0.113.9", 4000, VIP, 80, SYN), NULL, SG_VERDICT_FORWARD, 0},
	{"a datagram to a service", 0, UDP(CLIENT, 4000, VIP, 53, .payload = 30), NULL, SG_VERDICT_FORWARD, 0},
	{"a datagram without checksum", 0, UDP(CLIENT, 4000, VIP, 53, .no_udp_checksum = true), NULL, SG_VERDICT_FORWARD, 0},

	{"half an Ethernet header", 0, TCP(CLIENT, 4000, VIP, 80, SYN), cut_to_13, DROP(TRUNCATED)},
	{"half an IP header", 0, TCP(CLIENT, 4000, VIP, 80, SYN), cut_ip, DROP(TRUNCATED)},
	{"a byte short of its total length", 0, TCP(CLIENT, 4000, VIP, 80, SYN), cut_payload, DROP(TRUNCATED)},
	{"IP version 6 in an IPv4 frame", 0, TCP(CLIENT, 4000, VIP, 80, SYN), version_6, DROP(BAD_IP_HEADER)},
	{"IP header of 16 bytes", 0, TCP(CLIENT, 4000, VIP, 80, SYN), ihl_4, DROP(BAD_IP_HEADER)},
	{"total length below the header's", 0, TCP(CLIENT, 4000, VIP, 80, SYN), total_10, DROP(BAD_IP_HEADER)},
	{"IP checksum off by one", 0, TCP(CLIENT, 4000, VIP, 80, SYN), break_ip_checksum, DROP(BAD_IP_CHECKSUM)},
	{"TCP data offset 4", 0, TCP(CLIENT, 4000, VIP, 80, SYN), offset_4, DROP(BAD_L4_HEADER)},
	{"TCP data offset behind the end", 0, TCP(CLIENT, 4000, VIP, 80, SYN), offset_15, DROP(BAD_L4_HEADER)},
	{"two bytes of TCP", 0, TCP(CLIENT, 4000, VIP, 80, SYN), no_l4, DROP(BAD_L4_HEADER)},
	{"UDP length below its header's", 0, UDP(CLIENT, 4000, VIP, 53), udp_length_7, DROP(BAD_L4_HEADER)},
	{"UDP length behind the end", 0, UDP(CLIENT, 4000, VIP, 53), udp_length_99, DROP(BAD_L4_HEADER)},
	{"TCP checksum wrong", 0, TCP(CLIENT, 4000, VIP, 80, SYN, .payload = 9), break_l4_checksum, DROP(BAD_L4_CHECKSUM)},
	{"UDP checksum wrong", 0, UDP(CLIENT, 4000, VIP, 53, .payload = 9), break_l4_checksum, DROP(BAD_L4_CHECKSUM)},
	{"the device vouches for it", 0, TCP(CLIENT, 4000, VIP, 80, SYN, .payload = 9), break_l4_checksum, SG_VERDICT_FORWARD, 0, SG_PKT_L4_GOOD},
	{"first fragment", 0, UDP(CLIENT, 4000, VIP, 53, .payload = 64), first_fragment, SG_VERDICT_REASSEMBLE, 0},
	{"last fragment", 0, UDP(CLIENT, 4000, VIP, 53), last_fragment, SG_VERDICT_REASSEMBLE, 0},
	{"a fragment of TCP", 0, TCP(CLIENT, 4000, VIP, 80, SYN, .payload = 44), first_fragment, SG_VERDICT_REASSEMBLE, 0},
	{"a fragment for a SNAT address", 1, UDP(POD, 8080, SNAT, 2000), last_fragment, SG_VERDICT_REASSEMBLE, 0},
	{"a fragment of a dnat backend", 1, UDP(POD2, 8080, CLIENT, 2000), last_fragment, SG_VERDICT_REASSEMBLE, 0},
	{"a fragment of another pod", 1, UDP(POD, 8080, CLIENT, 2000), last_fragment, DROP(NOT_LOCAL)},
	{"a fragment of an undeclared protocol", 0, UDP(CLIENT, 4000, VIP, 53), gre_fragment, SG_VERDICT_REASSEMBLE, 0},
	{"a first fragment that ends at no multiple of 8", 0, UDP(CLIENT, 4000, VIP, 53, .payload = 63), first_fragment, DROP(FRAGMENT_BAD)},
	{"an empty fragment", 0, UDP(CLIENT, 4000, VIP, 53), empty_fragment, DROP(FRAGMENT_BAD)},
	{"a fragment that ends beyond 65,535", 0, UDP(CLIENT, 4000, VIP, 53, .payload = 16), beyond_fragment, DROP(FRAGMENT_BAD)},
	{"the last that there can be", 0, UDP(CLIENT, 4000, VIP, 53, .payload = 8), furthest_fragment, SG_VERDICT_REASSEMBLE, 0},
	{"a first fragment of 8 bytes of TCP", 0, TCP(CLIENT, 4000, VIP, 80, SYN), tiny_fragment, DROP(FRAGMENT_TINY)},
	{"a fragment at byte 8 of TCP", 0, TCP(CLIENT, 4000, VIP, 80, SYN), second_fragment, DROP(FRAGMENT_TINY)},
	{"a fragment from a broadcast address", 0, UDP("255.255.255.255", 4000, VIP, 53), last_fragment, DROP(BAD_ADDRESS)},
	{"a broken fragment for the kernel", 0, UDP(CLIENT, 4000, "198.51.100.11", 53, .payload = 16), beyond_fragment, SG_VERDICT_PUNT, 0},
	{"land attack", 0, TCP(VIP, 80, VIP, 80, SYN), NULL, DROP(BAD_ADDRESS)},
	{"source the VIP, another port", 0, TCP(VIP, 4000, VIP, 80, SYN), NULL, DROP(BAD_ADDRESS)},
	{"source the VIP, to a SNAT address", 1, UDP(VIP, 4000, SNAT, 2000), NULL, DROP(BAD_ADDRESS)},
	{"source a SNAT address", 0, TCP(SNAT, 4000, VIP, 80, SYN), NULL, DROP(BAD_ADDRESS)},
	{"echo from the VIP's own SNAT address", 0, ICMP(SNAT, VIP, SG_ICMP_ECHO), NULL, DROP(BAD_ADDRESS)},
	{"a fragment from a SNAT address", 0, UDP(SNAT, 4000, VIP, 53), last_fragment, DROP(BAD_ADDRESS)},
	{"the node itself with a SNAT address of its", 0, TCP(SNAT, 4000, VIP, 80, SYN), NULL, SG_VERDICT_FORWARD, 0, SG_PKT_FROM_KERNEL},
	{"source the node itself, from outside", 0, TCP("198.51.100.11", 4000, VIP, 80, SYN), NULL, DROP(BAD_ADDRESS)},
	{"source the node itself, on another port", 1, UDP("198.51.100.11", 4000, VIP, 53), NULL, DROP(BAD_ADDRESS)},
	{"the node itself", 0, TCP("198.51.100.11", 4000, VIP, 80, SYN), NULL, SG_VERDICT_FORWARD, 0, SG_PKT_FROM_KERNEL},
	{"source the pods' subnet broadcast", 0, UDP("10.255.255.255", 80, VIP, 53), NULL, DROP(NO_ROUTE)},
	{"source 0.1.2.3", 0, UDP("0.1.2.3", 80, VIP, 53), NULL, DROP(BAD_ADDRESS)},
	{"source 240.0.0.1", 0, UDP("240.0.0.1", 80, VIP, 53), NULL, DROP(BAD_ADDRESS)},
	{"source 0.0.0.0", 0, TCP("0.0.0.0", 80, VIP, 80, SYN), NULL, DROP(BAD_ADDRESS)},
	{"source broadcast", 0, TCP("255.255.255.255", 80, VIP, 80, SYN), NULL, DROP(BAD_ADDRESS)},
	{"source multicast", 0, UDP("224.0.0.1", 80, VIP, 53), NULL, DROP(BAD_ADDRESS)},
	{"source loopback", 0, UDP("127.0.0.1", 80, VIP, 53), NULL, DROP(BAD_ADDRESS)},
	{"to a VIP by link broadcast", 0, TCP(CLIENT, 4000, VIP, 80, SYN), broadcast_mac, DROP(BAD_ADDRESS)},
	{"to a VIP by link multicast", 0, TCP(CLIENT, 4000, VIP, 80, SYN), multicast_mac, DROP(BAD_ADDRESS)},
	{"to the subnet's broadcast", 0, UDP(CLIENT, 4000, "198.51.100.255", 53), broadcast_mac, DROP(NOT_LOCAL)},
	{"to every router, VRRP", 0, UDP(CLIENT, 1, "224.0.0.18", 1), multicast_mac, SG_VERDICT_PUNT_URGENT, 0},
	{"IPv4 options", 0, TCP(CLIENT, 4000, VIP, 80, SYN), options_4, SG_VERDICT_FORWARD, 0},
	{"all the options that fit", 0, UDP(CLIENT, 4000, VIP, 53, .payload = 9), options_40, SG_VERDICT_FORWARD, 0},
	{"options in an echo", 0, ICMP(CLIENT, VIP, SG_ICMP_ECHO, .payload = 5), options_40, SG_VERDICT_ANSWER, 0},
	{"options behind the end", 0, TCP(CLIENT, 4000, VIP, 80, SYN), options_cut, DROP(BAD_IP_HEADER)},
	{"an empty datagram", 0, UDP(CLIENT, 4000, VIP, 53), NULL, SG_VERDICT_FORWARD, 0},
	{"one byte", 0, UDP(CLIENT, 4000, VIP, 53, .payload = 1), NULL, SG_VERDICT_FORWARD, 0},
	{"UDP that ends before IP does", 0, UDP(CLIENT, 4000, VIP, 53, .payload = 9), udp_shorter, SG_VERDICT_FORWARD, 0},
	{"TTL 0 is answered as 1 is", 0, TCP(CLIENT, 4000, VIP, 80, SYN), ttl_0, SG_VERDICT_ANSWER, 0},
	{"an IP checksum of the wrong kind", 0, TCP(CLIENT, 4000, VIP, 80, SYN), ip_checksum_0, DROP(BAD_IP_CHECKSUM)},
	{"a TCP checksum of 0", 0, TCP(CLIENT, 4000, VIP, 80, SYN), tcp_checksum_0, DROP(BAD_L4_CHECKSUM)},
	{"to another station's MAC", 0, TCP(CLIENT, 4000, VIP, 80, SYN), other_mac, DROP(OTHER_MAC)},
	{"LLDP", 0, TCP(CLIENT, 4000, VIP, 80, SYN), ethertype_lldp, DROP(UNKNOWN_ETHERTYPE)},
	{"a VLAN that a port has", 0, TCP(VLAN_CLIENT, 4000, VIP, 80, SYN), tag_100, SG_VERDICT_FORWARD, 0},
	{"with padding behind it and a priority", 0, TCP(VLAN_CLIENT, 4000, VIP, 80, SYN), padded_tag_100, SG_VERDICT_FORWARD, 0},
	{"a priority tag", 0, TCP(CLIENT, 4000, VIP, 80, SYN), tag_priority, SG_VERDICT_FORWARD, 0},
	{"a VLAN that no port has", 0, TCP(CLIENT, 4000, VIP, 80, SYN), tag_101, DROP(VLAN_TAG)},
	{"a VLAN that another port has", 1, TCP(POD, 4000, VIP, 80, SYN), tag_100, DROP(VLAN_TAG)},
	{"a VLAN tag that the device took off, and nobody said which", 0, TCP(CLIENT, 4000, VIP, 80, SYN), tag_101, DROP(VLAN_STACKED), SG_PKT_TAGGED},
	{"two that the device took off", 0, TCP(CLIENT, 4000, VIP, 80, SYN), NULL, DROP(VLAN_STACKED), SG_PKT_TAGGED | SG_PKT_STACKED},
	{"stacked VLAN tags", 0, TCP(CLIENT, 4000, VIP, 80, SYN), tag_twice, DROP(VLAN_STACKED)},
	{"a provider's tag", 0, TCP(CLIENT, 4000, VIP, 80, SYN), tag_provider, DROP(VLAN_STACKED)},
	{"half a tag", 0, TCP(CLIENT, 4000, VIP, 80, SYN), tag_cut, DROP(TRUNCATED)},
	{"a tag and half an IP header", 0, TCP(CLIENT, 4000, VIP, 80, SYN), tag_cut_ip, DROP(TRUNCATED)},
	{"echo to a VIP in a VLAN", 0, ICMP(VLAN_CLIENT, VIP, SG_ICMP_ECHO), tag_100, SG_VERDICT_ANSWER, 0},
	{"to the kernel's address in the VLAN", 0, TCP(VLAN_CLIENT, 4000, "198.18.0.11", 22, SYN), tag_100, SG_VERDICT_PUNT, 0},
	{"to the kernel's address outside of it", 0, TCP(VLAN_CLIENT, 4000, "198.51.100.11", 22, SYN), tag_100, DROP(NOT_LOCAL)},
	{"a fragment in a VLAN", 0, UDP(VLAN_CLIENT, 4000, VIP, 53), tag_100_fragment, SG_VERDICT_REASSEMBLE, 0},
	{"the kernel speaks in a VLAN of its own", 0, TCP(CLIENT, 1, VIP, 1, SYN), tag_101, SG_VERDICT_SEND, 0, SG_PKT_FROM_KERNEL},

	{"to nobody's address", 0, TCP(CLIENT, 4000, "192.0.2.99", 80, SYN), NULL, DROP(NOT_LOCAL)},
	{"to the pods' net behind us", 0, TCP(CLIENT, 4000, POD, 80, SYN), NULL, DROP(NOT_LOCAL)},
	{"to the kernel's address on another port", 0, TCP(CLIENT, 4000, "10.0.0.11", 22, SYN), NULL, DROP(NOT_LOCAL)},
	{"to the kernel's address here", 0, TCP(CLIENT, 4000, "198.51.100.11", 22, SYN), NULL, SG_VERDICT_PUNT, 0},
	{"a fragment for the kernel", 0, TCP(CLIENT, 4000, "198.51.100.11", 22, SYN), first_fragment, SG_VERDICT_PUNT, 0},
	{"a bad checksum for the kernel", 0, TCP(CLIENT, 4000, "198.51.100.11", 22, SYN), break_l4_checksum, SG_VERDICT_PUNT, 0},
	{"OSPF hello", 0, UDP(CLIENT, 1, "224.0.0.5", 1), proto_ospf, SG_VERDICT_PUNT_URGENT, 0},
	{"IPv4 multicast beyond the link", 0, UDP(CLIENT, 1, "239.1.1.1", 1), NULL, DROP(MULTICAST)},
	{"DHCP broadcast", 0, UDP("0.0.0.0", 68, "255.255.255.255", 67), broadcast_mac, DROP(MULTICAST)},
	{"neighbour solicitation", 0, TCP(CLIENT, 1, VIP, 1, SYN), ipv6_solicit, SG_VERDICT_PUNT_URGENT, 0},
	{"OSPFv3 hello", 0, TCP(CLIENT, 1, VIP, 1, SYN), ipv6_ospf, SG_VERDICT_PUNT_URGENT, 0},
	{"IPv6 link-local", 0, TCP(CLIENT, 1, VIP, 1, SYN), ipv6_link_local, SG_VERDICT_PUNT, 0},
	{"IPv6 multicast beyond the link", 0, TCP(CLIENT, 1, VIP, 1, SYN), ipv6_site_multicast, DROP(MULTICAST)},
	{"IPv6 unicast", 0, TCP(CLIENT, 1, VIP, 1, SYN), ipv6_global, DROP(NOT_LOCAL)},
	{"IPv6 to the kernel's address here", 0, TCP(CLIENT, 1, VIP, 1, SYN), ipv6_kernels, SG_VERDICT_PUNT, 0},
	{"IPv6 to the kernel's address on another port", 0, TCP(CLIENT, 1, VIP, 1, SYN), ipv6_kernels_elsewhere, DROP(NOT_LOCAL)},
	{"half an IPv6 header", 0, TCP(CLIENT, 1, VIP, 1, SYN), ipv6_cut, DROP(TRUNCATED)},

	{"an undeclared port", 0, TCP(CLIENT, 4000, VIP, 81, SYN), NULL, DROP(UNSERVED_PORT)},
	{"UDP to a TCP service's port", 0, UDP(CLIENT, 4000, VIP, 80), NULL, DROP(UNSERVED_PORT)},
	{"GRE to a VIP", 0, UDP(CLIENT, 4000, VIP, 80), proto_gre, DROP(UNSERVED_PROTOCOL)},
	{"a source that is not allowed", 0, TCP(CLIENT, 4000, VIP, 443, SYN), NULL, DROP(NOT_ALLOWED)},
	{"a source that is denied", 0, TCP("203.0.113.66", 4000, VIP, 443, SYN), NULL, DROP(DENIED)},
	{"denied inside what is allowed more exactly", 0, TCP("203.0.113.65", 4000, VIP, 443, SYN), NULL, DROP(DENIED)},
	{"a source that all services deny", 0, TCP("203.0.113.200", 4000, VIP, 80, SYN), NULL, DROP(DENIED)},
	{"which one service allows", 0, TCP("203.0.113.200", 4000, VIP, 443, SYN), NULL, DROP(DENIED)},
	{"a source that is", 0, TCP("203.0.113.9", 4000, VIP, 443, SYN), NULL, SG_VERDICT_FORWARD, 0},
	{"an ACK out of nowhere gets a RST", 0, TCP(CLIENT, 4000, VIP, 80, ACK), NULL, SG_VERDICT_ANSWER, 0},
	{"SYN + FIN gets one too", 0, TCP(CLIENT, 4000, VIP, 80, .flags = SG_TCP_SYN | SG_TCP_FIN), NULL, SG_VERDICT_ANSWER, 0},
	{"no flags at all", 0, TCP(CLIENT, 4000, VIP, 80), NULL, SG_VERDICT_ANSWER, 0},
	{"a RST out of nowhere", 0, TCP(CLIENT, 4000, VIP, 80, .flags = SG_TCP_RST), NULL, DROP(NO_FLOW)},
	{"a reply to nothing", 1, UDP(POD, 8080, SNAT, 2000), NULL, DROP(REPLY_NO_FLOW)},
	{"a segment that replies to nothing", 1, TCP(POD, 8080, SNAT, 2000, ACK), NULL, SG_VERDICT_ANSWER, 0},
	{"a service without backends refuses TCP", 0, TCP(CLIENT, 4000, VIP, 90, SYN), NULL, SG_VERDICT_ANSWER, 0},
	{"and UDP", 0, UDP(CLIENT, 4000, VIP, 91), NULL, SG_VERDICT_ANSWER, 0},
	{"a client that no route leads to", 0, TCP("8.8.8.8", 4000, VIP, 80, SYN), NULL, DROP(NO_ROUTE)},
	{"a backend not resolved yet is held", 0, TCP(CLIENT, 4000, VIP, 92, SYN), NULL, SG_VERDICT_FORWARD, 0},
	{"a backend nobody has asked for yet", 0, TCP(CLIENT, 4000, VIP, 93, SYN), NULL, DROP(NEXTHOP_UNRESOLVED)},
	{"a backend on this node", 0, TCP(CLIENT, 4000, VIP, 94, SYN), NULL, SG_VERDICT_FORWARD, 0},
	{"longer than the way out", 0, UDP(CLIENT, 4000, VIP, 53, .payload = 1500), NULL, SG_VERDICT_FORWARD, 0},
	{"longer than the way out, with DF", 0, UDP(CLIENT, 4000, VIP, 53, .payload = 1500), dont_fragment, SG_VERDICT_ANSWER, 0},

	{"TTL 1 is answered", 0, TCP(CLIENT, 4000, VIP, 80, SYN, .ttl = 1), NULL, SG_VERDICT_ANSWER, 0},
	{"echo to a VIP", 0, ICMP(CLIENT, VIP, SG_ICMP_ECHO, .payload = 56), NULL, SG_VERDICT_ANSWER, 0},
	{"echo to a SNAT address", 1, ICMP(POD, SNAT, SG_ICMP_ECHO), NULL, SG_VERDICT_ANSWER, 0},
	{"echo to the kernel", 0, ICMP(CLIENT, "198.51.100.11", SG_ICMP_ECHO), NULL, SG_VERDICT_PUNT, 0},
	{"an ICMP error about nothing", 0, ICMP(CLIENT, VIP, SG_ICMP_UNREACHABLE, .payload = 28), NULL, DROP(ICMP_UNMATCHED)},
	{"a broken echo", 0, ICMP(CLIENT, VIP, SG_ICMP_ECHO, .payload = 8), break_l4_checksum, DROP(BAD_L4_CHECKSUM)},

	{"the kernel speaks to a client", 0, TCP("198.51.100.11", 22, CLIENT, 4000, ACK), NULL, SG_VERDICT_SEND, 0, SG_PKT_FROM_KERNEL},
	{"the kernel speaks LLDP", 0, TCP(CLIENT, 1, VIP, 1, SYN), ethertype_lldp, SG_VERDICT_SEND, 0, SG_PKT_FROM_KERNEL},
	{"the kernel speaks nonsense", 0, TCP(CLIENT, 1, VIP, 1, SYN), ihl_4, SG_VERDICT_SEND, 0, SG_PKT_FROM_KERNEL},
	{"the kernel speaks IPv6", 0, TCP(CLIENT, 1, VIP, 1, SYN), ipv6_solicit, SG_VERDICT_SEND, 0, SG_PKT_FROM_KERNEL},
	{"a client on the node itself", 0, TCP("198.51.100.11", 4000, VIP, 80, SYN), NULL, SG_VERDICT_FORWARD, 0, SG_PKT_FROM_KERNEL},
};
// clang-format on

static void declare_services(struct rig *rig)
{
	struct sg_service_spec *spec;
	struct sg_prefix allowed, denied;

	rig_deny_all(rig, "203.0.113.200/29");
	rig_service(rig, "web", SG_PROTO_TCP, 80);
	rig_service(rig, "dns", SG_PROTO_UDP, 53);
	spec = rig_service(rig, "private", SG_PROTO_TCP, 443);
	spec->policy.allow_everyone = false;
	assert_int_equal(sg_prefix_parse("203.0.113.0/24", &allowed, NULL), 0);
	assert_int_equal(sg_policy_spec_add_allow(&spec->policy, &allowed), 0);
	assert_int_equal(sg_prefix_parse("203.0.113.65/32", &allowed, NULL), 0);
	assert_int_equal(sg_policy_spec_add_allow(&spec->policy, &allowed), 0);
	assert_int_equal(sg_prefix_parse("203.0.113.64/30", &denied, NULL), 0);
	assert_int_equal(sg_policy_spec_add_deny(&spec->policy, &denied), 0);
	spec = rig_service(rig, "empty-tcp", SG_PROTO_TCP, 90);
	spec->n_backends = 0;
	spec = rig_service(rig, "empty-udp", SG_PROTO_UDP, 91);
	spec->n_backends = 0;
	spec = rig_service(rig, "unresolved", SG_PROTO_TCP, 92);
	spec->backends[0].address = test_addr("10.0.0.9");
	spec = rig_service(rig, "unknown", SG_PROTO_TCP, 93);
	spec->backends[0].address = test_addr("10.0.0.77");
	spec = rig_service(rig, "host", SG_PROTO_TCP, 94);
	spec->backends[0].address = test_addr("10.0.0.11");
	spec = rig_service(rig, "kept", SG_PROTO_UDP, 95);
	spec->forward = SG_FORWARD_DNAT;
	spec->backends[0].address = test_addr(POD2);
	rig_commit(rig);
}

static void run_row(const struct row *row)
{
	static const uint8_t *const stations[2] = {client_mac, pod_mac};
	struct rig rig;
	struct frame frame;
	const struct sg_pkt *pkt;

	rig_open(&rig, &(struct rig_options){0});
	declare_services(&rig);
	frame_packet(&frame, port_macs[row->port], stations[row->port], &row->text);
	if (row->change)
		row->change(&frame);
	pkt = rig_run(&rig, 0, row->port, row->flags, &frame);
	if (pkt->verdict != row->verdict ||
		(pkt->verdict == SG_VERDICT_DROP && pkt->drop != row->drop))
		fail_msg("%s: verdict %d drop %s", row->story, pkt->verdict,
			pkt->verdict == SG_VERDICT_DROP ? sg_drop_name(pkt->drop) : "-");
	rig_close(&rig);
}

void each_packet_gets_its_verdict(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		run_row(&rows[i]);
}

void arp_is_answered_for_our_addresses_only(void **unused)
{
	static const struct {
		const char *story;
		uint16_t operation;
		const char *sender, *target;
		uint16_t flags;
		enum sg_verdict verdict;
	} arps[] = {
		{"who has the VIP", SG_ARP_REQUEST, CLIENT, VIP, 0, SG_VERDICT_ANSWER},
		{"who has the SNAT address", SG_ARP_REQUEST, CLIENT, SNAT, 0, SG_VERDICT_ANSWER},
		{"a probe for the VIP", SG_ARP_REQUEST, "0.0.0.0", VIP, 0, SG_VERDICT_ANSWER},
		{"another announces the VIP", SG_ARP_REQUEST, VIP, VIP, 0, SG_VERDICT_PUNT_URGENT},
		{"who has the kernel's", SG_ARP_REQUEST, CLIENT, "198.51.100.11", 0,
			SG_VERDICT_PUNT_URGENT},
		{"a reply", SG_ARP_REPLY, CLIENT, "198.51.100.11", 0, SG_VERDICT_PUNT_URGENT},
		{"the kernel asks for a client", SG_ARP_REQUEST, "198.51.100.11", CLIENT,
			SG_PKT_FROM_KERNEL, SG_VERDICT_SEND},
		{"the kernel asks for our SNAT address", SG_ARP_REQUEST, "198.51.100.11", SNAT,
			SG_PKT_FROM_KERNEL, SG_VERDICT_ANSWER},
	};
	struct rig rig;
	struct frame frame;

	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	declare_services(&rig);
	for (size_t i = 0; i < sizeof(arps) / sizeof(arps[0]); i++) {
		const struct sg_arp_hdr *arp = (const void *)(rig.out.bytes + 14);
		const struct sg_pkt *pkt;

		frame_arp(&frame, port_macs[0], client_mac, arps[i].operation, arps[i].sender,
			arps[i].target);
		pkt = rig_run(&rig, 0, 0, arps[i].flags, &frame);
		if (pkt->verdict != arps[i].verdict)
			fail_msg("%s: verdict %d", arps[i].story, pkt->verdict);
		if (pkt->verdict != SG_VERDICT_ANSWER)
			continue;
		assert_int_equal(arp->operation_be, htons(SG_ARP_REPLY));
		assert_memory_equal(arp->sender_mac, port_macs[0], 6);
		assert_int_equal(arp->sender_be, addr_be(arps[i].target));
		assert_int_equal(arp->target_be, addr_be(arps[i].sender));
		assert_memory_equal(rig.out.bytes, client_mac, 6);
	}
	frame_arp(&frame, port_macs[0], client_mac, SG_ARP_REQUEST, CLIENT, VIP);
	frame.bytes[14 + 4] = 8; // hardware length
	assert_int_equal(rig_run(&rig, 0, 0, 0, &frame)->drop, SG_DROP_BAD_ARP);
	rig_close(&rig);
}

void answers_have_a_budget(void **unused)
{
	static const struct ipv4_text stray = {.src = CLIENT,
		.dst = VIP,
		.sport = 1,
		.dport = 80,
		.proto = SG_PROTO_TCP,
		.flags = SG_TCP_ACK};
	static const struct ipv4_text to_empty = {.src = CLIENT,
		.dst = VIP,
		.sport = 1,
		.dport = 90,
		.proto = SG_PROTO_TCP,
		.flags = SG_TCP_SYN};
	static const struct ipv4_text last_hop = {.src = CLIENT,
		.dst = VIP,
		.sport = 1,
		.dport = 80,
		.proto = SG_PROTO_TCP,
		.flags = SG_TCP_SYN,
		.ttl = 1};
	struct rig rig;
	static const struct ipv4_text long_one = {.src = CLIENT,
		.dst = VIP,
		.sport = 1,
		.dport = 53,
		.proto = SG_PROTO_UDP,
		.payload = 1500};
	struct frame ack, ttl, empty, too_big;
	unsigned answered = 0;
	const struct sg_pkt *pkt;

	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	declare_services(&rig);
	frame_packet(&ack, port_macs[0], client_mac, &stray);
	frame_packet(&ttl, port_macs[0], client_mac, &last_hop);
	frame_packet(&empty, port_macs[0], client_mac, &to_empty);
	frame_packet(&too_big, port_macs[0], client_mac, &long_one);
	dont_fragment(&too_big);
	while ((pkt = rig_run(&rig, 0, 0, 0, &ack))->verdict == SG_VERDICT_ANSWER)
		answered++;
	assert_in_range(answered, 100, 10000);
	assert_int_equal(pkt->drop, SG_DROP_ANSWER_LIMIT);
	assert_int_equal(rig_run(&rig, 0, 0, 0, &ttl)->drop, SG_DROP_TTL_EXCEEDED);
	assert_int_equal(rig_run(&rig, 0, 0, 0, &empty)->drop, SG_DROP_NO_BACKEND);
	assert_int_equal(rig_run(&rig, 0, 0, 0, &too_big)->drop, SG_DROP_TOO_BIG);
	rig_pass_ms(&rig, 1000);
	assert_int_equal(rig_run(&rig, 0, 0, 0, &ack)->verdict, SG_VERDICT_ANSWER);
	rig_close(&rig);
}

void punting_has_a_budget_and_arp_its_own(void **unused)
{
	static const struct ipv4_text ssh = {.src = CLIENT,
		.dst = "198.51.100.11",
		.sport = 1,
		.dport = 22,
		.proto = SG_PROTO_TCP,
		.flags = SG_TCP_SYN};
	struct rig rig;
	struct frame frame, arp;
	unsigned punted = 0;
	const struct sg_pkt *pkt;

	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	declare_services(&rig);
	frame_packet(&frame, port_macs[0], client_mac, &ssh);
	frame_arp(&arp, port_macs[0], client_mac, SG_ARP_REPLY, CLIENT, "198.51.100.11");
	while ((pkt = rig_run(&rig, 0, 0, 0, &frame))->verdict == SG_VERDICT_PUNT)
		punted++;
	assert_in_range(punted, 100, 100000);
	assert_int_equal(pkt->drop, SG_DROP_PUNT_BUDGET);
	assert_int_equal(rig_run(&rig, 0, 0, 0, &arp)->verdict, SG_VERDICT_PUNT_URGENT);
	rig_pass_ms(&rig, 1000);
	assert_int_equal(rig_run(&rig, 0, 0, 0, &frame)->verdict, SG_VERDICT_PUNT);
	rig_close(&rig);
}

void an_undeclared_port_can_be_refused_aloud(void **unused)
{
	static const struct ipv4_text syn = {.src = CLIENT,
		.dst = VIP,
		.sport = 4000,
		.dport = 81,
		.proto = SG_PROTO_TCP,
		.flags = SG_TCP_SYN,
		.seq = 77};
	static const struct ipv4_text datagram = {.src = CLIENT,
		.dst = VIP,
		.sport = 4000,
		.dport = 81,
		.proto = SG_PROTO_UDP,
		.payload = 5};
	struct rig rig;
	struct frame frame;

	(void)unused;
	rig_open(&rig, &(struct rig_options){.unserved = SG_UNSERVED_REJECT});
	declare_services(&rig);

	frame_packet(&frame, port_macs[0], client_mac, &syn);
	assert_int_equal(rig_run(&rig, 0, 0, 0, &frame)->verdict, SG_VERDICT_ANSWER);
	const struct sg_tcp_hdr *tcp = frame_l4(&rig.out);
	assert_int_equal(tcp->flags, SG_TCP_RST | SG_TCP_ACK);
	assert_int_equal(ntohl(tcp->ack_be), 78);
	assert_int_equal(ntohs(tcp->sport_be), 81);
	assert_true(frame_checksums_hold(rig.out.bytes, rig.out.length));

	frame_packet(&frame, port_macs[0], client_mac, &datagram);
	assert_int_equal(rig_run(&rig, 0, 0, 0, &frame)->verdict, SG_VERDICT_ANSWER);
	const struct sg_icmp_hdr *icmp = frame_l4(&rig.out);
	assert_int_equal(icmp->type, SG_ICMP_UNREACHABLE);
	assert_int_equal(icmp->code, SG_ICMP_CODE_PORT_UNREACHABLE);
	assert_int_equal(frame_ip(&rig.out)->dst_be, addr_be(CLIENT));
	// RFC 792: the header and 8 bytes of what it is about.
	assert_memory_equal(icmp + 1, frame_ip(&frame), 28);
	assert_true(frame_checksums_hold(rig.out.bytes, rig.out.length));
	rig_close(&rig);
}

void ttl_1_is_answered_from_the_ports_address(void **unused)
{
	static const struct ipv4_text syn = {.src = CLIENT,
		.dst = VIP,
		.sport = 4000,
		.dport = 80,
		.proto = SG_PROTO_TCP,
		.flags = SG_TCP_SYN,
		.ttl = 1};
	struct rig rig;
	struct frame frame;

	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	declare_services(&rig);
	frame_packet(&frame, port_macs[0], client_mac, &syn);
	assert_int_equal(rig_run(&rig, 0, 0, 0, &frame)->verdict, SG_VERDICT_ANSWER);
	const struct sg_icmp_hdr *icmp = frame_l4(&rig.out);
	assert_int_equal(icmp->type, SG_ICMP_TIME_EXCEEDED);
	assert_int_equal(frame_ip(&rig.out)->src_be, addr_be("198.51.100.11"));
	assert_int_equal(frame_ip(&rig.out)->dst_be, addr_be(CLIENT));
	assert_true(frame_checksums_hold(rig.out.bytes, rig.out.length));
	assert_memory_equal(rig.out.bytes, client_mac, 6);
	rig_close(&rig);
}

// Every length, odd ones too, with options and without: carried across with right checksums, and
// without Ethernet's padding.
void every_length_keeps_its_checksums(void **unused)
{
	struct rig rig;
	struct frame frame;

	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	declare_services(&rig);
	for (uint16_t i = 0; i < 2 * 3 * 70; i++) {
		bool tcp = i & 1;
		uint16_t payload = i / 6, options = i / 2 % 3 * 20;
		struct ipv4_text text = {.src = CLIENT,
			.dst = VIP,
			.sport = (uint16_t)(4000 + i),
			.dport = tcp ? 80 : 53,
			.proto = tcp ? SG_PROTO_TCP : SG_PROTO_UDP,
			.flags = SG_TCP_SYN,
			.payload = payload};
		uint16_t length;

		frame_ipv4(&frame, port_macs[0], client_mac, &text);
		if (options)
			frame_add_options(&frame, options);
		length = frame.length;
		if (length < 60)
			pad_to_60(&frame);
		if (rig_run(&rig, 0, 0, 0, &frame)->verdict != SG_VERDICT_FORWARD)
			fail_msg("%u bytes behind %u of options", payload, options);
		assert_int_equal(rig.out.length, length);
		assert_true(frame_checksums_hold(rig.out.bytes, rig.out.length));
		assert_memory_equal(
			rig.out.bytes + length - payload, frame.bytes + length - payload, payload);
		assert_memory_equal(frame_ip(&rig.out) + 1, frame_ip(&frame) + 1, options);
	}
	rig_close(&rig);
}

void echo_comes_back_whole(void **unused)
{
	static const struct ipv4_text echo = {.src = CLIENT,
		.dst = VIP,
		.proto = SG_PROTO_ICMP,
		.icmp_type = SG_ICMP_ECHO,
		.payload = 57};
	struct rig rig;
	struct frame frame;

	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	declare_services(&rig);
	frame_packet(&frame, port_macs[0], client_mac, &echo);
	assert_int_equal(rig_run(&rig, 0, 0, 0, &frame)->verdict, SG_VERDICT_ANSWER);
	assert_int_equal(rig.out.length, frame.length);
	assert_int_equal(((struct sg_icmp_hdr *)frame_l4(&rig.out))->type, SG_ICMP_ECHO_REPLY);
	assert_int_equal(frame_ip(&rig.out)->src_be, addr_be(VIP));
	assert_memory_equal(rig.out.bytes + 42, frame.bytes + 42, 57);
	assert_true(frame_checksums_hold(rig.out.bytes, rig.out.length));
	rig_close(&rig);
}
