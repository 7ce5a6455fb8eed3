// One worker and its packets, see rig.h.
#include "rig.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "base/random.h"
#include "bench/bench.h"
#include "bridge.h"
#include "buffers.h"
#include "dataplane/worker.h"
#include "lcores.h"
#include "net/checksum.h"
#include "net/headers.h"
#include "workers.h"

#define WORKER_LCORE 1
#define FRAME_BYTES  60
#define BURST        32
#define RING_SLOTS   4096
#define WARM_US      2000 // of each stretch: caches forget while nothing comes

#define CPU_COST_TRIES 10000
#define LEAST_AWAY_US  2

struct order {
	double seconds, rate;
	struct sg_rig_figures *figures;
};

struct sg_rig {
	struct sg_rig_options options;
	struct sg_settings settings;
	struct sg_lcores lcores;
	struct sg_home home;
	struct sg_dataplane dataplane;
	struct sg_workers *workers;
	struct sg_bridge bridge;
	struct sg_publisher publisher;
	struct rte_ring *in, *out;    // the worker's receive and transmit queue
	struct sg_tuple (*tuples)[2]; // [flows] of the client's packets and of the backend's
	uint64_t random;
	uint64_t now;                  // the worker's time
	uint64_t settled;              // packets due before it were held up by a gap
	uint64_t cpu_cost_ns;          // of reading the thread's CPU time
	uint64_t generation;           // that the last turn used
	struct sg_rig_figures opening; // of the flows
	struct order order;
	uint32_t n_orders; // written by the main thread (release), read by the worker (acquire)
	uint32_t n_done;   // the other way round
	bool stop;
};

double sg_rig_us(double ticks)
{
	return ticks * 1e6 / (double)rte_get_tsc_hz();
}

// --- opening

static void set_up(struct sg_rig *rig)
{
	struct sg_settings *settings = &rig->settings;

	sg_settings_init(settings);
	snprintf(settings->instance, sizeof(settings->instance), "storms-%d", (int)getpid());
	snprintf(settings->socket_path, sizeof(settings->socket_path), "%s", rig->options.socket);
	settings->flows_per_worker = (uint32_t)((uint64_t)rig->options.flows * 10 / 6 + 1024);
	settings->hugepages = rig->options.huge;
	settings->n_ports = 1;
	settings->ports[0].mtu = 1500;
	snprintf(settings->ports[0].name, sizeof(settings->ports[0].name), "p0");
	settings->n_snat_addresses = 16;
	for (unsigned i = 0; i < settings->n_snat_addresses; i++)
		settings->snat_addresses[i] = sg_addr_from_ipv4(__builtin_bswap32(0x0aff0001 + i));
	rig->lcores = (struct sg_lcores){.control_cpu = rig->options.control_cpu,
		.n_workers = 1,
		.worker_cpus = {rig->options.worker_cpu}};
	rig->dataplane.n_ports = 1;
	rig->dataplane.n_workers = 1;
	sg_home_init(&rig->home, sg_toeplitz_default_key, 1);
}

