// The flow table against a naive twin (an array of what should be there), under good and terrible
// hashes.
#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/random.h"

static const enum sg_flow_hash all_hashes[] = {
	SG_FLOW_HASH_SIPHASH, SG_FLOW_HASH_AES, SG_FLOW_HASH_IDENTITY, SG_FLOW_HASH_CONSTANT};

static bool can_run(enum sg_flow_hash hash)
{
	return hash != SG_FLOW_HASH_AES || sg_hash16_has_aes();
}

// The twin: refs[number] is what finding flow `number` should answer, 0 where it is not in.
enum {
	N_NUMBERS = 1500
};
struct twin {
	sg_flow_ref refs[N_NUMBERS];
	uint32_t n;
};

// Every third is one-way: never found under its server's tuple. Two of five are IPv6.
static struct sg_flow flow_of(const struct sg_flow_table *table, uint32_t number)
{
	enum sg_flow_state state = 1 + number % SG_FLOW_LAST_INSERTED;
	struct sg_flow flow =
		number % 5 < 2 ? fixture_flow6(table, number, state) : fixture_flow(number, state);

	flow.one_way = number % 3 == 0;
	return flow;
}

static void insert(
	struct sg_flow_table *table, struct twin *twin, uint32_t number, enum sg_flow_hash hash)
{
	struct sg_flow flow = flow_of(table, number);
	sg_flow_ref ref;

	if (twin->refs[number])
		return;
	ref = fixture_insert(table, &flow);
	if (ref == 0) {
		// A constant hash has room for 8 or 16 entries, two a flow; identity is somewhere
		// between.
		bool bad = hash == SG_FLOW_HASH_CONSTANT || hash == SG_FLOW_HASH_IDENTITY;

		assert_true(twin->n == sg_flow_table_max(table) || (bad && twin->n >= 4));
		return;
	}
	assert_int_equal(sg_flow_ref_direction(ref), SG_FLOW_TO_BACKEND);
	twin->refs[number] = ref;
	twin->n++;
}

static void remove_some(struct sg_flow_table *table, struct twin *twin, uint64_t *random)
{
	sg_flow_ref refs[100];
	unsigned n = 1 + sg_reduce((uint32_t)sg_random_next(random), 100);
	unsigned n_refs = 0;

	for (unsigned i = 0; i < n; i++) {
		uint32_t number = sg_reduce((uint32_t)sg_random_next(random), N_NUMBERS);

		if (!twin->refs[number])
			continue;
		refs[n_refs++] = twin->refs[number] | (i & 1); // either direction names it
		twin->refs[number] = 0;
		twin->n--;
	}
	if (n_refs == 1)
		sg_flow_table_remove(table, refs[0]);
	else
		sg_flow_table_remove_bulk(table, refs, n_refs);
}

static void find_some(const struct sg_flow_table *table, const struct twin *twin, uint64_t *random)
{
	struct sg_tuple keys[SG_FLOW_MAX_BURST] = {0};
	uint64_t hashes[SG_FLOW_MAX_BURST];
	sg_flow_ref expected[SG_FLOW_MAX_BURST], refs[SG_FLOW_MAX_BURST];
	unsigned n = sg_reduce((uint32_t)sg_random_next(random), SG_FLOW_MAX_BURST + 1);

	for (unsigned i = 0; i < n; i++) {
		uint32_t number = sg_reduce((uint32_t)sg_random_next(random), N_NUMBERS);
		enum sg_flow_direction direction = sg_random_next(random) >> 63;
		struct sg_flow flow = flow_of(table, number);
		bool is_in =
			twin->refs[number] && !(flow.one_way && direction == SG_FLOW_TO_CLIENT);

		keys[i] = *sg_flow_tuple(&flow, direction);
		keys[i].hop = 0;
		expected[i] = is_in ? twin->refs[number] | direction : 0;
	}
	sg_flow_table_hash(table, keys, n, hashes);
	sg_flow_table_find_bulk(table, keys, hashes, n, refs);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(refs[i], expected[i]);
		assert_int_equal(sg_flow_table_find(table, &keys[i], hashes[i]), expected[i]);
		if (refs[i] && sg_tuple_is_ipv6(&keys[i])) {
			struct sg_flow_addresses addresses =
				fixture_addresses(sg_flow_table_get(table, refs[i]));

			assert_memory_equal(sg_flow_table_addresses(table, refs[i]), &addresses,
				sizeof(addresses));
		}
	}
}

