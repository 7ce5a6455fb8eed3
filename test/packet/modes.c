// Forwarding modes that translate, or leave alone: what a packet looks like on the way to a backend
// and back.
#include "modes.h"
#include "peer.h"
#include "stages.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

struct sg_service_spec *put_mode(
	struct rig *rig, enum sg_forward forward, enum sg_scheduler scheduler, uint8_t proto)
{
	struct sg_service_spec *spec = rig_service(rig, "web", proto, 80);
	struct sg_addr pod;

	spec->forward = forward;
	spec->scheduler = scheduler;
	if (forward >= SG_FORWARD_DSR) {
		pod = test_addr(POD);
		assert_int_equal(sg_service_spec_remove_backend(spec, &pod, 8080), 0);
		rig_backend(spec, POD, 80, 1);
	}
	return spec;
}

void open_mode(struct rig *rig, enum sg_forward forward, enum sg_scheduler scheduler, uint8_t proto,
	uint32_t max_flows)
{
	rig_open(rig, &(struct rig_options){.max_flows = max_flows});
	put_mode(rig, forward, scheduler, proto);
	rig_commit(rig);
}

static void expect_ports(struct rig *rig, uint16_t sport, uint16_t dport)
{
	const struct sg_tcp_hdr *ports = frame_l4(&rig->out);

	assert_int_equal(ntohs(ports->sport_be), sport);
	assert_int_equal(ntohs(ports->dport_be), dport);
}

static uint32_t flows_of(const struct rig *rig)
{
	return sg_flow_table_count(rig->pipelines[0]->flows);
}

static uint32_t embryos_of(const struct rig *rig)
{
	return sg_flow_table_embryos(rig->pipelines[0]->flows);
}

void dnat_keeps_the_clients_address(void **unused)
{
	static const uint8_t protocols[] = {SG_PROTO_TCP, SG_PROTO_UDP};

	(void)unused;
	for (size_t i = 0; i < sizeof(protocols); i++) {
		struct rig rig;
		struct peer peer = meet(&rig, protocols[i], 4000, 80);

		open_mode(&rig, SG_FORWARD_DNAT, SG_SCHEDULER_RR, protocols[i], 0);
		expect(client_sends(&peer, SG_TCP_SYN, 100, 0, 0), SG_VERDICT_FORWARD);
		expect_addresses(&rig, CLIENT, POD, pod_mac);
		expect_ports(&rig, 4000, 8080);
		expect(pod_sends(&peer, SG_TCP_SYN | SG_TCP_ACK, 500, 101, 0), SG_VERDICT_FORWARD);
		expect_addresses(&rig, VIP, CLIENT, client_mac);
		expect_ports(&rig, 80, 4000);
		assert_int_equal(embryos_of(&rig), 1);
		expect(client_sends(&peer, SG_TCP_ACK, 101, 501, 33), SG_VERDICT_FORWARD);
		expect_addresses(&rig, CLIENT, POD, pod_mac);
		assert_int_equal(embryos_of(&rig), 0);
		expect(pod_sends(&peer, SG_TCP_ACK, 501, 134, 1001), SG_VERDICT_FORWARD);
		expect_addresses(&rig, VIP, CLIENT, client_mac);
		assert_int_equal(rig.counters[0].backends[0].packets_to_client, 2);
		rig_close(&rig);
	}
}

void dnat_answers_that_no_flow_knows_are_refused(void **unused)
{
	struct rig rig;
	struct ipv4_text text = {.src = POD,
		.dst = CLIENT,
		.sport = 8080,
		.dport = 4000,
		.proto = SG_PROTO_TCP,
		.flags = SG_TCP_ACK,
		.ack = 77};
	struct frame frame;

	(void)unused;
	open_mode(&rig, SG_FORWARD_DNAT, SG_SCHEDULER_LC, SG_PROTO_TCP, 0);
	frame_packet(&frame, port_macs[1], pod_mac, &text);
	expect(rig_run(&rig, 0, 1, 0, &frame), SG_VERDICT_ANSWER);
	assert_int_equal(((struct sg_tcp_hdr *)frame_l4(&rig.out))->flags, SG_TCP_RST);
	assert_int_equal(ntohl(((struct sg_tcp_hdr *)frame_l4(&rig.out))->seq_be), 77);
	// Another port of the same pod, and the same port of another protocol, are no answers.
	text.sport = 8081;
	frame_packet(&frame, port_macs[1], pod_mac, &text);
	expect_drop(rig_run(&rig, 0, 1, 0, &frame), SG_DROP_NOT_LOCAL);
	text.sport = 8080;
	text.proto = SG_PROTO_UDP;
	frame_packet(&frame, port_macs[1], pod_mac, &text);
	expect_drop(rig_run(&rig, 0, 1, 0, &frame), SG_DROP_NOT_LOCAL);
	rig_close(&rig);
}

