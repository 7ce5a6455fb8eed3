// A VLAN of a device is a port of its own: what comes in tagged is answered in its VLAN. Tags
// themselves are cut out in parse, and put in behind the stages (transmit.c).
#include "rig.h"
#include "stages.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define VLAN_CLIENT "198.18.0.7"
#define VLAN_POD    "198.18.0.8"
#define VLAN_PORT   2

static void open_with(struct rig *rig, const char *pod, enum sg_forward forward)
{
	struct sg_service_spec *spec;

	rig_open(rig, &(struct rig_options){0});
	spec = rig_service(rig, "web", SG_PROTO_TCP, 80);
	spec->forward = forward;
	spec->backends[0].address = test_addr(pod);
	rig_commit(rig);
}

static const struct sg_pkt *client_sends(
	struct rig *rig, const char *client, uint16_t vlan, uint8_t flags)
{
	struct ipv4_text text = {.src = client,
		.dst = VIP,
		.sport = 4000,
		.dport = 80,
		.proto = SG_PROTO_TCP,
		.flags = flags,
		.seq = 100,
		.ack = 501};
	struct frame frame;

	frame_packet(&frame, port_macs[0], client_mac, &text);
	if (vlan)
		frame_tag(&frame, 0x8100, vlan);
	return rig_run(rig, 0, 0, 0, &frame);
}

// The pod answers what was last sent to it.
static const struct sg_pkt *pod_answers(struct rig *rig, uint8_t port, uint16_t vlan)
{
	struct sg_addr src = frame_src(&rig->out), dst = frame_dst(&rig->out);
	const struct sg_tcp_hdr *tcp = frame_l4(&rig->out);
	struct ipv4_text text = {.src = test_text(&dst),
		.dst = test_text(&src),
		.sport = ntohs(tcp->dport_be),
		.dport = ntohs(tcp->sport_be),
		.proto = SG_PROTO_TCP,
		.flags = SG_TCP_SYN | SG_TCP_ACK,
		.seq = 500,
		.ack = 101};
	struct frame frame;

	frame_packet(&frame, port_macs[port], pod_mac, &text);
	if (vlan)
		frame_tag(&frame, 0x8100, vlan);
	return rig_run(rig, 0, port, 0, &frame);
}

static void expect_hop(const struct sg_pkt *pkt, uint16_t hop)
{
	assert_int_equal(pkt->verdict, SG_VERDICT_FORWARD);
	assert_int_equal(pkt->hop, hop);
}

void a_client_in_a_vlan_is_answered_in_it(void **unused)
{
	static const enum sg_forward modes[] = {SG_FORWARD_SNAT, SG_FORWARD_DNAT};

	(void)unused;
	for (unsigned i = 0; i < 2; i++) {
		struct rig rig;

		open_with(&rig, POD, modes[i]);
		expect_hop(client_sends(&rig, VLAN_CLIENT, RIG_VLAN, SG_TCP_SYN), HOP_POD);
		assert_true(frame_checksums_hold(rig.out.bytes, rig.out.length));
		expect_hop(pod_answers(&rig, 1, 0), HOP_VLAN_CLIENT);
		assert_true(frame_checksums_hold(rig.out.bytes, rig.out.length));
		expect_hop(client_sends(&rig, VLAN_CLIENT, RIG_VLAN, SG_TCP_ACK), HOP_POD);
		assert_int_equal(rig.totals[0].flows_created, 1);
		rig_close(&rig);
	}
}

void a_pod_in_a_vlan_answers_in_it(void **unused)
{
	static const enum sg_forward modes[] = {SG_FORWARD_SNAT, SG_FORWARD_DNAT};

	(void)unused;
	for (unsigned i = 0; i < 2; i++) {
		struct rig rig;

		open_with(&rig, VLAN_POD, modes[i]);
		expect_hop(client_sends(&rig, CLIENT, 0, SG_TCP_SYN), HOP_VLAN_POD);
		expect_hop(pod_answers(&rig, 0, RIG_VLAN), HOP_CLIENT);
		expect_hop(client_sends(&rig, CLIENT, 0, SG_TCP_ACK), HOP_VLAN_POD);
		assert_int_equal(rig.totals[0].flows_created, 1);
		rig_close(&rig);
	}
}

