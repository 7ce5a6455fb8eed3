// The memory's own speed: what no table of that size can beat.
//
// dependent: each line's address is known only when the line before has come. prefetched32: 32
// random lines are asked for, then read. Nanoseconds a 64-byte line; making the addresses is
// subtracted from the second.
#pragma once

#include <stdint.h>

#include "bench/bench.h"

struct sg_bench_lines;

struct sg_bench_lines *sg_bench_lines_open(struct sg_bench *bench, uint64_t bytes);
void sg_bench_lines_close(struct sg_bench_lines *lines);
double sg_bench_lines_dependent(struct sg_bench *bench, const struct sg_bench_lines *lines);
double sg_bench_lines_prefetched(struct sg_bench *bench, const struct sg_bench_lines *lines);
