// Flows over several packets: handshakes, translations, ends, removals.
#include "peer.h"
#include "rig.h"
#include "stages.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

void a_connection_is_translated_both_ways(void **unused)
{
	struct rig rig;
	struct peer peer = meet(&rig, SG_PROTO_TCP, 4000, 80);

	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	rig_service(&rig, "web", SG_PROTO_TCP, 80);
	rig_commit(&rig);
	expect(client_sends(&peer, SG_TCP_SYN, 100, 0, 0), SG_VERDICT_FORWARD);
	expect_addresses(&rig, SNAT, POD, pod_mac);
	assert_int_equal(ntohs(((struct sg_tcp_hdr *)frame_l4(&rig.out))->dport_be), 8080);
	assert_int_equal(sg_flow_table_embryos(rig.pipelines[0]->flows), 1);

	expect(pod_sends(&peer, SG_TCP_SYN | SG_TCP_ACK, 500, 101, 0), SG_VERDICT_FORWARD);
	expect_addresses(&rig, VIP, CLIENT, client_mac);
	assert_int_equal(ntohs(((struct sg_tcp_hdr *)frame_l4(&rig.out))->sport_be), 80);
	assert_int_equal(ntohs(((struct sg_tcp_hdr *)frame_l4(&rig.out))->dport_be), 4000);

	expect(client_sends(&peer, SG_TCP_ACK, 101, 501, 0), SG_VERDICT_FORWARD);
	assert_int_equal(sg_flow_table_embryos(rig.pipelines[0]->flows), 0);
	for (uint16_t payload = 1; payload < 1400; payload += 133) {
		expect(client_sends(&peer, SG_TCP_ACK, 101, 501, payload), SG_VERDICT_FORWARD);
		expect_addresses(&rig, SNAT, POD, pod_mac);
		expect(pod_sends(&peer, SG_TCP_ACK, 501, 101, payload), SG_VERDICT_FORWARD);
		expect_addresses(&rig, VIP, CLIENT, client_mac);
	}
	assert_int_equal(rig.counters[0].services[0].flows_created, 1);
	assert_int_equal(rig.counters[0].backends[0].packets_to_backend, 13);
	assert_int_equal(rig.counters[0].backends[0].packets_to_client, 12);
	rig_close(&rig);
}

void a_datagram_and_its_answer_are_translated(void **unused)
{
	struct rig rig;
	struct peer peer = meet(&rig, SG_PROTO_UDP, 4000, 53);

	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	rig_service(&rig, "dns", SG_PROTO_UDP, 53);
	rig_commit(&rig);
	expect(client_sends(&peer, 0, 0, 0, 33), SG_VERDICT_FORWARD);
	expect_addresses(&rig, SNAT, POD, pod_mac);
	expect(pod_sends(&peer, 0, 0, 0, 700), SG_VERDICT_FORWARD);
	expect_addresses(&rig, VIP, CLIENT, client_mac);
	assert_int_equal(sg_flow_table_embryos(rig.pipelines[0]->flows), 1);
	expect(client_sends(&peer, 0, 0, 0, 34), SG_VERDICT_FORWARD);
	assert_int_equal(sg_flow_table_embryos(rig.pipelines[0]->flows), 0);

	// RFC 768: no checksum stays no checksum. RFC 8200: over IPv6 there is no such thing.
	peer.client.no_udp_checksum = true;
	if (test_family == SG_FAMILY_IPV6) {
		expect_drop(client_sends(&peer, 0, 0, 0, 35), SG_DROP_BAD_L4_CHECKSUM);
	} else {
		expect(client_sends(&peer, 0, 0, 0, 35), SG_VERDICT_FORWARD);
		assert_int_equal(((struct sg_udp_hdr *)frame_l4(&rig.out))->checksum, 0);
	}
	rig_close(&rig);
}

