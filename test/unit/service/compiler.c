// The compiler: what it makes of services and routes, and what it shares.
#include "service/compiler.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "compiler_rig.h"
#include "service/maglev.h"

static void an_empty_state_compiles(void **unused)
{
	struct rig rig;

	(void)unused;
	setup(&rig);
	compile(&rig);
	assert_int_equal(rig.snapshot->generation, 1);
	assert_null(service_at(&rig, "192.0.2.10", 80));
	assert_int_equal(sg_snapshot_address4(rig.snapshot, ipv4_be("192.0.2.10")), 0);
	assert_int_equal(sg_snapshot_address4(rig.snapshot, ipv4_be("10.0.0.100")),
		SG_ADDRESS_SNAT | SG_ADDRESS_ANNOUNCE);
	assert_true(sg_compiler_next_deadline_ms(rig.compiler) == UINT64_MAX);
	teardown(&rig);
	sg_compiler_destroy(NULL);
}

static void a_service_is_compiled_whole(void **unused)
{
	struct sg_service_spec *spec = make_service("web", "192.0.2.10", 80);
	struct sg_prefix prefix;
	const struct sg_service *service;
	struct rig rig;

	(void)unused;
	setup(&rig);
	add_backend(spec, "10.0.0.1", 3);
	add_backend(spec, "10.0.0.2", 0);
	add_backend(spec, "10.0.0.3", 5);
	add_backend(spec, "10.0.0.4", 7);
	spec->backends[3].draining = true;
	assert_int_equal(sg_prefix_parse("198.51.100.0/24", &prefix, NULL), 0);
	assert_int_equal(sg_policy_spec_add_allow(&spec->policy, &prefix), 0);
	spec->announce = SG_ANNOUNCE_NEVER;
	put(&rig, spec);
	compile(&rig);

	service = service_at(&rig, "192.0.2.10", 80);
	assert_non_null(service);
	assert_ptr_equal(service->spec, spec);
	assert_int_equal(service->slot, sg_compiler_find_service_slot(rig.compiler, "web"));
	assert_int_equal(service->sets[SG_SET_IPV4].n_backends, 2);
	assert_int_equal(service->sets[SG_SET_IPV4].total_weight, 8);
	assert_int_equal(
		service->sets[SG_SET_IPV4].backend_slots[0], slot_of(&rig, "web", "10.0.0.1"));
	assert_int_equal(
		service->sets[SG_SET_IPV4].backend_slots[1], slot_of(&rig, "web", "10.0.0.3"));
	assert_int_equal(service->sets[SG_SET_IPV4].weights[1], 5);
	assert_int_equal(service->sets[SG_SET_IPV4].table_size, 251);
	assert_int_equal(
		sg_policy_judge4(service->policy, ipv4_be("198.51.100.9")), SG_POLICY_ALLOWED);
	assert_int_equal(
		sg_policy_judge4(service->policy, ipv4_be("198.51.101.9")), SG_POLICY_NOT_ALLOWED);
	assert_int_equal(life_of(&rig, slot_of(&rig, "web", "10.0.0.1")), SG_BACKEND_ACTIVE);
	assert_int_equal(life_of(&rig, slot_of(&rig, "web", "10.0.0.2")), SG_BACKEND_DRAINING);
	assert_int_equal(life_of(&rig, slot_of(&rig, "web", "10.0.0.4")), SG_BACKEND_DRAINING);
	assert_int_equal(sg_snapshot_address4(rig.snapshot, ipv4_be("192.0.2.10")), SG_ADDRESS_VIP);
	teardown(&rig);
}

