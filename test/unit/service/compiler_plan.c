// The compiler's books under random changes: against a naive twin that knows only the rules of
// compiler.h, and for leaks.
#include "service/compiler_plan.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "net/headers.h"
#include "service/maglev.h"

enum {
	N_SERVICES = 6,
	N_BACKENDS = 10,
	N_WORKERS = 2,
	MAX_DEAD = 4000
};

// What the twin knows of one backend of one service.
struct twin_backend {
	bool wanted; // in the state
	bool ended;  // end_now was asked for since the last compile
	bool holds_slot;
	bool removed;
	uint32_t slot;
	uint16_t generation;
	uint64_t deadline_ms;
};

struct twin_death {
	uint32_t slot;
	uint16_t generation;
	uint64_t sweeps[N_WORKERS];
};

struct world {
	struct sg_settings settings;
	struct sg_compiler *compiler;
	struct sg_routes *routes[2];
	struct sg_state state;
	struct sg_snapshot *snapshot;
	uint64_t random;
	uint64_t now_ms;
	uint64_t sweeps[N_WORKERS];
	unsigned which_routes;
	struct twin_backend backends[N_SERVICES][N_BACKENDS];
	// Of the spec seen last.
	struct sg_addr last_vips[N_SERVICES][2];
	unsigned n_last_vips[N_SERVICES];
	bool last_announced[N_SERVICES];
	bool last_dnat[N_SERVICES];
	struct twin_death deaths[MAX_DEAD];
	unsigned n_deaths;
};

static unsigned pick(struct world *world, unsigned n)
{
	return (unsigned)(sg_random_next(&world->random) % n);
}

static const char *name_of(unsigned service)
{
	static char name[8];

	snprintf(name, sizeof(name), "s%u", service);
	return name;
}

// Every second backend is an IPv6 one.
static struct sg_addr address_of(unsigned service, unsigned backend)
{
	if (backend % 2)
		return (struct sg_addr){.family = SG_FAMILY_IPV6,
			.bytes = {0xfd, [7] = (uint8_t)service, [15] = (uint8_t)(backend + 1)}};
	return (struct sg_addr){.family = SG_FAMILY_IPV4,
		.bytes = {10, 0, (uint8_t)service, (uint8_t)(backend + 1)}};
}

// Each service has two addresses to choose from, and shares one of them with its neighbour.
static struct sg_addr vip_of(unsigned service, unsigned variant, enum sg_family family)
{
	uint8_t number = (uint8_t)(service / 2 + 10 * variant);

	if (family == SG_FAMILY_IPV6)
		return (struct sg_addr){
			.family = SG_FAMILY_IPV6, .bytes = {0x20, 0x01, 0x0d, 0xb8, [15] = number}};
	return (struct sg_addr){.family = SG_FAMILY_IPV4, .bytes = {192, 0, 2, number}};
}

static struct sg_routes *make_routes(uint16_t hop)
{
	struct sg_trie_entry entries[4] = {{.value = SG_ROUTE_VALUE(SG_ROUTE_HOP, 0, 1)},
		{.value = SG_ROUTE_VALUE(SG_ROUTE_HOP, 1, hop)},
		{.value = SG_ROUTE_VALUE(SG_ROUTE_HOP, 0, 4)},
		{.value = SG_ROUTE_VALUE(SG_ROUTE_HOP, 1, hop)}};
	struct sg_routes *routes = sg_routes_create_empty();

	assert_non_null(routes);
	assert_int_equal(sg_prefix_parse("10.0.0.0/16", &entries[0].prefix, NULL), 0);
	assert_int_equal(sg_prefix_parse("10.0.2.0/23", &entries[1].prefix, NULL), 0);
	assert_int_equal(sg_prefix_parse("fd00::/16", &entries[2].prefix, NULL), 0);
	assert_int_equal(sg_prefix_parse("fd00:0:0:2::/63", &entries[3].prefix, NULL), 0);
	sg_trie_unref(routes->ipv4);
	sg_trie_unref(routes->ipv6);
	routes->ipv4 = sg_trie_create(entries, 4, SG_FAMILY_IPV4);
	routes->ipv6 = sg_trie_create(entries, 4, SG_FAMILY_IPV6);
	assert_non_null(routes->ipv4);
	assert_non_null(routes->ipv6);
	return routes;
}

