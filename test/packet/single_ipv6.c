// One IPv6 packet, one verdict: what the stages make of a packet that nobody knows yet, and
// neighbour discovery. The addresses are named as in frames.h.
#include "peer.h"
#include "rig.h"
#include "stages.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "flow/layout.h"
#include "net/checksum.h"

// clang-format off
#define TCP(s, sp, d, dp, ...) .text = {.src = s, .dst = d, .sport = sp, .dport = dp, .proto = SG_PROTO_TCP, __VA_ARGS__}
#define UDP(s, sp, d, dp, ...) .text = {.src = s, .dst = d, .sport = sp, .dport = dp, .proto = SG_PROTO_UDP, __VA_ARGS__}
#define ICMP(s, d, t, ...) .text = {.src = s, .dst = d, .proto = SG_PROTO_ICMP, .icmp_type = t, __VA_ARGS__}
#define SYN .flags = SG_TCP_SYN
#define ACK .flags = SG_TCP_ACK
#define DROP(reason) SG_VERDICT_DROP, SG_DROP_##reason

static void set_length(struct frame *f, uint16_t n) { frame_ip6(f)->payload_length_be = htons(n); }
static void set_src(struct frame *f, const char *a) { inet_pton(AF_INET6, a, frame_ip6(f)->pair.src); frame_fix_checksums(f); }
static void set_dst(struct frame *f, const char *a) { inet_pton(AF_INET6, a, frame_ip6(f)->pair.dst); frame_fix_checksums(f); }

// What a row does to the frame after it was built.
static void cut_ip(struct frame *f) { f->length = 14 + 39; }
static void cut_payload(struct frame *f) { f->length -= 1; }
static void pad(struct frame *f) { memset(f->bytes + f->length, 0xa5, 60); f->length = (uint16_t)(f->length + 6); }
static void version_4(struct frame *f) { f->bytes[14] = 0x45; }
static void jumbogram(struct frame *f) { static const uint8_t option[8] = {0, 0, 0xc2, 4, 0, 1, 0, 0}; frame_insert_extensions(f, 0, option, 8); set_length(f, 0); }
static void no_payload(struct frame *f) { set_length(f, 0); f->length = 54; }
static void break_l4_checksum(struct frame *f) { f->bytes[f->length - 1] ^= 1; }
static void offset_4(struct frame *f) { ((struct sg_tcp_hdr *)frame_l4(f))->offset = 4 << 4; frame_fix_checksums(f); }
static void udp_length_99(struct frame *f) { ((struct sg_udp_hdr *)frame_l4(f))->length_be = htons(99); frame_fix_checksums(f); }
static void other_mac(struct frame *f) { f->bytes[5] ^= 0x77; }
static void group_mac(struct frame *f) { memset(f->bytes, 0x33, 2); }
static void from_any(struct frame *f) { set_src(f, "::"); }
static void from_loopback(struct frame *f) { set_src(f, "::1"); }
static void from_mapped(struct frame *f) { set_src(f, "::ffff:198.51.100.7"); }
static void from_multicast(struct frame *f) { set_src(f, "ff02::1"); }
static void from_nat64(struct frame *f) { set_src(f, "64:ff9b::198.51.100.7"); }
static void to_itself(struct frame *f) { memcpy(frame_ip6(f)->pair.src, frame_ip6(f)->pair.dst, 16); frame_fix_checksums(f); }
static void to_link_local(struct frame *f) { set_dst(f, "fe80::2"); }
static void to_ospf(struct frame *f) { frame_ip6(f)->next = 89; set_dst(f, "ff02::5"); }
static void to_site(struct frame *f) { set_dst(f, "ff05::2"); }
static void esp(struct frame *f) { frame_ip6(f)->next = SG_PROTO_ESP; }
static void ah(struct frame *f) { frame_ip6(f)->next = 51; }
static void nothing(struct frame *f) { frame_ip6(f)->next = SG_PROTO_NONE; }
static void hop_by_hop(struct frame *f) { static const uint8_t e[8] = {0, 0, 5, 2, 0, 0, 1, 0}; frame_insert_extensions(f, 0, e, 8); }
static void all_kinds(struct frame *f) { static const uint8_t e[40] = {60, 0, 1, 4, [8] = 43, 0, 1, 4, [16] = 60, 1, 2, 0, [32] = 0, 0, 1, 4}; frame_insert_extensions(f, 0, e, 40); }
static void five_headers(struct frame *f) { static const uint8_t e[40] = {60, 0, [8] = 60, 0, [16] = 60, 0, [24] = 60, 0, [32] = 0, 0}; frame_insert_extensions(f, 60, e, 40); }
static void long_header(struct frame *f) { static const uint8_t e[136] = {0, 16}; frame_insert_extensions(f, 60, e, 136); }
static void late_hop_by_hop(struct frame *f) { static const uint8_t e[16] = {0, 0, [8] = 0, 0}; frame_insert_extensions(f, 60, e, 16); }
static void source_route(struct frame *f) { static const uint8_t e[24] = {0, 2, 0, 1}; frame_insert_extensions(f, 43, e, 24); }
static void used_source_route(struct frame *f) { static const uint8_t e[24] = {0, 2, 0, 0}; frame_insert_extensions(f, 43, e, 24); }
static void fragment(struct frame *f, uint16_t word) { const uint8_t e[8] = {0, 0, (uint8_t)(word >> 8), (uint8_t)word, 7}; frame_insert_extensions(f, SG_PROTO_FRAGMENT, e, 8); }
static void cut_to(struct frame *f, uint16_t payload) { f->length = 54 + payload; frame_ip6(f)->payload_length_be = htons(payload); }
static void first_fragment(struct frame *f) { fragment(f, 1); }
static void later_fragment(struct frame *f) { fragment(f, 80 | 1); }
static void atomic_fragment(struct frame *f) { fragment(f, 0); }
static void empty_fragment(struct frame *f) { fragment(f, 80); cut_to(f, 8); }
static void beyond_fragment(struct frame *f) { fragment(f, 0xfff8); }
static void tiny_fragment(struct frame *f) { fragment(f, 1); cut_to(f, 8 + 16); }
static void options_and_tiny_fragment(struct frame *f) { static const uint8_t e[16] = {SG_PROTO_DESTINATION, 0, 0, 1, 0, 0, 0, 7, 0, 0, 1, 4}; frame_insert_extensions(f, SG_PROTO_FRAGMENT, e, 16); cut_to(f, 16 + 16); }
static void options_in_fragment(struct frame *f) { static const uint8_t e[16] = {SG_PROTO_DESTINATION, 0, 0, 1, 0, 0, 0, 7, 0, 0, 1, 4}; frame_insert_extensions(f, SG_PROTO_FRAGMENT, e, 16); }
static void options_behind_the_end(struct frame *f) { static const uint8_t e[8] = {0, 0}; frame_insert_extensions(f, 60, e, 8); frame_ip6(f)->hop_limit = 64; f->bytes[55] = 9; }

