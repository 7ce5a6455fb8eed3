// What a change of the configuration costs the control thread, by services.
//
//     snapshot/change_one  one backend replaced by another: cloning the desired state, editing,
//                          validating, compiling, publishing, giving the old snapshot back
//     snapshot/apply_all   every service put at once into a gateway that had none: the same
//     snapshot/publish     from storing the pointer until a worker on another CPU, whose turns take
//                          TURN_NS, is known to have passed
//
// Through lib/control's rollout, as stormgate does it; reading the request's JSON and asking the
// kernel for next hops come on top. Rows know no flows, and stand under 10,000 and 1,000,000, each
// measured, so that they are found beside the others.
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/world.h"
#include "control/rollout.h"
#include "dataplane/publish.h"

#define BACKENDS  10
#define CHANGES   100 // a sample
#define PUBLISHES 1000
#define TURN_NS   1300 // a burst of 32 packets at 40 ns

// A data plane that has always passed already.
struct idle_workers {
	uint64_t token;
	struct sg_counters totals[2];
	struct sg_worker_counters counters[2];
	struct sg_publisher publisher;
};

static uint64_t publish(void *context, const struct sg_snapshot *snapshot)
{
	(void)snapshot;
	return ++((struct idle_workers *)context)->token;
}

static bool passed(void *context, uint64_t token, unsigned *ret_late_worker)
{
	(void)ret_late_worker;
	return token <= ((struct idle_workers *)context)->token;
}

static bool next_wish(void *context, struct sg_wish *ret_wish)
{
	(void)context;
	(void)ret_wish;
	return false;
}

static uint32_t backend_flows(void *context, uint32_t slot)
{
	(void)context;
	(void)slot;
	return 0;
}

static void open_idle_workers(struct idle_workers *workers)
{
	*workers = (struct idle_workers){.publisher = {.dataplane = workers,
						 .n_workers = 1,
						 .counters = workers->counters,
						 .publish = publish,
						 .passed = passed,
						 .next_wish = next_wish,
						 .backend_flows = backend_flows}};
	for (unsigned i = 0; i < 2; i++)
		workers->counters[i] = (struct sg_worker_counters){.totals = &workers->totals[i],
			.services = calloc(SG_MAX_SERVICES, sizeof(struct sg_traffic)),
			.backends = calloc(SG_MAX_BACKENDS, sizeof(struct sg_traffic)),
			.service_losses = calloc(SG_MAX_SERVICES, sizeof(struct sg_losses)),
			.backend_losses = calloc(SG_MAX_BACKENDS, sizeof(struct sg_losses))};
}

static void close_idle_workers(struct idle_workers *workers)
{
	for (unsigned i = 0; i < 2; i++) {
		free(workers->counters[i].services);
		free(workers->counters[i].backends);
		free(workers->counters[i].service_losses);
		free(workers->counters[i].backend_losses);
	}
}

struct control {
	struct sg_settings settings;
	struct idle_workers workers;
	struct sg_statistics *statistics;
	struct sg_rollout *rollout;
	uint64_t now_ms;
	unsigned n_done;
};

// A control thread without services.
static void open_control(struct control *control)
{
	struct sg_error error;
	struct sg_state nothing;

	*control = (struct control){.now_ms = 1};
	sg_settings_init(&control->settings);
	control->settings.snat_addresses[0] = sg_addr_from_ipv4(__builtin_bswap32(0x0aff0001));
	control->settings.n_snat_addresses = 1;
	open_idle_workers(&control->workers);
	control->statistics = sg_statistics_create(&control->workers.publisher);
	sg_state_init(&nothing);
	if (sg_rollout_create(&control->rollout, &control->settings, &nothing,
		    &control->workers.publisher, NULL, control->statistics, &error) < 0)
		sg_bench_die("%s", error.text);
}

static void close_control(struct control *control)
{
	sg_rollout_destroy(control->rollout);
	sg_statistics_destroy(control->statistics);
	close_idle_workers(&control->workers);
}

static void count_done(void *context, const struct sg_rollout_result *result)
{
	((struct control *)context)->n_done += result->err == 0 && result->active;
}

// Validates, compiles, publishes and reclaims.
static void commit(struct control *control, struct sg_state *candidate)
{
	unsigned n_before = control->n_done;
	struct sg_error error;

	control->now_ms++;
	if (sg_rollout_commit(control->rollout, candidate, NULL, 0, count_done, control,
		    control->now_ms, &error) < 0)
		sg_bench_die("%s", error.text);
	sg_rollout_turn(control->rollout, control->now_ms);
	if (control->n_done == n_before)
		sg_bench_die("a change was not made");
}

static void put_all(struct sg_state *state, const struct sg_world_options *options)
{
	for (unsigned i = 0; i < options->services; i++)
		sg_state_put(state, sg_world_service(options, i));
}

// Replaces the first backend of service `number` by one that has never been.
static void replace_backend(struct control *control, unsigned number)
{
	struct sg_state candidate;
	struct sg_service_spec *spec;
	struct sg_backend_spec fresh;
	char name[SG_MAX_NAME_BYTES];

	snprintf(name, sizeof(name), "service-%u", number);
	sg_state_clone(&candidate, sg_rollout_state(control->rollout));
	spec = sg_service_spec_clone(sg_state_find(&candidate, name));
	fresh = spec->backends[0];
	sg_service_spec_remove_backend(spec, &fresh.address, fresh.port);
	fresh.address =
		sg_addr_from_ipv4(__builtin_bswap32((uint32_t)(0x0a800000 + control->now_ms)));
	sg_service_spec_put_backend(spec, &fresh);
	sg_state_put(&candidate, spec);
	commit(control, &candidate);
}

