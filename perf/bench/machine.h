// Where the figures were measured: what somebody who compares two runs has to know first.
//
// Facts are read from the machine, or given on the command line as KEY=VALUE by whoever knows them
// (perf/bench/run: the commit and the build's options).
#pragma once

#include <stdio.h>

#include "bench/bench.h"

struct sg_bench_machine {
	double load;               // at the start, over the last minute: ours not included
	unsigned long long all;    // CPU time of the machine in ticks at the start, and what of it
	unsigned long long stolen; // the hypervisor has given to others
};

void sg_bench_machine_open(struct sg_bench_machine *machine);
// Writes the JSON object.
void sg_bench_machine_write(
	const struct sg_bench_machine *machine, const struct sg_bench *bench, FILE *file);
