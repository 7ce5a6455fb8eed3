// The embryos' queue: its order against a naive twin, its share, and a flood.
#include "fixture.h"

#include "base/random.h"

static struct sg_flow_table *table;
static uint32_t next_number;

static sg_flow_ref insert(enum sg_flow_state state)
{
	struct sg_flow flow = fixture_flow(next_number++, state);

	return fixture_insert(table, &flow);
}

static void open_table(uint32_t max_flows)
{
	next_number = 0;
	table = fixture_table(max_flows, SG_FLOW_HASH_SIPHASH);
}

static void only_embryos_queue(void **unused)
{
	(void)unused;
	open_table(100);
	for (unsigned state = 1; state <= SG_FLOW_LAST_INSERTED; state++) {
		uint32_t before = sg_flow_table_embryos(table);
		bool embryo = state == SG_FLOW_TCP_SYN || state == SG_FLOW_TCP_SYN_ACK ||
			      state == SG_FLOW_UDP_NEW || state == SG_FLOW_UDP_REPLIED;

		insert(state);
		assert_int_equal(sg_flow_table_embryos(table) - before, embryo);
	}
	fixture_assert_consistent(table);
	free(table);
}

// The twin is an array in the order of arrival; a confirmed or removed one leaves a 0.
static void the_oldest_is_the_oldest(void **unused)
{
	enum {
		MAX = 300,
		ROUNDS = 30000
	};
	sg_flow_ref *arrivals = calloc(ROUNDS, sizeof(*arrivals));
	unsigned n_arrivals = 0, oldest = 0;
	uint64_t random = 3;

	(void)unused;
	open_table(MAX);
	for (unsigned round = 0; round < ROUNDS; round++) {
		sg_flow_ref ref = insert(round & 1 ? SG_FLOW_TCP_SYN : SG_FLOW_UDP_NEW);

		if (ref == 0) { // full: half of those alive go, in one way or another
			for (unsigned i = oldest; i < n_arrivals; i++) {
				if (arrivals[i] == 0 || sg_random_next(&random) >> 63)
					continue;
				if (sg_random_next(&random) >> 63)
					sg_flow_table_confirm(table, arrivals[i]);
				sg_flow_table_remove(table, arrivals[i]);
				arrivals[i] = 0;
			}
			fixture_assert_consistent(table);
			continue;
		}
		arrivals[n_arrivals++] = ref;
		while (arrivals[oldest] == 0)
			oldest++;
		assert_int_equal(sg_flow_table_oldest_embryo(table), arrivals[oldest]);
	}
	free(arrivals);
	free(table);
}

static void a_confirmed_flow_has_left_and_stays(void **unused)
{
	sg_flow_ref first, second;

	(void)unused;
	open_table(10);
	assert_int_equal(sg_flow_table_oldest_embryo(table), 0);
	first = insert(SG_FLOW_TCP_SYN);
	second = insert(SG_FLOW_TCP_SYN);
	sg_flow_table_get(table, first)->state = SG_FLOW_TCP_ESTABLISHED;
	sg_flow_table_confirm(table, first);
	sg_flow_table_confirm(table, first);
	assert_int_equal(sg_flow_table_oldest_embryo(table), second);
	assert_int_equal(sg_flow_table_embryos(table), 1);
	assert_int_equal(sg_flow_table_count(table), 2);
	// Closed without having been confirmed: an embryo still.
	sg_flow_table_get(table, second)->state = SG_FLOW_TCP_CLOSED;
	assert_int_equal(sg_flow_table_oldest_embryo(table), second);
	fixture_assert_consistent(table);
	sg_flow_table_remove(table, second);
	assert_int_equal(sg_flow_table_oldest_embryo(table), 0);
	fixture_assert_consistent(table);
	free(table);
}

// Fills up with embryos until the table says that one has to go. Returns how many there are.
static uint32_t fill_with_embryos(void)
{
	while (!sg_flow_table_embryos_full(table))
		assert_int_not_equal(insert(SG_FLOW_TCP_SYN), 0);
	return sg_flow_table_embryos(table);
}

