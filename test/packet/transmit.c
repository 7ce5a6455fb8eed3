// What lies before and behind the stages: chains of buffers, fragments put together and made, VLAN
// tags, what a device or a ring loses. After each story all is accounted for and no buffer is
// missing.
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "net/checksum.h"
#include "transmit_ipv6.h"
#include "wire.h"

static void a_chain_is_forwarded_however_it_is_cut(void **unused)
{
	static const uint32_t pieces[] = {0, 1, 13, 14, 33, 41, 42, 60, 255, 256, 257, 1000, 1999};
	static struct datagram client, got;

	(void)unused;
	for (unsigned i = 0; i < 200; i++) {
		uint16_t service = (uint16_t)(1 + i % 4);
		// 1-byte pieces of a jumbo frame would be all the buffers there are.
		uint32_t piece = pieces[i % 13];
		uint32_t payload = wire_below(piece == 1 ? 500 : 8900);

		wire_write_datagram(&client, CLIENT, VIP, service, SG_PROTO_UDP, payload, 0);
		wire_receive(0, wire_to_chain(client.bytes, client.length, piece));
		wire_turn();
		assert_int_equal(wire_sent(1, &got), 1);
		wire_expect_carried(&client, &got, service);
		wire_expect_accounts();
	}
}

static void what_a_chain_hides_is_found(void **unused)
{
	static struct datagram client, got;

	(void)unused;
	for (unsigned i = 0; i < 100; i++) {
		wire_write_datagram(
			&client, CLIENT, VIP, 1, SG_PROTO_UDP, 500 + wire_below(8000), 0);
		client.bytes[client.length - 1 - wire_below(400)] ^= (uint8_t)(1 + wire_below(255));
		wire_receive(0, wire_to_chain(client.bytes, client.length, 0));
		wire_turn();
		assert_int_equal(wire_sent(1, &got), 0);
		assert_int_equal(worker.counters->dropped[SG_DROP_BAD_L4_CHECKSUM], i + 1);
	}
	// A byte short.
	wire_write_datagram(&client, CLIENT, VIP, 1, SG_PROTO_UDP, 8000, 0);
	wire_receive(0, wire_to_chain(client.bytes, client.length - 1, 0));
	wire_turn();
	assert_int_equal(worker.counters->dropped[SG_DROP_TRUNCATED], 1);
}

static void what_follows_the_packet_in_a_chain_is_cut_off(void **unused)
{
	static struct datagram client, got;

	(void)unused;
	for (unsigned i = 0; i < 100; i++) {
		wire_write_datagram(&client, CLIENT, VIP, 1, SG_PROTO_UDP, wire_below(2000), 0);
		wire_receive(0, wire_to_chain(client.bytes, client.length + wire_below(3000), 0));
		wire_turn();
		assert_int_equal(wire_sent(1, &got), 1);
		wire_expect_carried(&client, &got, 1);
	}
}

static void a_device_without_chains_gets_one_piece(void **unused)
{
	static struct datagram client, got;

	(void)unused;
	dataplane.ports[1].max_pieces = 1;
	for (unsigned i = 0; i < 100; i++) {
		uint16_t service = (uint16_t)(1 + i % 4);

		wire_set_mtu(1, i < 50 ? 9000 : 1500);
		wire_write_datagram(
			&client, CLIENT, VIP, service, SG_PROTO_UDP, wire_below(8900), 0);
		wire_receive(0, wire_to_chain(client.bytes, client.length, 0));
		wire_turn();
		wire_sent(1, &got);
		wire_expect_carried(&client, &got, service);
	}
}

