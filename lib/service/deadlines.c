// A binary heap that knows where each slot stands, see deadlines.h.
#include "service/deadlines.h"

#include <errno.h>
#include <stdlib.h>

int sg_deadlines_init(struct sg_deadlines *deadlines, uint32_t max)
{
	*deadlines = (struct sg_deadlines){
		.max = max,
		.heap = malloc(max * sizeof(deadlines->heap[0])),
		.places = calloc(max, sizeof(deadlines->places[0])),
	};
	if (deadlines->heap && deadlines->places)
		return 0;
	sg_deadlines_fini(deadlines);
	return -ENOMEM;
}

void sg_deadlines_fini(struct sg_deadlines *deadlines)
{
	free(deadlines->heap);
	free(deadlines->places);
	*deadlines = (struct sg_deadlines){0};
}

static void place(struct sg_deadlines *deadlines, uint32_t at, struct sg_deadline deadline)
{
	deadlines->heap[at] = deadline;
	deadlines->places[deadline.slot] = at + 1;
}

static void move_up(struct sg_deadlines *deadlines, uint32_t at, struct sg_deadline deadline)
{
	while (at > 0 && deadlines->heap[(at - 1) / 2].at_ms > deadline.at_ms) {
		place(deadlines, at, deadlines->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	place(deadlines, at, deadline);
}

static void move_down(struct sg_deadlines *deadlines, uint32_t at, struct sg_deadline deadline)
{
	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child + 1 < deadlines->n &&
			deadlines->heap[child + 1].at_ms < deadlines->heap[child].at_ms)
			child++;
		if (child >= deadlines->n || deadlines->heap[child].at_ms >= deadline.at_ms)
			break;
		place(deadlines, at, deadlines->heap[child]);
		at = child;
	}
	place(deadlines, at, deadline);
}

static void settle(struct sg_deadlines *deadlines, uint32_t at, struct sg_deadline deadline)
{
	if (at > 0 && deadlines->heap[(at - 1) / 2].at_ms > deadline.at_ms)
		move_up(deadlines, at, deadline);
	else
		move_down(deadlines, at, deadline);
}

static void take_away(struct sg_deadlines *deadlines, uint32_t slot)
{
	uint32_t at = deadlines->places[slot] - 1;

	deadlines->places[slot] = 0;
	deadlines->n--;
	if (at < deadlines->n)
		settle(deadlines, at, deadlines->heap[deadlines->n]);
}

void sg_deadlines_set(struct sg_deadlines *deadlines, uint32_t slot, uint64_t at_ms)
{
	uint32_t place_plus_1 = deadlines->places[slot];
	struct sg_deadline deadline = {.at_ms = at_ms, .slot = slot};

	if (at_ms == SG_DEADLINE_NONE) {
		if (place_plus_1 > 0)
			take_away(deadlines, slot);
		return;
	}
	if (place_plus_1 > 0)
		settle(deadlines, place_plus_1 - 1, deadline);
	else
		move_up(deadlines, deadlines->n++, deadline);
}

uint64_t sg_deadlines_next(const struct sg_deadlines *deadlines)
{
	return deadlines->n > 0 ? deadlines->heap[0].at_ms : SG_DEADLINE_NONE;
}

uint32_t sg_deadlines_due(
	const struct sg_deadlines *deadlines, uint64_t now_ms, uint32_t *ret_slots)
{
	uint32_t n = 0;

	if (sg_deadlines_next(deadlines) > now_ms)
		return 0;
	for (uint32_t i = 0; i < deadlines->n; i++)
		if (deadlines->heap[i].at_ms <= now_ms)
			ret_slots[n++] = deadlines->heap[i].slot;
	return n;
}
