// The bucket index of the flow table: from a hash to the few 32-bit entries that may belong to it.
//
// A cuckoo hash with 8 slots a bucket and two buckets a key. It stores a 16-bit signature of the
// hash and an entry, a number of the caller's; it never sees keys or records, so moving an entry to
// its other bucket costs no cache line but the two buckets'. That is what the alternate bucket is
// made for: (g(signature) - bucket) mod n is its own inverse, and needs neither the hash nor a
// power of two.
//
// A key lives in its primary bucket if that has room, in its alternate otherwise, so most look-ups
// read one line. Each bucket counts the entries that have their primary here and live elsewhere, in
// eight classes by their signatures: where its own class has none, a look-up that finds nothing
// here is over. In a full table (69 % of the slots) 45 of 100 buckets have sent entries away, but
// only 9 of 100 look-ups that miss read the alternate. When both buckets are full, a breadth-first
// search over at most SG_CUCKOO_MAX_VISITS buckets looks for the shortest chain of moves that frees
// a slot. First refusal comes above 95 % of all slots (measured by test/unit/flow/cuckoo.c); a
// worse hash only brings it forward, to 8 entries at the worst, when a constant hash's two buckets
// are one.
//
// Taking an entry out costs a cache miss for its bucket, and a flood takes out as many as it puts
// in. So an entry may be entered with an epoch, and be left behind when it is no longer wanted:
// once its epoch is outside the view's window it is stale, and counts as an empty slot for whoever
// needs one. Until it is overwritten a look-up may still come across it: the caller compares keys
// anyway.
//
// One thread at a time. The memory is the caller's: zeroed buckets are an empty index.
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prefetch.h"
#include "base/random.h"
#include "flow/bucket.h"

#define SG_CUCKOO_MAX_VISITS 128

// A view, made where it is used: the buckets' memory may be mapped elsewhere the next time.
struct sg_cuckoo {
	struct sg_cuckoo_bucket *buckets;
	uint32_t n_buckets;
	// The window: epochs `oldest` to `oldest` + `span`, modulo SG_CUCKOO_EPOCHS.
	uint8_t oldest;
	uint8_t span;
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

// How many entries the primary bucket has sent to their alternates that might be of this signature.
static inline uint8_t *sg_cuckoo_overflow(struct sg_cuckoo_bucket *primary, uint16_t signature)
{
	return &primary->overflow[signature % SG_CUCKOO_CLASSES];
}

// The other bucket of an entry that is, or might be, in `bucket`.
static inline uint32_t sg_cuckoo_other(
	const struct sg_cuckoo *cuckoo, uint32_t bucket, uint16_t signature)
{
	uint32_t g = sg_reduce(signature * UINT32_C(0x9e3779b1), cuckoo->n_buckets);

	return g >= bucket ? g - bucket : g + (cuckoo->n_buckets - bucket);
}

// The slots of a bucket whose entries are stale, one bit each.
static inline unsigned sg_cuckoo_stale(
	const struct sg_cuckoo *cuckoo, const struct sg_cuckoo_bucket *bucket)
{
	return sg_cuckoo_outside(bucket, cuckoo->oldest, cuckoo->span);
}

// The slot of a bucket that the next entry gets: an empty one, or a stale one, and of those rather
// one that lives in its primary, because evicting others touches another bucket. SG_CUCKOO_SLOTS:
// there is no room.
static inline unsigned sg_cuckoo_room(
	const struct sg_cuckoo *cuckoo, const struct sg_cuckoo_bucket *bucket)
{
	unsigned mask = sg_cuckoo_match(bucket, 0);

	if (!mask) {
		unsigned stale = sg_cuckoo_stale(cuckoo, bucket);
		unsigned at_home = stale & ~sg_cuckoo_away(bucket);

		mask = at_home ? at_home : stale;
	}
	return (unsigned)__builtin_ctz(mask | 1u << SG_CUCKOO_SLOTS);
}

// The slot of a key's primary that it gets if nothing there has its signature, none of its class
// has overflowed, and the slot is empty, or its stale entry at home. SG_CUCKOO_SLOTS: there is
// none.
static inline unsigned sg_cuckoo_room_at_home(const struct sg_cuckoo *cuckoo, uint64_t hash)
{
	struct sg_cuckoo_bucket *bucket = &cuckoo->buckets[sg_cuckoo_primary(cuckoo, hash)];
	uint16_t signature = sg_cuckoo_signature(hash);
	unsigned mask = sg_cuckoo_match(bucket, 0);

	if (!mask)
		mask = sg_cuckoo_stale(cuckoo, bucket) & ~sg_cuckoo_away(bucket);
	if (sg_cuckoo_match(bucket, signature) || *sg_cuckoo_overflow(bucket, signature))
		mask = 0;
	return (unsigned)__builtin_ctz(mask | 1u << SG_CUCKOO_SLOTS);
}

// Whether a key that is not in the index would be entered without touching a second bucket. Where
// false, it may be there already.
static inline bool sg_cuckoo_fits(const struct sg_cuckoo *cuckoo, uint64_t hash)
{
	return sg_cuckoo_room_at_home(cuckoo, hash) < SG_CUCKOO_SLOTS;
}

// fast path: sg_cuckoo_insert for what fits so. False: nothing has changed.
static inline bool sg_cuckoo_put_at_home(
	const struct sg_cuckoo *cuckoo, uint64_t hash, uint32_t entry, uint8_t tag)
{
	struct sg_cuckoo_bucket *bucket = &cuckoo->buckets[sg_cuckoo_primary(cuckoo, hash)];
	unsigned slot = sg_cuckoo_room_at_home(cuckoo, hash);

	if (slot == SG_CUCKOO_SLOTS)
		return false;
	bucket->signatures[slot] = sg_cuckoo_signature(hash);
	bucket->entries[slot] = entry;
	bucket->tags[slot] = tag;
	return true;
}

// Before insertions that do not fit so, once their primaries should be cached: asks for all other
// buckets that they will touch. `hashes` are up to SG_CUCKOO_MAX_ROOMS.
#define SG_CUCKOO_MAX_ROOMS 64
void sg_cuckoo_prefetch_rooms(const struct sg_cuckoo *cuckoo, const uint64_t *hashes, unsigned n);

// Before a removal, when the primary should be cached: asks for the alternate where the primary
// does not seem to have the entry.
static inline void sg_cuckoo_prefetch_entry(const struct sg_cuckoo *cuckoo, uint64_t hash)
{
	uint16_t signature = sg_cuckoo_signature(hash);
	uint32_t primary = sg_cuckoo_primary(cuckoo, hash);

	if (!sg_cuckoo_match(&cuckoo->buckets[primary], signature))
		sg_prefetch_write(&cuckoo->buckets[sg_cuckoo_other(cuckoo, primary, signature)]);
}

// Enters `entry` (not 0, SG_CUCKOO_ALTERNATE clear) with a tag. If the same was left behind under
// the same hash it is taken out first, so that it is there but once. False: no room was found;
// nothing that a look-up could notice has changed. An entry that is still wanted may not be entered
// again.
bool sg_cuckoo_insert(const struct sg_cuckoo *cuckoo, uint64_t hash, uint32_t entry, uint8_t tag);

// Takes out what was entered with the same hash and entry. False: it is not there.
bool sg_cuckoo_remove(const struct sg_cuckoo *cuckoo, uint64_t hash, uint32_t entry);

// Makes an entry that is not stale yet one that stays. False: it is not there.
bool sg_cuckoo_untag(const struct sg_cuckoo *cuckoo, uint64_t hash, uint32_t entry);