void a_newer_dnat_flow_takes_the_answers_over(void **unused)
{
	struct rig rig;
	struct sg_service_spec *moved;
	struct peer peer = meet(&rig, SG_PROTO_TCP, 4000, 80);

	(void)unused;
	open_mode(&rig, SG_FORWARD_DNAT, SG_SCHEDULER_RR, SG_PROTO_TCP, 0);
	establish(&peer);
	moved = sg_service_spec_clone(sg_state_find(&rig.state, "web"));
	moved->vips[0] = test_addr("192.0.2.11");
	assert_int_equal(sg_state_put(&rig.state, moved), 0);
	rig_commit(&rig);
	peer.client.dst = "192.0.2.11";
	expect(client_sends(&peer, SG_TCP_SYN, 900, 0, 0), SG_VERDICT_FORWARD);
	assert_int_equal(flows_of(&rig), 1);
	expect(pod_sends(&peer, SG_TCP_SYN | SG_TCP_ACK, 500, 901, 0), SG_VERDICT_FORWARD);
	expect_addresses(&rig, "192.0.2.11", CLIENT, client_mac);
	rig_close(&rig);
}

void dsr_changes_only_the_next_hop(void **unused)
{
	static const uint8_t protocols[] = {SG_PROTO_TCP, SG_PROTO_UDP};

	(void)unused;
	for (size_t i = 0; i < sizeof(protocols); i++) {
		struct rig rig;
		struct peer peer = meet(&rig, protocols[i], 4000, 80);

		open_mode(&rig, SG_FORWARD_DSR, SG_SCHEDULER_RR, protocols[i], 0);
		expect(client_sends(&peer, SG_TCP_SYN, 100, 0, 0), SG_VERDICT_FORWARD);
		expect_addresses(&rig, CLIENT, VIP, pod_mac);
		expect_ports(&rig, 4000, 80);
		assert_int_equal(embryos_of(&rig), 1);
		// The backend's answers go another way; what the client sends next is all there is.
		expect(client_sends(&peer, SG_TCP_ACK, 101, 501, 700), SG_VERDICT_FORWARD);
		expect_addresses(&rig, CLIENT, VIP, pod_mac);
		assert_int_equal(embryos_of(&rig), 0);
		assert_int_equal(flows_of(&rig), 1);
		// One that comes to us after all is not ours.
		expect_drop(pod_sends(&peer, SG_TCP_ACK, 501, 101, 0), SG_DROP_NOT_LOCAL);
		rig_close(&rig);
	}
}

void a_dsr_flow_ends_with_its_client(void **unused)
{
	struct rig rig;
	struct peer peer = meet(&rig, SG_PROTO_TCP, 4000, 80);

	(void)unused;
	open_mode(&rig, SG_FORWARD_DSR, SG_SCHEDULER_LC, SG_PROTO_TCP, 0);
	expect(client_sends(&peer, SG_TCP_SYN, 100, 0, 0), SG_VERDICT_FORWARD);
	expect(client_sends(&peer, SG_TCP_ACK, 101, 501, 0), SG_VERDICT_FORWARD);
	rig_pass_ms(&rig, 800000);
	rig_sweep(&rig);
	assert_int_equal(flows_of(&rig), 1);
	expect(client_sends(&peer, SG_TCP_FIN | SG_TCP_ACK, 101, 501, 0), SG_VERDICT_FORWARD);
	// A download goes on: the client's ACKs keep the flow.
	for (int i = 0; i < 20; i++) {
		rig_pass_ms(&rig, 9000);
		rig_sweep(&rig);
		expect(client_sends(&peer, SG_TCP_ACK, 102, 501, 0), SG_VERDICT_FORWARD);
	}
	rig_pass_ms(&rig, 11000);
	rig_sweep(&rig);
	assert_int_equal(flows_of(&rig), 0);
	rig_close(&rig);
}

