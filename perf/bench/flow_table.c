// The flow table beside rte_hash and beside the memory's own speed, by number of flows.
//
// Both tables hold both directions of every flow and are at most 60 % full (rte_hash rounds its
// slots up to a power of two, so it may be emptier). Rows are nanoseconds
//
//     memory/dependent, memory/prefetched32   a 64-byte line, in as many bytes as our table uses
//     T/lookup_record                         a key of either direction, and reading its record
//     T/miss                                  a key that is not there
//     T/insert                                a flow: two keys and the record
//     T/delete                                a flow, given its keys
//
// in bursts of 32, with random keys (uniform popularity). Making the keys is measured apart and
// subtracted. Insertions follow deletions of random flows; look-ups come after every flow has been
// replaced in this way at least once, since a table is slower once it has a past.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "bench/memory.h"
#include "bench/subject.h"
#include "flow/table.h"

#define N_LOOKUPS    2000000
#define MIN_CHURN    100000              // flows that a sample deletes and inserts
#define CHURN_PARTS  16                  // divides the numbers of flows
#define NUMBER_OTHER (UINT32_C(1) << 31) // flows from here on are never inserted

#define N_SUBJECTS 2
static const struct sg_bench_subject *const subjects[N_SUBJECTS] = {
	&sg_bench_subject_rte_hash, &sg_bench_subject_ours};

// The flows that are in the tables: live[slot] is the number of the one in a slot. Slots are
// deleted and filled again in the order of `shuffled`, over and over, each time with a number `n`
// higher: after whole rounds, the numbers are `n` in a row again.
struct flows {
	uint32_t n;
	uint32_t *live;
	uint32_t *shuffled;
	uint32_t at; // in `shuffled`
};

// A part of the slots: what is in them, and what will be instead.
struct churn {
	uint32_t n;
	uint32_t *slots;
	struct sg_tuple *old_keys; // two a flow
	struct sg_tuple *new_keys;
};

struct rows {
	struct sg_bench_samples dependent, prefetched;
	struct sg_bench_samples lookup[N_SUBJECTS], miss[N_SUBJECTS];
	struct sg_bench_samples insert[N_SUBJECTS], remove[N_SUBJECTS];
};

static void *allocate(size_t n, size_t size)
{
	void *memory = aligned_alloc(64, (n * size + 63) & ~(size_t)63);

	if (!memory)
		sg_bench_die("no memory");
	return memory;
}

static void open_flows(struct flows *flows, uint32_t n)
{
	uint64_t random = 88172645463325252;

	*flows = (struct flows){.n = n};
	flows->live = allocate(n, sizeof(uint32_t));
	flows->shuffled = allocate(n, sizeof(uint32_t));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t other = sg_reduce((uint32_t)(sg_random_next(&random) >> 32), i + 1);

		flows->live[i] = i;
		flows->shuffled[i] = flows->shuffled[other];
		flows->shuffled[other] = i;
	}
}

static void open_churn(struct churn *churn, uint32_t n)
{
	churn->n = n;
	churn->slots = allocate(n, sizeof(uint32_t));
	churn->old_keys = allocate(2 * (size_t)n, sizeof(struct sg_tuple));
	churn->new_keys = allocate(2 * (size_t)n, sizeof(struct sg_tuple));
}

static void choose_churn(struct flows *flows, struct churn *churn)
{
	for (uint32_t i = 0; i < churn->n; i++) {
		uint32_t slot = flows->shuffled[flows->at];

		flows->at = flows->at + 1 == flows->n ? 0 : flows->at + 1;
		churn->slots[i] = slot;
		sg_bench_keys(flows->live[slot], &churn->old_keys[2 * i]);
		flows->live[slot] += flows->n;
		sg_bench_keys(flows->live[slot], &churn->new_keys[2 * i]);
	}
}

