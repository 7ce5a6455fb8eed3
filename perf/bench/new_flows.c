// What a new flow costs the tables, without a pipeline around them: `flows` is the table's
// capacity.
//
//     flow_table/new     look-up that misses, SNAT port, insertion of an embryo; the table is
//                        between 60 and 65 % full of its capacity
//     flow_table/flood   the same with the embryos' share used up, so that for each the oldest
//                        goes; half of the table are established flows, which stay
//
// In bursts of 32, clients at random, 4 SNAT addresses, 10 backends. Making the keys is subtracted.
#include "base/random.h"
#include "bench/subject.h"
#include "flow/snat.h"
#include "flow/table.h"
#include "flow/tcp.h"

#define N_BACKENDS 10
#define N_FLOOD    500000 // packets a sample

struct gateway {
	struct sg_flow_table *table;
	struct sg_snat_pool *snat;
	struct sg_home home;
	uint64_t random;
	struct sg_snat_turns turns;
	uint32_t next_number; // of a client
};

struct burst {
	struct sg_tuple clients[SG_BENCH_BURST];
	struct sg_tuple replies[SG_BENCH_BURST];
	struct sg_pair6 pairs[SG_BENCH_BURST]; // of IPv6 replies: none
	uint64_t client_hashes[SG_BENCH_BURST];
	uint64_t server_hashes[SG_BENCH_BURST];
	sg_flow_ref refs[SG_BENCH_BURST];
};

static void open_gateway(struct sg_bench *bench, struct gateway *gateway, uint32_t max_flows)
{
	struct sg_addr addresses[4];
	struct sg_hash_key key;

	for (unsigned i = 0; i < 4; i++)
		addresses[i] = sg_addr_from_ipv4(0x6400000a + (i << 24));
	sg_random_bytes(&key, sizeof(key));
	sg_home_init(&gateway->home, sg_toeplitz_default_key, 1);
	gateway->table = sg_flow_table_init(
		sg_bench_memory(bench, sg_flow_table_bytes(max_flows)), max_flows, &key);
	gateway->snat = sg_snat_pool_create(&gateway->home, addresses, 4, 1024, 65535, NULL);
	if (!gateway->snat)
		sg_bench_die("no memory");
	gateway->random = 1;
	sg_snat_turns_init(&gateway->turns, &gateway->random);
	gateway->next_number = 0;
}

static void close_gateway(struct gateway *gateway)
{
	sg_snat_pool_destroy(gateway->snat);
	sg_bench_free(gateway->table);
}

// Packets of clients that nobody has seen, and the backend that each is to get. The backends'
// second byte follows the flows' number, so that ports never run out at 10 M flows.
static void receive(struct gateway *gateway, struct burst *burst)
{
	for (unsigned i = 0; i < SG_BENCH_BURST; i++) {
		uint32_t number = gateway->next_number++;
		struct sg_tuple both[2];

		sg_bench_keys(number, both);
		burst->clients[i] = both[0];
		burst->replies[i] =
			(struct sg_tuple){.src_be = 0x0a | (number / 1000000 % 256) << 8 |
						    (number % N_BACKENDS) << 24,
				.sport_be = 0x901f,
				.proto = 6};
	}
	sg_bench_use(burst);
}

static void make_room(struct gateway *gateway)
{
	uint32_t over = sg_flow_table_embryos_over(gateway->table, SG_BENCH_BURST);
	sg_flow_ref refs[SG_BENCH_BURST];
	unsigned n;

	if (over == 0)
		return;
	n = sg_flow_table_oldest_embryos(
		gateway->table, refs, over < SG_BENCH_BURST ? over : SG_BENCH_BURST);
	sg_flow_table_recycle_bulk(gateway->table, refs, n);
}

