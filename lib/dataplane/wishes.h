// What a worker wishes the control thread to resolve, or to tell all workers: a ring with one
// writer (the worker) and one reader (control).
//
// When it is full a wish is lost, and made again with a later packet.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "service/routes.h"

#define SG_WISHES 256 // a power of two

struct sg_wishes {
	_Alignas(64) uint32_t head; // written by the worker
	_Alignas(64) uint32_t tail; // written by control
	struct sg_wish entries[SG_WISHES];
};

static inline void sg_wishes_put(struct sg_wishes *wishes, struct sg_wish wish)
{
	// Acquire pairs with the release in sg_wishes_take: the entry has been read before it is
	// written again.
	uint32_t tail = __atomic_load_n(&wishes->tail, __ATOMIC_ACQUIRE);

	if (wishes->head - tail == SG_WISHES)
		return;
	wishes->entries[wishes->head % SG_WISHES] = wish;
	// Release pairs with the acquire in sg_wishes_take: the entry is whole when the head shows
	// it.
	__atomic_store_n(&wishes->head, wishes->head + 1, __ATOMIC_RELEASE);
}

static inline bool sg_wishes_take(struct sg_wishes *wishes, struct sg_wish *ret_wish)
{
	uint32_t head = __atomic_load_n(&wishes->head, __ATOMIC_ACQUIRE);

	if (wishes->tail == head)
		return false;
	*ret_wish = wishes->entries[wishes->tail % SG_WISHES];
	__atomic_store_n(&wishes->tail, wishes->tail + 1, __ATOMIC_RELEASE);
	return true;
}
