// Facts in, routes out: who wins for a prefix, what keeps its index, what changes the generation,
// who is asked.
#include "control/mirror_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct sg_mirror_port ports[] = {{7, {2, 0, 0, 0, 0, 1}}, {8, {2, 0, 0, 0, 0, 2}}};

static struct sg_addr addr_of(const char *text)
{
	struct sg_addr addr;

	assert_int_equal(sg_addr_parse(text, &addr), 0);
	return addr;
}

struct route_row {
	const char *prefix;
	uint32_t metric;
	uint8_t kind, port;
	const char *gateway;
};

struct address_row {
	const char *addr;
	uint8_t port;
};

static void take_routes(struct sg_mirror_model *model, const struct address_row *addresses,
	unsigned n_addresses, const struct route_row *routes, unsigned n_routes)
{
	sg_mirror_model_begin_routes(model);
	for (unsigned i = 0; i < n_addresses; i++) {
		struct sg_mirror_address address = {.addr = addr_of(addresses[i].addr),
			.length = 24,
			.port = addresses[i].port};

		assert_int_equal(sg_mirror_model_add_address(model, &address), 0);
	}
	for (unsigned i = 0; i < n_routes; i++) {
		struct sg_mirror_route route = {.metric = routes[i].metric,
			.kind = routes[i].kind,
			.port = routes[i].port,
			.rank = 1};

		assert_int_equal(sg_prefix_parse(routes[i].prefix, &route.prefix, NULL), 0);
		if (routes[i].gateway)
			route.gateway = addr_of(routes[i].gateway);
		assert_int_equal(sg_mirror_model_add_route(model, &route), 0);
	}
	assert_int_equal(sg_mirror_model_commit_routes(model, 0), 0);
}

static void set_neighbour_on(struct sg_mirror_model *model, uint8_t port, const char *addr,
	enum sg_mirror_reachability reachability, uint8_t mac_end, uint64_t now_ms)
{
	struct sg_mirror_neighbour neighbour = {.addr = addr_of(addr),
		.port = port,
		.reachability = reachability,
		.managed = true,
		.mac = {2, 9, 9, 9, 9, mac_end}};

	sg_mirror_model_set_neighbour(model, &neighbour, now_ms);
}

static void set_neighbour(struct sg_mirror_model *model, const char *addr,
	enum sg_mirror_reachability reachability, uint8_t mac_end, uint64_t now_ms)
{
	set_neighbour_on(model, 0, addr, reachability, mac_end, now_ms);
}

static struct sg_route_answer find(const struct sg_routes *routes, const char *addr)
{
	struct sg_addr parsed = addr_of(addr);

	if (parsed.family == SG_FAMILY_IPV6)
		return sg_routes_find6(routes, parsed.bytes);
	return sg_routes_find4(routes, sg_addr_ipv4_be(&parsed));
}

// One port with a subnet and a default route, as most nodes have it.
static const struct address_row one_address[] = {{"10.0.0.1", 0}};
static const struct route_row two_routes[] = {{"10.0.0.0/24", 0, SG_ROUTE_ON_LINK, 0, NULL},
	{"0.0.0.0/0", 0, SG_ROUTE_HOP, 0, "10.0.0.254"}};

static void begin(struct sg_mirror_model *model)
{
	assert_int_equal(sg_mirror_model_init(model, ports, 2), 0);
	take_routes(model, one_address, 1, two_routes, 2);
}

