// Points for the model's curve: established connections of more flows, and of several workers at
// the same time. Runs only when it is asked for by name: `--only scale`, with --flows and
// --workers.
//
//     pipeline/snat/v4/established           a worker alone with --flows of them
//     pipeline/snat/v4/established/workersN  N workers at once, each on a CPU of its own and with as
//                                            many flows: a packet of one of them, in the mean
//     memory/prefetched32                    a line, in as much memory as one of their tables
//
// The tables are 80 % full, so that one of 100,000,000 flows takes 12 GB.
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "bench/memory.h"
#include "bench/world.h"

#define DEFAULT_FLOWS 10000000
#define FILL_PERCENT  80
#define MAX_WORKERS   32
#define PACKETS       2000000 // a sample: longer than threads take to start
#define BACKENDS      10
#define OTHER_MB      300

struct worker {
	struct sg_world *world;
	pthread_barrier_t *start;
	int cpu;
	unsigned n_samples;
	double ns[SG_BENCH_MAX_SAMPLES];
};

static void make(struct sg_world *world, uint64_t *random)
{
	world->burst.n = SG_BENCH_BURST;
	for (unsigned i = 0; i < SG_BENCH_BURST; i++) {
		uint64_t next = sg_random_next(random);
		uint32_t flow = sg_reduce((uint32_t)(next >> 32), world->n_flows);

		if (next & 1)
			sg_world_backend(world, i, world->frames[i], flow);
		else
			sg_world_client(world, i, world->frames[i], flow, false);
	}
}

static double established_ns(struct sg_world *world, uint64_t *random)
{
	uint64_t ticks = 0;

	for (unsigned n = 0; n < PACKETS; n += SG_BENCH_BURST) {
		uint64_t start;

		make(world, random);
		start = sg_bench_ticks();
		sg_pipeline_run(world->pipeline, world->snapshot, &world->burst);
		ticks += sg_bench_ticks() - start;
	}
	if (world->burst.pkts[0].verdict != SG_VERDICT_FORWARD)
		sg_bench_die("a packet of a known flow was not forwarded");
	return sg_bench_ns(world->bench, ticks, 0, PACKETS);
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	uint64_t random = (uint64_t)worker->cpu + 1;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(worker->cpu, &cpus);
	if (pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus) != 0)
		sg_bench_die("CPU %d is not to be had", worker->cpu);
	established_ns(worker->world, &random);
	for (unsigned i = 0; i < worker->n_samples; i++) {
		pthread_barrier_wait(worker->start);
		worker->ns[i] = established_ns(worker->world, &random);
	}
	return NULL;
}

// Each worker measures while all others do.
static void measure(struct sg_bench *bench, struct worker *workers, unsigned n,
	struct sg_bench_samples *ret_samples)
{
	pthread_t threads[MAX_WORKERS];
	pthread_barrier_t start;

	pthread_barrier_init(&start, NULL, n);
	for (unsigned i = 0; i < n; i++) {
		workers[i].start = &start;
		workers[i].n_samples = bench->n_samples;
		if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0)
			sg_bench_die("no thread is to be had");
	}
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&start);
	for (unsigned s = 0; s < bench->n_samples; s++) {
		double sum = 0;

		for (unsigned i = 0; i < n; i++)
			sum += workers[i].ns[s];
		sg_bench_sample(ret_samples, sum / n);
	}
}

static void bench_memory(struct sg_bench *bench, struct sg_bench_point point)
{
	struct sg_bench_lines *lines = sg_bench_lines_open(
		bench, sg_flow_table_bytes((uint32_t)(point.flows * 100 / FILL_PERCENT)));
	struct sg_bench_samples samples = {0};

	for (unsigned i = 0; i < bench->n_samples; i++)
		sg_bench_sample(&samples, sg_bench_lines_prefetched(bench, lines));
	sg_bench_report(bench, "memory/prefetched32", point, &samples, NULL);
	sg_bench_lines_close(lines);
}

static void open_world(struct sg_bench *bench, struct sg_bench_point point, struct worker *worker)
{
	worker->world = aligned_alloc(64, sizeof(*worker->world));
	sg_world_open(worker->world, bench,
		&(struct sg_world_options){.services = 1,
			.backends = BACKENDS,
			.max_flows = (uint32_t)(point.flows * 100 / FILL_PERCENT),
			.snat_addresses = (uint32_t)(point.flows / (BACKENDS * 40000) + 4)});
	sg_world_fill(worker->world, (uint32_t)point.flows);
}

// The CPUs that this process could use before DPDK bound it to one.
static unsigned choose_cpus(const struct sg_bench *bench, struct worker *workers, unsigned n)
{
	unsigned found = 0;

	for (int cpu = CPU_SETSIZE - 1; cpu >= 0 && found < n; cpu--) {
		if (CPU_ISSET(cpu, &bench->cpus))
			workers[found++].cpu = cpu;
	}
	return found;
}

static uint32_t flows_of(const struct sg_bench_options *options)
{
	return options->flows ? options->flows : DEFAULT_FLOWS;
}

static unsigned workers_of(const struct sg_bench_options *options)
{
	return options->workers ? options->workers : 1;
}

unsigned sg_bench_scale_mb(const struct sg_bench_options *options)
{
	uint32_t max_flows = (uint32_t)((uint64_t)flows_of(options) * 100 / FILL_PERCENT);

	return (unsigned)(sg_pipeline_bytes(max_flows) >> 20) * workers_of(options) + OTHER_MB;
}

void sg_bench_scale(struct sg_bench *bench)
{
	static struct worker workers[MAX_WORKERS];
	struct sg_bench_point point = {
		.flows = flows_of(&bench->options), .services = 1, .backends = BACKENDS};
	unsigned n = workers_of(&bench->options);
	struct sg_bench_samples together = {0};
	char name[48] = "pipeline/snat/v4/established";

	if (!bench->options.only)
		return;
	if (n > MAX_WORKERS || choose_cpus(bench, workers, n) < n)
		sg_bench_die("there are not %u CPUs, one for each worker", n);
	if (n > 1)
		snprintf(name, sizeof(name), "pipeline/snat/v4/established/workers%u", n);
	else
		bench_memory(bench, point);
	for (unsigned i = 0; i < n; i++)
		open_world(bench, point, &workers[i]);
	measure(bench, workers, n, &together);
	sg_bench_report(bench, name, point, &together, NULL);
	for (unsigned i = 0; i < n; i++) {
		sg_world_close(workers[i].world);
		free(workers[i].world);
	}
}
