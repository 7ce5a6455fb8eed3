// Keeps what was asked for on the disk, so that it survives the process.
//
// A change is active in the workers at once, and answered when it is on the disk as well
// (state_file.h). Disks take milliseconds, so a thread of the keeper's own writes, and the control
// thread never waits: it hands over what has come together since the last write, in one piece, and
// goes on. So however many changes come, there is one write under way and one being collected; each
// answer waits for one write, two at most.
//
// When the disk refuses (it is full, the directory may not be written), changes are made all the
// same: at three in the morning a broken backend has to be drained, disk or no disk. They are
// answered with "persisted": false, `status` says so, the log says why, once; and every second all
// of it is tried again until it succeeds. A change is answered so, too, when the disk has not
// answered for SG_KEEPER_PATIENCE_MS.
//
// Control thread only.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "control/intent.h"
#include "control/loop.h"
#include "service/settings.h"
#include "service/state.h"

#define SG_KEEPER_PATIENCE_MS 5000

struct sg_keeper;

// Opens settings->state_file, or nothing without one (then `ret_keeper` is NULL), and merges what
// it holds with `file`, the state as the config file has it: `ret_state`, initialised by the call.
// A corrupt file is set aside with a line in the log, and counts as none. Of a good one, services
// that do not fit the config file any more (a backend outside of backend_cidrs, a VIP that another
// has now) are left out, each whole and with a line in the log, and the file is kept as it was
// under another name as well. Starts the thread. Errors: a file that another process uses, or that
// is no file; -ENOMEM; what the system gives.
int sg_keeper_open(struct sg_keeper **ret_keeper, struct sg_loop *loop,
	const struct sg_settings *settings, const struct sg_state *file, struct sg_state *ret_state,
	struct sg_error *error);
// Writes what was not written yet, and ends the thread. `state` as for
// sg_keeper_turn; NULL leaves the file as it is. A keeper of NULL is fine.
void sg_keeper_close(struct sg_keeper *keeper, const struct sg_state *state);

// The workers were given `after` instead of `before`, as `generation`.
void sg_keeper_note(struct sg_keeper *keeper, const struct sg_state *before,
	const struct sg_state *after, uint64_t generation);
// The config file was read again: from now on intents are about these blocks.
void sg_keeper_set_file(struct sg_keeper *keeper, const struct sg_state *file);
const struct sg_state *sg_keeper_file(const struct sg_keeper *keeper);

// Calls `done` once, from sg_keeper_turn or at once: when the generation is on the disk, or will
// not be soon. sg_keeper_close calls those that still wait.
typedef void sg_keeper_done_fn(void *context, bool persisted);
void sg_keeper_wait(struct sg_keeper *keeper, uint64_t generation, sg_keeper_done_fn *done,
	void *context, uint64_t now_ms);

// Once a turn of the loop. `state` is what the workers have been given last.
void sg_keeper_turn(struct sg_keeper *keeper, const struct sg_state *state, uint64_t now_ms);

// Whether everything is on the disk, as far as was tried.
bool sg_keeper_is_well(const struct sg_keeper *keeper);
// Bytes of the file.
uint64_t sg_keeper_bytes(const struct sg_keeper *keeper);
