// Parsing by tables, see command_line.h.
#include "command_line.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/option_error.h"
#include "client.h"
#include "help.h"
#include "net/addr.h"

#define LONG_ONLY 256 // getopt's value for row i is LONG_ONLY + i

const char *command_line_value(const struct command_line *line, const char *option)
{
	return line->values[find_option(option) - option_rows];
}

// Fills getopt's tables from ours.
static void make_getopt_tables(struct option longs[MAX_OPTIONS], char shorts[2 * MAX_OPTIONS])
{
	unsigned i;

	*shorts++ = ':';
	for (i = 0; option_rows[i].name; i++) {
		const struct option_row *row = &option_rows[i];

		longs[i] = (struct option){.name = row->name,
			.has_arg = row->value ? required_argument : no_argument,
			.val = LONG_ONLY + (int)i};
		if (row->letter) {
			*shorts++ = row->letter;
			if (row->value)
				*shorts++ = ':';
		}
	}
	longs[i] = (struct option){0};
	*shorts = '\0';
}

static unsigned row_of(int option)
{
	unsigned i = 0;

	if (option >= LONG_ONLY)
		return (unsigned)(option - LONG_ONLY);
	while (option_rows[i].letter != option)
		i++;
	return i;
}

// Options may stand anywhere; afterwards argv[optind] and what follows are words and arguments.
static bool read_options(struct command_line *line, int argc, char **argv)
{
	struct option longs[MAX_OPTIONS];
	char shorts[2 * MAX_OPTIONS];
	int option;

	make_getopt_tables(longs, shorts);
	opterr = 0;
	while ((option = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		unsigned row;

		if (option == '?' || option == ':') {
			sg_option_error(argv, option, "stormctl");
			return false;
		}
		row = row_of(option);
		line->values[row] = optarg ? optarg : option_rows[row].name;
	}
	return true;
}

const struct verb *find_verb(char **words, int n, int *ret_n_words)
{
	char two[80] = "";

	if (n >= 2)
		snprintf(two, sizeof(two), "%s %s", words[0], words[1]);
	for (const struct verb *verb = verbs; verb->words; verb++) {
		bool both = n >= 2 && strcmp(verb->words, two) == 0;

		if (both || (n >= 1 && strcmp(verb->words, words[0]) == 0)) {
			*ret_n_words = both ? 2 : 1;
			return verb;
		}
	}
	return NULL;
}

static void complain_about_verb(char **words, int n)
{
	if (n == 0) {
		sg_log_error("what shall be done? See stormctl --help");
		return;
	}
	if (help_matching(stderr, words[0]) == 0)
		sg_log_error("there is no verb \"%s\": see stormctl --help", words[0]);
	else
		sg_log_error("\"%s\" needs one of the verbs above", words[0]);
}

static bool has_option(const char *const *options, unsigned n, const char *name)
{
	for (unsigned i = 0; i < n && options[i]; i++) {
		if (strcmp(options[i], name) == 0)
			return true;
	}
	return false;
}

static bool check_options(const struct command_line *line)
{
	const struct verb *verb = line->verb;

	for (unsigned i = 0; option_rows[i].name; i++) {
		const char *name = option_rows[i].name;

		if (line->values[i] && !help_has_option(verb, &option_rows[i])) {
			sg_log_error("\"%s\" has no option --%s", verb->words, name);
			return false;
		}
		if (!line->values[i] && has_option(verb->required, VERB_REQUIRED, name)) {
			sg_log_error("\"%s\" needs --%s %s", verb->words, name,
				option_rows[i].value ? option_rows[i].value : "");
			return false;
		}
	}
	return true;
}

static json_t *split(const char *text)
{
	json_t *array = json_array();
	char *copy = strdup(text), *rest = copy;
	char *part;

	while ((part = strsep(&rest, ",")))
		json_array_append_new(array, json_string(part));
	free(copy);
	return array;
}

static bool parse_number(const char *text, long *ret_number)
{
	char *end;

	errno = 0;
	*ret_number = strtol(text, &end, 10);
	return *text && !*end && !errno;
}

// NULL when the text is not what the option takes.
static json_t *value_to_json(const struct option_row *row, const char *text)
{
	long number;

	switch (row->kind) {
	case OPTION_FLAG:
		return json_true();
	case OPTION_NUMBER:
		return parse_number(text, &number) ? json_integer(number) : NULL;
	case OPTION_VIP:
		return strchr(text, ',') ? split(text) : json_string(text);
	case OPTION_ALLOW:
		if (strcmp(text, "everyone") == 0)
			return json_null();
		return strcmp(text, "nobody") == 0 ? json_array() : split(text);
	case OPTION_DENY:
		if (strcmp(text, "everyone") == 0)
			return split("0.0.0.0/0,::/0");
		return strcmp(text, "nobody") == 0 ? json_array() : split(text);
	default:
		return json_string(text);
	}
}

static bool add_options(const struct command_line *line)
{
	for (unsigned i = 0; option_rows[i].name; i++) {
		const struct option_row *row = &option_rows[i];
		char member[40];
		json_t *value;

		if (!line->values[i] || row->kind == OPTION_OURS)
			continue;
		value = value_to_json(row, line->values[i]);
		if (!value) {
			sg_log_error("--%s takes %s, not \"%s\"", row->name,
				row->kind == OPTION_NUMBER ? "a number" : "text", line->values[i]);
			return false;
		}
		snprintf(member, sizeof(member), "%s", row->name);
		for (char *at = member; *at; at++)
			*at = *at == '-' ? '_' : *at;
		json_object_set_new(line->params, member, value);
	}
	return true;
}

static bool add_argument(json_t *params, const struct argument_row *row, const char *text)
{
	char address[SG_ADDR_TEXT_BYTES];
	struct sg_addr addr;
	uint16_t port;
	long number;

	if (row->is_number && !parse_number(text, &number)) {
		sg_log_error("%s is a number, not \"%s\"", row->text, text);
		return false;
	}
	if (row->port_member && sg_addr_port_parse(text, &addr, &port) < 0) {
		sg_log_error("\"%s\" is no ADDR:PORT (IPv6: [ADDR]:PORT)", text);
		return false;
	}
	if (row->is_number)
		return json_object_set_new(params, row->member, json_integer(number)) == 0;
	if (row->port_member) {
		text = sg_addr_format(&addr, address);
		json_object_set_new(params, row->port_member, json_integer(port));
	}
	return json_object_set_new(params, row->member, json_string(text)) == 0;
}

static bool refuse_arguments(const struct verb *verb, int given, char **texts)
{
	const struct argument_row *missing = &argument_rows[verb->arguments[given]];

	if (given == VERB_ARGUMENTS || verb->arguments[given] == ARGUMENT_NONE)
		sg_log_error("\"%s\" has no place for \"%s\"", verb->words, texts[given]);
	else
		sg_log_error("\"%s\" needs %s", verb->words, missing->text);
	return false;
}

static bool add_arguments(struct command_line *line, char **texts, int n)
{
	const struct verb *verb = line->verb;
	int i;

	for (i = 0; i < VERB_ARGUMENTS && verb->arguments[i] != ARGUMENT_NONE; i++) {
		const struct argument_row *row = &argument_rows[verb->arguments[i]];

		if (row->is_rest) {
			line->rest = texts + i;
			line->n_rest = n - i;
			return true;
		}
		if (i == n)
			return row->is_optional || refuse_arguments(verb, n, texts);
		if (!add_argument(line->params, row, texts[i]))
			return false;
	}
	return n == i || refuse_arguments(verb, i, texts);
}

static bool read_output(struct command_line *line)
{
	const char *output = command_line_value(line, "output");

	line->json = output && strcmp(output, "json") == 0;
	if (!output || line->json || strcmp(output, "table") == 0)
		return true;
	sg_log_error("-o takes table or json, not \"%s\"", output);
	return false;
}

// Help and version, which need no daemon and forgive everything else.
static bool print_help(const struct command_line *line, char **words, int n)
{
	if (command_line_value(line, "version"))
		printf("stormctl " SG_VERSION "\n");
	else if (!command_line_value(line, "help"))
		return false;
	else if (!help_words(words, n))
		help_words(words, 0);
	return true;
}

bool command_line_parse(struct command_line *ret_line, int argc, char **argv, int *ret_exit)
{
	struct command_line line = {.socket_path = DEFAULT_SOCKET};
	int n_words = 0;
	char **words;
	int n;

	*ret_exit = EXIT_USAGE;
	if (!read_options(&line, argc, argv))
		return false;
	words = argv + optind;
	n = argc - optind;
	if (print_help(&line, words, n)) {
		*ret_exit = EXIT_DONE;
		return false;
	}
	line.verb = find_verb(words, n, &n_words);
	if (!line.verb) {
		complain_about_verb(words, n);
		return false;
	}
	line.params = json_object();
	if (!read_output(&line) || !check_options(&line) || !add_options(&line) ||
		!add_arguments(&line, words + n_words, n - n_words)) {
		fputs("usage: ", stderr);
		help_usage(stderr, line.verb);
		json_decref(line.params);
		return false;
	}
	if (command_line_value(&line, "socket"))
		line.socket_path = command_line_value(&line, "socket");
	*ret_line = line;
	return true;
}
