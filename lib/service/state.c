// The desired state: sorted pages of references to specs, see state.h.
#include "service/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/refs.h"

void sg_state_init(struct sg_state *state)
{
	*state = (struct sg_state){0};
}

static void unref_page(struct sg_state_page *page)
{
	if (!sg_refs_drop(&page->refs))
		return;
	for (unsigned i = 0; i < page->n; i++)
		sg_service_spec_unref(page->services[i]);
	free(page);
}

void sg_state_fini(struct sg_state *state)
{
	for (unsigned i = 0; i < state->n_pages; i++)
		unref_page(state->pages[i]);
	free(state->pages);
	sg_shared_policy_unref(state->policy);
	sg_shared_settings_unref(state->settings);
	sg_state_init(state);
}

int sg_state_clone(struct sg_state *ret_state, const struct sg_state *state)
{
	unsigned n = state->n_pages;
	struct sg_state_page **pages = malloc((n + 1) * sizeof(pages[0]));

	if (!pages)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		pages[i] = state->pages[i];
		sg_refs_take(&pages[i]->refs);
	}
	*ret_state = (struct sg_state){.pages = pages,
		.n_pages = n,
		.max_pages = n + 1,
		.n_services = state->n_services,
		.policy = sg_shared_policy_ref(state->policy),
		.settings = sg_shared_settings_ref(state->settings)};
	return 0;
}

void sg_state_set_policy(struct sg_state *state, struct sg_shared_policy *policy)
{
	sg_shared_policy_unref(state->policy);
	state->policy = policy;
}

void sg_state_set_settings(struct sg_state *state, struct sg_shared_settings *settings)
{
	sg_shared_settings_unref(state->settings);
	state->settings = settings;
}

