// Numbers for services and backends, and the rest that a backend's number takes before it is given
// out again.
//
// A slot is what a flow remembers, so it may not mean another backend while a flow can still name
// the old one. Workers sweep their flow tables round and round; a slot whose backend died rests
// until every worker has completed two sweeps since: the one under way at its death may have passed
// the flow already, the second cannot have. Control thread only; all memory is taken at init.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "service/limits.h"

struct sg_slots {
	uint32_t *free; // a stack of numbers that were given back
	uint32_t n_free;
	uint32_t n_ever; // numbers below have been taken at least once
	uint32_t max;
};

// Returns 0 or -ENOMEM.
int sg_slots_init(struct sg_slots *slots, uint32_t max);
void sg_slots_fini(struct sg_slots *slots);

// UINT32_MAX when none is free.
uint32_t sg_slots_take(struct sg_slots *slots);
void sg_slots_give(struct sg_slots *slots, uint32_t slot);

// Takes can be undone as long as nothing was given back in between: copy the two counts before, and
// rewind to them.
struct sg_slots_mark {
	uint32_t n_free;
	uint32_t n_ever;
};

struct sg_slots_mark sg_slots_mark(const struct sg_slots *slots);
void sg_slots_rewind(struct sg_slots *slots, struct sg_slots_mark mark);

struct sg_rest {
	uint32_t slot;
	uint32_t owner; // the service's slot
};

// A ring in the order of death: first those that have rested, then those that are being counted,
// then those that died since the counting began.
struct sg_resting {
	struct sg_rest *ring;
	uint32_t max;
	uint32_t head;
	uint32_t n_rested, n_counting, n_waiting;
	uint64_t sweeps[SG_MAX_WORKERS]; // when the counting began
	unsigned n_workers;
};

// `max`: more can never rest at once. Returns 0 or -ENOMEM.
int sg_resting_init(struct sg_resting *resting, uint32_t max);
void sg_resting_fini(struct sg_resting *resting);

void sg_resting_put(struct sg_resting *resting, struct sg_rest rest);
// `sweeps`: complete sweeps by worker, up to now.
void sg_resting_note_sweeps(struct sg_resting *resting, const uint64_t *sweeps, unsigned n_workers);
// The next that has rested. False when there is none.
bool sg_resting_take(struct sg_resting *resting, struct sg_rest *ret_rest);