static void the_share_is_what_established_flows_leave(void **unused)
{
	static const struct {
		uint32_t established, share;
	} rows[] = {
		{0, 400},   // at most 1/2
		{400, 400}, // exactly what is left
		{500, 300},
		{700, 100}, // at least 1/8
		{750, 50},  // and there is no more
		{800, 0},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		open_table(800);
		for (uint32_t n = 0; n < rows[i].established; n++)
			assert_int_not_equal(insert(SG_FLOW_TCP_ESTABLISHED), 0);
		assert_int_equal(fill_with_embryos(), rows[i].share);
		free(table);
	}
}

// Bursts of new embryos with room made beforehand: the same order, and never one too many or too
// few.
static void a_burst_finds_the_room_it_asked_for(void **unused)
{
	enum {
		MAX = 1000,
		ESTABLISHED = 700
	};
	uint32_t oldest_number = ESTABLISHED;
	uint64_t random = 9;

	(void)unused;
	open_table(MAX);
	for (uint32_t n = 0; n < ESTABLISHED; n++)
		insert(SG_FLOW_TCP_ESTABLISHED);
	for (unsigned round = 0; round < 3000; round++) {
		unsigned n_new = 1 + sg_reduce((uint32_t)sg_random_next(&random), 64);
		uint32_t over = sg_flow_table_embryos_over(table, n_new);
		sg_flow_ref refs[64];
		unsigned n = sg_flow_table_oldest_embryos(table, refs, over);

		assert_int_equal(n, over);
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(
				sg_flow_table_get(table, refs[i])->backend_slot, oldest_number++);
		sg_flow_table_remove_bulk(table, refs, n);
		assert_int_equal(sg_flow_table_embryos_over(table, n_new), 0);
		assert_true(over == 0 || sg_flow_table_embryos_over(table, n_new + 1) == 1);
		for (unsigned i = 0; i < n_new; i++) {
			assert_false(sg_flow_table_embryos_full(table));
			assert_int_not_equal(insert(SG_FLOW_TCP_SYN), 0);
		}
	}
	assert_int_equal(sg_flow_table_embryos_over(table, UINT32_MAX), 300);
	fixture_assert_consistent(table);
	free(table);
}

// As the pipeline does it: when the share is used up, the oldest embryo makes room for the next.
static void a_flood_recycles_embryos_and_nothing_else(void **unused)
{
	enum {
		MAX = 8000,
		ESTABLISHED = 5000
	};
	sg_flow_ref *refs = calloc(ESTABLISHED, sizeof(*refs));
	uint32_t share;

	(void)unused;
	open_table(MAX);
	for (uint32_t n = 0; n < ESTABLISHED; n++)
		refs[n] = insert(SG_FLOW_TCP_ESTABLISHED);
	share = fill_with_embryos();
	for (uint32_t n = 0; n < 100000; n++) {
		sg_flow_ref oldest = sg_flow_table_oldest_embryo(table);

		// Exactly the one that came `share` arrivals ago.
		assert_int_equal(
			sg_flow_table_get(table, oldest)->backend_slot, next_number - share);
		sg_flow_table_remove(table, oldest);
		assert_int_not_equal(insert(SG_FLOW_TCP_SYN), 0);
		assert_true(sg_flow_table_embryos_full(table));
	}
	for (uint32_t n = 0; n < ESTABLISHED; n++) {
		struct sg_flow flow = fixture_flow(n, SG_FLOW_TCP_ESTABLISHED);

		assert_int_equal(fixture_find(table, &flow, SG_FLOW_TO_BACKEND), refs[n]);
	}
	fixture_assert_consistent(table);
	free(refs);
	free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_embryos_queue),
		cmocka_unit_test(the_oldest_is_the_oldest),
		cmocka_unit_test(a_confirmed_flow_has_left_and_stays),
		cmocka_unit_test(the_share_is_what_established_flows_leave),
		cmocka_unit_test(a_burst_finds_the_room_it_asked_for),
		cmocka_unit_test(a_flood_recycles_embryos_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
