// The incremental update against a full recomputation, over random headers.
#include "net/checksum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

// RFC 1071, section 3: the sum of 00 01 f2 03 f4 f5 f6 f7 is ddf2 (before the complement).
static void matches_the_rfc_example(void **unused)
{
	static const uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	(void)unused;
	assert_int_equal(sg_checksum_fold(sg_checksum_add(0, bytes, sizeof(bytes))),
		__builtin_bswap16(0xddf2));
}

static void incremental_equals_recomputed(void **unused)
{
	uint64_t random = 7;

	(void)unused;
	for (int round = 0; round < 100000; round++) {
		uint32_t words[5];
		uint32_t old_word, new_word = (uint32_t)sg_random_next(&random);
		unsigned at = (unsigned)(sg_random_next(&random) % 5);
		uint16_t before, after, delta;

		for (int i = 0; i < 5; i++)
			words[i] = (uint32_t)sg_random_next(&random);
		before = sg_checksum_finish(sg_checksum_add(0, words, sizeof(words)));
		old_word = words[at];
		words[at] = new_word;
		after = sg_checksum_finish(sg_checksum_add(0, words, sizeof(words)));
		delta = sg_checksum_delta32(old_word, new_word);
		assert_int_equal(sg_checksum_apply(before, delta), after);
		assert_int_equal(sg_checksum_apply(after, sg_checksum_delta_negate(delta)), before);
	}
}

static void an_odd_byte_counts_as_the_first_of_a_pair(void **unused)
{
	static const uint8_t odd[] = {1, 2, 3}, even[] = {1, 2, 3, 0};

	(void)unused;
	assert_int_equal(sg_checksum_fold(sg_checksum_add(0, odd, 3)),
		sg_checksum_fold(sg_checksum_add(0, even, 4)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matches_the_rfc_example),
		cmocka_unit_test(incremental_equals_recomputed),
		cmocka_unit_test(an_odd_byte_counts_as_the_first_of_a_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
