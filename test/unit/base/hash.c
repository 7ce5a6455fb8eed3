// The keyed hashes: SipHash against known values, AES and portable for spread and keying.
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

static const struct sg_hash_key key = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};

// SipHash-1-3 of the bytes 00 01 02 ... with the key 00 01 ... 0f: values of the widely used
// implementations (Rust's and Ruby's string hashes are SipHash-1-3).
static void siphash_matches_known_values(void **unused)
{
	static const struct {
		size_t length;
		uint64_t hash;
	} known[] = {
		{0, 0xabac0158050fc4dc},
		{1, 0xc9f49bf37d57ca93},
	};
	uint8_t bytes[16];

	(void)unused;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		assert_true(sg_siphash(&key, bytes, known[i].length) == known[i].hash);
}

// Any single changed input bit changes each output bit about half of the time.
static void avalanches(sg_hash16_bulk_fn *hash)
{
	enum {
		ROUNDS = 200
	};
	unsigned changed[64] = {0};
	uint64_t random = 42;

	for (int round = 0; round < ROUNDS; round++) {
		_Alignas(16)
			uint64_t keys[2][2] = {{sg_random_next(&random), sg_random_next(&random)}};

		for (int bit = 0; bit < 128; bit++) {
			uint64_t hashes[2];

			memcpy(keys[1], keys[0], 16);
			keys[1][bit / 64] ^= UINT64_C(1) << (bit % 64);
			hash(&key, keys, 2, hashes);
			for (int out = 0; out < 64; out++)
				changed[out] += (hashes[0] ^ hashes[1]) >> out & 1;
		}
	}
	for (int out = 0; out < 64; out++)
		assert_in_range(changed[out], ROUNDS * 128 * 48 / 100, ROUNDS * 128 * 52 / 100);
}

static void portable_avalanches(void **unused)
{
	(void)unused;
	avalanches(sg_hash16_bulk_portable);
}

static void aes_avalanches(void **unused)
{
	(void)unused;
	if (!sg_hash16_has_aes())
		skip();
	avalanches(sg_hash16_bulk_aes);
}

typedef uint64_t hash32_fn(const struct sg_hash_key *key, const void *bytes32);

static void hash32_avalanches(hash32_fn *hash)
{
	enum {
		ROUNDS = 200
	};
	unsigned changed[64] = {0};
	uint64_t random = 43;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t input[4];
		uint64_t before;

		for (int i = 0; i < 4; i++)
			input[i] = sg_random_next(&random);
		before = hash(&key, input);
		for (int bit = 0; bit < 256; bit++) {
			uint64_t after;

			input[bit / 64] ^= UINT64_C(1) << (bit % 64);
			after = hash(&key, input);
			input[bit / 64] ^= UINT64_C(1) << (bit % 64);
			for (int out = 0; out < 64; out++)
				changed[out] += (before ^ after) >> out & 1;
		}
	}
	for (int out = 0; out < 64; out++)
		assert_in_range(changed[out], ROUNDS * 256 * 48 / 100, ROUNDS * 256 * 52 / 100);
}

static int compare_hashes(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

// Pairs as networks have them: addresses that differ in a few low bits, on both sides, and with the
// sides exchanged. No two of a million pairs share a fingerprint, nor more halves of one than
// chance allows (128 expected).
static void hash32_tells_pairs_apart(hash32_fn *hash)
{
	enum {
		SIDE = 1000
	};
	uint64_t *hashes = malloc(sizeof(hashes[0]) * SIDE * SIDE);
	unsigned n = 0, halves = 0;

	assert_non_null(hashes);
	for (unsigned a = 0; a < SIDE; a++) {
		for (unsigned b = 0; b < SIDE; b++) {
			uint8_t pair[32] = {0x20, 0x01, 0x0d,
				0xb8, [16] = 0x20, [17] = 0x01, [18] = 0x0d, [19] = 0xb8};

			pair[14] = (uint8_t)(a >> 8);
			pair[15] = (uint8_t)a;
			pair[30] = (uint8_t)(b >> 8);
			pair[31] = (uint8_t)b;
			hashes[n++] = hash(&key, pair);
		}
	}
	qsort(hashes, n, sizeof(hashes[0]), compare_hashes);
	for (unsigned i = 1; i < n; i++) {
		assert_true(hashes[i] != hashes[i - 1]);
		halves += hashes[i] >> 32 == hashes[i - 1] >> 32;
	}
	assert_in_range(halves, 60, 220);
	free(hashes);
}

static void portable_fingerprints_are_well_spread(void **unused)
{
	(void)unused;
	hash32_avalanches(sg_hash32_portable);
	hash32_tells_pairs_apart(sg_hash32_portable);
}

static void aes_fingerprints_are_well_spread(void **unused)
{
	(void)unused;
	if (!sg_hash16_has_aes())
		skip();
	hash32_avalanches(sg_hash32_aes);
	hash32_tells_pairs_apart(sg_hash32_aes);
}

static void agreed_bulk(
	const struct sg_hash_key *with, const void *keys16, unsigned n, uint64_t *ret_hashes)
{
	for (unsigned i = 0; i < n; i++)
		ret_hashes[i] = sg_hash16_agreed(with, (const uint8_t *)keys16 + 16 * i);
}

// Nodes of different versions and machines have to agree on it: the value may never change.
static void the_agreed_hash_stays_as_it_is(void **unused)
{
	_Alignas(16) const uint64_t input[2] = {3, 4};

	(void)unused;
	avalanches(agreed_bulk);
	assert_true(sg_hash16_agreed(&key, input) == UINT64_C(0x015476a08953a902));
}

static void another_key_gives_other_hashes(void **unused)
{
	const struct sg_hash_key other = {{1, 2}};
	_Alignas(16) uint64_t input[2] = {3, 4};
	const uint64_t two[4] = {3, 4, 5, 6};
	uint64_t a, b;

	(void)unused;
	sg_hash16_bulk_best()(&key, input, 1, &a);
	sg_hash16_bulk_best()(&other, input, 1, &b);
	assert_true(a != b);
	assert_true(sg_hash32_portable(&key, two) != sg_hash32_portable(&other, two));
	if (sg_hash16_has_aes())
		assert_true(sg_hash32_aes(&key, two) != sg_hash32_aes(&other, two));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash_matches_known_values),
		cmocka_unit_test(portable_avalanches),
		cmocka_unit_test(aes_avalanches),
		cmocka_unit_test(portable_fingerprints_are_well_spread),
		cmocka_unit_test(aes_fingerprints_are_well_spread),
		cmocka_unit_test(the_agreed_hash_stays_as_it_is),
		cmocka_unit_test(another_key_gives_other_hashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
