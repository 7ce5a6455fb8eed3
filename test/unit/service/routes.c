// What sg_routes_find4 and sg_routes_find6 answer over routes and neighbours made by hand.
#include "service/routes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static uint32_t ipv4_be(const char *text)
{
	struct sg_addr addr;

	assert_int_equal(sg_addr_parse(text, &addr), 0);
	return sg_addr_ipv4_be(&addr);
}

static struct sg_trie_entry route(const char *prefix, uint32_t value)
{
	struct sg_trie_entry entry = {.value = value};

	assert_int_equal(sg_prefix_parse(prefix, &entry.prefix, NULL), 0);
	return entry;
}

static void empty_routes_lead_nowhere(void **unused)
{
	struct sg_routes *routes = sg_routes_create_empty();

	(void)unused;
	assert_non_null(routes);
	assert_true(routes->generation != 0);
	assert_int_equal(routes->n_hops, 1);
	assert_int_equal(routes->hops[0].kind, SG_HOP_NONE);
	assert_int_equal(sg_routes_find4(routes, ipv4_be("10.0.0.2")).kind, SG_ROUTE_NONE);
	assert_int_equal(sg_routes_find4(routes, ipv4_be("10.0.0.2")).hop, 0);
	assert_ptr_equal(sg_routes_ref(routes), routes);
	sg_routes_unref(routes);
	sg_routes_unref(routes);
	sg_routes_unref(NULL);
}

static void routes_and_neighbours_are_followed(void **unused)
{
	const struct sg_trie_entry entries[] = {
		route("0.0.0.0/0", SG_ROUTE_VALUE(SG_ROUTE_HOP, 0, 1)),
		route("10.0.0.0/24", SG_ROUTE_VALUE(SG_ROUTE_ON_LINK, 1, 0)),
		route("10.0.0.1/32", SG_ROUTE_VALUE(SG_ROUTE_LOCAL, 1, 2)),
		route("192.0.2.0/24", SG_ROUTE_VALUE(SG_ROUTE_NONE, 0, 0)),
	};
	static const struct {
		const char *addr;
		struct sg_route_answer answer;
	} rows[] = {
		{"198.51.100.7", {.kind = SG_ROUTE_HOP, .port = 0, .hop = 1}},
		{"10.0.0.1", {.kind = SG_ROUTE_LOCAL, .port = 1, .hop = 2}},
		{"10.0.0.2", {.kind = SG_ROUTE_HOP, .port = 1, .hop = 3}},
		{"10.0.0.3", {.kind = SG_ROUTE_ON_LINK, .port = 1, .hop = 0}},
		{"192.0.2.1", {.kind = SG_ROUTE_NONE, .port = 0, .hop = 0}},
	};
	struct sg_routes *routes = sg_routes_create_empty();

	(void)unused;
	assert_non_null(routes);
	sg_trie_unref(routes->ipv4);
	routes->ipv4 =
		sg_trie_create(entries, sizeof(entries) / sizeof(entries[0]), SG_FAMILY_IPV4);
	sg_index_unref(routes->neighbours4);
	routes->neighbours4 = sg_index_create(2);
	assert_non_null(routes->ipv4);
	assert_non_null(routes->neighbours4);
	sg_index_put(routes->neighbours4, SG_NEIGHBOUR_KEY(1, ipv4_be("10.0.0.2")), 3);
	// The same address on another port is another neighbour.
	sg_index_put(routes->neighbours4, SG_NEIGHBOUR_KEY(0, ipv4_be("10.0.0.3")), 4);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sg_route_answer answer = sg_routes_find4(routes, ipv4_be(rows[i].addr));

		assert_int_equal(answer.kind, rows[i].answer.kind);
		assert_int_equal(answer.port, rows[i].answer.port);
		assert_int_equal(answer.hop, rows[i].answer.hop);
	}
	sg_routes_unref(routes);
}

static struct sg_route_answer find6(const struct sg_routes *routes, const char *text)
{
	struct sg_addr addr;

	assert_int_equal(sg_addr_parse(text, &addr), 0);
	return sg_routes_find6(routes, addr.bytes);
}

static void put_neighbour6(struct sg_routes *routes, const char *text, uint8_t port, uint32_t hop)
{
	struct sg_addr addr;

	assert_int_equal(sg_addr_parse(text, &addr), 0);
	sg_index6_put(routes->neighbours6, addr.bytes, port, hop);
}

static bool is_on_link6(const struct sg_routes *routes, const char *text)
{
	struct sg_addr addr;

	assert_int_equal(sg_addr_parse(text, &addr), 0);
	return sg_routes_is_on_link6(routes, addr.bytes);
}

static void routes_and_neighbours_are_followed_for_ipv6(void **unused)
{
	const struct sg_trie_entry entries[] = {
		route("::/0", SG_ROUTE_VALUE(SG_ROUTE_HOP, 0, 1)),
		route("fd00::/64", SG_ROUTE_VALUE(SG_ROUTE_ON_LINK, 1, 0)),
		route("fd00::1/128", SG_ROUTE_VALUE(SG_ROUTE_LOCAL, 1, 2)),
		route("2001:db8::/32", SG_ROUTE_VALUE(SG_ROUTE_NONE, 0, 0)),
	};
	static const struct {
		const char *addr;
		struct sg_route_answer answer;
		bool on_link;
	} rows[] = {
		{"2606:4700::1111", {.kind = SG_ROUTE_HOP, .port = 0, .hop = 1}, false},
		{"fd00::1", {.kind = SG_ROUTE_LOCAL, .port = 1, .hop = 2}, true},
		{"fd00::2", {.kind = SG_ROUTE_HOP, .port = 1, .hop = 3}, true},
		{"fd00::3", {.kind = SG_ROUTE_ON_LINK, .port = 1, .hop = 0}, true},
		{"2001:db8::1", {.kind = SG_ROUTE_NONE, .port = 0, .hop = 0}, false},
	};
	struct sg_routes *routes = sg_routes_create_empty();

	(void)unused;
	assert_non_null(routes);
	assert_int_equal(find6(routes, "fd00::2").kind, SG_ROUTE_NONE);
	sg_trie_unref(routes->ipv6);
	routes->ipv6 =
		sg_trie_create(entries, sizeof(entries) / sizeof(entries[0]), SG_FAMILY_IPV6);
	sg_index6_unref(routes->neighbours6);
	routes->neighbours6 = sg_index6_create(2);
	assert_non_null(routes->ipv6);
	assert_non_null(routes->neighbours6);
	put_neighbour6(routes, "fd00::2", 1, 3);
	// The same address on another port is another neighbour.
	put_neighbour6(routes, "fd00::3", 0, 4);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sg_route_answer answer = find6(routes, rows[i].addr);

		assert_int_equal(answer.kind, rows[i].answer.kind);
		assert_int_equal(answer.port, rows[i].answer.port);
		assert_int_equal(answer.hop, rows[i].answer.hop);
		assert_int_equal(is_on_link6(routes, rows[i].addr), rows[i].on_link);
	}
	sg_routes_unref(routes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_routes_lead_nowhere),
		cmocka_unit_test(routes_and_neighbours_are_followed),
		cmocka_unit_test(routes_and_neighbours_are_followed_for_ipv6),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
