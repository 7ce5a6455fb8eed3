// The two tables from which the command line is parsed, checked and explained: verbs and options.
#pragma once

#include "print.h"

#define DEFAULT_SOCKET "/run/stormgate/stormgate.sock"

// What an option's value becomes in the request.
enum option_kind {
	OPTION_FLAG,   // true
	OPTION_TEXT,   // a string
	OPTION_NUMBER, // an integer
	OPTION_VIP,    // a string, or an array of what stands between commas
	OPTION_ALLOW,  // an array; "everyone" is null, "nobody" an empty one
	OPTION_OURS,   // for stormctl itself: no member of the request
};

struct option_row {
	const char *name; // "affinity-timeout"; the member is "affinity_timeout"
	char letter;      // 0: none
	enum option_kind kind;
	const char *value; // for help: "N"; NULL where the option has none
	const char *help;
};

// What stands behind a verb's words.
enum argument_kind {
	ARGUMENT_NONE,
	ARGUMENT_NAME,    // member "name"
	ARGUMENT_SERVICE, // member "service"
	ARGUMENT_BACKEND, // ADDR:PORT, members "address" and "port"
};

#define VERB_ARGUMENTS 2
#define VERB_REQUIRED  3
#define VERB_OPTIONS   10

struct verb {
	const char *words; // as typed, and the method's name
	const char *help;
	enum argument_kind arguments[VERB_ARGUMENTS];
	const char *required[VERB_REQUIRED]; // options that must be given
	const char *options[VERB_OPTIONS]; // options that may be given, beside those for every verb
	print_fn *print;                   // NULL: JSON in any case
};

// Both end with a row without a name.
extern const struct option_row option_rows[];
extern const struct verb verbs[];