static void each_address_has_its_way(void **unused)
{
	struct sg_mirror_model model;
	struct sg_routes *routes;
	struct sg_route_answer answer;

	(void)unused;
	begin(&model);
	assert_true(model.changed);
	routes = sg_mirror_model_build(&model);
	assert_non_null(routes);
	assert_false(model.changed);
	assert_int_equal(routes->port_addr4_be[0], __builtin_bswap32(0x0a000001));
	assert_int_equal(routes->port_addr4_be[1], 0);

	answer = find(routes, "10.0.0.7");
	assert_int_equal(answer.kind, SG_ROUTE_ON_LINK);
	assert_int_equal(answer.hop, 0);
	answer = find(routes, "10.0.0.1");
	assert_int_equal(answer.kind, SG_ROUTE_LOCAL);
	assert_int_equal(routes->hops[answer.hop].kind, SG_HOP_TWIN);
	assert_memory_equal(routes->hops[answer.hop].dst_mac, ports[0].mac, 6);
	answer = find(routes, "198.51.100.1");
	assert_int_equal(answer.kind, SG_ROUTE_HOP);
	assert_int_equal(routes->hops[answer.hop].kind, SG_HOP_UNRESOLVED);
	assert_int_equal(find(routes, "10.0.0.254").hop, answer.hop);
	sg_routes_unref(routes);
	sg_mirror_model_fini(&model);
}

static void the_better_route_wins(void **unused)
{
	static const struct address_row addresses[] = {{"10.0.0.1", SG_MIRROR_ELSEWHERE},
		{"10.0.0.1", 0}, {"10.1.0.1", SG_MIRROR_ELSEWHERE}};
	static const struct route_row rows[] = {
		{"10.0.0.0/24", 5, SG_ROUTE_ON_LINK, 1, NULL},
		{"10.0.0.0/24", 0, SG_ROUTE_NONE, 0, NULL}, // the device below the twin
		{"10.0.0.0/24", 0, SG_ROUTE_ON_LINK, 0, NULL},
		{"10.0.0.0/8", 0, SG_ROUTE_ON_LINK, 1, NULL},
		{"10.2.0.0/16", 0, SG_ROUTE_NONE, 0, NULL}, // blackhole
		{"10.3.0.0/16", 9, SG_ROUTE_ON_LINK, 0, NULL},
		{"10.3.0.0/16", 8, SG_ROUTE_NONE, 0,
			NULL}, // through another interface, and cheaper
	};
	struct sg_mirror_model model;
	struct sg_routes *routes;

	(void)unused;
	assert_int_equal(sg_mirror_model_init(&model, ports, 2), 0);
	take_routes(&model, addresses, 3, rows, 7);
	routes = sg_mirror_model_build(&model);
	assert_int_equal(find(routes, "10.0.0.9").port, 0);
	assert_int_equal(find(routes, "10.0.0.9").kind, SG_ROUTE_ON_LINK);
	assert_int_equal(find(routes, "10.9.0.1").port, 1);
	assert_int_equal(find(routes, "10.0.0.1").kind, SG_ROUTE_LOCAL);
	assert_int_equal(find(routes, "10.1.0.1").kind, SG_ROUTE_NONE);
	assert_int_equal(find(routes, "10.2.0.1").kind, SG_ROUTE_NONE);
	assert_int_equal(find(routes, "10.3.0.1").kind, SG_ROUTE_NONE);
	sg_routes_unref(routes);
	sg_mirror_model_fini(&model);
}

static void a_new_mac_is_new_content_at_the_same_index(void **unused)
{
	struct sg_mirror_model model;
	struct sg_routes *routes;
	uint16_t generation, hop;

	(void)unused;
	begin(&model);
	set_neighbour(&model, "10.0.0.7", SG_MIRROR_USABLE, 1, 0);
	routes = sg_mirror_model_build(&model);
	generation = routes->generation;
	assert_int_not_equal(generation, 0);
	hop = find(routes, "10.0.0.7").hop;
	assert_int_equal(routes->hops[hop].kind, SG_HOP_PORT);
	assert_int_equal(routes->hops[hop].dst_mac[5], 1);
	assert_memory_equal(routes->hops[hop].src_mac, ports[0].mac, 6);
	sg_routes_unref(routes);

	set_neighbour(&model, "10.0.0.7", SG_MIRROR_STALE, 1, 0);
	assert_false(model.changed);
	set_neighbour(&model, "10.0.0.7", SG_MIRROR_USABLE, 2, 0);
	assert_true(model.changed);
	routes = sg_mirror_model_build(&model);
	assert_int_equal(routes->generation, generation);
	assert_int_equal(find(routes, "10.0.0.7").hop, hop);
	assert_int_equal(routes->hops[hop].dst_mac[5], 2);
	sg_routes_unref(routes);

	set_neighbour(&model, "10.0.0.7", SG_MIRROR_UNKNOWN, 0, 0);
	routes = sg_mirror_model_build(&model);
	assert_int_equal(find(routes, "10.0.0.7").kind, SG_ROUTE_ON_LINK);
	assert_int_equal(
		routes->hops[hop].kind, SG_HOP_UNRESOLVED); // flows may still hold the index
	assert_int_equal(routes->generation, generation);
	sg_routes_unref(routes);
	sg_mirror_model_fini(&model);
}