static void a_dual_stack_service_has_a_set_for_each_family(void **unused)
{
	struct sg_service_spec *spec = make_service("web", "192.0.2.10", 80);
	const struct sg_backend_set *set;
	const struct sg_service *service;
	struct sg_prefix prefix;
	struct rig rig;

	(void)unused;
	setup(&rig);
	rig.settings.snat_addresses[1] = addr_of("fd00::100");
	rig.settings.n_snat_addresses = 2;
	spec->vips[1] = addr_of("2001:db8::10");
	spec->n_vips = 2;
	add_backend(spec, "fd00::2", 4);
	add_backend(spec, "10.0.0.1", 3);
	add_backend(spec, "fd00::1", 2);
	assert_int_equal(sg_prefix_parse("2001:db8:7::/48", &prefix, NULL), 0);
	assert_int_equal(sg_policy_spec_add_allow(&spec->policy, &prefix), 0);
	put(&rig, spec);
	compile(&rig);

	service = service_at(&rig, "192.0.2.10", 80);
	assert_non_null(service);
	assert_ptr_equal(sg_snapshot_find_service6(rig.snapshot, addr_of("2001:db8::10").bytes,
				 htons(80), SG_PROTO_TCP),
		service);
	assert_null(sg_snapshot_find_service6(
		rig.snapshot, addr_of("2001:db8::10").bytes, htons(80), SG_PROTO_UDP));
	assert_memory_equal(service->vip6, addr_of("2001:db8::10").bytes, 16);
	set = &service->sets[SG_SET_IPV4];
	assert_int_equal(set->n_backends, 1);
	assert_int_equal(set->total_weight, 3);
	assert_int_equal(set->table_size, 251);
	set = &service->sets[SG_SET_IPV6];
	assert_int_equal(set->n_backends, 2);
	assert_int_equal(set->total_weight, 6);
	assert_int_equal(set->table_size, 251);
	assert_int_equal(set->backend_slots[0], slot_of(&rig, "web", "fd00::1"));
	assert_int_equal(set->backend_slots[1], slot_of(&rig, "web", "fd00::2"));
	assert_int_equal(set->weights[0], 2);
	assert_int_equal(sg_policy_judge6(service->policy, addr_of("2001:db8:7::1").bytes),
		SG_POLICY_ALLOWED);
	assert_int_equal(sg_policy_judge6(service->policy, addr_of("2001:db8:8::1").bytes),
		SG_POLICY_NOT_ALLOWED);
	assert_int_equal(
		sg_policy_judge4(service->policy, ipv4_be("198.51.100.9")), SG_POLICY_NOT_ALLOWED);
	assert_int_equal(sg_snapshot_address6(rig.snapshot, addr_of("2001:db8::10").bytes),
		SG_ADDRESS_VIP | SG_ADDRESS_ANNOUNCE);
	assert_int_equal(sg_snapshot_address6(rig.snapshot, addr_of("fd00::100").bytes),
		SG_ADDRESS_SNAT | SG_ADDRESS_ANNOUNCE);
	assert_int_equal(sg_snapshot_address6(rig.snapshot, addr_of("fd00::1").bytes), 0);
	teardown(&rig);
}

static void each_scheduler_gets_its_table(void **unused)
{
	struct rig rig;

	(void)unused;
	setup(&rig);
	for (int scheduler = 0; scheduler < SG_SCHEDULER_SH; scheduler++) {
		struct sg_service_spec *spec = make_service("web", "192.0.2.10", 80);
		const struct sg_service *service;

		spec->scheduler = (enum sg_scheduler)scheduler;
		add_backend(spec, "10.0.0.1", 2);
		add_backend(spec, "10.0.0.2", 1);
		put(&rig, spec);
		compile(&rig);
		service = service_at(&rig, "192.0.2.10", 80);
		assert_int_equal(service->scheduler, scheduler);
		assert_int_equal(service->sets[SG_SET_IPV4].table_size,
			scheduler == SG_SCHEDULER_MAGLEV ? 251
			: scheduler == SG_SCHEDULER_WRR  ? 3
							 : 0);
		assert_int_equal(service->sets[SG_SET_IPV4].table != NULL,
			service->sets[SG_SET_IPV4].table_size > 0);
	}
	teardown(&rig);
}

static void what_did_not_change_is_shared(void **unused)
{
	struct sg_service_spec *dns = make_service("dns", "192.0.2.20", 53);
	struct sg_snapshot *before;
	uint32_t dns_slot, web_slot;
	struct rig rig;

	(void)unused;
	setup(&rig);
	// 300 backends of dns, so that web's are on another page.
	for (unsigned i = 0; i < 300; i++) {
		char text[SG_ADDR_TEXT_BYTES];

		snprintf(text, sizeof(text), "10.1.%u.%u", i / 200, i % 200);
		add_backend(dns, text, 1);
	}
	put(&rig, dns);
	put_web(&rig, 2);
	compile(&rig);
	dns_slot = sg_compiler_find_service_slot(rig.compiler, "dns");
	web_slot = sg_compiler_find_service_slot(rig.compiler, "web");

	put_web(&rig, 3);
	before = compile_keeping(&rig);
	assert_int_equal(rig.snapshot->generation, before->generation + 1);
	assert_ptr_equal(rig.snapshot->services[dns_slot], before->services[dns_slot]);
	assert_ptr_not_equal(rig.snapshot->services[web_slot], before->services[web_slot]);
	assert_ptr_equal(rig.snapshot->pages[0], before->pages[0]);
	assert_ptr_not_equal(rig.snapshot->pages[1], before->pages[1]);
	assert_ptr_equal(rig.snapshot->vips4, before->vips4);
	assert_ptr_equal(rig.snapshot->vips6, before->vips6);
	assert_ptr_equal(rig.snapshot->addresses4, before->addresses4);
	assert_ptr_equal(rig.snapshot->addresses6, before->addresses6);
	sg_compiler_reclaim(rig.compiler, before);

	// The same content in another spec, as an apply brings it: nothing is compiled.
	put_web(&rig, 3);
	before = compile_keeping(&rig);
	assert_ptr_equal(rig.snapshot->services[web_slot], before->services[web_slot]);
	assert_ptr_equal(rig.snapshot->pages[1], before->pages[1]);
	sg_compiler_reclaim(rig.compiler, before);
	teardown(&rig);
}