static void fill(const struct sg_bench_subject *subject, void *table, uint32_t n_flows)
{
	struct sg_tuple keys[2 * SG_BENCH_BURST];
	uint32_t slots[SG_BENCH_BURST];

	for (uint32_t number = 0; number < n_flows;) {
		unsigned n = 0;

		for (; n < SG_BENCH_BURST && number < n_flows; n++, number++) {
			slots[n] = number;
			sg_bench_keys(number, &keys[2 * n]);
		}
		subject->insert(table, slots, keys, n);
	}
}

static void make_random_keys(
	uint64_t *seed, uint32_t from, uint32_t n_flows, struct sg_tuple *ret_keys)
{
	for (unsigned i = 0; i < SG_BENCH_BURST; i++) {
		uint64_t random = sg_random_next(seed);
		struct sg_tuple both[2];

		sg_bench_keys(from + sg_reduce((uint32_t)(random >> 32), n_flows), both);
		ret_keys[i] = both[random & 1];
	}
}

// Ticks of looking up random flows from `from` on; without a subject, of making their keys.
static uint64_t look_up(const struct sg_bench_subject *subject, void *table, uint64_t seed,
	uint32_t from, uint32_t n_flows)
{
	uint64_t start = sg_bench_ticks();
	struct sg_tuple keys[SG_BENCH_BURST];
	unsigned n_found = 0;
	unsigned n_expected = from == NUMBER_OTHER ? 0 : N_LOOKUPS;

	for (unsigned n = 0; n < N_LOOKUPS; n += SG_BENCH_BURST) {
		make_random_keys(&seed, from, n_flows, keys);
		sg_bench_use(keys);
		if (subject)
			n_found += subject->lookup(table, keys);
	}
	if (subject && n_found != n_expected)
		sg_bench_die("%s found %u keys instead of %u", subject->name, n_found, n_expected);
	return sg_bench_ticks() - start;
}

static double time_look_ups(struct sg_bench *bench, const struct sg_bench_subject *subject,
	void *table, uint32_t from, uint32_t n_flows)
{
	uint64_t seed = sg_bench_ticks() | 1;
	uint64_t input = look_up(NULL, NULL, seed, from, n_flows);

	return sg_bench_ns(bench, look_up(subject, table, seed, from, n_flows), input, N_LOOKUPS);
}

static unsigned burst_at(const struct churn *churn, uint32_t at)
{
	return churn->n - at < SG_BENCH_BURST ? churn->n - at : SG_BENCH_BURST;
}

// Keys come from arrays that are read in order, which costs next to nothing.
static uint64_t delete_old(
	const struct sg_bench_subject *subject, void *table, const struct churn *churn)
{
	uint64_t start = sg_bench_ticks();

	for (uint32_t at = 0; at < churn->n; at += SG_BENCH_BURST)
		subject->remove(table, &churn->old_keys[2 * at], burst_at(churn, at));
	return sg_bench_ticks() - start;
}

static uint64_t insert_new(
	const struct sg_bench_subject *subject, void *table, const struct churn *churn)
{
	uint64_t start = sg_bench_ticks();

	for (uint32_t at = 0; at < churn->n; at += SG_BENCH_BURST)
		subject->insert(
			table, &churn->slots[at], &churn->new_keys[2 * at], burst_at(churn, at));
	return sg_bench_ticks() - start;
}

// Replaces a part of the flows in all tables, and adds the ticks.
static void churn_once(void *const tables[], struct flows *flows, struct churn *churn,
	uint64_t deleting[], uint64_t inserting[])
{
	choose_churn(flows, churn);
	for (unsigned i = 0; i < N_SUBJECTS; i++) {
		deleting[i] += delete_old(subjects[i], tables[i], churn);
		inserting[i] += insert_new(subjects[i], tables[i], churn);
	}
}

static void sample_churn(struct sg_bench *bench, void *const tables[], struct flows *flows,
	struct churn *churn, struct rows *rows)
{
	uint64_t deleting[N_SUBJECTS] = {0}, inserting[N_SUBJECTS] = {0};
	uint64_t n = 0;