static void open_port(struct sg_rig *rig)
{
	struct sg_port *port = &rig->dataplane.ports[0];
	const struct rte_eth_conf conf = {0};
	int id;

	rig->in = rte_ring_create("in", RING_SLOTS, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	rig->out = rte_ring_create("out", RING_SLOTS, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (!rig->in || !rig->out)
		sg_bench_die("no memory for rings");
	id = rte_eth_from_rings("storms", &rig->in, 1, &rig->out, 1, SOCKET_ID_ANY);
	if (id < 0 || rte_eth_dev_configure((uint16_t)id, 1, 1, &conf) != 0 ||
		rte_eth_rx_queue_setup(
			(uint16_t)id, 0, BURST, SOCKET_ID_ANY, NULL, rig->dataplane.mempool) != 0 ||
		rte_eth_tx_queue_setup((uint16_t)id, 0, BURST, SOCKET_ID_ANY, NULL) != 0 ||
		rte_eth_dev_start((uint16_t)id) != 0)
		sg_bench_die("DPDK makes no port of two rings");
	port->dpdk_id = (uint16_t)id;
	port->mtu = 1500;
	memcpy(port->mac, (const uint8_t[]){2, 0, 0, 0, 0x57, 0}, 6);
	port->n_rx_queues = port->n_tx_queues = 1;
	port->max_pieces = UINT8_MAX;
	port->up = true;
}

struct sg_rig *sg_rig_create(const struct sg_rig_options *options)
{
	struct sg_rig *rig = aligned_alloc(64, (sizeof(*rig) + 63) & ~(size_t)63);
	struct sg_error error = {0};

	if (!rig)
		sg_bench_die("no memory");
	memset(rig, 0, sizeof(*rig));
	rig->options = *options;
	rig->random = 1;
	set_up(rig);
	if (sg_eal_start(&rig->lcores, &rig->settings, sg_buffers_memory_mb(&rig->settings, 1),
		    &error) < 0 ||
		sg_buffers_create(&rig->dataplane, &rig->settings, &error) < 0)
		sg_bench_die("%s", error.text);
	open_port(rig);
	if (sg_workers_open(&rig->workers, &rig->dataplane, &rig->settings, &rig->lcores,
		    &rig->home, &error) < 0)
		sg_bench_die("%s", error.text);
	sg_bridge_init(&rig->bridge, &rig->dataplane, &rig->publisher);
	rig->tuples = calloc(options->flows, sizeof(rig->tuples[0]));
	if (!rig->tuples)
		sg_bench_die("no memory for %u flows", options->flows);
	// Touched, so that faults are the worker's own.
	memset(rig->tuples, 1, options->flows * sizeof(rig->tuples[0]));
	return rig;
}

const struct sg_settings *sg_rig_settings(const struct sg_rig *rig)
{
	return &rig->settings;
}

const struct sg_publisher *sg_rig_publisher(const struct sg_rig *rig)
{
	return &rig->publisher;
}

// --- packets

// When a packet was due; in a place that neither a device nor a worker looks at.
static uint64_t *due_of(struct rte_mbuf *mbuf)
{
	return (uint64_t *)((uint8_t *)rte_mbuf_to_priv(mbuf) + SG_MBUF_PRIV_BYTES -
			    sizeof(uint64_t));
}

static struct sg_tuple client_tuple(const struct sg_rig *rig, uint32_t flow)
{
	return (struct sg_tuple){
		.src_be = __builtin_bswap32(0x10000000 + (flow * UINT32_C(0x9e3779b1) >> 3)),
		.dst_be = __builtin_bswap32(0xcb000000 + flow % rig->options.services),
		.sport_be = (uint16_t)((flow * UINT32_C(0x85ebca6b) >> 16) | 0x80),
		.dport_be = __builtin_bswap16(80),
		.proto = SG_PROTO_TCP};
}

static void write_packet(
	const struct sg_rig *rig, struct rte_mbuf *mbuf, const struct sg_tuple *tuple, bool syn)
{
	struct sg_eth_hdr *eth = rte_pktmbuf_mtod(mbuf, struct sg_eth_hdr *);
	struct sg_ipv4_hdr *ip = (void *)(eth + 1);
	struct sg_tcp_hdr *tcp = (void *)(ip + 1);

	memset(eth, 0, FRAME_BYTES);
	memcpy(eth->dst, rig->dataplane.ports[0].mac, 6);
	eth->ethertype_be = __builtin_bswap16(SG_ETHERTYPE_IPV4);
	*ip = (struct sg_ipv4_hdr){.version_ihl = 0x45,
		.total_length_be = __builtin_bswap16(sizeof(*ip) + sizeof(*tcp)),
		.ttl = 64,
		.proto = SG_PROTO_TCP,
		.src_be = tuple->src_be,
		.dst_be = tuple->dst_be};
	*tcp = (struct sg_tcp_hdr){.sport_be = tuple->sport_be,
		.dport_be = tuple->dport_be,
		.offset = 5 << 4,
		.flags = syn ? SG_TCP_SYN : SG_TCP_ACK};
	// As from a device that has checked the sums.
	mbuf->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	mbuf->data_len = FRAME_BYTES;
	mbuf->pkt_len = FRAME_BYTES;
}

// Returns how many the ring had no room for.
static unsigned give(struct sg_rig *rig, struct rte_mbuf **mbufs, unsigned n)
{
	unsigned given = rte_ring_enqueue_burst(rig->in, (void **)mbufs, n, NULL);

	rte_pktmbuf_free_bulk(mbufs + given, n - given);
	return n - given;
}

static unsigned make_segments(struct sg_rig *rig, unsigned n, uint64_t due, uint64_t interval)
{
	struct rte_mbuf *mbufs[BURST];

	if (rte_pktmbuf_alloc_bulk(rig->dataplane.mempool, mbufs, n) != 0)
		sg_bench_die("packet buffers are leaking");
	for (unsigned i = 0; i < n; i++) {
		uint64_t random = sg_random_next(&rig->random);
		uint32_t flow = sg_reduce((uint32_t)(random >> 32), rig->options.flows);

		write_packet(rig, mbufs[i], &rig->tuples[flow][random & 1], false);
		*due_of(mbufs[i]) = due + i * interval;
	}
	return give(rig, mbufs, n);
}

// --- turns

static uint64_t ticks(void)
{
	uint64_t now;

	rte_mb();
	now = rte_rdtsc_precise();
	return now;
}

static void drain(struct sg_rig *rig, struct sg_rig_figures *figures)
{
	struct rte_mbuf *mbufs[BURST];
	unsigned n;

	while ((n = rte_ring_dequeue_burst(rig->out, (void **)mbufs, BURST, NULL)) > 0) {
		for (unsigned i = 0; i < n && figures; i++) {
			uint64_t due = *due_of(mbufs[i]);

			if (mbufs[i]->pkt_len != FRAME_BYTES - 6)
				continue; // what the worker says itself: announcements
			figures->forwarded++;
			if (due < rig->settled)
				figures->left_out++;
			else
				sg_latency_add(&figures->latency, (uint32_t)(rig->now - due));
		}
		rte_pktmbuf_free_bulk(mbufs, n);
	}
}

static uint64_t cpu_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void learn_cpu_cost(struct sg_rig *rig)
{
	rig->cpu_cost_ns = UINT64_MAX;
	for (unsigned i = 0; i < CPU_COST_TRIES; i++) {
		uint64_t start = cpu_ns(), cost = cpu_ns() - start;

		if (cost < rig->cpu_cost_ns)
			rig->cpu_cost_ns = cost;
	}
}

// How much of so many ticks, in which the thread's CPU time grew so much, the CPU was elsewhere.
static uint64_t away_ticks(const struct sg_rig *rig, uint64_t raw, uint64_t grown_ns)
{
	uint64_t own_ns = grown_ns > rig->cpu_cost_ns ? grown_ns - rig->cpu_cost_ns : 0;
	uint64_t own = (uint64_t)((double)own_ns * (double)rte_get_tsc_hz() / 1e9);

	// Reading it takes now longer, now shorter: by less than no gap is.
	return raw > own + rte_get_tsc_hz() / 1000000 * LEAST_AWAY_US ? raw - own : 0;
}

static void note_span(struct sg_rig_spans *spans, uint64_t raw, uint64_t away)
{
	uint64_t us = rte_get_tsc_hz() / 1000000, own = raw - away;

	spans->n++;
	spans->ticks += own;
	spans->away += away;
	spans->raw_longest = RTE_MAX(spans->raw_longest, raw);
	spans->longest = RTE_MAX(spans->longest, own);
	spans->over_gap += own >= us * SG_RIG_GAP_US;
	spans->over_50 += own >= us * SG_RIG_LONG_US / 2;
	spans->over_100 += own >= us * SG_RIG_LONG_US;
}

static void stay_idle(const struct sg_rig *rig, uint64_t for_ticks, struct sg_rig_spans *spans)
{
	uint64_t before_ns = cpu_ns(), start = ticks(), raw;

	do
		raw = ticks() - start;
	while (raw < for_ticks);
	note_span(spans, raw, away_ticks(rig, raw, cpu_ns() - before_ns));
}

static void take_turn(struct sg_rig *rig, struct sg_rig_figures *figures)
{
	const struct sg_worker *worker = rig->dataplane.workers[0];
	uint64_t gap = rte_get_tsc_hz() / 1000000 * SG_RIG_GAP_US;
	uint64_t before_ns = cpu_ns(), start = ticks(), raw, away;

	sg_worker_turn(rig->dataplane.workers[0]);
	raw = ticks() - start;
	away = away_ticks(rig, raw, cpu_ns() - before_ns);
	note_span(&figures->turns, raw, away);
	if (worker->counters->generation != rig->generation)
		note_span(&figures->adopting, raw, away);
	rig->generation = worker->counters->generation;
	if (raw - away < gap)
		rig->now += raw - away;
	else
		rig->settled = rig->now + 1;
	stay_idle(rig, RTE_MIN(raw - away, gap), &figures->idle);
}

// Packets that the worker has dropped or not sent.
static uint64_t count_dropped(const struct sg_rig *rig)
{
	const struct sg_counters *counters = rig->dataplane.counters[0].totals;
	uint64_t sum = 0;

	for (unsigned i = 0; i < SG_DROP_COUNT; i++)
		sum += sg_counter_read(&counters->dropped[i]);
	return sum;
}

static void note_kernel(struct sg_rig_figures *figures, int sign)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	figures->faults += (uint64_t)(sign * usage.ru_minflt);
	figures->preemptions += (uint64_t)(sign * usage.ru_nivcsw);
}

static void carry_out(struct sg_rig *rig, const struct order *order)
{
	struct sg_rig_figures *figures = order->figures;
	uint64_t end = rte_rdtsc() + (uint64_t)(order->seconds * (double)rte_get_tsc_hz());
	uint64_t interval =
		order->rate > 0 ? (uint64_t)((double)rte_get_tsc_hz() / order->rate) : 0;
	uint64_t next_due = rig->now, dropped = count_dropped(rig);
	uint64_t warm = rte_rdtsc() + rte_get_tsc_hz() / 1000000 * WARM_US;
	bool warming = true;

	note_kernel(figures, -1);
	while (rte_rdtsc() < end) {
		if (warming && rte_rdtsc() > warm) {
			memset(figures, 0, sizeof(*figures));
			note_kernel(figures, -1);
			warming = false;
		}
		// All that is due waits in the ring, as in a device's.
		while (rig->now >= next_due) {
			uint64_t n = interval ? (rig->now - next_due) / interval + 1 : BURST;

			n = n > BURST ? BURST : n;
			figures->overrun += make_segments(rig, (unsigned)n, next_due, interval);
			figures->made += n;
			next_due += interval ? n * interval : UINT64_MAX / 2;
		}
		if (!interval)
			next_due = rig->now;
		take_turn(rig, figures);
		drain(rig, figures);
	}
	// The last ones are on their way.
	for (unsigned i = 0; i < 2 * RING_SLOTS / BURST; i++) {
		take_turn(rig, figures);
		drain(rig, figures);
	}
	note_kernel(figures, 1);
	figures->lost += count_dropped(rig) - dropped;
}

static void add_latency(struct sg_latency *sum, const struct sg_latency *latency)
{
	sum->n += latency->n;
	for (unsigned i = 0; i < SG_LATENCY_BUCKETS; i++)
		sum->counts[i] += latency->counts[i];
}

static void add_spans(struct sg_rig_spans *sum, const struct sg_rig_spans *spans)
{
	sum->n += spans->n;
	sum->ticks += spans->ticks;
	sum->away += spans->away;
	sum->raw_longest = RTE_MAX(sum->raw_longest, spans->raw_longest);
	sum->longest = RTE_MAX(sum->longest, spans->longest);
	sum->over_gap += spans->over_gap;
	sum->over_50 += spans->over_50;
	sum->over_100 += spans->over_100;
}

void sg_rig_add(struct sg_rig_figures *sum, const struct sg_rig_figures *stretch)
{
	sum->made += stretch->made;
	sum->forwarded += stretch->forwarded;
	sum->lost += stretch->lost;
	sum->overrun += stretch->overrun;
	sum->left_out += stretch->left_out;
	sum->faults += stretch->faults;
	sum->preemptions += stretch->preemptions;
	add_spans(&sum->turns, &stretch->turns);
	add_spans(&sum->idle, &stretch->idle);
	add_spans(&sum->adopting, &stretch->adopting);
	add_latency(&sum->latency, &stretch->latency);
}

// --- flows

static void die_of_drops(const struct sg_rig *rig)
{
	const struct sg_counters *totals = rig->dataplane.counters[0].totals;

	for (unsigned i = 0; i < SG_DROP_COUNT; i++) {
		uint64_t n = sg_counter_read(&totals->dropped[i]);

		if (n > 0)
			fprintf(stderr, "dropped: %s %lu\n", sg_drop_name((enum sg_drop)i), n);
	}
	sg_bench_die("a flow was not made; the table holds %u",
		sg_flow_table_count(rig->dataplane.workers[0]->pipeline->flows));
}

static void open_flows(struct sg_rig *rig)
{
	note_kernel(&rig->opening, -1);
	for (uint32_t flow = 0; flow < rig->options.flows; flow += BURST) {
		struct rte_mbuf *mbufs[BURST];
		unsigned n = rig->options.flows - flow < BURST ? rig->options.flows - flow : BURST;

		if (rte_pktmbuf_alloc_bulk(rig->dataplane.mempool, mbufs, n) != 0)
			sg_bench_die("packet buffers are leaking");
		for (unsigned i = 0; i < n; i++) {
			rig->tuples[flow + i][0] = client_tuple(rig, flow + i);
			write_packet(rig, mbufs[i], &rig->tuples[flow + i][0], true);
		}
		give(rig, mbufs, n);
		take_turn(rig, &rig->opening);
		drain(rig, NULL);
		// The handshake, as if it had come: else embryos would push each other out.
		for (unsigned i = 0; i < n; i++) {
			struct sg_flow_table *table = rig->dataplane.workers[0]->pipeline->flows;
			const struct sg_tuple *tuple = &rig->tuples[flow + i][0];
			sg_flow_ref ref;
			uint64_t hash;

			sg_flow_table_hash(table, tuple, 1, &hash);
			ref = sg_flow_table_find(table, tuple, hash);
			if (!ref)
				die_of_drops(rig);
			sg_flow_table_get(table, ref)->state = SG_FLOW_TCP_ESTABLISHED;
			sg_flow_table_confirm(table, ref);
			rig->tuples[flow + i][1] = sg_flow_table_get(table, ref)->server;
		}
	}
	note_kernel(&rig->opening, 1);
}

// --- orders

static int work(void *context)
{
	struct sg_rig *rig = context;
	struct sg_worker *worker = rig->dataplane.workers[0];

	sg_worker_begin(worker);
	learn_cpu_cost(rig);
	open_flows(rig);
	__atomic_store_n(&rig->n_done, rig->n_done + 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&rig->stop, __ATOMIC_RELAXED)) {
		// Acquire pairs with the release in sg_rig_go: the order is whole.
		if (__atomic_load_n(&rig->n_orders, __ATOMIC_ACQUIRE) == rig->n_done) {
			sg_worker_turn(worker);
			drain(rig, NULL);
			continue;
		}
		carry_out(rig, &rig->order);
		// Release pairs with the acquire in sg_rig_is_going: the figures are whole.
		__atomic_store_n(&rig->n_done, rig->n_done + 1, __ATOMIC_RELEASE);
	}
	sg_worker_end(worker);
	return 0;
}

