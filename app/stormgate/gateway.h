// The gateway as a running thing: what has to be started in which order.
#pragma once

#include "base/error.h"
#include "service/settings.h"
#include "service/state.h"

// `config` is the file that settings and state come from, and is read again on SIGHUP.
// Starts, serves until SIGTERM or SIGINT, and takes everything down again. `state` is taken over.
// Errors: what could not be started, in one sentence, with nothing left behind.
int sg_gateway_run(const char *config, const struct sg_settings *settings, struct sg_state *state,
	struct sg_error *error);