void dsr_needs_the_backend_on_the_link(void **unused)
{
	struct rig rig;
	struct sg_service_spec *spec;
	struct peer peer = meet(&rig, SG_PROTO_TCP, 4000, 80);
	struct sg_addr pod;

	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	spec = put_mode(&rig, SG_FORWARD_DSR, SG_SCHEDULER_RR, SG_PROTO_TCP);
	pod = test_addr(POD);
	assert_int_equal(sg_service_spec_remove_backend(spec, &pod, 80), 0);
	rig_backend(spec, "203.0.113.77", 80, 1); // behind a router
	rig_commit(&rig);
	expect_drop(client_sends(&peer, SG_TCP_SYN, 100, 0, 0), SG_DROP_NO_ROUTE);
	assert_int_equal(flows_of(&rig), 0);
	rig_close(&rig);
}

// What follows is about modes in which the packet alone says where it goes.
void a_forgotten_flow_goes_on_where_the_scheduler_is_consistent(void **unused)
{
	static const enum sg_forward modes[] = {SG_FORWARD_DNAT, SG_FORWARD_DSR};
	static const enum sg_scheduler schedulers[] = {
		SG_SCHEDULER_MAGLEV, SG_SCHEDULER_SH, SG_SCHEDULER_RR};

	(void)unused;
	for (size_t i = 0; i < 6; i++) {
		enum sg_forward mode = modes[i / 3];
		enum sg_scheduler scheduler = schedulers[i % 3];
		struct rig rig;
		struct peer peer = meet(&rig, SG_PROTO_TCP, 4000, 80);
		struct peer unknown = meet(&rig, SG_PROTO_TCP, 4001, 80);
		struct frame known;

		open_mode(&rig, mode, scheduler, SG_PROTO_TCP, 0);
		expect(client_sends(&peer, SG_TCP_SYN, 100, 0, 0), SG_VERDICT_FORWARD);
		expect(client_sends(&peer, SG_TCP_ACK, 101, 501, 99), SG_VERDICT_FORWARD);
		known = rig.out;
		if (scheduler == SG_SCHEDULER_RR) {
			expect(client_sends(&unknown, SG_TCP_ACK, 101, 501, 99), SG_VERDICT_ANSWER);
			assert_int_equal(
				((struct sg_tcp_hdr *)frame_l4(&rig.out))->flags, SG_TCP_RST);
			rig_close(&rig);
			continue;
		}
		rig_pass_ms(&rig, 10000000);
		rig_sweep(&rig);
		assert_int_equal(flows_of(&rig), 0);
		expect(client_sends(&peer, SG_TCP_ACK, 101, 501, 99), SG_VERDICT_FORWARD);
		assert_memory_equal(rig.out.bytes, known.bytes, known.length);
		assert_int_equal(flows_of(&rig), 0);
		if (mode == SG_FORWARD_DNAT) {
			expect(pod_sends(&peer, SG_TCP_ACK, 501, 101, 99), SG_VERDICT_FORWARD);
			expect_addresses(&rig, VIP, CLIENT, client_mac);
			expect_ports(&rig, 80, 4000);
		}
		assert_int_equal(rig.counters[0].backends[0].packets_to_backend, 3);
		rig_close(&rig);
	}
}

void a_full_table_forwards_without_state(void **unused)
{
	enum {
		MAX_FLOWS = 16
	};
	struct rig rig;
	uint16_t sport;

	(void)unused;
	open_mode(&rig, SG_FORWARD_DNAT, SG_SCHEDULER_MAGLEV, SG_PROTO_TCP, MAX_FLOWS);
	for (sport = 4000; sport < 4000 + MAX_FLOWS; sport++) {
		struct peer peer = meet(&rig, SG_PROTO_TCP, sport, 80);

		establish(&peer);
	}
	assert_int_equal(flows_of(&rig), MAX_FLOWS);
	assert_int_equal(embryos_of(&rig), 0);
	for (; sport < 4100; sport++) {
		struct peer peer = meet(&rig, SG_PROTO_TCP, sport, 80);

		establish(&peer);
		expect_addresses(&rig, CLIENT, POD, pod_mac);
		close_both_sides(&peer);
	}
	assert_int_equal(flows_of(&rig), MAX_FLOWS);
	rig_close(&rig);
}