struct row {
	const char *story;
	uint8_t port;
	struct ipv4_text text;
	void (*change)(struct frame *frame);
	enum sg_verdict verdict;
	enum sg_drop drop;
	uint8_t flags;
};

static const struct row rows[] = {
	{"a SYN to a service", 0, TCP(CLIENT, 4000, VIP, 80, SYN), NULL, SG_VERDICT_FORWARD, 0},
	{"with padding behind it", 0, TCP(CLIENT, 4000, VIP, 80, SYN), pad, SG_VERDICT_FORWARD, 0},
	{"from behind a gateway", 0, TCP("203.0.113.9", 4000, VIP, 80, SYN), NULL, SG_VERDICT_FORWARD, 0},
	{"a datagram to a service", 0, UDP(CLIENT, 4000, VIP, 53, .payload = 31), NULL, SG_VERDICT_FORWARD, 0},
	{"with hop-by-hop options", 0, TCP(CLIENT, 4000, VIP, 80, SYN), hop_by_hop, SG_VERDICT_FORWARD, 0},
	{"with every kind of extension header", 0, UDP(CLIENT, 4000, VIP, 53), all_kinds, SG_VERDICT_FORWARD, 0},
	{"with a source route that has arrived", 0, TCP(CLIENT, 4000, VIP, 80, SYN), used_source_route, SG_VERDICT_FORWARD, 0},

	{"half a header", 0, TCP(CLIENT, 4000, VIP, 80, SYN), cut_ip, DROP(TRUNCATED)},
	{"a byte short of its length", 0, TCP(CLIENT, 4000, VIP, 80, SYN), cut_payload, DROP(TRUNCATED)},
	{"version 4 in an IPv6 frame", 0, TCP(CLIENT, 4000, VIP, 80, SYN), version_4, DROP(BAD_IP_HEADER)},
	{"a jumbogram", 0, UDP(CLIENT, 4000, VIP, 53, .payload = 100), jumbogram, DROP(BAD_IP_HEADER)},
	{"TCP without a byte", 0, TCP(CLIENT, 4000, VIP, 80, SYN), no_payload, DROP(BAD_L4_HEADER)},
	{"TCP data offset 4", 0, TCP(CLIENT, 4000, VIP, 80, SYN), offset_4, DROP(BAD_L4_HEADER)},
	{"UDP length behind the end", 0, UDP(CLIENT, 4000, VIP, 53), udp_length_99, DROP(BAD_L4_HEADER)},
	{"TCP checksum wrong", 0, TCP(CLIENT, 4000, VIP, 80, SYN, .payload = 9), break_l4_checksum, DROP(BAD_L4_CHECKSUM)},
	{"UDP checksum wrong", 0, UDP(CLIENT, 4000, VIP, 53, .payload = 9), break_l4_checksum, DROP(BAD_L4_CHECKSUM)},
	{"UDP without checksum", 0, UDP(CLIENT, 4000, VIP, 53, .no_udp_checksum = true), NULL, DROP(BAD_L4_CHECKSUM)},
	{"the device vouches for it", 0, TCP(CLIENT, 4000, VIP, 80, SYN, .payload = 9), break_l4_checksum, SG_VERDICT_FORWARD, 0, SG_PKT_L4_GOOD},
	{"five extension headers", 0, TCP(CLIENT, 4000, VIP, 80, SYN), five_headers, DROP(EXTENSION_HEADERS)},
	{"an extension header of 136 bytes", 0, TCP(CLIENT, 4000, VIP, 80, SYN), long_header, DROP(EXTENSION_HEADERS)},
	{"hop-by-hop options that are not first", 0, TCP(CLIENT, 4000, VIP, 80, SYN), late_hop_by_hop, DROP(EXTENSION_HEADERS)},
	{"a source route that goes on", 0, TCP(CLIENT, 4000, VIP, 80, SYN), source_route, DROP(EXTENSION_HEADERS)},
	{"options that end behind the packet", 0, TCP(CLIENT, 4000, VIP, 80, SYN), options_behind_the_end, DROP(TRUNCATED)},
	{"a first fragment", 0, UDP(CLIENT, 4000, VIP, 53, .payload = 64), first_fragment, SG_VERDICT_REASSEMBLE, 0},
	{"a later fragment", 0, TCP(CLIENT, 4000, VIP, 80, .payload = 4), later_fragment, SG_VERDICT_REASSEMBLE, 0},
	{"a fragment that is everything", 0, UDP(CLIENT, 4000, VIP, 53, .payload = 5), atomic_fragment, SG_VERDICT_REASSEMBLE, 0},
	{"a fragment for a SNAT address", 1, UDP(POD, 8080, SNAT, 2000), later_fragment, SG_VERDICT_REASSEMBLE, 0},
	{"a fragment with options", 0, TCP(CLIENT, 4000, VIP, 80, SYN, .payload = 4), options_in_fragment, SG_VERDICT_REASSEMBLE, 0},
	{"a fragment for the kernel", 0, TCP(CLIENT, 4000, "198.51.100.11", 22, SYN, .payload = 4), first_fragment, SG_VERDICT_PUNT, 0},
	{"a fragment that ends at no multiple of 8", 0, UDP(CLIENT, 4000, VIP, 53, .payload = 63), first_fragment, DROP(FRAGMENT_BAD)},
	{"an empty fragment", 0, UDP(CLIENT, 4000, VIP, 53), empty_fragment, DROP(FRAGMENT_BAD)},
	{"a fragment that ends beyond 65,535", 0, UDP(CLIENT, 4000, VIP, 53), beyond_fragment, DROP(FRAGMENT_BAD)},
	{"a first fragment without all of TCP", 0, TCP(CLIENT, 4000, VIP, 80, SYN), tiny_fragment, DROP(FRAGMENT_TINY)},
	{"nor behind options", 0, TCP(CLIENT, 4000, VIP, 80, SYN), options_and_tiny_fragment, DROP(FRAGMENT_TINY)},
	{"source the VIP, another port", 0, TCP(VIP, 4000, VIP, 80, SYN), NULL, DROP(BAD_ADDRESS)},
	{"source a SNAT address", 0, TCP(SNAT, 4000, VIP, 80, SYN), NULL, DROP(BAD_ADDRESS)},
	{"source the node itself, from outside", 0, TCP("198.51.100.11", 4000, VIP, 80, SYN), NULL, DROP(BAD_ADDRESS)},
	{"a source route for the kernel", 0, TCP(CLIENT, 4000, "198.51.100.11", 22, SYN), source_route, SG_VERDICT_PUNT, 0},
	{"land attack", 0, TCP(CLIENT, 80, VIP, 80, SYN), to_itself, DROP(BAD_ADDRESS)},
	{"source ::", 0, TCP(CLIENT, 80, VIP, 80, SYN), from_any, DROP(BAD_ADDRESS)},
	{"source loopback", 0, UDP(CLIENT, 80, VIP, 53), from_loopback, DROP(BAD_ADDRESS)},
	{"source an IPv4 address", 0, UDP(CLIENT, 80, VIP, 53), from_mapped, DROP(BAD_ADDRESS)},
	{"source multicast", 0, UDP(CLIENT, 80, VIP, 53), from_multicast, DROP(BAD_ADDRESS)},
	{"source behind NAT64, for which there is no route here", 0, UDP(CLIENT, 80, VIP, 53), from_nat64, DROP(NO_ROUTE)},
	{"to a VIP by a group MAC", 0, TCP(CLIENT, 4000, VIP, 80, SYN), group_mac, DROP(BAD_ADDRESS)},
	{"to another station's MAC", 0, TCP(CLIENT, 4000, VIP, 80, SYN), other_mac, DROP(OTHER_MAC)},

	{"to nobody's address", 0, TCP(CLIENT, 4000, "192.0.2.99", 80, SYN), NULL, DROP(NOT_LOCAL)},
	{"to the pods' net behind us", 0, TCP(CLIENT, 4000, POD, 80, SYN), NULL, DROP(NOT_LOCAL)},
	{"to the kernel's address on another port", 0, TCP(CLIENT, 4000, "10.0.0.11", 22, SYN), NULL, DROP(NOT_LOCAL)},
	{"to the kernel's address here", 0, TCP(CLIENT, 4000, "198.51.100.11", 22, SYN), NULL, SG_VERDICT_PUNT, 0},
	{"a bad checksum for the kernel", 0, TCP(CLIENT, 4000, "198.51.100.11", 22, SYN), break_l4_checksum, SG_VERDICT_PUNT, 0},
	{"OSPFv3 hello", 0, UDP(CLIENT, 1, VIP, 1), to_ospf, SG_VERDICT_PUNT_URGENT, 0},
	{"multicast beyond the link", 0, UDP(CLIENT, 1, VIP, 1), to_site, DROP(MULTICAST)},
	{"to a link-local address", 0, TCP(CLIENT, 1, VIP, 1, SYN), to_link_local, SG_VERDICT_PUNT, 0},

	{"an undeclared port", 0, TCP(CLIENT, 4000, VIP, 81, SYN), NULL, DROP(UNSERVED_PORT)},
	{"UDP to a TCP service's port", 0, UDP(CLIENT, 4000, VIP, 80), NULL, DROP(UNSERVED_PORT)},
	{"ESP to a VIP", 0, UDP(CLIENT, 4000, VIP, 80), esp, DROP(UNSERVED_PROTOCOL)},
	{"AH to a VIP", 0, TCP(CLIENT, 4000, VIP, 80, SYN), ah, DROP(UNSERVED_PROTOCOL)},
	{"nothing to a VIP", 0, TCP(CLIENT, 4000, VIP, 80, SYN), nothing, DROP(UNSERVED_PROTOCOL)},
	{"a source that is not allowed", 0, TCP(CLIENT, 4000, VIP, 443, SYN), NULL, DROP(NOT_ALLOWED)},
	{"a source that is", 0, TCP("203.0.113.9", 4000, VIP, 443, SYN), NULL, SG_VERDICT_FORWARD, 0},
	{"an ACK out of nowhere gets a RST", 0, TCP(CLIENT, 4000, VIP, 80, ACK), NULL, SG_VERDICT_ANSWER, 0},
	{"a RST out of nowhere", 0, TCP(CLIENT, 4000, VIP, 80, .flags = SG_TCP_RST), NULL, DROP(NO_FLOW)},
	{"a reply to nothing", 1, UDP(POD, 8080, SNAT, 2000), NULL, DROP(REPLY_NO_FLOW)},
	{"a segment that replies to nothing", 1, TCP(POD, 8080, SNAT, 2000, ACK), NULL, SG_VERDICT_ANSWER, 0},
	{"a service without backends refuses TCP", 0, TCP(CLIENT, 4000, VIP, 90, SYN), NULL, SG_VERDICT_ANSWER, 0},
	{"and UDP", 0, UDP(CLIENT, 4000, VIP, 91), NULL, SG_VERDICT_ANSWER, 0},
	{"a client that no route leads to", 0, TCP("8.8.8.8", 4000, VIP, 80, SYN), NULL, DROP(NO_ROUTE)},
	{"a backend not resolved yet is held", 0, TCP(CLIENT, 4000, VIP, 92, SYN), NULL, SG_VERDICT_FORWARD, 0},
	{"a backend nobody has asked for yet", 0, TCP(CLIENT, 4000, VIP, 93, SYN), NULL, DROP(NEXTHOP_UNRESOLVED)},
	{"a backend on this node", 0, TCP(CLIENT, 4000, VIP, 94, SYN), NULL, SG_VERDICT_FORWARD, 0},
	{"longer than the way out is answered", 0, UDP(CLIENT, 4000, VIP, 53, .payload = 1500), NULL, SG_VERDICT_ANSWER, 0},

	{"hop limit 1 is answered", 0, TCP(CLIENT, 4000, VIP, 80, SYN, .ttl = 1), NULL, SG_VERDICT_ANSWER, 0},
	{"echo to a VIP", 0, ICMP(CLIENT, VIP, SG_ICMP_ECHO, .payload = 56), NULL, SG_VERDICT_ANSWER, 0},
	{"echo to a SNAT address", 1, ICMP(POD, SNAT, SG_ICMP_ECHO), NULL, SG_VERDICT_ANSWER, 0},
	{"echo to the kernel", 0, ICMP(CLIENT, "198.51.100.11", SG_ICMP_ECHO), NULL, SG_VERDICT_PUNT, 0},
	{"an error about nothing", 0, ICMP(CLIENT, VIP, SG_ICMP_UNREACHABLE, .payload = 48), NULL, DROP(ICMP_UNMATCHED)},
	{"a broken echo", 0, ICMP(CLIENT, VIP, SG_ICMP_ECHO, .payload = 8), break_l4_checksum, DROP(BAD_L4_CHECKSUM)},

	{"the kernel speaks to a client", 0, TCP("198.51.100.11", 22, CLIENT, 4000, ACK), NULL, SG_VERDICT_SEND, 0, SG_PKT_FROM_KERNEL},
	{"the kernel speaks nonsense", 0, TCP(CLIENT, 1, VIP, 1, SYN), version_4, SG_VERDICT_SEND, 0, SG_PKT_FROM_KERNEL},
	{"a client on the node itself", 0, TCP("198.51.100.11", 4000, VIP, 80, SYN), NULL, SG_VERDICT_FORWARD, 0, SG_PKT_FROM_KERNEL},
};
// clang-format on

