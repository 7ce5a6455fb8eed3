// Linear probing over a power of two of entries, see index6.h.
#include "service/index6.h"

#include <assert.h>
#include <stdlib.h>

#include "base/refs.h"

struct sg_index6 *sg_index6_create(uint32_t n_keys)
{
	uint32_t n = sg_index_entries_for(n_keys);
	struct sg_index6 *index = n ? malloc(sizeof(*index)) : NULL;

	if (!index)
		return NULL;
	*index = (struct sg_index6){.refs = 1, .mask = n - 1};
	index->entries = malloc(n * sizeof(index->entries[0]));
	if (!index->entries) {
		free(index);
		return NULL;
	}
	for (uint32_t i = 0; i < n; i++)
		index->entries[i] = (struct sg_index6_entry){.value = SG_INDEX_NONE};
	return index;
}

struct sg_index6 *sg_index6_ref(struct sg_index6 *index)
{
	sg_refs_take(&index->refs);
	return index;
}

void sg_index6_unref(struct sg_index6 *index)
{
	if (!index || !sg_refs_drop(&index->refs))
		return;
	free(index->entries);
	free(index);
}

void sg_index6_put(struct sg_index6 *index, const uint8_t addr[16], uint32_t rest, uint32_t value)
{
	struct sg_index6_entry *entry;
	uint64_t words[2];

	assert(value != SG_INDEX_NONE);
	memcpy(words, addr, sizeof(words));
	entry = sg_index6_probe(index, words, rest);
	if (entry->value == SG_INDEX_NONE) {
		index->n_keys++;
		assert((uint64_t)index->n_keys * 2 <= (uint64_t)index->mask + 1);
	}
	*entry = (struct sg_index6_entry){
		.addr = {words[0], words[1]}, .rest = rest, .value = value};
}