void a_tag_that_the_device_took_off_counts(void **unused)
{
	static const struct ipv4_text text = {.src = VLAN_CLIENT,
		.dst = VIP,
		.sport = 4000,
		.dport = 80,
		.proto = SG_PROTO_TCP,
		.flags = SG_TCP_SYN};
	static const struct {
		uint16_t vlan;
		uint8_t verdict, port;
	} rows[] = {
		{0x6000 | RIG_VLAN, SG_VERDICT_FORWARD, VLAN_PORT},
		{0x6000, SG_VERDICT_FORWARD, 0}, // a priority, no VLAN
		{101, SG_VERDICT_DROP, 0},
	};
	const bool is_ipv6 = test_family == SG_FAMILY_IPV6;
	const uint8_t family_bit = is_ipv6 ? SG_DOMAIN_IPV6 : 0;
	struct rig rig;
	struct frame frame;

	(void)unused;
	open_with(&rig, POD, SG_FORWARD_SNAT);
	frame_packet(&frame, port_macs[0], client_mac, &text);
	for (unsigned i = 0; i < 3; i++) {
		rig.burst.n = 1;
		rig.burst.pkts[0] = (struct sg_pkt){.bytes = frame.bytes,
			.length = frame.length,
			.room = FRAME_ROOM,
			.flags = SG_PKT_TAGGED | SG_PKT_IP_GOOD | SG_PKT_L4_GOOD,
			.vlan = rows[i].vlan};
		sg_stage_parse(rig.pipelines[0], &rig.burst);
		assert_int_equal(rig.burst.pkts[0].port, rows[i].port);
		assert_int_equal(rig.burst.tuples[0].domain,
			rows[i].verdict == SG_VERDICT_DROP ? 0 : rows[i].port | family_bit);
		if (rows[i].verdict == SG_VERDICT_DROP)
			assert_int_equal(rig.burst.pkts[0].drop, SG_DROP_VLAN_TAG);
		else
			assert_int_equal(
				rig.burst.pkts[0].class, is_ipv6 ? SG_CLASS_FLOW6 : SG_CLASS_FLOW);
	}
	rig_close(&rig);
}

void an_error_from_the_vlan_finds_its_flow(void **unused)
{
	const uint16_t quoted = test_family == SG_FAMILY_IPV6 ? 48 : 28;
	struct ipv4_text text = {.src = VLAN_CLIENT,
		.dst = VIP,
		.proto = SG_PROTO_ICMP,
		.icmp_type = SG_ICMP_UNREACHABLE,
		.icmp_code = SG_ICMP_CODE_PORT_UNREACHABLE,
		.payload = quoted};
	struct rig rig;
	struct frame frame;

	(void)unused;
	open_with(&rig, POD, SG_FORWARD_SNAT);
	expect_hop(client_sends(&rig, VLAN_CLIENT, RIG_VLAN, SG_TCP_SYN), HOP_POD);
	expect_hop(pod_answers(&rig, 1, 0), HOP_VLAN_CLIENT);
	frame_packet(&frame, port_macs[0], client_mac, &text);
	memcpy((uint8_t *)frame_l4(&frame) + 8, rig.out.bytes + 14, quoted);
	frame_fix_checksums(&frame);
	frame_tag(&frame, 0x8100, RIG_VLAN);
	expect_hop(rig_run(&rig, 0, 0, 0, &frame), HOP_POD);
	assert_true(frame_checksums_hold(rig.out.bytes, rig.out.length));
	rig_close(&rig);
}

// By ARP, or by neighbour discovery.
static void ask_who_has(struct frame *frame, const char *address)
{
	if (test_family == SG_FAMILY_IPV6)
		frame_solicitation(frame, "fe80::c101", address, NULL);
	else
		frame_arp(frame, port_macs[0], client_mac, SG_ARP_REQUEST, VLAN_CLIENT, address);
}

void neighbours_are_answered_in_the_vlan(void **unused)
{
	const struct sg_pkt *pkt;
	struct rig rig;
	struct frame frame;

	(void)unused;
	open_with(&rig, POD, SG_FORWARD_SNAT);
	ask_who_has(&frame, VIP);
	frame_tag(&frame, 0x8100, RIG_VLAN);
	pkt = rig_run(&rig, 0, 0, 0, &frame);
	assert_int_equal(pkt->verdict, SG_VERDICT_ANSWER);
	assert_int_equal(pkt->port, VLAN_PORT);
	assert_memory_equal(rig.out.bytes, client_mac, 6);
	assert_memory_equal(rig.out.bytes + 6, port_macs[0], 6);
	// And what is not ours to answer goes to the VLAN's twin.
	ask_who_has(&frame, "198.18.0.11");
	frame_tag(&frame, 0x8100, RIG_VLAN);
	pkt = rig_run(&rig, 0, 0, 0, &frame);
	assert_int_equal(pkt->verdict, SG_VERDICT_PUNT_URGENT);
	assert_int_equal(pkt->port, VLAN_PORT);
	rig_close(&rig);
}

void the_same_tuple_in_two_vlans_is_two_flows(void **unused)
{
	struct rig rig;

	(void)unused;
	open_with(&rig, POD, SG_FORWARD_SNAT);
	expect_hop(client_sends(&rig, VLAN_CLIENT, RIG_VLAN, SG_TCP_SYN), HOP_POD);
	expect_hop(client_sends(&rig, VLAN_CLIENT, 0, SG_TCP_SYN), HOP_POD);
	assert_int_equal(rig.totals[0].flows_created, 2);
	rig_close(&rig);
}