static struct world *create_world(uint64_t seed)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	world->random = seed;
	world->now_ms = 1000;
	sg_settings_init(&world->settings);
	world->compiler = sg_compiler_create(&world->settings);
	assert_non_null(world->compiler);
	world->routes[0] = make_routes(2);
	world->routes[1] = make_routes(3);
	sg_state_init(&world->state);
	return world;
}

static void destroy_world(struct world *world)
{
	sg_state_fini(&world->state);
	sg_compiler_destroy(world->compiler);
	sg_routes_unref(world->routes[0]);
	sg_routes_unref(world->routes[1]);
	free(world);
}

static struct sg_service_spec *make_spec(struct world *world, unsigned service)
{
	struct sg_service_spec *spec = sg_service_spec_create(name_of(service), "operator");
	unsigned families;

	assert_non_null(spec);
	families = 1 + pick(world, 3);
	if (families & 1)
		spec->vips[spec->n_vips++] = vip_of(service, pick(world, 2), SG_FAMILY_IPV4);
	if (families & 2)
		spec->vips[spec->n_vips++] = vip_of(service, pick(world, 2), SG_FAMILY_IPV6);
	spec->forward = pick(world, 3) ? SG_FORWARD_SNAT : SG_FORWARD_DNAT;
	spec->port = (uint16_t)(80 + service);
	spec->maglev_table_size = 251;
	spec->scheduler = (enum sg_scheduler)pick(world, SG_SCHEDULER_SH);
	spec->announce = pick(world, 4) ? SG_ANNOUNCE_ALWAYS : SG_ANNOUNCE_NEVER;
	return spec;
}

static void edit_backends(struct world *world, struct sg_service_spec *spec, unsigned service)
{
	for (unsigned n = pick(world, 4); n > 0; n--) {
		unsigned backend = pick(world, N_BACKENDS);
		struct sg_backend_spec wanted = {.address = address_of(service, backend),
			.port = 80,
			.weight = (uint16_t)pick(world, 4),
			.draining = pick(world, 5) == 0};

		if (pick(world, 5) < 3)
			assert_int_equal(sg_service_spec_put_backend(spec, &wanted), 0);
		else
			sg_service_spec_remove_backend(spec, &wanted.address, 80);
	}
}

static void edit_service(struct world *world)
{
	unsigned service = pick(world, N_SERVICES);
	struct sg_service_spec *spec = sg_state_find(&world->state, name_of(service));

	if (spec && pick(world, 10) == 0) {
		assert_int_equal(sg_state_remove(&world->state, name_of(service)), 0);
		return;
	}
	spec = spec && pick(world, 10) ? sg_service_spec_clone(spec) : make_spec(world, service);
	assert_non_null(spec);
	edit_backends(world, spec, service);
	assert_int_equal(sg_state_put(&world->state, spec), 0);
}

static void end_some_now(struct world *world)
{
	for (unsigned n = pick(world, 3); n > 0; n--) {
		unsigned service = pick(world, N_SERVICES), backend = pick(world, N_BACKENDS);
		struct sg_addr address = address_of(service, backend);

		sg_compiler_end_now(world->compiler, name_of(service), &address, 80);
		world->backends[service][backend].ended = true;
	}
}

static void let_time_pass(struct world *world)
{
	world->now_ms += pick(world, 4) ? pick(world, 1000) : pick(world, 20000);
	for (unsigned i = 0; i < N_WORKERS; i++)
		world->sweeps[i] += pick(world, 2);
	if (pick(world, 2))
		sg_compiler_note_sweeps(world->compiler, world->sweeps, N_WORKERS);
	if (pick(world, 20) == 0)
		world->which_routes ^= 1;
}

