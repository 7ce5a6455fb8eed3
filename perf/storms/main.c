// What the workers notice of a busy control thread: perf/storms/run builds and calls this.
//
//     storms [--services N] [--flows N] [--seconds S] [--batch N] [--updates N] [--load PERCENT]
//            [--only STORM] [--no-huge] [--json FILE] [--fact KEY=VALUE]...
//            --socket PATH --worker-cpu N --control-cpu N
//
// One worker forwards at half of the rate it has been seen to reach, and is left alone and stormed
// in turns:
//
//     updates  10,000 backends a second get another weight, in transactions of --batch
//     apply    all services are applied at once, each with a change, again and again
//     flows    the flow table is listed, 100,000 flows at a time, again and again
//
// through the socket, as stormctl does it. In a round of half a second the storm is held, let
// loose and held again (pause.h); what counts is the difference between neighbours (series.h).
//
// Before that, hostile clients (hostile.h) have the worker's CPU, and what counts is how long
// another client waits for its answer.
//
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
#include "pause.h"
#include "rig.h"
#include "series.h"

#define FLOWS_LISTED 100000
#define SLICE_S      0.02
#define SLICES       5 // quiet, twice as many stormy, quiet: a round
#define PROBE_S      0.02
#define FIRST_S      0.2
#define ONES         51

struct options {
	struct sg_rig_options rig;
	struct sg_bench_options bench;
	unsigned seconds; // of each kind
	unsigned batch, updates;
	unsigned load_percent;
	const char *only;
};

// What a storm has done.
struct work {
	uint64_t requests, units; // units: backends, services, flows' bytes
	double busy_ms;
	double longest_ms;
};

struct storm {
	const char *name, *unit;
	void (*strike)(struct sg_client *client, const struct options *options, struct work *work);
	struct sg_series quiet, stormed;
	struct sg_ratios ratios; // of the rounds' p99
	struct work work;
	double seconds;
};

// Stands still while the storm does.
static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6 - sg_pause_held_ms();
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

// Packets a second of the worker's time that it is able to forward now.
static double find_rate(struct sg_rig *rig, double seconds)
{
	static struct sg_rig_figures figures;

	memset(&figures, 0, sizeof(figures));
	sg_rig_go(rig, seconds, 0, &figures);
	sg_rig_wait(rig);
	return (double)figures.forwarded * 1e6 / sg_rig_us((double)figures.turns.ticks);
}

