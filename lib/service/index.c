// Linear probing over a power of two of entries, see index.h.
#include "service/index.h"

#include <assert.h>
#include <stdlib.h>

#include "base/refs.h"

// Whether the place of a key that is not there is empty would be a coin's toss for the processor to
// guess, and every new client's address is asked for. Few keys get so many places that it guesses
// right.
#define LEAST_ENTRIES 256

uint32_t sg_index_entries_for(uint32_t n_keys)
{
	uint64_t n = LEAST_ENTRIES;

	while (n < 2 * (uint64_t)n_keys)
		n *= 2;
	return n <= UINT32_MAX ? (uint32_t)n : 0;
}

struct sg_index *sg_index_create(uint32_t n_keys)
{
	uint32_t n = sg_index_entries_for(n_keys);
	struct sg_index *index = n ? malloc(sizeof(*index)) : NULL;

	if (!index)
		return NULL;
	*index = (struct sg_index){.refs = 1, .mask = n - 1};
	index->entries = malloc(n * sizeof(index->entries[0]));
	if (!index->entries) {
		free(index);
		return NULL;
	}
	for (uint32_t i = 0; i < n; i++)
		index->entries[i] = (struct sg_index_entry){.value = SG_INDEX_NONE};
	return index;
}

struct sg_index *sg_index_ref(struct sg_index *index)
{
	sg_refs_take(&index->refs);
	return index;
}

void sg_index_unref(struct sg_index *index)
{
	if (!index || !sg_refs_drop(&index->refs))
		return;
	free(index->entries);
	free(index);
}

void sg_index_put(struct sg_index *index, uint64_t key, uint32_t value)
{
	uint32_t at = (uint32_t)sg_mix64(key) & index->mask;

	assert(value != SG_INDEX_NONE);
	while (index->entries[at].value != SG_INDEX_NONE && index->entries[at].key != key)
		at = (at + 1) & index->mask;
	if (index->entries[at].value == SG_INDEX_NONE) {
		index->n_keys++;
		assert((uint64_t)index->n_keys * 2 <= (uint64_t)index->mask + 1);
	}
	index->entries[at] = (struct sg_index_entry){.key = key, .value = value};
}
