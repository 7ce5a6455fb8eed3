// The bucket index alone: how full it gets, and that it forgets and invents nothing on the way.
#include "flow/cuckoo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"

static struct sg_cuckoo make_index(uint32_t n_buckets)
{
	size_t bytes = n_buckets * sizeof(struct sg_cuckoo_bucket);
	struct sg_cuckoo cuckoo = {.buckets = aligned_alloc(64, bytes), .n_buckets = n_buckets};

	assert_non_null(cuckoo.buckets);
	memset(cuckoo.buckets, 0, bytes);
	return cuckoo;
}

static bool has(const struct sg_cuckoo *cuckoo, uint64_t hash, uint32_t entry)
{
	uint16_t signature = sg_cuckoo_signature(hash);
	uint32_t primary = sg_cuckoo_primary(cuckoo, hash);
	uint32_t other = sg_cuckoo_other(cuckoo, primary, signature);

	for (unsigned slot = 0; slot < SG_CUCKOO_SLOTS; slot++) {
		if (cuckoo->buckets[primary].entries[slot] == entry &&
			cuckoo->buckets[primary].signatures[slot] == signature)
			return true;
		if (cuckoo->buckets[other].entries[slot] == (entry | SG_CUCKOO_ALTERNATE) &&
			cuckoo->buckets[other].signatures[slot] == signature)
			return *sg_cuckoo_overflow(&cuckoo->buckets[primary], signature) > 0;
	}
	return false;
}

static void assert_empty(const struct sg_cuckoo *cuckoo)
{
	static const struct sg_cuckoo_bucket empty;

	for (uint32_t i = 0; i < cuckoo->n_buckets; i++)
		assert_memory_equal(&cuckoo->buckets[i], &empty, sizeof(empty));
}

static uint64_t hash_of(uint32_t entry, uint64_t seed)
{
	return sg_mix64(entry + seed * UINT64_C(0x9e3779b97f4a7c15));
}

// Fills to the first refusal, looks for everything, drains. Returns the load in tenths of a per
// cent.
static unsigned fill_and_drain(uint32_t n_buckets, uint64_t seed)
{
	struct sg_cuckoo cuckoo = make_index(n_buckets);
	uint32_t n = 0;

	while (sg_cuckoo_insert(&cuckoo, hash_of(n + 1, seed), n + 1, SG_CUCKOO_UNTAGGED))
		n++;
	for (uint32_t entry = 1; entry <= n; entry++)
		assert_true(has(&cuckoo, hash_of(entry, seed), entry));
	assert_false(has(&cuckoo, hash_of(n + 1, seed), n + 1));
	for (uint32_t entry = 1; entry <= n; entry++)
		assert_true(sg_cuckoo_remove(&cuckoo, hash_of(entry, seed), entry));
	assert_empty(&cuckoo);
	free(cuckoo.buckets);
	return (unsigned)((uint64_t)n * 1000 / (n_buckets * SG_CUCKOO_SLOTS));
}

static void refuses_nothing_below_95_percent(void **unused)
{
	static const uint32_t sizes[] = {1000, 4096, 5003, 100003, 1 << 18};

	(void)unused;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		unsigned least = 1000;

		for (uint64_t seed = 1; seed <= 3; seed++) {
			unsigned load = fill_and_drain(sizes[i], seed);

			least = load < least ? load : least;
		}
		print_message("# %u buckets: first refusal at %u.%u %% of the slots\n", sizes[i],
			least / 10, least % 10);
		assert_true(least >= 950);
	}
}

