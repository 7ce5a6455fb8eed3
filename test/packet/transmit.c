// What lies behind the stages: queues, rings and the hold, on DPDK's ring devices. Rows for the drop reasons that only they can give.
#include "dataplane/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>

#include <cmocka.h>

#include "rig.h"

#define RING_SLOTS 32 // one less is usable
#define N_MBUFS    511

static struct rte_mempool *mempool;
static struct rte_ring *wire_in, *wire_out;
static uint16_t device;

// One worker on one port, its rings fresh.
struct bench {
	struct rig rig;
	struct sg_dataplane dataplane;
	struct sg_worker worker;
	struct sg_counters *counters;
};

static struct bench *bench;

static struct rte_ring *make_ring(const char *name)
{
	struct rte_ring *ring = rte_ring_create(name, RING_SLOTS, SOCKET_ID_ANY, 0);

	assert_non_null(ring);
	return ring;
}

static int open_bench(void **unused)
{
	struct sg_port *port;

	(void)unused;
	bench = aligned_alloc(64, (sizeof(*bench) + 63) & ~(size_t)63);
	memset(bench, 0, sizeof(*bench));
	rig_open(&bench->rig, &(struct rig_options){0});
	rig_service(&bench->rig, "web", SG_PROTO_TCP, 80);
	rig_commit(&bench->rig);
	bench->dataplane.n_ports = 1;
	bench->dataplane.n_workers = 1;
	bench->dataplane.mempool = mempool;
	bench->dataplane.inboxes[0] = make_ring("inbox0");
	bench->dataplane.inboxes[1] = make_ring("inbox1");
	port = &bench->dataplane.ports[0];
	port->dpdk_id = device;
	port->n_rx_queues = port->n_tx_queues = 1;
	port->up = true;
	memcpy(port->mac, port_macs[0], 6);
	port->punt = make_ring("punt");
	port->punt_urgent = make_ring("punt_urgent");
	bench->worker.dataplane = &bench->dataplane;
	bench->worker.pipeline = bench->rig.pipelines[0];
	bench->worker.counters = bench->counters = &bench->rig.totals[0];
	sg_worker_assign_queues(&bench->worker, &bench->dataplane);
	return 0;
}

static void empty_ring(struct rte_ring *ring)
{
	struct rte_mbuf *mbuf;

	while (rte_ring_dequeue(ring, (void **)&mbuf) == 0)
		rte_pktmbuf_free(mbuf);
}

static int close_bench(void **unused)
{
	struct rte_ring *const rings[] = {bench->dataplane.inboxes[0], bench->dataplane.inboxes[1],
		bench->dataplane.ports[0].punt, bench->dataplane.ports[0].punt_urgent};

	(void)unused;
	sg_tx_flush(&bench->worker);
	empty_ring(wire_out);
	for (unsigned i = 0; i < 4; i++) {
		empty_ring(rings[i]);
		rte_ring_free(rings[i]);
	}
	// Whatever a test did, every buffer came back.
	assert_int_equal(rte_mempool_avail_count(mempool), N_MBUFS);
	rig_close(&bench->rig);
	free(bench);
	return 0;
}

// A burst of `n` copies of a frame with a verdict on them, as the stages leave it.
static void carry(unsigned n, struct sg_pkt verdict)
{
	struct sg_burst *burst = &bench->worker.burst;

	burst->n = n;
	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *mbuf = rte_pktmbuf_alloc(mempool);

		assert_non_null(mbuf);
		burst->pkts[i] = verdict;
		burst->pkts[i].buffer = mbuf;
		burst->pkts[i].bytes = (void *)rte_pktmbuf_append(mbuf, 60);
		burst->pkts[i].length = 60;
	}
	sg_tx_burst(&bench->worker, bench->rig.snapshot, burst);
}

static struct rte_mbuf *take(struct rte_ring *ring)
{
	struct rte_mbuf *mbuf = NULL;

	assert_int_equal(rte_ring_dequeue(ring, (void **)&mbuf), 0);
	return mbuf;
}

static uint64_t dropped(enum sg_drop drop)
{
	return sg_counter_read(&bench->counters->dropped[drop]);
}

static void a_full_transmit_queue_drops_by_name(void **unused)
{
	(void)unused;
	carry(SG_BURST, (struct sg_pkt){.verdict = SG_VERDICT_SEND});
	carry(SG_BURST, (struct sg_pkt){.verdict = SG_VERDICT_SEND});
	sg_tx_flush(&bench->worker);
	assert_int_equal(bench->counters->forwarded, RING_SLOTS - 1);
	assert_int_equal(dropped(SG_DROP_TX_FULL), 2 * SG_BURST - (RING_SLOTS - 1));
}

