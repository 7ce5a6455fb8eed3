// IPv6 clients with a link-local address: it means their link, and only there answers reach them.
#include "peer.h"
#include "stages.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define VLAN_POD "198.18.0.8"

static const uint8_t fe80_client[16] = {0xfe, 0x80, [15] = 7};

static void open_with(struct rig *rig, enum sg_forward forward, const char *pod)
{
	struct sg_service_spec *spec;

	rig_open(rig, &(struct rig_options){0});
	spec = rig_service(rig, "web", SG_PROTO_UDP, 80);
	spec->forward = forward;
	spec->backends[0].address = test_addr(pod);
	if (forward >= SG_FORWARD_DSR)
		spec->backends[0].port = 80;
	rig_commit(rig);
}

// Untagged, or in the VLAN, whose port is 2.
static const struct sg_pkt *client_asks(struct rig *rig, bool in_vlan, uint16_t flags)
{
	struct frame frame;

	frame_packet(&frame, port_macs[0], client_mac,
		&(struct ipv4_text){.src = CLIENT,
			.dst = VIP,
			.sport = 4000,
			.dport = 80,
			.proto = SG_PROTO_UDP,
			.payload = 20});
	memcpy(frame_ip6(&frame)->pair.src, fe80_client, 16);
	frame_fix_checksums(&frame);
	if (in_vlan)
		frame_tag(&frame, 0x8100, RIG_VLAN);
	return rig_run(rig, 0, 0, flags, &frame);
}

// The pod answers what was last sent to it.
static void write_answer(struct rig *rig, struct frame *frame)
{
	struct peer peer = {.rig = rig, .client.proto = SG_PROTO_UDP};

	peer_note_forwarded(&peer);
	frame_packet(frame, port_macs[1], pod_mac, &peer.pod);
}

static void expect_answer(struct rig *rig)
{
	assert_memory_equal(frame_ip6(&rig->out)->pair.dst, fe80_client, 16);
	expect_src(rig, VIP);
	assert_memory_equal(rig->out.bytes, client_mac, 6);
	assert_true(frame_checksums_hold(rig->out.bytes, rig->out.length));
}

void a_link_local_client_is_answered_on_his_link(void **unused)
{
	struct rig rig;
	struct frame answer, vlan_answer;

	(void)unused;
	open_with(&rig, SG_FORWARD_SNAT, POD);
	expect(client_asks(&rig, false, 0), SG_VERDICT_FORWARD);
	expect_src(&rig, SNAT);
	write_answer(&rig, &answer);
	// He is answered where he spoke from.
	expect(rig_run(&rig, 0, 1, 0, &answer), SG_VERDICT_SEND);
	assert_int_equal(rig.burst.pkts[0].out_port, 0);
	expect_answer(&rig);
	// The same address, ports and all on another link are another client.
	expect(client_asks(&rig, true, 0), SG_VERDICT_FORWARD);
	write_answer(&rig, &vlan_answer);
	assert_int_equal(sg_flow_table_count(rig.pipelines[0]->flows), 2);

	expect(rig_run(&rig, 0, 1, 0, &vlan_answer), SG_VERDICT_SEND);
	assert_int_equal(rig.burst.pkts[0].out_port, 2);
	expect_answer(&rig);
	// And when the kernel knows him, by that hop.
	sg_index6_put(rig.routes->neighbours6, fe80_client, 0, HOP_CLIENT);
	sg_index6_put(rig.routes->neighbours6, fe80_client, 2, HOP_VLAN_CLIENT);
	expect(rig_run(&rig, 0, 1, 0, &answer), SG_VERDICT_FORWARD);
	assert_int_equal(rig.burst.pkts[0].hop, HOP_CLIENT);
	expect(rig_run(&rig, 0, 1, 0, &vlan_answer), SG_VERDICT_FORWARD);
	assert_int_equal(rig.burst.pkts[0].hop, HOP_VLAN_CLIENT);
	expect_answer(&rig);
	rig_close(&rig);
}

// What he says of an answer finds its flow: nobody listens at his port any more.
void an_error_from_a_link_local_client_finds_its_flow(void **unused)
{
	struct rig rig;
	struct frame answer, error;

	(void)unused;
	open_with(&rig, SG_FORWARD_SNAT, POD);
	expect(client_asks(&rig, false, 0), SG_VERDICT_FORWARD);
	write_answer(&rig, &answer);
	expect(rig_run(&rig, 0, 1, 0, &answer), SG_VERDICT_SEND);
	frame_packet(&error, port_macs[0], client_mac,
		&(struct ipv4_text){.src = CLIENT,
			.dst = VIP,
			.proto = SG_PROTO_ICMP,
			.icmp_type = SG_ICMP_UNREACHABLE,
			.icmp_code = SG_ICMP_CODE_PORT_UNREACHABLE,
			.payload = 48});
	memcpy(frame_ip6(&error)->pair.src, fe80_client, 16);
	memcpy((uint8_t *)frame_l4(&error) + 8, rig.out.bytes + 14, 48);
	frame_fix_checksums(&error);
	expect(rig_run(&rig, 0, 0, 0, &error), SG_VERDICT_FORWARD);
	expect_addresses(&rig, SNAT, POD, pod_mac);
	rig_close(&rig);
}

void a_link_local_client_is_refused_where_no_answer_reaches_him(void **unused)
{
	static const struct {
		enum sg_forward forward;
		const char *pod;
		bool in_vlan;
		uint16_t flags;
		bool served;
	} rows[] = {
		{SG_FORWARD_DNAT, POD, false, 0, false},
		{SG_FORWARD_IPIP, POD, false, 0, false},
		{SG_FORWARD_DSR, POD, false, 0, false},
		{SG_FORWARD_DSR, VLAN_POD, false, 0, false},
		{SG_FORWARD_DSR, VLAN_POD, true, 0, true},
		// The node itself has addresses that a route leads to.
		{SG_FORWARD_SNAT, POD, false, SG_PKT_FROM_KERNEL, false},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rig rig;

		open_with(&rig, rows[i].forward, rows[i].pod);
		client_asks(&rig, rows[i].in_vlan, rows[i].flags);
		if (rows[i].served)
			expect(&rig.burst.pkts[0], SG_VERDICT_FORWARD);
		else
			expect_drop(&rig.burst.pkts[0], SG_DROP_LINK_LOCAL);
		rig_close(&rig);
	}
}
