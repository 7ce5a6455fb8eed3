// What a policy costs a new flow.
//
//     policy/prefixes10000   whether its source may pass, by 10,000 random prefixes of 16 to 32 bits,
//                            per packet of bursts of 32; half of the sources lie in one of them
//
// Knows no flows, and stands under 10,000 and 1,000,000, each measured, so that it is found beside
// the other rows. The sources lie ready: making them is not a part of it.
#include <stdlib.h>

#include "base/random.h"
#include "bench/bench.h"
#include "dataplane/source.h"
#include "net/addr.h"

#define N_PREFIXES 10000
#define N_SOURCES  (1 << 20) // of a sample; whole bursts
#define MIN_BITS   16

struct world {
	struct sg_policy *policy;
	uint32_t *sources_be;
};

static void open_world(struct world *world)
{
	uint32_t *networks = malloc(N_PREFIXES * sizeof(*networks));
	struct sg_policy_spec spec;
	uint64_t random = 1;

	world->sources_be = malloc(N_SOURCES * sizeof(*world->sources_be));
	if (!networks || !world->sources_be)
		sg_bench_die("no memory");
	sg_policy_spec_init(&spec);
	for (unsigned i = 0; i < N_PREFIXES; i++) {
		unsigned bits = MIN_BITS + (unsigned)(sg_random_next(&random) % (33 - MIN_BITS));
		uint32_t mask = (uint32_t)(UINT64_MAX << (32 - bits));
		struct sg_prefix prefix = {.length = (uint8_t)bits};

		networks[i] = (uint32_t)sg_random_next(&random) & mask;
		prefix.addr = sg_addr_from_ipv4(__builtin_bswap32(networks[i]));
		if (sg_policy_spec_add_deny(&spec, &prefix) < 0)
			sg_bench_die("no memory");
	}
	for (unsigned i = 0; i < N_SOURCES; i++) {
		uint64_t r = sg_random_next(&random);
		uint32_t inside = networks[(r >> 33) % N_PREFIXES];

		// A network's address is inside of it whatever its length.
		world->sources_be[i] = __builtin_bswap32(r & 1 ? inside : (uint32_t)(r >> 1));
	}
	world->policy = sg_policy_compile(&spec);
	if (!world->policy)
		sg_bench_die("no memory");
	sg_policy_spec_fini(&spec);
	free(networks);
}

static void close_world(struct world *world)
{
	sg_policy_unref(world->policy);
	free(world->sources_be);
}

static double judge_ns(struct sg_bench *bench, const struct world *world)
{
	enum sg_drop drops[SG_BENCH_BURST];
	uint64_t start = sg_bench_ticks();

	for (unsigned at = 0; at < N_SOURCES; at += SG_BENCH_BURST) {
		for (unsigned i = 0; i < SG_BENCH_BURST; i++)
			drops[i] = sg_source_judge4(world->policy, NULL, world->sources_be[at + i]);
		sg_bench_use(drops);
	}
	return sg_bench_ns(bench, sg_bench_ticks() - start, 0, N_SOURCES);
}

void sg_bench_policy(struct sg_bench *bench)
{
	static const uint64_t flows[] = {10000, 1000000};
	struct world world;

	open_world(&world);
	judge_ns(bench, &world);
	for (unsigned i = 0; i < 2; i++) {
		struct sg_bench_samples samples = {0};

		for (unsigned n = 0; n < bench->n_samples; n++)
			sg_bench_sample(&samples, judge_ns(bench, &world));
		sg_bench_report(bench, "policy/prefixes10000",
			(struct sg_bench_point){flows[i], 1, 10}, &samples, NULL);
	}
	close_world(&world);
}
