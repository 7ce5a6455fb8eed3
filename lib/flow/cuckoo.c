// Entering and taking out, and the search for room, see cuckoo.h.
#include "flow/cuckoo.h"

// A bucket whose overflow comes near the end of its 8 bits sends no more entries of that class
// away. Only a hash that is broken on purpose gets here; the margin is for the moves of one chain.
#define OVERFLOW_LIMIT (UINT8_MAX - 8)

// A bucket that the search has visited, and how it got there. Slot `slot` of node `parent` holds
// the entry whose other bucket this is. The roots, primary and alternate of the new entry, are
// their own parents.
struct node {
	uint32_t bucket;
	uint8_t parent;
	uint8_t slot;
};

struct search {
	struct node nodes[SG_CUCKOO_MAX_VISITS];
	unsigned n_nodes;
};
static_assert(SG_CUCKOO_MAX_VISITS <= UINT8_MAX + 1, "parent is 8 bits");

static inline void put(struct sg_cuckoo_bucket *bucket, unsigned slot, uint16_t signature,
	uint32_t entry, uint8_t tag)
{
	bucket->signatures[slot] = signature;
	bucket->entries[slot] = entry;
	bucket->tags[slot] = tag;
}

static inline void clear(struct sg_cuckoo_bucket *bucket, unsigned slot)
{
	put(bucket, slot, 0, 0, SG_CUCKOO_UNTAGGED);
}

// What leaves slot `slot` of bucket `at` no longer counts as one that its primary has sent away.
static inline void note_leaving(const struct sg_cuckoo *cuckoo, uint32_t at, unsigned slot)
{
	const struct sg_cuckoo_bucket *bucket = &cuckoo->buckets[at];

	uint16_t signature = bucket->signatures[slot];

	if (bucket->entries[slot] & SG_CUCKOO_ALTERNATE)
		(*sg_cuckoo_overflow(
			&cuckoo->buckets[sg_cuckoo_other(cuckoo, at, signature)], signature))--;
}

static inline bool put_if_room(const struct sg_cuckoo *cuckoo, uint32_t at, uint16_t signature,
	uint32_t entry, uint8_t tag)
{
	struct sg_cuckoo_bucket *bucket = &cuckoo->buckets[at];
	unsigned slot = sg_cuckoo_room(cuckoo, bucket);

	if (slot == SG_CUCKOO_SLOTS)
		return false;
	note_leaving(cuckoo, at, slot);
	put(bucket, slot, signature, entry, tag);
	return true;
}

// Moves an entry to its other bucket, where `to_slot` is empty.
static void move(struct sg_cuckoo_bucket *from, unsigned from_slot, struct sg_cuckoo_bucket *to,
	unsigned to_slot)
{
	uint32_t entry = from->entries[from_slot];
	uint16_t signature = from->signatures[from_slot];

	if (entry & SG_CUCKOO_ALTERNATE)
		(*sg_cuckoo_overflow(to, signature))--;
	else
		(*sg_cuckoo_overflow(from, signature))++;
	put(to, to_slot, signature, entry ^ SG_CUCKOO_ALTERNATE, from->tags[from_slot]);
	clear(from, from_slot);
}

// Whether `bucket` is node `at` or one of its ancestors: a chain that crosses itself would move an
// entry twice.
static bool is_on_path(const struct search *search, unsigned at, uint32_t bucket)
{
	while (search->nodes[at].bucket != bucket) {
		if (search->nodes[at].parent == at)
			return false;
		at = search->nodes[at].parent;
	}
	return true;
}

// Moves along the chain that ends with slot `slot` of node `at` going to bucket `to`, which has
// room, last move first. Then a slot of the chain's root is empty.
static void pull(const struct sg_cuckoo *cuckoo, const struct search *search, unsigned at,
	unsigned slot, uint32_t to)
{
	struct sg_cuckoo_bucket *target = &cuckoo->buckets[to];
	unsigned target_slot = sg_cuckoo_room(cuckoo, target);

	note_leaving(cuckoo, to, target_slot);
	for (;;) {
		const struct node *node = &search->nodes[at];
		struct sg_cuckoo_bucket *bucket = &cuckoo->buckets[node->bucket];

		move(bucket, slot, target, target_slot);
		if (node->parent == at)
			return;
		target = bucket;
		target_slot = slot;
		slot = node->slot;
		at = node->parent;
	}
}