static struct sg_compilation *prepare(struct world *world)
{
	struct sg_compilation *compilation;
	struct sg_error error;

	assert_int_equal(
		sg_compiler_prepare(world->compiler, &world->state,
			world->routes[world->which_routes], world->now_ms, &compilation, &error),
		0);
	return compilation;
}

// In one step or in two: the same comes of it.
static void compile(struct world *world)
{
	struct sg_snapshot *before = world->snapshot;
	struct sg_error error;

	if (pick(world, 2))
		world->snapshot = sg_compiler_commit(world->compiler, prepare(world));
	else
		assert_int_equal(sg_compiler_compile(world->compiler, &world->state,
					 world->routes[world->which_routes], world->now_ms,
					 &world->snapshot, &error),
			0);
	if (before)
		sg_compiler_reclaim(world->compiler, before);
}

static void step(struct world *world)
{
	for (unsigned n = pick(world, 3); n > 0; n--)
		edit_service(world);
	// What is prepared and thrown away has never been.
	if (pick(world, 10) == 0)
		sg_compiler_drop(world->compiler, prepare(world));
	if (pick(world, 5) == 0)
		end_some_now(world);
	let_time_pass(world);
	compile(world);
}

static const struct sg_service_spec *spec_of(const struct world *world, unsigned service)
{
	return sg_state_find(&world->state, name_of(service));
}

// A slot that was given out anew: nobody else has it, and whoever died in it has rested.
static void check_new_slot(struct world *world, const struct twin_backend *twin)
{
	for (unsigned service = 0; service < N_SERVICES; service++)
		for (unsigned backend = 0; backend < N_BACKENDS; backend++) {
			const struct twin_backend *other = &world->backends[service][backend];

			assert_false(
				other != twin && other->holds_slot && other->slot == twin->slot);
		}
	for (unsigned i = 0; i < world->n_deaths; i++) {
		const struct twin_death *death = &world->deaths[i];

		if (death->slot != twin->slot)
			continue;
		assert_int_not_equal(death->generation, twin->generation);
		for (unsigned worker = 0; worker < N_WORKERS; worker++)
			assert_true(world->sweeps[worker] >= death->sweeps[worker] + 2);
		world->deaths[i] = world->deaths[--world->n_deaths];
		return;
	}
}

static void twin_wants(struct world *world, unsigned service, unsigned backend)
{
	struct twin_backend *twin = &world->backends[service][backend];
	struct sg_addr address = address_of(service, backend);
	uint32_t slot =
		sg_compiler_find_backend_slot(world->compiler, name_of(service), &address, 80);

	assert_int_not_equal(slot, UINT32_MAX);
	if (!twin->holds_slot) {
		twin->slot = slot;
		twin->generation = sg_snapshot_backend(world->snapshot, slot)->generation;
		twin->holds_slot = true;
		check_new_slot(world, twin);
	}
	twin->removed = false;
	assert_int_equal(slot, twin->slot);
}

static void twin_lacks(struct world *world, unsigned service, unsigned backend)
{
	struct twin_backend *twin = &world->backends[service][backend];

	if (!twin->holds_slot)
		return;
	if (twin->ended || (twin->removed && twin->deadline_ms <= world->now_ms)) {
		struct twin_death *death = &world->deaths[world->n_deaths++];

		assert_true(world->n_deaths < MAX_DEAD);
		*death = (struct twin_death){.slot = twin->slot, .generation = twin->generation};
		memcpy(death->sweeps, world->sweeps, sizeof(death->sweeps));
		twin->holds_slot = twin->removed = false;
	} else if (!twin->removed) {
		twin->removed = true;
		twin->deadline_ms = world->now_ms + 30000;
	}
}

