// SNAT ports: every port chosen is free, brings the reply home, and when there is none, the answer
// is no.
#include "fixture.h"

#include <arpa/inet.h>

#include "base/random.h"
#include "flow/snat.h"
#include "flow/tcp.h"

static struct sg_home home;
static uint64_t random_state;
static struct sg_snat_turns turns;

static struct sg_snat_pool *make_pool(
	unsigned n_workers, const char *first, unsigned n, uint16_t port_min, uint16_t port_max)
{
	uint32_t addresses_be[8];
	struct sg_snat_pool *pool;

	for (unsigned i = 0; i < n; i++)
		addresses_be[i] = htonl(ntohl(inet_addr(first)) + i);
	random_state = 42;
	sg_snat_turns_init(&turns, &random_state);
	sg_home_init(&home, sg_toeplitz_default_key, n_workers);
	pool = sg_snat_pool_create(&home, addresses_be, n, port_min, port_max, NULL);
	assert_non_null(pool);
	return pool;
}

static struct sg_tuple reply_of(const char *backend, uint16_t port)
{
	return (struct sg_tuple){.src_be = inet_addr(backend),
		.sport_be = htons(port),
		.proto = SG_PROTO_TCP,
		.domain = 3,
		.hop = 77};
}

// Picks a port and inserts an embryo with it, as the pipeline does. 0: none was found.
static sg_flow_ref open_embryo(const struct sg_snat_pool *pool, struct sg_flow_table *table,
	unsigned worker, uint32_t number, uint32_t isn, const char *backend)
{
	struct sg_flow flow = fixture_flow(number, SG_FLOW_TCP_SYN);
	struct sg_tuple reply = reply_of(backend, 80);
	sg_flow_ref old = 0;
	uint64_t hash;

	sg_snat_propose(pool, table, worker, &turns, &reply, 1, &hash);
	if (!sg_snat_settle(pool, table, worker, &random_state, isn, &reply, &hash, &old))
		return 0;
	assert_int_equal(hash, fixture_hash(table, &reply));
	assert_int_equal(sg_flow_table_find(table, &reply, hash), old);
	assert_int_equal(sg_home_of_tuple4(&home, &reply), worker);
	if (old)
		sg_flow_table_remove(table, old);
	sg_flow_tcp_open(&flow, isn);
	flow.server = reply;
	return fixture_insert(table, &flow);
}

// The same for a flow that is no embryo any more.
static sg_flow_ref open_flow(const struct sg_snat_pool *pool, struct sg_flow_table *table,
	unsigned worker, uint32_t number, uint32_t isn, const char *backend)
{
	sg_flow_ref ref = open_embryo(pool, table, worker, number, isn, backend);

	if (ref) {
		sg_flow_table_get(table, ref)->state = SG_FLOW_TCP_ESTABLISHED;
		sg_flow_table_confirm(table, ref);
	}
	return ref;
}

static void every_reply_comes_home(void **unused)
{
	static const unsigned counts[] = {1, 2, 4, 7};

	(void)unused;
	for (unsigned i = 0; i < 4; i++) {
		struct sg_snat_pool *pool = make_pool(counts[i], "10.0.0.100", 3, 1024, 65535);

		for (unsigned worker = 0; worker < counts[i]; worker++) {
			struct sg_flow_table *table = fixture_table(6000, SG_FLOW_HASH_SIPHASH);

			// open_flow asserts home, and that the tuple is unknown.
			for (uint32_t number = 0; number < 5000; number++)
				assert_int_not_equal(
					open_flow(pool, table, worker, number, 1, "10.1.2.3"), 0);
			fixture_assert_consistent(table);
			free(table);
		}
		sg_snat_pool_destroy(pool);
	}
}

static void uses_all_addresses_and_stays_in_the_range(void **unused)
{
	struct sg_snat_pool *pool = make_pool(2, "10.0.0.100", 4, 20000, 39999);
	struct sg_flow_table *table = fixture_table(20000, SG_FLOW_HASH_SIPHASH);
	unsigned used[4] = {0};

	(void)unused;
	for (uint32_t number = 0; number < 8000; number++) {
		sg_flow_ref ref = open_flow(pool, table, 1, number, 1, "10.1.2.3");
		const struct sg_tuple *reply = &sg_flow_table_get(table, ref)->server;
		uint32_t address = ntohl(reply->dst_be) - ntohl(inet_addr("10.0.0.100"));

		assert_true(ref != 0 && address < 4);
		assert_in_range(ntohs(reply->dport_be), 20000, 39999);
		assert_int_equal(reply->domain, 3);
		used[address]++;
	}
	for (unsigned i = 0; i < 4; i++)
		assert_in_range(used[i], 1700, 2300);
	free(table);
	sg_snat_pool_destroy(pool);
}