// The page that the name is in, or would have to be put into: the last whose first name is not
// above it.
static unsigned search_page(const struct sg_state *state, const char *name)
{
	unsigned low = 0, high = state->n_pages;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (strcmp(state->pages[middle]->services[0]->name, name) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 ? low - 1 : 0;
}

// Where the name is, or would have to be put. Returns whether it is there.
static bool search(const struct sg_state *state, const char *name, struct sg_state_place *ret_place)
{
	const struct sg_state_page *page;
	unsigned low = 0, high;

	*ret_place = (struct sg_state_place){.page = search_page(state, name)};
	if (state->n_pages == 0)
		return false;
	page = state->pages[ret_place->page];
	high = page->n;
	while (low < high) {
		unsigned middle = (low + high) / 2;
		int order = strcmp(page->services[middle]->name, name);

		if (order == 0) {
			ret_place->at = middle;
			return true;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	ret_place->at = low;
	return false;
}

struct sg_service_spec *sg_state_find(const struct sg_state *state, const char *name)
{
	struct sg_state_place place;

	return search(state, name, &place) ? state->pages[place.page]->services[place.at] : NULL;
}

static struct sg_state_page *create_page(void)
{
	struct sg_state_page *page = malloc(sizeof(*page));

	if (!page)
		return NULL;
	page->refs = 1;
	page->n = 0;
	return page;
}

// Puts a page before the one at `at`. Returns 0 or -ENOMEM.
static int insert_page(struct sg_state *state, unsigned at, struct sg_state_page *page)
{
	if (state->n_pages == state->max_pages) {
		unsigned max = state->max_pages < 8 ? 8 : state->max_pages * 2;
		struct sg_state_page **pages = realloc(state->pages, max * sizeof(pages[0]));

		if (!pages)
			return -ENOMEM;
		state->pages = pages;
		state->max_pages = max;
	}
	memmove(&state->pages[at + 1], &state->pages[at],
		(state->n_pages - at) * sizeof(state->pages[0]));
	state->pages[at] = page;
	state->n_pages++;
	return 0;
}

// A page that only this state has: the one that is there, or a copy in its place. NULL without
// memory.
static struct sg_state_page *own_page(struct sg_state *state, unsigned at)
{
	struct sg_state_page *shared = state->pages[at], *page;

	if (sg_refs_is_alone(&shared->refs))
		return shared;
	page = create_page();
	if (!page)
		return NULL;
	for (; page->n < shared->n; page->n++)
		page->services[page->n] = sg_service_spec_ref(shared->services[page->n]);
	unref_page(shared);
	state->pages[at] = page;
	return page;
}

// Makes room behind or in a full page; `place` moves to where its service now belongs. A page that
// is full at its end is left so: names often come in order. Returns 0 or -ENOMEM.
static int split_page(struct sg_state *state, struct sg_state_place *place)
{
	struct sg_state_page *page = own_page(state, place->page), *next = create_page();
	unsigned n_kept =
		place->at == SG_STATE_PAGE_SERVICES ? place->at : SG_STATE_PAGE_SERVICES / 2;

	if (!page || !next || insert_page(state, place->page + 1, next) < 0) {
		free(next);
		return -ENOMEM;
	}
	next->n = page->n - n_kept;
	memcpy(next->services, &page->services[n_kept], next->n * sizeof(next->services[0]));
	page->n = n_kept;
	if (place->at >= n_kept)
		*place = (struct sg_state_place){.page = place->page + 1, .at = place->at - n_kept};
	return 0;
}

static int make_room(struct sg_state *state, struct sg_state_place *place)
{
	struct sg_state_page *page;

	if (state->n_pages > 0)
		return state->pages[place->page]->n < SG_STATE_PAGE_SERVICES
			       ? 0
			       : split_page(state, place);
	page = create_page();
	if (!page || insert_page(state, 0, page) < 0) {
		free(page);
		return -ENOMEM;
	}
	return 0;
}

int sg_state_put(struct sg_state *state, struct sg_service_spec *spec)
{
	struct sg_state_place place;
	bool is_there = search(state, spec->name, &place);
	struct sg_state_page *page;

	if (!is_there && make_room(state, &place) < 0)
		return -ENOMEM;
	page = own_page(state, place.page);
	if (!page)
		return -ENOMEM;
	if (is_there) {
		sg_service_spec_unref(page->services[place.at]);
	} else {
		memmove(&page->services[place.at + 1], &page->services[place.at],
			(page->n - place.at) * sizeof(page->services[0]));
		page->n++;
		state->n_services++;
	}
	page->services[place.at] = spec;
	return 0;
}

// No page is empty: one that has become so goes.
static void drop_if_empty(struct sg_state *state, unsigned at)
{
	if (state->pages[at]->n > 0)
		return;
	unref_page(state->pages[at]);
	state->n_pages--;
	memmove(&state->pages[at], &state->pages[at + 1],
		(state->n_pages - at) * sizeof(state->pages[0]));
}

int sg_state_remove(struct sg_state *state, const char *name)
{
	struct sg_state_place place;
	struct sg_state_page *page;

	if (!search(state, name, &place))
		return -ENOENT;
	page = own_page(state, place.page);
	if (!page)
		return -ENOMEM;
	sg_service_spec_unref(page->services[place.at]);
	page->n--;
	memmove(&page->services[place.at], &page->services[place.at + 1],
		(page->n - place.at) * sizeof(page->services[0]));
	state->n_services--;
	drop_if_empty(state, place.page);
	return 0;
}

static bool has_owner(const struct sg_state_page *page, const char *owner)
{
	for (unsigned i = 0; i < page->n; i++)
		if (strcmp(page->services[i]->owner, owner) == 0)
			return true;
	return false;
}

// Of a page that is the state's own. Returns how many it had.
static unsigned remove_from_page(struct sg_state_page *page, const char *owner)
{
	unsigned n_kept = 0, n = page->n;

	for (unsigned i = 0; i < n; i++) {
		struct sg_service_spec *spec = page->services[i];

		if (strcmp(spec->owner, owner) == 0)
			sg_service_spec_unref(spec);
		else
			page->services[n_kept++] = spec;
	}
	page->n = n_kept;
	return n - n_kept;
}

int sg_state_remove_owner(struct sg_state *state, const char *owner)
{
	for (unsigned at = state->n_pages; at-- > 0;) {
		struct sg_state_page *page;

		if (!has_owner(state->pages[at], owner))
			continue;
		page = own_page(state, at);
		if (!page)
			return -ENOMEM;
		state->n_services -= remove_from_page(page, owner);
		drop_if_empty(state, at);
	}
	return 0;
}
