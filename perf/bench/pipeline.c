// The whole pipeline and its stages: nanoseconds a packet, without rx and tx.
//
//     pipeline/snat/v4/established   segments of known connections, both directions mixed
//     pipeline/snat/v4/zipf          the same with few popular flows (Zipf, s = 1)
//     pipeline/snat/v4/burst1        the same in bursts of one packet
//     pipeline/snat/v4/unchecked     the same where no device has checked the sums
//     pipeline/snat/v4/new           a SYN of a new client every packet, 20 to 80 % full
//     pipeline/snat/v4/new_expiring  the same in a steady state, with ageing at work
//     pipeline/snat/v4/flood         SYNs with the embryos' share used up, half established
//     pipeline/dnat/v4/established   known connections, both directions; new and flood as above
//     pipeline/dsr/v4/established    their clients' half alone, which is all that is seen
//     pipeline/ipip/v4/established   the same
//     pipeline/MODE/v6/...           each mode over IPv6: established, new and flood
//     stage/S                        one stage of the above: parse, lookup, rewrite of
//                                    established; steer, admit, schedule of new flows
//
// Packets are made outside the time that counts. Their bytes are in the cache; the cold column has
// them flushed out before each burst, as if a device without DDIO had written them.
#include "bench/world.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

#include "base/random.h"

#define PACKETS        400000 // a sample
#define COLD_PACKETS   100000
#define FILL_PERCENT   60
#define ZIPF_ENTRIES   65536
#define STEADY_SECONDS 10 // a closed flow stays so long, as tcp_fin has it

enum stage {
	STAGE_PARSE,
	STAGE_LOOKUP,
	STAGE_STEER,
	STAGE_ADMIT,
	STAGE_SCHEDULE,
	STAGE_REWRITE,
	N_STAGES,
};
static const char *const stage_names[N_STAGES] = {"stage/parse", "stage/lookup", "stage/steer",
	"stage/admit", "stage/schedule", "stage/rewrite"};

// Picks flows by popularity.
struct picker {
	uint64_t random;
	uint32_t n;
	const uint32_t *zipf; // [ZIPF_ENTRIES] flows, popular ones more often; NULL: uniform
};

static uint32_t pick(struct picker *picker)
{
	uint64_t random = sg_random_next(&picker->random);

	if (picker->zipf)
		return picker->zipf[random >> 48];
	return sg_reduce((uint32_t)(random >> 32), picker->n);
}

// The quantiles of Zipf's law over `n` flows, spread over the table by a bijection.
static uint32_t *make_zipf(uint32_t n)
{
	uint32_t *zipf = malloc(ZIPF_ENTRIES * sizeof(*zipf));

	for (uint32_t i = 0; i < ZIPF_ENTRIES; i++) {
		double rank = exp((i + 0.5) / ZIPF_ENTRIES * log((double)n));

		zipf[i] = (uint32_t)((uint64_t)rank * 2654435761u % n);
	}
	return zipf;
}

static void make_established(struct sg_world *world, struct picker *picker, unsigned n)
{
	world->burst.n = n;
	for (unsigned i = 0; i < n; i++) {
		uint32_t flow = pick(picker);

		if (picker->random >> 33 & 1 && world->options.forward < SG_FORWARD_DSR)
			sg_world_backend(world, i, world->frames[i], flow);
		else
			sg_world_client(world, i, world->frames[i], flow, false);
	}
}

static void make_new(struct sg_world *world, uint32_t *next_flow)
{
	world->burst.n = SG_BENCH_BURST;
	for (unsigned i = 0; i < SG_BENCH_BURST; i++)
		sg_world_client(world, i, world->frames[i], (*next_flow)++, true);
}

static void flush_frames(struct sg_world *world)
{
#if defined(__x86_64__)
	for (unsigned i = 0; i < SG_BENCH_BURST; i++) {
		_mm_clflush(world->frames[i] + SG_WORLD_HEAD_BYTES);
		_mm_clflush(world->frames[i] + SG_WORLD_HEAD_BYTES + SG_WORLD_FRAME_BYTES - 1);
	}
	_mm_mfence();
#else
	(void)world;
#endif
}

