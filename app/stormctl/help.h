// Help texts, printed from the tables of verbs.h.
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "verbs.h"

// Explains the verb that the words name, or the verbs that begin with them, or the program. Returns
// false when the words name nothing.
bool help_words(char **words, int n);
// One line: "stormctl service add NAME --vip A --protocol tcp|udp --port N [--scheduler S] ...".
void help_usage(FILE *to, const struct verb *verb);
// The verbs that begin with `word`. Returns how many there are.
unsigned help_matching(FILE *to, const char *word);

const struct option_row *find_option(const char *name);
// Whether an option may stand beside the verb; without a verb, beside any.
bool help_has_option(const struct verb *verb, const struct option_row *row);
