// The Toeplitz hash over byte tables, see toeplitz.h.
#include "net/toeplitz.h"

const uint8_t sg_toeplitz_default_key[SG_TOEPLITZ_KEY_BYTES] = {
	0x6d,
	0x5a,
	0x56,
	0xda,
	0x25,
	0x5b,
	0x0e,
	0xc2,
	0x41,
	0x67,
	0x25,
	0x3d,
	0x43,
	0xa3,
	0x8f,
	0xb0,
	0xd0,
	0xca,
	0x2b,
	0xcb,
	0xae,
	0x7b,
	0x30,
	0xb4,
	0x77,
	0xcb,
	0x2d,
	0xa3,
	0x80,
	0x30,
	0xf2,
	0x0c,
	0x6a,
	0x42,
	0xb7,
	0x3b,
	0xbe,
	0xac,
	0x01,
	0xfa,
};

// The 32 bits of the key that start at bit `at`.
static uint32_t key_window(const uint8_t *key, unsigned at)
{
	uint64_t bits = 0;

	for (unsigned i = 0; i < 5; i++)
		bits = bits << 8 | key[at / 8 + i];
	return (uint32_t)(bits >> (8 - at % 8));
}

static uint32_t hash_of_byte(const uint8_t *key, unsigned position, unsigned value)
{
	uint32_t hash = 0;

	for (unsigned bit = 0; bit < 8; bit++) {
		if (value & (0x80u >> bit))
			hash ^= key_window(key, position * 8 + bit);
	}
	return hash;
}

void sg_toeplitz_init(struct sg_toeplitz *toeplitz, const uint8_t key[SG_TOEPLITZ_KEY_BYTES])
{
	memcpy(toeplitz->key, key, SG_TOEPLITZ_KEY_BYTES);
	// The hash is linear: a byte's is that of its lowest bit and that of the others.
	for (unsigned position = 0; position < 36; position++) {
		uint32_t *table = toeplitz->table[position];

		table[0] = 0;
		for (unsigned value = 1; value < 256; value++) {
			unsigned others = value & (value - 1);

			table[value] = others ? table[others] ^ table[value - others]
					      : hash_of_byte(key, position, value);
		}
	}
}

uint32_t sg_toeplitz_hash(const struct sg_toeplitz *toeplitz, const void *bytes, unsigned length)
{
	const uint8_t *at = bytes;
	uint32_t hash = 0;

	for (unsigned i = 0; i < length; i++)
		hash ^= toeplitz->table[i][at[i]];
	return hash;
}

void sg_home_init(
	struct sg_home *home, const uint8_t key[SG_TOEPLITZ_KEY_BYTES], unsigned n_workers)
{
	sg_toeplitz_init(&home->toeplitz, key);
	for (unsigned i = 0; i < SG_HOME_ENTRIES; i++)
		home->reta[i] = (uint8_t)(i % n_workers);
}
