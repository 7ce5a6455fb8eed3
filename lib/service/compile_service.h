// One service, compiled: what a worker needs to pick a backend for a new flow.
#pragma once

#include "service/snapshot.h"

// `backend_slots[i]` is the slot of spec->backends[i]. `previous` (may be NULL) is what the service
// was before: a part that did not change is shared with it. Holds a reference on the spec. NULL
// without memory.
struct sg_service *sg_service_compile(struct sg_service_spec *spec, uint32_t slot,
	const uint32_t *backend_slots, uint64_t seed, const struct sg_service *previous);
void sg_service_free(struct sg_service *service); // NULL is fine

// Whether the backend may get new flows.
static inline bool sg_backend_spec_is_usable(const struct sg_backend_spec *backend)
{
	return backend->weight > 0 && !backend->draining;
}
