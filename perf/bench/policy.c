// What a policy costs a new flow.
//
//     policy/v4/prefixes10000   whether its source may pass, by 10,000 random prefixes of 16 to 32
//                               bits, per packet of bursts of 32; half of the sources lie in one
//     policy/v6/prefixes10000   the same over IPv6, 32 to 64 bits inside of 2000::/3
//
// Knows no flows, and stands under 10,000 and 1,000,000, each measured, so that it is found beside
// the other rows. The sources lie ready: making them is not a part of it.
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "bench/bench.h"
#include "dataplane/source.h"
#include "net/addr.h"

#define N_PREFIXES 10000
#define N_SOURCES  (1 << 18) // of a sample; whole bursts

struct row {
	const char *name;
	bool is_ipv6;
	unsigned min_bits, max_bits;
};

struct world {
	const struct row *row;
	struct sg_policy *policy;
	unsigned addr_bytes;
	uint8_t *sources; // N_SOURCES x addr_bytes
};

static struct sg_addr random_addr(const struct row *row, uint64_t *random)
{
	uint64_t bytes[2] = {sg_random_next(random), sg_random_next(random)};
	struct sg_addr addr = {.family = row->is_ipv6 ? SG_FAMILY_IPV6 : SG_FAMILY_IPV4};

	memcpy(addr.bytes, bytes, row->is_ipv6 ? 16 : 4);
	if (row->is_ipv6)
		addr.bytes[0] = (addr.bytes[0] & 0x1f) | 0x20;
	return addr;
}

static struct sg_prefix random_prefix(const struct row *row, uint64_t *random)
{
	unsigned n_lengths = row->max_bits - row->min_bits + 1;
	struct sg_prefix prefix = {.addr = random_addr(row, random),
		.length = (uint8_t)(row->min_bits + sg_random_next(random) % n_lengths)};

	for (unsigned bit = prefix.length; bit < sg_family_bits(prefix.addr.family); bit++)
		prefix.addr.bytes[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
	return prefix;
}

static void open_world(struct world *world, const struct row *row)
{
	struct sg_policy_spec spec;
	uint64_t random = 1;

	world->row = row;
	world->addr_bytes = row->is_ipv6 ? 16 : 4;
	world->sources = malloc((size_t)N_SOURCES * world->addr_bytes);
	if (!world->sources)
		sg_bench_die("no memory");
	sg_policy_spec_init(&spec);
	for (unsigned i = 0; i < N_PREFIXES; i++) {
		struct sg_prefix prefix = random_prefix(row, &random);

		if (sg_policy_spec_add_deny(&spec, &prefix) < 0)
			sg_bench_die("no memory");
	}
	for (unsigned i = 0; i < N_SOURCES; i++) {
		uint64_t r = sg_random_next(&random);
		struct sg_addr addr = random_addr(row, &random);

		// A network's address is inside of it whatever its length.
		if (r & 1)
			addr = spec.deny[(r >> 33) % N_PREFIXES].addr;
		memcpy(world->sources + (size_t)i * world->addr_bytes, addr.bytes,
			world->addr_bytes);
	}
	world->policy = sg_policy_compile(&spec);
	if (!world->policy)
		sg_bench_die("no memory");
	sg_policy_spec_fini(&spec);
}

static void close_world(struct world *world)
{
	sg_policy_unref(world->policy);
	free(world->sources);
}

static double judge_ns(struct sg_bench *bench, const struct world *world)
{
	struct sg_source sources[SG_BENCH_BURST];
	uint8_t drops[SG_BENCH_BURST];
	uint64_t start = sg_bench_ticks();

	for (unsigned at = 0; at < N_SOURCES; at += SG_BENCH_BURST) {
		for (unsigned i = 0; i < SG_BENCH_BURST; i++)
			sources[i] = (struct sg_source){
				.addr = world->sources + (size_t)(at + i) * world->addr_bytes,
				.is_ipv6 = world->row->is_ipv6};
		sg_source_judge_bulk(world->policy, sources, SG_BENCH_BURST, drops);
		sg_bench_use(drops);
	}
	return sg_bench_ns(bench, sg_bench_ticks() - start, 0, N_SOURCES);
}

void sg_bench_policy(struct sg_bench *bench)
{
	static const struct row rows[] = {
		{"policy/v4/prefixes10000", false, 16, 32},
		{"policy/v6/prefixes10000", true, 32, 64},
	};
	static const uint64_t flows[] = {10000, 1000000};

	for (unsigned i = 0; i < 2; i++) {
		struct world world;

		open_world(&world, &rows[i]);
		judge_ns(bench, &world);
		for (unsigned k = 0; k < 2; k++) {
			struct sg_bench_samples samples = {0};

			for (unsigned n = 0; n < bench->n_samples; n++)
				sg_bench_sample(&samples, judge_ns(bench, &world));
			sg_bench_report(bench, rows[i].name,
				(struct sg_bench_point){flows[k], 1, 10}, &samples, NULL);
		}
		close_world(&world);
	}
}