static uint64_t time_burst(struct sg_world *world)
{
	uint64_t start = sg_bench_ticks();

	sg_pipeline_run(world->pipeline, world->snapshot, &world->burst);
	return sg_bench_ticks() - start;
}

// What reading the clock around nothing costs.
static uint64_t empty_ticks(void)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 1000; i++) {
		uint64_t start = sg_bench_ticks();
		uint64_t ticks = sg_bench_ticks() - start;

		least = ticks < least ? ticks : least;
	}
	return least;
}

static double established_ns(
	struct sg_world *world, struct picker *picker, unsigned burst, bool cold)
{
	uint32_t n = (cold ? COLD_PACKETS : PACKETS) / (burst == 1 ? 8 : 1);
	uint64_t empty = empty_ticks(), ticks = 0;

	for (uint32_t done = 0; done < n; done += burst) {
		make_established(world, picker, burst);
		if (cold)
			flush_frames(world);
		ticks += time_burst(world) - empty;
	}
	return sg_bench_ns(world->bench, ticks, 0, n);
}

static void demand_forwarded(const struct sg_world *world)
{
	for (unsigned i = 0; i < world->burst.n; i++) {
		if (world->burst.pkts[i].verdict != SG_VERDICT_FORWARD)
			sg_bench_die("a packet was not forwarded");
	}
}

static void bench_established(struct sg_bench *bench, struct sg_bench_point point, bool variants)
{
	const struct sg_world_options options = {.services = point.services,
		.backends = point.backends,
		.max_flows = (uint32_t)(point.flows * 100 / FILL_PERCENT),
		.snat_addresses = (uint32_t)(point.flows / ((uint64_t)point.services *
								   point.backends * 40000) +
					     4)};
	struct sg_world *world = aligned_alloc(64, sizeof(*world));
	struct sg_bench_samples hot = {0}, cold = {0}, zipf = {0}, single = {0}, unchecked = {0};
	struct picker picker = {.random = 1, .n = (uint32_t)point.flows};
	struct picker popular = {
		.random = 1, .n = (uint32_t)point.flows, .zipf = make_zipf((uint32_t)point.flows)};

	sg_world_open(world, bench, &options);
	sg_world_fill(world, (uint32_t)point.flows);
	established_ns(world, &picker, SG_BENCH_BURST, false);
	demand_forwarded(world);
	for (unsigned i = 0; i < bench->n_samples; i++) {
		sg_bench_sample(&hot, established_ns(world, &picker, SG_BENCH_BURST, false));
		sg_bench_sample(&cold, established_ns(world, &picker, SG_BENCH_BURST, true));
		if (!variants)
			continue;
		sg_bench_sample(&zipf, established_ns(world, &popular, SG_BENCH_BURST, false));
		sg_bench_sample(&single, established_ns(world, &picker, 1, false));
		world->unchecked = true;
		sg_bench_sample(&unchecked, established_ns(world, &picker, SG_BENCH_BURST, false));
		world->unchecked = false;
	}
	sg_bench_report(bench, "pipeline/snat/v4/established", point, &hot, &cold);
	if (variants) {
		sg_bench_report(bench, "pipeline/snat/v4/zipf", point, &zipf, NULL);
		sg_bench_report(bench, "pipeline/snat/v4/burst1", point, &single, NULL);
		sg_bench_report(bench, "pipeline/snat/v4/unchecked", point, &unchecked, NULL);
	}
	sg_world_close(world);
	free((void *)popular.zipf);
	free(world);
}

static void report_mode(struct sg_bench *bench, struct sg_bench_point point,
	const struct sg_world_options *options, const char *what,
	const struct sg_bench_samples *hot, const struct sg_bench_samples *cold)
{
	char name[64];

	snprintf(name, sizeof(name), "pipeline/%s/%s/%s", sg_forward_name(options->forward),
		options->ipv6 ? "v6" : "v4", what);
	sg_bench_report(bench, name, point, hot, cold);
}

static void bench_mode(
	struct sg_bench *bench, struct sg_bench_point point, enum sg_forward forward, bool ipv6)
{
	const struct sg_world_options options = {.services = point.services,
		.backends = point.backends,
		.max_flows = (uint32_t)(point.flows * 100 / FILL_PERCENT),
		.snat_addresses = (uint32_t)(point.flows / ((uint64_t)point.services *
								   point.backends * 40000) +
					     4),
		.forward = forward,
		.ipv6 = ipv6};
	struct sg_world *world = aligned_alloc(64, sizeof(*world));
	struct sg_bench_samples hot = {0}, cold = {0};
	struct picker picker = {.random = 1, .n = (uint32_t)point.flows};

