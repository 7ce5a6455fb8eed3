// One bucket of the cuckoo index (flow/cuckoo.h): how it lies in its cache line, and which of its
// slots have some property, one bit a slot.
//
// Each mask exists in plain C and, where the compiler is allowed SSE2 (always on x86-64, unless
// built with -Dsimd=false), in a few vector instructions; both always say the same
// (test/unit/flow/bucket.c).
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__SSE2__) && !defined(SG_NO_SIMD)
#define SG_CUCKOO_SSE2
#include <emmintrin.h>
#endif

#define SG_CUCKOO_SLOTS     8
#define SG_CUCKOO_CLASSES   8                   // of signatures
#define SG_CUCKOO_ALTERNATE (UINT32_C(1) << 30) // of an entry: it lives in its alternate bucket

struct sg_cuckoo_bucket {
	_Alignas(64) uint16_t signatures[SG_CUCKOO_SLOTS]; // 0: the slot is empty
	uint32_t entries[SG_CUCKOO_SLOTS];                 // 0: the slot is empty
	// Entries whose primary is here and that live in their alternate, by 3 bits of their
	// signature.
	uint8_t overflow[SG_CUCKOO_CLASSES];
	uint8_t tags[SG_CUCKOO_SLOTS]; // sg_cuckoo_tag of the entry's epoch; 0: never stale
};
static_assert(sizeof(struct sg_cuckoo_bucket) == 64, "a bucket is one cache line");
static_assert(offsetof(struct sg_cuckoo_bucket, overflow) == 48, "nothing is lost between them");
static_assert(offsetof(struct sg_cuckoo_bucket, tags) % 8 == 0, "tags are loaded as one word");

#define SG_CUCKOO_EPOCHS   128
#define SG_CUCKOO_UNTAGGED 0 // of an entry that stays until it is removed

static inline uint8_t sg_cuckoo_tag(uint8_t epoch)
{
	return 0x80 | epoch;
}

// The slots with this signature; with 0, the empty ones.
static inline unsigned sg_cuckoo_match_portable(
	const struct sg_cuckoo_bucket *bucket, uint16_t signature)
{
	unsigned mask = 0;

	for (unsigned slot = 0; slot < SG_CUCKOO_SLOTS; slot++)
		mask |= (unsigned)(bucket->signatures[slot] == signature) << slot;
	return mask;
}

// The slots whose entries have a tag of an epoch outside `oldest` to `oldest` + `span`.
static inline unsigned sg_cuckoo_outside_portable(
	const struct sg_cuckoo_bucket *bucket, uint8_t oldest, uint8_t span)
{
	unsigned mask = 0;

	for (unsigned slot = 0; slot < SG_CUCKOO_SLOTS; slot++) {
		uint8_t tag = bucket->tags[slot];
		uint8_t age = (uint8_t)(tag - oldest) % SG_CUCKOO_EPOCHS;

		mask |= (unsigned)(tag != SG_CUCKOO_UNTAGGED && age > span) << slot;
	}
	return mask;
}

// The slots whose entries live in their alternate.
static inline unsigned sg_cuckoo_away_portable(const struct sg_cuckoo_bucket *bucket)
{
	unsigned mask = 0;

	for (unsigned slot = 0; slot < SG_CUCKOO_SLOTS; slot++)
		mask |= (unsigned)!!(bucket->entries[slot] & SG_CUCKOO_ALTERNATE) << slot;
	return mask;
}

#if defined(SG_CUCKOO_SSE2)

static inline unsigned sg_cuckoo_match(const struct sg_cuckoo_bucket *bucket, uint16_t signature)
{
	__m128i stored = _mm_load_si128((const __m128i *)bucket->signatures);
	__m128i equal = _mm_cmpeq_epi16(stored, _mm_set1_epi16((short)signature));

	return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128()));
}

static inline unsigned sg_cuckoo_outside(
	const struct sg_cuckoo_bucket *bucket, uint8_t oldest, uint8_t span)
{
	__m128i tags = _mm_loadl_epi64((const __m128i *)bucket->tags);
	__m128i age = _mm_and_si128(_mm_sub_epi8(tags, _mm_set1_epi8((char)oldest)),
		_mm_set1_epi8(SG_CUCKOO_EPOCHS - 1));
	__m128i outside = _mm_cmpgt_epi8(age, _mm_set1_epi8((char)span));

	// A tag has its highest bit set.
	return (unsigned)_mm_movemask_epi8(_mm_and_si128(outside, tags));
}

static inline unsigned sg_cuckoo_away(const struct sg_cuckoo_bucket *bucket)
{
	const __m128i *entries = (const __m128i *)bucket->entries;
	__m128i low = _mm_slli_epi32(_mm_load_si128(entries), 1); // SG_CUCKOO_ALTERNATE on top
	__m128i high = _mm_slli_epi32(_mm_load_si128(entries + 1), 1);

	return (unsigned)_mm_movemask_ps(_mm_castsi128_ps(low)) |
	       (unsigned)_mm_movemask_ps(_mm_castsi128_ps(high)) << 4;
}

#else

static inline unsigned sg_cuckoo_match(const struct sg_cuckoo_bucket *bucket, uint16_t signature)
{
	return sg_cuckoo_match_portable(bucket, signature);
}

static inline unsigned sg_cuckoo_outside(
	const struct sg_cuckoo_bucket *bucket, uint8_t oldest, uint8_t span)
{
	return sg_cuckoo_outside_portable(bucket, oldest, span);
}

static inline unsigned sg_cuckoo_away(const struct sg_cuckoo_bucket *bucket)
{
	return sg_cuckoo_away_portable(bucket);
}

#endif
