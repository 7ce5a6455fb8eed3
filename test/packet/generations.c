// Changes while packets come: once a change is answered as active, no burst that begins afterwards
// is judged by an older generation, and no packet is lost.
//
// The rollout and the grace periods are the daemon's own; workers are threads that run their
// pipelines over bursts of new flows as worker.c does. The service has one backend at a time,
// change n brings number n and removes the one before, so that each packet's destination says by
// which change it was scheduled.
#include "rig.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <rte_eal.h>
#include <rte_errno.h>

#include "base/clock.h"
#include "control/rollout.h"
#include "dataplane/publish.h"
#include "service/snapshot_build.h"

#define N_WORKERS     2
#define MAX_CHANGES   1000
#define BACKENDS_FROM 0x0a010000u // 10.1.0.0, and the number of the change
#define GAP_TURNS     64          // between two naps of a worker

struct world {
	struct rig rig;
	uint32_t n_changes;
	struct sg_publish *publish;
	struct sg_publisher publisher;
	struct sg_flow_table *flows[N_WORKERS];
	struct sg_statistics *statistics;
	struct sg_rollout *rollout;
	uint64_t generations[MAX_CHANGES + 1]; // by change; written before `answered` is
	uint32_t answered; // the last change that was said to be active; written by control
	bool stop;
	unsigned n_active; // answers that said so
	uint64_t took_us[MAX_CHANGES + 1];
};

struct worker {
	struct world *world;
	unsigned number;
	pthread_t thread;
	struct frame frames[SG_BURST];
	struct sg_burst burst;
	// Written by the worker, read when it has ended.
	uint64_t n_packets, n_lost, n_older_bursts, n_older_packets;
};

// --- the data plane as control sees it --------------------------------------------------------

// There is no kernel whose routes could be mirrored: snapshots get those of the rig.
static uint64_t publish(void *context, const struct sg_snapshot *snapshot)
{
	struct world *world = context;
	struct sg_snapshot *routed = (struct sg_snapshot *)snapshot;

	sg_routes_unref(routed->routes);
	routed->routes = sg_routes_ref(world->rig.routes);
	assert_int_equal(sg_snapshot_route_backends(routed), 0);
	return sg_publish_set(world->publish, snapshot);
}

static bool passed(void *context, uint64_t token, unsigned *ret_late_worker)
{
	struct world *world = context;

	return sg_publish_passed(world->publish, token, ret_late_worker);
}

static bool next_wish(void *context, struct sg_wish *ret_wish)
{
	(void)context;
	(void)ret_wish;
	return false;
}

static uint32_t backend_flows(void *context, uint32_t slot)
{
	struct world *world = context;
	uint32_t sum = 0;

	for (unsigned i = 0; i < N_WORKERS; i++)
		sum += __atomic_load_n(
			&world->rig.pipelines[i]->backend_flows[slot], __ATOMIC_RELAXED);
	return sum;
}

// --- workers ----------------------------------------------------------------------------------

// Clients that have not been there before, of those whom a NIC would send to this worker. `next`
// counts addresses and ports through.
static void fill_burst(struct worker *worker, uint32_t *next)
{
	struct rig *rig = &worker->world->rig;

	worker->burst.n = 0;
	while (worker->burst.n < SG_BURST) {
		struct frame *frame = &worker->frames[worker->burst.n];
		char client[16];
		struct ipv4_text query = {.src = client,
			.dst = VIP,
			.sport = (uint16_t)(1024 + *next / 250 % 64000),
			.dport = 53,
			.proto = SG_PROTO_UDP,
			.payload = 20};

		snprintf(client, sizeof(client), "203.0.113.%u", 2 + *next % 250);
		++*next;
		frame_packet(frame, port_macs[0], gateway_mac, &query);
		if (rig_home(rig, frame) != worker->number)
			continue;
		worker->burst.pkts[worker->burst.n++] = (struct sg_pkt){
			.bytes = frame->bytes, .length = frame->length, .room = FRAME_ROOM};
	}
}

// The destination, by its last 32 bits.
static uint32_t number_of(const struct frame *frame)
{
	struct sg_addr addr = frame_dst(frame);
	uint32_t number_be;

	memcpy(&number_be, addr.bytes + (addr.family == SG_FAMILY_IPV6 ? 12 : 0), 4);
	return __builtin_bswap32(number_be);
}

