// The two tables from which the command line is parsed, checked and explained: verbs and options.
#pragma once

#include <stdbool.h>

#include "print.h"

#define DEFAULT_SOCKET "/run/stormgate/stormgate.sock"

// What an option's value becomes in the request.
enum option_kind {
	OPTION_FLAG,   // true
	OPTION_TEXT,   // a string
	OPTION_NUMBER, // an integer
	OPTION_VIP,    // a string, or an array of what stands between commas
	OPTION_ALLOW,  // an array; "everyone" is null, "nobody" an empty one
	OPTION_DENY,   // an array; "everyone" is all addresses, "nobody" an empty one
	OPTION_OURS,   // for stormctl itself: no member of the request
};

struct option_row {
	const char *name; // "affinity-timeout"; the member is "affinity_timeout"
	char letter;      // 0: none
	enum option_kind kind;
	const char *value; // for help: "N"; NULL where the option has none
	const char *help;
};

// What stands behind a verb's words, by row of argument_rows. Those that may be absent come last.
enum argument_kind {
	ARGUMENT_NONE,
	ARGUMENT_NAME,
	ARGUMENT_SERVICE,
	ARGUMENT_BACKEND,
	ARGUMENT_GENERATION,
	ARGUMENT_PROTOCOL,
	ARGUMENT_SOURCE,
	ARGUMENT_DESTINATION,
	ARGUMENT_WORDS,
	ARGUMENT_COUNT
};

struct argument_row {
	const char *text; // for help: "ADDR:PORT"
	const char *member;
	const char *port_member; // set where the argument is ADDR:PORT, or [ADDR]:PORT for IPv6
	bool is_number;
	bool is_optional;
	bool is_rest; // what follows, any number of words: for stormctl itself, no member
};

#define VERB_ARGUMENTS 3
#define VERB_REQUIRED  3
#define VERB_OPTIONS   24

struct command_line;

// What a verb does: returns what stormctl exits with, its complaint on stderr.
typedef int run_fn(struct command_line *line);

struct verb {
	const char *words; // as typed, and the method's name
	const char *help;
	enum argument_kind arguments[VERB_ARGUMENTS];
	const char *required[VERB_REQUIRED]; // options that must be given
	const char *options[VERB_OPTIONS]; // options that may be given, beside those for every verb
	print_fn *print;                   // what prints the result for people; NULL: as JSON
	const char *example;
	run_fn *run;
};

// Each ends with a row without a name.
extern const struct option_row option_rows[];
extern const struct verb verbs[];
extern const struct argument_row argument_rows[ARGUMENT_COUNT];

run_fn run_request; // one request of the method of that name
run_fn run_apply;
run_fn run_complete;
run_fn run_explain;
run_fn run_export;
run_fn run_help;
run_fn run_import;
run_fn run_stats;
