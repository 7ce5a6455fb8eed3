// Maglev's table: against the paper's own loop, for its shares, and for what moves when a backend
// leaves.
#include "service/maglev.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/random.h"

#define MAX_SIZE 131071

static uint16_t table[MAX_SIZE], other_table[MAX_SIZE];
static struct sg_maglev_backend backends[4096];

// 10.0.x.y:80, all of one weight.
static void make_backends(unsigned n, uint16_t weight)
{
	for (unsigned i = 0; i < n; i++) {
		backends[i] = (struct sg_maglev_backend){.port = 80, .weight = weight};
		backends[i].addr = (struct sg_addr){.family = SG_FAMILY_IPV4,
			.bytes = {10, 0, (uint8_t)(i / 250), (uint8_t)(i % 250 + 1)}};
	}
}

static uint32_t naive_place(
	const struct sg_maglev_backend *backend, uint64_t seed, uint32_t size, uint32_t j)
{
	struct sg_hash_key offset_key = {{seed, 1}}, skip_key = {{seed, 2}};
	uint8_t identity[20] = {0};
	uint64_t offset, skip;

	memcpy(identity, backend->addr.bytes, 16);
	identity[16] = backend->addr.family;
	identity[18] = (uint8_t)(backend->port >> 8);
	identity[19] = (uint8_t)(backend->port & 255);
	offset = sg_siphash(&offset_key, identity, 20) % size;
	skip = sg_siphash(&skip_key, identity, 20) % (size - 1) + 1;
	return (uint32_t)((offset + j * skip) % size);
}

// The loop of the paper's figure, with a turn for those whose r x weight / largest passed a whole
// number.
static void build_naively(unsigned n, uint64_t seed, uint16_t *ret_table, uint32_t size)
{
	uint32_t *next = calloc(n, sizeof(*next));
	uint32_t largest = 0, taken = 0;

	assert_non_null(next);
	memset(ret_table, 0xff, size * sizeof(*ret_table));
	for (unsigned i = 0; i < n; i++)
		if (backends[i].weight > largest)
			largest = backends[i].weight;
	for (uint64_t round = 1; taken < size; round++) {
		for (unsigned i = 0; i < n && taken < size; i++) {
			uint64_t weight = backends[i].weight;
			uint32_t place;

			if (round * weight / largest == (round - 1) * weight / largest)
				continue;
			do
				place = naive_place(&backends[i], seed, size, next[i]++);
			while (ret_table[place] != UINT16_MAX);
			ret_table[place] = (uint16_t)i;
			taken++;
		}
	}
	free(next);
}

static void agrees_with_the_papers_loop(void **unused)
{
	static const uint32_t sizes[] = {251, 509, 1021, 4093};
	uint64_t random = 11;

	(void)unused;
	for (int round = 0; round < 60; round++) {
		uint32_t size = sizes[sg_random_next(&random) % 4];
		unsigned n = (unsigned)(1 + sg_random_next(&random) % (round % 10 == 9 ? 300 : 20));
		uint16_t max_weight = round % 3 == 0 ? 1 : round % 3 == 1 ? 10 : 65535;

		make_backends(n, 1);
		for (unsigned i = 0; i < n; i++)
			backends[i].weight = (uint16_t)(1 + sg_random_next(&random) % max_weight);
		build_naively(n, (uint64_t)round, other_table, size);
		assert_int_equal(sg_maglev_build(backends, n, (uint64_t)round, table, size), 0);
		assert_memory_equal(table, other_table, size * sizeof(*table));
	}
}

// Nodes of all versions have to agree: whoever changes this value moves flows of a rolling upgrade.
static void the_table_never_changes(void **unused)
{
	const struct sg_hash_key key = {{0, 0}};

	(void)unused;
	make_backends(10, 1);
	for (unsigned i = 0; i < 10; i++)
		backends[i].weight = (uint16_t)(1 + i % 3);
	assert_int_equal(sg_addr_parse("fd00::7", &backends[9].addr), 0);
	assert_int_equal(sg_maglev_build(backends, 10, 42, table, 1021), 0);
	assert_true(sg_siphash(&key, table, 1021 * sizeof(*table)) == UINT64_C(0x56ed9158dcda7ddc));
}

