// Help texts, printed from the tables of verbs.h.
#pragma once

#include <stdio.h>

#include "verbs.h"

void help_program(void);
void help_verb(const struct verb *verb);
// One line: "stormctl service add NAME --vip A --protocol tcp|udp --port N [--scheduler S] ...".
void help_usage(FILE *to, const struct verb *verb);
// The verbs that begin with `word`. Returns how many there are.
unsigned help_matching(FILE *to, const char *word);

const struct option_row *find_option(const char *name);
