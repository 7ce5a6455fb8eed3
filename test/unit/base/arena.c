// The arena: alignment, zeroing, growth and its bound.
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void allocations_are_aligned_and_zeroed(void **unused)
{
	struct sg_arena arena;

	(void)unused;
	sg_arena_init(&arena, 1 << 20);
	for (size_t bytes = 1; bytes < 5000; bytes += 37) {
		uint8_t *at = sg_arena_alloc(&arena, bytes);

		assert_non_null(at);
		assert_int_equal((uintptr_t)at % 16, 0);
		for (size_t i = 0; i < bytes; i++)
			assert_int_equal(at[i], 0);
		memset(at, 0xff, bytes);
	}
	sg_arena_fini(&arena);
}

static void the_bound_holds(void **unused)
{
	struct sg_arena arena;

	(void)unused;
	sg_arena_init(&arena, 1000);
	assert_null(sg_arena_alloc(&arena, 1001));
	assert_null(sg_arena_alloc(&arena, SIZE_MAX));
	assert_non_null(sg_arena_alloc(&arena, 900));
	assert_null(sg_arena_alloc(&arena, 200));
	assert_string_equal(sg_arena_strndup(&arena, "0123456789", 4), "0123");
	sg_arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allocations_are_aligned_and_zeroed),
		cmocka_unit_test(the_bound_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