static void only_a_changed_route_changes_the_generation(void **unused)
{
	static const struct route_row other[] = {{"10.0.0.0/24", 0, SG_ROUTE_ON_LINK, 0, NULL},
		{"0.0.0.0/0", 0, SG_ROUTE_HOP, 0, "10.0.0.253"}};
	struct sg_mirror_model model;
	uint16_t generation;

	(void)unused;
	begin(&model);
	sg_routes_unref(sg_mirror_model_build(&model));
	generation = model.generation;
	take_routes(&model, one_address, 1, two_routes, 2);
	assert_false(model.changed);
	assert_int_equal(model.generation, generation);
	take_routes(&model, one_address, 1, other, 2);
	assert_true(model.changed);
	assert_int_not_equal(model.generation, generation);
	model.generation = UINT16_MAX;
	take_routes(&model, one_address, 1, two_routes, 2);
	assert_int_equal(model.generation, 1);
	sg_mirror_model_fini(&model);
}

static void a_dump_forgets_who_is_not_in_it(void **unused)
{
	struct sg_mirror_model model;
	struct sg_routes *routes;

	(void)unused;
	begin(&model);
	set_neighbour(&model, "10.0.0.7", SG_MIRROR_USABLE, 1, 0);
	set_neighbour(&model, "10.0.0.8", SG_MIRROR_USABLE, 2, 0);
	sg_mirror_model_begin_neighbours(&model);
	set_neighbour(&model, "10.0.0.8", SG_MIRROR_USABLE, 2, 0);
	sg_mirror_model_commit_neighbours(&model, 0);
	routes = sg_mirror_model_build(&model);
	assert_int_equal(find(routes, "10.0.0.7").kind, SG_ROUTE_ON_LINK);
	assert_int_equal(find(routes, "10.0.0.8").kind, SG_ROUTE_HOP);
	sg_routes_unref(routes);
	sg_mirror_model_fini(&model);
}

struct questions {
	char text[8][SG_ADDR_TEXT_BYTES];
	bool keep[8];
	unsigned n;
};

static void note_question(void *context, const struct sg_mirror_hop *hop, bool keep)
{
	struct questions *questions = context;

	assert_true(questions->n < 8);
	sg_addr_format(&hop->addr, questions->text[questions->n]);
	questions->keep[questions->n++] = keep;
}

static struct questions ask_at(struct sg_mirror_model *model, uint64_t now_ms)
{
	struct questions questions = {.n = 0};

	sg_mirror_model_ask(model, now_ms, note_question, &questions);
	return questions;
}