	sg_world_open(world, bench, &options);
	sg_world_fill(world, (uint32_t)point.flows);
	established_ns(world, &picker, SG_BENCH_BURST, false);
	demand_forwarded(world);
	for (unsigned i = 0; i < bench->n_samples; i++) {
		sg_bench_sample(&hot, established_ns(world, &picker, SG_BENCH_BURST, false));
		sg_bench_sample(&cold, established_ns(world, &picker, SG_BENCH_BURST, true));
	}
	report_mode(bench, point, &options, "established", &hot, &cold);
	sg_world_close(world);
	free(world);
}

static struct sg_world *open_new(struct sg_bench *bench, struct sg_bench_point point)
{
	const struct sg_world_options options = {.services = point.services,
		.backends = point.backends,
		.max_flows = (uint32_t)point.flows,
		.snat_addresses = (uint32_t)(point.flows / ((uint64_t)point.services *
								   point.backends * 40000) +
					     4)};
	struct sg_world *world = aligned_alloc(64, sizeof(*world));

	sg_world_open(world, bench, &options);
	return world;
}

static uint32_t count(const struct sg_world *world)
{
	return sg_flow_table_count(world->pipeline->flows);
}

// Empties the table as time does, at once: the sweep's pace is by time, so each turn is told that
// long has passed.
static void age_all_out(struct sg_world *world)
{
	sg_world_pass_ms(world, 8000000);
	while (count(world) > 0) {
		world->pipeline->swept_ms = 0;
		sg_pipeline_sweep(world->pipeline, world->snapshot);
	}
}

// Mean over filling the table from 20 to 80 %.
static double new_ns(struct sg_world *world, uint32_t *next_flow)
{
	uint32_t max = sg_flow_table_max(world->pipeline->flows);
	uint64_t empty = empty_ticks(), ticks = 0, n = 0;

	age_all_out(world);
	while (count(world) + SG_BENCH_BURST <= max / 10 * 8) {
		uint64_t spent;

		make_new(world, next_flow);
		spent = time_burst(world) - empty;
		sg_world_confirm_burst(world);
		if (count(world) < max / 5)
			continue;
		ticks += spent;
		n += SG_BENCH_BURST;
	}
	return sg_bench_ns(world->bench, ticks, 0, n);
}

// As many flows come as go: each is closed at once and stays for STEADY_SECONDS.
static double expiring_ns(struct sg_world *world, uint32_t *next_flow)
{
	uint32_t max = sg_flow_table_max(world->pipeline->flows);
	uint32_t a_second = max / 2 / STEADY_SECONDS; // half of the table is the steady state
	uint64_t empty = empty_ticks(), ticks = 0, n = 0, flows = 0, start_ms = world->now_ms;

	for (uint64_t bursts = 0; n < max; bursts++) {
		uint64_t start;

		make_new(world, next_flow);
		start = sg_bench_ticks();
		sg_pipeline_run(world->pipeline, world->snapshot, &world->burst);
		sg_pipeline_sweep(world->pipeline, world->snapshot);
		if (flows > max) {
			ticks += sg_bench_ticks() - start - empty;
			n += SG_BENCH_BURST;
		}
		sg_world_confirm_burst(world);
		for (unsigned i = 0; i < SG_BENCH_BURST; i++)
			sg_flow_table_get(world->pipeline->flows, world->burst.pkts[i].ref)->state =
				SG_FLOW_TCP_CLOSED;
		flows += SG_BENCH_BURST;
		sg_world_pass_ms(world, start_ms + flows * 1000 / a_second - world->now_ms);
	}
	return sg_bench_ns(world->bench, ticks, 0, n);
}

static double flood_ns(struct sg_world *world, uint32_t *next_flow)
{
	uint64_t empty = empty_ticks(), ticks = 0;

	for (uint32_t done = 0; done < PACKETS; done += SG_BENCH_BURST) {
		make_new(world, next_flow);
		ticks += time_burst(world) - empty;
	}
	demand_forwarded(world);
	return sg_bench_ns(world->bench, ticks, 0, PACKETS);
}

