// Which service is due next: a binary heap of deadlines, at most one for each service slot, movable
// and removable.
//
// Control thread only; all memory is taken at init.
#pragma once

#include <stdint.h>

#define SG_DEADLINE_NONE UINT64_MAX

struct sg_deadline {
	uint64_t at_ms;
	uint32_t slot;
};

struct sg_deadlines {
	struct sg_deadline *heap;
	uint32_t *places; // by slot: where it stands in the heap, plus one; 0: nowhere
	uint32_t n;
	uint32_t max;
};

// For slots below `max`. Returns 0 or -ENOMEM.
int sg_deadlines_init(struct sg_deadlines *deadlines, uint32_t max);
void sg_deadlines_fini(struct sg_deadlines *deadlines);

// SG_DEADLINE_NONE takes the slot's deadline away.
void sg_deadlines_set(struct sg_deadlines *deadlines, uint32_t slot, uint64_t at_ms);

// The earliest, or SG_DEADLINE_NONE.
uint64_t sg_deadlines_next(const struct sg_deadlines *deadlines);

// Writes the slots whose deadline has come (ret_slots has room for `max` of init) and returns how
// many. They stay.
uint32_t sg_deadlines_due(
	const struct sg_deadlines *deadlines, uint64_t now_ms, uint32_t *ret_slots);