static void backends_and_gateways_are_asked_for_until_they_answer(void **unused)
{
	struct sg_addr backends[] = {
		addr_of("10.0.0.7"), addr_of("172.16.0.1"), addr_of("10.0.0.1")};
	struct sg_mirror_model model;
	struct questions questions;
	uint64_t now_ms = 1000;

	(void)unused;
	begin(&model);
	assert_int_equal(sg_mirror_model_keep(&model, backends, 3, now_ms), 0);
	questions = ask_at(&model, now_ms);
	assert_int_equal(questions.n,
		2); // the gateway, and the backend on the link; nobody for our own address
	assert_string_equal(questions.text[0], "10.0.0.254");
	assert_string_equal(questions.text[1], "10.0.0.7");
	assert_true(questions.keep[0] && questions.keep[1]);
	set_neighbour(&model, "10.0.0.254", SG_MIRROR_USABLE, 1, now_ms);
	set_neighbour(&model, "10.0.0.7", SG_MIRROR_ASKING, 0, now_ms);
	assert_int_equal(ask_at(&model, now_ms + 5000).n, 0);

	// After a failure again, at growing distances, but at least once a second.
	now_ms += 5000;
	for (unsigned i = 0; i < 6; i++) {
		uint64_t due_ms;

		set_neighbour(&model, "10.0.0.7", SG_MIRROR_FAILED, 0, now_ms);
		due_ms = model.ask_at_ms;
		assert_true(due_ms > now_ms && due_ms <= now_ms + SG_MIRROR_ASK_LAST_MS);
		assert_int_equal(ask_at(&model, due_ms - 1).n, 0);
		assert_int_equal(ask_at(&model, due_ms).n, 1);
		now_ms = due_ms;
	}
	set_neighbour(&model, "10.0.0.7", SG_MIRROR_USABLE, 3, now_ms);
	assert_int_equal(ask_at(&model, now_ms + 10000).n, 0);

	assert_int_equal(sg_mirror_model_keep(&model, NULL, 0, now_ms), 0);
	questions = ask_at(&model, now_ms);
	assert_int_equal(questions.n, 1);
	assert_string_equal(questions.text[0], "10.0.0.7");
	assert_false(questions.keep[0]);
	sg_mirror_model_fini(&model);
}

static uint8_t kind_of(struct sg_mirror_model *model, const char *addr)
{
	struct sg_routes *routes = sg_mirror_model_build(model);
	struct sg_route_answer answer = find(routes, addr);
	uint8_t kind = answer.hop ? routes->hops[answer.hop].kind : SG_HOP_UNRESOLVED;

	sg_routes_unref(routes);
	return kind;
}

// The kernel drops its entry of a dead backend now and then, and makes it anew for the next
// question.
static void a_dead_backend_changes_nothing(void **unused)
{
	struct sg_mirror_model model;
	struct sg_addr backend = addr_of("10.0.0.7");

	(void)unused;
	begin(&model);
	assert_int_equal(sg_mirror_model_keep(&model, &backend, 1, 0), 0);
	assert_int_equal(kind_of(&model, "10.0.0.7"), SG_HOP_UNRESOLVED);
	for (unsigned turn = 0; turn < 3; turn++) {
		set_neighbour(&model, "10.0.0.7", SG_MIRROR_ASKING, 0, 1000 * turn);
		set_neighbour(&model, "10.0.0.7", SG_MIRROR_FAILED, 0, 1000 * turn + 700);
		set_neighbour(&model, "10.0.0.7", SG_MIRROR_UNKNOWN, 0, 1000 * turn + 800);
		assert_false(model.changed);
	}
	set_neighbour(&model, "10.0.0.7", SG_MIRROR_USABLE, 2, 4000);
	assert_true(model.changed);
	assert_int_equal(kind_of(&model, "10.0.0.7"), SG_HOP_PORT);
	sg_mirror_model_fini(&model);
}