// `floor`: the change that was answered before the turn began.
static void judge(struct worker *worker, uint32_t floor)
{
	worker->n_older_bursts += worker->burst.generation < worker->world->generations[floor];
	for (unsigned i = 0; i < worker->burst.n; i++) {
		struct frame *frame = &worker->frames[i];
		uint32_t change = number_of(frame) - BACKENDS_FROM;

		worker->n_packets++;
		if (worker->burst.pkts[i].verdict != SG_VERDICT_FORWARD)
			worker->n_lost++;
		else if (change < floor || change > worker->world->n_changes)
			worker->n_older_packets++;
	}
}

static void turn(struct worker *worker, uint32_t *next)
{
	struct world *world = worker->world;
	struct sg_pipeline *pipeline = world->rig.pipelines[worker->number];
	uint32_t floor = __atomic_load_n(&world->answered, __ATOMIC_ACQUIRE);
	const struct sg_snapshot *snapshot = sg_publish_get(world->publish);

	sg_pipeline_set_time(pipeline, sg_clock_ms());
	fill_burst(worker, next);
	sg_pipeline_run(pipeline, snapshot, &worker->burst);
	judge(worker, floor);
	sg_pipeline_sweep(pipeline, snapshot);
	sg_publish_quiescent(world->publish, worker->number);
}

static void *work(void *context)
{
	struct worker *worker = context;
	struct world *world = worker->world;
	uint32_t next = 0;

	sg_publish_online(world->publish, worker->number);
	for (unsigned i = 1; !__atomic_load_n(&world->stop, __ATOMIC_RELAXED); i++) {
		turn(worker, &next);
		if (i % GAP_TURNS != 0)
			continue;
		// As an adaptive worker that sleeps.
		sg_publish_offline(world->publish, worker->number);
		sched_yield();
		sg_publish_online(world->publish, worker->number);
	}
	sg_publish_offline(world->publish, worker->number);
	return NULL;
}

// --- control ----------------------------------------------------------------------------------

static void put_backend(struct sg_service_spec *spec, uint32_t change)
{
	struct sg_addr number = sg_addr_from_ipv4(__builtin_bswap32(BACKENDS_FROM + change));
	char text[SG_ADDR_TEXT_BYTES];
	struct sg_backend_spec backend = {
		.address = test_addr(sg_addr_format(&number, text)), .port = 8080, .weight = 1};

	assert_int_equal(sg_service_spec_put_backend(spec, &backend), 0);
}

static void open_world(struct world *world, uint32_t n_changes)
{
	struct sg_error error = {0};
	struct sg_state state;
	struct sg_service_spec *spec;

	memset(world, 0, sizeof(*world));
	world->n_changes = n_changes;
	rig_open(&world->rig, &(struct rig_options){.n_workers = N_WORKERS, .max_flows = 16384});
	world->publish = sg_publish_create(N_WORKERS, &error);
	assert_non_null(world->publish);
	for (unsigned i = 0; i < N_WORKERS; i++)
		world->flows[i] = world->rig.pipelines[i]->flows;
	world->publisher = (struct sg_publisher){.dataplane = world,
		.n_workers = N_WORKERS,
		.counters = world->rig.counters,
		.flows = world->flows,
		.publish = publish,
		.passed = passed,
		.next_wish = next_wish,
		.backend_flows = backend_flows};
	world->statistics = sg_statistics_create(&world->publisher);
	// The rig's spec moves over to the state that the rollout begins with.
	spec = rig_service(&world->rig, "dns", SG_PROTO_UDP, 53);
	assert_int_equal(sg_service_spec_remove_backend(spec, &spec->backends[0].address, 8080), 0);
	put_backend(spec, 0);
	assert_int_equal(sg_state_clone(&state, &world->rig.state), 0);
	if (sg_rollout_create(&world->rollout, &world->rig.settings, &state, &world->publisher,
		    NULL, world->statistics, &error) < 0)
		fail_msg("%s", error.text);
	world->generations[0] = sg_rollout_snapshot(world->rollout)->generation;
}

static void close_world(struct world *world)
{
	sg_rollout_destroy(world->rollout);
	sg_statistics_destroy(world->statistics);
	sg_publish_destroy(world->publish);
	rig_close(&world->rig);
}

