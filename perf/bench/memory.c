// Reading random lines, see memory.h.
#include "bench/memory.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/random.h"

#define N_DEPENDENT  200000
#define N_PREFETCHED 4000000

struct sg_bench_lines {
	struct {
		_Alignas(64) uint64_t words[8];
	} * lines;
	uint32_t n;
};

struct sg_bench_lines *sg_bench_lines_open(struct sg_bench *bench, uint64_t bytes)
{
	struct sg_bench_lines *lines = calloc(1, sizeof(*lines));

	if (!lines)
		sg_bench_die("no memory");
	lines->n = (uint32_t)(bytes / sizeof(lines->lines[0]));
	lines->lines = sg_bench_memory(bench, bytes);
	for (uint32_t i = 0; i < lines->n; i++)
		lines->lines[i].words[0] = sg_mix64(i);
	return lines;
}

void sg_bench_lines_close(struct sg_bench_lines *lines)
{
	sg_bench_free(lines->lines);
	free(lines);
}

double sg_bench_lines_dependent(struct sg_bench *bench, const struct sg_bench_lines *lines)
{
	uint64_t word = 1, start = sg_bench_ticks();

	// The counter keeps the chain from ending in a short circle.
	for (uint32_t i = 0; i < N_DEPENDENT; i++)
		word = lines->lines[sg_reduce((uint32_t)(word >> 20) + i, lines->n)].words[0];
	sg_bench_use(&word);
	return sg_bench_ns(bench, sg_bench_ticks() - start, 0, N_DEPENDENT);
}

static uint64_t read_in_bursts(const struct sg_bench_lines *lines, uint64_t seed, bool read)
{
	uint64_t start = sg_bench_ticks();
	uint32_t at[SG_BENCH_BURST];
	uint64_t sum = 0;

	for (unsigned n = 0; n < N_PREFETCHED; n += SG_BENCH_BURST) {
		for (unsigned i = 0; i < SG_BENCH_BURST; i++)
			at[i] = sg_reduce((uint32_t)(sg_random_next(&seed) >> 32), lines->n);
		sg_bench_use(at);
		if (!read)
			continue;
		for (unsigned i = 0; i < SG_BENCH_BURST; i++)
			__builtin_prefetch(&lines->lines[at[i]]);
		for (unsigned i = 0; i < SG_BENCH_BURST; i++)
			sum += lines->lines[at[i]].words[0];
	}
	sg_bench_use(&sum);
	return sg_bench_ticks() - start;
}

double sg_bench_lines_prefetched(struct sg_bench *bench, const struct sg_bench_lines *lines)
{
	uint64_t seed = sg_bench_ticks() | 1;
	uint64_t input = read_in_bursts(lines, seed, false);

	return sg_bench_ns(bench, read_in_bursts(lines, seed, true), input, N_PREFETCHED);
}