// A client: nobody keeps it resolved but those who doubt it.
static void a_silent_neighbour_is_believed_for_a_while_and_asked_for(void **unused)
{
	struct sg_mirror_model model;
	struct questions questions;
	uint64_t now_ms = 1000;

	(void)unused;
	begin(&model);
	set_neighbour(&model, "10.0.0.254", SG_MIRROR_USABLE, 1, now_ms);
	set_neighbour(&model, "10.0.0.7", SG_MIRROR_STALE, 2, now_ms);
	ask_at(&model, now_ms);
	assert_int_equal(kind_of(&model, "10.0.0.7"), SG_HOP_PORT);

	// It comes back in time: workers hear nothing of it.
	set_neighbour(&model, "10.0.0.7", SG_MIRROR_FAILED, 0, now_ms);
	assert_false(model.changed);
	questions = ask_at(&model, now_ms);
	assert_int_equal(questions.n, 1);
	assert_string_equal(questions.text[0], "10.0.0.7");
	assert_false(questions.keep[0]);
	set_neighbour(&model, "10.0.0.7", SG_MIRROR_ASKING, 0, now_ms);
	assert_int_equal(kind_of(&model, "10.0.0.7"), SG_HOP_PORT);
	set_neighbour(&model, "10.0.0.7", SG_MIRROR_USABLE, 2, now_ms + 900);
	assert_false(model.changed);
	ask_at(&model, now_ms + SG_MIRROR_DOUBT_MS);
	assert_false(model.changed);

	// It does not, and the doubt ends in time though the kernel asked again meanwhile.
	now_ms += 10000;
	set_neighbour(&model, "10.0.0.7", SG_MIRROR_FAILED, 0, now_ms);
	set_neighbour(&model, "10.0.0.7", SG_MIRROR_ASKING, 0, now_ms + 100);
	set_neighbour(&model, "10.0.0.7", SG_MIRROR_FAILED, 0, now_ms + 2000);
	assert_true(model.ask_at_ms <= now_ms + SG_MIRROR_DOUBT_MS);
	ask_at(&model, now_ms + SG_MIRROR_DOUBT_MS - 1);
	assert_int_equal(kind_of(&model, "10.0.0.7"), SG_HOP_PORT);
	assert_true(model.ask_at_ms <= now_ms + SG_MIRROR_DOUBT_MS);
	assert_int_equal(ask_at(&model, now_ms + SG_MIRROR_DOUBT_MS).n, 0);
	assert_true(model.changed);
	assert_int_equal(kind_of(&model, "10.0.0.7"), SG_HOP_UNRESOLVED);
	assert_true(model.ask_at_ms == UINT64_MAX);

	// Deleted by hand: at once.
	set_neighbour(&model, "10.0.0.7", SG_MIRROR_USABLE, 2, now_ms);
	set_neighbour(&model, "10.0.0.7", SG_MIRROR_FAILED, 0, now_ms);
	set_neighbour(&model, "10.0.0.7", SG_MIRROR_UNKNOWN, 0, now_ms);
	assert_int_equal(kind_of(&model, "10.0.0.7"), SG_HOP_UNRESOLVED);
	sg_mirror_model_fini(&model);
}

static void kept_addresses_follow_the_routes(void **unused)
{
	static const struct route_row through_gateway[] = {
		{"10.0.0.7/32", 0, SG_ROUTE_HOP, 0, "10.0.0.253"},
		{"10.0.0.0/24", 0, SG_ROUTE_ON_LINK, 0, NULL}};
	struct sg_addr backend = addr_of("10.0.0.7");
	struct sg_addr next_hop;
	struct sg_mirror_model model;
	struct questions questions;

	(void)unused;
	begin(&model);
	assert_int_equal(sg_mirror_model_keep(&model, &backend, 1, 0), 0);
	assert_int_equal(ask_at(&model, 0).n, 2);
	next_hop = sg_mirror_model_next_hop(&model, 0, &backend);
	assert_true(sg_addr_equal(&next_hop, &backend));
	take_routes(&model, one_address, 1, through_gateway, 2);
	questions = ask_at(&model, 0);
	assert_int_equal(questions.n, 3); // two are let go, the new gateway is asked for
	next_hop = sg_mirror_model_next_hop(&model, 0, &backend);
	backend = addr_of("10.0.0.253");
	assert_true(sg_addr_equal(&next_hop, &backend));
	sg_mirror_model_fini(&model);
}

static void an_operators_entry_is_left_alone(void **unused)
{
	struct sg_addr backend = addr_of("10.0.0.7");
	struct sg_mirror_model model;
	struct questions questions;

	(void)unused;
	begin(&model);
	set_neighbour(&model, "10.0.0.7", SG_MIRROR_FIXED, 1, 0);
	assert_int_equal(sg_mirror_model_keep(&model, &backend, 1, 0), 0);
	questions = ask_at(&model, 0);
	assert_int_equal(questions.n, 1);
	assert_string_equal(questions.text[0], "10.0.0.254");
	sg_mirror_model_fini(&model);
}

