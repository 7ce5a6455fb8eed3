// Reference counts of parts that several of the control threads hold.
//
// A part is written by whoever made it, until it is shared; from then on it is only read, and freed
// by whoever gives up the last reference. Workers never touch a count.
#pragma once

#include <stdbool.h>

static inline void sg_refs_take(unsigned *refs)
{
	__atomic_fetch_add(refs, 1, __ATOMIC_RELAXED);
}

// Returns whether that was the last one: the part is the caller's to free. The release of everybody
// else pairs with the acquire of the last: what others read, they have read by then.
static inline bool sg_refs_drop(unsigned *refs)
{
	return __atomic_fetch_sub(refs, 1, __ATOMIC_ACQ_REL) == 1;
}

// Whether the caller's is the only reference, so that it may write: nobody else can take one.
static inline bool sg_refs_is_alone(const unsigned *refs)
{
	return __atomic_load_n(refs, __ATOMIC_ACQUIRE) == 1;
}
