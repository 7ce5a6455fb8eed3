// The keyed hashes: SipHash against known values, AES and portable for spread and keying.
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
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
	uint64_t a, b;

	(void)unused;
	sg_hash16_bulk_best()(&key, input, 1, &a);
	sg_hash16_bulk_best()(&other, input, 1, &b);
	assert_true(a != b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash_matches_known_values),
		cmocka_unit_test(portable_avalanches),
		cmocka_unit_test(aes_avalanches),
		cmocka_unit_test(the_agreed_hash_stays_as_it_is),
		cmocka_unit_test(another_key_gives_other_hashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
