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

// Two bytes at a time, as RFC 1071 writes it down.
static uint16_t naive_sum(uint64_t sum, const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i += 2) {
		uint16_t word = 0;

		memcpy(&word, bytes + i, length - i < 2 ? 1 : 2);
		sum += word;
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void equals_the_naive_sum_at_any_length_and_alignment(void **unused)
{
	uint8_t bytes[300];
	uint64_t random = 11;

	(void)unused;
	for (int round = 0; round < 20000; round++) {
		// Some are all ones, so that every addition overflows.
		uint8_t mask = round % 3 == 0 ? 0xff : 0;
		size_t at = sg_random_next(&random) % 16;
		size_t length = sg_random_next(&random) % (sizeof(bytes) - 16);
		uint64_t before = sg_random_next(&random) >> 20;

		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)(sg_random_next(&random) >> 32) | mask;
		assert_int_equal(sg_checksum_fold(sg_checksum_add(before, bytes + at, length)),
			naive_sum(before, bytes + at, length));
		assert_true(sg_checksum_add(before, bytes + at, length) >> 33 == 0);
	}
}

// A UDP datagram from 2001:db8::1 to 2001:db8::2, port 1 to port 2, with the four bytes "abcd":
// summed by hand over the pseudo header as RFC 8200, 8.1 draws it, field by field.
static void the_pseudo_header_of_ipv6_is_as_drawn(void **unused)
{
	static const uint8_t drawn[] = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
		0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 12, 0, 0, 0,
		17};
	static const uint8_t udp[] = {0, 1, 0, 2, 0, 12, 0, 0, 'a', 'b', 'c', 'd'};
	struct sg_pair6 pair;

	(void)unused;
	memcpy(&pair, drawn, sizeof(pair));
	assert_int_equal(sg_checksum_fold(sg_checksum_pseudo6(&pair, 17, 12)),
		sg_checksum_fold(sg_checksum_add(0, drawn, sizeof(drawn))));
	assert_int_equal(sg_checksum_finish(sg_checksum_add(
				 sg_checksum_pseudo6(&pair, 17, 12), udp, sizeof(udp))),
		__builtin_bswap16(0xdf97));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matches_the_rfc_example),
		cmocka_unit_test(incremental_equals_recomputed),
		cmocka_unit_test(the_pseudo_header_of_ipv6_is_as_drawn),
		cmocka_unit_test(equals_the_naive_sum_at_any_length_and_alignment),
		cmocka_unit_test(an_odd_byte_counts_as_the_first_of_a_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
