// Builds the trie of trie.h: shorter prefixes first, so that a longer one only ever writes over
// what is less specific.
#include "service/trie.h"

#include <assert.h>
#include <stdlib.h>

#include "base/refs.h"

#define MAX_LENGTH 128

struct build {
	struct sg_trie *trie;
	uint32_t capacity; // nodes that there is memory for
};

// Adds a node whose every entry is `value`. Returns its number, or 0 (the root's) without memory.
static uint32_t add_node(struct build *build, uint32_t value)
{
	struct sg_trie *trie = build->trie;
	uint32_t number = trie->n_nodes;

	if (number == build->capacity) {
		uint32_t capacity = build->capacity * 2;
		void *nodes = realloc(trie->nodes, capacity * sizeof(trie->nodes[0]));

		if (!nodes)
			return 0;
		trie->nodes = nodes;
		build->capacity = capacity;
	}
	for (int i = 0; i < 256; i++)
		trie->nodes[number][i] = value;
	trie->n_nodes++;
	return number;
}

// Walks to the node in which the prefix ends, adding those that are missing on the way, and writes
// its range.
static int insert(struct build *build, const struct sg_trie_entry *entry)
{
	const uint8_t *bytes = entry->prefix.addr.bytes;
	unsigned length = entry->prefix.length;
	uint32_t node = 0;
	unsigned first, n;

	for (; length > 8; length -= 8, bytes++) {
		uint32_t next = build->trie->nodes[node][*bytes];

		if (!(next & SG_TRIE_NODE)) {
			uint32_t added = add_node(build, next);

			if (added == 0)
				return -1;
			next = added | SG_TRIE_NODE;
			build->trie->nodes[node][*bytes] = next;
		}
		node = next & ~SG_TRIE_NODE;
	}
	n = 1u << (8 - length);
	first = *bytes & ~(n - 1);
	for (unsigned i = first; i < first + n; i++)
		build->trie->nodes[node][i] = entry->value;
	return 0;
}

// Numbers of the entries of this family by length, those of one length in their order (a counting
// sort). Returns how many there are.
static unsigned sort_by_length(
	const struct sg_trie_entry *entries, unsigned n, enum sg_family family, unsigned *ret_order)
{
	unsigned starts[MAX_LENGTH + 2] = {0};

	for (unsigned i = 0; i < n; i++)
		if (entries[i].prefix.addr.family == family)
			starts[entries[i].prefix.length + 1]++;
	for (unsigned length = 0; length <= MAX_LENGTH; length++)
		starts[length + 1] += starts[length];
	for (unsigned i = 0; i < n; i++)
		if (entries[i].prefix.addr.family == family)
			ret_order[starts[entries[i].prefix.length]++] = i;
	return starts[MAX_LENGTH + 1];
}

static int insert_all(
	struct build *build, const struct sg_trie_entry *entries, unsigned n, enum sg_family family)
{
	unsigned *order = malloc((n + 1) * sizeof(*order));
	unsigned n_sorted;
	int err = 0;

	if (!order)
		return -1;
	n_sorted = sort_by_length(entries, n, family, order);
	for (unsigned i = 0; i < n_sorted && err == 0; i++) {
		assert(entries[order[i]].value < SG_TRIE_NONE);
		err = insert(build, &entries[order[i]]);
	}
	free(order);
	return err;
}

// Gives back what doubling left over: a trie lives long, and there may be one for each service.
static void trim(struct sg_trie *trie)
{
	void *nodes = realloc(trie->nodes, trie->n_nodes * sizeof(trie->nodes[0]));

	if (nodes)
		trie->nodes = nodes;
}

struct sg_trie *sg_trie_create(
	const struct sg_trie_entry *entries, unsigned n, enum sg_family family)
{
	struct build build = {.trie = calloc(1, sizeof(*build.trie)), .capacity = 4};

	if (!build.trie)
		return NULL;
	build.trie->refs = 1;
	build.trie->nodes = malloc(build.capacity * sizeof(build.trie->nodes[0]));
	if (!build.trie->nodes)
		goto fail;
	add_node(&build, SG_TRIE_NONE);
	if (insert_all(&build, entries, n, family) < 0)
		goto fail;
	trim(build.trie);
	return build.trie;

fail:
	sg_trie_unref(build.trie);
	return NULL;
}

struct sg_trie *sg_trie_ref(struct sg_trie *trie)
{
	sg_refs_take(&trie->refs);
	return trie;
}

void sg_trie_unref(struct sg_trie *trie)
{
	if (!trie || !sg_refs_drop(&trie->refs))
		return;
	free(trie->nodes);
	free(trie);
}

size_t sg_trie_bytes(const struct sg_trie *trie)
{
	return sizeof(*trie) + trie->n_nodes * sizeof(trie->nodes[0]);
}
