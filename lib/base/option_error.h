// What getopt could not take, as one sentence to stderr that begins with the program's name
// (base/log.h) and ends with where all options are told. Set `opterr` to 0 before the first call of
// getopt_long, or it says the same in words of its own, and begin its short options with ':'.
#pragma once

// `option` is what getopt_long returned: '?', or ':' for a value that is missing. Right after it.
void sg_option_error(char *const *argv, int option, const char *program);