static void declare_services(struct rig *rig)
{
	struct sg_service_spec *spec;
	struct sg_prefix allowed;

	rig_service(rig, "web", SG_PROTO_TCP, 80);
	rig_service(rig, "dns", SG_PROTO_UDP, 53);
	spec = rig_service(rig, "private", SG_PROTO_TCP, 443);
	spec->policy.allow_everyone = false;
	assert_int_equal(sg_prefix_parse("2001:db8::203.0.113.0/120", &allowed, NULL), 0);
	assert_int_equal(sg_policy_spec_add_allow(&spec->policy, &allowed), 0);
	rig_service(rig, "empty-tcp", SG_PROTO_TCP, 90)->n_backends = 0;
	rig_service(rig, "empty-udp", SG_PROTO_UDP, 91)->n_backends = 0;
	rig_service(rig, "unresolved", SG_PROTO_TCP, 92)->backends[0].address =
		test_addr("10.0.0.9");
	rig_service(rig, "unknown", SG_PROTO_TCP, 93)->backends[0].address = test_addr("10.0.0.77");
	rig_service(rig, "host", SG_PROTO_TCP, 94)->backends[0].address = test_addr("10.0.0.11");
	rig_commit(rig);
}

void each_ipv6_packet_gets_its_verdict(void **unused)
{
	static const uint8_t *const stations[2] = {client_mac, pod_mac};

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
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
		if (pkt->verdict == SG_VERDICT_ANSWER || pkt->verdict == SG_VERDICT_FORWARD)
			assert_true(row->flags & SG_PKT_L4_GOOD ||
				    frame_checksums_hold(rig.out.bytes, rig.out.length));
		rig_close(&rig);
	}
}

