// Changes: what an edit (edit.h) goes through from its request to its answer.
//
// Most change a few services and take some microseconds: they are made where they stand. A large
// one, an `apply`, a `rollback`, or whatever came on a long line, takes up to some hundreds of
// milliseconds: the helper makes, checks and compiles it (helper.h), and this thread publishes it.
// One large change is in hand at a time. Questions are answered meanwhile as ever, from the state
// before; other changes wait, in the order in which they came, and with each its connection
// (sg_server_hold). A large change that cannot be held for long because workers are late
// (sg_rollout_hold) is made where it stands.
//
// Control thread only.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "control/command.h"

struct sg_change;

struct sg_changes {
	struct sg_change *in_hand;       // the helper's, or about to be
	struct sg_change *first, **last; // waiting
};

void sg_changes_init(struct sg_changes *changes);
// Makes the change that a call asks for, or lets it wait; takes over the call.
void sg_change_run(
	struct sg_control *control, struct sg_call *call, const struct sg_command *command);
// Whether a change is in hand, or a reload: then nobody else may commit.
bool sg_change_is_in_hand(const struct sg_control *control);
// Whether one is in hand, or waits for the helper.
bool sg_change_is_waiting(const struct sg_control *control);
// A turn of those that wait. Returns whether there is more to do at once.
bool sg_change_turn(struct sg_control *control, uint64_t now_ms);
// Answers all: stormgate is stopping, and the helper has stopped.
void sg_change_cancel(struct sg_control *control);
