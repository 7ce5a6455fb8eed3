// What the micro benchmarks share: time, samples, a table of rows on stdout and the same as JSON.
//
// A benchmark takes several samples of each row, each a mean over many operations, and reports the
// median with the smallest and the largest beside it. Whatever is to be compared takes its samples
// in turn, so that a disturbance hits all of them. On a shared machine the smallest is the most
// honest and the median the most useful; a largest far away from both says that the machine was not
// ours.
//
//     {"machine": {...}, "results": [{"name", "flows", "services", "backends",
//                                     "ns_median", "ns_min", "ns_max", "ns_median_cold"?}]}
//
// Rows for 10,000 and 1,000,000 flows with 1 service and 10 backends come first.
#pragma once

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#define SG_BENCH_MAX_SAMPLES 32
#define SG_BENCH_BURST       32 // keys or packets that are worked on together
#define SG_BENCH_MAX_FACTS   8

struct sg_bench_options {
	bool quick;       // 10 k and 1 M flows only, fewer samples
	const char *json; // a file to write, or NULL
	const char *only; // run only suites whose name starts like this, or NULL
	uint32_t flows;   // measure only at this number of flows; 0: at all
	unsigned workers; // of suite scale; 0: one
	bool no_huge;     // leave reserved 2 MB pages alone
	const char *facts[SG_BENCH_MAX_FACTS]; // KEY=VALUE, for the JSON's "machine"
	unsigned n_facts;
};

struct sg_bench_samples {
	double ns[SG_BENCH_MAX_SAMPLES];
	unsigned n;
};

// Where a row was measured. Rows that know no services or backends say 1 and 10, so that they are
// listed with those that do.
struct sg_bench_point {
	uint64_t flows;
	unsigned services;
	unsigned backends;
};

struct sg_bench_row {
	char name[48];
	struct sg_bench_point point;
	double ns_median, ns_min, ns_max;
	double ns_median_cold; // below 0: not measured
};

struct sg_bench {
	struct sg_bench_options options;
	unsigned n_samples; // that each row takes: at least 5
	bool hugetlb;       // tables are on explicit 2 MB pages
	int spare_cpu;      // that this process may use beside ours; -1: none
	cpu_set_t cpus;     // all that it may use
	double ns_per_tick;
	struct sg_bench_row *rows;
	unsigned n_rows;
};

// A suite: takes its samples and reports its rows. Ends the program with a sentence if it cannot.
typedef void sg_bench_suite_fn(struct sg_bench *bench);
sg_bench_suite_fn sg_bench_flow_table;
sg_bench_suite_fn sg_bench_new_flows;
sg_bench_suite_fn sg_bench_pipeline;
sg_bench_suite_fn sg_bench_policy;
sg_bench_suite_fn sg_bench_scale;
sg_bench_suite_fn sg_bench_snapshot;

// MB of 2 MB pages that suite scale wants.
unsigned sg_bench_scale_mb(const struct sg_bench_options *options);

// Calibrates the clock and prints the table's head. `hugetlb`: free 2 MB pages were found.
void sg_bench_open(struct sg_bench *bench, const struct sg_bench_options *options, bool hugetlb);
// Writes the JSON file if one was asked for. Returns the program's exit status.
int sg_bench_close(struct sg_bench *bench);

// The time-stamp counter, after everything before it has finished.
uint64_t sg_bench_ticks(void);

// Nanoseconds an operation: `ticks` for `n` operations, less those of a loop that only makes the
// input.
double sg_bench_ns(
	const struct sg_bench *bench, uint64_t ticks, uint64_t ticks_of_input, uint64_t n);

void sg_bench_sample(struct sg_bench_samples *samples, double ns);
double sg_bench_median(const struct sg_bench_samples *samples);

// Prints a row and keeps it for the JSON. `cold` may be NULL.
void sg_bench_report(struct sg_bench *bench, const char *name, struct sg_bench_point point,
	const struct sg_bench_samples *samples, const struct sg_bench_samples *cold);

// Memory for a table, zeroed and touched, on 2 MB pages as far as there are any. Ends the program
// with a sentence if there is none.
void *sg_bench_memory(struct sg_bench *bench, uint64_t bytes);
void sg_bench_free(void *memory);

// Calls `measure` for each number of flows that is to be measured: 10 k and 1 M first, then, unless
// --quick, 100 k and 10 M; or only the one of --flows.
void sg_bench_for_flows(
	struct sg_bench *bench, void (*measure)(struct sg_bench *bench, uint32_t n_flows));

// Ends the program: `format` is a sentence.
void sg_bench_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

// Keeps the compiler from leaving out work whose result nobody uses.
static inline void sg_bench_use(const void *result)
{
	__asm__ volatile("" : : "r"(result) : "memory");
}
