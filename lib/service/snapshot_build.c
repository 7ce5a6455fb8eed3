// Copy on write for the parts of a snapshot, see snapshot_build.h.
#include "service/snapshot_build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "service/compile_service.h"

static void copy_references(struct sg_snapshot *snapshot, const struct sg_snapshot *previous)
{
	if (previous->n_service_slots > 0)
		memcpy(snapshot->services, previous->services,
			previous->n_service_slots * sizeof(snapshot->services[0]));
	if (previous->n_pages > 0)
		memcpy(snapshot->pages, previous->pages,
			previous->n_pages * sizeof(snapshot->pages[0]));
	for (uint32_t i = 0; i < previous->n_service_slots; i++)
		if (snapshot->services[i])
			sg_service_ref(snapshot->services[i]);
	for (uint32_t i = 0; i < previous->n_pages; i++)
		if (snapshot->pages[i])
			snapshot->pages[i]->refs++;
}

struct sg_snapshot *sg_snapshot_derive(
	const struct sg_snapshot *previous, uint32_t n_service_slots, uint32_t n_pages)
{
	struct sg_snapshot *snapshot = calloc(1, sizeof(*snapshot));

	if (!snapshot)
		return NULL;
	// One more than needed: calloc(0) may answer NULL.
	snapshot->services = calloc(n_service_slots + 1, sizeof(snapshot->services[0]));
	snapshot->pages = calloc(n_pages + 1, sizeof(snapshot->pages[0]));
	if (!snapshot->services || !snapshot->pages) {
		sg_snapshot_free(snapshot);
		return NULL;
	}
	snapshot->n_service_slots = n_service_slots;
	snapshot->n_pages = n_pages;
	snapshot->generation = previous ? previous->generation + 1 : 1;
	if (previous)
		copy_references(snapshot, previous);
	return snapshot;
}

static void unref_page(struct sg_backend_page *page)
{
	if (page && --page->refs == 0)
		free(page);
}

void sg_snapshot_free(struct sg_snapshot *snapshot)
{
	if (!snapshot)
		return;
	for (uint32_t i = 0; i < snapshot->n_service_slots; i++)
		sg_service_unref(snapshot->services[i]);
	for (uint32_t i = 0; i < snapshot->n_pages; i++)
		unref_page(snapshot->pages[i]);
	sg_index_unref(snapshot->vips4);
	sg_index_unref(snapshot->addresses4);
	sg_index_unref(snapshot->dnat4);
	sg_index6_unref(snapshot->vips6);
	sg_index6_unref(snapshot->addresses6);
	sg_index6_unref(snapshot->dnat6);
	sg_trie_unref(snapshot->cidrs4);
	sg_trie_unref(snapshot->cidrs6);
	sg_policy_unref(snapshot->policy);
	sg_routes_unref(snapshot->routes);
	free(snapshot->services);
	free(snapshot->pages);
	free(snapshot);
}

void sg_snapshot_put_service(
	struct sg_snapshot *snapshot, uint32_t slot, struct sg_service *service)
{
	sg_service_unref(snapshot->services[slot]);
	snapshot->services[slot] = service;
}

// A page that only this snapshot has: the one that is there, or a copy in its place. NULL without
// memory.
static struct sg_backend_page *own_page(struct sg_snapshot *snapshot, uint32_t number)
{
	struct sg_backend_page *shared = snapshot->pages[number];
	struct sg_backend_page *page;

	if (shared && shared->refs == 1)
		return shared;
	page = aligned_alloc(_Alignof(struct sg_backend_page), sizeof(*page));
	if (!page)
		return NULL;
	if (shared)
		memcpy(page, shared, sizeof(*page));
	else
		memset(page, 0, sizeof(*page));
	page->refs = 1;
	unref_page(shared);
	snapshot->pages[number] = page;
	return page;
}

int sg_snapshot_put_backend(
	struct sg_snapshot *snapshot, uint32_t slot, const struct sg_backend *backend)
{
	struct sg_backend_page *page = snapshot->pages[slot / SG_BACKENDS_PER_PAGE];
	uint32_t at = slot % SG_BACKENDS_PER_PAGE;

	if (page && memcmp(&page->backends[at], backend, sizeof(*backend)) == 0)
		return 0;
	page = own_page(snapshot, slot / SG_BACKENDS_PER_PAGE);
	if (!page)
		return -ENOMEM;
	page->backends[at] = *backend;
	page->words[at] = SG_BACKEND_WORD(backend->generation, backend->life);
	return 0;
}

void sg_snapshot_route_backend(const struct sg_snapshot *snapshot, struct sg_backend *backend)
{
	struct sg_route_answer answer = {.kind = SG_ROUTE_NONE};

	if (backend->addr.family == SG_FAMILY_IPV4)
		answer = sg_routes_find4(snapshot->routes, backend->addr4_be);
	else if (backend->addr.family == SG_FAMILY_IPV6)
		answer = sg_routes_find6(snapshot->routes, backend->addr.bytes);
	backend->route_kind = answer.kind;
	backend->route_port = answer.port;
	backend->hop = answer.hop;
}

static int route_page(struct sg_snapshot *snapshot, uint32_t number)
{
	for (uint32_t at = 0; at < SG_BACKENDS_PER_PAGE; at++) {
		// The page may be replaced by its copy on the way.
		struct sg_backend backend = snapshot->pages[number]->backends[at];

		if (backend.life == SG_BACKEND_FREE)
			continue;
		sg_snapshot_route_backend(snapshot, &backend);
		if (sg_snapshot_put_backend(
			    snapshot, number * SG_BACKENDS_PER_PAGE + at, &backend) < 0)
			return -ENOMEM;
	}
	return 0;
}

int sg_snapshot_route_backends(struct sg_snapshot *snapshot)
{
	for (uint32_t number = 0; number < snapshot->n_pages; number++)
		if (snapshot->pages[number] && route_page(snapshot, number) < 0)
			return -ENOMEM;
	return 0;
}