static void shares_follow_weights(void **unused)
{
	static const uint16_t weights[] = {1, 2, 3, 50, 100, 100, 7, 65};
	enum {
		N = sizeof(weights) / sizeof(weights[0]),
		SIZE = 65521
	};
	uint32_t counts[N] = {0};
	uint32_t total = 0;

	(void)unused;
	make_backends(N, 1);
	for (unsigned i = 0; i < N; i++) {
		backends[i].weight = weights[i];
		total += weights[i];
	}
	assert_int_equal(sg_maglev_build(backends, N, 7, table, SIZE), 0);
	for (uint32_t i = 0; i < SIZE; i++)
		counts[table[i]]++;
	for (unsigned i = 0; i < N; i++) {
		double wanted = (double)SIZE * weights[i] / total;

		assert_true(counts[i] > wanted - 2 && counts[i] < wanted + 2);
	}
}

// How many of the places that did not belong to `gone` have another owner in the table without it.
static uint32_t moved_places(uint32_t size, unsigned gone, uint32_t *ret_others)
{
	uint32_t moved = 0;

	*ret_others = 0;
	for (uint32_t i = 0; i < size; i++) {
		unsigned now = other_table[i] + (other_table[i] >= gone ? 1u : 0u);

		if (table[i] == gone)
			continue;
		++*ret_others;
		moved += now != table[i];
	}
	return moved;
}

static void a_leaving_backend_moves_at_most_1_percent_of_the_others(void **unused)
{
	enum {
		N = 100,
		SIZE = 65521
	};
	static struct sg_maglev_backend all[N];
	double worst = 0, sum = 0;

	(void)unused;
	make_backends(N, 1);
	memcpy(all, backends, sizeof(all));
	assert_int_equal(sg_maglev_build(all, N, 0, table, SIZE), 0);
	for (unsigned gone = 0; gone < N; gone++) {
		uint32_t others;
		double percent;

		memcpy(backends, all, gone * sizeof(all[0]));
		memcpy(backends + gone, all + gone + 1, (N - gone - 1) * sizeof(all[0]));
		assert_int_equal(sg_maglev_build(backends, N - 1, 0, other_table, SIZE), 0);
		percent = 100.0 * moved_places(SIZE, gone, &others) / others;
		sum += percent;
		worst = percent > worst ? percent : worst;
	}
	print_message(
		"# of the others, %.2f %% moved on average, %.2f %% at worst\n", sum / N, worst);
	assert_true(worst <= 1.0);
}

static void extremes_are_filled(void **unused)
{
	static const struct {
		unsigned n;
		uint32_t size;
	} rows[] = {{1, 251}, {1, 131071}, {251, 251}, {300, 251}, {4096, 251}, {4096, 131071}};

	(void)unused;
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		make_backends(rows[row].n, 1);
		backends[0].weight = 65535;
		assert_int_equal(
			sg_maglev_build(backends, rows[row].n, 1, table, rows[row].size), 0);
		for (uint32_t i = 0; i < rows[row].size; i++)
			assert_true(table[i] < rows[row].n);
	}
}

static void the_seed_matters(void **unused)
{
	(void)unused;
	make_backends(10, 1);
	assert_int_equal(sg_maglev_build(backends, 10, 1, table, 1021), 0);
	assert_int_equal(sg_maglev_build(backends, 10, 2, other_table, 1021), 0);
	assert_memory_not_equal(table, other_table, 1021 * sizeof(*table));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_papers_loop),
		cmocka_unit_test(the_table_never_changes),
		cmocka_unit_test(shares_follow_weights),
		cmocka_unit_test(a_leaving_backend_moves_at_most_1_percent_of_the_others),
		cmocka_unit_test(extremes_are_filled),
		cmocka_unit_test(the_seed_matters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