static void prefetch_others(const struct sg_cuckoo *cuckoo, uint32_t at)
{
	const struct sg_cuckoo_bucket *bucket = &cuckoo->buckets[at];

	for (unsigned slot = 0; slot < SG_CUCKOO_SLOTS; slot++)
		sg_prefetch_write(
			&cuckoo->buckets[sg_cuckoo_other(cuckoo, at, bucket->signatures[slot])]);
}

// Asks for what an insertion into slot `slot` of bucket `at` will evict from its count: the primary
// of a stale entry that lives in its alternate. False: the bucket has no room.
static inline bool prefetch_evicted(const struct sg_cuckoo *cuckoo, uint32_t at)
{
	const struct sg_cuckoo_bucket *bucket = &cuckoo->buckets[at];
	unsigned slot = sg_cuckoo_room(cuckoo, bucket);

	if (slot == SG_CUCKOO_SLOTS)
		return false;
	if (bucket->entries[slot] & SG_CUCKOO_ALTERNATE)
		sg_prefetch_write(
			&cuckoo->buckets[sg_cuckoo_other(cuckoo, at, bucket->signatures[slot])]);
	return true;
}

void sg_cuckoo_prefetch_rooms(const struct sg_cuckoo *cuckoo, const uint64_t *hashes, unsigned n)
{
	uint32_t alternates[SG_CUCKOO_MAX_ROOMS]; // of those whose primary has no room
	unsigned n_alternates = 0;

	for (unsigned i = 0; i < n; i++) {
		uint32_t primary = sg_cuckoo_primary(cuckoo, hashes[i]);
		uint16_t signature = sg_cuckoo_signature(hashes[i]);
		uint32_t alternate = sg_cuckoo_other(cuckoo, primary, signature);
		bool has_room = prefetch_evicted(cuckoo, primary);

		if (!has_room || *sg_cuckoo_overflow(&cuckoo->buckets[primary], signature))
			sg_prefetch_write(&cuckoo->buckets[alternate]);
		alternates[n_alternates] = alternate;
		n_alternates += !has_room;
	}
	for (unsigned i = 0; i < n_alternates; i++) {
		if (!prefetch_evicted(cuckoo, alternates[i]))
			prefetch_others(cuckoo, alternates[i]);
	}
}

// Visits the other buckets of all entries of node `at`. True: one had room, and a root has it now.
static bool expand(const struct sg_cuckoo *cuckoo, struct search *search, unsigned at)
{
	uint32_t from = search->nodes[at].bucket;
	struct sg_cuckoo_bucket *bucket = &cuckoo->buckets[from];

	prefetch_others(cuckoo, from);
	for (unsigned slot = 0; slot < SG_CUCKOO_SLOTS; slot++) {
		uint16_t signature = bucket->signatures[slot];
		uint32_t other = sg_cuckoo_other(cuckoo, from, signature);

		if (!(bucket->entries[slot] & SG_CUCKOO_ALTERNATE) &&
			*sg_cuckoo_overflow(bucket, signature) >= OVERFLOW_LIMIT)
			continue;
		if (is_on_path(search, at, other))
			continue;
		if (search->n_nodes == SG_CUCKOO_MAX_VISITS)
			return false;
		if (sg_cuckoo_room(cuckoo, &cuckoo->buckets[other]) < SG_CUCKOO_SLOTS) {
			pull(cuckoo, search, at, slot, other);
			return true;
		}
		search->nodes[search->n_nodes++] = (struct node){
			.bucket = other, .parent = (uint8_t)at, .slot = (uint8_t)slot};
	}
	return false;
}

static bool may_go_away(
	const struct sg_cuckoo *cuckoo, uint32_t primary, uint32_t alternate, uint16_t signature)
{
	return alternate != primary &&
	       *sg_cuckoo_overflow(&cuckoo->buckets[primary], signature) < OVERFLOW_LIMIT;
}