// The link flaps: its routes go, and nobody needs their neighbours for a while.
static void an_operators_entry_is_not_let_go_of_either(void **unused)
{
	struct sg_addr backend = addr_of("10.0.0.7");
	struct sg_mirror_model model;
	struct questions questions;

	(void)unused;
	begin(&model);
	assert_int_equal(sg_mirror_model_keep(&model, &backend, 1, 0), 0);
	assert_int_equal(ask_at(&model, 0).n, 2);
	set_neighbour(&model, "10.0.0.7", SG_MIRROR_FIXED, 1, 0);
	take_routes(&model, one_address, 1, NULL, 0);
	questions = ask_at(&model, 0);
	assert_int_equal(questions.n, 1);
	assert_string_equal(questions.text[0], "10.0.0.254");
	assert_false(questions.keep[0]);
	sg_mirror_model_fini(&model);
}

// Two ports with a subnet each, and routers that are known by link-local addresses, as RAs make
// them: the same address on two ports is two neighbours.
static const struct address_row two_addresses6[] = {
	{"2001:db8:1::1", 0}, {"fd00::1", 1}, {"fd00:9::1", SG_MIRROR_ELSEWHERE}};
static const struct route_row routes6[] = {{"2001:db8:1::/64", 256, SG_ROUTE_ON_LINK, 0, NULL},
	{"fd00::/64", 256, SG_ROUTE_ON_LINK, 1, NULL}, {"::/0", 1024, SG_ROUTE_HOP, 0, "fe80::1"},
	{"fd00:1::/48", 1024, SG_ROUTE_HOP, 1, "fe80::1"},
	{"2001:db8:bad::/48", 1024, SG_ROUTE_NONE, 0, NULL}};

static void ipv6_has_its_ways(void **unused)
{
	static const uint8_t none[16];
	struct sg_mirror_model model;
	struct sg_routes *routes;
	struct sg_route_answer world, pods;

	(void)unused;
	assert_int_equal(sg_mirror_model_init(&model, ports, 2), 0);
	take_routes(&model, two_addresses6, 2, routes6, 5);
	set_neighbour_on(&model, 1, "fe80::1", SG_MIRROR_USABLE, 1, 0);
	set_neighbour_on(&model, 1, "fd00::7", SG_MIRROR_USABLE, 7, 0);
	// The address of a neighbour behind another port is another neighbour.
	set_neighbour_on(&model, 0, "fd00::8", SG_MIRROR_USABLE, 8, 0);
	routes = sg_mirror_model_build(&model);
	assert_non_null(routes);
	assert_memory_equal(routes->port_addr6[0], addr_of("2001:db8:1::1").bytes, 16);
	assert_memory_equal(routes->port_addr6[1], addr_of("fd00::1").bytes, 16);
	assert_memory_equal(routes->port_addr6[2], none, 16);
	assert_int_equal(routes->port_addr4_be[0], 0);

	assert_int_equal(find(routes, "2001:db8:1::1").kind, SG_ROUTE_LOCAL);
	assert_int_equal(find(routes, "2001:db8:1::2").kind, SG_ROUTE_ON_LINK);
	assert_int_equal(find(routes, "2001:db8:bad::1").kind, SG_ROUTE_NONE);
	assert_int_equal(find(routes, "10.0.0.1").kind, SG_ROUTE_NONE);
	assert_int_equal(find(routes, "fd00::7").kind, SG_ROUTE_HOP);
	assert_int_equal(routes->hops[find(routes, "fd00::7").hop].dst_mac[5], 7);
	assert_int_equal(find(routes, "fd00::8").kind, SG_ROUTE_ON_LINK);

	world = find(routes, "2606:4700::1111");
	assert_int_equal(world.kind, SG_ROUTE_HOP);
	assert_int_equal(world.port, 0);
	assert_int_equal(routes->hops[world.hop].kind, SG_HOP_UNRESOLVED);
	pods = find(routes, "fd00:1:0:2::3");
	assert_int_equal(pods.kind, SG_ROUTE_HOP);
	assert_int_equal(pods.port, 1);
	assert_int_not_equal(pods.hop, world.hop);
	assert_int_equal(routes->hops[pods.hop].kind, SG_HOP_PORT);
	assert_int_equal(routes->hops[pods.hop].dst_mac[5], 1);
	sg_routes_unref(routes);
	sg_mirror_model_fini(&model);
}