static void survives_churn_at_90_percent(void **unused)
{
	enum {
		BUCKETS = 1009,
		KEYS = BUCKETS * SG_CUCKOO_SLOTS * 9 / 10
	};
	struct sg_cuckoo cuckoo = make_index(BUCKETS);
	uint32_t *generations = calloc(KEYS + 1, sizeof(*generations));
	uint64_t random = 7;

	(void)unused;
	for (uint32_t key = 1; key <= KEYS; key++)
		assert_true(sg_cuckoo_insert(&cuckoo, hash_of(key, 0), key, SG_CUCKOO_UNTAGGED));
	for (unsigned i = 0; i < 300000; i++) {
		uint32_t key = 1 + sg_reduce((uint32_t)sg_random_next(&random), KEYS);

		assert_true(sg_cuckoo_remove(&cuckoo, hash_of(key, generations[key]), key));
		generations[key]++;
		assert_true(sg_cuckoo_insert(
			&cuckoo, hash_of(key, generations[key]), key, SG_CUCKOO_UNTAGGED));
	}
	for (uint32_t key = 1; key <= KEYS; key++)
		assert_true(sg_cuckoo_remove(&cuckoo, hash_of(key, generations[key]), key));
	assert_empty(&cuckoo);
	free(generations);
	free(cuckoo.buckets);
}

static void other_is_its_own_inverse(void **unused)
{
	static const uint32_t sizes[] = {1, 2, 3, 7, 64, 1000, 65537, (1u << 28) - 57};
	uint64_t random = 99;

	(void)unused;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct sg_cuckoo cuckoo = {.n_buckets = sizes[i]};

		for (unsigned round = 0; round < 10000; round++) {
			uint64_t hash = sg_random_next(&random);
			uint16_t signature = sg_cuckoo_signature(hash);
			uint32_t bucket = sg_cuckoo_primary(&cuckoo, hash);
			uint32_t other = sg_cuckoo_other(&cuckoo, bucket, signature);

			assert_true(bucket < sizes[i] && other < sizes[i] && signature != 0);
			assert_int_equal(sg_cuckoo_other(&cuckoo, other, signature), bucket);
		}
	}
}

static void one_hash_for_all_fills_two_buckets_and_no_more(void **unused)
{
	(void)unused;
	for (uint32_t n_buckets = 1; n_buckets < 40; n_buckets++) {
		struct sg_cuckoo cuckoo = make_index(n_buckets);
		uint64_t hash = hash_of(n_buckets, 5);
		uint32_t primary = sg_cuckoo_primary(&cuckoo, hash);
		uint32_t other = sg_cuckoo_other(&cuckoo, primary, sg_cuckoo_signature(hash));
		uint32_t room = primary == other ? 8 : 16;

		for (uint32_t entry = 1; entry <= room; entry++)
			assert_true(sg_cuckoo_insert(&cuckoo, hash, entry, SG_CUCKOO_UNTAGGED));
		assert_false(sg_cuckoo_insert(&cuckoo, hash, room + 1, SG_CUCKOO_UNTAGGED));
		for (uint32_t entry = 1; entry <= room; entry++)
			assert_true(sg_cuckoo_remove(&cuckoo, hash, entry));
		assert_false(sg_cuckoo_remove(&cuckoo, hash, 1));
		assert_empty(&cuckoo);
		free(cuckoo.buckets);
	}
}

// A hash with one primary bucket for all, and all signatures: the overflow counters must stop
// before they wrap.
static void overflow_does_not_wrap(void **unused)
{
	struct sg_cuckoo cuckoo = make_index(100003);
	uint32_t n = 0;

	(void)unused;
	while (sg_cuckoo_insert(&cuckoo, (uint64_t)(n + 1) << 48, n + 1, SG_CUCKOO_UNTAGGED))
		n++;
	print_message("# one primary bucket for all: %u entries\n", n);
	assert_in_range(n, 8 * 240, 8 * 256);
	for (uint32_t entry = 1; entry <= n; entry++)
		assert_true(sg_cuckoo_remove(&cuckoo, (uint64_t)entry << 48, entry));
	assert_empty(&cuckoo);
	free(cuckoo.buckets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_nothing_below_95_percent),
		cmocka_unit_test(survives_churn_at_90_percent),
		cmocka_unit_test(other_is_its_own_inverse),
		cmocka_unit_test(one_hash_for_all_fills_two_buckets_and_no_more),
		cmocka_unit_test(overflow_does_not_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