static void says_no_when_all_ports_are_taken(void **unused)
{
	struct sg_snat_pool *pool = make_pool(1, "10.0.0.100", 2, 50001, 50020);
	struct sg_flow_table *table = fixture_table(1000, SG_FLOW_HASH_SIPHASH);
	sg_flow_ref last = 0;

	(void)unused;
	// A range that small is tried in whole, so nothing is left to chance.
	for (uint32_t number = 0; number < 40; number++) {
		last = open_flow(pool, table, 0, number, 1, "10.1.2.3");
		assert_int_not_equal(last, 0);
	}
	assert_int_equal(open_flow(pool, table, 0, 40, 1, "10.1.2.3"), 0);
	// Another backend has all the ports to itself.
	assert_int_not_equal(open_flow(pool, table, 0, 41, 1, "10.1.2.4"), 0);
	sg_flow_table_remove(table, last);
	assert_int_not_equal(open_flow(pool, table, 0, 42, 1, "10.1.2.3"), 0);
	assert_int_equal(open_flow(pool, table, 0, 43, 1, "10.1.2.3"), 0);
	free(table);
	sg_snat_pool_destroy(pool);
}

static void fills_nine_tenths_of_all_ports(void **unused)
{
	struct sg_snat_pool *pool = make_pool(1, "10.0.0.100", 1, 1024, 65535);
	struct sg_flow_table *table = fixture_table(70000, SG_FLOW_HASH_SIPHASH);
	unsigned failed = 0;

	(void)unused;
	for (uint32_t number = 0; number < 64512 * 9 / 10; number++)
		failed += open_flow(pool, table, 0, number, 1, "10.1.2.3") == 0;
	print_message("# %u of %u failed on the way to 90 %% of one address's ports\n", failed,
		64512 * 9 / 10);
	assert_true(failed < 64512 / 100);
	free(table);
	sg_snat_pool_destroy(pool);
}

static void a_closed_flows_port_is_reused_only_above_its_last_number(void **unused)
{
	struct sg_snat_pool *pool = make_pool(1, "10.0.0.100", 1, 50001, 50008);
	struct sg_flow_table *table = fixture_table(1000, SG_FLOW_HASH_SIPHASH);
	sg_flow_ref refs[8], reused;

	(void)unused;
	for (uint32_t number = 0; number < 8; number++)
		refs[number] = open_flow(pool, table, 0, number, 1000, "10.1.2.3");
	sg_flow_tcp_step(
		sg_flow_table_get(table, refs[5]), SG_FLOW_TO_BACKEND, SG_TCP_RST, 5000, 0, 0);
	assert_int_equal(open_flow(pool, table, 0, 8, 5000, "10.1.2.3"), 0);
	assert_int_equal(sg_flow_table_count(table), 8);
	reused = open_flow(pool, table, 0, 9, 5001, "10.1.2.3");
	assert_int_not_equal(reused, 0);
	assert_int_equal(sg_flow_table_count(table), 8);
	assert_int_equal(sg_flow_table_get(table, reused)->backend_slot, 9);
	fixture_assert_consistent(table);
	free(table);
	sg_snat_pool_destroy(pool);
}

// Embryos that have taken every port leave them to others; flows that are confirmed keep theirs.
static void a_flood_takes_ports_from_itself_alone(void **unused)
{
	enum {
		N = 400
	};
	struct sg_snat_pool *pool = make_pool(1, "10.0.0.100", 2, 50001, 50000 + N / 2);
	struct sg_flow_table *table = fixture_table(1000, SG_FLOW_HASH_SIPHASH);
	sg_flow_ref kept[N / 4];

	(void)unused;
	for (uint32_t number = 0; number < N / 4; number++)
		kept[number] = open_flow(pool, table, 0, number, 1, "10.1.2.3");
	for (uint32_t number = N / 4; number < 20 * N; number++)
		assert_int_not_equal(open_embryo(pool, table, 0, number, 1, "10.1.2.3"), 0);
	assert_true(sg_flow_table_count(table) <= N);
	assert_true(sg_flow_table_count(table) > N * 9 / 10);
	for (uint32_t number = 0; number < N / 4; number++)
		assert_int_equal(sg_flow_table_get(table, kept[number])->backend_slot, number);
	fixture_assert_consistent(table);
	free(table);
	sg_snat_pool_destroy(pool);
}

