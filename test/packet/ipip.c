// Mode ipip: the outer packet, the client's inside it, and what does not fit.
#include "modes.h"
#include "peer.h"
#include "stages.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "net/checksum.h"

// The packet inside an ipip packet, as a frame of its own.
static struct frame inner_of(const struct frame *frame)
{
	return behind(frame, frame_is_ipv6(frame) ? 40 : 20);
}

static void expect_outer6(struct rig *rig, uint8_t traffic_class)
{
	const struct sg_ipv6_hdr *outer = frame_ip6(&rig->out);
	uint32_t word = ntohl(outer->version_class_label_be);

	assert_memory_equal(rig->out.bytes, pod_mac, 6);
	assert_int_equal(word >> 28, 6);
	assert_int_equal(word >> 20 & 0xff, traffic_class);
	assert_int_equal(outer->next, SG_PROTO_IPV6);
	assert_int_equal(outer->hop_limit, 64);
	assert_int_equal(ntohs(outer->payload_length_be), rig->out.length - 54);
	expect_src(rig, SNAT);
	expect_dst(rig, POD);
}

static void expect_outer(struct rig *rig, uint8_t tos, bool dont_fragment)
{
	const struct sg_ipv4_hdr *outer = frame_ip(&rig->out);

	if (frame_is_ipv6(&rig->out))
		return expect_outer6(rig, tos);
	assert_memory_equal(rig->out.bytes, pod_mac, 6);
	assert_int_equal(outer->version_ihl, 0x45);
	assert_int_equal(outer->proto, SG_PROTO_IPIP);
	assert_int_equal(outer->src_be, addr_be(SNAT));
	assert_int_equal(outer->dst_be, addr_be(POD));
	assert_int_equal(outer->ttl, 64);
	assert_int_equal(outer->tos, tos);
	assert_int_equal(ntohs(outer->fragment_be), dont_fragment ? SG_IPV4_DF : 0);
	assert_int_equal(ntohs(outer->total_length_be), rig->out.length - 14);
	assert_int_equal(sg_checksum_finish(sg_checksum_add(0, outer, sizeof(*outer))), 0);
}

void ipip_carries_the_packet_whole(void **unused)
{
	static const uint8_t types_of_service[] = {0, 0x01, 0x02, 0x03, 0xb8};

	(void)unused;
	for (size_t i = 0; i < 2 * sizeof(types_of_service); i++) {
		uint8_t tos = types_of_service[i / 2];
		bool dont_fragment = i % 2;
		struct rig rig;
		struct ipv4_text text = {.src = CLIENT,
			.dst = VIP,
			.sport = 4000,
			.dport = 80,
			.proto = SG_PROTO_UDP,
			.payload = 701};
		struct frame frame, inner;

		open_mode(&rig, SG_FORWARD_IPIP, SG_SCHEDULER_RR, SG_PROTO_UDP, 0);
		frame_packet(&frame, port_macs[0], client_mac, &text);
		if (frame_is_ipv6(&frame)) {
			frame_ip6(&frame)->version_class_label_be =
				htonl(SG_IPV6_VERSION | (uint32_t)tos << 20 | 0x12345);
		} else {
			frame_ip(&frame)->tos = tos;
			frame_ip(&frame)->fragment_be = htons(dont_fragment ? SG_IPV4_DF : 0);
		}
		frame_fix_checksums(&frame);
		expect(rig_run(&rig, 0, 0, 0, &frame), SG_VERDICT_FORWARD);
		expect_outer(&rig, tos, dont_fragment);
		inner = inner_of(&rig.out);
		assert_true(frame_checksums_hold(inner.bytes, inner.length));
		assert_int_equal(*frame_ttl(&inner), 63);
		// But for that, every byte is the client's.
		(*frame_ttl(&frame))--;
		frame_fix_checksums(&frame);
		assert_int_equal(inner.length, frame.length);
		assert_memory_equal(inner.bytes + 14, frame.bytes + 14, frame.length - 14);
		rig_close(&rig);
	}
}

void ipip_says_what_does_not_fit(void **unused)
{
	bool is_ipv6 = test_family == SG_FAMILY_IPV6;
	unsigned most = is_ipv6 ? 1460 : 1480, headers = is_ipv6 ? 48 : 28;
	struct rig rig;
	struct ipv4_text text = {.src = CLIENT,
		.dst = VIP,
		.sport = 4000,
		.dport = 80,
		.proto = SG_PROTO_UDP,
		.payload = (uint16_t)(most - headers)};
	struct frame frame;

	(void)unused;
	open_mode(&rig, SG_FORWARD_IPIP, SG_SCHEDULER_RR, SG_PROTO_UDP, 0);
	frame_packet(&frame, port_macs[0], client_mac, &text);
	expect(rig_run(&rig, 0, 0, 0, &frame), SG_VERDICT_FORWARD);
	assert_int_equal(rig.out.length, 1514);

	text.payload++;
	frame_packet(&frame, port_macs[0], client_mac, &text);
	if (!is_ipv6) {
		// What does not fit leaves in fragments, if it may.
		expect(rig_run(&rig, 0, 0, 0, &frame), SG_VERDICT_FORWARD);
		assert_int_equal(rig.out.length, 1515);
		assert_int_equal(frame_ip(&rig.out)->fragment_be, 0);
		frame_ip(&frame)->fragment_be = htons(SG_IPV4_DF);
		frame_fix_checksums(&frame);
	}
	expect(rig_run(&rig, 0, 0, 0, &frame), SG_VERDICT_ANSWER);
	expect_too_big(&rig, (uint16_t)most, &frame);
	rig_close(&rig);
}