static void fragments_are_joined_and_made_in_every_mode(void **unused)
{
	static const uint16_t mtus[] = {576, 1280, 1400, 1500, 9000};
	static struct datagram client, got;
	struct rte_mbuf *parts[SG_FRAGMENTS_PER_DATAGRAM];

	(void)unused;
	for (unsigned i = 0; i < 400; i++) {
		uint16_t service = (uint16_t)(1 + i % 4);
		uint16_t mtu = mtus[wire_below(5)];
		uint32_t payload = i % 8 < 4 ? 9000 : 1600 + wire_below(65535 - 48 - 1600);
		uint64_t generated = worker.counters->generated;
		uint64_t consumed = worker.counters->consumed;
		unsigned n, n_sent;

		wire_set_mtu(1, mtus[wire_below(5)]);
		wire_write_datagram(&client, CLIENT, VIP, service, SG_PROTO_UDP, payload, 0);
		wire_ip(&client)->tos = 2; // knows of congestion notification
		n = wire_cut(&client, mtu, parts);
		if (i % 3 == 0) // and a router has notified one fragment (RFC 3168)
			wire_notify_congestion(parts[wire_below(n)]);
		wire_shuffle(parts, n);
		for (unsigned k = 0; k < n; k++)
			wire_receive(0, parts[k]);
		wire_turn();
		n_sent = wire_sent(1, &got);
		assert_int_equal(worker.counters->consumed - consumed, n - 1);
		assert_int_equal(worker.counters->generated - generated, n_sent - 1);
		wire_expect_carried(&client, &got, service);
		assert_int_equal(wire_ip(&got)->tos, i % 3 == 0 ? 3 : 2);
		wire_expect_accounts();
	}
}

static void answers_of_pods_are_joined_and_made_too(void **unused)
{
	static struct datagram client, got, answer;
	struct rte_mbuf *parts[SG_FRAGMENTS_PER_DATAGRAM];

	(void)unused;
	wire_set_mtu(0, 1400);
	for (uint16_t service = 1; service <= 2; service++) {
		struct sg_udp_hdr *udp = (void *)(answer.bytes + 34);
		const struct sg_udp_hdr *sent_udp = (const void *)(got.bytes + 34);
		struct sg_ipv4_hdr *ip = wire_ip(&answer);
		unsigned n;

		wire_write_datagram(&client, CLIENT, VIP, service, SG_PROTO_UDP, 100, 0);
		wire_receive(0, wire_to_chain(client.bytes, client.length, 2000));
		wire_turn();
		wire_sent(1, &got);
		wire_write_datagram(
			&answer, POD, service == 1 ? SNAT : CLIENT, 0, SG_PROTO_UDP, 9000, 1);
		udp->sport_be = sent_udp->dport_be;
		udp->dport_be = sent_udp->sport_be;
		udp->checksum = 0;
		udp->checksum = sg_checksum_finish(sg_checksum_add(
			sg_checksum_pseudo4(ip->src_be, ip->dst_be, SG_PROTO_UDP, 9008), udp,
			9008));
		n = wire_cut(&answer, 1500, parts);
		wire_shuffle(parts, n);
		for (unsigned k = 0; k < n; k++)
			wire_receive(1, parts[k]);
		wire_turn();
		assert_int_equal(wire_sent(0, &got), 7);
		assert_true(wire_checksums_hold(&got));
		assert_int_equal(wire_ip(&got)->src_be, addr_be(VIP));
		assert_int_equal(wire_ip(&got)->dst_be, addr_be(CLIENT));
		assert_memory_equal(got.bytes + 42, answer.bytes + 42, 9000);
	}
}

static void a_long_echo_comes_back_in_fragments(void **unused)
{
	static struct datagram client, got;
	struct rte_mbuf *parts[SG_FRAGMENTS_PER_DATAGRAM];
	unsigned n;

	(void)unused;
	wire_set_mtu(0, 1500);
	wire_write_datagram(&client, CLIENT, VIP, 0, SG_PROTO_ICMP, 20000, 0);
	n = wire_cut(&client, 1500, parts);
	for (unsigned k = n; k > 0; k--) // the last first
		wire_receive(0, parts[k - 1]);
	wire_turn();
	assert_int_equal(wire_sent(0, &got), n);
	assert_true(wire_checksums_hold(&got));
	assert_int_equal(got.bytes[34], SG_ICMP_ECHO_REPLY);
	assert_memory_equal(got.bytes + 42, client.bytes + 42, 20000);
}