static void take_slices(struct sg_rig *rig, double rate, unsigned n, struct sg_series *series)
{
	static struct sg_rig_figures slice;

	for (unsigned i = 0; i < n; i++) {
		memset(&slice, 0, sizeof(slice));
		sg_rig_go(rig, SLICE_S, rate, &slice);
		sg_rig_wait(rig);
		sg_series_add(series, &slice);
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

// The storm is held when it begins, and when it is over.
static void take_round(struct sg_rig *rig, const struct options *options, struct storm *storm)
{
	double rate = find_rate(rig, PROBE_S) * options->load_percent / 100, start;

	take_slices(rig, rate, SLICES, &storm->quiet);
	sg_pause_release();
	start = now_ms();
	take_slices(rig, rate, 2 * SLICES, &storm->stormed);
	sg_pause_hold();
	storm->seconds += (now_ms() - start) / 1e3;
	take_slices(rig, rate, SLICES, &storm->quiet);
	sg_ratios_add(&storm->ratios, &storm->quiet, &storm->stormed);
}

static void run_storm(struct sg_rig *rig, struct sg_client *client, const struct options *options,
	struct storm *storm)
{
	struct striker striker = {.client = client, .options = options, .storm = storm};
	pthread_t thread;

	if (pthread_create(&thread, NULL, strike, &striker) != 0)
		sg_bench_die("no thread is to be had");
	sg_pause_hold();
	while (storm->seconds < options->seconds && !sg_series_is_full(&storm->stormed))
		take_round(rig, options, storm);
	__atomic_store_n(&striker.stop, true, __ATOMIC_RELAXED);
	sg_pause_release();
	pthread_join(thread, NULL);
}

// --- reporting

static double median(const struct sg_series *series, const double *values)
{
	return sg_series_quantile(values, series->n, 0.5);
}

// In a second of such spans.
static double a_second(const struct sg_rig_spans *spans, uint64_t n)
{
	return (double)n * 1e6 / sg_rig_us((double)spans->ticks);
}

static void print_spans(const struct sg_rig_spans *spans)
{
	printf("| %7.1f %7.1f %6.1f %6.2f %6.2f ", sg_rig_us((double)spans->raw_longest),
		sg_rig_us((double)spans->longest), a_second(spans, spans->over_gap),
		a_second(spans, spans->over_50), a_second(spans, spans->over_100));
}

static void print_row(const char *name, const char *kind, const struct sg_series *series)
{
	const struct sg_rig_figures *all = &series->all;

	printf("%-8s %-6s %9lu %5lu %7lu %8lu %6lu %6.2f %6.2f %6.2f ", name, kind, all->forwarded,
		all->lost, all->overrun, all->left_out, all->faults, median(series, series->p50_us),
		median(series, series->p99_us), median(series, series->p999_us));
	print_spans(&all->turns);
	print_spans(&all->idle);
	putchar('\n');
}

static void print_head(void)
{
	static const char spans[] = "|     raw longest  20+/s  50+/s 100+/s ";

	printf("%-15s %9s %5s %7s %8s %6s %6s %6s %6s %s%s idle\n", "us", "packets", "lost",
		"overrun", "left out", "faults", "p50", "p99", "p99.9", spans, spans);
}

static void print_storm(const struct storm *storm)
{
	const struct work *work = &storm->work;
	const struct sg_rig_spans *adopting = &storm->stormed.all.adopting;
	struct sg_interval p99 = sg_ratios_judge(&storm->ratios);

	print_row(storm->name, "quiet", &storm->quiet);
	print_row("", "storm", &storm->stormed);
	printf("%-8s p99 x %.3f (95 %%: %.3f to %.3f; half of %u rounds: %.2f to %.2f)\n", "",
		p99.median, p99.low, p99.high, storm->ratios.n, p99.lower_quartile,
		p99.upper_quartile);
	printf("%-8s %.0f %s a second in %.1f requests, answered in %.2f ms, at most %.2f\n", "",
		(double)work->units / storm->seconds, storm->unit,
		(double)work->requests / storm->seconds, work->busy_ms / (double)work->requests,
		work->longest_ms);
	if (adopting->n > 0)
		printf("%-8s %lu turns began to use another generation: %.2f us each, at most %.1f\n",
			"", adopting->n, sg_rig_us((double)adopting->ticks / (double)adopting->n),
			sg_rig_us((double)adopting->longest));
}

static void write_spans(FILE *file, const char *key, const struct sg_rig_spans *spans)
{
	fprintf(file,
		", \"%s\": {\"n\": %lu, \"us\": %.0f, \"away_us\": %.0f, \"longest_raw_us\": %.1f, "
		"\"longest_us\": %.1f, \"over_20_us\": %lu, \"over_50_us\": %lu, \"over_100_us\": %lu}",
		key, spans->n, sg_rig_us((double)spans->ticks), sg_rig_us((double)spans->away),
		sg_rig_us((double)spans->raw_longest), sg_rig_us((double)spans->longest),
		spans->over_gap, spans->over_50, spans->over_100);
}

static void write_series(FILE *file, const char *key, const struct sg_series *series)
{
	const struct sg_rig_figures *all = &series->all;

	fprintf(file,
		"\"%s\": {\"slices\": %u, \"forwarded\": %lu, \"lost\": %lu, \"overrun\": %lu, \"left_out\": %lu, \"p50_us\": %.3f, "
		"\"p99_us\": %.3f, \"p999_us\": %.3f, \"turn_us\": %.1f, \"faults\": %lu, \"preemptions\": %lu",
		key, series->n, all->forwarded, all->lost, all->overrun, all->left_out,
		median(series, series->p50_us), median(series, series->p99_us),
		median(series, series->p999_us), median(series, series->longest_us), all->faults,
		all->preemptions);
	write_spans(file, "turns", &all->turns);
	write_spans(file, "adopting", &all->adopting);
	write_spans(file, "idle", &all->idle);
	fprintf(file, "}");
}

static void write_storm(FILE *file, const struct storm *storm)
{
	struct sg_interval p99 = sg_ratios_judge(&storm->ratios);

	fprintf(file, "\n  {\"name\": \"%s\", ", storm->name);
	write_series(file, "quiet", &storm->quiet);
	fprintf(file, ",\n   ");
	write_series(file, "stormed", &storm->stormed);
	fprintf(file,
		",\n   \"p99_ratio\": %.4f, \"p99_ratio_95\": [%.4f, %.4f], \"p99_ratio_quartiles\": [%.4f, %.4f], "
		"\"rounds\": %u,\n   \"seconds\": %.1f, \"requests\": %lu, \"units\": %lu, \"unit\": \"%s\", "
		"\"answer_ms\": %.3f, \"answer_max_ms\": %.3f}",
		p99.median, p99.low, p99.high, p99.lower_quartile, p99.upper_quartile,
		storm->ratios.n, storm->seconds, storm->work.requests, storm->work.units,
		storm->unit, storm->work.busy_ms / (double)storm->work.requests,
		storm->work.longest_ms);
}

static bool is_wanted(const struct options *options, const struct storm *storm)
{
	return !options->only || strcmp(options->only, storm->name) == 0;
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
	const char *separator = "";

	if (!file)
		sg_bench_die("%s cannot be written", options->bench.json);
	fprintf(file, "{\"machine\": ");
	sg_bench_machine_write(machine, &bench, file);
	fprintf(file,
		",\n \"services\": %u, \"backends\": %u, \"flows\": %u, \"mpps\": %.3f, \"load\": %.2f, \"one_ms\": %.3f,\n"
		" \"nft\": {\"elements\": %u, \"one_ms\": %.3f, \"batch\": %u, \"batch_ms\": %.3f, "
		"\"fill_ms\": %.1f},\n ",
		options->rig.services, SG_CLIENT_BACKENDS, options->rig.flows, rate / 1e6,
		options->load_percent / 100.0, one_ms, nft->elements, nft->one_ms, nft->batch,
		nft->batch_ms, nft->fill_ms);
	write_hostile(file, hostile);
	fputs("\"storms\": [", file);
	for (unsigned i = 0; i < N_STORMS; i++) {
		if (!is_wanted(options, &storms[i]))
			continue;
		fputs(separator, file);
		write_storm(file, &storms[i]);
		separator = ",";
	}
	fputs("\n]}\n", file);
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
	return sg_series_quantile(samples, ONES, 0.5);
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
		{"load", required_argument, NULL, 'l'},
		{"only", required_argument, NULL, 'o'},
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
		.updates = 10000,
		.load_percent = 50};
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
		case 'l':
			options.load_percent = number;
			break;
		case 'o':
			options.only = optarg;
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
		!options.rig.services || !options.rig.flows || !options.load_percent)
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
	sg_pause_open();
	control = open_control(rig, mirror, end_fd);
	if (pthread_create(&thread, NULL, serve, control) != 0)
		sg_bench_die("no thread is to be had");
	sg_client_open(&client, options.rig.socket, options.rig.services);
	sg_client_apply(&client, 1);
	if (!options.only)
		measure_hostile(&options, control, hostile);
	// What is published is what the last answer is about, even if the first came early.
	sg_client_change(&client, 1);
	sg_rig_start(rig, &opening);
	find_rate(rig, FIRST_S); // warms up
	rate = find_rate(rig, FIRST_S);
	printf("%u services of %u backends, %u flows; the worker alone: %.2f Mpps, load %u %%\n",
		options.rig.services, SG_CLIENT_BACKENDS, options.rig.flows, rate / 1e6,
		options.load_percent);
	printf("opening them: %.0f ns a flow, longest turn %.0f us, %lu over 100, %lu page faults\n\n",
		sg_rig_us((double)opening.turns.ticks) * 1e3 / options.rig.flows,
		sg_rig_us((double)opening.turns.longest), opening.turns.over_100, opening.faults);
	print_head();
	for (unsigned i = 0; i < N_STORMS; i++) {
		if (!is_wanted(&options, &storms[i]))
			continue;
		run_storm(rig, &client, &options, &storms[i]);
		print_storm(&storms[i]);
		fflush(stdout);
	}
	one_ms = measure_one_ms(&client);
	printf("%u answers came before the worker used the change\n", client.n_late);
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
