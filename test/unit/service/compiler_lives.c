// How the slots of backends and services live and die, by a fake clock.
#include "service/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "compiler_rig.h"

static void a_removed_backend_drains_dies_and_rests(void **unused)
{
	uint32_t slot, generation;
	struct rig rig;

	(void)unused;
	setup(&rig);
	put_web(&rig, 2);
	compile(&rig);
	slot = slot_of(&rig, "web", "10.0.0.2");
	generation = sg_snapshot_backend(rig.snapshot, slot)->generation;
	assert_int_not_equal(generation, 0);

	put_web(&rig, 1);
	compile(&rig);
	assert_int_equal(life_of(&rig, slot), SG_BACKEND_REMOVED);
	assert_int_equal(slot_of(&rig, "web", "10.0.0.2"), UINT32_MAX);
	assert_int_equal(service_at(&rig, "192.0.2.10", 80)->sets[SG_SET_IPV4].n_backends, 1);
	assert_int_equal(sg_compiler_next_deadline_ms(rig.compiler), rig.now_ms + DRAIN_MS);

	rig.now_ms += DRAIN_MS - 1;
	compile(&rig);
	assert_int_equal(life_of(&rig, slot), SG_BACKEND_REMOVED);
	rig.now_ms++;
	compile(&rig);
	assert_int_equal(life_of(&rig, slot), SG_BACKEND_DEAD);
	assert_true(sg_compiler_next_deadline_ms(rig.compiler) == UINT64_MAX);

	// While it rests, the same backend gets another slot; after that, the slot gets another
	// generation.
	sweep(&rig, 2);
	put_web(&rig, 2);
	compile(&rig);
	assert_int_not_equal(slot_of(&rig, "web", "10.0.0.2"), slot);
	assert_int_equal(life_of(&rig, slot), SG_BACKEND_DEAD);
	sweep(&rig, 2);
	put_web(&rig, 3);
	compile(&rig);
	assert_int_equal(slot_of(&rig, "web", "10.0.0.3"), slot);
	assert_int_equal(sg_snapshot_backend(rig.snapshot, slot)->generation, generation + 1);
	teardown(&rig);
}

static void a_backend_that_comes_back_in_time_is_revived(void **unused)
{
	uint32_t slot, word;
	struct rig rig;

	(void)unused;
	setup(&rig);
	put_web(&rig, 2);
	compile(&rig);
	slot = slot_of(&rig, "web", "10.0.0.2");
	word = sg_snapshot_backend_word(rig.snapshot, slot);
	put_web(&rig, 1);
	compile(&rig);
	rig.now_ms += DRAIN_MS - 1;
	put_web(&rig, 2);
	compile(&rig);
	assert_int_equal(slot_of(&rig, "web", "10.0.0.2"), slot);
	assert_int_equal(sg_snapshot_backend_word(rig.snapshot, slot), word);
	assert_true(sg_compiler_next_deadline_ms(rig.compiler) == UINT64_MAX);
	teardown(&rig);
}

static void end_now_skips_the_drain(void **unused)
{
	struct sg_addr address = addr_of("10.0.0.2");
	uint32_t slot;
	struct rig rig;

	(void)unused;
	setup(&rig);
	put_web(&rig, 2);
	compile(&rig);
	slot = slot_of(&rig, "web", "10.0.0.2");

	// The mark is void when the next state still has the backend.
	sg_compiler_end_now(rig.compiler, "web", &address, 80);
	compile(&rig);
	assert_int_equal(life_of(&rig, slot), SG_BACKEND_ACTIVE);
	put_web(&rig, 1);
	compile(&rig);
	assert_int_equal(life_of(&rig, slot), SG_BACKEND_REMOVED);

	// It also ends one that is draining already.
	sg_compiler_end_now(rig.compiler, "web", &address, 80);
	sg_compiler_end_now(rig.compiler, "web", &address, 81);
	sg_compiler_end_now(rig.compiler, "nobody", &address, 80);
	compile(&rig);
	assert_int_equal(life_of(&rig, slot), SG_BACKEND_DEAD);
	teardown(&rig);
}

static void a_deleted_service_keeps_its_address_while_it_drains(void **unused)
{
	const struct sg_service *service;
	uint32_t slot, backend;
	struct rig rig;

	(void)unused;
	setup(&rig);
	put_web(&rig, 1);
	compile(&rig);
	slot = sg_compiler_find_service_slot(rig.compiler, "web");
	backend = slot_of(&rig, "web", "10.0.0.1");
	service = rig.snapshot->services[slot];
	assert_int_equal(sg_state_remove(&rig.state, "web"), 0);
	compile(&rig);
	assert_null(service_at(&rig, "192.0.2.10", 80));
	assert_int_equal(sg_compiler_find_service_slot(rig.compiler, "web"), UINT32_MAX);
	assert_ptr_equal(rig.snapshot->services[slot], service);
	assert_int_equal(sg_snapshot_address4(rig.snapshot, ipv4_be("192.0.2.10")),
		SG_ADDRESS_VIP | SG_ADDRESS_ANNOUNCE);

	rig.now_ms += DRAIN_MS;
	compile(&rig);
	assert_int_equal(life_of(&rig, backend), SG_BACKEND_DEAD);
	assert_int_equal(sg_snapshot_address4(rig.snapshot, ipv4_be("192.0.2.10")), 0);
	assert_ptr_equal(rig.snapshot->services[slot], service);

	// The slot is free once its backend has rested: another service moves in.
	sweep(&rig, 3);
	compile(&rig);
	assert_null(rig.snapshot->services[slot]);
	put(&rig, make_service("other", "192.0.2.11", 80));
	compile(&rig);
	assert_int_equal(sg_compiler_find_service_slot(rig.compiler, "other"), slot);
	teardown(&rig);
}

static void a_deleted_service_is_revived_with_its_backends(void **unused)
{
	uint32_t slot, backend;
	struct rig rig;

	(void)unused;
	setup(&rig);
	put_web(&rig, 2);
	compile(&rig);
	slot = sg_compiler_find_service_slot(rig.compiler, "web");
	backend = slot_of(&rig, "web", "10.0.0.1");
	assert_int_equal(sg_state_remove(&rig.state, "web"), 0);
	compile(&rig);
	put_web(&rig, 1);
	compile(&rig);
	assert_int_equal(sg_compiler_find_service_slot(rig.compiler, "web"), slot);
	assert_int_equal(slot_of(&rig, "web", "10.0.0.1"), backend);
	assert_int_equal(life_of(&rig, backend), SG_BACKEND_ACTIVE);
	assert_non_null(service_at(&rig, "192.0.2.10", 80));
	teardown(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_removed_backend_drains_dies_and_rests),
		cmocka_unit_test(a_backend_that_comes_back_in_time_is_revived),
		cmocka_unit_test(end_now_skips_the_drain),
		cmocka_unit_test(a_deleted_service_keeps_its_address_while_it_drains),
		cmocka_unit_test(a_deleted_service_is_revived_with_its_backends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