// The first header may be longer than the others': then the sum is more than a datagram can be.
static void a_datagram_beyond_64_kb_is_lost_whole(void **unused)
{
	static struct datagram client, got;
	static uint8_t first[34 + 40 + 1000];
	struct rte_mbuf *parts[SG_FRAGMENTS_PER_DATAGRAM];
	struct sg_ipv4_hdr *ip = (void *)(first + 14);
	unsigned n;

	(void)unused;
	wire_write_datagram(&client, CLIENT, VIP, 1, SG_PROTO_UDP, 65535 - 28, 0);
	n = wire_cut(&client, 1020, parts);
	memcpy(first, client.bytes, 34);
	memset(first + 34, 1, 40); // no operation
	memcpy(first + 74, client.bytes + 34, 1000);
	ip->version_ihl = 0x4f;
	ip->total_length_be = __builtin_bswap16(1060);
	ip->fragment_be = __builtin_bswap16(SG_IPV4_MORE);
	wire_fix_ip_checksum(ip);
	rte_pktmbuf_free(parts[0]);
	parts[0] = wire_to_chain(first, sizeof(first), 2000);
	for (unsigned k = 0; k < n; k++)
		wire_receive(0, parts[k]);
	wire_turn();
	assert_int_equal(wire_sent(1, &got), 0);
	assert_int_equal(worker.counters->dropped[SG_DROP_FRAGMENT_BAD], n);
	// In mode ipip there is no room for the outer header.
	wire_write_datagram(&client, CLIENT, VIP, 4, SG_PROTO_UDP, 65535 - 28, 0);
	n = wire_cut(&client, 1500, parts);
	for (unsigned k = 0; k < n; k++)
		wire_receive(0, parts[k]);
	wire_turn();
	assert_int_equal(worker.counters->dropped[SG_DROP_TOO_BIG], 1);
}

static void options_go_into_the_fragments_that_need_them(void **unused)
{
	static struct datagram client, got;
	struct sg_ipv4_hdr *ip = wire_ip(&client);

	(void)unused;
	wire_set_mtu(1, 1500);
	wire_write_datagram(&client, CLIENT, VIP, 1, SG_PROTO_UDP, 5000, 0);
	memmove(client.bytes + 42, client.bytes + 34, 5008);
	memset(client.bytes + 34, 1, 8); // no operation
	client.length += 8;
	ip->version_ihl = 0x47;
	ip->total_length_be = __builtin_bswap16((uint16_t)(client.length - 14));
	wire_fix_ip_checksum(ip);
	wire_receive(0, wire_to_chain(client.bytes, client.length, 0));
	wire_turn();
	assert_true(wire_sent(1, &got) >= 4);
	assert_true(wire_checksums_hold(&got));
	assert_memory_equal(got.bytes + 50, client.bytes + 50, 5000);
}

