// Ageing under a clock that the test sets.
#include "fixture.h"

#include "base/clock.h"
#include "base/random.h"

static struct sg_flow_timeouts make_timeouts(void)
{
	struct sg_flow_timeouts timeouts;

	// Each state its own, so that a mix-up shows: 10, 20, 30, ... seconds.
	for (unsigned state = 0; state < SG_FLOW_STATE_COUNT; state++)
		timeouts.ticks[state] = sg_ticks_from_seconds(10 * state);
	return timeouts;
}

static sg_flow_ref insert(
	struct sg_flow_table *table, uint32_t number, enum sg_flow_state state, uint32_t last_seen)
{
	struct sg_flow flow = fixture_flow(number, state);

	flow.last_seen = last_seen;
	return fixture_insert(table, &flow);
}

static void each_state_ages_by_its_own_timeout(void **unused)
{
	const struct sg_flow_timeouts timeouts = make_timeouts();
	const uint32_t start = UINT32_MAX - 100; // the ticks wrap on the way
	unsigned wrapped;
	sg_flow_ref refs[16];

	(void)unused;
	for (unsigned state = 1; state <= SG_FLOW_LAST_INSERTED; state++) {
		struct sg_flow_table *table = fixture_table(10, SG_FLOW_HASH_SIPHASH);
		sg_flow_ref ref = insert(table, state, state, start);
		uint32_t over = start + timeouts.ticks[state];

		assert_int_equal(
			sg_flow_table_sweep(table, 10, start - 1, &timeouts, refs, 16, &wrapped),
			0);
		assert_int_equal(
			sg_flow_table_sweep(table, 10, start, &timeouts, refs, 16, &wrapped), 0);
		assert_int_equal(
			sg_flow_table_sweep(table, 10, over, &timeouts, refs, 16, &wrapped), 0);
		assert_int_equal(
			sg_flow_table_sweep(table, 10, over + 1, &timeouts, refs, 16, &wrapped), 1);
		assert_int_equal(refs[0], ref);
		free(table);
	}
}

// The twin decides for every flow by itself when it has to be gone; the sweep goes in random steps.
static void agrees_with_a_naive_twin(void **unused)
{
	enum {
		MAX = 2000
	};
	const struct sg_flow_timeouts timeouts = make_timeouts();
	struct sg_flow_table *table = fixture_table(MAX, SG_FLOW_HASH_SIPHASH);
	static uint32_t deadlines[MAX]; // by number; 0: not in
	uint64_t random = 11;
	uint32_t now = 1000;
	sg_flow_ref refs[64];

	(void)unused;
	for (unsigned round = 0; round < 500; round++, now += 37) {
		unsigned wrapped, passes = 0;
		unsigned n;

		for (unsigned i = 0; i < 60; i++) {
			uint32_t number = sg_reduce((uint32_t)sg_random_next(&random), MAX);
			unsigned state = 1 + number % SG_FLOW_LAST_INSERTED;

			if (deadlines[number] || !insert(table, number, state, now))
				continue;
			deadlines[number] = now + timeouts.ticks[state];
		}
		// Two passes of the end, so that every record was looked at once in whole.
		while (passes < 2) {
			n = sg_flow_table_sweep(table,
				1 + sg_reduce((uint32_t)sg_random_next(&random), 300), now,
				&timeouts, refs, 1 + (unsigned)(sg_random_next(&random) >> 58),
				&wrapped);
			passes += wrapped;
			for (unsigned i = 0; i < n; i++) {
				uint32_t number = sg_flow_table_get(table, refs[i])->backend_slot;

				assert_true(deadlines[number] != 0 && deadlines[number] < now);
				deadlines[number] = 0;
			}
			sg_flow_table_remove_bulk(table, refs, n);
		}
		for (uint32_t number = 0; number < MAX; number++)
			assert_true(deadlines[number] == 0 || deadlines[number] >= now);
	}
	fixture_assert_consistent(table);
	free(table);
}

static void counts_its_passes(void **unused)
{
	const struct sg_flow_timeouts timeouts = make_timeouts();
	struct sg_flow_table *table = fixture_table(100, SG_FLOW_HASH_SIPHASH);
	sg_flow_ref refs[4];
	unsigned wrapped, passes = 0;

	(void)unused;
	assert_int_equal(sg_flow_table_sweep(table, 10, 5, &timeouts, refs, 4, &wrapped), 0);
	assert_int_equal(wrapped, 1);
	for (uint32_t number = 0; number < 60; number++)
		insert(table, number, SG_FLOW_UDP, 5);
	for (unsigned i = 0; i < 18; i++) {
		sg_flow_table_sweep(table, 10, 5, &timeouts, refs, 4, &wrapped);
		passes += wrapped;
	}
	assert_int_equal(passes, 3);
	// A step larger than the table looks at every record once.
	sg_flow_table_sweep(table, 1000, 5, &timeouts, refs, 4, &wrapped);
	assert_int_equal(wrapped, 1);
	free(table);
}

static void goes_on_where_it_had_to_stop(void **unused)
{
	const struct sg_flow_timeouts timeouts = make_timeouts();
	struct sg_flow_table *table = fixture_table(100, SG_FLOW_HASH_SIPHASH);
	sg_flow_ref refs[7];
	unsigned wrapped;
	uint32_t n_over = 0;

	(void)unused;
	for (uint32_t number = 0; number < 90; number++)
		insert(table, number, SG_FLOW_UDP, 0);
	while (sg_flow_table_count(table) > 0) {
		unsigned n =
			sg_flow_table_sweep(table, 100, 1u << 30, &timeouts, refs, 7, &wrapped);

		assert_true(n > 0 && n <= 7);
		sg_flow_table_remove_bulk(table, refs, n);
		n_over += n;
	}
	assert_int_equal(n_over, 90);
	free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_state_ages_by_its_own_timeout),
		cmocka_unit_test(agrees_with_a_naive_twin),
		cmocka_unit_test(counts_its_passes),
		cmocka_unit_test(goes_on_where_it_had_to_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
