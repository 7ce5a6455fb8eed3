// SIGHUP: the config file is read again.
//
// Its services, its policy and some of its settings (backend_cidrs, timeouts, dataplane.unserved,
// control.shutdown_timeout) may change while stormgate runs; they are committed like any other
// change, as one generation, with an entry in the history that names who sent the signal. What was
// changed through the socket stays where the file has not changed (intent.h). Everybody's services
// are held against new backend_cidrs. A way back does not lead to older settings: it is checked
// against the present ones.
//
// All other settings hold for the life of the process, and the file's services are held against
// those: the settings that differ are named in one line of the log, also when that is why the
// services are refused. A file that is not good, or would take another owner's service, is refused
// with FILE:LINE: and a sentence, and nothing changes. Control thread only.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "service/settings.h"

struct sg_control;

// Reads `path`, and tells the log what became of it. It is read, checked and compiled by the helper
// (helper.h), and other changes wait meanwhile, as behind a large one (change.h). It waits itself
// while one of those is in hand, so `path` must stay. Workers that are late hold it up no longer
// than any change: then it is all done here.
void sg_control_reload(struct sg_control *control, const char *path, uid_t uid, pid_t pid);

// Writes the names of the settings that differ, with commas between them; "" when none does. Those
// that may change while stormgate runs, with `live`, or the others.
void sg_settings_compare(const struct sg_settings *a, const struct sg_settings *b, bool live,
	char *ret_names, size_t size);
// Takes over those that may change while stormgate runs.
void sg_settings_take_live(struct sg_settings *settings, const struct sg_settings *from);

struct sg_reload_order {
	bool due; // one waits
	const char *path;
	uid_t uid;
	pid_t pid;
	uint64_t deadline_ms;   // until then it may wait for workers
	struct reload *in_hand; // the helper's
};

// Begins with the one that waits when nothing stands in its way.
void sg_reload_turn(struct sg_control *control, uint64_t now_ms);
// Throws away the one in hand: stormgate is stopping, and the helper has stopped.
void sg_reload_cancel(struct sg_control *control);