static void what_never_becomes_whole_is_lost_in_time(void **unused)
{
	static struct datagram client, got;
	struct rte_mbuf *parts[SG_FRAGMENTS_PER_DATAGRAM];
	unsigned n;

	(void)unused;
	wire_write_datagram(&client, CLIENT, VIP, 1, SG_PROTO_UDP, 9000, 0);
	n = wire_cut(&client, 1500, parts);
	rte_pktmbuf_free(parts[3]);
	for (unsigned k = 0; k < n; k++)
		if (k != 3)
			wire_receive(0, parts[k]);
	wire_turn();
	assert_int_equal(worker.reassembly->fragments.n_held, n - 1);
	rig_pass_ms(&rig, SG_FRAGMENTS_MS - 1);
	wire_turn();
	assert_int_equal(worker.reassembly->fragments.n_held, n - 1);
	rig_pass_ms(&rig, 1);
	wire_turn();
	assert_int_equal(worker.reassembly->fragments.n_held, 0);
	assert_int_equal(worker.counters->dropped[SG_DROP_FRAGMENT_TIMEOUT], n - 1);
	assert_int_equal(worker.counters->generated, 1);
	// Its sender hears of it, about the first fragment: its header and 64 bits.
	assert_int_equal(wire_sent(0, &got), 1);
	assert_true(wire_checksums_hold(&got));
	assert_int_equal(wire_ip(&got)->src_be, addr_be(VIP));
	assert_int_equal(wire_ip(&got)->dst_be, addr_be(CLIENT));
	assert_memory_equal(got.bytes, client_mac, 6);
	assert_int_equal(got.length, 14 + 20 + 8 + 28);
	assert_int_equal(got.bytes[34], SG_ICMP_TIME_EXCEEDED);
	assert_int_equal(got.bytes[35], 1);
	wire_ip(&client)->total_length_be = __builtin_bswap16(1500);
	wire_ip(&client)->fragment_be = __builtin_bswap16(SG_IPV4_MORE);
	wire_fix_ip_checksum(wire_ip(&client));
	assert_memory_equal(got.bytes + 42, client.bytes + 14, 28);
}

// Of a datagram without one of its fragments, until it is too late. Returns what was sent then.
static unsigned wait_in_vain(const char *src, const char *dst, uint16_t service, uint8_t proto,
	unsigned port, unsigned missing)
{
	static struct datagram datagram;
	struct rte_mbuf *parts[SG_FRAGMENTS_PER_DATAGRAM];
	unsigned n, before = wire_waiting(port);

	wire_write_datagram(&datagram, src, dst, service, proto, 4000, port);
	if (service == 0xff)
		datagram.bytes[34] = SG_ICMP_UNREACHABLE; // the sum is asked for when it is whole
	n = wire_cut(&datagram, 1500, parts);
	for (unsigned k = 0; k < n; k++) {
		if (k == missing)
			rte_pktmbuf_free(parts[k]);
		else
			wire_receive(port, parts[k]);
	}
	wire_turn();
	rig_pass_ms(&rig, SG_FRAGMENTS_MS);
	wire_turn();
	assert_int_equal(worker.reassembly->fragments.n_held, 0);
	return wire_waiting(port) - before;
}

static void who_may_hear_that_fragments_did_not_come(void **unused)
{
	static struct datagram got;

	(void)unused;
	assert_int_equal(wait_in_vain(CLIENT, VIP, 1, SG_PROTO_UDP, 0, 1), 1);
	wire_sent(0, &got);
	assert_int_equal(wait_in_vain(CLIENT, VIP, 0, SG_PROTO_ICMP, 0, 2), 1); // an echo
	wire_sent(0, &got);
	// Without the first fragment nobody knows what it was; no error is answered with an error.
	assert_int_equal(wait_in_vain(CLIENT, VIP, 1, SG_PROTO_UDP, 0, 0), 0);
	assert_int_equal(wait_in_vain(CLIENT, VIP, 0xff, SG_PROTO_ICMP, 0, 1), 0);
	// The pod's answers: to our address, and past us to the client's (mode dnat).
	assert_int_equal(wait_in_vain(POD, SNAT, 1, SG_PROTO_UDP, 1, 1), 1);
	wire_sent(1, &got);
	assert_int_equal(wire_ip(&got)->src_be, addr_be(SNAT));
	assert_int_equal(wait_in_vain(POD, CLIENT, 1, SG_PROTO_UDP, 1, 1), 1);
	wire_sent(1, &got);
	assert_int_equal(wire_ip(&got)->src_be, addr_be("10.0.0.11"));
	assert_int_equal(wire_ip(&got)->dst_be, addr_be(POD));
	// And not more often than all else that we say ourselves.
	rig.pipelines[0]->answers.tokens = 0;
	rig.pipelines[0]->answers.per_second = 0;
	assert_int_equal(wait_in_vain(CLIENT, VIP, 1, SG_PROTO_UDP, 0, 1), 0);
	wire_expect_accounts();
}

