// Help from tables, see help.h.
#include "help.h"

#include <string.h>

#include "base/log.h"
#include "client.h"
#include "command_line.h"

// For every verb: the first of the table.
#define N_GENERAL_OPTIONS 4
#define LEFT_COLUMNS      34 // of options, in front of their help

const struct option_row *find_option(const char *name)
{
	const struct option_row *row = option_rows;

	while (row->name && strcmp(row->name, name) != 0)
		row++;
	return row->name ? row : NULL;
}

static bool is_required(const struct verb *verb, const char *name)
{
	for (unsigned i = 0; i < VERB_REQUIRED && verb->required[i]; i++) {
		if (strcmp(verb->required[i], name) == 0)
			return true;
	}
	return false;
}

bool help_has_option(const struct verb *verb, const struct option_row *row)
{
	if (row - option_rows < N_GENERAL_OPTIONS)
		return true;
	for (unsigned i = 0; verb && i < VERB_OPTIONS && verb->options[i]; i++) {
		if (strcmp(verb->options[i], row->name) == 0)
			return true;
	}
	return false;
}

void help_usage(FILE *to, const struct verb *verb)
{
	fprintf(to, "stormctl %s", verb->words);
	for (unsigned i = 0; i < VERB_ARGUMENTS && verb->arguments[i] != ARGUMENT_NONE; i++) {
		const struct argument_row *row = &argument_rows[verb->arguments[i]];

		fprintf(to, row->is_optional ? " [%s]" : " %s", row->text);
	}
	for (unsigned i = 0; i < VERB_OPTIONS && verb->options[i]; i++) {
		const struct option_row *row = find_option(verb->options[i]);
		bool required = is_required(verb, row->name);

		fprintf(to, " %s--%s%s%s%s", required ? "" : "[", row->name, row->value ? " " : "",
			row->value ? row->value : "", required ? "" : "]");
	}
	fputc('\n', to);
}

static void print_option(const struct option_row *row)
{
	char left[80];

	snprintf(left, sizeof(left), "%s%c%s--%s%s%s", row->letter ? "-" : " ",
		row->letter ? row->letter : ' ', row->letter ? ", " : "  ", row->name,
		row->value ? " " : "", row->value ? row->value : "");
	if (strlen(left) > LEFT_COLUMNS)
		printf("  %s\n  %*s %s\n", left, LEFT_COLUMNS, "", row->help);
	else
		printf("  %-*s %s\n", LEFT_COLUMNS, left, row->help);
}

static void help_verb(const struct verb *verb)
{
	printf("%s: %s\n\n", verb->words, verb->help);
	help_usage(stdout, verb);
	putchar('\n');
	for (unsigned i = 0; i < VERB_OPTIONS && verb->options[i]; i++)
		print_option(find_option(verb->options[i]));
	for (unsigned i = 0; i < N_GENERAL_OPTIONS; i++)
		print_option(&option_rows[i]);
	if (verb->example)
		printf("\nFor example:\n\n    %s\n", verb->example);
}

unsigned help_matching(FILE *to, const char *word)
{
	unsigned n = 0;

	for (const struct verb *verb = verbs; verb->words; verb++) {
		size_t length = strlen(word);

		if (strncmp(verb->words, word, length) == 0 && verb->words[length] == ' ') {
			fputs("  ", to);
			help_usage(to, verb);
			n++;
		}
	}
	return n;
}

static void help_program(void)
{
	printf("stormctl: looks at a running stormgate, and changes what it serves\n\n"
	       "stormctl [-s SOCKET] [-o table|json] VERB ...\n\n");
	for (const struct verb *verb = verbs; verb->words; verb++)
		printf("  %-15s %s\n", verb->words, verb->help);
	putchar('\n');
	for (unsigned i = 0; i < N_GENERAL_OPTIONS; i++)
		print_option(&option_rows[i]);
	printf("\n`stormctl help VERB` has the verb's own options and an example.\n"
	       "Exit status: 0 done, 1 refused (stderr says why), 2 wrong command line, 3 no daemon.\n");
}

bool help_words(char **words, int n)
{
	int n_words;
	const struct verb *verb = find_verb(words, n, &n_words);

	if (verb)
		help_verb(verb);
	else if (n == 0)
		help_program();
	else if (help_matching(stdout, words[0]) == 0)
		return false;
	return true;
}

int run_help(struct command_line *line)
{
	if (help_words(line->rest, line->n_rest))
		return EXIT_DONE;
	sg_log_error("there is no verb \"%s\": see stormctl --help", line->rest[0]);
	return EXIT_USAGE;
}
