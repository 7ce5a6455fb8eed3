// Bursts of flows entered together, against a naive twin that knows which flows there are; and what
// sg_flow_table_fits_bulk promises.
#include "fixture.h"

#include "base/random.h"

enum {
	N_NUMBERS = 900,
	MAX_FLOWS = 300,
};

static struct sg_flow_table *table;
static sg_flow_ref refs[N_NUMBERS]; // by number; 0: not in the table
static uint64_t random_state;

static uint32_t random_below(uint32_t n)
{
	return sg_reduce((uint32_t)(sg_random_next(&random_state) >> 32), n);
}

// Each number is always the same flow: of all kinds there are.
static struct sg_flow flow_of(uint32_t number)
{
	static const uint8_t states[] = {
		SG_FLOW_TCP_SYN, SG_FLOW_UDP_NEW, SG_FLOW_TCP_SYN, SG_FLOW_TCP_ESTABLISHED};
	uint8_t state = states[number % 4];
	struct sg_flow flow =
		number % 3 == 0 ? fixture_flow6(table, number, state) : fixture_flow(number, state);

	if (number % 17 == 0)
		flow.state = SG_FLOW_AFFINITY;
	flow.one_way = number % 5 == 0 || flow.state == SG_FLOW_AFFINITY;
	return flow;
}

static void assert_known(uint32_t number)
{
	struct sg_flow flow = flow_of(number);
	sg_flow_ref ref = refs[number];

	assert_int_equal(fixture_find(table, &flow, SG_FLOW_TO_BACKEND), ref);
	if (!flow.one_way)
		assert_int_equal(fixture_find(table, &flow, SG_FLOW_TO_CLIENT),
			ref ? ref | SG_FLOW_TO_CLIENT : 0);
	if (ref == 0)
		return;
	assert_int_equal(sg_flow_table_get(table, ref)->backend_slot, number);
	assert_int_equal(sg_flow_table_get(table, ref)->state, flow.state);
	if (sg_tuple_is_ipv6(&flow.client)) {
		struct sg_flow_addresses addresses = fixture_addresses(&flow);

		assert_memory_equal(
			sg_flow_table_addresses(table, ref), &addresses, sizeof(addresses));
	}
}

static void recycle(uint32_t n)
{
	sg_flow_ref oldest[SG_FLOW_MAX_NEWCOMERS];

	n = n < SG_FLOW_MAX_NEWCOMERS ? n : SG_FLOW_MAX_NEWCOMERS;
	n = sg_flow_table_oldest_embryos(table, oldest, n);
	for (uint32_t i = 0; i < n; i++)
		refs[sg_flow_table_get(table, oldest[i])->backend_slot] = 0;
	sg_flow_table_recycle_bulk(table, oldest, n);
}

// Up to a burst of flows that are not there yet. Returns how many were refused.
static unsigned enter_burst(void)
{
	struct sg_flow_newcomer newcomers[SG_FLOW_MAX_NEWCOMERS];
	struct sg_flow_addresses addresses[SG_FLOW_MAX_NEWCOMERS];
	struct sg_flow flows[SG_FLOW_MAX_NEWCOMERS];
	uint32_t numbers[SG_FLOW_MAX_NEWCOMERS];
	uint32_t first = random_below(N_NUMBERS);
	unsigned wanted = 1 + random_below(SG_FLOW_MAX_NEWCOMERS);
	unsigned n = 0, n_refused = 0;

	for (uint32_t i = 0; i < N_NUMBERS && n < wanted; i++) {
		uint32_t number = (first + i * 7) % N_NUMBERS;

		if (refs[number])
			continue;
		flows[n] = flow_of(number);
		addresses[n] = fixture_addresses(&flows[n]);
		newcomers[n] = (struct sg_flow_newcomer){.flow = &flows[n],
			.addresses = sg_tuple_is_ipv6(&flows[n].client) ? &addresses[n] : NULL,
			.client_hash = fixture_hash(table, &flows[n].client),
			.server_hash = fixture_hash(table, &flows[n].server),
			.ref = 77};
		numbers[n++] = number;
	}
	if (random_below(4) > 0)
		recycle(sg_flow_table_embryos_over(table, n));
	sg_flow_table_insert_bulk(table, newcomers, n);
	for (unsigned i = 0; i < n; i++) {
		refs[numbers[i]] = newcomers[i].ref;
		n_refused += newcomers[i].ref == 0;
		assert_known(numbers[i]);
	}
	return n_refused;
}

