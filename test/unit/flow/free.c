// Free records against a naive twin: an array that says for each record whether it was given out.
#include "fixture.h"

#include "base/random.h"

struct twin {
	struct sg_flow_table *table;
	bool *in_use;    // by record
	uint32_t *taken; // records in use, in no order
	uint32_t n_taken;
	uint64_t random;
};

static struct twin open_twin(uint32_t max_flows)
{
	struct twin twin = {.table = fixture_table(max_flows, SG_FLOW_HASH_SIPHASH), .random = 17};

	twin.in_use = calloc(max_flows + 1, sizeof(*twin.in_use));
	twin.taken = calloc(max_flows, sizeof(*twin.taken));
	assert_true(twin.in_use && twin.taken);
	return twin;
}

static void close_twin(struct twin *twin)
{
	free(twin->taken);
	free(twin->in_use);
	free(twin->table);
}

static void take(struct twin *twin)
{
	uint32_t record = sg_flow_free_next(twin->table);

	assert_in_range(record, 1, sg_flow_table_max(twin->table));
	assert_int_equal(sg_flow_free_next(twin->table), record); // asking takes nothing
	assert_false(twin->in_use[record]);
	assert_true(sg_flow_free_has(twin->table, record));
	sg_flow_free_take(twin->table);
	assert_false(sg_flow_free_has(twin->table, record));
	twin->in_use[record] = true;
	twin->taken[twin->n_taken++] = record;
}

static void give_random(struct twin *twin)
{
	uint32_t at = sg_reduce((uint32_t)(sg_random_next(&twin->random) >> 32), twin->n_taken);
	uint32_t record = twin->taken[at];

	twin->taken[at] = twin->taken[--twin->n_taken];
	twin->in_use[record] = false;
	sg_flow_free_give(twin->table, record);
	assert_true(sg_flow_free_has(twin->table, record));
}

static void take_all(struct twin *twin)
{
	while (twin->n_taken < sg_flow_table_max(twin->table))
		take(twin);
	assert_int_equal(sg_flow_free_next(twin->table), 0);
}

// Sizes at and around the ends of the bitmap's words and levels.
static void gives_every_record_once(void **unused)
{
	static const uint32_t sizes[] = {
		1, 2, 62, 63, 64, 65, 127, 4094, 4095, 4096, 4097, 262143, 262144, 300001};

	(void)unused;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct twin twin = open_twin(sizes[i]);

		for (unsigned round = 0; round < 3; round++) {
			take_all(&twin);
			while (twin.n_taken > 0)
				give_random(&twin);
		}
		close_twin(&twin);
	}
}

static void random_bursts_lose_nothing(void **unused)
{
	enum {
		MAX = 20000
	};
	struct twin twin = open_twin(MAX);

	(void)unused;
	for (unsigned round = 0; round < 20000; round++) {
		uint64_t bits = sg_random_next(&twin.random);
		uint32_t n = (uint32_t)(bits >> 32) % 300;
		bool filling = round / 1000 % 2 == 0;
		bool taking = (bits & 3) == 0 ? !filling : filling; // 3 of 4 times

		for (; n > 0; n--) {
			if (taking && twin.n_taken < MAX)
				take(&twin);
			else if (!taking && twin.n_taken > 0)
				give_random(&twin);
		}
	}
	take_all(&twin);
	close_twin(&twin);
}

static void what_was_freed_last_comes_first(void **unused)
{
	struct twin twin = open_twin(1000);

	(void)unused;
	take_all(&twin);
	for (uint32_t record = 100; record < 110; record++)
		sg_flow_free_give(twin.table, record);
	for (uint32_t record = 110; record-- > 100;) {
		assert_int_equal(sg_flow_free_next(twin.table), record);
		sg_flow_free_take(twin.table);
	}
	assert_int_equal(sg_flow_free_next(twin.table), 0);
	close_twin(&twin);
}

static void memory_that_was_never_used_comes_last(void **unused)
{
	struct twin twin = open_twin(10000);

	(void)unused;
	for (uint32_t i = 0; i < 5000; i++)
		take(&twin);
	for (unsigned round = 0; round < 100; round++) {
		for (unsigned i = 0; i < 500; i++)
			give_random(&twin);
		for (unsigned i = 0; i < 500; i++)
			take(&twin);
	}
	assert_int_equal(twin.table->first_unused, 5001);
	close_twin(&twin);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_every_record_once),
		cmocka_unit_test(random_bursts_lose_nothing),
		cmocka_unit_test(what_was_freed_last_comes_first),
		cmocka_unit_test(memory_that_was_never_used_comes_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
