// The map of index.h for IPv6: from an address and 32 bits more to a 32-bit value.
//
// What the 32 bits are, is the map's business: port and protocol of a service (SG_VIP6_REST), the
// number of a port (neighbours), or nothing.
#pragma once

#include <stdint.h>
#include <string.h>

#include "base/hash.h"
#include "service/index.h"

struct sg_index6_entry {
	uint64_t addr[2]; // as the 16 bytes lie in a packet
	uint32_t rest;
	uint32_t value; // SG_INDEX_NONE: empty
	uint64_t reserved;
};

struct sg_index6 {
	unsigned refs; // base/refs.h
	uint32_t mask; // a power of two, less one
	uint32_t n_keys;
	struct sg_index6_entry *entries;
};

// As in index.h.
struct sg_index6 *sg_index6_create(uint32_t n_keys);
struct sg_index6 *sg_index6_ref(struct sg_index6 *index);
void sg_index6_unref(struct sg_index6 *index); // NULL is fine
void sg_index6_put(struct sg_index6 *index, const uint8_t addr[16], uint32_t rest, uint32_t value);

// The entry of a key, or the empty one where it would be.
static inline struct sg_index6_entry *sg_index6_probe(
	const struct sg_index6 *index, const uint64_t addr[2], uint32_t rest)
{
	uint64_t hash = sg_mix64(sg_mix64(addr[0] ^ rest) ^ addr[1]);
	uint32_t at = (uint32_t)hash & index->mask;
	struct sg_index6_entry *entry = &index->entries[at];

	while (entry->value != SG_INDEX_NONE &&
		(entry->addr[0] != addr[0] || entry->addr[1] != addr[1] || entry->rest != rest)) {
		at = (at + 1) & index->mask;
		entry = &index->entries[at];
	}
	return entry;
}

static inline uint32_t sg_index6_find(
	const struct sg_index6 *index, const uint8_t addr[16], uint32_t rest)
{
	uint64_t words[2];

	memcpy(words, addr, sizeof(words));
	return sg_index6_probe(index, words, rest)->value;
}