	for (; n < MIN_CHURN; n += churn->n)
		churn_once(tables, flows, churn, deleting, inserting);
	for (unsigned i = 0; i < N_SUBJECTS; i++) {
		sg_bench_sample(&rows->remove[i], sg_bench_ns(bench, deleting[i], 0, n));
		sg_bench_sample(&rows->insert[i], sg_bench_ns(bench, inserting[i], 0, n));
	}
}

// Takes all samples of churn, and goes on to the end of the round.
static void run_churn(struct sg_bench *bench, void *const tables[], struct flows *flows,
	struct churn *churn, struct rows *rows)
{
	uint64_t ignored[N_SUBJECTS] = {0};

	for (unsigned sample = 0; sample < bench->n_samples; sample++)
		sample_churn(bench, tables, flows, churn, rows);
	while (flows->at != 0)
		churn_once(tables, flows, churn, ignored, ignored);
}

static void run_look_ups(struct sg_bench *bench, void *const tables[], const struct flows *flows,
	const struct sg_bench_lines *lines, struct rows *rows)
{
	uint32_t first = flows->live[0]; // slot 0's number is the lowest

	for (unsigned sample = 0; sample < bench->n_samples; sample++) {
		sg_bench_sample(&rows->dependent, sg_bench_lines_dependent(bench, lines));
		sg_bench_sample(&rows->prefetched, sg_bench_lines_prefetched(bench, lines));
		for (unsigned i = 0; i < N_SUBJECTS; i++) {
			sg_bench_sample(&rows->lookup[i],
				time_look_ups(bench, subjects[i], tables[i], first, flows->n));
			sg_bench_sample(&rows->miss[i], time_look_ups(bench, subjects[i], tables[i],
								NUMBER_OTHER, flows->n));
		}
	}
}

static void report(struct sg_bench *bench, uint32_t n_flows, const struct rows *rows)
{
	struct sg_bench_point point = {.flows = n_flows, .services = 1, .backends = 10};

	sg_bench_report(bench, "memory/dependent", point, &rows->dependent, NULL);
	sg_bench_report(bench, "memory/prefetched32", point, &rows->prefetched, NULL);
	for (unsigned i = 0; i < N_SUBJECTS; i++) {
		const struct {
			const char *what;
			const struct sg_bench_samples *samples;
		} parts[] = {{"lookup_record", &rows->lookup[i]}, {"miss", &rows->miss[i]},
			{"insert", &rows->insert[i]}, {"delete", &rows->remove[i]}};

		for (unsigned k = 0; k < sizeof(parts) / sizeof(parts[0]); k++) {
			char name[48];

			snprintf(name, sizeof(name), "%s/%s", subjects[i]->name, parts[k].what);
			sg_bench_report(bench, name, point, parts[k].samples, NULL);
		}
	}
}

static void measure(struct sg_bench *bench, uint32_t n_flows)
{
	void *tables[N_SUBJECTS];
	struct sg_bench_lines *lines = sg_bench_lines_open(bench, sg_flow_table_bytes(n_flows));
	struct rows rows = {0};
	struct flows flows;
	struct churn churn;

	open_flows(&flows, n_flows);
	open_churn(&churn, n_flows / CHURN_PARTS);
	for (unsigned i = 0; i < N_SUBJECTS; i++) {
		tables[i] = subjects[i]->open(bench, n_flows);
		fill(subjects[i], tables[i], n_flows);
	}
	run_churn(bench, tables, &flows, &churn, &rows);
	run_look_ups(bench, tables, &flows, lines, &rows);
	report(bench, n_flows, &rows);

	for (unsigned i = 0; i < N_SUBJECTS; i++)
		subjects[i]->close(tables[i]);
	sg_bench_lines_close(lines);
	free(churn.new_keys);
	free(churn.old_keys);
	free(churn.slots);
	free(flows.shuffled);
	free(flows.live);
}

void sg_bench_flow_table(struct sg_bench *bench)
{
	sg_bench_for_flows(bench, measure);
}
