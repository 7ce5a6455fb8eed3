// Several workers: every flow lives at its home, and the books of a random mix close.
#include "rig.h"
#include "stages.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

// Wherever a packet without affinity arrives, it is handed over once at most.
static const struct sg_pkt *run_anywhere(struct rig *rig, unsigned worker, uint8_t port,
	const struct frame *frame, unsigned *ret_home)
{
	unsigned hops;
	const struct sg_pkt *pkt = rig_deliver(rig, worker, port, frame, ret_home, &hops);

	assert_true(hops <= 1);
	return pkt;
}

void every_flow_lives_at_its_home(void **unused)
{
	static const unsigned counts[] = {2, 3, 4, 8};

	(void)unused;
	for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
		unsigned n = counts[c], flows = 0;
		struct rig rig;
		uint64_t random = 3;

		rig_open(&rig, &(struct rig_options){.n_workers = n, .max_flows = 4096});
		rig_service(&rig, "dns", SG_PROTO_UDP, 53);
		rig_commit(&rig);
		for (uint16_t port = 2000; port < 3000; port++) {
			struct ipv4_text query = {.src = CLIENT,
				.dst = VIP,
				.sport = port,
				.dport = 53,
				.proto = SG_PROTO_UDP,
				.payload = 20};
			struct ipv4_text reply;
			struct frame frame;
			unsigned home, reply_home;

			frame_packet(&frame, port_macs[0], client_mac, &query);
			assert_int_equal(run_anywhere(&rig, (unsigned)(sg_random_next(&random) % n),
						 0, &frame, &home)
						 ->verdict,
				SG_VERDICT_FORWARD);
			// The SNAT port was chosen so that RSS brings the reply to this very
			// worker.
			reply = (struct ipv4_text){.src = POD,
				.dst = SNAT,
				.sport = 8080,
				.dport = ntohs(((struct sg_udp_hdr *)frame_l4(&rig.out))->sport_be),
				.proto = SG_PROTO_UDP,
				.payload = 20};
			frame_packet(&frame, port_macs[1], pod_mac, &reply);
			assert_int_equal(rig_home(&rig, &frame), home);
			assert_int_equal(run_anywhere(&rig, (unsigned)(sg_random_next(&random) % n),
						 1, &frame, &reply_home)
						 ->verdict,
				SG_VERDICT_FORWARD);
			assert_int_equal(reply_home, home);
		}
		for (unsigned i = 0; i < n; i++) {
			assert_true(sg_flow_table_count(rig.pipelines[i]->flows) > 0);
			flows += sg_flow_table_count(rig.pipelines[i]->flows);
		}
		assert_int_equal(flows, 1000);
		rig_close(&rig);
	}
}

static void random_text(struct ipv4_text *text, uint64_t *random)
{
	static const char *const sources[] = {
		CLIENT, "203.0.113.9", POD, "198.51.100.8", VIP, "8.8.8.8"};
	static const char *const targets[] = {VIP, SNAT, POD, "198.51.100.11", "239.0.0.1"};
	uint64_t r = sg_random_next(random);

	*text = (struct ipv4_text){.src = sources[r % 6],
		.dst = targets[(r >> 8) % 5],
		.sport = (uint16_t)(1000 + (r >> 16) % 50),
		.dport = (r >> 24) % 2 ? 80 : (uint16_t)(1020 + (r >> 32) % 50),
		.proto = (r >> 40) % 3 ? SG_PROTO_TCP : SG_PROTO_UDP,
		.flags = (uint8_t)(r >> 48),
		.payload = (uint16_t)((r >> 56) % 64),
		.ttl = (uint8_t)(1 + (r >> 60) % 3)};
}

// Full bursts of a mix in which flows begin, end and are recycled within one burst: every packet
// gets a verdict, and what the counters of flows say is what the table holds.
void a_random_mix_keeps_the_books(void **unused)
{
	struct rig rig;
	struct frame frames[SG_BURST];
	uint64_t random = 11;

	(void)unused;
	rig_open(&rig, &(struct rig_options){.max_flows = 48});
	rig_backend(rig_service(&rig, "web", SG_PROTO_TCP, 80), POD2, 8080, 1);
	rig_service(&rig, "dns", SG_PROTO_UDP, 80);
	rig_commit(&rig);
	for (int round = 0; round < 20000; round++) {
		const struct sg_counters *totals = &rig.totals[0];

		rig.burst.n = SG_BURST;
		for (unsigned i = 0; i < SG_BURST; i++) {
			struct ipv4_text text;
			uint8_t port = (uint8_t)(sg_random_next(&random) % 2);

			random_text(&text, &random);
			frame_packet(
				&frames[i], port_macs[port], port ? pod_mac : client_mac, &text);
			rig.burst.pkts[i] = (struct sg_pkt){.bytes = frames[i].bytes,
				.length = frames[i].length,
				.room = FRAME_ROOM,
				.port = port};
		}
		sg_pipeline_run(rig.pipelines[0], rig.snapshot, &rig.burst);
		for (unsigned i = 0; i < SG_BURST; i++)
			assert_int_not_equal(rig.burst.pkts[i].verdict, SG_VERDICT_NONE);
		assert_int_equal(totals->flows_created - totals->flows_ended,
			sg_flow_table_count(rig.pipelines[0]->flows));
		if (round % 16 == 0) {
			rig_pass_ms(&rig, 700);
			sg_pipeline_sweep(rig.pipelines[0], rig.snapshot);
		}
	}
	assert_true(rig.totals[0].flows_created > 1000);
	rig_close(&rig);
}
