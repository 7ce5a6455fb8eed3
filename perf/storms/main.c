// What the workers notice of a busy control thread: perf/storms/run builds and calls this.
//
//     storms [--services N] [--flows N] [--seconds S] [--batch N] [--updates N] [--no-huge]
//            [--json FILE] [--fact KEY=VALUE]... --socket PATH --worker-cpu N --control-cpu N
//
// One worker forwards at 80 % of the rate it has been seen to reach. In turns of a second it is
// left alone and stormed:
//
//     updates  10,000 backends a second get another weight, in transactions of --batch
//     apply    all services are applied at once, each with a change, again and again
//     flows    the flow table is listed, 100,000 flows at a time, again and again
//
// Before that, hostile clients (hostile.h) have the worker's CPU, and what counts is how long
// another client waits for its answer.
//
// through the socket, as stormctl does it. What counts is the difference between the two kinds of
// slices. On a machine whose CPUs are lent elsewhere many slices are disturbed, so latencies are
// the median over slices, and `calmest` is the longest turn of the slice in which it was shortest.
// How time is measured says rig.h.
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/option_error.h"
#include "bench/bench.h"
#include "bench/machine.h"
#include "client.h"
#include "control/control.h"
#include "hostile.h"
#include "nft.h"
#include "rig.h"

#define LOAD         0.8
#define FLOWS_LISTED 100000
#define SLICE_S      0.02
#define SLICES       25 // in a row, of one kind
#define PROBE_S      0.1
#define MAX_SLICES   20000
#define ONES         51

struct options {
	struct sg_rig_options rig;
	struct sg_bench_options bench;
	unsigned seconds; // of each kind
	unsigned batch, updates;
};

// What a storm has done.
struct work {
	uint64_t requests, units; // units: backends, services, flows' bytes
	double busy_ms;
	double longest_ms;
};

// Slices of one kind.
struct series {
	struct sg_rig_figures all;
	unsigned n;
	double p50_us[MAX_SLICES], p99_us[MAX_SLICES], p999_us[MAX_SLICES], longest_us[MAX_SLICES];
};

struct storm {
	const char *name, *unit;
	void (*strike)(struct sg_client *client, const struct options *options, struct work *work);
	struct series quiet, stormed;
	struct work work;
	double seconds;
};

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void note(struct work *work, double start_ms, uint64_t units)
{
	double ms = now_ms() - start_ms;

	work->requests++;
	work->units += units;
	work->busy_ms += ms;
	if (ms > work->longest_ms)
		work->longest_ms = ms;
}

static void strike_updates(
	struct sg_client *client, const struct options *options, struct work *work)
{
	double start = now_ms(), period = 1e3 * options->batch / options->updates, left;

	sg_client_change(client, options->batch);
	note(work, start, options->batch);
	left = period - (now_ms() - start);
	if (left > 0)
		usleep((useconds_t)(left * 1e3));
}

static void strike_apply(struct sg_client *client, const struct options *options, struct work *work)
{
	double start = now_ms();

	(void)options;
	sg_client_apply(client, 1 + (unsigned)(work->requests % 100) + 1);
	note(work, start, client->services);
}

static void strike_flows(struct sg_client *client, const struct options *options, struct work *work)
{
	double start = now_ms();

	(void)options;
	note(work, start, sg_client_flows(client, FLOWS_LISTED));
}

static struct storm storms[] = {
	{.name = "updates", .unit = "backends", .strike = strike_updates},
	{.name = "apply", .unit = "services", .strike = strike_apply},
	{.name = "flows", .unit = "bytes", .strike = strike_flows},
};
#define N_STORMS (sizeof(storms) / sizeof(storms[0]))

// --- the control thread

static void *serve(void *control)
{
	struct sg_error error = {0};

	if (sg_control_run(control, &error) < 0)
		sg_bench_die("%s", error.text);
	return NULL;
}

// Another thread says that it is over.
static void on_end(void *control, int fd, uint32_t events)
{
	(void)fd;
	(void)events;
	sg_control_stop(control);
}

static struct sg_control *open_control(struct sg_rig *rig, struct sg_mirror *mirror, int end_fd)
{
	struct sg_control *control;
	struct sg_error error = {0};
	struct sg_state nothing;

