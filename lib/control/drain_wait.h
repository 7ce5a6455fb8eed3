// `backend drain` with "wait": answers when the backend's flows are gone.
//
// Looked at in every turn of the loop, a few comparisons each. A wait ends early, with a refusal,
// when the backend is deleted or taken back into service, and silently when its client is gone.
// Control thread only.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "control/edit.h"

struct sg_call;
struct sg_control;
struct sg_drain_wait;

struct sg_drain_waits {
	struct sg_drain_wait *first;
};

// Takes over the call.
void sg_drain_wait_add(
	struct sg_control *control, struct sg_call *call, const struct sg_backend_name *name);
// Ends what has come to its end. Returns whether any is left.
bool sg_drain_wait_turn(struct sg_control *control);
// The connection is gone: forgets what it waits for.
void sg_drain_wait_forget(struct sg_control *control, uint64_t connection);
// Answers all: stormgate is stopping.
void sg_drain_wait_cancel(struct sg_control *control);