// A SYN with these option bytes (a multiple of 4) as the client sends it.
static void write_syn(struct frame *frame, const uint8_t *options, unsigned n)
{
	struct ipv4_text text = {.src = CLIENT,
		.dst = VIP,
		.sport = 4000,
		.dport = 80,
		.proto = SG_PROTO_TCP,
		.flags = SG_TCP_SYN,
		.payload = (uint16_t)n};

	frame_packet(frame, port_macs[0], client_mac, &text);
	memcpy((uint8_t *)frame_l4(frame) + 20, options, n);
	((struct sg_tcp_hdr *)frame_l4(frame))->offset = (uint8_t)((20 + n) / 4 << 4);
	frame_fix_checksums(frame);
}

void ipip_lowers_a_syns_mss(void **unused)
{
	static const struct {
		uint8_t options[8];
		unsigned at; // of the value that is lowered; 0: none is
	} rows[] = {
		{{2, 4, 1460 >> 8, 1460 & 255, 1, 1, 1, 1}, 2},
		// At an odd place.
		{{1, 2, 4, 1460 >> 8, 1460 & 255, 1, 1, 0}, 3},
		// Low enough, behind the end, cut off, of another length.
		{{2, 4, 1400 >> 8, 1400 & 255, 0, 0, 0, 0}, 0},
		{{0, 2, 4, 255, 255, 0, 0, 0}, 0},
		{{1, 1, 1, 1, 1, 2, 4, 255}, 0},
		{{2, 0, 255, 255, 2, 4, 255, 255}, 0},
	};
	// 1,500 less two IP headers and TCP's.
	uint16_t most = test_family == SG_FAMILY_IPV6 ? 1400 : 1440;

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t after[8];
		struct rig rig;
		struct frame frame, inner;

		memcpy(after, rows[i].options, sizeof(after));
		if (rows[i].at) {
			after[rows[i].at] = (uint8_t)(most >> 8);
			after[rows[i].at + 1] = (uint8_t)most;
		}
		open_mode(&rig, SG_FORWARD_IPIP, SG_SCHEDULER_RR, SG_PROTO_TCP, 0);
		write_syn(&frame, rows[i].options, 8);
		expect(rig_run(&rig, 0, 0, 0, &frame), SG_VERDICT_FORWARD);
		inner = inner_of(&rig.out);
		assert_true(frame_checksums_hold(inner.bytes, inner.length));
		assert_memory_equal((uint8_t *)frame_l4(&inner) + 20, after, 8);
		rig_close(&rig);
	}
}

void ipip_needs_room_before_the_frame(void **unused)
{
	struct rig rig;
	struct ipv4_text text = {
		.src = CLIENT, .dst = VIP, .sport = 4000, .dport = 80, .proto = SG_PROTO_UDP};
	struct frame frame;

	(void)unused;
	open_mode(&rig, SG_FORWARD_IPIP, SG_SCHEDULER_RR, SG_PROTO_UDP, 0);
	frame_packet(&frame, port_macs[0], client_mac, &text);
	rig.burst.n = 1;
	rig.burst.pkts[0] = (struct sg_pkt){
		.bytes = frame.bytes, .length = frame.length, .head = 19, .room = FRAME_ROOM};
	sg_pipeline_run(rig.pipelines[0], rig.snapshot, &rig.burst);
	expect_drop(&rig.burst.pkts[0], SG_DROP_NO_BUFFER);
	rig_close(&rig);
}

void errors_reach_ipip_backends_inside(void **unused)
{
	struct rig rig;
	struct frame answer, error, inner;
	struct peer peer = meet(&rig, SG_PROTO_UDP, 4000, 80);

	(void)unused;
	open_mode(&rig, SG_FORWARD_IPIP, SG_SCHEDULER_RR, SG_PROTO_UDP, 0);
	frame_packet(&answer, port_macs[0], client_mac, &peer.client);
	expect(rig_run(&rig, 0, 0, 0, &answer), SG_VERDICT_FORWARD);
	frame_packet(&answer, client_mac, pod_mac,
		&(struct ipv4_text){.src = VIP,
			.dst = CLIENT,
			.sport = 80,
			.dport = 4000,
			.proto = SG_PROTO_UDP,
			.payload = 1400});
	write_error_about(&error, 0, "198.51.100.1", &answer, VIP);
	expect(rig_run(&rig, 0, 0, 0, &error), SG_VERDICT_FORWARD);
	expect_outer(&rig, 0, false);
	inner = inner_of(&rig.out);
	assert_true(frame_checksums_hold(inner.bytes, inner.length));
	expect_same_behind_ip(&inner, &error);
	rig_close(&rig);
}