void packets_of_one_new_flow_in_one_burst_share_it(void **unused)
{
	struct rig rig;
	struct frame frames[SG_BURST];
	struct ipv4_text text = {
		.src = CLIENT, .dst = VIP, .sport = 9, .dport = 53, .proto = SG_PROTO_UDP};

	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	rig_service(&rig, "dns", SG_PROTO_UDP, 53);
	rig_commit(&rig);
	rig.burst.n = SG_BURST;
	for (unsigned i = 0; i < SG_BURST; i++) {
		frame_packet(&frames[i], port_macs[0], client_mac, &text);
		rig.burst.pkts[i] = (struct sg_pkt){
			.bytes = frames[i].bytes, .length = frames[i].length, .room = FRAME_ROOM};
	}
	sg_pipeline_run(rig.pipelines[0], rig.snapshot, &rig.burst);
	for (unsigned i = 0; i < SG_BURST; i++) {
		expect(&rig.burst.pkts[i], SG_VERDICT_FORWARD);
		assert_memory_equal(frames[i].bytes, frames[0].bytes, frames[0].length);
	}
	assert_int_equal(sg_flow_table_count(rig.pipelines[0]->flows), 1);
	rig_close(&rig);
}

void a_syn_over_a_closed_connection_starts_anew(void **unused)
{
	struct rig rig;
	struct peer peer = meet(&rig, SG_PROTO_TCP, 4000, 80);

	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	rig_service(&rig, "web", SG_PROTO_TCP, 80);
	rig_commit(&rig);
	establish(&peer);
	close_both_sides(&peer);
	assert_int_equal(sg_flow_table_count(rig.pipelines[0]->flows), 1);
	expect(client_sends(&peer, SG_TCP_SYN, 90000, 0, 0), SG_VERDICT_FORWARD);
	assert_int_equal(sg_flow_table_count(rig.pipelines[0]->flows), 1);
	assert_int_equal(sg_flow_table_embryos(rig.pipelines[0]->flows), 1);
	assert_int_equal(rig.totals[0].flows_created, 2);
	assert_int_equal(rig.totals[0].flows_ended, 1);
	rig_close(&rig);
}

void a_closed_flow_ages_out_and_an_open_one_stays(void **unused)
{
	struct rig rig;
	struct peer closed = meet(&rig, SG_PROTO_TCP, 4000, 80),
		    open = meet(&rig, SG_PROTO_TCP, 4001, 80);

	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	rig_service(&rig, "web", SG_PROTO_TCP, 80);
	rig_commit(&rig);
	establish(&open);
	establish(&closed);
	close_both_sides(&closed);
	rig_pass_ms(&rig, 9000);
	rig_sweep(&rig);
	assert_int_equal(sg_flow_table_count(rig.pipelines[0]->flows), 2);
	rig_pass_ms(&rig, 1500);
	rig_sweep(&rig);
	assert_int_equal(sg_flow_table_count(rig.pipelines[0]->flows), 1);
	rig_pass_ms(&rig, 880000);
	expect(client_sends(&open, SG_TCP_ACK, 101, 501, 5), SG_VERDICT_FORWARD);
	rig_pass_ms(&rig, 899000);
	rig_sweep(&rig);
	assert_int_equal(sg_flow_table_count(rig.pipelines[0]->flows), 1);
	rig_pass_ms(&rig, 2000);
	rig_sweep(&rig);
	assert_int_equal(sg_flow_table_count(rig.pipelines[0]->flows), 0);
	assert_int_equal(rig.pipelines[0]->backend_flows[0], 0);
	rig_close(&rig);
}

// Replaces the service's spec by an edited copy, as a commit does.
static struct sg_service_spec *edit(struct rig *rig, const char *name)
{
	struct sg_service_spec *copy = sg_service_spec_clone(sg_state_find(&rig->state, name));

	assert_non_null(copy);
	assert_int_equal(sg_state_put(&rig->state, copy), 0);
	return copy;
}

void a_drained_backend_keeps_its_flows_and_gets_no_new_ones(void **unused)
{
	struct rig rig;
	struct peer old = meet(&rig, SG_PROTO_TCP, 4000, 80);
	struct sg_service_spec *spec;

	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	rig_service(&rig, "web", SG_PROTO_TCP, 80);
	rig_commit(&rig);
	establish(&old);
	spec = edit(&rig, "web");
	spec->backends[0].draining = true;
	rig_backend(spec, POD2, 8080, 1);
	rig_commit(&rig);
	rig_pass_ms(&rig, 600000);
	expect(client_sends(&old, SG_TCP_ACK, 101, 501, 5), SG_VERDICT_FORWARD);
	expect_addresses(&rig, SNAT, POD, pod_mac);
	for (uint16_t port = 5000; port < 5200; port++) {
		struct peer new = meet(&rig, SG_PROTO_TCP, port, 80);

		expect(client_sends(&new, SG_TCP_SYN, 1, 0, 0), SG_VERDICT_FORWARD);
		expect_addresses(&rig, SNAT, POD2, pod2_mac);
	}
	rig_close(&rig);
}

