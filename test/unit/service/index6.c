// The immutable index for IPv6 against a plain array that is searched from end to end.
#include "service/index6.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

struct key {
	uint8_t addr[16];
	uint32_t rest;
};

struct twin {
	struct key keys[5000];
	uint32_t values[5000];
	unsigned n;
};

static bool equal(const struct key *a, const struct key *b)
{
	return memcmp(a->addr, b->addr, sizeof(a->addr)) == 0 && a->rest == b->rest;
}

static uint32_t twin_find(const struct twin *twin, const struct key *key)
{
	for (unsigned i = 0; i < twin->n; i++)
		if (equal(&twin->keys[i], key))
			return twin->values[i];
	return SG_INDEX_NONE;
}

static void twin_put(struct twin *twin, const struct key *key, uint32_t value)
{
	for (unsigned i = 0; i < twin->n; i++)
		if (equal(&twin->keys[i], key)) {
			twin->values[i] = value;
			return;
		}
	twin->keys[twin->n] = *key;
	twin->values[twin->n++] = value;
}

// Keys from a small range that differ in their first bytes, their last bytes, or the rest, so that
// many are put twice and many misses are near a hit.
static struct key key_of(uint64_t number)
{
	struct key key = {.addr = {0x20, 0x01, 0x0d, 0xb8}, .rest = (uint32_t)(number % 3) << 16};

	number /= 3;
	if (number % 2)
		memcpy(&key.addr[4], &number, 4);
	else
		memcpy(&key.addr[12], &number, 4);
	return key;
}

static void agrees_with_twin(unsigned n_keys)
{
	struct twin *twin = calloc(1, sizeof(*twin));
	struct sg_index6 *index = sg_index6_create(n_keys);
	uint64_t random = n_keys + 1;

	assert_non_null(twin);
	assert_non_null(index);
	while (twin->n < n_keys) {
		struct key key = key_of(sg_random_next(&random) % (2 * n_keys));
		uint32_t value = (uint32_t)sg_random_next(&random) & 0x7fffffff;

		twin_put(twin, &key, value);
		sg_index6_put(index, key.addr, key.rest, value);
	}
	assert_int_equal(index->n_keys, n_keys);
	for (uint64_t i = 0; i < 2 * (uint64_t)n_keys + 10; i++) {
		struct key key = key_of(i);

		assert_int_equal(sg_index6_find(index, key.addr, key.rest), twin_find(twin, &key));
	}
	sg_index6_unref(index);
	free(twin);
}

static void finds_what_was_put(void **unused)
{
	static const unsigned sizes[] = {0, 1, 2, 3, 4, 5, 64, 100, 1000, 2048, 5000};

	(void)unused;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		agrees_with_twin(sizes[i]);
}

static void stays_half_empty(void **unused)
{
	(void)unused;
	for (uint32_t n = 0; n < 3000; n += 7) {
		struct sg_index6 *index = sg_index6_create(n);

		assert_non_null(index);
		assert_true((uint64_t)index->mask + 1 >= 2 * (uint64_t)n);
		assert_int_equal(index->mask & (index->mask + 1), 0);
		sg_index6_unref(index);
	}
}

static void lives_until_the_last_reference(void **unused)
{
	struct sg_index6 *index = sg_index6_create(1);
	struct key key = key_of(7);

	(void)unused;
	assert_non_null(index);
	sg_index6_put(index, key.addr, key.rest, 70);
	assert_ptr_equal(sg_index6_ref(index), index);
	sg_index6_unref(index);
	assert_int_equal(sg_index6_find(index, key.addr, key.rest), 70);
	sg_index6_unref(index);
	sg_index6_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_was_put),
		cmocka_unit_test(stays_half_empty),
		cmocka_unit_test(lives_until_the_last_reference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
