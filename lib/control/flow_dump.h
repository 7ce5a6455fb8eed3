// `flows`: a list of what is in the workers' tables.
//
// Tables are read from the control thread while workers write them: a record is copied if it held
// still (flow/table.h), so a list is not of one instant, and misses a flow now and then, never
// shows half of one. A large table is read in slices of some thousand records, one slice a turn of
// the loop, so that a list of a million flows delays nobody. Control thread only.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct sg_call;
struct sg_control;
struct sg_flow_dump;

#define SG_FLOW_DUMP_DEFAULT_LIMIT 100
#define SG_FLOW_DUMP_MAX_LIMIT     100000 // about 25 MB of text

struct sg_flow_dumps {
	struct sg_flow_dump *first;
};

// Reads the call's params ({"service", "limit"}) and takes over the call.
void sg_flow_dump_start(struct sg_control *control, struct sg_call *call);
// One slice of each dump. Returns whether there is more to do.
bool sg_flow_dump_turn(struct sg_control *control);
// The connection is gone.
void sg_flow_dump_forget(struct sg_control *control, uint64_t connection);
// Answers all: stormgate is stopping.
void sg_flow_dump_cancel(struct sg_control *control);
