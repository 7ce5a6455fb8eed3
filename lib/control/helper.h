// A thread that does what takes long, one thing at a time, so that the control thread goes on
// serving others: reading long lines, and making and compiling large changes (change.h).
//
// A job is the helper's while it works and the control thread's before and after; the two pass it
// on under a lock, so what one has written the other sees. What a job reads beside that must not
// change meanwhile, or is counted by references that both may take (base/refs.h). Long trees are
// freed here as well.
//
// Control thread only, but for the work itself.
#pragma once

#include <stdbool.h>

#include <jansson.h>

#include "base/error.h"
#include "control/loop.h"

struct sg_helper;

// Errors: no thread or descriptor is to be had, with a sentence.
int sg_helper_create(struct sg_helper **ret_helper, struct sg_loop *loop, struct sg_error *error);
// Waits for the end of a job that is under way; its `done` is not called. NULL is fine.
void sg_helper_destroy(struct sg_helper *helper);

typedef void sg_helper_fn(void *job);

bool sg_helper_is_busy(const struct sg_helper *helper);
// Calls `work` on the helper's thread and then, from the loop, `done` on this one. Not while it is
// busy.
void sg_helper_start(struct sg_helper *helper, sg_helper_fn *work, sg_helper_fn *done, void *job);

// Gives up a reference, which is the last, before the next job begins. NULL is fine.
void sg_helper_discard(struct sg_helper *helper, json_t *tree);