// Deaths first: a slot that is given out in the same compile as another dies is not the same slot.
static void update_twin(struct world *world)
{
	for (int wanted = 0; wanted < 2; wanted++)
		for (unsigned service = 0; service < N_SERVICES; service++)
			for (unsigned backend = 0; backend < N_BACKENDS; backend++) {
				const struct sg_service_spec *spec = spec_of(world, service);
				struct sg_addr address = address_of(service, backend);
				bool has = spec && sg_service_spec_find_backend(spec, &address, 80);

				if (has && wanted)
					twin_wants(world, service, backend);
				else if (!has && !wanted)
					twin_lacks(world, service, backend);
				if (wanted)
					world->backends[service][backend].ended = false;
			}
}

static void check_backend(const struct world *world, unsigned service, unsigned number)
{
	const struct twin_backend *twin = &world->backends[service][number];
	const struct sg_service_spec *spec = spec_of(world, service);
	struct sg_addr address = address_of(service, number);
	const struct sg_backend_spec *wanted =
		spec ? sg_service_spec_find_backend(spec, &address, 80) : NULL;
	const struct sg_backend *backend;
	struct sg_route_answer answer;
	unsigned life = SG_BACKEND_REMOVED;

	if (!twin->holds_slot)
		return;
	if (wanted)
		life = wanted->draining || wanted->weight == 0 ? SG_BACKEND_DRAINING
							       : SG_BACKEND_ACTIVE;
	backend = sg_snapshot_backend(world->snapshot, twin->slot);
	assert_int_equal(backend->life, life);
	assert_int_equal(backend->generation, twin->generation);
	assert_int_equal(sg_snapshot_backend_word(world->snapshot, twin->slot),
		SG_BACKEND_WORD(twin->generation, life));
	assert_true(sg_addr_equal(&backend->addr, &address));
	assert_int_equal(backend->addr4_be,
		address.family == SG_FAMILY_IPV4 ? sg_addr_ipv4_be(&address) : 0);
	assert_int_equal(backend->port_be, htons(80));
	if (wanted)
		assert_int_equal(backend->weight, wanted->weight);
	assert_string_equal(
		world->snapshot->services[backend->service_slot]->spec->name, name_of(service));
	answer = address.family == SG_FAMILY_IPV4
			 ? sg_routes_find4(world->snapshot->routes, backend->addr4_be)
			 : sg_routes_find6(world->snapshot->routes, address.bytes);
	assert_int_equal(backend->hop, answer.hop);
	assert_int_equal(backend->route_kind, answer.kind);
	assert_int_equal(backend->route_port, answer.port);
}

static void check_deaths(const struct world *world)
{
	for (unsigned i = 0; i < world->n_deaths; i++) {
		const struct twin_death *death = &world->deaths[i];
		uint32_t word = sg_snapshot_backend_word(world->snapshot, death->slot);
		uint32_t owner = sg_snapshot_backend(world->snapshot, death->slot)->service_slot;

		assert_int_equal(word, SG_BACKEND_WORD(death->generation, SG_BACKEND_DEAD));
		// Until the slot has rested, people are told whose flows these are.
		if (world->sweeps[0] < death->sweeps[0] + 2)
			assert_non_null(world->snapshot->services[owner]);
	}
}

static bool is_usable_in(const struct sg_backend_spec *spec, enum sg_family family)
{
	return spec->weight > 0 && !spec->draining && spec->address.family == family;
}

static void check_maglev(
	const struct sg_service_spec *spec, const struct sg_backend_set *set, enum sg_family family)
{
	struct sg_maglev_backend backends[N_BACKENDS];
	uint16_t table[251];
	unsigned n = 0;

	for (unsigned i = 0; i < spec->n_backends; i++)
		if (is_usable_in(&spec->backends[i], family))
			backends[n++] =
				(struct sg_maglev_backend){.addr = spec->backends[i].address,
					.port = spec->backends[i].port,
					.weight = spec->backends[i].weight};
	assert_int_equal(set->n_backends, n);
	if (n == 0) {
		assert_null(set->table);
		return;
	}
	assert_int_equal(sg_maglev_build(backends, n, 0, table, 251), 0);
	assert_memory_equal(set->table, table, sizeof(table));
}

