// Entering and taking out, and the search for room, see cuckoo.h.
#include "flow/cuckoo.h"

// A bucket whose overflow comes near the end of its 16 bits sends no more entries away. Only a hash
// that is broken on purpose gets here; the margin is for the moves of one chain.
#define OVERFLOW_LIMIT (UINT16_MAX - 8)

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

static inline void put(
	struct sg_cuckoo_bucket *bucket, unsigned slot, uint16_t signature, uint32_t entry)
{
	bucket->signatures[slot] = signature;
	bucket->entries[slot] = entry;
}

static inline bool put_if_room(struct sg_cuckoo_bucket *bucket, uint16_t signature, uint32_t entry)
{
	unsigned empty = sg_cuckoo_match(bucket, 0);

	if (!empty)
		return false;
	put(bucket, (unsigned)__builtin_ctz(empty), signature, entry);
	return true;
}

// Moves an entry to its other bucket, where `to_slot` is empty.
static void move(struct sg_cuckoo_bucket *from, unsigned from_slot, struct sg_cuckoo_bucket *to,
	unsigned to_slot)
{
	uint32_t entry = from->entries[from_slot];

	if (entry & SG_CUCKOO_ALTERNATE)
		to->overflow--;
	else
		from->overflow++;
	put(to, to_slot, from->signatures[from_slot], entry ^ SG_CUCKOO_ALTERNATE);
	put(from, from_slot, 0, 0);
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

// Moves along the chain that ends with slot `slot` of node `at` going to `target`, last move first.
// Then a slot of the chain's root is empty.
static void pull(const struct sg_cuckoo *cuckoo, const struct search *search, unsigned at,
	unsigned slot, struct sg_cuckoo_bucket *target)
{
	unsigned target_slot = (unsigned)__builtin_ctz(sg_cuckoo_match(target, 0));

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
		__builtin_prefetch(
			&cuckoo->buckets[sg_cuckoo_other(cuckoo, at, bucket->signatures[slot])], 1);
}

// Visits the other buckets of all entries of node `at`. True: one had room, and a root has it now.
static bool expand(const struct sg_cuckoo *cuckoo, struct search *search, unsigned at)
{
	uint32_t from = search->nodes[at].bucket;
	const struct sg_cuckoo_bucket *bucket = &cuckoo->buckets[from];

	prefetch_others(cuckoo, from);
	for (unsigned slot = 0; slot < SG_CUCKOO_SLOTS; slot++) {
		uint32_t other = sg_cuckoo_other(cuckoo, from, bucket->signatures[slot]);

		if (!(bucket->entries[slot] & SG_CUCKOO_ALTERNATE) &&
			bucket->overflow >= OVERFLOW_LIMIT)
			continue;
		if (is_on_path(search, at, other))
			continue;
		if (search->n_nodes == SG_CUCKOO_MAX_VISITS)
			return false;
		if (sg_cuckoo_match(&cuckoo->buckets[other], 0)) {
			pull(cuckoo, search, at, slot, &cuckoo->buckets[other]);
			return true;
		}
		search->nodes[search->n_nodes++] = (struct node){
			.bucket = other, .parent = (uint8_t)at, .slot = (uint8_t)slot};
	}
	return false;
}

// Makes room in one of the two full buckets by moving others' entries.
static bool displace(const struct sg_cuckoo *cuckoo, uint32_t primary, uint32_t alternate)
{
	struct search search;

	search.nodes[0] = (struct node){.bucket = primary, .parent = 0};
	search.nodes[1] = (struct node){.bucket = alternate, .parent = 1};
	search.n_nodes = 2;
	if (alternate == primary || cuckoo->buckets[primary].overflow >= OVERFLOW_LIMIT)
		search.n_nodes = 1;
	for (unsigned at = 0; at < search.n_nodes; at++) {
		if (expand(cuckoo, &search, at))
			return true;
	}
	return false;
}

static bool put_in_alternate(struct sg_cuckoo_bucket *primary, struct sg_cuckoo_bucket *alternate,
	uint16_t signature, uint32_t entry)
{
	if (alternate == primary || primary->overflow >= OVERFLOW_LIMIT)
		return false;
	if (!put_if_room(alternate, signature, entry | SG_CUCKOO_ALTERNATE))
		return false;
	primary->overflow++;
	return true;
}

bool sg_cuckoo_insert(const struct sg_cuckoo *cuckoo, uint64_t hash, uint32_t entry)
{
	uint16_t signature = sg_cuckoo_signature(hash);
	uint32_t at = sg_cuckoo_primary(cuckoo, hash);
	uint32_t other = sg_cuckoo_other(cuckoo, at, signature);
	struct sg_cuckoo_bucket *primary = &cuckoo->buckets[at];
	struct sg_cuckoo_bucket *alternate = &cuckoo->buckets[other];

	// fast path: at 85 % of the slots in use, 9 of 10 entries fit here.
	if (__builtin_expect(put_if_room(primary, signature, entry), 1))
		return true;
	if (put_in_alternate(primary, alternate, signature, entry))
		return true;
	if (!displace(cuckoo, at, other))
		return false;
	return put_if_room(primary, signature, entry) ||
	       put_in_alternate(primary, alternate, signature, entry);
}

static inline bool take_out(struct sg_cuckoo_bucket *bucket, uint16_t signature, uint32_t entry)
{
	unsigned mask = sg_cuckoo_match(bucket, signature);

	for (; mask; mask &= mask - 1) {
		unsigned slot = (unsigned)__builtin_ctz(mask);

		if (bucket->entries[slot] == entry) {
			put(bucket, slot, 0, 0);
			return true;
		}
	}
	return false;
}

bool sg_cuckoo_remove(const struct sg_cuckoo *cuckoo, uint64_t hash, uint32_t entry)
{
	uint16_t signature = sg_cuckoo_signature(hash);
	uint32_t at = sg_cuckoo_primary(cuckoo, hash);
	struct sg_cuckoo_bucket *primary = &cuckoo->buckets[at];

	if (take_out(primary, signature, entry))
		return true;
	if (primary->overflow == 0)
		return false;
	at = sg_cuckoo_other(cuckoo, at, signature);
	if (!take_out(&cuckoo->buckets[at], signature, entry | SG_CUCKOO_ALTERNATE))
		return false;
	primary->overflow--;
	return true;
}