// Established flows fill half of the table, embryos their share of the rest.
static void prepare_flood(struct sg_world *world, uint32_t *next_flow)
{
	uint32_t max = sg_flow_table_max(world->pipeline->flows);

	age_all_out(world);
	while (count(world) < max / 2) {
		make_new(world, next_flow);
		time_burst(world);
		sg_world_confirm_burst(world);
	}
	for (uint32_t sent = 0; sent < max; sent += SG_BENCH_BURST) {
		make_new(world, next_flow);
		time_burst(world);
	}
}

static void bench_new(struct sg_bench *bench, struct sg_bench_point point)
{
	struct sg_world *world = open_new(bench, point);
	struct sg_bench_samples fresh = {0}, expiring = {0}, flood = {0};
	uint32_t next_flow = 0;

	new_ns(world, &next_flow);
	for (unsigned i = 0; i < bench->n_samples; i++)
		sg_bench_sample(&fresh, new_ns(world, &next_flow));
	sg_bench_report(bench, "pipeline/snat/v4/new", point, &fresh, NULL);

	age_all_out(world);
	for (unsigned i = 0; i < bench->n_samples; i++)
		sg_bench_sample(&expiring, expiring_ns(world, &next_flow));
	sg_bench_report(bench, "pipeline/snat/v4/new_expiring", point, &expiring, NULL);

	prepare_flood(world, &next_flow);
	for (unsigned i = 0; i < bench->n_samples; i++)
		sg_bench_sample(&flood, flood_ns(world, &next_flow));
	sg_bench_report(bench, "pipeline/snat/v4/flood", point, &flood, NULL);
	sg_world_close(world);
	free(world);
}

// New flows and a flood of them, in a mode and a family.
static void bench_new_mode(
	struct sg_bench *bench, struct sg_bench_point point, enum sg_forward forward, bool ipv6)
{
	const struct sg_world_options options = {.services = point.services,
		.backends = point.backends,
		.max_flows = (uint32_t)point.flows,
		.snat_addresses = (uint32_t)(point.flows / ((uint64_t)point.services *
								   point.backends * 40000) +
					     4),
		.forward = forward,
		.ipv6 = ipv6};
	struct sg_world *world = aligned_alloc(64, sizeof(*world));
	struct sg_bench_samples fresh = {0}, flood = {0};
	uint32_t next_flow = 0;

	sg_world_open(world, bench, &options);
	new_ns(world, &next_flow);
	for (unsigned i = 0; i < bench->n_samples; i++)
		sg_bench_sample(&fresh, new_ns(world, &next_flow));
	report_mode(bench, point, &options, "new", &fresh, NULL);
	prepare_flood(world, &next_flow);
	for (unsigned i = 0; i < bench->n_samples; i++)
		sg_bench_sample(&flood, flood_ns(world, &next_flow));
	report_mode(bench, point, &options, "flood", &flood, NULL);
	sg_world_close(world);
	free(world);
}

// The stages one by one, as sg_pipeline_run calls them.
static void time_stages(struct sg_world *world, uint64_t ticks[N_STAGES], uint64_t empty)
{
	struct sg_pipeline *pipeline = world->pipeline;
	uint64_t at[N_STAGES + 1];

	at[0] = sg_bench_ticks();
	sg_stage_parse(pipeline, &world->burst);
	at[1] = sg_bench_ticks();
	sg_stage_lookup(pipeline, world->snapshot, &world->burst);
	at[2] = sg_bench_ticks();
	if (world->burst.n_misses > 0)
		sg_stage_steer(pipeline, world->snapshot, &world->burst);
	at[3] = sg_bench_ticks();
	if (world->burst.n_misses > 0)
		sg_stage_admit(pipeline, world->snapshot, &world->burst);
	at[4] = sg_bench_ticks();
	if (world->burst.n_misses > 0)
		sg_stage_schedule(pipeline, world->snapshot, &world->burst);
	at[5] = sg_bench_ticks();
	sg_stage_rewrite(pipeline, world->snapshot, &world->burst);
	at[6] = sg_bench_ticks();
	for (unsigned i = 0; i < N_STAGES; i++)
		ticks[i] +=
			at[i + 1] - at[i] - (at[i + 1] - at[i] < empty ? at[i + 1] - at[i] : empty);
}