static void check_set(const struct world *world, const struct sg_service_spec *spec,
	const struct sg_backend_set *set, enum sg_family family)
{
	uint32_t total_weight = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < spec->n_backends; i++) {
		if (!is_usable_in(&spec->backends[i], family))
			continue;
		assert_true(n < set->n_backends);
		assert_int_equal(
			set->backend_slots[n], sg_compiler_find_backend_slot(world->compiler,
						       spec->name, &spec->backends[i].address, 80));
		assert_int_equal(set->weights[n++], spec->backends[i].weight);
		total_weight += spec->backends[i].weight;
	}
	assert_int_equal(set->n_backends, n);
	assert_int_equal(set->total_weight, total_weight);
	if (spec->scheduler == SG_SCHEDULER_MAGLEV)
		check_maglev(spec, set, family);
}

static const struct sg_service *find_service(
	const struct world *world, const struct sg_addr *vip, uint16_t port)
{
	if (vip->family == SG_FAMILY_IPV6)
		return sg_snapshot_find_service6(
			world->snapshot, vip->bytes, htons(port), SG_PROTO_TCP);
	return sg_snapshot_find_service4(
		world->snapshot, sg_addr_ipv4_be(vip), htons(port), SG_PROTO_TCP);
}

static bool has_vip(const struct sg_service_spec *spec, const struct sg_addr *vip)
{
	for (unsigned i = 0; spec && i < spec->n_vips; i++)
		if (sg_addr_equal(&spec->vips[i], vip))
			return true;
	return false;
}

static void check_service(const struct world *world, unsigned number)
{
	const struct sg_service_spec *spec = spec_of(world, number);
	const struct sg_service *service;

	for (unsigned variant = 0; variant < 4; variant++) {
		struct sg_addr vip =
			vip_of(number, variant / 2, variant % 2 ? SG_FAMILY_IPV6 : SG_FAMILY_IPV4);

		service = find_service(world, &vip, (uint16_t)(80 + number));
		assert_int_equal(service != NULL, has_vip(spec, &vip));
		if (service)
			assert_string_equal(service->spec->name, spec->name);
	}
	if (!spec)
		return;
	service =
		world->snapshot
			->services[sg_compiler_find_service_slot(world->compiler, name_of(number))];
	assert_true(sg_service_spec_equal(service->spec, spec));
	check_set(world, spec, &service->sets[SG_SET_IPV4], SG_FAMILY_IPV4);
	check_set(world, spec, &service->sets[SG_SET_IPV6], SG_FAMILY_IPV6);
}

// What the last byte of an address says it should be.
static void want_addresses(const struct world *world, unsigned service, uint32_t wanted[2][256])
{
	for (unsigned i = 0; i < world->n_last_vips[service]; i++) {
		const struct sg_addr *vip = &world->last_vips[service][i];
		bool ipv6 = vip->family == SG_FAMILY_IPV6;

		wanted[ipv6][vip->bytes[ipv6 ? 15 : 3]] |=
			SG_ADDRESS_VIP | (world->last_announced[service] ? SG_ADDRESS_ANNOUNCE : 0);
	}
}

static void note_spec(struct world *world, unsigned service, const struct sg_service_spec *spec)
{
	memcpy(world->last_vips[service], spec->vips, sizeof(spec->vips));
	world->n_last_vips[service] = spec->n_vips;
	world->last_announced[service] = spec->announce == SG_ANNOUNCE_ALWAYS;
	world->last_dnat[service] = spec->forward == SG_FORWARD_DNAT;
}

// An address is a VIP while a service has it, or had it last and still drains.
static void check_addresses(struct world *world)
{
	uint32_t wanted[2][256] = {{0}};

	for (unsigned service = 0; service < N_SERVICES; service++) {
		const struct sg_service_spec *spec = spec_of(world, service);
		bool drains = false;

		if (spec)
			note_spec(world, service, spec);
		for (unsigned backend = 0; backend < N_BACKENDS; backend++)
			drains = drains || world->backends[service][backend].removed;
		if (spec || drains)
			want_addresses(world, service, wanted);
	}
	for (unsigned i = 0; i < 20; i++) {
		struct sg_addr addr4 = {.family = SG_FAMILY_IPV4, .bytes = {192, 0, 2, (uint8_t)i}};
		uint8_t addr6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = (uint8_t)i};

		assert_int_equal(sg_snapshot_address4(world->snapshot, sg_addr_ipv4_be(&addr4)),
			wanted[0][i]);
		assert_int_equal(sg_snapshot_address6(world->snapshot, addr6), wanted[1][i]);
	}
}