	sg_state_init(&nothing);
	if (sg_control_create(&control, sg_rig_settings(rig), &nothing, sg_rig_publisher(rig),
		    mirror, &error) < 0 ||
		sg_control_first_publish(control, &error) < 0 ||
		sg_control_add_fd(control, end_fd, on_end, control, &error) < 0 ||
		sg_control_open_socket(control, &error) < 0)
		sg_bench_die("%s", error.text);
	return control;
}

// --- measuring

static void end_slice(struct sg_rig *rig, const struct sg_rig_figures *slice, struct series *series)
{
	sg_rig_wait(rig);
	sg_rig_add(&series->all, slice);
	series->p50_us[series->n] = sg_rig_us(sg_latency_quantile(&slice->latency, 0.5));
	series->p99_us[series->n] = sg_rig_us(sg_latency_quantile(&slice->latency, 0.99));
	series->p999_us[series->n] = sg_rig_us(sg_latency_quantile(&slice->latency, 0.999));
	series->longest_us[series->n++] = sg_rig_us((double)slice->longest);
}

// Packets a second of the worker's time that it is able to forward now.
static double find_rate(struct sg_rig *rig)
{
	static struct sg_rig_figures figures;

	memset(&figures, 0, sizeof(figures));
	sg_rig_go(rig, PROBE_S, 0, &figures);
	sg_rig_wait(rig);
	return (double)figures.forwarded * 1e6 / sg_rig_us((double)figures.ticks);
}

static void take_slices(struct sg_rig *rig, double rate, struct series *series)
{
	static struct sg_rig_figures slice;

	for (unsigned i = 0; i < SLICES && series->n < MAX_SLICES; i++) {
		memset(&slice, 0, sizeof(slice));
		sg_rig_go(rig, SLICE_S, rate, &slice);
		end_slice(rig, &slice, series);
	}
}

struct striker {
	struct sg_client *client;
	const struct options *options;
	struct storm *storm;
	bool stop; // written by the main thread
};

static void *strike(void *context)
{
	struct striker *striker = context;

	while (!__atomic_load_n(&striker->stop, __ATOMIC_RELAXED))
		striker->storm->strike(striker->client, striker->options, &striker->storm->work);
	return NULL;
}