static const uint8_t tag[4] = {0x81, 0, 0x60, RIG_VLAN}; // with a priority, which ends here

// A client in a VLAN asks, and the pod answers with 9,000 bytes. `taken_off`: the device has taken
// the tag of the question off.
static void exchange_in_vlan(bool taken_off)
{
	static struct datagram client, got, answer;
	static uint8_t tagged[WIRE_MAX_BYTES];
	struct sg_udp_hdr *udp = (void *)(answer.bytes + 34);
	struct rte_mbuf *mbuf;

	wire_write_datagram(&client, "198.18.0.7", VIP, 1, SG_PROTO_UDP, 3000, 0);
	memcpy(tagged, client.bytes, 12);
	memcpy(tagged + 12, tag, 4);
	memcpy(tagged + 16, client.bytes + 12, client.length - 12);
	mbuf = taken_off ? wire_to_chain(client.bytes, client.length, 0)
			 : wire_to_chain(tagged, client.length + 4, 0);
	if (taken_off) {
		mbuf->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
		mbuf->vlan_tci = 0x6000 | RIG_VLAN;
	}
	wire_receive(0, mbuf);
	wire_turn();
	assert_int_equal(wire_sent(1, &got), 1);
	assert_int_equal(got.vlan, 0);
	assert_int_equal(got.length, client.length);
	assert_true(wire_checksums_hold(&got));

	wire_write_datagram(&answer, POD, SNAT, 0, SG_PROTO_UDP, 8900, 1);
	memcpy(&udp->sport_be, got.bytes + 36, 2);
	memcpy(&udp->dport_be, got.bytes + 34, 2);
	udp->checksum = 0; // none
	wire_receive(1, wire_to_chain(answer.bytes, answer.length, 0));
	wire_turn();
	assert_int_equal(wire_sent(0, &got), 7);
	assert_int_equal(got.vlan, RIG_VLAN);
	assert_memory_equal(got.bytes, client_mac, 6);
	assert_memory_equal(got.bytes + 42, answer.bytes + 42, 8900);
}

static void what_leaves_by_a_vlan_has_its_tag(void **unused)
{
	(void)unused;
	wire_set_mtu(2, 1400);
	for (unsigned i = 0; i < 20; i++)
		exchange_in_vlan(i % 2);
}

static void fragments_of_two_vlans_do_not_mix(void **unused)
{
	static struct datagram client, got;
	struct rte_mbuf *parts[SG_FRAGMENTS_PER_DATAGRAM];
	unsigned n;

	(void)unused;
	wire_write_datagram(&client, "198.18.0.7", VIP, 1, SG_PROTO_UDP, 4000, 0);
	n = wire_cut(&client, 1500, parts);
	for (unsigned k = 0; k < n; k++) {
		if (k != 1)
			parts[k]->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
		parts[k]->vlan_tci = RIG_VLAN;
		wire_receive(0, parts[k]);
	}
	wire_turn();
	assert_int_equal(wire_sent(1, &got), 0);
	assert_int_equal(worker.reassembly->fragments.n_held, n);
}