static void run_against_the_twin(enum sg_flow_hash hash, uint32_t max_flows)
{
	struct sg_flow_table *table = fixture_table(max_flows, hash);
	struct twin *twin = calloc(1, sizeof(*twin));
	uint64_t random = 1 + hash;

	for (unsigned round = 0; round < 4000; round++) {
		// Phases in which the table tends to fill, and to drain.
		unsigned inserts = round / 500 % 2 ? 10 : 80;

		for (unsigned i = 0; i < inserts; i++)
			insert(table, twin, sg_reduce((uint32_t)sg_random_next(&random), N_NUMBERS),
				hash);
		remove_some(table, twin, &random);
		find_some(table, twin, &random);
		assert_int_equal(sg_flow_table_count(table), twin->n);
		if (round % 50 == 0)
			fixture_assert_consistent(table);
	}
	for (uint32_t number = 0; number < N_NUMBERS; number++) {
		if (twin->refs[number])
			sg_flow_table_remove(table, twin->refs[number]);
	}
	assert_int_equal(sg_flow_table_count(table), 0);
	assert_int_equal(sg_flow_table_embryos(table), 0);
	fixture_assert_consistent(table);
	free(twin);
	free(table);
}

static void agrees_with_a_naive_twin(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(all_hashes) / sizeof(all_hashes[0]); i++) {
		if (!can_run(all_hashes[i])) {
			print_message("# no AES on this CPU: that variant cannot run here\n");
			continue;
		}
		run_against_the_twin(all_hashes[i], 1);
		run_against_the_twin(all_hashes[i], 37);
		run_against_the_twin(all_hashes[i], 1000);
	}
}

static void a_full_table_refuses_and_drains_to_nothing(void **unused)
{
	enum {
		MAX = 200000
	};
	struct sg_flow_table *table = fixture_table(MAX, SG_FLOW_HASH_SIPHASH);
	const struct sg_cuckoo cuckoo = sg_flow_table_cuckoo(table);
	static const struct sg_cuckoo_bucket empty;
	struct sg_flow one_more = fixture_flow(MAX, SG_FLOW_TCP_ESTABLISHED);

	(void)unused;
	for (uint32_t number = 0; number < MAX; number++) {
		struct sg_flow flow = fixture_flow(number, SG_FLOW_TCP_ESTABLISHED);

		assert_int_not_equal(fixture_insert(table, &flow), 0);
	}
	assert_int_equal(fixture_insert(table, &one_more), 0);
	assert_int_equal(fixture_find(table, &one_more, SG_FLOW_TO_BACKEND), 0);
	fixture_assert_consistent(table);
	for (uint32_t record = 1; record <= MAX; record++)
		sg_flow_table_remove(table, record << 1);
	fixture_assert_consistent(table);
	for (uint32_t i = 0; i < cuckoo.n_buckets; i++)
		assert_memory_equal(&cuckoo.buckets[i], &empty, sizeof(empty));
	free(table);
}

static void costs_at_most_96_bytes_a_flow(void **unused)
{
	static const uint32_t sizes[] = {10000, 100000, 1 << 20, 10000000, 100000000};

	(void)unused;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t bytes = sg_flow_table_bytes(sizes[i]);

		print_message("# %u flows: %.2f bytes each\n", sizes[i], (double)bytes / sizes[i]);
		assert_true(bytes <= (size_t)96 * sizes[i]);
	}
}

static void works_where_it_is_moved_to(void **unused)
{
	struct sg_flow_table *table = fixture_table(1000, SG_FLOW_HASH_SIPHASH);
	struct sg_flow_table *moved = fixture_table(1000, SG_FLOW_HASH_SIPHASH);
	struct sg_flow_addresses *addresses;

	(void)unused;
	addresses = aligned_alloc(64, sg_flow_addresses_bytes(1000));
	assert_non_null(addresses);
	memset(addresses, 0, sg_flow_addresses_bytes(1000));
	sg_flow_table_attach_addresses(table, addresses);
	for (uint32_t number = 0; number < 700; number++) {
		struct sg_flow flow = number % 2 ? fixture_flow(number, SG_FLOW_UDP_NEW)
						 : fixture_flow6(table, number, SG_FLOW_UDP_NEW);

		assert_int_not_equal(fixture_insert(table, &flow), 0);
	}
	memcpy(moved, table, sg_flow_table_bytes(1000));
	memset(table, 0xa5, sg_flow_table_bytes(1000));
	free(table);
	sg_flow_table_attach_addresses(moved, addresses);
	fixture_assert_consistent(moved);
	for (uint32_t number = 0; number < 1000; number++) {
		struct sg_flow flow = number % 2 ? fixture_flow(number, SG_FLOW_UDP_NEW)
						 : fixture_flow6(moved, number, SG_FLOW_UDP_NEW);

		assert_int_equal(fixture_find(moved, &flow, SG_FLOW_TO_CLIENT) != 0, number < 700);
	}
	free(addresses);
	free(moved);
}

static void a_record_keeps_what_it_was_given(void **unused)
{
	struct sg_flow_table *table = fixture_table(10, SG_FLOW_HASH_SIPHASH);
	struct sg_flow flow = fixture_flow(5, SG_FLOW_TCP_SYN);
	struct sg_flow copy;
	sg_flow_ref ref;

	(void)unused;
	flow.mode = 3;
	flow.marks = 9;
	flow.life = 4711;
	ref = fixture_insert(table, &flow);
	copy = *sg_flow_table_get(table, ref);
	assert_int_equal(copy.embryo, 1);
	assert_int_equal(copy.life & 1, 0);
	copy.embryo = 0;
	copy.life = 4711;
	assert_memory_equal(&copy, &flow, sizeof(flow));
	free(table);
}