void sg_rig_start(struct sg_rig *rig, struct sg_rig_figures *ret_opening)
{
	rig->n_orders = 1; // the flows
	rte_eal_remote_launch(work, rig, WORKER_LCORE);
	sg_rig_wait(rig);
	*ret_opening = rig->opening;
}

void sg_rig_go(struct sg_rig *rig, double seconds, double rate, struct sg_rig_figures *figures)
{
	rig->order = (struct order){.seconds = seconds, .rate = rate, .figures = figures};
	__atomic_store_n(&rig->n_orders, rig->n_orders + 1, __ATOMIC_RELEASE);
}

bool sg_rig_is_going(const struct sg_rig *rig)
{
	return __atomic_load_n(&rig->n_done, __ATOMIC_ACQUIRE) != rig->n_orders;
}

void sg_rig_wait(const struct sg_rig *rig)
{
	while (sg_rig_is_going(rig))
		usleep(1000);
}

void sg_rig_destroy(struct sg_rig *rig)
{
	__atomic_store_n(&rig->stop, true, __ATOMIC_RELAXED);
	rte_eal_mp_wait_lcore();
	sg_workers_close(rig->workers);
	rte_eth_dev_stop(rig->dataplane.ports[0].dpdk_id);
	rte_eth_dev_close(rig->dataplane.ports[0].dpdk_id);
	sg_buffers_destroy(&rig->dataplane);
	sg_eal_stop();
	free(rig->tuples);
	free(rig);
}
