// The heap of deadlines against an array that is searched.
#include "service/deadlines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"

enum {
	MAX = 40
};

static uint64_t naive_next(const uint64_t *twin)
{
	uint64_t next = SG_DEADLINE_NONE;

	for (int i = 0; i < MAX; i++)
		if (twin[i] < next)
			next = twin[i];
	return next;
}

static void assert_due(const struct sg_deadlines *deadlines, const uint64_t *twin, uint64_t now_ms)
{
	uint32_t slots[MAX], n = sg_deadlines_due(deadlines, now_ms, slots), wanted = 0;

	for (int i = 0; i < MAX; i++)
		wanted += twin[i] <= now_ms;
	assert_int_equal(n, wanted);
	for (uint32_t i = 0; i < n; i++) {
		assert_true(twin[slots[i]] <= now_ms);
		for (uint32_t j = 0; j < i; j++)
			assert_int_not_equal(slots[i], slots[j]);
	}
}

static void agrees_with_twin(void **unused)
{
	uint64_t twin[MAX], random = 2;
	struct sg_deadlines deadlines;

	(void)unused;
	for (int i = 0; i < MAX; i++)
		twin[i] = SG_DEADLINE_NONE;
	assert_int_equal(sg_deadlines_init(&deadlines, MAX), 0);
	for (int step = 0; step < 50000; step++) {
		uint32_t slot = (uint32_t)(sg_random_next(&random) % MAX);
		uint64_t at_ms = sg_random_next(&random) % 100;

		twin[slot] = at_ms < 40 ? SG_DEADLINE_NONE : at_ms;
		sg_deadlines_set(&deadlines, slot, twin[slot]);
		assert_true(sg_deadlines_next(&deadlines) == naive_next(twin));
		assert_due(&deadlines, twin, sg_random_next(&random) % 100);
	}
	sg_deadlines_fini(&deadlines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_twin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