static void what_a_port_cannot_take_has_a_name(void **unused)
{
	static struct datagram client, got;

	(void)unused;
	wire_write_datagram(&client, CLIENT, VIP, 1, SG_PROTO_UDP, 100, 0);
	dataplane.ports[1].up = false;
	wire_receive(0, wire_to_chain(client.bytes, client.length, 2000));
	wire_turn();
	assert_int_equal(worker.counters->dropped[SG_DROP_PORT_DOWN], 1);
	dataplane.ports[1].up = true;
	for (unsigned i = 0; i < 2 * WIRE_SLOTS; i++) {
		wire_receive(0, wire_to_chain(client.bytes, client.length, 2000));
		if (i % 32 == 31)
			wire_turn();
	}
	assert_int_equal(
		worker.counters->dropped[SG_DROP_TX_FULL], 2 * WIRE_SLOTS - wire_waiting(1));
	while (wire_sent(1, &got) > 0)
		;
}

// The port's only transmit queue is another worker's, who does not come to look.
static void what_another_worker_cannot_take_has_a_name(void **unused)
{
	static struct datagram client;
	struct rte_ring *inbox = rte_ring_create("another", 128, SOCKET_ID_ANY, 0);
	unsigned n = 2 * rte_ring_get_capacity(inbox), in_order = 0;
	struct rte_mbuf *mbuf;

	(void)unused;
	dataplane.inboxes[1] = inbox;
	worker.tx_queues[1].owner = 1;
	wire_write_datagram(&client, CLIENT, VIP, 1, SG_PROTO_UDP, 100, 0);
	for (unsigned i = 0; i < n; i++) {
		wire_ip(&client)->id_be = (uint16_t)i;
		wire_fix_ip_checksum(wire_ip(&client));
		wire_receive(0, wire_to_chain(client.bytes, client.length, 2000));
		wire_turn();
		// Nothing stays behind in the turn.
		assert_int_equal(rte_ring_count(inbox), i < n / 2 ? i + 1 : n / 2);
	}
	assert_int_equal(worker.counters->handed_out, n / 2);
	assert_int_equal(worker.counters->dropped[SG_DROP_HANDOFF_FULL], n - n / 2);
	assert_true(worker.owed[1]);
	while (rte_ring_dequeue(inbox, (void **)&mbuf) == 0) {
		const struct sg_ipv4_hdr *ip =
			rte_pktmbuf_mtod_offset(mbuf, const struct sg_ipv4_hdr *, 14);

		assert_true(sg_mbuf_meta(mbuf)->transmit);
		assert_int_equal(sg_mbuf_meta(mbuf)->port, 1);
		assert_int_equal(ip->id_be, in_order++);
		rte_pktmbuf_free(mbuf);
	}
	dataplane.inboxes[1] = NULL;
	rte_ring_free(inbox);
}

// Whether the twins' thread, which went to bed before, was woken. It gets up.
static bool was_woken(void)
{
	struct sg_doorbell *bell = &dataplane.bells[dataplane.n_workers];
	bool rung = poll(&(struct pollfd){.fd = bell->fd, .events = POLLIN}, 1, 0) == 1;

	sg_doorbell_get_up(bell, rung);
	return rung;
}

// A turn that takes in `n` packets for the kernel.
static void punt_in_a_turn(unsigned n)
{
	static struct datagram client;

	wire_write_datagram(&client, CLIENT, "198.51.100.11", 9, SG_PROTO_UDP, 100, 0);
	for (unsigned i = 0; i < n; i++)
		wire_receive(0, wire_to_chain(client.bytes, client.length, 2000));
	assert_int_equal(sg_worker_turn(&worker), n);
}

