// SNAT ports: every port chosen is free, brings the reply home, and when there is none, the answer
// is no.
#include "fixture.h"

#include <arpa/inet.h>

#include "base/random.h"
#include "flow/snat.h"
#include "flow/tcp.h"

// Each test runs for both; IPv6's addresses are IPv4's within a prefix.
static enum sg_family family;
static struct sg_home home;
static uint64_t random_state;
static struct sg_snat_turns turns;

struct reply {
	struct sg_tuple tuple;
	struct sg_pair6 pair;
};

static struct sg_addr address_of(uint32_t number)
{
	struct sg_addr addr = {.family = SG_FAMILY_IPV6, .bytes = {0xfd}};
	uint32_t number_be = htonl(number);

	if (family == SG_FAMILY_IPV4)
		return sg_addr_from_ipv4(number_be);
	memcpy(addr.bytes + 12, &number_be, 4);
	return addr;
}

static uint32_t number_of(const char *text)
{
	return ntohl(inet_addr(text));
}

static struct sg_snat_pool *make_pool(
	unsigned n_workers, const char *first, unsigned n, uint16_t port_min, uint16_t port_max)
{
	struct sg_addr addresses[8];
	struct sg_snat_pool *pool;

	for (unsigned i = 0; i < n; i++)
		addresses[i] = address_of(number_of(first) + i);
	random_state = 42;
	sg_snat_turns_init(&turns, &random_state);
	sg_home_init(&home, sg_toeplitz_default_key, n_workers);
	pool = sg_snat_pool_create(&home, addresses, n, port_min, port_max, NULL);
	assert_non_null(pool);
	assert_int_equal(sg_snat_pool_has(pool, SG_FAMILY_IPV4), family == SG_FAMILY_IPV4);
	assert_int_equal(sg_snat_pool_has(pool, SG_FAMILY_IPV6), family == SG_FAMILY_IPV6);
	return pool;
}

static struct reply reply_of(const char *backend, uint16_t port)
{
	struct reply reply = {
		.tuple = {.sport_be = htons(port), .proto = SG_PROTO_TCP, .domain = 3, .hop = 77}};
	struct sg_addr addr = address_of(number_of(backend));

	if (family == SG_FAMILY_IPV4)
		reply.tuple.src_be = sg_addr_ipv4_be(&addr);
	else
		reply.tuple.domain |= SG_DOMAIN_IPV6;
	memcpy(reply.pair.src, addr.bytes, 16);
	return reply;
}

// How far a reply's destination lies behind an address.
static uint32_t offset_of(const struct sg_flow_table *table, sg_flow_ref ref, const char *first)
{
	uint32_t number_be = sg_flow_table_get(table, ref)->server.dst_be;

	if (family == SG_FAMILY_IPV6)
		memcpy(&number_be, sg_flow_table_addresses(table, ref)->server.dst + 12, 4);
	return ntohl(number_be) - number_of(first);
}

static void assert_home(const struct reply *reply, unsigned worker)
{
	if (family == SG_FAMILY_IPV4)
		assert_int_equal(sg_home_of_tuple4(&home, &reply->tuple), worker);
	else
		assert_int_equal(sg_home_of_tuple6(&home, &reply->pair, &reply->tuple), worker);
}

static sg_flow_ref insert(
	struct sg_flow_table *table, struct sg_flow *flow, const struct reply *reply)
{
	struct sg_flow_addresses addresses = fixture_addresses(flow);

	flow->server = reply->tuple;
	if (family == SG_FAMILY_IPV4)
		return fixture_insert(table, flow);
	addresses.server = reply->pair;
	sg_flow_table_key6(table, &addresses.client, &flow->client);
	return sg_flow_table_insert6(table, flow, &addresses, fixture_hash(table, &flow->client),
		fixture_hash(table, &flow->server));
}