static void run_storm(struct sg_rig *rig, struct sg_client *client, const struct options *options,
	struct storm *storm)
{
	for (unsigned i = 0; i < options->seconds / (SLICES * SLICE_S); i++) {
		struct striker striker = {.client = client, .options = options, .storm = storm};
		double rate = find_rate(rig) * LOAD, start;
		pthread_t thread;

		take_slices(rig, rate, &storm->quiet);
		if (pthread_create(&thread, NULL, strike, &striker) != 0)
			sg_bench_die("no thread is to be had");
		start = now_ms();
		take_slices(rig, rate, &storm->stormed);
		__atomic_store_n(&striker.stop, true, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
		storm->seconds += (now_ms() - start) / 1e3;
	}
}

// --- reporting

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

// Of all slices the value at `share`: 0 the smallest, 0.5 the median.
static double of_slices(const double *values, unsigned n, double share)
{
	static double sorted[MAX_SLICES];

	memcpy(sorted, values, n * sizeof(values[0]));
	qsort(sorted, n, sizeof(sorted[0]), compare_doubles);
	return sorted[(unsigned)(share * (n - 1))];
}

static double p99_us(const struct series *series)
{
	return of_slices(series->p99_us, series->n, 0.5);
}

static void print_row(const char *name, const char *kind, const struct series *series)
{
	const struct sg_rig_figures *all = &series->all;

	printf("%-8s %-6s %9lu %5lu %7lu %7.2f %7.2f %8.2f %7.2f %8.1f %8.1f %6lu %7lu %6lu\n",
		name, kind, all->forwarded, all->lost, all->overrun,
		of_slices(series->p50_us, series->n, 0.5), p99_us(series),
		of_slices(series->p99_us, series->n, 0.9),
		of_slices(series->p999_us, series->n, 0.5),
		of_slices(series->longest_us, series->n, 0.5),
		of_slices(series->longest_us, series->n, 0.9), all->long_turns, all->stolen,
		all->faults);
}

static void print_storm(const struct storm *storm)
{
	const struct work *work = &storm->work;

	print_row(storm->name, "quiet", &storm->quiet);
	print_row("", "storm", &storm->stormed);
	printf("%-8s p99 %+.1f %%; %.0f %s a second in %.1f requests, answered in %.2f ms, at most %.2f\n",
		"", 100 * (p99_us(&storm->stormed) / p99_us(&storm->quiet) - 1),
		(double)work->units / storm->seconds, storm->unit,
		(double)work->requests / storm->seconds, work->busy_ms / (double)work->requests,
		work->longest_ms);
}

static void write_series(FILE *file, const char *key, const struct series *series)
{
	const struct sg_rig_figures *all = &series->all;

	fprintf(file,
		"\"%s\": {\"slices\": %u, \"forwarded\": %lu, \"lost\": %lu, \"overrun\": %lu, \"p50_us\": %.3f, "
		"\"p99_us\": %.3f, \"p999_us\": %.3f, \"turns\": %lu, \"p99_90_us\": %.3f, "
		"\"turn_us\": %.1f, \"turn_90_us\": %.1f, \"over_100_us\": %lu, \"stolen\": %lu, "
		"\"left_out\": %lu, \"faults\": %lu, \"preemptions\": %lu}",
		key, series->n, all->forwarded, all->lost, all->overrun,
		of_slices(series->p50_us, series->n, 0.5), p99_us(series),
		of_slices(series->p999_us, series->n, 0.5), all->turns,
		of_slices(series->p99_us, series->n, 0.9),
		of_slices(series->longest_us, series->n, 0.5),
		of_slices(series->longest_us, series->n, 0.9), all->long_turns, all->stolen,
		all->left_out, all->faults, all->preemptions);
}

static void write_storm(FILE *file, const struct storm *storm)
{
	fprintf(file, "\n  {\"name\": \"%s\", ", storm->name);
	write_series(file, "quiet", &storm->quiet);
	fprintf(file, ",\n   ");
	write_series(file, "stormed", &storm->stormed);
	fprintf(file,
		",\n   \"seconds\": %.1f, \"requests\": %lu, \"units\": %lu, \"unit\": \"%s\", "
		"\"answer_ms\": %.3f, \"answer_max_ms\": %.3f}",
		storm->seconds, storm->work.requests, storm->work.units, storm->unit,
		storm->work.busy_ms / (double)storm->work.requests, storm->work.longest_ms);
}

// A client among hostile ones, and without them.
struct hostile {
	struct sg_hostile_figures figures;
	double turn_ms;              // CPU time of the control thread's longest turn
	long before_kb, resident_kb; // of the process
};

static long resident_kb(void)
{
	long size, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file || fscanf(file, "%ld %ld", &size, &resident) != 2)
		sg_bench_die("/proc/self/statm cannot be read");
	fclose(file);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static const char *const hostile_names[] = {"alone", "hostile"};

static void print_wait(const char *of, const struct sg_hostile_wait *wait)
{
	printf("%s p50 %.2f ms, p99 %.2f, at most %.2f; ", of, wait->p50_ms, wait->p99_ms,
		wait->longest_ms);
}

// Before the worker starts, whose CPU is free for clients then.
static void measure_hostile(
	const struct options *options, struct sg_control *control, struct hostile hostile[2])
{
	for (int harm = 0; harm < 2; harm++) {
		const struct sg_hostile_options wanted = {.socket = options->rig.socket,
			.services = options->rig.services,
			.cpu = options->rig.worker_cpu,
			.control_cpu = options->rig.control_cpu,
			.seconds = options->seconds,
			.with_harm = harm};
		struct hostile *of = &hostile[harm];

		of->before_kb = resident_kb();
		sg_control_take_longest_turn_ns(control);
		sg_hostile_measure(&wanted, &of->figures);
		of->turn_ms = (double)sg_control_take_longest_turn_ns(control) / 1e6;
		of->resident_kb = resident_kb();
		printf("%-8s ", hostile_names[harm]);
		print_wait("status", &of->figures.status);
		print_wait("echo", &of->figures.echo);
		printf("longest turn %.2f ms; %u questions, %u lines of 16 MB, %u halves, %u times stats, %u times all services; "
		       "%+ld MB\n",
			of->turn_ms, of->figures.n, of->figures.lines, of->figures.halves,
			of->figures.stats, of->figures.applies,
			(of->resident_kb - of->before_kb) / 1024);
	}
	fflush(stdout);
}

static void write_hostile(FILE *file, const struct hostile hostile[2])
{
	fputs("\"hostile\": [", file);
	for (int harm = 0; harm < 2; harm++) {
		const struct sg_hostile_figures *figures = &hostile[harm].figures;

		fprintf(file,
			"%s\n  {\"name\": \"%s\", \"questions\": %u, \"p50_ms\": %.3f, "
			"\"p99_ms\": %.3f, \"longest_ms\": %.3f, \"echo_p50_ms\": %.3f, "
			"\"echo_p99_ms\": %.3f, \"echo_longest_ms\": %.3f, \"turn_ms\": %.3f, "
			"\"before_kb\": %ld, \"resident_kb\": %ld, \"lines\": %u, \"halves\": %u, "
			"\"stats\": %u, \"applies\": %u}",
			harm ? "," : "", hostile_names[harm], figures->n, figures->status.p50_ms,
			figures->status.p99_ms, figures->status.longest_ms, figures->echo.p50_ms,
			figures->echo.p99_ms, figures->echo.longest_ms, hostile[harm].turn_ms,
			hostile[harm].before_kb, hostile[harm].resident_kb, figures->lines,
			figures->halves, figures->stats, figures->applies);
	}
	fputs("],\n ", file);
}

static void write_json(const struct options *options, const struct sg_bench_machine *machine,
	double rate, double one_ms, const struct sg_nft_figures *nft,
	const struct hostile hostile[2])
{
	const struct sg_bench bench = {.options = options->bench,
		.hugetlb = options->rig.huge,
		.ns_per_tick = sg_rig_us(1) * 1e3};
	FILE *file = fopen(options->bench.json, "w");

	if (!file)
		sg_bench_die("%s cannot be written", options->bench.json);
	fprintf(file, "{\"machine\": ");
	sg_bench_machine_write(machine, &bench, file);
	fprintf(file,
		",\n \"services\": %u, \"backends\": %u, \"flows\": %u, \"mpps\": %.3f, \"load\": %.1f, \"one_ms\": %.3f,\n"
		" \"nft\": {\"elements\": %u, \"one_ms\": %.3f, \"batch\": %u, \"batch_ms\": %.3f, "
		"\"fill_ms\": %.1f},\n ",
		options->rig.services, SG_CLIENT_BACKENDS, options->rig.flows, rate / 1e6, LOAD,
		one_ms, nft->elements, nft->one_ms, nft->batch, nft->batch_ms, nft->fill_ms);
	write_hostile(file, hostile);
	fputs("\"storms\": [", file);
	for (unsigned i = 0; i < N_STORMS; i++) {
		write_storm(file, &storms[i]);
		fputs(i + 1 < N_STORMS ? "," : "\n]}\n", file);
	}
	if (fclose(file) != 0)
		sg_bench_die("%s cannot be written", options->bench.json);
}

// How long an operator waits for one backend to change on all workers.
static double measure_one_ms(struct sg_client *client)
{
	double samples[ONES];

	for (unsigned i = 0; i < ONES; i++) {
		double start = now_ms();

		sg_client_change(client, 1);
		samples[i] = now_ms() - start;
	}
	return of_slices(samples, ONES, 0.5);
}

static void print_nft(const struct sg_nft_figures *nft)
{
	if (nft->elements == 0) {
		printf("nftables cannot be measured here\n");
		return;
	}
	printf("nftables map of %u elements: one replaced in %.2f ms, %u in %.2f ms, all made in %.0f ms\n",
		nft->elements, nft->one_ms, nft->batch, nft->batch_ms, nft->fill_ms);
}

// --- options

static void add_fact(struct sg_bench_options *options, const char *fact)
{
	if (!strchr(fact, '=') || options->n_facts == SG_BENCH_MAX_FACTS)
		sg_bench_die("--fact takes KEY=VALUE, at most %d times", SG_BENCH_MAX_FACTS);
	options->facts[options->n_facts++] = fact;
}

static struct options parse_options(int argc, char **argv)
{
	static const struct option known[] = {
		{"services", required_argument, NULL, 's'},
		{"flows", required_argument, NULL, 'f'},
		{"seconds", required_argument, NULL, 't'},
		{"batch", required_argument, NULL, 'b'},
		{"updates", required_argument, NULL, 'u'},
		{"no-huge", no_argument, NULL, 'n'},
		{"json", required_argument, NULL, 'j'},
		{"fact", required_argument, NULL, 'F'},
		{"socket", required_argument, NULL, 'S'},
		{"worker-cpu", required_argument, NULL, 'w'},
		{"control-cpu", required_argument, NULL, 'c'},
		{0},
	};
	struct options options = {.rig = {.services = 10000, .flows = 1000000, .huge = true},
		.seconds = 10,
		.batch = 100,
		.updates = 10000};
	int key;