// However long it goes on: the twins' thread must not wait until there is nothing to carry. But not
// every turn may make a system call.
static void a_worker_with_packets_to_carry_wakes_who_sleeps(void **unused)
{
	struct sg_doorbell *bell = &dataplane.bells[dataplane.n_workers];
	static struct datagram announced;
	struct rte_mbuf *mbuf;
	struct sg_error error;
	uint64_t us_ticks;

	(void)unused;
	dataplane.publish = sg_publish_create(1, &error);
	assert_non_null(dataplane.publish);
	sg_publish_set(dataplane.publish, rig.snapshot);
	sg_worker_begin(&worker);
	punt_in_a_turn(1);
	assert_false(was_woken()); // was awake

	sg_doorbell_go_to_bed(bell);
	punt_in_a_turn(1);
	assert_true(was_woken());

	// It sleeps again before the worker may make its next call...
	us_ticks = worker.us_ticks;
	worker.us_ticks = UINT64_MAX / 1000;
	sg_doorbell_go_to_bed(bell);
	punt_in_a_turn(1);
	punt_in_a_turn(1);
	assert_false(was_woken());
	// ... and is rung for when it may, though that turn gives it nothing; or is idle.
	sg_doorbell_go_to_bed(bell);
	worker.us_ticks = 1;
	wire_receive(0, wire_to_chain((const uint8_t[60]){0}, 60, 60));
	assert_int_equal(sg_worker_turn(&worker), 1);
	assert_true(was_woken());
	worker.us_ticks = UINT64_MAX / 1000;
	sg_doorbell_go_to_bed(bell);
	punt_in_a_turn(1);
	assert_false(was_woken());
	sg_doorbell_go_to_bed(bell);
	punt_in_a_turn(0);
	assert_true(was_woken());

	// Nothing is owed any more.
	worker.us_ticks = us_ticks;
	sg_doorbell_go_to_bed(bell);
	punt_in_a_turn(0);
	assert_false(was_woken());
	assert_int_equal(worker.counters->handed_out, 5);
	while (rte_ring_dequeue(dataplane.ports[0].punt, (void **)&mbuf) == 0)
		rte_pktmbuf_free(mbuf);
	for (unsigned port = 0; port < 2; port++)
		while (wire_next(port, &announced))
			;
	sg_worker_end(&worker);
	sg_publish_destroy(dataplane.publish);
}

int main(void)
{
#define STORY_IPV6(name) cmocka_unit_test_setup_teardown(name, wire_open_ipv6, wire_close_ipv6)
#define STORY(name)      cmocka_unit_test_setup_teardown(name, wire_open, wire_close)
	const struct CMUnitTest tests[] = {
		STORY(a_chain_is_forwarded_however_it_is_cut),
		STORY(what_a_chain_hides_is_found),
		STORY(what_follows_the_packet_in_a_chain_is_cut_off),
		STORY(a_device_without_chains_gets_one_piece),
		STORY(fragments_are_joined_and_made_in_every_mode),
		STORY(answers_of_pods_are_joined_and_made_too),
		STORY(a_long_echo_comes_back_in_fragments),
		STORY(a_datagram_beyond_64_kb_is_lost_whole),
		STORY(options_go_into_the_fragments_that_need_them),
		STORY(what_never_becomes_whole_is_lost_in_time),
		STORY(who_may_hear_that_fragments_did_not_come),
		STORY(what_leaves_by_a_vlan_has_its_tag),
		STORY(fragments_of_two_vlans_do_not_mix),
		STORY(what_a_port_cannot_take_has_a_name),
		STORY(what_another_worker_cannot_take_has_a_name),
		STORY_IPV6(ipv6_fragments_are_joined_and_made_in_every_mode),
		STORY_IPV6(a_fragment_that_is_everything_is_a_datagram),
		STORY_IPV6(ipv6_that_came_whole_is_never_cut),
		STORY_IPV6(overlapping_ipv6_fragments_give_the_datagram_up),
		STORY_IPV6(ipv6_that_never_becomes_whole_is_told),
		STORY_IPV6(an_ipv6_chain_is_forwarded_however_it_is_cut),
		STORY_IPV6(a_long_ipv6_echo_comes_back_in_fragments),
		STORY_IPV6(ipv6_leaves_by_a_vlan_with_its_tag),
		STORY(a_worker_with_packets_to_carry_wakes_who_sleeps),
	};
#undef STORY
#undef STORY_IPV6

	return cmocka_run_group_tests(tests, wire_start_eal, wire_stop_eal);
}
