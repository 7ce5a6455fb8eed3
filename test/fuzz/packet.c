// Any bytes as a burst of frames, through the whole pipeline: nothing crashes, every packet gets a
// verdict, and what is forwarded leaves towards a backend or a client that the flow names, and for
// no backend outside of backend_cidrs, which change on the way.
//
// Input: packets one after the other, each a byte of flags (bit 0 from the kernel, bit 1 handed
// over, bit 2 checksums vouched for, bit 3 other backend_cidrs from here on, bits 4 to 7 seconds to
// pass first), a byte of port (bit 0), two bytes of length (big endian), then the frame. Each input
// meets two gateways: one that serves IPv4, and one that serves the same over IPv6.
#include "rig.h"
#include "target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct input {
	const uint8_t *at;
	size_t left;
};

// A packet's buffer has room for an outer header.
struct place {
	uint8_t head[64];
	struct frame frame;
};

static void demand(bool holds)
{
	if (!holds)
		abort();
}

// The next packet of the input into the burst. False at the end.
static bool read_packet(
	struct input *input, struct rig *rig, struct frame *frame, struct sg_pkt *ret_pkt)
{
	size_t length;
	uint8_t flags;

	if (input->left < 4)
		return false;
	flags = input->at[0];
	length = (size_t)(input->at[2] << 8 | input->at[3]) % 1600;
	if (length > input->left - 4)
		length = input->left - 4;
	memcpy(frame->bytes, input->at + 4, length);
	*ret_pkt = (struct sg_pkt){.bytes = frame->bytes,
		.length = (uint16_t)length,
		.head = sizeof(((struct place *)NULL)->head),
		.room = FRAME_ROOM,
		.port = input->at[1] & 1};
	ret_pkt->flags = (uint8_t)((flags & 1 ? SG_PKT_FROM_KERNEL : 0) |
				   (flags & 2 ? SG_PKT_HANDED_OFF : 0) |
				   (flags & 4 ? SG_PKT_IP_GOOD | SG_PKT_L4_GOOD : 0));
	rig_pass_ms(rig, (flags >> 4) * 1000u);
	input->at += 4 + length;
	input->left -= 4 + length;
	return true;
}

// What is not from the VIP is for a backend: in no mode does anything leave for one that lies
// outside of backend_cidrs, and each of those has a hop of its own. Nor is one answered.
static void check_way(const struct rig *rig, const struct sg_pkt *pkt, const struct sg_addr *src,
	const struct sg_addr *dst)
{
	bool is_tcp = sg_pkt_is_ipv6(pkt) ? pkt->bytes[20] == SG_PROTO_TCP
					  : pkt->bytes[23] == SG_PROTO_TCP;

	if (test_addr_is(src, VIP))
		return;
	if (pkt->verdict == SG_VERDICT_FORWARD)
		demand(pkt->hop == HOP_POD || (pkt->hop == HOP_POD2 && !rig->state.settings));
	if (pkt->verdict == SG_VERDICT_ANSWER && is_tcp && test_addr_is(src, SNAT))
		demand(sg_snapshot_may_reach(rig->snapshot, dst));
	if (pkt->verdict == SG_VERDICT_SEND)
		demand(pkt->flags & SG_PKT_FROM_KERNEL);
}

static void check_packet(const struct rig *rig, const struct sg_pkt *pkt)
{
	struct frame frame = {.length = 54};
	struct sg_addr src, dst;

	demand(pkt->verdict != SG_VERDICT_NONE);
	demand(pkt->length <= pkt->room);
	if (pkt->verdict == SG_VERDICT_DROP)
		demand(pkt->drop > 0 && pkt->drop < SG_DROP_COUNT);
	if (pkt->verdict == SG_VERDICT_FORWARD)
		demand(pkt->hop > 0 && pkt->hop < rig->routes->n_hops);
	if (pkt->length < frame.length)
		return;
	memcpy(frame.bytes, pkt->bytes, frame.length);
	src = frame_src(&frame);
	dst = frame_dst(&frame);
	// Nothing leaves for the pods' net but what a service sends to its own backends.
	if (pkt->verdict == SG_VERDICT_FORWARD && test_addr_is(&src, SNAT))
		demand(test_addr_is(&dst, POD) || test_addr_is(&dst, POD2));
	check_way(rig, pkt, &src, &dst);
}

static void run_burst(struct rig *rig)
{
	const struct sg_counters *totals = &rig->totals[0];

	sg_pipeline_run(rig->pipelines[0], rig->snapshot, &rig->burst);
	for (unsigned i = 0; i < rig->burst.n; i++)
		check_packet(rig, &rig->burst.pkts[i]);
	sg_pipeline_sweep(rig->pipelines[0], rig->snapshot);
	demand(totals->flows_created - totals->flows_ended ==
		sg_flow_table_count(rig->pipelines[0]->flows));
	rig->burst.n = 0;
}

