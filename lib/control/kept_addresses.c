// A sorted set of addresses, see kept_addresses.h.
#include "control/kept_addresses.h"

#include <stdlib.h>
#include <string.h>

#include "service/state_diff.h"

void sg_kept_addresses_fini(struct sg_kept_addresses *kept)
{
	free(kept->addresses);
	*kept = (struct sg_kept_addresses){0};
}

static int compare(const void *a, const void *b)
{
	return sg_addr_compare(a, b);
}

static bool append(struct sg_kept_addresses *list, const struct sg_addr *addr)
{
	unsigned capacity = list->capacity ? 2 * list->capacity : 64;
	struct sg_addr *addresses = list->addresses;

	if (list->n == list->capacity) {
		addresses = realloc(addresses, capacity * sizeof(addresses[0]));
		if (!addresses)
			return false;
		list->addresses = addresses;
		list->capacity = capacity;
	}
	addresses[list->n++] = *addr;
	return true;
}

static void sort_unique(struct sg_kept_addresses *list)
{
	unsigned n = 0;

	if (list->n > 1)
		qsort(list->addresses, list->n, sizeof(list->addresses[0]), compare);
	for (unsigned i = 0; i < list->n; i++) {
		if (n == 0 || !sg_addr_equal(&list->addresses[i], &list->addresses[n - 1]))
			list->addresses[n++] = list->addresses[i];
	}
	list->n = n;
}

struct addition {
	const struct sg_kept_addresses *kept;
	struct sg_kept_addresses fresh;
};

static void collect_new(
	void *context, const struct sg_service_spec *before, const struct sg_service_spec *after)
{
	struct addition *addition = context;
	const struct sg_kept_addresses *kept = addition->kept;

	(void)before;
	for (unsigned i = 0; after && i < after->n_backends; i++) {
		const struct sg_addr *addr = &after->backends[i].address;

		if (!kept->n || !bsearch(addr, kept->addresses, kept->n, sizeof(*addr), compare))
			append(&addition->fresh, addr);
	}
}

// Merges the sorted `fresh` into the sorted array, from the back, where there is room.
static bool merge(struct sg_kept_addresses *kept, const struct sg_kept_addresses *fresh)
{
	unsigned old = kept->n, new = fresh->n;

	for (unsigned i = 0; i < fresh->n; i++) {
		if (!append(kept, &fresh->addresses[i])) {
			kept->n = old;
			return false;
		}
	}
	for (unsigned to = kept->n; new > 0; to--) {
		if (old > 0 && compare(&kept->addresses[old - 1], &fresh->addresses[new - 1]) > 0)
			kept->addresses[to - 1] = kept->addresses[--old];
		else
			kept->addresses[to - 1] = fresh->addresses[--new];
	}
	return true;
}

bool sg_kept_addresses_add(
	struct sg_kept_addresses *kept, const struct sg_state *before, const struct sg_state *after)
{
	struct addition addition = {.kept = kept};
	bool added;

	sg_state_diff(before, after, collect_new, &addition);
	sort_unique(&addition.fresh);
	added = addition.fresh.n > 0 && merge(kept, &addition.fresh);
	sg_kept_addresses_fini(&addition.fresh);
	return added;
}

static void collect_page(
	struct sg_kept_addresses *list, const struct sg_backend_page *page, bool *ret_ok)
{
	for (unsigned i = 0; i < SG_BACKENDS_PER_PAGE; i++) {
		const struct sg_backend *backend = &page->backends[i];

		if (backend->life != SG_BACKEND_FREE && backend->life != SG_BACKEND_DEAD)
			*ret_ok = append(list, &backend->addr) && *ret_ok;
	}
}

bool sg_kept_addresses_shrink(struct sg_kept_addresses *kept, const struct sg_snapshot *snapshot)
{
	struct sg_kept_addresses live = {0};
	bool ok = true;

	for (unsigned i = 0; i < snapshot->n_pages; i++) {
		if (snapshot->pages[i])
			collect_page(&live, snapshot->pages[i], &ok);
	}
	sort_unique(&live);
	if (!ok || live.n >= kept->n) {
		sg_kept_addresses_fini(&live);
		return false;
	}
	sg_kept_addresses_fini(kept);
	*kept = live;
	return true;
}