static void a_port_that_is_down_takes_nothing(void **unused)
{
	(void)unused;
	bench->dataplane.ports[0].up = false;
	carry(3, (struct sg_pkt){.verdict = SG_VERDICT_SEND});
	sg_tx_flush(&bench->worker);
	assert_int_equal(dropped(SG_DROP_PORT_DOWN), 3);
	assert_int_equal(bench->counters->forwarded, 0);
}

static void the_kernels_ring_can_be_full(void **unused)
{
	(void)unused;
	carry(SG_BURST, (struct sg_pkt){.verdict = SG_VERDICT_PUNT});
	assert_int_equal(dropped(SG_DROP_PUNT_FULL), 1);
	assert_int_equal(bench->counters->handed_out, RING_SLOTS - 1);
	// ARP has a ring of its own.
	carry(1, (struct sg_pkt){.verdict = SG_VERDICT_PUNT_URGENT});
	assert_int_equal(dropped(SG_DROP_PUNT_FULL), 1);
}

static void a_busy_home_drops_by_name(void **unused)
{
	struct rte_mbuf *mbuf;

	(void)unused;
	carry(SG_BURST, (struct sg_pkt){.verdict = SG_VERDICT_HANDOFF, .target = 1, .port = 5,
					 .flags = SG_PKT_FROM_KERNEL});
	assert_int_equal(dropped(SG_DROP_HANDOFF_FULL), 1);
	assert_int_equal(bench->counters->handed_out, RING_SLOTS - 1);
	mbuf = take(bench->dataplane.inboxes[1]);
	assert_int_equal(sg_mbuf_meta(mbuf)->port, 5);
	assert_true(sg_mbuf_meta(mbuf)->from_kernel);
	assert_true(sg_mbuf_meta(mbuf)->handed_off);
	assert_false(sg_mbuf_meta(mbuf)->transmit);
	rte_pktmbuf_free(mbuf);
}

static void a_queue_of_another_worker_is_reached_through_its_inbox(void **unused)
{
	struct sg_burst *burst = &bench->worker.burst;

	(void)unused;
	// This worker plays both: first the one without a queue, then the owner.
	bench->worker.tx_queues[0].owner = 1;
	carry(2, (struct sg_pkt){.verdict = SG_VERDICT_SEND});
	assert_int_equal(bench->counters->handed_out, 2);
	bench->worker.tx_queues[0].owner = 0;
	bench->dataplane.inboxes[0] = bench->dataplane.inboxes[1];
	assert_int_equal(sg_rx_inbox_burst(&bench->worker, burst), 2);
	assert_int_equal(burst->n, 0);
	sg_tx_flush(&bench->worker);
	assert_int_equal(bench->counters->handed_in, 2);
	assert_int_equal(bench->counters->forwarded, 2);
	bench->dataplane.inboxes[0] = rte_ring_lookup("inbox0");
}

static void an_unresolved_hop_holds_four_for_100_ms(void **unused)
{
	const struct sg_pkt verdict = {.verdict = SG_VERDICT_FORWARD, .hop = HOP_UNRESOLVED_POD};

	(void)unused;
	carry(6, verdict);
	assert_int_equal(dropped(SG_DROP_NEXTHOP_UNRESOLVED), 2);
	sg_hold_turn(&bench->worker, bench->rig.snapshot);
	assert_int_equal(bench->counters->held, 4);
	rig_pass_ms(&bench->rig, 99);
	sg_hold_turn(&bench->worker, bench->rig.snapshot);
	assert_int_equal(bench->counters->held, 4);
	rig_pass_ms(&bench->rig, 2);
	sg_hold_turn(&bench->worker, bench->rig.snapshot);
	assert_int_equal(bench->counters->held, 0);
	assert_int_equal(dropped(SG_DROP_NEXTHOP_UNRESOLVED), 6);

	// Resolved in time, they go out with the MAC that came.
	carry(3, verdict);
	bench->rig.routes->hops[HOP_UNRESOLVED_POD].kind = SG_HOP_PORT;
	bench->rig.routes->hops[HOP_UNRESOLVED_POD].port = 0;
	memcpy(bench->rig.routes->hops[HOP_UNRESOLVED_POD].dst_mac, pod2_mac, 6);
	sg_hold_turn(&bench->worker, bench->rig.snapshot);
	sg_tx_flush(&bench->worker);
	assert_int_equal(bench->counters->forwarded, 3);
	for (int i = 0; i < 3; i++) {
		struct rte_mbuf *mbuf = take(wire_out);

		assert_memory_equal(rte_pktmbuf_mtod(mbuf, void *), pod2_mac, 6);
		rte_pktmbuf_free(mbuf);
	}
}

