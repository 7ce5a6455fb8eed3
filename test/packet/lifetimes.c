// TCP connections that live long while little happens, and ports that come back soon.
#include "peer.h"
#include "stages.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define RFC_5382_S 7440 // two hours and four minutes

// As `timeouts: { tcp = 7440; tcp_half_closed = 7440; };`
static void open_rig(struct rig *rig)
{
	rig_open(rig, &(struct rig_options){.tcp = RFC_5382_S, .tcp_half_closed = RFC_5382_S});
	rig_service(rig, "web", SG_PROTO_TCP, 80);
	rig_commit(rig);
}

static void pass_seconds(struct rig *rig, uint64_t seconds)
{
	rig_pass_ms(rig, seconds * 1000);
	rig_sweep(rig);
}

void keepalives_every_two_hours_keep_a_flow(void **unused)
{
	struct rig rig;
	struct peer peer = meet(&rig, SG_PROTO_TCP, 4000, 80);

	(void)unused;
	open_rig(&rig);
	establish(&peer);
	for (int day = 0; day < 12; day++) {
		pass_seconds(&rig, 7200);
		// A keepalive is one byte below what was sent last; either side asks.
		if (day % 2) {
			expect(pod_sends(&peer, SG_TCP_ACK, 500, 101, 0), SG_VERDICT_FORWARD);
			expect(client_sends(&peer, SG_TCP_ACK, 101, 501, 0), SG_VERDICT_FORWARD);
		} else {
			expect(client_sends(&peer, SG_TCP_ACK, 100, 501, 0), SG_VERDICT_FORWARD);
			expect(pod_sends(&peer, SG_TCP_ACK, 501, 101, 0), SG_VERDICT_FORWARD);
		}
	}
	assert_int_equal(rig.totals[0].flows_created, 1);
	// And who says nothing any more is forgotten: the next segment is answered with RST.
	pass_seconds(&rig, RFC_5382_S + 60);
	assert_int_equal(sg_flow_table_count(rig.pipelines[0]->flows), 0);
	expect(client_sends(&peer, SG_TCP_ACK, 101, 501, 5), SG_VERDICT_ANSWER);
	assert_int_equal(((struct sg_tcp_hdr *)frame_l4(&rig.out))->flags, SG_TCP_RST);
	expect(pod_sends(&peer, SG_TCP_ACK, 501, 101, 5), SG_VERDICT_ANSWER);
	assert_int_equal(((struct sg_tcp_hdr *)frame_l4(&rig.out))->flags, SG_TCP_RST);
	rig_close(&rig);
}

// One side sends, and is told what has arrived; the other one is done.
typedef const struct sg_pkt *send_fn(
	struct peer *peer, uint8_t flags, uint32_t seq, uint32_t ack, uint16_t payload);

void a_half_close_stays_open_for_an_hour(void **unused)
{
	// Who closes, and what comes next from each side.
	static const struct {
		send_fn *closes, *goes_on;
		uint32_t closed_seq, open_seq;
	} stories[] = {
		{client_sends, pod_sends, 101, 501},
		{pod_sends, client_sends, 501, 101},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++) {
		struct rig rig;
		struct peer peer = meet(&rig, SG_PROTO_TCP, 4000, 80);
		send_fn *closes = stories[i].closes, *goes_on = stories[i].goes_on;
		uint32_t end = stories[i].closed_seq + 1, seq = stories[i].open_seq;

		open_rig(&rig);
		establish(&peer);
		expect(closes(&peer, SG_TCP_FIN | SG_TCP_ACK, end - 1, seq, 0), SG_VERDICT_FORWARD);
		expect(goes_on(&peer, SG_TCP_ACK, seq, end, 0), SG_VERDICT_FORWARD);
		for (int hour = 0; hour < 4; hour++) {
			pass_seconds(&rig, hour % 2 ? 7200 : 3600);
			expect(goes_on(&peer, SG_TCP_ACK, seq, end, 1000), SG_VERDICT_FORWARD);
			seq += 1000;
			expect(closes(&peer, SG_TCP_ACK, end, seq, 0), SG_VERDICT_FORWARD);
		}
		expect(goes_on(&peer, SG_TCP_FIN | SG_TCP_ACK, seq, end, 0), SG_VERDICT_FORWARD);
		expect(closes(&peer, SG_TCP_ACK, end, seq + 1, 0), SG_VERDICT_FORWARD);
		assert_int_equal(rig.totals[0].flows_created, 1);
		pass_seconds(&rig, 11);
		assert_int_equal(sg_flow_table_count(rig.pipelines[0]->flows), 0);
		rig_close(&rig);
	}
}

