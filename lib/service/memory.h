// What services, backends and generations take of memory, for people who plan.
//
// Counted from the structures themselves: the specs of a state, and what they are compiled to. What
// two generations share is counted once, for the newer; a generation's own are the arrays that it
// has beside that, and one page of the state. Prefix sets (tries) are counted as the prefixes that
// they are made of. Control thread only.
#pragma once

#include <stdint.h>

#include "service/snapshot.h"
#include "service/state.h"

struct sg_memory {
	uint64_t services;   // bytes of all
	uint64_t backends;   // bytes of all
	uint64_t generation; // bytes of one
	uint64_t n_services, n_backends;
};

void sg_memory_count(struct sg_memory *ret_memory, const struct sg_snapshot *snapshot,
	const struct sg_state *state);