#define FE80_CLIENT "fe80::c101"

void neighbours_hear_of_our_addresses_only(void **unused)
{
	// clang-format off
	static const struct {
		const char *story;
		const char *src, *target, *dst;
		uint8_t flags;
		enum sg_verdict verdict;
	} asks[] = {
		{"who has the VIP", FE80_CLIENT, VIP, NULL, 0, SG_VERDICT_ANSWER},
		{"who has the SNAT address", FE80_CLIENT, SNAT, NULL, 0, SG_VERDICT_ANSWER},
		{"is the VIP still there", FE80_CLIENT, VIP, VIP, 0, SG_VERDICT_ANSWER},
		{"is the VIP free", NULL, VIP, NULL, 0, SG_VERDICT_ANSWER},
		{"who has the kernel's", FE80_CLIENT, "198.51.100.11", NULL, 0, SG_VERDICT_PUNT_URGENT},
		{"who has a client's", FE80_CLIENT, "198.51.100.8", NULL, 0, SG_VERDICT_PUNT_URGENT},
		{"the kernel asks for a client", FE80_CLIENT, CLIENT, NULL, SG_PKT_FROM_KERNEL, SG_VERDICT_SEND},
		{"the kernel asks for the VIP", FE80_CLIENT, VIP, NULL, SG_PKT_FROM_KERNEL, SG_VERDICT_ANSWER},
	};
	// clang-format on
	static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
	struct rig rig;

	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	declare_services(&rig);
	for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
		struct frame frame;
		const struct sg_ipv6_hdr *ip = frame_ip6(&rig.out);
		const struct sg_ndp_hdr *ndp = (const void *)(ip + 1);
		struct sg_addr target = test_addr(asks[i].target);
		uint8_t to[16];

		frame_solicitation(&frame, asks[i].src, asks[i].target, asks[i].dst);
		expect(rig_run(&rig, 0, 0, asks[i].flags, &frame), asks[i].verdict);
		if (asks[i].verdict != SG_VERDICT_ANSWER)
			continue;
		assert_true(frame_checksums_hold(rig.out.bytes, rig.out.length));
		assert_int_equal(rig.out.length, 14 + 40 + 32);
		assert_int_equal(ip->hop_limit, 255);
		assert_memory_equal(ip->pair.src, target.bytes, 16);
		inet_pton(AF_INET6, asks[i].src ? asks[i].src : "ff02::1", to);
		assert_memory_equal(ip->pair.dst, to, 16);
		assert_memory_equal(rig.out.bytes, asks[i].src ? client_mac : all_nodes_mac, 6);
		assert_memory_equal(rig.out.bytes + 6, port_macs[0], 6);
		assert_int_equal(ndp->icmp.type, SG_NDP_ADVERTISE);
		assert_int_equal(ndp->icmp.code, 0);
		// No router; solicited unless to all; overriding what was cached.
		assert_int_equal(ntohl(ndp->icmp.rest_be), asks[i].src ? 0x60000000 : 0x20000000);
		assert_memory_equal(ndp->target, target.bytes, 16);
		assert_int_equal(ndp->option, SG_NDP_OPTION_TARGET);
		assert_int_equal(ndp->option_length, 1);
		assert_memory_equal(ndp->mac, port_macs[0], 6);
	}
	rig_close(&rig);
}