static void remove_some(void)
{
	for (unsigned i = 0; i < 12; i++) {
		uint32_t number = random_below(N_NUMBERS);

		if (refs[number])
			sg_flow_table_remove(table, refs[number]);
		refs[number] = 0;
	}
}

static void a_burst_is_entered_whole_or_refused_one_by_one(void **unused)
{
	static const struct {
		enum sg_flow_hash hash;
		bool refuses; // before the records run out, which happens to all
	} rows[] = {
		{SG_FLOW_HASH_SIPHASH, false},
		{SG_FLOW_HASH_IDENTITY, true},
		{SG_FLOW_HASH_CONSTANT, true},
	};

	(void)unused;
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		unsigned n_refused = 0, n_refused_with_room = 0;

		table = fixture_table(MAX_FLOWS, rows[row].hash);
		memset(refs, 0, sizeof(refs));
		random_state = 5 + row;
		for (unsigned round = 0; round < 6000; round++) {
			unsigned refused = enter_burst();

			n_refused += refused;
			if (sg_flow_table_count(table) < MAX_FLOWS)
				n_refused_with_room += refused;
			if (round % 3 == 0)
				remove_some();
			if (round % 200 == 0)
				fixture_assert_consistent(table);
		}
		for (uint32_t number = 0; number < N_NUMBERS; number++)
			assert_known(number);
		fixture_assert_consistent(table);
		assert_true(n_refused > 0);
		if (!rows[row].refuses)
			assert_int_equal(n_refused_with_room, 0);
		free(table);
	}
}

// Which bucket holds an entry of this flow's direction.
static bool is_at_home(sg_flow_ref ref, uint64_t hash)
{
	const struct sg_cuckoo cuckoo = sg_flow_table_cuckoo(table);
	const struct sg_cuckoo_bucket *bucket = &cuckoo.buckets[sg_cuckoo_primary(&cuckoo, hash)];

	for (unsigned slot = 0; slot < SG_CUCKOO_SLOTS; slot++) {
		if (bucket->entries[slot] == sg_flow_entry_of_ref(ref))
			return true;
	}
	return false;
}

static void what_fits_is_unknown_and_goes_where_it_belongs(void **unused)
{
	enum {
		MAX = 20000,
		BURST = SG_FLOW_MAX_NEWCOMERS
	};
	unsigned n_fit = 0, n_did_not = 0;
	uint32_t number = 0;

	(void)unused;
	table = fixture_table(MAX, SG_FLOW_HASH_SIPHASH);
	for (unsigned round = 0; round < 3 * MAX / BURST; round++) {
		struct sg_flow flows[BURST];
		uint64_t hashes[BURST], fits;

		for (unsigned i = 0; i < BURST; i++) {
			flows[i] = fixture_flow(number + i,
				number < MAX / 2 ? SG_FLOW_TCP_ESTABLISHED : SG_FLOW_TCP_SYN);
			hashes[i] = fixture_hash(table, &flows[i].client);
		}
		fits = sg_flow_table_fits_bulk(table, hashes, BURST);
		for (unsigned i = 0; i < BURST; i++, number++) {
			sg_flow_ref oldest = sg_flow_table_oldest_embryo(table);
			bool still = sg_flow_table_fits_bulk(table, &hashes[i], 1);
			sg_flow_ref ref;

			if (sg_flow_table_embryos_full(table))
				sg_flow_table_recycle_bulk(table, &oldest, 1);
			ref = fixture_insert(table, &flows[i]);
			assert_int_not_equal(ref, 0);
			if (fits >> i & still)
				assert_true(is_at_home(ref, hashes[i]));
			n_fit += fits >> i & 1;
			n_did_not += !(fits >> i & 1);
			assert_int_equal(sg_flow_table_fits_bulk(table, &hashes[i], 1), 0);
		}
	}
	print_message("# %u fit, %u did not\n", n_fit, n_did_not);
	assert_true(n_fit > n_did_not && n_did_not > 0);
	fixture_assert_consistent(table);
	free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_is_entered_whole_or_refused_one_by_one),
		cmocka_unit_test(what_fits_is_unknown_and_goes_where_it_belongs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
