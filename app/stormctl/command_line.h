// From argv to a request, by the tables of verbs.h. Complaints name what is wrong and where to read
// on.
#pragma once

#include <stdbool.h>

#include <jansson.h>

#include "verbs.h"

#define MAX_OPTIONS 48

struct command_line {
	const struct verb *verb;
	json_t *params; // of the request; the caller's
	const char *socket_path;
	bool json;
	char **rest; // of an argument that is_rest
	int n_rest;
	const char *values[MAX_OPTIONS]; // by row of option_rows; NULL: not given
};

// An option's value, a flag's own name, or NULL where it was not given.
const char *command_line_value(const struct command_line *line, const char *option);
// The verb whose words stand first, or NULL. `ret_n_words` counts them.
const struct verb *find_verb(char **words, int n, int *ret_n_words);

// Returns true when there is a request to make. Otherwise help or the version went to stdout, or a
// complaint to stderr, and `ret_exit` says what to exit with.
bool command_line_parse(struct command_line *ret_line, int argc, char **argv, int *ret_exit);