void solicitations_that_nobody_may_send_are_dropped(void **unused)
{
	struct rig rig;
	struct frame frame;

	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	declare_services(&rig);
	// Not from this link, of another code, with a wrong sum, and a look for a free address that
	// does not go to who might have it.
	for (int flaw = 0; flaw < 4; flaw++) {
		frame_solicitation(
			&frame, flaw == 3 ? NULL : FE80_CLIENT, VIP, flaw == 3 ? VIP : NULL);
		if (flaw == 0)
			frame_ip6(&frame)->hop_limit = 254;
		else if (flaw == 1)
			((struct sg_icmp_hdr *)frame_l4(&frame))->code = 1;
		if (flaw != 2)
			frame_fix_checksums(&frame);
		else
			((struct sg_icmp_hdr *)frame_l4(&frame))->checksum ^= 1;
		expect_drop(rig_run(&rig, 0, 0, 0, &frame), SG_DROP_BAD_NDP);
	}
	// Options without a length, longer than the packet, of less than their header, and the
	// link-layer address of who has no address (RFC 4861, 7.1.1).
	for (int flaw = 0; flaw < 4; flaw++) {
		struct sg_ndp_hdr *ndp = (void *)frame_l4(&frame);

		frame_solicitation(&frame, FE80_CLIENT, VIP, NULL);
		if (flaw == 0)
			ndp->option_length = 0;
		else if (flaw == 1)
			ndp->option_length = 2;
		else if (flaw == 2) {
			frame_ip6(&frame)->payload_length_be = htons(25);
			frame.length = 14 + 40 + 25;
		} else
			memset(frame_ip6(&frame)->pair.src, 0, 16);
		frame_fix_checksums(&frame);
		expect_drop(rig_run(&rig, 0, 0, 0, &frame), SG_DROP_BAD_NDP);
	}
	// One that is too short to ask for anything, and an advertisement, are the kernel's
	// business.
	frame_solicitation(&frame, NULL, VIP, NULL);
	frame_ip6(&frame)->payload_length_be = htons(20);
	frame.length = 14 + 40 + 20;
	expect(rig_run(&rig, 0, 0, 0, &frame), SG_VERDICT_PUNT_URGENT);
	frame_solicitation(&frame, FE80_CLIENT, VIP, NULL);
	((struct sg_icmp_hdr *)frame_l4(&frame))->type = SG_NDP_ADVERTISE;
	frame_fix_checksums(&frame);
	expect(rig_run(&rig, 0, 0, 0, &frame), SG_VERDICT_PUNT_URGENT);
	rig_close(&rig);
}