// RFC 9293, figure 8: both SYNs are under way at the same time.
void a_simultaneous_open_is_one_connection(void **unused)
{
	struct rig rig;
	struct peer peer = meet(&rig, SG_PROTO_TCP, 4000, 80);

	(void)unused;
	open_rig(&rig);
	expect(client_sends(&peer, SG_TCP_SYN, 100, 0, 0), SG_VERDICT_FORWARD);
	expect(pod_sends(&peer, SG_TCP_SYN, 500, 0, 0), SG_VERDICT_FORWARD);
	expect_addresses(&rig, VIP, CLIENT, client_mac);
	expect(client_sends(&peer, SG_TCP_SYN | SG_TCP_ACK, 100, 501, 0), SG_VERDICT_FORWARD);
	expect(pod_sends(&peer, SG_TCP_SYN | SG_TCP_ACK, 500, 101, 0), SG_VERDICT_FORWARD);
	assert_int_equal(sg_flow_table_embryos(rig.pipelines[0]->flows), 0);
	pass_seconds(&rig, 7200);
	expect(client_sends(&peer, SG_TCP_ACK, 101, 501, 10), SG_VERDICT_FORWARD);
	expect_addresses(&rig, SNAT, POD, pod_mac);
	expect(pod_sends(&peer, SG_TCP_ACK, 501, 111, 10), SG_VERDICT_FORWARD);
	assert_int_equal(rig.totals[0].flows_created, 1);
	rig_close(&rig);
}

// Both FINs cross, and so do their acknowledgements; what is sent again later still arrives.
void a_simultaneous_close_ends_it(void **unused)
{
	struct rig rig;
	struct peer peer = meet(&rig, SG_PROTO_TCP, 4000, 80);

	(void)unused;
	open_rig(&rig);
	establish(&peer);
	expect(client_sends(&peer, SG_TCP_FIN | SG_TCP_ACK, 101, 501, 7), SG_VERDICT_FORWARD);
	expect(pod_sends(&peer, SG_TCP_FIN | SG_TCP_ACK, 501, 101, 9), SG_VERDICT_FORWARD);
	pass_seconds(&rig, 60);
	expect(client_sends(&peer, SG_TCP_ACK, 109, 511, 0), SG_VERDICT_FORWARD);
	expect(pod_sends(&peer, SG_TCP_ACK, 511, 109, 0), SG_VERDICT_FORWARD);
	pass_seconds(&rig, 5);
	expect(client_sends(&peer, SG_TCP_ACK, 109, 511, 0), SG_VERDICT_FORWARD);
	pass_seconds(&rig, 60);
	assert_int_equal(sg_flow_table_count(rig.pipelines[0]->flows), 0);
	rig_close(&rig);
}

// Whoever gives up first is heard, and so is the other one, whose RST is under way already.
void resets_cross_in_both_directions(void **unused)
{
	(void)unused;
	for (int client_first = 0; client_first < 2; client_first++) {
		struct rig rig;
		struct peer peer = meet(&rig, SG_PROTO_TCP, 4000, 80);

		open_rig(&rig);
		establish(&peer);
		for (int i = 0; i < 2; i++) {
			if (i == client_first) {
				expect(pod_sends(&peer, SG_TCP_RST | SG_TCP_ACK, 501, 101, 0),
					SG_VERDICT_FORWARD);
				expect_addresses(&rig, VIP, CLIENT, client_mac);
			} else {
				expect(client_sends(&peer, SG_TCP_RST, 101, 0, 0),
					SG_VERDICT_FORWARD);
				expect_addresses(&rig, SNAT, POD, pod_mac);
			}
			assert_int_equal(frame_proto(&rig.out), SG_PROTO_TCP);
			assert_true(((struct sg_tcp_hdr *)frame_l4(&rig.out))->flags & SG_TCP_RST);
		}
		pass_seconds(&rig, 11);
		assert_int_equal(sg_flow_table_count(rig.pipelines[0]->flows), 0);
		rig_close(&rig);
	}
}

