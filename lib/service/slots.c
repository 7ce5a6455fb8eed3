// Slots and their rest, see slots.h.
#include "service/slots.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Sweeps that every worker completes before a slot has rested.
#define REST_SWEEPS 2

int sg_slots_init(struct sg_slots *slots, uint32_t max)
{
	*slots = (struct sg_slots){.max = max, .free = malloc(max * sizeof(slots->free[0]))};
	return slots->free ? 0 : -ENOMEM;
}

void sg_slots_fini(struct sg_slots *slots)
{
	free(slots->free);
}

uint32_t sg_slots_take(struct sg_slots *slots)
{
	if (slots->n_free > 0)
		return slots->free[--slots->n_free];
	return slots->n_ever < slots->max ? slots->n_ever++ : UINT32_MAX;
}

void sg_slots_give(struct sg_slots *slots, uint32_t slot)
{
	assert(slot < slots->n_ever && slots->n_free < slots->n_ever);
	slots->free[slots->n_free++] = slot;
}

struct sg_slots_mark sg_slots_mark(const struct sg_slots *slots)
{
	return (struct sg_slots_mark){.n_free = slots->n_free, .n_ever = slots->n_ever};
}

void sg_slots_rewind(struct sg_slots *slots, struct sg_slots_mark mark)
{
	slots->n_free = mark.n_free;
	slots->n_ever = mark.n_ever;
}

int sg_resting_init(struct sg_resting *resting, uint32_t max)
{
	*resting = (struct sg_resting){.max = max, .ring = malloc(max * sizeof(resting->ring[0]))};
	return resting->ring ? 0 : -ENOMEM;
}

void sg_resting_fini(struct sg_resting *resting)
{
	free(resting->ring);
}

static uint32_t count(const struct sg_resting *resting)
{
	return resting->n_rested + resting->n_counting + resting->n_waiting;
}

void sg_resting_put(struct sg_resting *resting, struct sg_rest rest)
{
	assert(count(resting) < resting->max);
	resting->ring[(resting->head + count(resting)) % resting->max] = rest;
	resting->n_waiting++;
}

static bool all_have_swept(const struct sg_resting *resting, const uint64_t *sweeps)
{
	for (unsigned i = 0; i < resting->n_workers; i++)
		if (sweeps[i] < resting->sweeps[i] + REST_SWEEPS)
			return false;
	return true;
}

void sg_resting_note_sweeps(struct sg_resting *resting, const uint64_t *sweeps, unsigned n_workers)
{
	assert(n_workers <= SG_MAX_WORKERS);
	if (n_workers != resting->n_workers) {
		resting->n_waiting += resting->n_counting;
		resting->n_counting = 0;
		resting->n_workers = n_workers;
	}
	if (resting->n_counting > 0 && all_have_swept(resting, sweeps)) {
		resting->n_rested += resting->n_counting;
		resting->n_counting = 0;
	}
	if (resting->n_counting == 0 && resting->n_waiting > 0) {
		memcpy(resting->sweeps, sweeps, n_workers * sizeof(sweeps[0]));
		resting->n_counting = resting->n_waiting;
		resting->n_waiting = 0;
	}
}

bool sg_resting_take(struct sg_resting *resting, struct sg_rest *ret_rest)
{
	if (resting->n_rested == 0)
		return false;
	*ret_rest = resting->ring[resting->head];
	resting->head = (resting->head + 1) % resting->max;
	resting->n_rested--;
	return true;
}
