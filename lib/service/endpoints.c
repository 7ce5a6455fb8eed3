// Linear probing over endpoints, see endpoints.h.
#include "service/endpoints.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define MIN_ENTRIES 16

void sg_endpoints_fini(struct sg_endpoints *endpoints)
{
	free(endpoints->entries);
	*endpoints = (struct sg_endpoints){0};
}

static bool equal(const struct sg_endpoint *a, const struct sg_endpoint *b)
{
	return a->port == b->port && a->protocol == b->protocol &&
	       sg_addr_equal(&a->addr, &b->addr);
}

// Where the endpoint is, or the empty entry in which it would be.
static struct sg_endpoint_entry *search(
	const struct sg_endpoints *endpoints, const struct sg_endpoint *endpoint)
{
	uint64_t words[2];
	uint32_t mask = endpoints->n_entries - 1;
	uint64_t hash;

	memcpy(words, endpoint->addr.bytes, sizeof(words));
	hash = sg_mix64(
		words[0] ^ (uint64_t)endpoint->port << 40 ^ (uint64_t)endpoint->protocol << 56);
	hash = sg_mix64(hash ^ words[1]);
	for (uint32_t at = (uint32_t)hash & mask;; at = (at + 1) & mask) {
		struct sg_endpoint_entry *entry = &endpoints->entries[at];

		if (!entry->owner || equal(&entry->endpoint, endpoint))
			return entry;
	}
}

const void *sg_endpoints_find(
	const struct sg_endpoints *endpoints, const struct sg_endpoint *endpoint)
{
	return endpoints->n_entries > 0 ? search(endpoints, endpoint)->owner : NULL;
}

static int grow(struct sg_endpoints *endpoints)
{
	struct sg_endpoints larger = {.n = endpoints->n,
		.n_entries = endpoints->n_entries > 0 ? endpoints->n_entries * 2 : MIN_ENTRIES};

	larger.entries = calloc(larger.n_entries, sizeof(larger.entries[0]));
	if (!larger.entries)
		return -ENOMEM;
	for (uint32_t i = 0; i < endpoints->n_entries; i++)
		if (endpoints->entries[i].owner)
			*search(&larger, &endpoints->entries[i].endpoint) = endpoints->entries[i];
	free(endpoints->entries);
	*endpoints = larger;
	return 0;
}

int sg_endpoints_add(
	struct sg_endpoints *endpoints, const struct sg_endpoint *endpoint, const void *owner)
{
	struct sg_endpoint_entry *entry;

	if (2 * (endpoints->n + 1) > endpoints->n_entries && grow(endpoints) < 0)
		return -ENOMEM;
	entry = search(endpoints, endpoint);
	if (entry->owner)
		return 0;
	*entry = (struct sg_endpoint_entry){.endpoint = *endpoint, .owner = owner};
	endpoints->n++;
	return 0;
}