void a_removed_backends_dsr_datagrams_pick_anew(void **unused)
{
	struct rig rig;
	struct sg_service_spec *copy;
	struct sg_addr pod;
	struct peer peer = meet(&rig, SG_PROTO_UDP, 4000, 80);

	(void)unused;
	open_mode(&rig, SG_FORWARD_DSR, SG_SCHEDULER_RR, SG_PROTO_UDP, 0);
	expect(client_sends(&peer, 0, 0, 0, 9), SG_VERDICT_FORWARD);
	copy = sg_service_spec_clone(sg_state_find(&rig.state, "web"));
	pod = test_addr(POD);
	assert_int_equal(sg_service_spec_remove_backend(copy, &pod, 80), 0);
	rig_backend(copy, POD2, 80, 1);
	assert_int_equal(sg_state_put(&rig.state, copy), 0);
	rig_commit(&rig);
	expect(client_sends(&peer, 0, 0, 0, 9), SG_VERDICT_FORWARD);
	expect_addresses(&rig, CLIENT, VIP, pod2_mac);
	assert_int_equal(flows_of(&rig), 1);
	assert_int_equal(rig.totals[0].flows_ended, 1);
	rig_close(&rig);
}

// Runs a frame at any worker and then, if it is handed over, at its home.
static const struct sg_pkt *run_anywhere(struct rig *rig, uint64_t *random, uint8_t port,
	const struct frame *frame, unsigned *ret_home)
{
	unsigned worker = (unsigned)(sg_random_next(random) % rig->n_workers), hops;

	return rig_deliver(rig, worker, port, frame, ret_home, &hops);
}

void dnat_answers_find_their_flows_home(void **unused)
{
	struct rig rig;
	uint64_t random = 5;

	(void)unused;
	rig_open(&rig, &(struct rig_options){.n_workers = 4, .max_flows = 4096});
	put_mode(&rig, SG_FORWARD_DNAT, SG_SCHEDULER_RR, SG_PROTO_UDP);
	rig_commit(&rig);
	for (uint16_t sport = 2000; sport < 2500; sport++) {
		struct peer peer = meet(&rig, SG_PROTO_UDP, sport, 80);
		struct frame frame;
		unsigned home, answer_home;

		peer.client.payload = 20;
		frame_packet(&frame, port_macs[0], client_mac, &peer.client);
		expect(run_anywhere(&rig, &random, 0, &frame, &home), SG_VERDICT_FORWARD);
		peer.pod = (struct ipv4_text){.src = POD,
			.dst = CLIENT,
			.sport = 8080,
			.dport = sport,
			.proto = SG_PROTO_UDP};
		frame_packet(&frame, port_macs[1], pod_mac, &peer.pod);
		expect(run_anywhere(&rig, &random, 1, &frame, &answer_home), SG_VERDICT_FORWARD);
		assert_int_equal(answer_home, home);
		expect_addresses(&rig, VIP, CLIENT, client_mac);
	}
	rig_close(&rig);
}

struct frame behind(const struct frame *frame, unsigned bytes)
{
	struct frame rest = {.length = (uint16_t)(frame->length - bytes)};

	memcpy(rest.bytes, frame->bytes, 14);
	memcpy(rest.bytes + 14, frame->bytes + 14 + bytes, (size_t)(rest.length - 14));
	return rest;
}

void expect_same_behind_ip(const struct frame *a, const struct frame *b)
{
	unsigned at = 14 + frame_ip_bytes(a);

	assert_int_equal(a->length, b->length);
	// But for ICMP's checksum, in which IPv6's addresses are: it is checked elsewhere.
	assert_memory_equal(a->bytes + at + 4, b->bytes + at + 4, a->length - at - 4);
}

void write_error_about(struct frame *frame, uint8_t port, const char *router,
	const struct frame *quoted, const char *sender)
{
	struct ipv4_text text = {.proto = SG_PROTO_ICMP,
		.icmp_type = SG_ICMP_UNREACHABLE,
		.icmp_code = SG_ICMP_CODE_FRAG_NEEDED,
		.src = router,
		.dst = sender,
		.payload = (uint16_t)(frame_ip_bytes(quoted) + 8)};

	frame_packet(frame, port_macs[port], port ? pod_mac : client_mac, &text);
	memcpy((uint8_t *)frame_l4(frame) + 8, quoted->bytes + 14, text.payload);
	frame_fix_checksums(frame);
}

