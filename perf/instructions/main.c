// Packets for callgrind: perf/instructions/run counts the instructions that each takes.
//
//     instructions CASE    sends N_PACKETS of a case through the pipeline
//     instructions --list  prints the cases and N_PACKETS
//
// Everything that chance decides elsewhere is fixed, the flow table's key above all, so that the
// same program takes the same instructions on every machine. Only what sg_measured_burst calls is
// counted. Needs no DPDK.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/random.h"
#include "bench/world.h"
#include "flow/layout.h"

#define N_PACKETS      16384
#define N_FLOWS        8192
#define NOT_APPLICABLE 77 // the exit status of a test that cannot run here

struct generator {
	struct sg_world world;
	uint64_t random;
	uint32_t next_flow;
};

// Callgrind collects from here on, until it returns.
void sg_measured_burst(struct sg_world *world);

__attribute__((noinline)) void sg_measured_burst(struct sg_world *world)
{
	sg_pipeline_run(world->pipeline, world->snapshot, &world->burst);
}

// The pipeline draws its keys at random: here they are drawn again.
static void fix_chance(struct sg_world *world)
{
	static const struct sg_hash_key key = {.words = {0x0123456789abcdef, 0xfedcba9876543210}};
	struct sg_flow_table *table = world->pipeline->flows;
	uint32_t max_flows = world->options.max_flows;

	memset(table, 0, sg_flow_table_bytes(max_flows));
	sg_flow_table_init_hashed(table, max_flows, &key, SG_FLOW_HASH_AES);
	sg_flow_table_attach_addresses(table, world->addresses);
	world->pipeline->random = 1;
}

static void make_established(struct generator *generator, unsigned n)
{
	struct sg_world *world = &generator->world;

	world->burst.n = n;
	for (unsigned i = 0; i < n; i++) {
		uint64_t random = sg_random_next(&generator->random);
		uint32_t flow = sg_reduce((uint32_t)(random >> 32), N_FLOWS);

		// Of dsr and ipip the clients' half is all that is seen.
		if (random & 1 && world->options.forward < SG_FORWARD_DSR)
			sg_world_backend(world, i, world->frames[i], flow);
		else
			sg_world_client(world, i, world->frames[i], flow, false);
	}
}

static void make_new(struct generator *generator)
{
	struct sg_world *world = &generator->world;

	world->burst.n = SG_BENCH_BURST;
	for (unsigned i = 0; i < SG_BENCH_BURST; i++)
		sg_world_client(world, i, world->frames[i], generator->next_flow++, true);
}

static void demand_forwarded(const struct sg_world *world)
{
	for (unsigned i = 0; i < world->burst.n; i++) {
		if (world->burst.pkts[i].verdict != SG_VERDICT_FORWARD)
			sg_bench_die("a packet was not forwarded");
	}
}

static void run_established(struct generator *generator, unsigned burst)
{
	sg_world_fill(&generator->world, N_FLOWS);
	for (unsigned done = 0; done < N_PACKETS; done += burst) {
		make_established(generator, burst);
		sg_measured_burst(&generator->world);
		demand_forwarded(&generator->world);
	}
}

// Segments of known connections, both directions.
static void established(struct generator *generator)
{
	run_established(generator, SG_BENCH_BURST);
}

// The same one by one: what a burst shares falls on each.
static void established_burst1(struct generator *generator)
{
	run_established(generator, 1);
}

// A new client with every packet, the table between 20 and 60 % full.
static void new_flows(struct generator *generator)
{
	sg_world_fill(&generator->world, N_FLOWS);
	generator->next_flow = N_FLOWS;
	for (unsigned done = 0; done < N_PACKETS; done += SG_BENCH_BURST) {
		make_new(generator);
		sg_measured_burst(&generator->world);
		sg_world_confirm_burst(&generator->world);
	}
}

// The embryos' share is used up, half of the table established.
static void flood(struct generator *generator)
{
	struct sg_world *world = &generator->world;

	sg_world_fill(world, world->options.max_flows / 2);
	generator->next_flow = world->options.max_flows;
	for (unsigned sent = 0; sent < world->options.max_flows; sent += SG_BENCH_BURST) {
		make_new(generator);
		sg_pipeline_run(world->pipeline, world->snapshot, &world->burst);
	}
	for (unsigned done = 0; done < N_PACKETS; done += SG_BENCH_BURST) {
		make_new(generator);
		sg_measured_burst(world);
		demand_forwarded(world);
	}
}