// The backends of dnat services are known by their address, while they may have flows.
static void check_dnat(const struct world *world)
{
	for (unsigned service = 0; service < N_SERVICES; service++)
		for (unsigned backend = 0; backend < N_BACKENDS; backend++) {
			const struct twin_backend *twin = &world->backends[service][backend];
			struct sg_addr address = address_of(service, backend);
			uint32_t found;

			if (address.family == SG_FAMILY_IPV6)
				found = sg_index6_find(world->snapshot->dnat6, address.bytes,
					SG_VIP6_REST(htons(80), SG_PROTO_TCP));
			else
				found = sg_index_find(world->snapshot->dnat4,
					SG_VIP_KEY(sg_addr_ipv4_be(&address), htons(80),
						SG_PROTO_TCP));
			if (twin->holds_slot && world->last_dnat[service])
				assert_int_equal(found, twin->slot);
			else
				assert_int_equal(found, SG_INDEX_NONE);
		}
}

static void check_deadline(const struct world *world)
{
	uint64_t next_ms = UINT64_MAX;

	for (unsigned service = 0; service < N_SERVICES; service++)
		for (unsigned backend = 0; backend < N_BACKENDS; backend++) {
			const struct twin_backend *twin = &world->backends[service][backend];

			if (twin->removed && twin->deadline_ms < next_ms)
				next_ms = twin->deadline_ms;
		}
	assert_true(sg_compiler_next_deadline_ms(world->compiler) == next_ms);
}

static void random_changes_agree_with_twin(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct world *world = create_world(seed);

		for (int i = 0; i < 4000; i++) {
			step(world);
			update_twin(world);
			for (unsigned service = 0; service < N_SERVICES; service++) {
				check_service(world, service);
				for (unsigned backend = 0; backend < N_BACKENDS; backend++)
					check_backend(world, service, backend);
			}
			check_deaths(world);
			check_addresses(world);
			check_dnat(world);
			check_deadline(world);
		}
		destroy_world(world);
	}
}

// Slots, books and memory must not creep: after 100,000 changes they are what they were after
// 20,000.
static void nothing_grows_over_100000_changes(void **unused)
{
	struct world *world = create_world(99);
	size_t bytes = 0;

	(void)unused;
	for (int i = 0; i < 100000; i++) {
		step(world);
		if (i == 20000)
			bytes = mallinfo2().uordblks;
	}
	assert_true(mallinfo2().uordblks < bytes + 100000);
	assert_true(world->snapshot->n_pages <= 2);
	assert_true(world->snapshot->n_service_slots <= 3 * N_SERVICES);
	destroy_world(world);
}

// Several snapshots wait for reclaim, and go in any order.
static void snapshots_are_reclaimed_in_any_order(void **unused)
{
	struct world *world = create_world(5);
	struct sg_snapshot *waiting[8] = {0};

	(void)unused;
	step(world);
	for (int i = 0; i < 5000; i++) {
		struct sg_snapshot **victim = &waiting[pick(world, 8)];
		struct sg_snapshot *before = world->snapshot;

		world->snapshot = NULL;
		step(world);
		if (*victim)
			sg_compiler_reclaim(world->compiler, *victim);
		*victim = before;
	}
	for (int i = 0; i < 8; i++)
		if (waiting[i])
			sg_compiler_reclaim(world->compiler, waiting[i]);
	destroy_world(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_changes_agree_with_twin),
		cmocka_unit_test(nothing_grows_over_100000_changes),
		cmocka_unit_test(snapshots_are_reclaimed_in_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
