// An immutable map from 64-bit keys to 32-bit values: open addressing, at most half full, built
// once and then only read (by any number of threads).
//
// Keys are what an IPv4 packet can name: an address, or address + port + protocol. They come from
// the configuration, so nobody hostile can make them collide; a hostile packet costs one miss of
// bounded length.
#pragma once

#include <stdint.h>

#include "base/hash.h"

#define SG_INDEX_NONE UINT32_MAX // "no such key"; not a value

struct sg_index_entry {
	uint64_t key;
	uint32_t value; // SG_INDEX_NONE: empty
	uint32_t reserved;
};

struct sg_index {
	unsigned refs; // base/refs.h
	uint32_t mask; // a power of two, less one
	uint32_t n_keys;
	struct sg_index_entry *entries;
};

// An index with room for `n_keys`, with one reference. NULL without memory.
struct sg_index *sg_index_create(uint32_t n_keys);
struct sg_index *sg_index_ref(struct sg_index *index);
void sg_index_unref(struct sg_index *index); // NULL is fine
// Before publication only. Replaces the value of a key that is there. More keys than `n_keys` is a
// bug.
void sg_index_put(struct sg_index *index, uint64_t key, uint32_t value);

// How many entries leave at least half of them empty, so that every miss ends; 0: too many keys.
uint32_t sg_index_entries_for(uint32_t n_keys);

static inline uint32_t sg_index_find(const struct sg_index *index, uint64_t key)
{
	uint32_t at = (uint32_t)sg_mix64(key) & index->mask;

	while (index->entries[at].value != SG_INDEX_NONE && index->entries[at].key != key)
		at = (at + 1) & index->mask;
	return index->entries[at].value;
}