// Lets backends lie in fewer places, or in all again. Flows that exist are as they were.
static void change_cidrs(struct rig *rig)
{
	bool is_wide = !rig->state.settings;

	if (is_wide)
		rig_set_backend_cidr(rig, "10.0.0.2/32"); // of two pods one
	else
		sg_state_set_settings(&rig->state, NULL);
	rig_commit(rig);
}

static void heed_change(const struct input *input, struct rig *rig)
{
	if (input->left < 4 || !(input->at[0] & 8))
		return;
	if (rig->burst.n > 0)
		run_burst(rig);
	change_cidrs(rig);
}

// A service in another mode, with a backend of its own port.
static void add_service(
	struct rig *rig, const char *name, uint8_t protocol, uint16_t port, enum sg_forward forward)
{
	struct sg_service_spec *spec = rig_service(rig, name, protocol, port);

	spec->forward = forward;
	spec->backends[0].port = port;
}

// A service most of whose backends lie outside of backend_cidrs, which validation would refuse: the
// node itself, and a neighbour that is not resolved.
static void add_far_service(
	struct rig *rig, const char *name, uint8_t protocol, uint16_t port, enum sg_forward forward)
{
	add_service(rig, name, protocol, port, forward);
	rig_backend(sg_state_find(&rig->state, name), "10.0.0.11", port, 5);
	rig_backend(sg_state_find(&rig->state, name), "10.0.0.9", port, 5);
}

// Opened once: what an input leaves behind is aged out before the next, and what is random starts
// over.
static struct rig *fresh_rig(enum sg_family family)
{
	static struct rig rigs[2];
	static bool opened[2];
	bool is_ipv6 = family == SG_FAMILY_IPV6;
	struct rig *open_rig = &rigs[is_ipv6];

	test_family = family;
	if (!opened[is_ipv6]) {
		rig_open(open_rig, &(struct rig_options){.max_flows = 32,
					   .backend_cidr = is_ipv6 ? "2001:db8::10.0.0.2/127"
								   : "10.0.0.2/31"});
		rig_backend(rig_service(open_rig, "web", SG_PROTO_TCP, 80), POD2, 8080, 1);
		rig_service(open_rig, "dns", SG_PROTO_UDP, 53);
		add_service(open_rig, "kept", SG_PROTO_TCP, 81, SG_FORWARD_DNAT);
		rig_backend(sg_state_find(&open_rig->state, "kept"), POD2, 81, 1);
		add_service(open_rig, "direct", SG_PROTO_UDP, 82, SG_FORWARD_DSR);
		rig_backend(sg_state_find(&open_rig->state, "direct"), POD2, 82, 1);
		add_service(open_rig, "tunnel", SG_PROTO_TCP, 83, SG_FORWARD_IPIP);
		rig_backend(sg_state_find(&open_rig->state, "tunnel"), POD2, 83, 1);
		add_service(open_rig, "sticky", SG_PROTO_TCP, 84, SG_FORWARD_SNAT);
		sg_state_find(&open_rig->state, "sticky")->affinity = SG_AFFINITY_CLIENT_IP;
		sg_state_find(&open_rig->state, "sticky")->affinity_timeout_s =
			60; // below what ages inputs out
		add_far_service(open_rig, "far", SG_PROTO_TCP, 85, SG_FORWARD_SNAT);
		add_far_service(open_rig, "far-kept", SG_PROTO_TCP, 86, SG_FORWARD_DNAT);
		add_far_service(open_rig, "far-direct", SG_PROTO_UDP, 87, SG_FORWARD_DSR);
		add_far_service(open_rig, "far-tunnel", SG_PROTO_TCP, 88, SG_FORWARD_IPIP);
		rig_commit(open_rig);
		opened[is_ipv6] = true;
	}
	if (open_rig->state.settings)
		change_cidrs(open_rig);
	rig_pass_ms(open_rig, 10000000);
	rig_sweep(open_rig);
	demand(sg_flow_table_count(open_rig->pipelines[0]->flows) == 0);
	open_rig->pipelines[0]->random = 1;
	open_rig->burst.n = 0;
	return open_rig;
}

static void run(enum sg_family family, const uint8_t *data, size_t size)
{
	static struct place places[SG_BURST];
	struct input input = {data, size};
	struct rig *rig = fresh_rig(family);

	for (heed_change(&input, rig); read_packet(
		     &input, rig, &places[rig->burst.n].frame, &rig->burst.pkts[rig->burst.n]);
		heed_change(&input, rig)) {
		if (++rig->burst.n == SG_BURST)
			run_burst(rig);
	}
	if (rig->burst.n > 0)
		run_burst(rig);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	run(SG_FAMILY_IPV4, data, size);
	run(SG_FAMILY_IPV6, data, size);
	return 0;
}