void an_ipv6_echo_comes_back_whole(void **unused)
{
	static const uint8_t options[16] = {60, 0, 1, 4, [8] = 0, 0, 1, 4};
	struct rig rig;

	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	declare_services(&rig);
	for (int with_options = 0; with_options < 2; with_options++) {
		struct frame frame, plain;

		frame_packet(&plain, port_macs[0], client_mac,
			&(struct ipv4_text){.src = CLIENT,
				.dst = VIP,
				.proto = SG_PROTO_ICMP,
				.icmp_type = SG_ICMP_ECHO,
				.payload = 333});
		frame = plain;
		if (with_options)
			frame_insert_extensions(&frame, SG_PROTO_HOP_BY_HOP, options, 16);
		expect(rig_run(&rig, 0, 0, 0, &frame), SG_VERDICT_ANSWER);
		assert_true(frame_checksums_hold(rig.out.bytes, rig.out.length));
		expect_src(&rig, VIP);
		expect_dst(&rig, CLIENT);
		assert_memory_equal(rig.out.bytes, client_mac, 6);
		assert_memory_equal(rig.out.bytes + 6, port_macs[0], 6);
		assert_int_equal(rig.out.length, plain.length);
		assert_int_equal(rig.out.bytes[54], SG_ICMPV6_ECHO_REPLY);
		assert_memory_equal(rig.out.bytes + 58, plain.bytes + 58, plain.length - 58);
	}
	rig_close(&rig);
}

