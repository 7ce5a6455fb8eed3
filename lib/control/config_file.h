// The config file: libconfig text to settings and the services of owner "config".
//
// A file is read whole or refused whole, with the first problem's line and a sentence; what the
// caller passed in is untouched then. Looks at nothing but the file (no group names, no interfaces,
// no CPUs), so `--check` answers the same on every machine. Every key is a row of a table
// (config_reader.h); defaults come from sg_settings_init and sg_service_spec_create; both results
// have passed sg_validate_settings and sg_validate_state.
//
// Who may call: the control thread, or main before there is one. `struct sg_settings` is large (300
// kB): keep it off the stack.
#pragma once

#include <stddef.h>

#include "base/error.h"
#include "service/settings.h"
#include "service/state.h"

// `ret_state` is initialised by the call and the caller's to sg_state_fini. The caller prints
// "FILE:LINE: sentence", or "FILE: sentence" when error->line is 0. Errors: -EINVAL (what the file
// says), -ENOMEM, or as opening and reading it gave.
int sg_config_file_read(const char *path, struct sg_settings *ret_settings,
	struct sg_state *ret_state, struct sg_error *error);

// The same from memory: `length` bytes, any bytes at all.
int sg_config_file_read_text(const char *text, size_t length, struct sg_settings *ret_settings,
	struct sg_state *ret_state, struct sg_error *error);

// Calls `visit` with the path of every key that the reader knows ("dataplane.workers",
// "services.backends.port"), so that a test can hold the example file against them.
void sg_config_file_each_key(void (*visit)(void *context, const char *path), void *context);
