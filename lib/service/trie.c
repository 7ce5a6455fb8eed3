// Builds the trie of trie.h and searches it for many at once.
//
// Building goes through the prefixes in the order of their addresses, a shorter one before those
// that lie in it: so what a node is made of is one stretch of them, and what is written later is
// more specific.
#include "service/trie.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/prefetch.h"
#include "base/refs.h"

#define WORDS_PER_NODE ((uint32_t)(sizeof(struct sg_trie_node) / sizeof(uint32_t)))
#define OWN_AT         ((uint32_t)(offsetof(struct sg_trie_node, own) / sizeof(uint32_t)))
#define TABLE_BYTES    (SG_TRIE_TABLE_ENTRIES * sizeof(uint32_t))

struct build {
	struct sg_trie *trie;
	uint32_t capacity; // nodes that there is memory for
};

// Moves the nodes to a block of another size. Returns 0 or -1 without memory.
static int resize(struct build *build, uint32_t capacity)
{
	struct sg_trie *trie = build->trie;
	struct sg_trie_node *nodes = aligned_alloc(64, capacity * sizeof(*nodes));

	if (!nodes)
		return -1;
	if (trie->nodes)
		memcpy(nodes, trie->nodes, trie->n_nodes * sizeof(*nodes));
	free(trie->nodes);
	trie->nodes = nodes;
	build->capacity = capacity;
	return 0;
}

// Takes `n` places in a row. Returns the first one's number; UINT32_MAX without memory.
static uint32_t take_places(struct build *build, uint32_t n)
{
	struct sg_trie *trie = build->trie;
	uint32_t first = trie->n_nodes;
	uint32_t capacity = build->capacity;

	while (capacity < first + n)
		capacity *= 2;
	if (capacity != build->capacity && resize(build, capacity) < 0)
		return UINT32_MAX;
	trie->n_nodes += n;
	return first;
}

// What the bytes lead to while a node is made, and where that may change: only there it is looked
// at, since most nodes are nearly empty.
struct draft {
	uint32_t leads_to[256];
	uint64_t edges[4]; // a bit for each byte
};

static void mark_edge(struct draft *draft, unsigned byte)
{
	draft->edges[byte / 64] |= UINT64_C(1) << byte % 64;
}

static void lead(struct draft *draft, unsigned first, unsigned n, uint32_t entry)
{
	for (unsigned byte = first; byte < first + n; byte++)
		draft->leads_to[byte] = entry;
	mark_edge(draft, first);
	if (first + n < 256)
		mark_edge(draft, first + n);
}

// Writes a draft as the runs of node `number`. Returns 0 or -1 without memory.
static int write_node(struct build *build, uint32_t number, const struct draft *draft)
{
	uint32_t at = number * WORDS_PER_NODE + OWN_AT;
	struct sg_trie_node node = {.begins = {0}};
	uint32_t before[4];
	uint32_t runs[256];
	uint32_t n = 0;

	for (unsigned word = 0; word < 4; word++) {
		before[word] = n;
		for (uint64_t left = draft->edges[word]; left; left &= left - 1) {
			unsigned bit = (unsigned)__builtin_ctzll(left);
			uint32_t entry = draft->leads_to[64 * word + bit];

			if (n > 0 && entry == runs[n - 1])
				continue;
			node.begins[word] |= UINT64_C(1) << bit;
			runs[n++] = entry;
		}
	}
	if (n > SG_TRIE_OWN_RUNS) {
		uint32_t place = take_places(build, (n + WORDS_PER_NODE - 1) / WORDS_PER_NODE);

		if (place == UINT32_MAX)
			return -1;
		at = place * WORDS_PER_NODE;
	}
	// A byte's own run is among those that begin up to it: counting starts one before the
	// first.
	for (unsigned word = 0; word < 4; word++)
		node.runs[word] = at + before[word] - 1;
	build->trie->nodes[number] = node;
	memcpy((uint32_t *)build->trie->nodes + at, runs, n * sizeof(runs[0]));
	return 0;
}

// Whether the prefix goes on behind the byte of this depth.
static bool goes_deeper(const struct sg_trie_entry *entry, unsigned depth)
{
	return entry->prefix.length > 8 * (depth + 1);
}

// Builds node `number`, in which a look-up arrives with `depth` bytes behind it, from the entries
// that agree in those. `rest`: what is in none of them. Returns 0 or -1 without memory.
static int build_node(struct build *build, uint32_t number, unsigned depth,
	const struct sg_trie_entry *const *entries, unsigned n, uint32_t rest)
{
	struct draft draft;

	memset(draft.edges, 0, sizeof(draft.edges));
	lead(&draft, 0, 256, rest);
	for (unsigned i = 0, first; i < n;) {
		uint8_t byte = entries[i]->prefix.addr.bytes[depth];
		uint32_t child;

		if (!goes_deeper(entries[i], depth)) {
			lead(&draft, byte, 1u << (8 * (depth + 1) - entries[i]->prefix.length),
				entries[i]->value);
			i++;
			continue;
		}
		first = i;
		while (i < n && goes_deeper(entries[i], depth) &&
			entries[i]->prefix.addr.bytes[depth] == byte)
			i++;
		child = take_places(build, 1);
		if (child == UINT32_MAX || build_node(build, child, depth + 1, entries + first,
						   i - first, draft.leads_to[byte]) < 0)
			return -1;
		lead(&draft, byte, 1, child | SG_TRIE_NODE);
	}
	return write_node(build, number, &draft);
}

