// Puts what getopt leaves in its variables into words, see option_error.h.
#include "base/option_error.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

// Of letters that are written together, getopt stays at the word until the last.
static bool is_within(const char *word)
{
	return word && word[0] == '-' && word[1] != '-' && strchr(word, optopt);
}

// As the operator has written it; of letters that are written together only the one.
static const char *name_option(char *const *argv, char letter[3])
{
	const char *word = argv[optind - 1];

	if (optopt == 0 || (strncmp(word, "--", 2) == 0 && !is_within(argv[optind])))
		return word;
	snprintf(letter, 3, "-%c", optopt);
	return letter;
}

void sg_option_error(char *const *argv, int option, const char *program)
{
	char letter[3];
	const char *name = name_option(argv, letter);

	if (option == ':')
		sg_log_error("%s wants a value: see %s --help", name, program);
	else if (optopt != 0 && strncmp(name, "--", 2) == 0)
		sg_log_error("%.*s takes no value: see %s --help", (int)strcspn(name, "="), name,
			program);
	else
		sg_log_error("there is no option %s: see %s --help", name, program);
}
