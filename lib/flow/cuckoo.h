// The bucket index of the flow table: from a hash to the few 32-bit entries that may belong to it.
//
// A cuckoo hash with 8 slots a bucket and two buckets a key. It stores a 16-bit signature of the
// hash and an entry, a number of the caller's; it never sees keys or records, so moving an entry to
// its other bucket costs no cache line but the two buckets'. That is what the alternate bucket is
// made for: (g(signature) - bucket) mod n is its own inverse, and needs neither the hash nor a
// power of two.
//
// A key lives in its primary bucket if that has room, in its alternate otherwise, so most look-ups
// read one line. Each bucket counts the entries that have their primary here and live elsewhere:
// while that is 0, a look-up that finds nothing here is over. When both buckets are full, a
// breadth-first search over at most SG_CUCKOO_MAX_VISITS buckets looks for the shortest chain of
// moves that frees a slot. First refusal comes above 95 % of all slots (measured by
// test/unit/flow/cuckoo.c); a worse hash only brings it forward, to 8 entries at the worst, when a
// constant hash's two buckets are one.
//
// One thread at a time. The memory is the caller's: zeroed buckets are an empty index.
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/random.h"

#define SG_CUCKOO_SLOTS      8
#define SG_CUCKOO_MAX_VISITS 128
#define SG_CUCKOO_ALTERNATE  (UINT32_C(1) << 30) // of an entry: it lives in its alternate bucket

struct sg_cuckoo_bucket {
	_Alignas(64) uint16_t signatures[SG_CUCKOO_SLOTS]; // 0: the slot is empty
	uint32_t entries[SG_CUCKOO_SLOTS];                 // 0: the slot is empty
	uint16_t overflow; // entries whose primary is here and that live in their alternate
	uint16_t reserved[7];
};
static_assert(sizeof(struct sg_cuckoo_bucket) == 64, "a bucket is one cache line");

// A view, made where it is used: the buckets' memory may be mapped elsewhere the next time.
struct sg_cuckoo {
	struct sg_cuckoo_bucket *buckets;
	uint32_t n_buckets;
};

// The primary bucket comes from the low 32 bits, the signature from the top 16: independent of each
// other.
static inline uint32_t sg_cuckoo_primary(const struct sg_cuckoo *cuckoo, uint64_t hash)
{
	return sg_reduce((uint32_t)hash, cuckoo->n_buckets);
}

static inline uint16_t sg_cuckoo_signature(uint64_t hash)
{
	uint16_t signature = (uint16_t)(hash >> 48);

	return (uint16_t)(signature + (signature == 0));
}

// The other bucket of an entry that is, or might be, in `bucket`.
static inline uint32_t sg_cuckoo_other(
	const struct sg_cuckoo *cuckoo, uint32_t bucket, uint16_t signature)
{
	uint32_t g = sg_reduce(signature * UINT32_C(0x9e3779b1), cuckoo->n_buckets);

	return g >= bucket ? g - bucket : g + (cuckoo->n_buckets - bucket);
}

// The slots of a bucket with this signature, one bit each; with 0, the empty slots.
static inline unsigned sg_cuckoo_match(const struct sg_cuckoo_bucket *bucket, uint16_t signature)
{
#if defined(__SSE2__)
	__m128i stored = _mm_load_si128((const __m128i *)bucket->signatures);
	__m128i equal = _mm_cmpeq_epi16(stored, _mm_set1_epi16((short)signature));

	return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128()));
#else
	unsigned mask = 0;

	for (unsigned slot = 0; slot < SG_CUCKOO_SLOTS; slot++)
		mask |= (unsigned)(bucket->signatures[slot] == signature) << slot;
	return mask;
#endif
}

// Asks for the other bucket too where the primary, which should be cached by now, is full (before
// an insertion) or does not seem to have the entry (before a removal).
static inline void sg_cuckoo_prefetch_room(const struct sg_cuckoo *cuckoo, uint64_t hash)
{
	uint32_t primary = sg_cuckoo_primary(cuckoo, hash);

	if (!sg_cuckoo_match(&cuckoo->buckets[primary], 0))
		__builtin_prefetch(&cuckoo->buckets[sg_cuckoo_other(
					   cuckoo, primary, sg_cuckoo_signature(hash))],
			1);
}

static inline void sg_cuckoo_prefetch_entry(const struct sg_cuckoo *cuckoo, uint64_t hash)
{
	uint16_t signature = sg_cuckoo_signature(hash);
	uint32_t primary = sg_cuckoo_primary(cuckoo, hash);

	if (!sg_cuckoo_match(&cuckoo->buckets[primary], signature))
		__builtin_prefetch(
			&cuckoo->buckets[sg_cuckoo_other(cuckoo, primary, signature)], 1);
}

// Enters `entry` (not 0, SG_CUCKOO_ALTERNATE clear). False: no room was found; nothing that a
// look-up could notice has changed. The same entry may not be entered twice under one hash.
bool sg_cuckoo_insert(const struct sg_cuckoo *cuckoo, uint64_t hash, uint32_t entry);

// Takes out what was entered with the same hash and entry. False: it is not there.
bool sg_cuckoo_remove(const struct sg_cuckoo *cuckoo, uint64_t hash, uint32_t entry);