static void start_flows(struct gateway *gateway, struct burst *burst, bool established)
{
	struct sg_flow_table *table = gateway->table;
	struct sg_flow_newcomer newcomers[SG_BENCH_BURST];
	struct sg_flow flows[SG_BENCH_BURST];
	uint64_t free;

	sg_flow_table_hash(table, burst->clients, SG_BENCH_BURST, burst->client_hashes);
	sg_flow_table_find_bulk(
		table, burst->clients, burst->client_hashes, SG_BENCH_BURST, burst->refs);
	free = sg_snat_propose(gateway->snat, table, 0, &gateway->turns, burst->replies,
		burst->pairs, SG_BENCH_BURST, burst->server_hashes);
	make_room(gateway);
	for (unsigned i = 0; i < SG_BENCH_BURST; i++) {
		sg_flow_ref old;

		flows[i] = (struct sg_flow){.client = burst->clients[i], .backend_slot = i};
		if (burst->refs[i] ||
			(!(free >> i & 1) &&
				!sg_snat_settle(gateway->snat, table, 0, &gateway->random, 1,
					&burst->replies[i], &burst->pairs[i],
					&burst->server_hashes[i], &old)))
			sg_bench_die("a new flow finds no port");
		sg_flow_tcp_open(&flows[i], 1);
		if (established)
			flows[i].state = SG_FLOW_TCP_ESTABLISHED;
		flows[i].server = burst->replies[i];
		newcomers[i] = (struct sg_flow_newcomer){.flow = &flows[i],
			.client_hash = burst->client_hashes[i],
			.server_hash = burst->server_hashes[i]};
	}
	sg_flow_table_insert_bulk(table, newcomers, SG_BENCH_BURST);
	for (unsigned i = 0; i < SG_BENCH_BURST; i++) {
		if (!newcomers[i].ref)
			sg_bench_die("the flow table refused a flow");
	}
}

static void fill(struct gateway *gateway, uint32_t n_flows)
{
	struct burst burst;

	while (sg_flow_table_count(gateway->table) + SG_BENCH_BURST <= n_flows) {
		receive(gateway, &burst);
		start_flows(gateway, &burst, true);
	}
}

// Ticks of `n` packets; `work`: beyond making them.
static uint64_t run(struct gateway *gateway, uint32_t n, bool work)
{
	uint64_t start = sg_bench_ticks();
	struct burst burst;

	for (uint32_t done = 0; done < n; done += SG_BENCH_BURST) {
		receive(gateway, &burst);
		if (work)
			start_flows(gateway, &burst, false);
	}
	return sg_bench_ticks() - start;
}

static void remove_embryos(struct gateway *gateway)
{
	sg_flow_ref refs[SG_BENCH_BURST];
	unsigned n;

	while ((n = sg_flow_table_oldest_embryos(gateway->table, refs, SG_BENCH_BURST)) > 0)
		sg_flow_table_remove_bulk(gateway->table, refs, n);
}

static void measure_new(struct sg_bench *bench, uint32_t max_flows)
{
	struct sg_bench_point point = {.flows = max_flows, .services = 1, .backends = 10};
	struct sg_bench_samples samples = {0};
	uint32_t n = max_flows / 20 / SG_BENCH_BURST * SG_BENCH_BURST;
	struct gateway gateway;

	open_gateway(bench, &gateway, max_flows);
	fill(&gateway, max_flows / 10 * 6);
	for (unsigned sample = 0; sample < bench->n_samples; sample++) {
		uint64_t ticks = 0, input = 0, done = 0;

		for (; done < N_FLOOD / 4; done += n) {
			ticks += run(&gateway, n, true);
			input += run(&gateway, n, false);
			remove_embryos(&gateway);
		}
		sg_bench_sample(&samples, sg_bench_ns(bench, ticks, input, done));
	}
	sg_bench_report(bench, "flow_table/new", point, &samples, NULL);
	close_gateway(&gateway);
}

static void measure_flood(struct sg_bench *bench, uint32_t max_flows)
{
	struct sg_bench_point point = {.flows = max_flows, .services = 1, .backends = 10};
	struct sg_bench_samples samples = {0};
	struct gateway gateway;

	open_gateway(bench, &gateway, max_flows);
	fill(&gateway, max_flows / 2);
	run(&gateway, max_flows, true); // the share is used up, and has been turned over
	for (unsigned sample = 0; sample < bench->n_samples; sample++) {
		uint64_t ticks = run(&gateway, N_FLOOD, true);

		sg_bench_sample(&samples,
			sg_bench_ns(bench, ticks, run(&gateway, N_FLOOD, false), N_FLOOD));
	}
	if (sg_flow_table_count(gateway.table) - sg_flow_table_embryos(gateway.table) <
		max_flows / 2 - SG_BENCH_BURST)
		sg_bench_die("the flood cost an established flow");
	sg_bench_report(bench, "flow_table/flood", point, &samples, NULL);
	close_gateway(&gateway);
}

void sg_bench_new_flows(struct sg_bench *bench)
{
	sg_bench_for_flows(bench, measure_new);
	sg_bench_for_flows(bench, measure_flood);
}
