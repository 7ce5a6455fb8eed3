// SipHash-1-3 and the AES hash of hash.h.
#include "base/hash.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t x, int bits)
{
	return (x << bits) | (x >> (64 - bits));
}

static inline void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v2 = rotate(s->v2, 32);
}

static inline void sip_absorb(struct sip *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	s->v0 ^= word;
}

uint64_t sg_siphash(const struct sg_hash_key *key, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;
	struct sip s = {key->words[0] ^ UINT64_C(0x736f6d6570736575),
		key->words[1] ^ UINT64_C(0x646f72616e646f6d),
		key->words[0] ^ UINT64_C(0x6c7967656e657261),
		key->words[1] ^ UINT64_C(0x7465646279746573)};
	uint64_t last = (uint64_t)length << 56;
	uint64_t word;

	for (; length >= 8; at += 8, length -= 8) {
		memcpy(&word, at, 8);
		sip_absorb(&s, word);
	}
	for (size_t i = 0; i < length; i++)
		last |= (uint64_t)at[i] << (8 * i);
	sip_absorb(&s, last);
	s.v2 ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

void sg_hash16_bulk_portable(
	const struct sg_hash_key *key, const void *keys16, unsigned n, uint64_t *ret_hashes)
{
	const uint8_t *at = keys16;

	for (unsigned i = 0; i < n; i++)
		ret_hashes[i] = sg_siphash(key, at + 16 * i, 16);
}

uint64_t sg_hash32_portable(const struct sg_hash_key *key, const void *bytes32)
{
	return sg_siphash(key, bytes32, 32);
}

#if defined(__x86_64__)

int sg_hash16_has_aes(void)
{
	return __builtin_cpu_supports("aes") && __builtin_cpu_supports("sse4.1");
}

// Three rounds keyed twice: every output bit depends on every input bit after two, and the third
// hides the key from differences between inputs that an attacker chose.
__attribute__((target("aes,sse4.1"))) void sg_hash16_bulk_aes(
	const struct sg_hash_key *key, const void *keys16, unsigned n, uint64_t *ret_hashes)
{
	const __m128i k0 = _mm_load_si128((const __m128i *)key);
	const __m128i k1 =
		_mm_xor_si128(k0, _mm_set_epi64x(0x243f6a8885a308d3, 0x13198a2e03707344));
	const __m128i *at = keys16;

	for (unsigned i = 0; i < n; i++) {
		__m128i x = _mm_xor_si128(_mm_load_si128(at + i), k0);

		x = _mm_aesenc_si128(x, k1);
		x = _mm_aesenc_si128(x, k0);
		x = _mm_aesenc_si128(x, k1);
		ret_hashes[i] = (uint64_t)_mm_cvtsi128_si64(x);
	}
}

// Halves that differ come out of three rounds with a given difference at a probability of 2^-54 at
// most (nine active S-boxes), so two pairs cannot be made to meet where the halves are joined. Two
// more rounds spread what is then cut to 64 bits. The halves' rounds are keyed differently, or
// swapping them would change nothing.
__attribute__((target("aes,sse4.1"))) uint64_t sg_hash32_aes(
	const struct sg_hash_key *key, const void *bytes32)
{
	const __m128i k0 = _mm_load_si128((const __m128i *)key);
	const __m128i k1 = _mm_xor_si128(
		k0, _mm_set_epi64x(0x452821e638d01377, (long long)0xbe5466cf34e90c6c));
	const __m128i k2 = _mm_xor_si128(
		k0, _mm_set_epi64x((long long)0xa4093822299f31d0, 0x082efa98ec4e6c89));
	__m128i x = _mm_xor_si128(_mm_loadu_si128(bytes32), k1);
	__m128i y = _mm_xor_si128(_mm_loadu_si128((const __m128i *)bytes32 + 1), k2);

	x = _mm_aesenc_si128(x, k0);
	y = _mm_aesenc_si128(y, k1);
	x = _mm_aesenc_si128(x, k2);
	y = _mm_aesenc_si128(y, k0);
	x = _mm_aesenc_si128(x, k1);
	y = _mm_aesenc_si128(y, k2);
	x = _mm_xor_si128(x, y);
	x = _mm_aesenc_si128(x, k0);
	x = _mm_aesenc_si128(x, k1);
	return (uint64_t)_mm_cvtsi128_si64(x);
}

#else

uint64_t sg_hash32_aes(const struct sg_hash_key *key, const void *bytes32)
{
	return sg_hash32_portable(key, bytes32);
}

int sg_hash16_has_aes(void)
{
	return 0;
}

void sg_hash16_bulk_aes(
	const struct sg_hash_key *key, const void *keys16, unsigned n, uint64_t *ret_hashes)
{
	sg_hash16_bulk_portable(key, keys16, n, ret_hashes);
}

#endif

sg_hash16_bulk_fn *sg_hash16_bulk_best(void)
{
	return sg_hash16_has_aes() ? sg_hash16_bulk_aes : sg_hash16_bulk_portable;
}