static bool is_of_new_flows(enum stage stage)
{
	return stage == STAGE_STEER || stage == STAGE_ADMIT || stage == STAGE_SCHEDULE;
}

static void sample_stages(struct sg_bench *bench, struct sg_bench_samples samples[N_STAGES],
	const uint64_t *ticks, bool of_new_flows, uint64_t n)
{
	for (unsigned i = 0; i < N_STAGES; i++) {
		if (is_of_new_flows(i) == of_new_flows)
			sg_bench_sample(&samples[i], sg_bench_ns(bench, ticks[i], 0, n));
	}
}

static void bench_stages(struct sg_bench *bench, struct sg_bench_point point)
{
	struct sg_bench_samples samples[N_STAGES] = {0};
	struct sg_world *world =
		open_new(bench, (struct sg_bench_point){point.flows * 100 / FILL_PERCENT,
					point.services, point.backends});
	struct picker picker = {.random = 1, .n = (uint32_t)point.flows};
	uint32_t next_flow = (uint32_t)point.flows;
	uint64_t empty = empty_ticks();

	sg_world_fill(world, (uint32_t)point.flows);
	for (unsigned sample = 0; sample < bench->n_samples; sample++) {
		uint64_t ticks[N_STAGES] = {0};
		uint64_t of_new[N_STAGES] = {0};

		for (uint32_t done = 0; done < PACKETS; done += SG_BENCH_BURST) {
			make_established(world, &picker, SG_BENCH_BURST);
			time_stages(world, ticks, empty);
		}
		sample_stages(bench, samples, ticks, false, PACKETS);
		for (uint32_t done = 0; done < PACKETS; done += SG_BENCH_BURST) {
			make_new(world, &next_flow);
			time_stages(world, of_new, empty);
		}
		sample_stages(bench, samples, of_new, true, PACKETS);
	}
	for (unsigned i = 0; i < N_STAGES; i++)
		sg_bench_report(bench, stage_names[i], point, &samples[i], NULL);
	sg_world_close(world);
	free(world);
}

void sg_bench_pipeline(struct sg_bench *bench)
{
	static const uint64_t all[] = {1000, 10000, 100000, 1000000, 10000000};
	static const uint64_t quick[] = {10000, 1000000};
	const uint64_t *flows = bench->options.quick ? quick : all;
	unsigned n = bench->options.quick ? 2 : 5;

	for (unsigned i = 0; i < n; i++) {
		bench_established(bench, (struct sg_bench_point){flows[i], 1, 10}, true);
		for (unsigned mode = SG_FORWARD_DNAT; mode < SG_FORWARD_COUNT; mode++)
			bench_mode(bench, (struct sg_bench_point){flows[i], 1, 10},
				(enum sg_forward)mode, false);
		for (unsigned mode = SG_FORWARD_SNAT; mode < SG_FORWARD_COUNT; mode++)
			bench_mode(bench, (struct sg_bench_point){flows[i], 1, 10},
				(enum sg_forward)mode, true);
		for (unsigned mode = SG_FORWARD_SNAT; flows[i] >= 10000 && mode < SG_FORWARD_COUNT;
			mode++)
			bench_new_mode(bench, (struct sg_bench_point){flows[i], 1, 10},
				(enum sg_forward)mode, true);
		if (flows[i] >= 10000)
			bench_new_mode(bench, (struct sg_bench_point){flows[i], 1, 10},
				SG_FORWARD_DNAT, false);
		if (flows[i] >= 10000)
			bench_new(bench, (struct sg_bench_point){flows[i], 1, 10});
		if (flows[i] == 10000 || flows[i] == 1000000)
			bench_stages(bench, (struct sg_bench_point){flows[i], 1, 10});
	}
	if (bench->options.quick)
		return;
	for (unsigned services = 10; services <= 10000; services *= 10)
		bench_established(bench, (struct sg_bench_point){1000000, services, 10}, false);
	for (unsigned backends = 1; backends <= 1000; backends *= 10) {
		if (backends != 10)
			bench_established(
				bench, (struct sg_bench_point){100000, 1, backends}, false);
	}
}