// What a gateway that was restarted gets: segments of connections that it has never seen. The
// sender is told at once, in a way that it believes; a RST is not answered, nor is a SYN + ACK
// taken for an open.
void data_that_no_flow_knows_is_answered_with_a_reset(void **unused)
{
	static const struct {
		uint8_t flags;
		uint32_t seq, ack;
		uint16_t payload;
		uint8_t answer;
		uint32_t answer_seq, answer_ack;
	} rows[] = {
		{SG_TCP_ACK, 101, 501, 10, SG_TCP_RST, 501, 0},
		{SG_TCP_ACK | SG_TCP_FIN, 101, 501, 0, SG_TCP_RST, 501, 0},
		{SG_TCP_SYN | SG_TCP_ACK, 101, 501, 0, SG_TCP_RST, 501, 0},
		{0, 101, 0, 10, SG_TCP_RST | SG_TCP_ACK, 0, 111},
		{SG_TCP_FIN, 101, 0, 10, SG_TCP_RST | SG_TCP_ACK, 0, 112},
		{SG_TCP_RST, 101, 0, 0, 0, 0, 0},
		{SG_TCP_RST | SG_TCP_ACK, 101, 501, 0, 0, 0, 0},
	};
	struct rig rig;

	(void)unused;
	open_rig(&rig);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct peer peer = meet(&rig, SG_PROTO_TCP, (uint16_t)(4000 + i), 80);
		const struct sg_pkt *pkt = client_sends(
			&peer, rows[i].flags, rows[i].seq, rows[i].ack, rows[i].payload);
		const struct sg_tcp_hdr *tcp = frame_l4(&rig.out);

		if (!rows[i].answer) {
			expect_drop(pkt, SG_DROP_NO_FLOW);
			continue;
		}
		expect(pkt, SG_VERDICT_ANSWER);
		assert_int_equal(tcp->flags, rows[i].answer);
		assert_int_equal(ntohl(tcp->seq_be), rows[i].answer_seq);
		assert_int_equal(ntohl(tcp->ack_be), rows[i].answer_ack);
		assert_true(frame_checksums_hold(rig.out.bytes, rig.out.length));
	}
	assert_int_equal(rig.totals[0].flows_created, 0);
	rig_close(&rig);
}

void a_port_comes_back_within_seconds(void **unused)
{
	static const bool reset_by_client[] = {true, false};

	(void)unused;
	for (size_t i = 0; i < 2; i++) {
		struct rig rig;
		struct peer peer = meet(&rig, SG_PROTO_TCP, 4000, 80);

		open_rig(&rig);
		for (uint32_t round = 0; round < 20; round++) {
			uint32_t isn = 100000 * (round + 1);

			expect(client_sends(&peer, SG_TCP_SYN, isn, 0, 0), SG_VERDICT_FORWARD);
			// The SYN is sent again before anybody answers.
			expect(client_sends(&peer, SG_TCP_SYN, isn, 0, 0), SG_VERDICT_FORWARD);
			expect(pod_sends(&peer, SG_TCP_SYN | SG_TCP_ACK, 500, isn + 1, 0),
				SG_VERDICT_FORWARD);
			expect(client_sends(&peer, SG_TCP_ACK, isn + 1, 501, 10),
				SG_VERDICT_FORWARD);
			if (reset_by_client[i])
				expect(client_sends(&peer, SG_TCP_RST, isn + 11, 0, 0),
					SG_VERDICT_FORWARD);
			else
				expect(pod_sends(&peer, SG_TCP_RST | SG_TCP_ACK, 501, isn + 11, 0),
					SG_VERDICT_FORWARD);
			rig_pass_ms(&rig, 500);
			assert_int_equal(sg_flow_table_count(rig.pipelines[0]->flows), 1);
		}
		assert_int_equal(rig.totals[0].flows_created, 20);
		rig_close(&rig);
	}
}
