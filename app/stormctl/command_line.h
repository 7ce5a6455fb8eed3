// From argv to a request, by the tables of verbs.h. Complaints name what is wrong and where to read
// on.
#pragma once

#include <stdbool.h>

#include <jansson.h>

#include "verbs.h"

struct command_line {
	const struct verb *verb;
	json_t *params; // of the request; the caller's
	const char *socket_path;
	const char *file; // of `apply`
	bool json;
	bool watch;
};

// Returns true when there is a request to make. Otherwise help or the version went to stdout, or a
// complaint to stderr, and `ret_exit` says what to exit with.
bool command_line_parse(struct command_line *ret_line, int argc, char **argv, int *ret_exit);