// By address, a shorter prefix before a longer one, equal ones as they came.
static int compare(const void *a, const void *b)
{
	const struct sg_trie_entry *const *x = a, *const *y = b;
	int order = memcmp((*x)->prefix.addr.bytes, (*y)->prefix.addr.bytes, 16);

	if (order == 0)
		order = (int)(*x)->prefix.length - (int)(*y)->prefix.length;
	return order != 0 ? order : (*x > *y) - (*x < *y);
}

static int build_root(
	struct build *build, const struct sg_trie_entry *entries, unsigned n, enum sg_family family)
{
	const struct sg_trie_entry **sorted = malloc((n + 1) * sizeof(sorted[0]));
	unsigned n_sorted = 0;
	int err = -1;

	if (!sorted)
		return -1;
	for (unsigned i = 0; i < n; i++) {
		assert(entries[i].value < SG_TRIE_NONE);
		if (entries[i].prefix.addr.family == family)
			sorted[n_sorted++] = &entries[i];
	}
	qsort(sorted, n_sorted, sizeof(sorted[0]), compare);
	if (take_places(build, 1) == 0)
		err = build_node(build, 0, 0, sorted, n_sorted, SG_TRIE_NONE);
	free(sorted);
	return err;
}

// The table only saves two steps, so a trie may do without.
static uint32_t *make_table(const struct sg_trie *trie)
{
	uint32_t *table = malloc(TABLE_BYTES);

	for (unsigned i = 0; table && i < SG_TRIE_TABLE_ENTRIES; i++) {
		uint32_t entry = sg_trie_step(trie, 0, (uint8_t)(i >> 8));

		if (entry & SG_TRIE_NODE)
			entry = sg_trie_step(trie, entry & ~SG_TRIE_NODE, (uint8_t)i);
		table[i] = entry;
	}
	return table;
}

struct sg_trie *sg_trie_create(
	const struct sg_trie_entry *entries, unsigned n, enum sg_family family)
{
	struct build build = {.trie = calloc(1, sizeof(*build.trie))};
	struct sg_trie *trie = build.trie;

	if (!trie)
		return NULL;
	trie->refs = 1;
	if (resize(&build, 4) < 0 || build_root(&build, entries, n, family) < 0) {
		sg_trie_unref(trie);
		return NULL;
	}
	// What doubling left over is given back: a trie lives long, and there may be one for each
	// service. Without memory for a moment it stays.
	resize(&build, trie->n_nodes);
	if (trie->n_nodes * sizeof(trie->nodes[0]) >= TABLE_BYTES)
		trie->table = make_table(trie);
	return trie;
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
	free(trie->table);
	free(trie);
}

size_t sg_trie_bytes(const struct sg_trie *trie)
{
	return sizeof(*trie) + trie->n_nodes * sizeof(trie->nodes[0]) +
	       (trie->table ? TABLE_BYTES : 0);
}

// Asks for the line that the next step from an entry reads; of a value, for the root's. By a mask,
// since half of the branches that could ask which it is would be guessed wrong.
static inline void prefetch_next(const struct sg_trie *trie, uint32_t entry)
{
	uint32_t mask = (uint32_t)((int32_t)entry >> 31); // all ones for a node

	sg_prefetch(&trie->nodes[entry & mask & ~SG_TRIE_NODE]);
}

// Notes what a search has come to. Returns its bit if it goes on.
static inline uint64_t note(struct sg_trie_search *search, uint32_t entry, unsigned number)
{
	search->found = entry;
	prefetch_next(search->trie, entry);
	return (uint64_t)(entry >> 31) << number;
}

static_assert(SG_TRIE_MAX_BURST <= 64, "searches are bits of a word");

void sg_trie_find_bulk(struct sg_trie_search *searches, unsigned n)
{
	uint64_t open = 0; // a bit for each search that has not come to a value yet

	for (unsigned i = 0; i < n; i++)
		open |= note(&searches[i], sg_trie_begin(searches[i].trie, &searches[i].at), i);
	for (unsigned depth = 0; open; depth++) {
		uint64_t still_open = 0;

		for (uint64_t left = open; left; left &= left - 1) {
			unsigned i = (unsigned)__builtin_ctzll(left);
			struct sg_trie_search *search = &searches[i];
			uint32_t node = search->found & ~SG_TRIE_NODE;

			still_open |= note(
				search, sg_trie_step(search->trie, node, search->at[depth]), i);
		}
		open = still_open;
	}
}