static void ipv6_backends_and_gateways_are_asked_for(void **unused)
{
	struct sg_addr backends[] = {
		addr_of("fd00::7"), addr_of("fd00:1:0:2::3"), addr_of("fd00::1")};
	struct sg_mirror_model model;
	struct sg_addr next_hop, gateway = addr_of("fe80::1");
	struct questions questions;

	(void)unused;
	assert_int_equal(sg_mirror_model_init(&model, ports, 2), 0);
	take_routes(&model, two_addresses6, 3, routes6, 5);
	assert_int_equal(sg_mirror_model_keep(&model, backends, 3, 0), 0);
	questions = ask_at(&model, 0);
	assert_int_equal(questions.n, 3); // the gateways of both ports, and the backend on the link
	assert_string_equal(questions.text[0], "fe80::1");
	assert_string_equal(questions.text[1], "fe80::1");
	assert_string_equal(questions.text[2], "fd00::7");
	next_hop = sg_mirror_model_next_hop(&model, 1, &backends[1]);
	assert_true(sg_addr_equal(&next_hop, &gateway));
	next_hop = sg_mirror_model_next_hop(&model, 1, &backends[0]);
	assert_true(sg_addr_equal(&next_hop, &backends[0]));
	sg_mirror_model_fini(&model);
}

static void the_router_with_the_higher_preference_wins(void **unused)
{
	struct sg_mirror_route route = {.prefix.addr.family = SG_FAMILY_IPV6,
		.metric = 1024,
		.rank = 1,
		.kind = SG_ROUTE_HOP,
		.port = 0,
		.gateway = addr_of("fe80::1")};
	struct sg_mirror_model model;
	struct sg_routes *routes;

	(void)unused;
	assert_int_equal(sg_mirror_model_init(&model, ports, 2), 0);
	sg_mirror_model_begin_routes(&model);
	assert_int_equal(sg_mirror_model_add_route(&model, &route), 0);
	route.rank = 0;
	route.port = 1;
	assert_int_equal(sg_mirror_model_add_route(&model, &route), 0);
	route.metric = 2048;
	route.port = 0;
	assert_int_equal(sg_mirror_model_add_route(&model, &route), 0);
	assert_int_equal(sg_mirror_model_commit_routes(&model, 0), 0);
	routes = sg_mirror_model_build(&model);
	assert_int_equal(find(routes, "2001:db8::1").port, 1);
	sg_routes_unref(routes);
	sg_mirror_model_fini(&model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_address_has_its_way),
		cmocka_unit_test(the_better_route_wins),
		cmocka_unit_test(a_new_mac_is_new_content_at_the_same_index),
		cmocka_unit_test(only_a_changed_route_changes_the_generation),
		cmocka_unit_test(a_dump_forgets_who_is_not_in_it),
		cmocka_unit_test(backends_and_gateways_are_asked_for_until_they_answer),
		cmocka_unit_test(a_dead_backend_changes_nothing),
		cmocka_unit_test(a_silent_neighbour_is_believed_for_a_while_and_asked_for),
		cmocka_unit_test(kept_addresses_follow_the_routes),
		cmocka_unit_test(an_operators_entry_is_left_alone),
		cmocka_unit_test(an_operators_entry_is_not_let_go_of_either),
		cmocka_unit_test(ipv6_has_its_ways),
		cmocka_unit_test(ipv6_backends_and_gateways_are_asked_for),
		cmocka_unit_test(the_router_with_the_higher_preference_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