static double change_ns(struct sg_bench *bench, struct control *control, unsigned services)
{
	uint64_t start = sg_bench_ticks();

	for (unsigned i = 0; i < CHANGES; i++)
		replace_backend(control, (unsigned)(control->now_ms * 7919 % services));
	return sg_bench_ns(bench, sg_bench_ticks() - start, 0, CHANGES);
}

// Returns what applying everything took, and leaves it applied.
static double apply_ns(
	struct sg_bench *bench, struct control *control, const struct sg_world_options *options)
{
	struct sg_state candidate;
	uint64_t start;

	open_control(control);
	sg_state_init(&candidate);
	put_all(&candidate, options);
	start = sg_bench_ticks();
	commit(control, &candidate);
	return sg_bench_ns(bench, sg_bench_ticks() - start, 0, 1);
}

static void measure(struct sg_bench *bench, struct sg_bench_point point)
{
	const struct sg_world_options options = {
		.services = point.services, .backends = point.backends};
	struct sg_bench_samples all = {0}, one = {0};
	struct control *control = malloc(sizeof(*control));

	apply_ns(bench, control, &options);
	change_ns(bench, control, point.services);
	for (unsigned i = 0; i < bench->n_samples; i++) {
		close_control(control);
		sg_bench_sample(&all, apply_ns(bench, control, &options));
		sg_bench_sample(&one, change_ns(bench, control, point.services));
	}
	close_control(control);
	free(control);
	sg_bench_report(bench, "snapshot/change_one", point, &one, NULL);
	sg_bench_report(bench, "snapshot/apply_all", point, &all, NULL);
}

// Publishing to a worker that polls.

struct worker {
	struct sg_publish *publish;
	uint64_t turn_ticks;
	bool alone; // on the control thread's CPU
	bool online;
	bool stop;
};

static void *take_turns(void *context)
{
	struct worker *worker = context;

	sg_publish_online(worker->publish, 0);
	__atomic_store_n(&worker->online, true, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&worker->stop, __ATOMIC_RELAXED)) {
		uint64_t start = sg_bench_ticks();

		sg_bench_use(sg_publish_get(worker->publish));
		while (sg_bench_ticks() - start < worker->turn_ticks)
			;
		sg_publish_quiescent(worker->publish, 0);
		if (worker->alone)
			sched_yield();
	}
	sg_publish_offline(worker->publish, 0);
	return NULL;
}

static pthread_t start_worker(struct sg_bench *bench, struct worker *worker)
{
	pthread_attr_t attributes;
	pthread_t thread;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(bench->spare_cpu >= 0 ? bench->spare_cpu : sched_getcpu(), &cpus);
	pthread_attr_init(&attributes);
	pthread_attr_setaffinity_np(&attributes, sizeof(cpus), &cpus);
	if (pthread_create(&thread, &attributes, take_turns, worker) != 0)
		sg_bench_die("no thread is to be had");
	pthread_attr_destroy(&attributes);
	return thread;
}

static double publish_ns(struct sg_bench *bench, struct worker *worker)
{
	static const struct sg_snapshot snapshots[2];
	uint64_t start = sg_bench_ticks();

	for (unsigned i = 0; i < PUBLISHES; i++) {
		uint64_t token = sg_publish_set(worker->publish, &snapshots[i % 2]);

		while (!sg_publish_passed(worker->publish, token, NULL)) {
			if (worker->alone)
				sched_yield();
		}
	}
	return sg_bench_ns(bench, sg_bench_ticks() - start, 0, PUBLISHES);
}

static void measure_publish(struct sg_bench *bench, struct sg_bench_point point)
{
	struct worker worker = {.turn_ticks = (uint64_t)(TURN_NS / bench->ns_per_tick),
		.alone = bench->spare_cpu < 0};
	struct sg_bench_samples samples = {0};
	struct sg_error error;
	pthread_t thread;

	worker.publish = sg_publish_create(1, &error);
	if (!worker.publish)
		sg_bench_die("%s", error.text);
	thread = start_worker(bench, &worker);
	while (!__atomic_load_n(&worker.online, __ATOMIC_ACQUIRE))
		sched_yield();
	publish_ns(bench, &worker);
	for (unsigned i = 0; i < bench->n_samples; i++)
		sg_bench_sample(&samples, publish_ns(bench, &worker));
	__atomic_store_n(&worker.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	sg_publish_destroy(worker.publish);
	sg_bench_report(bench, "snapshot/publish", point, &samples, NULL);
}

void sg_bench_snapshot(struct sg_bench *bench)
{
	static const uint64_t flows[] = {10000, 1000000};

	for (unsigned i = 0; i < 2; i++) {
		measure(bench, (struct sg_bench_point){flows[i], 1, BACKENDS});
		measure_publish(bench, (struct sg_bench_point){flows[i], 1, BACKENDS});
	}
	measure(bench, (struct sg_bench_point){1000000, 10000, BACKENDS});
}
