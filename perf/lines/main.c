// Workers that never run at the same time, for a tool that watches every store: perf/lines/run runs
// this under valgrind and looks whether two workers have written the same cache line.
//
//     lines WORKERS   prints `marker WORKER ADDRESS` for each worker and one more, then works
//
// A store to a worker's marker says that what follows is its doing; the last marker ends it. Each
// worker has a thread, and so a stack, of its own, and the memory that stormgate gives it:
// pipeline, counters, flow table. What they share is shared here: snapshot, routes, homes, SNAT
// ports, the view of backends' loads. Clients open connections, which are answered, go on, end, are
// reset and age out; others are refused.
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/region.h"
#include "bench/world.h"
#include "dataplane/loads.h"
#include "net/headers.h"

#define MAX_WORKERS 8
#define MAX_FLOWS   1024
#define FLOWS       128
#define AGE_TURNS   30 // each passes the whole table; after the last, established flows are over, too
#define AGE_MS      50000
#define PORT_MIN    1024
#define PORT_MAX    2047

struct worker {
	struct sg_world world; // what it has in common with all, and burst and frames of its own
	unsigned number;
	unsigned n_forwarded;
	struct sg_tuple replies[FLOWS];
	uint32_t flows[FLOWS]; // that have their home here
	unsigned n_flows;
} __attribute__((aligned(64)));

static struct {
	_Alignas(64) volatile uint64_t stores;
} markers[MAX_WORKERS + 1];

static struct worker workers[MAX_WORKERS];
static sem_t done, all_done;

static void run(struct worker *worker)
{
	struct sg_world *world = &worker->world;

	sg_pipeline_run(world->pipeline, world->snapshot, &world->burst);
	for (unsigned i = 0; i < world->burst.n; i++)
		worker->n_forwarded += world->burst.pkts[i].verdict == SG_VERDICT_FORWARD;
}

static void open_flows(struct worker *worker)
{
	struct sg_world *world = &worker->world;

	for (uint32_t flow = 0; flow < FLOWS; flow += SG_BENCH_BURST) {
		world->burst.n = SG_BENCH_BURST;
		for (unsigned i = 0; i < SG_BENCH_BURST; i++)
			sg_world_client(world, i, world->frames[i], flow + i, true);
		run(worker);
		for (unsigned i = 0; i < SG_BENCH_BURST; i++) {
			const struct sg_pkt *pkt = &world->burst.pkts[i];

			if (pkt->verdict != SG_VERDICT_FORWARD)
				continue; // another worker's
			worker->flows[worker->n_flows] = flow + i;
			worker->replies[worker->n_flows++] =
				sg_flow_table_get(world->pipeline->flows, pkt->ref)->server;
		}
	}
}

// One segment of each flow, from the client or from its backend.
static void go_on(struct worker *worker, bool to_client, uint8_t flags)
{
	struct sg_world *world = &worker->world;

	world->replies = worker->replies;
	for (unsigned at = 0; at < worker->n_flows; at += world->burst.n) {
		unsigned left = worker->n_flows - at;

		world->burst.n = left < SG_BENCH_BURST ? left : SG_BENCH_BURST;
		for (unsigned i = 0; i < world->burst.n; i++) {
			struct sg_tcp_hdr *tcp =
				(void *)(world->frames[i] + SG_WORLD_HEAD_BYTES +
					 sizeof(struct sg_eth_hdr) + sizeof(struct sg_ipv4_hdr));

			if (to_client)
				sg_world_backend(world, i, world->frames[i], at + i);
			else
				sg_world_client(
					world, i, world->frames[i], worker->flows[at + i], false);
			tcp->flags = flags;
		}
		run(worker);
	}
}

static void refuse_some(struct worker *worker)
{
	struct sg_world *world = &worker->world;

	world->burst.n = SG_BENCH_BURST;
	for (unsigned i = 0; i < SG_BENCH_BURST; i++) {
		sg_world_client(world, i, world->frames[i], i, false);
		world->frames[i][SG_WORLD_HEAD_BYTES + sizeof(struct sg_eth_hdr) + 16 + i % 4] ^= 1;
	}
	run(worker);
}

static void age(struct worker *worker)
{
	for (unsigned i = 0; i < AGE_TURNS; i++) {
		sg_world_pass_ms(&worker->world, AGE_MS);
		sg_pipeline_sweep(worker->world.pipeline, worker->world.snapshot);
	}
}