void a_removed_backend_finishes_and_then_resets(void **unused)
{
	struct rig rig;
	struct peer peer = meet(&rig, SG_PROTO_TCP, 4000, 80),
		    other = meet(&rig, SG_PROTO_TCP, 4001, 80);
	const struct sg_addr pod2 = test_addr(POD2);
	struct sg_service_spec *spec;
	const struct sg_tcp_hdr *tcp;

	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	rig_service(&rig, "web", SG_PROTO_TCP, 80);
	rig_commit(&rig);
	establish(&peer);
	establish(&other);
	spec = edit(&rig, "web");
	assert_int_equal(sg_service_spec_remove_backend(spec, &spec->backends[0].address, 8080), 0);
	rig_backend(spec, POD2, 8080, 1);
	rig_commit(&rig);
	expect(client_sends(&peer, SG_TCP_ACK, 101, 501, 5), SG_VERDICT_FORWARD);
	expect_addresses(&rig, SNAT, POD, pod_mac);

	rig_pass_ms(&rig, 31000);
	rig_commit(&rig);
	expect(client_sends(&peer, SG_TCP_ACK, 106, 501, 5), SG_VERDICT_ANSWER);
	tcp = frame_l4(&rig.out);
	assert_int_equal(tcp->flags, SG_TCP_RST);
	assert_int_equal(ntohl(tcp->seq_be), 501);
	expect_src(&rig, VIP);
	// The backend's side of another flow: the client, who may only wait, is told first.
	expect(pod_sends(&other, SG_TCP_ACK, 501, 101, 5), SG_VERDICT_FORWARD);
	expect_addresses(&rig, VIP, CLIENT, client_mac);
	tcp = frame_l4(&rig.out);
	assert_int_equal(tcp->flags, SG_TCP_RST | SG_TCP_ACK);
	assert_int_equal(ntohl(tcp->seq_be), 501);
	assert_int_equal(rig.out.length,
		sizeof(struct sg_eth_hdr) + frame_ip_bytes(&rig.out) + sizeof(*tcp));
	// Then the backend, when it sends again.
	expect(pod_sends(&other, SG_TCP_ACK, 501, 101, 5), SG_VERDICT_ANSWER);
	tcp = frame_l4(&rig.out);
	assert_int_equal(tcp->flags, SG_TCP_RST);
	assert_int_equal(ntohl(tcp->seq_be), 101);
	expect_dst(&rig, POD);
	assert_int_equal(sg_flow_table_count(rig.pipelines[0]->flows), 0);

	// A RST for a backend that is gone is not answered.
	establish(&peer);
	spec = edit(&rig, "web");
	spec->n_backends = 0;
	sg_compiler_end_now(rig.compiler, "web", &pod2, 8080);
	rig_commit(&rig);
	assert_int_equal(client_sends(&peer, SG_TCP_RST, 101, 0, 0)->drop, SG_DROP_BACKEND_GONE);
	rig_close(&rig);
}

// A client comes back from the port of a connection that is closed, and closed with a backend that
// only finishes what it has.
void a_removed_backend_gets_no_new_flow_over_a_closed_one(void **unused)
{
	struct rig rig;
	struct peer peer = meet(&rig, SG_PROTO_TCP, 4000, 80);
	struct sg_service_spec *spec;

	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	rig_service(&rig, "web", SG_PROTO_TCP, 80);
	rig_commit(&rig);
	establish(&peer);
	close_both_sides(&peer);
	spec = edit(&rig, "web");
	assert_int_equal(sg_service_spec_remove_backend(spec, &spec->backends[0].address, 8080), 0);
	rig_backend(spec, POD2, 8080, 1);
	rig_commit(&rig);
	expect(client_sends(&peer, SG_TCP_SYN, 9000, 0, 0), SG_VERDICT_FORWARD);
	expect_addresses(&rig, SNAT, POD2, pod2_mac);
	assert_int_equal(sg_flow_table_count(rig.pipelines[0]->flows), 1);
	rig_close(&rig);
}

