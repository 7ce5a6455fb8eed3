// Parsing by tables, see command_line.h.
#include "command_line.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "client.h"
#include "help.h"
#include "net/addr.h"

#define MAX_OPTIONS 32
#define LONG_ONLY   256 // getopt's value for row i is LONG_ONLY + i

// What was given, by row of the table; NULL: not. A flag's value is its own name.
struct given {
	const char *values[MAX_OPTIONS];
};

static const char *value_of(const struct given *given, const char *name)
{
	return given->values[find_option(name) - option_rows];
}

// Fills getopt's tables from ours.
static void make_getopt_tables(struct option longs[MAX_OPTIONS], char shorts[2 * MAX_OPTIONS])
{
	unsigned i;

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
static bool read_options(struct given *given, int argc, char **argv)
{
	struct option longs[MAX_OPTIONS];
	char shorts[2 * MAX_OPTIONS];
	int option;

	make_getopt_tables(longs, shorts);
	while ((option = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		unsigned row;

		if (option == '?')
			return false; // getopt has said what is wrong
		row = row_of(option);
		given->values[row] = optarg ? optarg : option_rows[row].name;
	}
	return true;
}

// The verb whose words stand first; `ret_n_words` counts them.
static const struct verb *find_verb(char **words, int n, int *ret_n_words)
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

static bool is_general(const char *name)
{
	static const char *const general[] = {"socket", "output", "help", "version"};

	return has_option(general, 4, name);
}

static bool check_options(const struct verb *verb, const struct given *given)
{
	for (unsigned i = 0; option_rows[i].name; i++) {
		const char *name = option_rows[i].name;

		if (given->values[i] && !is_general(name) &&
			!has_option(verb->options, VERB_OPTIONS, name)) {
			sg_log_error("\"%s\" has no option --%s", verb->words, name);
			return false;
		}
		if (!given->values[i] && has_option(verb->required, VERB_REQUIRED, name)) {
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

// NULL when the text is not what the option takes.
static json_t *value_to_json(const struct option_row *row, const char *text)
{
	char *end;
	long number;

	switch (row->kind) {
	case OPTION_FLAG:
		return json_true();
	case OPTION_NUMBER:
		errno = 0;
		number = strtol(text, &end, 10);
		return *text && !*end && !errno ? json_integer(number) : NULL;
	case OPTION_VIP:
		return strchr(text, ',') ? split(text) : json_string(text);
	case OPTION_ALLOW:
		if (strcmp(text, "everyone") == 0)
			return json_null();
		return strcmp(text, "nobody") == 0 ? json_array() : split(text);
	default:
		return json_string(text);
	}
}

static bool add_options(json_t *params, const struct given *given)
{
	for (unsigned i = 0; option_rows[i].name; i++) {
		const struct option_row *row = &option_rows[i];
		char member[40];
		json_t *value;

		if (!given->values[i] || row->kind == OPTION_OURS)
			continue;
		value = value_to_json(row, given->values[i]);
		if (!value) {
			sg_log_error("--%s takes %s, not \"%s\"", row->name,
				row->kind == OPTION_NUMBER ? "a number" : "text", given->values[i]);
			return false;
		}
		snprintf(member, sizeof(member), "%s", row->name);
		for (char *at = member; *at; at++)
			*at = *at == '-' ? '_' : *at;
		json_object_set_new(params, member, value);
	}
	return true;
}

static bool add_argument(json_t *params, enum argument_kind kind, const char *text)
{
	char address[SG_ADDR_TEXT_BYTES];
	struct sg_addr addr;
	uint16_t port;

	if (kind != ARGUMENT_BACKEND)
		return json_object_set_new(params, kind == ARGUMENT_NAME ? "name" : "service",
			       json_string(text)) == 0;
	if (sg_addr_port_parse(text, &addr, &port) < 0) {
		sg_log_error("\"%s\" is no ADDR:PORT (IPv6: [ADDR]:PORT)", text);
		return false;
	}
	json_object_set_new(params, "address", json_string(sg_addr_format(&addr, address)));
	return json_object_set_new(params, "port", json_integer(port)) == 0;
}

static bool add_arguments(json_t *params, const struct verb *verb, char **texts, int n)
{
	int wanted = 0;

	while (wanted < VERB_ARGUMENTS && verb->arguments[wanted] != ARGUMENT_NONE)
		wanted++;
	if (n > wanted) {
		sg_log_error("\"%s\" has no place for \"%s\"", verb->words, texts[wanted]);
		return false;
	}
	if (n < wanted) {
		sg_log_error(
			"\"%s\" needs %d argument%s", verb->words, wanted, wanted == 1 ? "" : "s");
		return false;
	}
	for (int i = 0; i < n; i++) {
		if (!add_argument(params, verb->arguments[i], texts[i]))
			return false;
	}
	return true;
}

static bool read_output(const struct given *given, bool *ret_json)
{
	const char *output = value_of(given, "output");

	*ret_json = output && strcmp(output, "json") == 0;
	if (!output || *ret_json || strcmp(output, "table") == 0)
		return true;
	sg_log_error("-o takes table or json, not \"%s\"", output);
	return false;
}

// Help and version, which need no daemon and forgive everything else.
static bool print_help(const struct given *given, char **words, int n, const struct verb *verb)
{
	if (value_of(given, "version"))
		printf("stormctl " SG_VERSION "\n");
	else if (!value_of(given, "help"))
		return false;
	else if (verb)
		help_verb(verb);
	else if (n == 0 || help_matching(stdout, words[0]) == 0)
		help_program();
	return true;
}

bool command_line_parse(struct command_line *ret_line, int argc, char **argv, int *ret_exit)
{
	struct command_line line = {.socket_path = DEFAULT_SOCKET};
	struct given given = {0};
	int n_words = 0;
	char **words;
	int n;

	*ret_exit = EXIT_USAGE;
	if (!read_options(&given, argc, argv))
		return false;
	words = argv + optind;
	n = argc - optind;
	line.verb = find_verb(words, n, &n_words);
	if (print_help(&given, words, n, line.verb)) {
		*ret_exit = EXIT_DONE;
		return false;
	}
	if (!line.verb) {
		complain_about_verb(words, n);
		return false;
	}
	line.params = json_object();
	if (!read_output(&given, &line.json) || !check_options(line.verb, &given) ||
		!add_options(line.params, &given) ||
		!add_arguments(line.params, line.verb, words + n_words, n - n_words)) {
		fputs("usage: ", stderr);
		help_usage(stderr, line.verb);
		json_decref(line.params);
		return false;
	}
	if (value_of(&given, "socket"))
		line.socket_path = value_of(&given, "socket");
	line.file = value_of(&given, "file");
	line.watch = value_of(&given, "watch") != NULL;
	*ret_line = line;
	return true;
}