static void *work(void *context)
{
	struct worker *worker = context;

	markers[worker->number].stores++;
	open_flows(worker);
	go_on(worker, true, SG_TCP_SYN | SG_TCP_ACK);
	go_on(worker, false, SG_TCP_ACK);
	go_on(worker, true, SG_TCP_ACK);
	go_on(worker, false, SG_TCP_FIN | SG_TCP_ACK);
	go_on(worker, true, SG_TCP_RST);
	refuse_some(worker);
	age(worker);
	markers[MAX_WORKERS].stores++;
	// Its stack must not become the next one's.
	sem_post(&done);
	sem_wait(&all_done);
	return NULL;
}

static void open_worker(const struct sg_world *base, struct worker *worker, unsigned n,
	const struct sg_region *counters, const struct sg_region *losses, struct sg_loads *loads)
{
	static const struct sg_pipeline_port ports[2] = {
		{.mac = {2, 0, 0, 0, 0x57, 0}, .mtu = 1500},
		{.mac = {2, 0, 0, 0, 0x57, 1}, .mtu = 1500}};
	struct sg_worker_counters blocks;
	struct sg_region memory;

	worker->world.options = base->options;
	worker->world.snapshot = base->snapshot;
	worker->world.now_ms = base->now_ms;
	sg_counters_lay_out(counters->bytes, losses->bytes, worker->number, &blocks);
	if (sg_region_open(&memory, sg_pipeline_bytes(MAX_FLOWS), false, NULL) < 0)
		sg_bench_die("no memory");
	worker->world.pipeline = sg_pipeline_init(
		memory.bytes, &(struct sg_pipeline_settings){.worker = worker->number,
				      .n_workers = n,
				      .ports = ports,
				      .n_ports = 2,
				      .home = &base->home,
				      .snat = base->snat,
				      .snat_port_min = PORT_MIN,
				      .snat_port_max = PORT_MAX,
				      .max_flows = MAX_FLOWS,
				      .counters = &blocks,
				      .loads = loads});
	sg_world_pass_ms(&worker->world, 1);
}

// For so many workers; the world is made for one.
static void share(struct sg_world *base, unsigned n)
{
	const uint32_t bytes = SG_MAX_BACKENDS * sizeof(uint32_t);
	static struct sg_region counters, losses, views;
	static struct sg_loads loads;
	struct sg_addr addresses[4];

	for (unsigned i = 0; i < 4; i++)
		addresses[i] = sg_addr_from_ipv4(__builtin_bswap32(0x0aff0001 + i));
	sg_home_init(&base->home, sg_toeplitz_default_key, n);
	base->snat = sg_snat_pool_create(&base->home, addresses, 4, PORT_MIN, PORT_MAX, NULL);
	if (!base->snat || sg_region_open(&counters, sg_counters_bytes(n), false, NULL) < 0 ||
		sg_region_open(&losses, sg_losses_bytes(n), false, NULL) < 0 ||
		sg_region_open(&views, (n + 1) * bytes, false, NULL) < 0)
		sg_bench_die("no memory");
	loads.view = views.bytes;
	for (unsigned i = 0; i < n; i++)
		loads.seen[i] = (void *)((uint8_t *)views.bytes + (i + 1) * bytes);
	for (unsigned i = 0; i < n; i++) {
		workers[i].number = i;
		open_worker(base, &workers[i], n, &counters, &losses, &loads);
	}
}

int main(int argc, char **argv)
{
	unsigned n = argc == 2 ? (unsigned)atoi(argv[1]) : 0;
	static struct sg_bench bench;
	static struct sg_world base;
	pthread_t threads[MAX_WORKERS];

	sem_init(&done, 0, 0);
	sem_init(&all_done, 0, 0);
	if (n < 2 || n > MAX_WORKERS)
		sg_bench_die("how many workers? 2 to %d", MAX_WORKERS);
	sg_world_open(&base, &bench,
		&(struct sg_world_options){.services = 4,
			.backends = 4,
			.max_flows = MAX_FLOWS,
			.scheduler = SG_SCHEDULER_LC,
			.no_worker = true});
	share(&base, n);
	for (unsigned i = 0; i < n; i++)
		printf("marker %u %" PRIxPTR "\n", i, (uintptr_t)&markers[i]);
	printf("marker end %" PRIxPTR "\n", (uintptr_t)&markers[MAX_WORKERS]);
	fflush(stdout);
	for (unsigned i = 0; i < n; i++) {
		if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0)
			sg_bench_die("no thread is to be had");
		sem_wait(&done);
		if (workers[i].n_forwarded < FLOWS / n)
			sg_bench_die(
				"worker %u forwarded only %u packets", i, workers[i].n_forwarded);
	}
	return 0;
}
