// Time, samples, rows, JSON: see bench.h.
#include "bench/bench.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "base/region.h"
#include "bench/machine.h"

#define MAX_ROWS    1024
#define MAX_REGIONS 16

#define MUCH_BUSY_PERCENT 10

static struct sg_bench_machine machine;
static struct sg_region regions[MAX_REGIONS]; // what sg_bench_memory has given out

void sg_bench_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("bench: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t sg_bench_ticks(void)
{
#if defined(__x86_64__)
	uint64_t ticks;

	_mm_lfence();
	ticks = __rdtsc();
	_mm_lfence();
	return ticks;
#else
	return now_ns();
#endif
}

static double calibrate(void)
{
	uint64_t start_ns = now_ns();
	uint64_t start = sg_bench_ticks();

	while (now_ns() - start_ns < 100000000u)
		;
	return (double)(now_ns() - start_ns) / (double)(sg_bench_ticks() - start);
}

void sg_bench_open(struct sg_bench *bench, const struct sg_bench_options *options, bool hugetlb)
{
	*bench = (struct sg_bench){.options = *options, .hugetlb = hugetlb};
	bench->n_samples = options->quick ? 5 : 9;
	sg_bench_machine_open(&machine);
	if (machine.busy_percent > MUCH_BUSY_PERCENT)
		fprintf(stderr,
			"beware: others keep %.0f %% of this machine busy, so all is slower than it is\n",
			machine.busy_percent);
	bench->ns_per_tick = calibrate();
	bench->rows = calloc(MAX_ROWS, sizeof(*bench->rows));
	if (!bench->rows)
		sg_bench_die("no memory");
	printf("%-36s %9s %5s %5s %9s %9s %9s %9s\n", "ns an operation", "flows", "svcs", "backs",
		"median", "min", "max", "cold");
}

double sg_bench_ns(
	const struct sg_bench *bench, uint64_t ticks, uint64_t ticks_of_input, uint64_t n)
{
	return ((double)ticks - (double)ticks_of_input) * bench->ns_per_tick / (double)n;
}

void sg_bench_sample(struct sg_bench_samples *samples, double ns)
{
	if (samples->n == SG_BENCH_MAX_SAMPLES)
		sg_bench_die("over %u samples of one row", SG_BENCH_MAX_SAMPLES);
	samples->ns[samples->n++] = ns;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct sg_bench_samples sort(const struct sg_bench_samples *samples)
{
	struct sg_bench_samples sorted = *samples;

	if (sorted.n == 0)
		sg_bench_die("a row without samples");
	qsort(sorted.ns, sorted.n, sizeof(sorted.ns[0]), compare_doubles);
	return sorted;
}

double sg_bench_median(const struct sg_bench_samples *samples)
{
	struct sg_bench_samples sorted = sort(samples);

	return (sorted.ns[(sorted.n - 1) / 2] + sorted.ns[sorted.n / 2]) / 2;
}

static void print_row(const struct sg_bench_row *row)
{
	printf("%-36s %9" PRIu64 " %5u %5u %9.2f %9.2f %9.2f", row->name, row->point.flows,
		row->point.services, row->point.backends, row->ns_median, row->ns_min, row->ns_max);
	if (row->ns_median_cold >= 0)
		printf(" %9.2f", row->ns_median_cold);
	putchar('\n');
	fflush(stdout);
}

void sg_bench_report(struct sg_bench *bench, const char *name, struct sg_bench_point point,
	const struct sg_bench_samples *samples, const struct sg_bench_samples *cold)
{
	struct sg_bench_samples sorted = sort(samples);
	struct sg_bench_row *row = &bench->rows[bench->n_rows];

	if (bench->n_rows == MAX_ROWS)
		sg_bench_die("over %u rows", MAX_ROWS);
	bench->n_rows++;
	snprintf(row->name, sizeof(row->name), "%s", name);
	row->point = point;
	row->ns_median = sg_bench_median(samples);
	row->ns_min = sorted.ns[0];
	row->ns_max = sorted.ns[sorted.n - 1];
	row->ns_median_cold = cold ? sg_bench_median(cold) : -1;
	print_row(row);
}

void *sg_bench_memory(struct sg_bench *bench, uint64_t bytes)
{
	struct sg_region region;

	if (sg_region_open(&region, bytes, bench->hugetlb, NULL) < 0)
		sg_bench_die("%" PRIu64 " MB of memory are not to be had", bytes >> 20);
	memset(region.bytes, 0, region.size_bytes);
	for (unsigned i = 0; i < MAX_REGIONS; i++) {
		if (!regions[i].bytes) {
			regions[i] = region;
			return region.bytes;
		}
	}
	sg_bench_die("over %u tables at once", MAX_REGIONS);
}

void sg_bench_for_flows(
	struct sg_bench *bench, void (*measure)(struct sg_bench *bench, uint32_t n_flows))
{
	static const uint32_t numbers[] = {10000, 1000000, 100000, 10000000};

	if (bench->options.flows) {
		measure(bench, bench->options.flows);
		return;
	}
	for (unsigned i = 0; i < (bench->options.quick ? 2 : 4); i++)
		measure(bench, numbers[i]);
}

void sg_bench_free(void *memory)
{
	for (unsigned i = 0; i < MAX_REGIONS; i++) {
		if (regions[i].bytes == memory)
			sg_region_close(&regions[i]);
	}
}

static bool comes_first(const struct sg_bench_row *row)
{
	return (row->point.flows == 10000 || row->point.flows == 1000000) &&
	       row->point.services == 1 && row->point.backends == 10;
}

static void write_rows(const struct sg_bench *bench, FILE *file, bool first, const char **separator)
{
	for (unsigned i = 0; i < bench->n_rows; i++) {
		const struct sg_bench_row *row = &bench->rows[i];

		if (comes_first(row) != first)
			continue;
		fprintf(file,
			"%s\n  {\"name\": \"%s\", \"flows\": %" PRIu64
			", \"services\": %u, \"backends\": %u, \"ns_median\": %.3f, "
			"\"ns_min\": %.3f, \"ns_max\": %.3f",
			*separator, row->name, row->point.flows, row->point.services,
			row->point.backends, row->ns_median, row->ns_min, row->ns_max);
		if (row->ns_median_cold >= 0)
			fprintf(file, ", \"ns_median_cold\": %.3f", row->ns_median_cold);
		fputc('}', file);
		*separator = ",";
	}
}

int sg_bench_close(struct sg_bench *bench)
{
	const char *separator = "";
	FILE *file;

	if (!bench->options.json)
		return 0;
	file = fopen(bench->options.json, "w");
	if (!file)
		sg_bench_die("%s cannot be written", bench->options.json);
	fputs("{\"machine\": ", file);
	sg_bench_machine_write(&machine, bench, file);
	fputs(",\n \"results\": [", file);
	write_rows(bench, file, true, &separator);
	write_rows(bench, file, false, &separator);
	fputs("\n]}\n", file);
	if (fclose(file) != 0)
		sg_bench_die("%s cannot be written", bench->options.json);
	return 0;
}