static void a_policy_that_stays_is_shared(void **unused)
{
	struct sg_shared_policy *policy = sg_shared_policy_create(), *same;
	struct sg_snapshot *before;
	struct sg_prefix prefix;
	struct rig rig;

	(void)unused;
	setup(&rig);
	assert_non_null(policy);
	assert_int_equal(sg_prefix_parse("198.51.100.0/24", &prefix, NULL), 0);
	assert_int_equal(sg_policy_spec_add_deny(&policy->spec, &prefix), 0);
	sg_state_set_policy(&rig.state, policy);
	put_web(&rig, 1);
	compile(&rig);
	assert_int_equal(
		sg_policy_judge4(rig.snapshot->policy, ipv4_be("198.51.100.9")), SG_POLICY_DENIED);

	same = sg_shared_policy_clone(policy);
	assert_non_null(same);
	sg_state_set_policy(&rig.state, same);
	put_web(&rig, 2);
	before = compile_keeping(&rig);
	assert_ptr_equal(rig.snapshot->policy, before->policy);
	sg_compiler_reclaim(rig.compiler, before);

	sg_state_set_policy(&rig.state, NULL);
	compile(&rig);
	assert_null(rig.snapshot->policy);
	teardown(&rig);
}

static void a_change_of_announce_alone_shares_the_vips(void **unused)
{
	struct sg_service_spec *spec = make_service("web", "192.0.2.10", 80);
	struct sg_snapshot *before;
	struct rig rig;

	(void)unused;
	setup(&rig);
	put_web(&rig, 0);
	compile(&rig);
	assert_int_equal(sg_snapshot_address4(rig.snapshot, ipv4_be("192.0.2.10")),
		SG_ADDRESS_VIP | SG_ADDRESS_ANNOUNCE);
	spec->announce = SG_ANNOUNCE_NEVER;
	put(&rig, spec);
	before = compile_keeping(&rig);
	assert_ptr_equal(rig.snapshot->vips4, before->vips4);
	assert_ptr_equal(rig.snapshot->vips6, before->vips6);
	assert_ptr_not_equal(rig.snapshot->addresses4, before->addresses4);
	assert_ptr_not_equal(rig.snapshot->addresses6, before->addresses6);
	assert_int_equal(sg_snapshot_address4(rig.snapshot, ipv4_be("192.0.2.10")), SG_ADDRESS_VIP);
	sg_compiler_reclaim(rig.compiler, before);
	teardown(&rig);
}

static struct sg_routes *routes_over_gateway(const char *prefix, uint16_t hop)
{
	struct sg_trie_entry entry = {.value = SG_ROUTE_VALUE(SG_ROUTE_HOP, 1, hop)};
	struct sg_routes *routes = sg_routes_create_empty();

	assert_non_null(routes);
	assert_int_equal(sg_prefix_parse(prefix, &entry.prefix, NULL), 0);
	sg_trie_unref(routes->ipv4);
	routes->ipv4 = sg_trie_create(&entry, 1, SG_FAMILY_IPV4);
	assert_non_null(routes->ipv4);
	return routes;
}

static void use_routes(struct rig *rig, struct sg_routes *routes)
{
	sg_routes_unref(rig->routes);
	rig->routes = routes;
}

