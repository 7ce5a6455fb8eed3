// Copy on write for the parts of a snapshot, see snapshot_build.h.
#include "service/snapshot_build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "service/compile_service.h"

static void copy_parts(struct sg_snapshot *snapshot, const struct sg_snapshot *previous)
{
	uint32_t n_services = previous ? previous->n_service_slots : 0;
	uint32_t n_pages = previous ? previous->n_pages : 0;

	if (previous) {
		memcpy(snapshot->services, previous->services,
			n_services * sizeof(snapshot->services[0]));
		memcpy(snapshot->pages, previous->pages, n_pages * sizeof(snapshot->pages[0]));
	}
	memset(snapshot->services + n_services, 0,
		(snapshot->n_service_slots - n_services) * sizeof(snapshot->services[0]));
	memset(snapshot->pages + n_pages, 0,
		(snapshot->n_pages - n_pages) * sizeof(snapshot->pages[0]));
}

struct sg_snapshot *sg_snapshot_derive(
	const struct sg_snapshot *previous, uint32_t n_service_slots, uint32_t n_pages)
{
	struct sg_snapshot *snapshot = calloc(1, sizeof(*snapshot));

	if (!snapshot)
		return NULL;
	snapshot->generation = previous ? previous->generation + 1 : 1;
	// One more than needed: malloc(0) may answer NULL.
	snapshot->services = malloc((n_service_slots + 1) * sizeof(snapshot->services[0]));
	snapshot->pages = malloc((n_pages + 1) * sizeof(snapshot->pages[0]));
	if (!snapshot->services || !snapshot->pages) {
		sg_snapshot_drop(snapshot);
		return NULL;
	}
	snapshot->n_service_slots = n_service_slots;
	snapshot->n_pages = n_pages;
	copy_parts(snapshot, previous);
	return snapshot;
}

// Everything but services and pages.
static void free_rest(struct sg_snapshot *snapshot)
{
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

// Frees the services and pages that were made for generation `born` or later.
static void free_parts(struct sg_snapshot *snapshot, uint64_t born)
{
	for (uint32_t i = 0; i < snapshot->n_service_slots; i++)
		if (snapshot->services[i] && snapshot->services[i]->born >= born)
			sg_service_free(snapshot->services[i]);
	for (uint32_t i = 0; i < snapshot->n_pages; i++)
		if (snapshot->pages[i] && snapshot->pages[i]->born >= born)
			free(snapshot->pages[i]);
}

void sg_snapshot_drop(struct sg_snapshot *snapshot)
{
	free_parts(snapshot, snapshot->generation);
	free_rest(snapshot);
}

// What the snapshot before `snapshot`, which is gone, was the last to have.
static void free_retired(struct sg_snapshot *snapshot)
{
	while (snapshot->retired_services) {
		struct sg_service *service = snapshot->retired_services;

		snapshot->retired_services = service->retired;
		sg_service_free(service);
	}
	while (snapshot->retired_pages) {
		struct sg_backend_page *page = snapshot->retired_pages;

		snapshot->retired_pages = page->retired;
		free(page);
	}
}

void sg_snapshot_free_oldest(struct sg_snapshot *snapshot)
{
	if (snapshot->next)
		free_retired(snapshot->next);
	else
		free_parts(snapshot, 0);
	free_rest(snapshot);
}

static bool is_own(const struct sg_snapshot *snapshot, uint64_t born)
{
	return born == snapshot->generation;
}

void sg_snapshot_put_service(
	struct sg_snapshot *snapshot, uint32_t slot, struct sg_service *service)
{
	struct sg_service *before = snapshot->services[slot];

	if (before && is_own(snapshot, before->born)) {
		sg_service_free(before);
	} else if (before) {
		before->retired = snapshot->retired_services;
		snapshot->retired_services = before;
	}
	if (service)
		service->born = snapshot->generation;
	snapshot->services[slot] = service;
}

// A page that only this snapshot has: the one that is there, or a copy in its place. NULL without
// memory.
static struct sg_backend_page *own_page(struct sg_snapshot *snapshot, uint32_t number)
{
	struct sg_backend_page *shared = snapshot->pages[number];
	struct sg_backend_page *page;

	if (shared && is_own(snapshot, shared->born))
		return shared;
	page = aligned_alloc(_Alignof(struct sg_backend_page), sizeof(*page));
	if (!page)
		return NULL;
	if (shared) {
		memcpy(page, shared, sizeof(*page));
		shared->retired = snapshot->retired_pages;
		snapshot->retired_pages = shared;
	} else {
		memset(page, 0, sizeof(*page));
	}
	page->born = snapshot->generation;
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
	page->n_uneasy -= sg_backend_word_is_uneasy(page->words[at]);
	page->words[at] = SG_BACKEND_WORD(backend->generation, backend->life);
	page->n_uneasy += sg_backend_word_is_uneasy(page->words[at]);
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