// Who is told what, over IPv6: type and code, from whom, and how much is quoted.
static void expect_error(struct rig *rig, uint8_t type, uint8_t code, const char *src,
	const struct frame *sent, unsigned quoted)
{
	const struct sg_icmp_hdr *icmp = frame_l4(&rig->out);

	assert_true(frame_checksums_hold(rig->out.bytes, rig->out.length));
	expect_src(rig, src);
	expect_dst(rig, CLIENT);
	assert_int_equal(icmp->type, type);
	assert_int_equal(icmp->code, code);
	assert_int_equal(rig->out.length, 14 + 40 + 8 + quoted);
	assert_memory_equal(icmp + 1, sent->bytes + 14, quoted);
	assert_memory_equal(rig->out.bytes, client_mac, 6);
}

void ipv6_errors_quote_what_fits(void **unused)
{
	struct ipv4_text text = {.src = CLIENT,
		.dst = VIP,
		.sport = 4000,
		.dport = 81,
		.proto = SG_PROTO_UDP,
		.payload = 100};
	struct rig rig;
	struct frame frame;

	(void)unused;
	rig_open(&rig, &(struct rig_options){.unserved = SG_UNSERVED_REJECT});
	declare_services(&rig);
	frame_packet(&frame, port_macs[0], client_mac, &text);
	expect(rig_run(&rig, 0, 0, 0, &frame), SG_VERDICT_ANSWER);
	expect_error(&rig, SG_ICMPV6_UNREACHABLE, SG_ICMPV6_CODE_PORT_UNREACHABLE, VIP, &frame,
		40 + 108);
	// No more than 1,280 bytes.
	text.payload = 1400;
	frame_packet(&frame, port_macs[0], client_mac, &text);
	expect(rig_run(&rig, 0, 0, 0, &frame), SG_VERDICT_ANSWER);
	expect_error(&rig, SG_ICMPV6_UNREACHABLE, SG_ICMPV6_CODE_PORT_UNREACHABLE, VIP, &frame,
		1280 - 48);
	// A router's words come from the port's own address.
	text.dport = 53;
	text.ttl = 1;
	frame_packet(&frame, port_macs[0], client_mac, &text);
	expect(rig_run(&rig, 0, 0, 0, &frame), SG_VERDICT_ANSWER);
	expect_error(&rig, SG_ICMPV6_TIME_EXCEEDED, 0, "198.51.100.11", &frame, 1280 - 48);
	rig_close(&rig);
}

