// Slots: taken once, given back, rewound; and the rest of the dead.
#include "service/slots.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

enum {
	MAX = 50
};

static void no_slot_is_out_twice(void **unused)
{
	bool taken[MAX] = {false};
	unsigned n_taken = 0;
	struct sg_slots slots;
	uint64_t random = 1;

	(void)unused;
	assert_int_equal(sg_slots_init(&slots, MAX), 0);
	for (int step = 0; step < 10000; step++) {
		uint32_t slot = (uint32_t)(sg_random_next(&random) % MAX);

		if (sg_random_next(&random) % 2) {
			slot = sg_slots_take(&slots);
			assert_int_equal(slot == UINT32_MAX, n_taken == MAX);
			if (slot == UINT32_MAX)
				continue;
			assert_true(slot < MAX && !taken[slot]);
			taken[slot] = true;
			n_taken++;
		} else if (taken[slot]) {
			sg_slots_give(&slots, slot);
			taken[slot] = false;
			n_taken--;
		}
	}
	sg_slots_fini(&slots);
}

static void takes_are_undone(void **unused)
{
	struct sg_slots slots;
	struct sg_slots_mark mark;
	uint32_t first[5];

	(void)unused;
	assert_int_equal(sg_slots_init(&slots, MAX), 0);
	for (int i = 0; i < 10; i++)
		sg_slots_take(&slots);
	sg_slots_give(&slots, 3);
	sg_slots_give(&slots, 7);
	mark = sg_slots_mark(&slots);
	for (int i = 0; i < 5; i++)
		first[i] = sg_slots_take(&slots);
	sg_slots_rewind(&slots, mark);
	for (int i = 0; i < 5; i++)
		assert_int_equal(sg_slots_take(&slots), first[i]);
	sg_slots_fini(&slots);
}

static void the_dead_rest_for_two_sweeps_of_every_worker(void **unused)
{
	struct sg_resting resting;
	struct sg_rest rest;

	(void)unused;
	assert_int_equal(sg_resting_init(&resting, MAX), 0);
	sg_resting_put(&resting, (struct sg_rest){.slot = 4, .owner = 1});
	sg_resting_note_sweeps(&resting, (uint64_t[]){10, 20}, 2);
	assert_false(sg_resting_take(&resting, &rest));
	sg_resting_note_sweeps(&resting, (uint64_t[]){12, 21}, 2);
	assert_false(sg_resting_take(&resting, &rest));
	// This one dies while the first is being counted: it waits for a count of its own.
	sg_resting_put(&resting, (struct sg_rest){.slot = 5, .owner = 2});
	sg_resting_note_sweeps(&resting, (uint64_t[]){12, 22}, 2);
	assert_true(sg_resting_take(&resting, &rest));
	assert_int_equal(rest.slot, 4);
	assert_int_equal(rest.owner, 1);
	assert_false(sg_resting_take(&resting, &rest));
	sg_resting_note_sweeps(&resting, (uint64_t[]){14, 24}, 2);
	assert_true(sg_resting_take(&resting, &rest));
	assert_int_equal(rest.slot, 5);
	sg_resting_fini(&resting);
}

static void another_number_of_workers_starts_the_count_anew(void **unused)
{
	struct sg_resting resting;
	struct sg_rest rest;

	(void)unused;
	assert_int_equal(sg_resting_init(&resting, MAX), 0);
	sg_resting_put(&resting, (struct sg_rest){.slot = 4});
	sg_resting_note_sweeps(&resting, (uint64_t[]){10}, 1);
	sg_resting_note_sweeps(&resting, (uint64_t[]){12, 0}, 2);
	assert_false(sg_resting_take(&resting, &rest));
	sg_resting_note_sweeps(&resting, (uint64_t[]){14, 2}, 2);
	assert_true(sg_resting_take(&resting, &rest));
	sg_resting_fini(&resting);
}

// At random: nothing comes back early, and everything comes back in the order of death.
static void the_ring_agrees_with_twin(void **unused)
{
	struct {
		uint32_t slot;
		uint64_t sweeps[3];
	} twin[MAX];
	unsigned head = 0, n = 0;
	uint64_t sweeps[3] = {0}, random = 9, next = 0;
	struct sg_resting resting;
	struct sg_rest rest;

	(void)unused;
	assert_int_equal(sg_resting_init(&resting, MAX), 0);
	for (int step = 0; step < 20000; step++) {
		if (n < MAX && sg_random_next(&random) % 3 == 0) {
			unsigned at = (head + n++) % MAX;

			twin[at].slot = (uint32_t)next;
			memcpy(twin[at].sweeps, sweeps, sizeof(sweeps));
			sg_resting_put(&resting, (struct sg_rest){.slot = (uint32_t)next++});
		}
		sweeps[sg_random_next(&random) % 3]++;
		if (sg_random_next(&random) % 2)
			sg_resting_note_sweeps(&resting, sweeps, 3);
		while (sg_resting_take(&resting, &rest)) {
			assert_int_equal(rest.slot, twin[head].slot);
			for (int i = 0; i < 3; i++)
				assert_true(sweeps[i] >= twin[head].sweeps[i] + 2);
			head = (head + 1) % MAX;
			n--;
		}
	}
	assert_true(next > 1000);
	sg_resting_fini(&resting);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_slot_is_out_twice),
		cmocka_unit_test(takes_are_undone),
		cmocka_unit_test(the_dead_rest_for_two_sweeps_of_every_worker),
		cmocka_unit_test(another_number_of_workers_starts_the_count_anew),
		cmocka_unit_test(the_ring_agrees_with_twin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
