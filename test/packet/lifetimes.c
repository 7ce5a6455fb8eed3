// TCP connections that live long while little happens, and ports that come back soon.
#include "peer.h"
#include "stages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"

#define RFC_5382_S 7440 // two hours and four minutes

static void open_rig(struct rig *rig)
{
	rig_open(rig, &(struct rig_options){0});
	rig_service(rig, "web", SG_PROTO_TCP, 80);
	rig_commit(rig);
}

// As `timeouts: { tcp = 7440; tcp_half_closed = 7440; };`
static void set_long_timeouts(struct rig *rig)
{
	struct sg_flow_timeouts *timeouts = &rig->pipelines[0]->timeouts;

	timeouts->ticks[SG_FLOW_TCP_ESTABLISHED] = sg_ticks_from_seconds(RFC_5382_S);
	timeouts->ticks[SG_FLOW_TCP_HALF_CLOSED] = sg_ticks_from_seconds(RFC_5382_S);
	timeouts->ticks[SG_FLOW_TCP_CLOSING] = sg_ticks_from_seconds(RFC_5382_S);
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
	set_long_timeouts(&rig);
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

void a_half_close_stays_open_for_an_hour(void **unused)
{
	struct rig rig;
	struct peer peer = meet(&rig, SG_PROTO_TCP, 4000, 80);

	(void)unused;
	open_rig(&rig);
	set_long_timeouts(&rig);
	establish(&peer);
	expect(client_sends(&peer, SG_TCP_FIN | SG_TCP_ACK, 101, 501, 0), SG_VERDICT_FORWARD);
	expect(pod_sends(&peer, SG_TCP_ACK, 501, 102, 0), SG_VERDICT_FORWARD);
	pass_seconds(&rig, 3600);
	expect(pod_sends(&peer, SG_TCP_ACK, 501, 102, 1000), SG_VERDICT_FORWARD);
	expect(client_sends(&peer, SG_TCP_ACK, 102, 1501, 0), SG_VERDICT_FORWARD);
	expect(pod_sends(&peer, SG_TCP_FIN | SG_TCP_ACK, 1501, 102, 0), SG_VERDICT_FORWARD);
	expect(client_sends(&peer, SG_TCP_ACK, 102, 1502, 0), SG_VERDICT_FORWARD);
	pass_seconds(&rig, 11);
	assert_int_equal(sg_flow_table_count(rig.pipelines[0]->flows), 0);
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
