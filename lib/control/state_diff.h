// What differs between two desired states, service by service.
//
// States share the specs that did not change, so a walk over both costs one comparison of pointers
// for each of those. Control thread only.
#pragma once

#include "service/state.h"

// `before` is NULL for a service that is new, `after` for one that is gone.
typedef void sg_state_visit_fn(
	void *context, const struct sg_service_spec *before, const struct sg_service_spec *after);

// Calls `visit` for each service that is not the same spec in both, in the order of names.
void sg_state_diff(const struct sg_state *before, const struct sg_state *after,
	sg_state_visit_fn *visit, void *context);

struct sg_state_change {
	unsigned added, changed, removed; // services
};

struct sg_state_change sg_state_count_changes(
	const struct sg_state *before, const struct sg_state *after);
