// Longest-prefix match over IPv4 or IPv6, 8 bits a step: an immutable trie in one block of memory.
//
// Serves routes, allow lists and backend_cidrs. A node is 256 entries of 32 bits; an entry is a
// value or, with its top bit set, the number of the next node; a prefix is spread over the entries
// that it covers, so a look-up is at most 4 (16) reads without a comparison of lengths. Built once,
// then read by any number of threads.
//
// Memory is 1 KiB a node, and a prefix of n bits needs up to (n - 1) / 8 nodes of its own: 10,000
// hosts in one /16 take 42 KiB, 10,000 scattered ones up to 30 MB (IPv6: 150 MB). Prefixes that
// share their first bytes share nodes.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "net/addr.h"

#define SG_TRIE_NONE UINT32_C(0x7fffffff) // no prefix covers the address; not a value
#define SG_TRIE_NODE UINT32_C(0x80000000)

struct sg_trie_entry {
	struct sg_prefix prefix;
	uint32_t value; // below SG_TRIE_NONE
};

struct sg_trie {
	unsigned refs; // base/refs.h
	uint32_t n_nodes;
	uint32_t (*nodes)[256]; // node 0 is the root
};

// Builds from the entries of one family (those of the other are left out). Where two have the same
// prefix, the later one counts. With one reference. NULL without memory.
struct sg_trie *sg_trie_create(
	const struct sg_trie_entry *entries, unsigned n, enum sg_family family);
struct sg_trie *sg_trie_ref(struct sg_trie *trie);
void sg_trie_unref(struct sg_trie *trie); // NULL is fine
size_t sg_trie_bytes(const struct sg_trie *trie);

// `addr_bytes`: 4 or 16 bytes in network order, as the trie's family has them.
static inline uint32_t sg_trie_find(const struct sg_trie *trie, const void *addr_bytes)
{
	const uint8_t *at = addr_bytes;
	uint32_t entry = trie->nodes[0][*at];

	while (entry & SG_TRIE_NODE)
		entry = trie->nodes[entry & ~SG_TRIE_NODE][*++at];
	return entry;
}