	sg_log_open("storms");
	opterr = 0;
	while ((key = getopt_long(argc, argv, ":", known, NULL)) != -1) {
		unsigned number = optarg ? (unsigned)strtoul(optarg, NULL, 10) : 0;

		switch (key) {
		case 's':
			options.rig.services = number;
			break;
		case 'f':
			options.rig.flows = number;
			break;
		case 't':
			options.seconds = number;
			break;
		case 'b':
			options.batch = number;
			break;
		case 'u':
			options.updates = number;
			break;
		case 'n':
			options.rig.huge = false;
			break;
		case 'j':
			options.bench.json = optarg;
			break;
		case 'F':
			add_fact(&options.bench, optarg);
			break;
		case 'S':
			options.rig.socket = optarg;
			break;
		case 'w':
			options.rig.worker_cpu = number;
			break;
		case 'c':
			options.rig.control_cpu = number;
			break;
		default:
			sg_option_error(argv, key, "perf/storms/run");
			exit(2);
		}
	}
	if (!options.rig.socket || !options.seconds || !options.batch || !options.updates ||
		!options.rig.services || !options.rig.flows)
		sg_bench_die("--socket is wanted, and numbers above 0");
	return options;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv);
	static struct sg_rig_figures opening;
	struct sg_nft_figures nft = {0};
	struct hostile hostile[2] = {0};
	struct sg_bench_machine machine;
	struct sg_mirror *mirror;
	struct sg_error error = {0};
	struct sg_control *control;
	struct sg_client client;
	struct sg_rig *rig;
	pthread_t thread;
	double rate, one_ms;
	int end_fd = eventfd(0, EFD_CLOEXEC);