static void changed_routes_change_hops_and_nothing_else(void **unused)
{
	const struct sg_backend *near, *far;
	struct sg_snapshot *before;
	struct rig rig;

	(void)unused;
	setup(&rig);
	put_web(&rig, 1);
	add_backend(sg_state_find(&rig.state, "web"), "10.9.0.1", 1);
	compile(&rig);
	far = sg_snapshot_backend(rig.snapshot, slot_of(&rig, "web", "10.9.0.1"));
	assert_int_equal(far->route_kind, SG_ROUTE_NONE);

	use_routes(&rig, routes_over_gateway("10.9.0.0/16", 7));
	before = compile_keeping(&rig);
	far = sg_snapshot_backend(rig.snapshot, slot_of(&rig, "web", "10.9.0.1"));
	near = sg_snapshot_backend(rig.snapshot, slot_of(&rig, "web", "10.0.0.1"));
	assert_int_equal(far->route_kind, SG_ROUTE_HOP);
	assert_int_equal(far->route_port, 1);
	assert_int_equal(far->hop, 7);
	assert_int_equal(near->route_kind, SG_ROUTE_NONE);
	assert_ptr_equal(rig.snapshot->services[0], before->services[0]);
	assert_ptr_equal(rig.snapshot->vips4, before->vips4);
	assert_ptr_equal(rig.snapshot->vips6, before->vips6);
	sg_compiler_reclaim(rig.compiler, before);

	// Other routes by which the backends go the same way: the page is shared.
	use_routes(&rig, routes_over_gateway("10.9.0.0/24", 7));
	before = compile_keeping(&rig);
	assert_ptr_equal(rig.snapshot->pages[0], before->pages[0]);
	sg_compiler_reclaim(rig.compiler, before);
	teardown(&rig);
}

static void a_full_compiler_refuses_and_goes_on(void **unused)
{
	enum {
		FULL = SG_MAX_BACKENDS / SG_MAX_SERVICE_BACKENDS
	};
	struct sg_service_spec *one_more = make_service("one-more", "192.0.3.1", 80);
	struct sg_addr address = addr_of("10.0.0.1");
	struct sg_snapshot *snapshot;
	uint32_t slot;
	struct sg_error error;
	struct rig rig;

	(void)unused;
	setup(&rig);
	for (unsigned i = 0; i < FULL; i++) {
		char name[SG_MAX_NAME_BYTES];
		struct sg_service_spec *spec;

		snprintf(name, sizeof(name), "s%u", i);
		spec = make_service(name, "192.0.2.10", (uint16_t)(1 + i));
		spec->scheduler = SG_SCHEDULER_RR;
		for (unsigned b = 0; b < SG_MAX_SERVICE_BACKENDS; b++) {
			struct sg_backend_spec backend = {.address = addr_of("10.0.0.1"),
				.port = (uint16_t)(1 + b),
				.weight = 1};

			assert_int_equal(sg_service_spec_put_backend(spec, &backend), 0);
		}
		put(&rig, spec);
	}
	compile(&rig);
	snapshot = rig.snapshot;
	sg_compiler_end_now(rig.compiler, "s0", &address, 1);
	add_backend(one_more, "10.0.0.1", 1);
	put(&rig, one_more);
	assert_int_equal(sg_compiler_compile(rig.compiler, &rig.state, rig.routes, rig.now_ms,
				 &rig.snapshot, &error),
		-ENOSPC);
	assert_non_null(strstr(error.text, "no backend slot is free"));
	assert_ptr_equal(rig.snapshot, snapshot);
	assert_int_equal(sg_compiler_find_service_slot(rig.compiler, "one-more"), UINT32_MAX);
	assert_int_equal(sg_state_remove(&rig.state, "one-more"), 0);

	// The end_now of the change that was refused is forgotten.
	slot = sg_compiler_find_backend_slot(rig.compiler, "s0", &address, 1);
	put(&rig, make_service("s0", "192.0.2.10", 1));
	compile(&rig);
	assert_int_equal(life_of(&rig, slot), SG_BACKEND_REMOVED);
	assert_int_equal(rig.snapshot->generation, 2);
	assert_int_equal(rig.snapshot->n_service_slots, FULL);
	teardown(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_state_compiles),
		cmocka_unit_test(a_service_is_compiled_whole),
		cmocka_unit_test(a_dual_stack_service_has_a_set_for_each_family),
		cmocka_unit_test(each_scheduler_gets_its_table),
		cmocka_unit_test(what_did_not_change_is_shared),
		cmocka_unit_test(a_policy_that_stays_is_shared),
		cmocka_unit_test(a_change_of_announce_alone_shares_the_vips),
		cmocka_unit_test(changed_routes_change_hops_and_nothing_else),
		cmocka_unit_test(a_full_compiler_refuses_and_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