// Readers beside the writer. Every field of a flow says which flow it is, so a torn copy gives
// itself away.
struct reading {
	struct sg_flow_table *table;
	atomic_bool stop;
	atomic_ulong n_read;
	atomic_bool torn;
};

static bool is_whole(const struct sg_flow_table *table, const struct sg_flow *flow,
	const struct sg_flow_addresses *addresses)
{
	bool is_ipv6 = sg_tuple_is_ipv6(&flow->client);
	struct sg_flow_addresses due = fixture_addresses(flow);
	struct sg_flow expected = is_ipv6 ? fixture_flow6(table, flow->backend_slot, flow->state)
					  : fixture_flow(flow->backend_slot, flow->state);

	expected.life = flow->life;
	expected.embryo = flow->embryo;
	return memcmp(&expected, flow, sizeof(expected)) == 0 &&
	       (!is_ipv6 || memcmp(&due, addresses, sizeof(due)) == 0);
}

static void *read_all_the_time(void *argument)
{
	struct reading *reading = argument;
	struct sg_flow_addresses addresses;
	struct sg_flow flow;

	while (!atomic_load(&reading->stop)) {
		for (uint32_t index = 1; index <= sg_flow_table_max(reading->table); index++) {
			if (!sg_flow_table_read(reading->table, index, &flow, &addresses))
				continue;
			atomic_fetch_add(&reading->n_read, 1);
			if (!is_whole(reading->table, &flow, &addresses))
				atomic_store(&reading->torn, true);
		}
	}
	return NULL;
}

static void a_reader_never_gets_half_of_two_flows(void **unused)
{
	enum {
		MAX = 8
	}; // few records, so that each is reused all the time
	struct reading reading = {.table = fixture_table(MAX, SG_FLOW_HASH_SIPHASH)};
	sg_flow_ref refs[MAX] = {0};
	pthread_t thread;
	uint32_t number = 0;

	(void)unused;
	assert_int_equal(pthread_create(&thread, NULL, read_all_the_time, &reading), 0);
	while (atomic_load(&reading.n_read) < 200000 && !atomic_load(&reading.torn)) {
		enum sg_flow_state state = number & 1 ? SG_FLOW_TCP_ESTABLISHED : SG_FLOW_UDP;
		struct sg_flow flow = number & 2 ? fixture_flow6(reading.table, number, state)
						 : fixture_flow(number, state);

		if (refs[number % MAX])
			sg_flow_table_remove(reading.table, refs[number % MAX]);
		refs[number % MAX] = fixture_insert(reading.table, &flow);
		number++;
	}
	atomic_store(&reading.stop, true);
	pthread_join(thread, NULL);
	print_message("# %lu copies read while %u flows came and went\n",
		atomic_load(&reading.n_read), number);
	assert_false(atomic_load(&reading.torn));
	free(reading.table);
}

static void a_released_client_is_a_miss_and_the_server_a_hit(void **unused)
{
	struct sg_flow_table *table = fixture_table(10, SG_FLOW_HASH_SIPHASH);
	struct sg_flow flow = fixture_flow(1, SG_FLOW_UDP_NEW);
	struct sg_flow again = fixture_flow(1, SG_FLOW_UDP_NEW);
	sg_flow_ref ref = fixture_insert(table, &flow);
	sg_flow_ref second;

	(void)unused;
	sg_flow_table_release_client(table, ref);
	fixture_assert_consistent(table);
	assert_int_equal(fixture_find(table, &flow, SG_FLOW_TO_BACKEND), 0);
	assert_int_equal(fixture_find(table, &flow, SG_FLOW_TO_CLIENT), ref | SG_FLOW_TO_CLIENT);
	assert_int_equal(sg_flow_table_embryos(table), 0);

	// The client's next flow has the old one's tuple; each goes alone.
	again.server.dport_be ^= 1;
	second = fixture_insert(table, &again);
	fixture_assert_consistent(table);
	sg_flow_table_remove(table, ref);
	fixture_assert_consistent(table);
	assert_int_equal(fixture_find(table, &flow, SG_FLOW_TO_BACKEND), second);
	sg_flow_table_remove(table, second);
	fixture_assert_consistent(table);
	assert_int_equal(sg_flow_table_count(table), 0);
	free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_a_naive_twin),
		cmocka_unit_test(a_full_table_refuses_and_drains_to_nothing),
		cmocka_unit_test(costs_at_most_96_bytes_a_flow),
		cmocka_unit_test(works_where_it_is_moved_to),
		cmocka_unit_test(a_record_keeps_what_it_was_given),
		cmocka_unit_test(a_released_client_is_a_miss_and_the_server_a_hit),
		cmocka_unit_test(a_reader_never_gets_half_of_two_flows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