#define KNOWN_FLOWS (N_FLOWS * 10 / 6) // the tables' capacities
#define NEW_FLOWS   40960
#define EMBRYOS     16384

static const struct {
	const char *name; // as the benchmark has it
	void (*run)(struct generator *generator);
	uint32_t max_flows;
	enum sg_forward forward;
	bool ipv6;
} cases[] = {
	{"snat/v4/established", established, KNOWN_FLOWS, SG_FORWARD_SNAT, false},
	{"snat/v4/burst1", established_burst1, KNOWN_FLOWS, SG_FORWARD_SNAT, false},
	{"snat/v4/new", new_flows, NEW_FLOWS, SG_FORWARD_SNAT, false},
	{"snat/v4/flood", flood, EMBRYOS, SG_FORWARD_SNAT, false},
	{"dnat/v4/established", established, KNOWN_FLOWS, SG_FORWARD_DNAT, false},
	{"dnat/v4/new", new_flows, NEW_FLOWS, SG_FORWARD_DNAT, false},
	{"dsr/v4/established", established, KNOWN_FLOWS, SG_FORWARD_DSR, false},
	{"dsr/v4/new", new_flows, NEW_FLOWS, SG_FORWARD_DSR, false},
	{"ipip/v4/established", established, KNOWN_FLOWS, SG_FORWARD_IPIP, false},
	{"ipip/v4/new", new_flows, NEW_FLOWS, SG_FORWARD_IPIP, false},
	{"snat/v6/established", established, KNOWN_FLOWS, SG_FORWARD_SNAT, true},
	{"snat/v6/new", new_flows, NEW_FLOWS, SG_FORWARD_SNAT, true},
	{"dnat/v6/established", established, KNOWN_FLOWS, SG_FORWARD_DNAT, true},
	{"dnat/v6/new", new_flows, NEW_FLOWS, SG_FORWARD_DNAT, true},
	{"dsr/v6/established", established, KNOWN_FLOWS, SG_FORWARD_DSR, true},
	{"dsr/v6/new", new_flows, NEW_FLOWS, SG_FORWARD_DSR, true},
	{"ipip/v6/established", established, KNOWN_FLOWS, SG_FORWARD_IPIP, true},
	{"ipip/v6/new", new_flows, NEW_FLOWS, SG_FORWARD_IPIP, true},
	{"snat/v6/flood", flood, EMBRYOS, SG_FORWARD_SNAT, true},
};
#define N_CASES (sizeof(cases) / sizeof(cases[0]))

static void run_case(size_t number)
{
	const struct sg_world_options options = {.services = 1,
		.backends = 10,
		.max_flows = cases[number].max_flows,
		.snat_addresses = 4,
		.forward = cases[number].forward,
		.ipv6 = cases[number].ipv6};
	struct generator *generator = aligned_alloc(64, (sizeof(*generator) + 63) & ~(size_t)63);
	struct sg_bench bench = {0};

	if (!generator)
		sg_bench_die("no memory");
	sg_world_open(&generator->world, &bench, &options);
	generator->random = 1;
	generator->next_flow = 0;
	fix_chance(&generator->world);
	cases[number].run(generator);
	sg_world_close(&generator->world);
	free(generator);
}

int main(int argc, char **argv)
{
	const char *wanted = argc == 2 ? argv[1] : "";

	if (strcmp(wanted, "--list") == 0) {
		for (size_t i = 0; i < N_CASES; i++)
			printf("%s %d\n", cases[i].name, N_PACKETS);
		return 0;
	}
	if (!sg_hash16_has_aes()) {
		fputs("instructions: this CPU has no AES instructions, so it counts others\n",
			stderr);
		return NOT_APPLICABLE;
	}
	for (size_t i = 0; i < N_CASES; i++) {
		if (strcmp(cases[i].name, wanted) == 0) {
			run_case(i);
			return 0;
		}
	}
	fputs("usage: instructions --list | CASE\n", stderr);
	return 2;
}
