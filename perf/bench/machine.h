// Where the figures were measured: what somebody who compares two runs has to know first.
//
// Facts are read from the machine, or given on the command line as KEY=VALUE by whoever knows them
// (perf/bench/run: the commit and the build's options).
#pragma once

#include <stdio.h>

#include "bench/bench.h"

// Ticks of all CPUs together since boot; stolen is what the hypervisor has given to others.
struct sg_bench_cpu_time {
	unsigned long long all, idle, stolen;
};

struct sg_bench_machine {
	double busy_percent; // of all CPUs, just before the start: with others' work
	struct sg_bench_cpu_time start;
};

// Looks for half a second at what else the machine does.
void sg_bench_machine_open(struct sg_bench_machine *machine);
// Writes the JSON object.
void sg_bench_machine_write(
	const struct sg_bench_machine *machine, const struct sg_bench *bench, FILE *file);