void udp_picks_anew_when_its_backend_is_removed(void **unused)
{
	struct rig rig;
	struct peer peer = meet(&rig, SG_PROTO_UDP, 4000, 53);
	struct peer before;
	struct sg_service_spec *spec;

	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	rig_service(&rig, "dns", SG_PROTO_UDP, 53);
	rig_commit(&rig);
	expect(client_sends(&peer, 0, 0, 0, 3), SG_VERDICT_FORWARD);
	before = peer;
	spec = edit(&rig, "dns");
	assert_int_equal(sg_service_spec_remove_backend(spec, &spec->backends[0].address, 8080), 0);
	rig_backend(spec, POD2, 8080, 1);
	rig_commit(&rig);
	// What the old backend was asked it may still answer.
	expect(pod_sends(&before, 0, 0, 0, 3), SG_VERDICT_FORWARD);
	expect_addresses(&rig, VIP, CLIENT, client_mac);
	expect(client_sends(&peer, 0, 0, 0, 3), SG_VERDICT_FORWARD);
	expect_addresses(&rig, SNAT, POD2, pod2_mac);
	expect(pod_sends(&before, 0, 0, 0, 3), SG_VERDICT_FORWARD);
	expect_addresses(&rig, VIP, CLIENT, client_mac);
	rig_pass_ms(&rig, 6000);
	rig_sweep(&rig);
	expect(pod_sends(&before, 0, 0, 0, 3), SG_VERDICT_DROP);
	expect(pod_sends(&peer, 0, 0, 0, 3), SG_VERDICT_FORWARD);
	rig_close(&rig);
}

void snat_ports_run_out_by_name(void **unused)
{
	struct rig rig;
	uint16_t number = 0;
	const struct sg_pkt *pkt;
	struct peer peer;

	(void)unused;
	rig_open(&rig, &(struct rig_options){.snat_ports = 128});
	rig_service(&rig, "web", SG_PROTO_TCP, 80);
	rig_commit(&rig);
	// Embryos give their ports to each other.
	for (; number < 1000; number++) {
		peer = meet(&rig, SG_PROTO_TCP, (uint16_t)(4000 + number), 80);
		expect(client_sends(&peer, SG_TCP_SYN, 1, 0, 0), SG_VERDICT_FORWARD);
	}
	// Connections keep theirs.
	for (;; number++) {
		peer = meet(&rig, SG_PROTO_TCP, (uint16_t)(4000 + number), 80);
		pkt = client_sends(&peer, SG_TCP_SYN, 100, 0, 0);
		if (pkt->verdict != SG_VERDICT_FORWARD)
			break;
		expect(pod_sends(&peer, SG_TCP_SYN | SG_TCP_ACK, 500, 101, 0), SG_VERDICT_FORWARD);
		expect(client_sends(&peer, SG_TCP_ACK, 101, 501, 0), SG_VERDICT_FORWARD);
	}
	assert_int_equal(pkt->drop, SG_DROP_SNAT_PORTS);
	assert_in_range(number, 1000 + 64, 1000 + 128);
	rig_close(&rig);
}

void a_full_table_recycles_embryos_but_no_established_flow(void **unused)
{
	enum {
		MAX = 64
	};
	struct rig rig;
	struct peer peers[MAX];
	unsigned established = 0;

	(void)unused;
	rig_open(&rig, &(struct rig_options){.max_flows = MAX});
	rig_service(&rig, "web", SG_PROTO_TCP, 80);
	rig_commit(&rig);
	for (uint16_t i = 0; i < MAX / 2; i++) {
		peers[i] = meet(&rig, SG_PROTO_TCP, (uint16_t)(4000 + i), 80);
		establish(&peers[i]);
	}
	// A flood of SYNs a hundred times the table.
	for (uint16_t i = 0; i < 100 * MAX; i++) {
		struct peer flood = meet(&rig, SG_PROTO_TCP, (uint16_t)(10000 + i), 80);

		expect(client_sends(&flood, SG_TCP_SYN, 1, 0, 0), SG_VERDICT_FORWARD);
	}
	assert_true(rig.totals[0].embryos_recycled > 90 * MAX);
	for (uint16_t i = 0; i < MAX / 2; i++)
		expect(client_sends(&peers[i], SG_TCP_ACK, 101, 501, 1), SG_VERDICT_FORWARD);
	// And when established flows fill it, the next is refused by name.
	for (uint16_t i = 0; i < 2 * MAX; i++) {
		struct peer peer = meet(&rig, SG_PROTO_TCP, (uint16_t)(20000 + i), 80);

		if (client_sends(&peer, SG_TCP_SYN, 100, 0, 0)->verdict != SG_VERDICT_FORWARD)
			break;
		expect(pod_sends(&peer, SG_TCP_SYN | SG_TCP_ACK, 500, 101, 0), SG_VERDICT_FORWARD);
		expect(client_sends(&peer, SG_TCP_ACK, 101, 501, 0), SG_VERDICT_FORWARD);
		established++;
	}
	assert_true(rig_drops_seen[SG_DROP_FLOW_TABLE_FULL]);
	assert_in_range(established, MAX / 4, MAX / 2);
	rig_close(&rig);
}

