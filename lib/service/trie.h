// Longest-prefix match over IPv4 or IPv6, 8 bits a step: an immutable trie in one block of memory.
//
// Serves routes, allow lists and backend_cidrs. A node says what each of 256 bytes leads to: a
// value, or with its top bit set the number of the next node. Neighbours mostly lead to the same,
// so a node keeps one word for each run of equals, and a bit for each byte that begins a run: how
// many runs begin up to a byte is counted with one instruction. A node of up to SG_TRIE_OWN_RUNS
// runs is one cache line; the words of a larger one lie elsewhere in the block. A large trie also
// has a table of what each two first bytes lead to. So a look-up is at most 4 (16) steps of a line
// or two, without a comparison of lengths.
//
// The steps of one look-up wait for each other; those of many need not. find_bulk takes all of them
// one step on, asks for the lines of the next, and goes round.
//
// Memory is 64 bytes a node and 4 a run above SG_TRIE_OWN_RUNS, and a prefix of n bits needs up to
// (n - 1) / 8 nodes of its own: 10,000 hosts in one /16 take 45 KiB, 10,000 scattered ones up to 2
// MB (IPv6: 10 MB). Prefixes that share their first bytes share nodes. The table is 256 KiB, and
// there is none where the nodes take less. Built once, then read by any number of threads.
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "net/addr.h"

#define SG_TRIE_NONE UINT32_C(0x7fffffff) // no prefix covers the address; not a value
#define SG_TRIE_NODE UINT32_C(0x80000000)

struct sg_trie_entry {
	struct sg_prefix prefix;
	uint32_t value; // below SG_TRIE_NONE
};

#define SG_TRIE_OWN_RUNS 4

struct sg_trie_node {
	_Alignas(64) uint64_t begins[4]; // a bit for each byte with which a run begins; byte 0 does
	// By word of `begins`: where the runs that begin in it lie, in words of the block, less 1.
	uint32_t runs[4];
	uint32_t own[SG_TRIE_OWN_RUNS];
};
static_assert(sizeof(struct sg_trie_node) == 64, "a node is one cache line");

#define SG_TRIE_TABLE_ENTRIES 65536

struct sg_trie {
	unsigned refs;    // base/refs.h
	uint32_t n_nodes; // places of 64 bytes: nodes, and runs that found no place in them
	struct sg_trie_node *nodes; // node 0 is the root
	uint32_t *table;            // what two first bytes lead to; NULL: there is none
};

// Builds from the entries of one family (those of the other are left out). Where two have the same
// prefix, the later one counts. With one reference. NULL without memory.
struct sg_trie *sg_trie_create(
	const struct sg_trie_entry *entries, unsigned n, enum sg_family family);
struct sg_trie *sg_trie_ref(struct sg_trie *trie);
void sg_trie_unref(struct sg_trie *trie); // NULL is fine
size_t sg_trie_bytes(const struct sg_trie *trie);

// What `byte` leads to from node `number`.
static inline uint32_t sg_trie_step(const struct sg_trie *trie, uint32_t number, uint8_t byte)
{
	const struct sg_trie_node *node = &trie->nodes[number];
	unsigned word = byte / 64;
	uint64_t up_to = node->begins[word] << (~byte & 63);

	return ((const uint32_t *)trie->nodes)[node->runs[word] + __builtin_popcountll(up_to)];
}

// What the first byte or two of an address lead to; `*at` is moved on to the next.
static inline uint32_t sg_trie_begin(const struct sg_trie *trie, const uint8_t **at)
{
	const uint8_t *first = *at;

	if (!trie->table) {
		*at += 1;
		return sg_trie_step(trie, 0, first[0]);
	}
	*at += 2;
	return trie->table[first[0] << 8 | first[1]];
}

// `addr_bytes`: 4 or 16 bytes in network order, as the trie's family has them.
static inline uint32_t sg_trie_find(const struct sg_trie *trie, const void *addr_bytes)
{
	const uint8_t *at = addr_bytes;
	uint32_t entry = sg_trie_begin(trie, &at);

	while (entry & SG_TRIE_NODE)
		entry = sg_trie_step(trie, entry & ~SG_TRIE_NODE, *at++);
	return entry;
}

#define SG_TRIE_MAX_BURST 64

struct sg_trie_search {
	const struct sg_trie *trie;
	const uint8_t *at; // the address's bytes; find_bulk moves it on
	uint32_t found;    // by find_bulk: what sg_trie_find returns
};

// Up to SG_TRIE_MAX_BURST searches at once, each in a trie of its own.
void sg_trie_find_bulk(struct sg_trie_search *searches, unsigned n);
