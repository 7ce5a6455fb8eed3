// One request of the daemon, and its result on stdout.
#pragma once

#include "command_line.h"

// Sends line->params to `method` and prints the result, as -o says, by the verb's print function.
// Returns what to exit with, its complaint on stderr.
int request(struct command_line *line, const char *method);
