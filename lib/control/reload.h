// SIGHUP: the config file is read again.
//
// Its services and its policy may change while stormgate runs; they are committed like any other
// change, as one generation, with an entry in the history that names who sent the signal. What was
// changed through the socket stays where the file has not changed (intent.h). All other settings
// hold for the life of the process, backend_cidrs among them, and the file's services are held
// against those: the settings that differ are named in one line of the log, also when that is why
// the services are refused. A file that is not good, or would take another owner's service, is
// refused with FILE:LINE: and a sentence, and nothing changes. Control thread only.
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "service/settings.h"

struct sg_control;

// Reads `path`, and tells the log what became of it.
//
// While a large change is in hand it waits for its end, so `path` must stay.
void sg_control_reload(struct sg_control *control, const char *path, uid_t uid, pid_t pid);

// Writes the names of the settings that differ, with commas between them; "" when none does.
void sg_settings_compare(
	const struct sg_settings *a, const struct sg_settings *b, char *ret_names, size_t size);

// One that waits.
struct sg_reload_order {
	bool due;
	const char *path;
	uid_t uid;
	pid_t pid;
};

// Carries it out when nothing stands in its way.
void sg_reload_turn(struct sg_control *control);
