// The masks of a bucket: what vector instructions say, plain C says too, about any bytes at all.
#include "flow/bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

// Few values, so that they meet: zeros, equals and neighbours are what the masks are about.
static void fill(struct sg_cuckoo_bucket *bucket, uint64_t *random)
{
	for (unsigned slot = 0; slot < SG_CUCKOO_SLOTS; slot++) {
		uint64_t bits = sg_random_next(random);

		bucket->signatures[slot] = (uint16_t)((bits & 3) * 0x5555);
		bucket->entries[slot] = (uint32_t)(bits >> 8);
		bucket->tags[slot] =
			bits >> 63 ? sg_cuckoo_tag((uint8_t)(bits >> 40) % SG_CUCKOO_EPOCHS)
				   : SG_CUCKOO_UNTAGGED;
	}
}

static void masks_agree(void **unused)
{
	struct sg_cuckoo_bucket bucket = {0};
	uint64_t random = 5;

	(void)unused;
	for (unsigned round = 0; round < 100000; round++) {
		uint8_t oldest, span;

		fill(&bucket, &random);
		for (unsigned value = 0; value < 4; value++)
			assert_int_equal(sg_cuckoo_match(&bucket, (uint16_t)(value * 0x5555)),
				sg_cuckoo_match_portable(&bucket, (uint16_t)(value * 0x5555)));
		oldest = (uint8_t)(sg_random_next(&random) >> 40) % SG_CUCKOO_EPOCHS;
		span = (uint8_t)(sg_random_next(&random) >> 40) % SG_CUCKOO_EPOCHS;
		assert_int_equal(sg_cuckoo_outside(&bucket, oldest, span),
			sg_cuckoo_outside_portable(&bucket, oldest, span));
		assert_int_equal(sg_cuckoo_away(&bucket), sg_cuckoo_away_portable(&bucket));
	}
}

// The portable ones against values that one can work out in one's head.
static void masks_mean_what_they_say(void **unused)
{
	struct sg_cuckoo_bucket bucket = {
		.signatures = {7, 0, 7, 9},
		.entries = {1, 0, 2 | SG_CUCKOO_ALTERNATE, 3},
		.tags = {sg_cuckoo_tag(127), 0, sg_cuckoo_tag(1), sg_cuckoo_tag(2)},
	};

	(void)unused;
	assert_int_equal(sg_cuckoo_match_portable(&bucket, 7), 0x05);
	assert_int_equal(sg_cuckoo_match_portable(&bucket, 0), 0xf2);
	assert_int_equal(sg_cuckoo_away_portable(&bucket), 0x04);
	// A window across the end of the numbers: 127, 0, 1.
	assert_int_equal(sg_cuckoo_outside_portable(&bucket, 127, 2), 0x08);
	assert_int_equal(sg_cuckoo_outside_portable(&bucket, 2, 0), 0x05);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(masks_agree),
		cmocka_unit_test(masks_mean_what_they_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