// Picks a port and inserts an embryo with it, as the pipeline does. 0: none was found.
static sg_flow_ref open_embryo(const struct sg_snat_pool *pool, struct sg_flow_table *table,
	unsigned worker, uint32_t number, uint32_t isn, const char *backend)
{
	struct sg_flow flow = fixture_flow(number, SG_FLOW_TCP_SYN);
	struct reply reply = reply_of(backend, 80);
	sg_flow_ref old = 0;
	uint64_t hash;

	sg_snat_propose(pool, table, worker, &turns, &reply.tuple, &reply.pair, 1, &hash);
	if (!sg_snat_settle(pool, table, worker, &random_state, isn, &reply.tuple, &reply.pair,
		    &hash, &old))
		return 0;
	assert_int_equal(hash, fixture_hash(table, &reply.tuple));
	assert_int_equal(sg_flow_table_find(table, &reply.tuple, hash), old);
	assert_home(&reply, worker);
	if (old)
		sg_flow_table_remove(table, old);
	sg_flow_tcp_open(&flow, isn);
	return insert(table, &flow, &reply);
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
		uint32_t address = offset_of(table, ref, "10.0.0.100");

		assert_true(ref != 0 && address < 4);
		assert_in_range(ntohs(reply->dport_be), 20000, 39999);
		assert_int_equal(reply->domain & ~SG_DOMAIN_IPV6, 3);
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
				&seen[offset_of(table, ref, "10.0.0.100")][ntohs(reply->dport_be)];

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
	struct sg_tuple tuples[N];
	struct sg_pair6 pairs[N];
	uint64_t hashes[N];
	unsigned n_moved = 0;

	(void)unused;
	for (unsigned i = 0; i < N; i++) {
		struct reply reply = reply_of("10.1.2.3", 80);

		tuples[i] = reply.tuple;
		pairs[i] = reply.pair;
	}
	sg_snat_propose(pool, table, 0, &turns, tuples, pairs, N, hashes);
	for (uint32_t i = 0; i < N; i++) {
		struct sg_flow flow = fixture_flow(i, SG_FLOW_TCP_ESTABLISHED);
		uint16_t proposed = tuples[i].dport_be;
		struct reply reply;
		sg_flow_ref old = 1;

		assert_int_equal(hashes[i], fixture_hash(table, &tuples[i]));
		assert_in_range(ntohs(proposed), 50001, 50020);
		assert_true(sg_snat_settle(
			pool, table, 0, &random_state, 1, &tuples[i], &pairs[i], &hashes[i], &old));
		assert_int_equal(old, 0);
		n_moved += tuples[i].dport_be != proposed;
		assert_int_equal(sg_flow_table_find(table, &tuples[i], hashes[i]), 0);
		reply = (struct reply){.tuple = tuples[i], .pair = pairs[i]};
		assert_int_not_equal(insert(table, &flow, &reply), 0);
	}
	assert_true(n_moved > 0);
	fixture_assert_consistent(table);
	free(table);
	sg_snat_pool_destroy(pool);
}

static void refuses_ranges_that_leave_a_worker_without_ports(void **unused)
{
	struct sg_addr address = address_of(number_of("10.0.0.100"));
	struct sg_error error;

	(void)unused;
	sg_home_init(&home, sg_toeplitz_default_key, 2);
	error.text[0] = '\0';
	assert_null(sg_snat_pool_create(&home, &address, 1, 50000, 50063, &error));
	assert_non_null(strstr(error.text, "50000 to 50063"));
	assert_null(sg_snat_pool_create(&home, &address, 0, 1024, 65535, &error));
	assert_null(sg_snat_pool_create(&home, &address, 1, 0, 65535, &error));
	assert_null(sg_snat_pool_create(&home, &address, 1, 3, 2, &error));
	sg_snat_pool_destroy(NULL);
}

static int use_ipv4(void **unused)
{
	(void)unused;
	family = SG_FAMILY_IPV4;
	return 0;
}

static int use_ipv6(void **unused)
{
	(void)unused;
	family = SG_FAMILY_IPV6;
	return 0;
}

// clang-format off
#define FOR_BOTH(test) {#test, test, use_ipv4, NULL, NULL}, {#test " over IPv6", test, use_ipv6, NULL, NULL}
// clang-format on

int main(void)
{
	const struct CMUnitTest tests[] = {
		FOR_BOTH(every_reply_comes_home),
		FOR_BOTH(uses_all_addresses_and_stays_in_the_range),
		FOR_BOTH(says_no_when_all_ports_are_taken),
		FOR_BOTH(fills_nine_tenths_of_all_ports),
		FOR_BOTH(a_closed_flows_port_is_reused_only_above_its_last_number),
		FOR_BOTH(a_flood_takes_ports_from_itself_alone),
		FOR_BOTH(a_port_rests_before_its_backend_sees_it_again),
		FOR_BOTH(a_burst_of_proposals_never_shares_a_port),
		FOR_BOTH(refuses_ranges_that_leave_a_worker_without_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