	if (!sg_nft_measure(options.rig.services * SG_CLIENT_BACKENDS, options.batch, &nft))
		nft.elements = 0;
	sg_bench_machine_open(&machine);
	rig = sg_rig_create(&options.rig);
	if (sg_mirror_open(&mirror, NULL, 0, &error) < 0)
		sg_bench_die("no memory");
	control = open_control(rig, mirror, end_fd);
	if (pthread_create(&thread, NULL, serve, control) != 0)
		sg_bench_die("no thread is to be had");
	sg_client_open(&client, options.rig.socket, options.rig.services);
	sg_client_apply(&client, 1);
	measure_hostile(&options, control, hostile);
	sg_rig_start(rig, &opening);
	find_rate(rig); // warms up
	rate = find_rate(rig);
	printf("%u services of %u backends, %u flows; the worker alone: %.2f Mpps, load %.0f %%\n",
		options.rig.services, SG_CLIENT_BACKENDS, options.rig.flows, rate / 1e6,
		LOAD * 100);
	printf("opening them: %.0f ns a flow, longest turn %.0f us, %lu over 100, %lu page faults\n\n",
		sg_rig_us((double)opening.ticks) * 1e3 / options.rig.flows,
		sg_rig_us((double)opening.longest), opening.long_turns, opening.faults);
	printf("%-8s %-6s %9s %5s %7s %7s %7s %8s %7s %8s %8s %6s %7s %6s\n", "us", "", "packets",
		"lost", "overrun", "p50", "p99", "p99 90%", "p99.9", "turn", "turn 90%", ">100",
		"stolen", "faults");
	for (unsigned i = 0; i < N_STORMS; i++) {
		run_storm(rig, &client, &options, &storms[i]);
		print_storm(&storms[i]);
		fflush(stdout);
	}
	one_ms = measure_one_ms(&client);
	printf("one backend changed: in %.2f ms from the request until all workers use it\n",
		one_ms);
	print_nft(&nft);
	if (options.bench.json)
		write_json(&options, &machine, rate, one_ms, &nft, hostile);
	sg_client_close(&client);
	eventfd_write(end_fd, 1);
	pthread_join(thread, NULL);
	sg_control_remove_fd(control, end_fd);
	sg_rig_destroy(rig);
	return 0;
}
