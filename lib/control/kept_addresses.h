// The addresses whose next hops the kernel keeps resolved for us: those of all backends.
//
// A sorted array without repetitions. It grows at once when a change brings a new address, and
// shrinks now and then: an address that nobody needs any more costs the kernel a neighbour, and
// dropping it too early would cost the flows of a removed backend their next hop. Control thread
// only.
#pragma once

#include <stdbool.h>

#include "net/addr.h"
#include "service/snapshot.h"
#include "service/state.h"

struct sg_kept_addresses {
	struct sg_addr *addresses;
	unsigned n;
	unsigned capacity;
};

void sg_kept_addresses_fini(struct sg_kept_addresses *kept);

// Adds what the services that differ between the states bring. Returns true when something was new.
// Without memory nothing is added.
bool sg_kept_addresses_add(struct sg_kept_addresses *kept, const struct sg_state *before,
	const struct sg_state *after);

// Leaves only the addresses of slots that may have flows. Returns true when the array became
// shorter.
bool sg_kept_addresses_shrink(struct sg_kept_addresses *kept, const struct sg_snapshot *snapshot);
