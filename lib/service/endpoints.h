// A set of endpoints (address, port, protocol), each with a pointer: what validation looks for
// clashes in.
//
// Open addressing, at most half full, grows as needed. Lives for the length of one check; control
// thread only.
#pragma once

#include <stdint.h>

#include "net/addr.h"

struct sg_endpoint {
	struct sg_addr addr;
	uint16_t port;    // host order; 0 where only the address counts
	uint8_t protocol; // 0 where it does not count
};

struct sg_endpoint_entry {
	struct sg_endpoint endpoint;
	const void *owner; // NULL: empty
};

struct sg_endpoints {
	struct sg_endpoint_entry *entries;
	uint32_t n;
	uint32_t n_entries; // a power of two; 0 before the first
};

// An empty set is all zeros.
void sg_endpoints_fini(struct sg_endpoints *endpoints);

// The owner of an endpoint, or NULL.
const void *sg_endpoints_find(
	const struct sg_endpoints *endpoints, const struct sg_endpoint *endpoint);

// Adds an endpoint that is not there; one that is there keeps its owner. `owner` is not NULL.
// Returns 0 or -ENOMEM.
int sg_endpoints_add(
	struct sg_endpoints *endpoints, const struct sg_endpoint *endpoint, const void *owner);