static void what_comes_in_goes_somewhere(void **unused)
{
	static const struct ipv4_text syn = {.src = CLIENT, .dst = VIP, .sport = 4000, .dport = 80,
		.proto = SG_PROTO_TCP, .flags = SG_TCP_ACK};
	struct sg_burst *burst = &bench->worker.burst;
	struct frame frame;

	(void)unused;
	frame_ipv4(&frame, port_macs[0], client_mac, &syn);
	for (int i = 0; i < 10; i++) {
		struct rte_mbuf *mbuf = rte_pktmbuf_alloc(mempool);

		memcpy(rte_pktmbuf_append(mbuf, 60), frame.bytes, 60);
		assert_int_equal(rte_ring_enqueue(wire_in, mbuf), 0);
	}
	assert_int_equal(sg_rx_queue_burst(&bench->worker, &bench->worker.rx_queues[0], burst), 10);
	sg_pipeline_run(bench->worker.pipeline, bench->rig.snapshot, burst);
	sg_tx_burst(&bench->worker, bench->rig.snapshot, burst);
	sg_tx_flush(&bench->worker);
	// Strays: each was answered with a RST of 54 bytes.
	assert_int_equal(bench->counters->received, 10);
	assert_int_equal(bench->counters->consumed, 10);
	assert_int_equal(bench->counters->generated, 10);
	assert_int_equal(bench->counters->forwarded, 10);
	for (int i = 0; i < 10; i++) {
		struct rte_mbuf *mbuf = take(wire_out);

		assert_int_equal(rte_pktmbuf_pkt_len(mbuf), 54);
		assert_memory_equal(rte_pktmbuf_mtod(mbuf, void *), client_mac, 6);
		rte_pktmbuf_free(mbuf);
	}
}

static void announcements_go_out_of_every_port_that_is_up(void **unused)
{
	struct rte_mbuf *mbuf;

	(void)unused;
	sg_tx_announce(&bench->worker, addr_be(VIP));
	sg_tx_flush(&bench->worker);
	assert_int_equal(bench->counters->generated, 1);
	assert_int_equal(bench->counters->forwarded, 1);
	mbuf = take(wire_out);
	assert_int_equal(rte_pktmbuf_mtod(mbuf, uint8_t *)[0], 0xff);
	rte_pktmbuf_free(mbuf);
}

static void start_dpdk(void)
{
	const struct rte_eth_conf plain = {0};
	char prefix[64];
	char *arguments[] = {"transmit", "--no-huge", "--no-pci", "-m", "64", "--file-prefix", prefix, "--lcores",
		"0@0", "--log-level", "1", "--no-telemetry", "--no-shconf", NULL};

	snprintf(prefix, sizeof(prefix), "sg-transmit-%d", getpid());
	if (rte_eal_init(13, arguments) < 0)
		fail_msg("EAL does not start");
	mempool = rte_pktmbuf_pool_create(
		"packets", N_MBUFS, 0, SG_MBUF_PRIV_BYTES, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	assert_non_null(mempool);
	wire_in = make_ring("wire_in");
	wire_out = make_ring("wire_out");
	device = (uint16_t)rte_eth_from_rings("wire", &wire_in, 1, &wire_out, 1, 0);
	assert_int_equal(rte_eth_dev_configure(device, 1, 1, &plain), 0);
	assert_int_equal(rte_eth_rx_queue_setup(device, 0, RING_SLOTS, 0, NULL, mempool), 0);
	assert_int_equal(rte_eth_tx_queue_setup(device, 0, RING_SLOTS, 0, NULL), 0);
	assert_int_equal(rte_eth_dev_start(device), 0);
}

static int start_group(void **unused)
{
	(void)unused;
	start_dpdk();
	return 0;
}

static int stop_group(void **unused)
{
	char directory[256];

	(void)unused;
	snprintf(directory, sizeof(directory), "%s", rte_eal_get_runtime_dir());
	rte_eth_dev_stop(device);
	rte_eth_dev_close(device);
	rte_eal_cleanup();
	return rmdir(directory);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_bench, close_bench)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_full_transmit_queue_drops_by_name),
		TEST(a_port_that_is_down_takes_nothing),
		TEST(the_kernels_ring_can_be_full),
		TEST(a_busy_home_drops_by_name),
		TEST(a_queue_of_another_worker_is_reached_through_its_inbox),
		TEST(an_unresolved_hop_holds_four_for_100_ms),
		TEST(what_comes_in_goes_somewhere),
		TEST(announcements_go_out_of_every_port_that_is_up),
	};

	return cmocka_run_group_tests(tests, start_group, stop_group);
}
