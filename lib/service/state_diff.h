// What differs between two desired states, service by service.
//
// States share the pages and specs that did not change, so a walk over both costs one comparison of
// pointers for each page that they share.
#pragma once

#include "service/state.h"

// A walk over two states side by side: how far it has come in either.
struct sg_state_diff {
	const struct sg_state *before, *after;
	struct sg_state_place at_before, at_after;
};

// The next service that is not the same spec in both, in the order of names; `before` is NULL for
// one that is new, `after` for one that is gone. Returns false, and leaves them, at the end.
bool sg_state_diff_next(struct sg_state_diff *diff, struct sg_service_spec **ret_before,
	struct sg_service_spec **ret_after);

typedef void sg_state_visit_fn(
	void *context, const struct sg_service_spec *before, const struct sg_service_spec *after);

// Calls `visit` for each.
void sg_state_diff(const struct sg_state *before, const struct sg_state *after,
	sg_state_visit_fn *visit, void *context);

struct sg_state_change {
	unsigned added, changed, removed; // services
};

struct sg_state_change sg_state_count_changes(
	const struct sg_state *before, const struct sg_state *after);

// Whether both hold the very same specs and settings, and say the same of everybody.
bool sg_state_is_same(const struct sg_state *a, const struct sg_state *b);