// A table whose every fingerprint and hash is the same: flows of other addresses with the same
// ports are told apart by their addresses alone, and nobody gets another's packets.
void equal_fingerprints_confuse_nobody(void **unused)
{
	struct rig rig;
	struct peer first, second;

	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	rig.pipelines[0]->flows->hash = SG_FLOW_HASH_CONSTANT;
	rig_service(&rig, "web", SG_PROTO_TCP, 80);
	rig_commit(&rig);
	first = meet(&rig, SG_PROTO_TCP, 4000, 80);
	establish(&first);
	second = meet(&rig, SG_PROTO_TCP, 4000, 80);
	second.client.src = "203.0.113.9";
	expect_drop(client_sends(&second, SG_TCP_SYN, 100, 0, 0), SG_DROP_KEY_COLLISION);
	expect(client_sends(&first, SG_TCP_ACK, 101, 501, 20), SG_VERDICT_FORWARD);
	expect_addresses(&rig, SNAT, POD, pod_mac);
	// Other ports, another key.
	second.client.sport = 4001;
	expect(client_sends(&second, SG_TCP_SYN, 100, 0, 0), SG_VERDICT_FORWARD);
	expect(pod_sends(&second, SG_TCP_SYN | SG_TCP_ACK, 500, 101, 0), SG_VERDICT_FORWARD);
	expect_addresses(&rig, VIP, "203.0.113.9", gateway_mac);
	rig_close(&rig);
}

// The same in one burst: two clients with one key begin at once.
void equal_fingerprints_in_one_burst_confuse_nobody(void **unused)
{
	static const char *const clients[2] = {CLIENT, "203.0.113.9"};
	struct frame frames[2];
	struct rig rig;

	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	rig.pipelines[0]->flows->hash = SG_FLOW_HASH_CONSTANT;
	rig_service(&rig, "web", SG_PROTO_TCP, 80);
	rig_commit(&rig);
	rig.burst.n = 2;
	for (unsigned i = 0; i < 2; i++) {
		frame_packet(&frames[i], port_macs[0], client_mac,
			&(struct ipv4_text){.src = clients[i],
				.dst = VIP,
				.sport = 4000,
				.dport = 80,
				.proto = SG_PROTO_TCP,
				SYN});
		rig.burst.pkts[i] = (struct sg_pkt){
			.bytes = frames[i].bytes, .length = frames[i].length, .room = FRAME_ROOM};
	}
	sg_pipeline_run(rig.pipelines[0], rig.snapshot, &rig.burst);
	expect(&rig.burst.pkts[0], SG_VERDICT_FORWARD);
	expect_drop(&rig.burst.pkts[1], SG_DROP_KEY_COLLISION);
	assert_int_equal(sg_flow_table_count(rig.pipelines[0]->flows), 1);
	rig_close(&rig);
}