void errors_cross_dnat_and_reach_dsr_backends(void **unused)
{
	struct rig rig;
	struct frame forwarded, error, answer, quote;
	struct peer peer = meet(&rig, SG_PROTO_UDP, 4000, 80);
	struct sg_addr to;
	uint64_t random = 9;
	unsigned home, error_home;

	(void)unused;
	rig_open(&rig, &(struct rig_options){.n_workers = 4});
	put_mode(&rig, SG_FORWARD_DNAT, SG_SCHEDULER_RR, SG_PROTO_UDP);
	rig_commit(&rig);
	peer.client.payload = 600;
	frame_packet(&answer, port_macs[0], client_mac, &peer.client);
	expect(run_anywhere(&rig, &random, 0, &answer, &home), SG_VERDICT_FORWARD);
	forwarded = rig.out;
	write_error_about(&error, 1, "10.0.0.77", &forwarded, CLIENT);
	for (int i = 0; i < 10; i++) {
		expect(run_anywhere(&rig, &random, 1, &error, &error_home), SG_VERDICT_FORWARD);
		assert_int_equal(error_home, home);
		expect_addresses(&rig, VIP, CLIENT, client_mac);
		quote = behind(&rig.out, frame_ip_bytes(&rig.out) + 8);
		to = frame_dst(&quote);
		assert_true(test_addr_is(&to, VIP));
	}
	rig_close(&rig);

	// The backend answered a dsr client directly, for the VIP; the error comes to us, and is
	// its.
	open_mode(&rig, SG_FORWARD_DSR, SG_SCHEDULER_RR, SG_PROTO_UDP, 0);
	expect(client_sends(&peer, 0, 0, 0, 9), SG_VERDICT_FORWARD);
	frame_packet(&answer, client_mac, pod_mac,
		&(struct ipv4_text){.src = VIP,
			.dst = CLIENT,
			.sport = 80,
			.dport = 4000,
			.proto = SG_PROTO_UDP,
			.payload = 1400});
	write_error_about(&error, 0, "198.51.100.1", &answer, VIP);
	expect(rig_run(&rig, 0, 0, 0, &error), SG_VERDICT_FORWARD);
	expect_addresses(&rig, "198.51.100.1", VIP, pod_mac);
	expect_same_behind_ip(&rig.out, &error);
	rig_close(&rig);
}

void expect_too_big(struct rig *rig, uint16_t mtu, const struct frame *sent)
{
	const struct sg_icmp_hdr *icmp = frame_l4(&rig->out);
	unsigned quote = rig->out.length - 14 - frame_ip_bytes(&rig->out) - 8;

	assert_true(frame_checksums_hold(rig->out.bytes, rig->out.length));
	expect_dst(rig, CLIENT);
	if (test_family == SG_FAMILY_IPV6) {
		assert_int_equal(icmp->type, SG_ICMPV6_TOO_BIG);
		assert_int_equal(icmp->code, 0);
		assert_int_equal(quote, 1280 - 48);
	} else {
		assert_int_equal(icmp->type, SG_ICMP_UNREACHABLE);
		assert_int_equal(icmp->code, SG_ICMP_CODE_FRAG_NEEDED);
		assert_int_equal(quote, 28);
	}
	assert_int_equal(ntohl(icmp->rest_be), mtu);
	assert_memory_equal(icmp + 1, sent->bytes + 14, quote);
}

// Behind a port of a smaller MTU, in the modes that translate: whoever sent it hears of the MTU,
// about the packet that he sent.
void a_smaller_mtu_behind_the_gateway_is_told(void **unused)
{
	static const enum sg_forward modes[] = {SG_FORWARD_SNAT, SG_FORWARD_DNAT, SG_FORWARD_DSR};
	static const uint8_t protocols[] = {SG_PROTO_TCP, SG_PROTO_UDP};

	(void)unused;
	for (size_t i = 0; i < 6; i++) {
		struct rig rig;
		struct peer peer = meet(&rig, protocols[i % 2], 4000, 80);
		struct frame frame;

		open_mode(&rig, modes[i / 2], SG_SCHEDULER_RR, protocols[i % 2], 0);
		expect(client_sends(&peer, SG_TCP_SYN, 100, 0, 0), SG_VERDICT_FORWARD);
		rig.pipelines[0]->ports[1].mtu = 1280;
		peer.client.flags = SG_TCP_ACK;
		peer.client.payload = 1300;
		frame_packet(&frame, port_macs[0], client_mac, &peer.client);
		if (test_family == SG_FAMILY_IPV4) {
			// tx makes fragments of what may be sent so.
			expect(rig_run(&rig, 0, 0, 0, &frame), SG_VERDICT_FORWARD);
			frame_ip(&frame)->fragment_be = htons(SG_IPV4_DF);
			frame_fix_checksums(&frame);
		}
		expect(rig_run(&rig, 0, 0, 0, &frame), SG_VERDICT_ANSWER);
		expect_too_big(&rig, 1280, &frame);
		rig_close(&rig);
	}
}