struct change {
	struct world *world;
	uint32_t number;
	bool done;
};

static void on_done(void *context, const struct sg_rollout_result *result)
{
	struct change *change = context;
	struct world *world = change->world;

	assert_int_equal(result->err, 0);
	change->done = true;
	world->generations[change->number] = result->generation;
	// Not where a worker's CPU was stolen for so long that the answer names it.
	if (!result->active)
		return;
	world->n_active++;
	__atomic_store_n(&world->answered, change->number, __ATOMIC_RELEASE);
}

static void make_change(struct world *world, uint32_t number)
{
	struct change change = {.world = world, .number = number};
	const struct sg_state *before = sg_rollout_state(world->rollout);
	struct sg_state candidate;
	struct sg_service_spec *spec;
	struct sg_error error = {0};
	uint64_t begun_ns = sg_clock_ns();

	assert_int_equal(sg_state_clone(&candidate, before), 0);
	spec = sg_service_spec_clone(sg_state_get(&candidate, (struct sg_state_place){0}));
	assert_int_equal(sg_service_spec_remove_backend(spec, &spec->backends[0].address, 8080), 0);
	put_backend(spec, number);
	assert_int_equal(sg_state_put(&candidate, spec), 0);
	if (sg_rollout_commit(world->rollout, &candidate, NULL, 0, on_done, &change, sg_clock_ms(),
		    &error) < 0)
		fail_msg("change %u: %s", number, error.text);
	while (!change.done) {
		sg_rollout_turn(world->rollout, sg_clock_ms());
		sched_yield();
	}
	world->took_us[number] = (sg_clock_ns() - begun_ns) / 1000;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void change_while_packets_come(uint32_t n_changes)
{
	static struct world world;
	static struct worker workers[N_WORKERS];
	uint64_t n_packets = 0;

	open_world(&world, n_changes);
	for (unsigned i = 0; i < N_WORKERS; i++) {
		workers[i] = (struct worker){.world = &world, .number = i};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (uint32_t number = 1; number <= n_changes; number++)
		make_change(&world, number);
	__atomic_store_n(&world.stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < N_WORKERS; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].n_lost, 0);
		assert_int_equal(workers[i].n_older_bursts, 0);
		assert_int_equal(workers[i].n_older_packets, 0);
		assert_true(workers[i].n_packets > 0);
		n_packets += workers[i].n_packets;
	}
	assert_true(world.n_active > 0);
	qsort(world.took_us + 1, n_changes, sizeof(world.took_us[0]), compare);
	printf("# %" PRIu64
	       " packets over %u changes, %u of them active on all workers when answered: "
	       "after %" PRIu64 " us at the median, %" PRIu64 " at the 99th percentile\n",
		n_packets, n_changes, world.n_active, world.took_us[n_changes / 2],
		world.took_us[n_changes * 99 / 100]);
	close_world(&world);
}

static void no_packet_is_scheduled_from_a_generation_older_than_the_one_answered(void **unused)
{
	(void)unused;
	change_while_packets_come(MAX_CHANGES);
}

static void nor_is_one_of_ipv6(void **unused)
{
	(void)unused;
	test_family = SG_FAMILY_IPV6;
	change_while_packets_come(MAX_CHANGES / 4);
}

// Grace periods live in DPDK's memory.
static int start_eal(void **unused)
{
	char prefix[40];
	char *arguments[] = {"generations", "--lcores=0", "--no-pci", "--no-telemetry", "--no-huge",
		"--no-shconf", "-m", "64", "--file-prefix", prefix, "--log-level=error", NULL};

	(void)unused;
	snprintf(prefix, sizeof(prefix), "stormgate-test-%d", (int)getpid());
	return rte_eal_init(11, arguments) < 0 ? rte_errno : 0;
}

// And leave a directory behind.
static int stop_eal(void **unused)
{
	char command[300];

	(void)unused;
	snprintf(command, sizeof(command), "rm -rf '%s'", rte_eal_get_runtime_dir());
	rte_eal_cleanup();
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			no_packet_is_scheduled_from_a_generation_older_than_the_one_answered),
		cmocka_unit_test(nor_is_one_of_ipv6),
	};

	return cmocka_run_group_tests(tests, start_eal, stop_eal);
}