// Makes room in one of the two full buckets by moving others' entries.
static bool displace(
	const struct sg_cuckoo *cuckoo, uint32_t primary, uint32_t alternate, uint16_t signature)
{
	struct search search;

	search.nodes[0] = (struct node){.bucket = primary, .parent = 0};
	search.nodes[1] = (struct node){.bucket = alternate, .parent = 1};
	search.n_nodes = 2;
	if (!may_go_away(cuckoo, primary, alternate, signature))
		search.n_nodes = 1;
	for (unsigned at = 0; at < search.n_nodes; at++) {
		if (expand(cuckoo, &search, at))
			return true;
	}
	return false;
}

static bool put_in_alternate(const struct sg_cuckoo *cuckoo, uint32_t primary, uint32_t alternate,
	uint16_t signature, uint32_t entry, uint8_t tag)
{
	if (!may_go_away(cuckoo, primary, alternate, signature))
		return false;
	if (!put_if_room(cuckoo, alternate, signature, entry | SG_CUCKOO_ALTERNATE, tag))
		return false;
	(*sg_cuckoo_overflow(&cuckoo->buckets[primary], signature))++;
	return true;
}

// The slot with this entry, among those with the signature; SG_CUCKOO_SLOTS: none.
static inline unsigned find_slot(
	const struct sg_cuckoo_bucket *bucket, uint16_t signature, uint32_t entry)
{
	for (unsigned mask = sg_cuckoo_match(bucket, signature); mask; mask &= mask - 1) {
		unsigned slot = (unsigned)__builtin_ctz(mask);

		if (bucket->entries[slot] == entry)
			return slot;
	}
	return SG_CUCKOO_SLOTS;
}

// Where an entry is: its slot, and its bucket. SG_CUCKOO_SLOTS: nowhere.
static inline unsigned locate(
	const struct sg_cuckoo *cuckoo, uint64_t hash, uint32_t entry, uint32_t *ret_at)
{
	uint16_t signature = sg_cuckoo_signature(hash);
	uint32_t at = sg_cuckoo_primary(cuckoo, hash);
	unsigned slot = find_slot(&cuckoo->buckets[at], signature, entry);

	if (slot == SG_CUCKOO_SLOTS && *sg_cuckoo_overflow(&cuckoo->buckets[at], signature) > 0) {
		at = sg_cuckoo_other(cuckoo, at, signature);
		slot = find_slot(&cuckoo->buckets[at], signature, entry | SG_CUCKOO_ALTERNATE);
	}
	*ret_at = at;
	return slot;
}

bool sg_cuckoo_remove(const struct sg_cuckoo *cuckoo, uint64_t hash, uint32_t entry)
{
	uint32_t at;
	unsigned slot = locate(cuckoo, hash, entry, &at);

	if (slot == SG_CUCKOO_SLOTS)
		return false;
	note_leaving(cuckoo, at, slot);
	clear(&cuckoo->buckets[at], slot);
	return true;
}

bool sg_cuckoo_untag(const struct sg_cuckoo *cuckoo, uint64_t hash, uint32_t entry)
{
	uint32_t at;
	unsigned slot = locate(cuckoo, hash, entry, &at);

	if (slot == SG_CUCKOO_SLOTS)
		return false;
	cuckoo->buckets[at].tags[slot] = SG_CUCKOO_UNTAGGED;
	return true;
}

bool sg_cuckoo_insert(const struct sg_cuckoo *cuckoo, uint64_t hash, uint32_t entry, uint8_t tag)
{
	uint16_t signature = sg_cuckoo_signature(hash);
	uint32_t at = sg_cuckoo_primary(cuckoo, hash);
	uint32_t other;

	// fast path: nothing here has the signature.
	if (__builtin_expect(sg_cuckoo_match(&cuckoo->buckets[at], signature) ||
				     *sg_cuckoo_overflow(&cuckoo->buckets[at], signature),
		    0))
		sg_cuckoo_remove(cuckoo, hash, entry);
	// fast path: at 85 % of the slots in use, 9 of 10 entries fit here.
	if (__builtin_expect(put_if_room(cuckoo, at, signature, entry, tag), 1))
		return true;
	other = sg_cuckoo_other(cuckoo, at, signature);
	if (put_in_alternate(cuckoo, at, other, signature, entry, tag))
		return true;
	if (!displace(cuckoo, at, other, signature))
		return false;
	return put_if_room(cuckoo, at, signature, entry, tag) ||
	       put_in_alternate(cuckoo, at, other, signature, entry, tag);
}