void a_neighbour_nobody_resolved_is_answered_where_it_spoke(void **unused)
{
	static const uint8_t stranger_mac[6] = {0x02, 0, 0, 0, 0xc1, 8};
	struct rig rig;
	struct ipv4_text syn = {.src = "198.51.100.8",
		.dst = VIP,
		.sport = 4000,
		.dport = 80,
		.proto = SG_PROTO_TCP,
		.flags = SG_TCP_SYN,
		.seq = 100};
	struct peer peer = {.rig = &rig};
	struct frame frame;
	struct sg_wish wish;
	const struct sg_pkt *pkt;

	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	rig_service(&rig, "web", SG_PROTO_TCP, 80);
	rig_commit(&rig);
	frame_packet(&frame, port_macs[0], stranger_mac, &syn);
	expect(rig_run(&rig, 0, 0, 0, &frame), SG_VERDICT_FORWARD);
	peer.pod = (struct ipv4_text){.src = POD,
		.dst = SNAT,
		.proto = SG_PROTO_TCP,
		.sport = 8080,
		.dport = ntohs(((struct sg_tcp_hdr *)frame_l4(&rig.out))->sport_be)};
	for (int i = 0; i < 3; i++) {
		pkt = pod_sends(&peer, SG_TCP_SYN | SG_TCP_ACK, 500, 101, 0);
		expect(pkt, SG_VERDICT_SEND);
		assert_int_equal(pkt->out_port, 0);
		expect_addresses(&rig, VIP, "198.51.100.8", stranger_mac);
	}
	// The kernel is asked, once.
	assert_true(sg_wishes_take(rig.pipelines[0]->wishes, &wish));
	assert_true(test_addr_is(&wish.addr, "198.51.100.8"));
	assert_false(sg_wishes_take(rig.pipelines[0]->wishes, &wish));

	// While the kernel asks, and gets no answer, the client is still answered; then where the
	// kernel says.
	rig_neighbour(&rig, 0, "198.51.100.8", HOP_UNRESOLVED_POD);
	expect(pod_sends(&peer, SG_TCP_SYN | SG_TCP_ACK, 500, 101, 0), SG_VERDICT_SEND);
	expect_addresses(&rig, VIP, "198.51.100.8", stranger_mac);
	rig_neighbour(&rig, 0, "198.51.100.8", HOP_CLIENT);
	expect(pod_sends(&peer, SG_TCP_SYN | SG_TCP_ACK, 500, 101, 0), SG_VERDICT_FORWARD);
	expect_addresses(&rig, VIP, "198.51.100.8", client_mac);
	rig_close(&rig);
}

void a_route_change_is_followed_by_flows_that_stand(void **unused)
{
	static const uint8_t new_mac[6] = {0x02, 0, 0, 0, 0xb0, 0x77};
	struct rig rig;
	struct peer peer = meet(&rig, SG_PROTO_TCP, 4000, 80);

	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	rig_service(&rig, "web", SG_PROTO_TCP, 80);
	rig_commit(&rig);
	establish(&peer);
	// The pod's MAC changes at the same hop; then its address moves to another hop, under a new
	// generation.
	memcpy(rig.routes->hops[HOP_POD].dst_mac, new_mac, 6);
	expect(client_sends(&peer, SG_TCP_ACK, 101, 501, 1), SG_VERDICT_FORWARD);
	expect_addresses(&rig, SNAT, POD, new_mac);
	rig_neighbour(&rig, 1, POD, HOP_POD2);
	rig.routes->generation++;
	expect(client_sends(&peer, SG_TCP_ACK, 101, 501, 1), SG_VERDICT_FORWARD);
	expect_addresses(&rig, SNAT, POD, pod2_mac);
	rig_close(&rig);
}
