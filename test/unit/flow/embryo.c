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
		sg_flow_table_recycle_bulk(table, refs, n);
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
		sg_flow_table_recycle_bulk(table, &oldest, 1);
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

// What a twin knows of a flow that comes and goes; few of them, so that each comes back while the
// index still has entries that it left behind, under every epoch there is.
enum {
	N_NUMBERS = 700,
	MAX_FLOWS = 300,
};
struct known {
	sg_flow_ref refs[N_NUMBERS]; // 0: not in the table
	bool confirmed[N_NUMBERS];
};

static struct sg_flow flow_of(uint32_t number)
{
	struct sg_flow flow = fixture_flow(number, number & 1 ? SG_FLOW_TCP_SYN : SG_FLOW_UDP_NEW);

	flow.one_way = number % 5 == 0;
	if (number % 7 == 0)
		flow = (struct sg_flow){
			.client = flow.client, .state = SG_FLOW_AFFINITY, .one_way = 1};
	return flow;
}

static void forget(struct known *known, sg_flow_ref ref)
{
	for (uint32_t number = 0; number < N_NUMBERS; number++) {
		if (known->refs[number] == ref)
			known->refs[number] = 0;
	}
}

static void recycle_oldest(struct known *known, uint32_t n)
{
	sg_flow_ref refs[8];

	n = sg_flow_table_oldest_embryos(table, refs, n);
	for (uint32_t i = 0; i < n; i++)
		forget(known, refs[i]);
	sg_flow_table_recycle_bulk(table, refs, n);
}

// One thing that can happen to a flow.
static void happen(struct known *known, uint32_t number, uint64_t random)
{
	struct sg_flow flow = flow_of(number);
	sg_flow_ref *ref = &known->refs[number];

	if (*ref == 0) {
		recycle_oldest(known, sg_flow_table_embryos_over(table, 1) + random % 3 / 2);
		*ref = fixture_insert(table, &flow);
		known->confirmed[number] = false;
	} else if (random % 8 == 0 && flow.state != SG_FLOW_AFFINITY) {
		sg_flow_table_get(table, *ref)->state =
			number & 1 ? SG_FLOW_TCP_ESTABLISHED : SG_FLOW_UDP;
		sg_flow_table_confirm_bulk(table, ref, 1);
		known->confirmed[number] = true;
	} else if (random % 8 == 1 && flow.state == SG_FLOW_AFFINITY) {
		sg_flow_table_renew_embryo(table, *ref);
	} else if (known->confirmed[number] || random % 8 == 2) {
		sg_flow_table_remove(table, *ref);
		*ref = 0;
	}
}

static void assert_known(const struct known *known, uint32_t number)
{
	struct sg_flow flow = flow_of(number);
	sg_flow_ref ref = known->refs[number];

	assert_int_equal(fixture_find(table, &flow, SG_FLOW_TO_BACKEND), ref);
	if (!flow.one_way)
		assert_int_equal(fixture_find(table, &flow, SG_FLOW_TO_CLIENT),
			ref ? ref | SG_FLOW_TO_CLIENT : 0);
}

static void what_recycled_embryos_leave_behind_is_nobodys(void **unused)
{
	static const enum sg_flow_hash hashes[] = {
		SG_FLOW_HASH_SIPHASH, SG_FLOW_HASH_IDENTITY, SG_FLOW_HASH_CONSTANT};

	(void)unused;
	for (size_t h = 0; h < sizeof(hashes) / sizeof(hashes[0]); h++) {
		struct known *known = calloc(1, sizeof(*known));
		uint64_t random = 11 + h;

		table = fixture_table(MAX_FLOWS, hashes[h]);
		for (unsigned round = 0; round < 200000; round++) {
			uint32_t number = sg_reduce((uint32_t)sg_random_next(&random), N_NUMBERS);

			happen(known, number, sg_random_next(&random) >> 32);
			assert_known(known, number);
			if (round % 5000 == 0)
				fixture_assert_consistent(table);
		}
		for (uint32_t number = 0; number < N_NUMBERS; number++)
			assert_known(known, number);
		free(known);
		free(table);
	}
}

// The oldest embryo outlives more arrivals than there are epochs: its entries do not get stale.
static void an_embryo_stays_while_others_come_and_are_confirmed(void **unused)
{
	struct sg_flow first = fixture_flow(0, SG_FLOW_TCP_SYN);
	sg_flow_ref ref;

	(void)unused;
	open_table(1000);
	ref = insert(SG_FLOW_TCP_SYN);
	for (unsigned round = 0; round < 100000; round++) {
		sg_flow_ref other = insert(SG_FLOW_TCP_SYN);

		if (round & 1)
			sg_flow_table_confirm(table, other);
		sg_flow_table_remove(table, other);
		assert_int_equal(fixture_find(table, &first, SG_FLOW_TO_BACKEND), ref);
	}
	assert_int_equal(sg_flow_table_oldest_embryo(table), ref);
	fixture_assert_consistent(table);
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
		cmocka_unit_test(what_recycled_embryos_leave_behind_is_nobodys),
		cmocka_unit_test(an_embryo_stays_while_others_come_and_are_confirmed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