// Where flows come and go, a backend sees a port again only after nearly half of all.
static void a_port_rests_before_its_backend_sees_it_again(void **unused)
{
	static const unsigned counts[] = {1, 2, 3};
	static uint32_t seen[3][65536];

	(void)unused;
	for (unsigned i = 0; i < 3; i++) {
		struct sg_snat_pool *pool = make_pool(counts[i], "10.0.0.100", 3, 1024, 65535);
		struct sg_flow_table *table = fixture_table(1000, SG_FLOW_HASH_SIPHASH);
		uint32_t n_tuples = 3 * 64512 / counts[i], least = UINT32_MAX;

		memset(seen, 0, sizeof(seen));
		for (uint32_t number = 1; number <= 4 * n_tuples; number++) {
			sg_flow_ref ref = open_flow(pool, table, 0, number, 1, "10.1.2.3");
			const struct sg_tuple *reply = &sg_flow_table_get(table, ref)->server;
			uint32_t *last =
				&seen[ntohl(reply->dst_be) - ntohl(inet_addr("10.0.0.100"))]
				     [ntohs(reply->dport_be)];

			if (*last && number - *last < least)
				least = number - *last;
			*last = number;
			sg_flow_table_remove(table, ref);
		}
		print_message("# %u workers: again after %u of %u\n", counts[i], least, n_tuples);
		assert_true(least > n_tuples / 3);
		free(table);
		sg_snat_pool_destroy(pool);
	}
}

// A burst of proposals in a range so small that they collide: each must still end with a port of
// its own.
static void a_burst_of_proposals_never_shares_a_port(void **unused)
{
	enum {
		N = 32
	};
	struct sg_snat_pool *pool = make_pool(1, "10.0.0.100", 2, 50001, 50020);
	struct sg_flow_table *table = fixture_table(1000, SG_FLOW_HASH_SIPHASH);
	struct sg_tuple replies[N];
	uint64_t hashes[N];
	unsigned n_moved = 0;

	(void)unused;
	for (unsigned i = 0; i < N; i++)
		replies[i] = reply_of("10.1.2.3", 80);
	sg_snat_propose(pool, table, 0, &turns, replies, N, hashes);
	for (uint32_t i = 0; i < N; i++) {
		struct sg_flow flow = fixture_flow(i, SG_FLOW_TCP_ESTABLISHED);
		uint16_t proposed = replies[i].dport_be;
		sg_flow_ref old = 1;

		assert_int_equal(hashes[i], fixture_hash(table, &replies[i]));
		assert_in_range(ntohs(proposed), 50001, 50020);
		assert_true(sg_snat_settle(
			pool, table, 0, &random_state, 1, &replies[i], &hashes[i], &old));
		assert_int_equal(old, 0);
		n_moved += replies[i].dport_be != proposed;
		flow.server = replies[i];
		assert_int_equal(fixture_find(table, &flow, SG_FLOW_TO_CLIENT), 0);
		assert_int_not_equal(fixture_insert(table, &flow), 0);
	}
	assert_true(n_moved > 0);
	fixture_assert_consistent(table);
	free(table);
	sg_snat_pool_destroy(pool);
}

static void refuses_ranges_that_leave_a_worker_without_ports(void **unused)
{
	uint32_t address_be = inet_addr("10.0.0.100");
	struct sg_error error;

	(void)unused;
	sg_home_init(&home, sg_toeplitz_default_key, 2);
	error.text[0] = '\0';
	assert_null(sg_snat_pool_create(&home, &address_be, 1, 50000, 50063, &error));
	assert_non_null(strstr(error.text, "50000 to 50063"));
	assert_null(sg_snat_pool_create(&home, &address_be, 0, 1024, 65535, &error));
	assert_null(sg_snat_pool_create(&home, &address_be, 1, 0, 65535, &error));
	assert_null(sg_snat_pool_create(&home, &address_be, 1, 3, 2, &error));
	sg_snat_pool_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_reply_comes_home),
		cmocka_unit_test(uses_all_addresses_and_stays_in_the_range),
		cmocka_unit_test(says_no_when_all_ports_are_taken),
		cmocka_unit_test(fills_nine_tenths_of_all_ports),
		cmocka_unit_test(a_closed_flows_port_is_reused_only_above_its_last_number),
		cmocka_unit_test(a_flood_takes_ports_from_itself_alone),
		cmocka_unit_test(a_port_rests_before_its_backend_sees_it_again),
		cmocka_unit_test(a_burst_of_proposals_never_shares_a_port),
		cmocka_unit_test(refuses_ranges_that_leave_a_worker_without_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
