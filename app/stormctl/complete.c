// `stormctl complete`: what may stand in the place of the last word of a command line, one
// candidate a line; for shells (stormctl.bash). From the tables of verbs.h, and, for names, from
// the daemon.
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "command_line.h"
#include "help.h"

#define NAMES_MS  1000 // a shell waits for it
#define MAX_WORDS 8    // two of the verb, and its arguments

struct completion {
	const char *word; // the last one, perhaps the beginning of one, perhaps empty
	const struct option_row
		*awaits; // the option before it, which takes it as its value; or NULL
	const char *socket_path;
	char *words[MAX_WORDS]; // those before it that belong to no option
	int n_words;
};

// Prints a candidate if it begins with what is there.
static void offer(const struct completion *completion, const char *text, size_t length)
{
	size_t typed = strlen(completion->word);

	if (length >= typed && strncmp(text, completion->word, typed) == 0)
		printf("%.*s\n", (int)length, text);
}

// What stands between the bars of "tcp|udp".
static void offer_values(const struct completion *completion, const char *values)
{
	if (!strchr(values, '|'))
		return;
	while (*values) {
		size_t length = strcspn(values, "|");

		offer(completion, values, length);
		values += length + (values[length] == '|');
	}
}

static const struct option_row *find_option_as_typed(const char *typed)
{
	for (const struct option_row *row = option_rows; row->name; row++) {
		if (typed[1] == '-' ? strcmp(row->name, typed + 2) == 0
				    : row->letter && row->letter == typed[1] && !typed[2])
			return row;
	}
	return NULL;
}

// Sorts what stands before the last word into options and words.
static struct completion look_at(char **words, int n)
{
	struct completion completion = {.word = "", .socket_path = DEFAULT_SOCKET};

	for (int i = 0; i < n; i++) {
		const struct option_row *awaits = completion.awaits;

		completion.awaits = NULL;
		if (i == n - 1) {
			completion.word = words[i];
			completion.awaits = awaits;
		} else if (awaits) {
			if (strcmp(awaits->name, "socket") == 0)
				completion.socket_path = words[i];
		} else if (words[i][0] == '-') {
			completion.awaits = find_option_as_typed(words[i]);
			if (completion.awaits && !completion.awaits->value)
				completion.awaits = NULL;
		} else if (completion.n_words < MAX_WORDS) {
			completion.words[completion.n_words++] = words[i];
		}
	}
	return completion;
}

// --- names from the daemon --------------------------------------------------------------------

static void offer_member(const struct completion *completion, const json_t *object)
{
	const char *name = json_string_value(json_object_get(object, "name"));

	offer(completion, name ? name : "", name ? strlen(name) : 0);
}

static void offer_backends(const struct completion *completion, const json_t *service)
{
	size_t i;
	json_t *backend;

	json_array_foreach(json_object_get(service, "backends"), i, backend)
	{
		const char *address = json_string_value(json_object_get(backend, "address"));
		int port = (int)json_integer_value(json_object_get(backend, "port"));
		char text[80];

		if (!address)
			continue;
		snprintf(text, sizeof(text), strchr(address, ':') ? "[%s]:%d" : "%s:%d", address,
			port);
		offer(completion, text, strlen(text));
	}
}

// The names of all services; or the backends of the one that is named.
static void offer_services(const struct completion *completion, const char *backends_of)
{
	struct client client;
	json_t *result = NULL, *service;
	size_t i;

	if (client_open(&client, completion->socket_path))
		return;
	if (client_call(&client, "service list", json_object(), NAMES_MS, &result) == EXIT_DONE)
		json_array_foreach(json_object_get(result, "services"), i, service)
		{
			const char *name = json_string_value(json_object_get(service, "name"));

			if (!backends_of)
				offer_member(completion, service);
			else if (name && strcmp(name, backends_of) == 0)
				offer_backends(completion, service);
		}
	json_decref(result);
	client_close(&client);
}

// --- by position ------------------------------------------------------------------------------

// The next word of the verbs that begin with the words that are there.
static void offer_verbs(const struct completion *completion, char **words, int n)
{
	const char *last = "";
	size_t last_length = 0;

	for (const struct verb *verb = verbs; verb->words; verb++) {
		size_t length = strcspn(verb->words, " ");
		const char *second = verb->words[length] ? verb->words + length + 1 : NULL;

		if (n == 0 && (length != last_length || strncmp(last, verb->words, length) != 0))
			offer(completion, verb->words, length);
		if (n == 1 && second && strlen(words[0]) == length &&
			strncmp(words[0], verb->words, length) == 0)
			offer(completion, second, strlen(second));
		last = verb->words;
		last_length = length;
	}
}

static void offer_argument(
	const struct completion *completion, const struct verb *verb, int n_verb_words)
{
	int place = completion->n_words - n_verb_words;
	char *const *arguments = completion->words + n_verb_words;
	enum argument_kind kind = verb->arguments[0];

	if (kind != ARGUMENT_WORDS)
		kind = place < VERB_ARGUMENTS ? verb->arguments[place] : ARGUMENT_NONE;
	if (kind == ARGUMENT_WORDS)
		offer_verbs(completion, (char **)arguments, place);
	else if (kind == ARGUMENT_NAME || kind == ARGUMENT_SERVICE)
		offer_services(completion, NULL);
	else if (kind == ARGUMENT_BACKEND)
		offer_services(completion, arguments[0]);
	else if (kind != ARGUMENT_NONE && kind < ARGUMENT_COUNT)
		offer_values(completion, argument_rows[kind].text);
}

static void offer_options(const struct completion *completion, const struct verb *verb)
{
	char text[40];

	for (const struct option_row *row = option_rows; row->name; row++) {
		if (!help_has_option(verb, row))
			continue;
		snprintf(text, sizeof(text), "--%s", row->name);
		offer(completion, text, strlen(text));
	}
}

int run_complete(struct command_line *line)
{
	struct completion completion = look_at(line->rest, line->n_rest);
	int n_verb_words = 0;
	const struct verb *verb = find_verb(completion.words, completion.n_words, &n_verb_words);

	if (completion.awaits && strcmp(completion.awaits->name, "service") == 0)
		offer_services(&completion, NULL);
	else if (completion.awaits)
		offer_values(&completion, completion.awaits->value);
	else if (completion.word[0] == '-')
		offer_options(&completion, verb);
	else if (verb)
		offer_argument(&completion, verb, n_verb_words);
	else
		offer_verbs(&completion, completion.words, completion.n_words);
	return EXIT_DONE;
}
