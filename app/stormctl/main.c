// stormctl: the operator's client. Each verb is one request to the daemon's socket; what is special
// about apply, export and stats --watch is here.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "client.h"
#include "command_line.h"

#define WATCH_SECONDS 1

static void print_json(const json_t *result)
{
	json_dumpf(result, stdout, JSON_INDENT(2));
	putchar('\n');
}

static json_t *load_file(const char *path)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	json_error_t problem;
	json_t *object;

	if (!file) {
		sg_log_error("%s: %s", path, strerror(errno));
		return NULL;
	}
	object = json_loadf(file, JSON_REJECT_DUPLICATES, &problem);
	if (file != stdin)
		fclose(file);
	if (!object) {
		sg_log_error("%s:%d: %s", path, problem.line, problem.text);
	} else if (!json_is_object(object)) {
		sg_log_error("%s: it must hold one object with \"services\"", path);
		json_decref(object);
		object = NULL;
	}
	return object;
}

// The file's params, with --owner and --dry-run added. An owner that contradicts the file's is a
// mistake in one of the two.
static int read_apply_params(struct command_line *line)
{
	const char *given = json_string_value(json_object_get(line->params, "owner"));
	json_t *file = load_file(line->file);
	const char *owner = json_string_value(json_object_get(file, "owner"));

	if (!file)
		return EXIT_REFUSED;
	if (given && owner && strcmp(given, owner) != 0) {
		sg_log_error("--owner %s differs from the file's owner %s", given, owner);
		json_decref(file);
		return EXIT_REFUSED;
	}
	json_object_update(file, line->params);
	json_decref(line->params);
	line->params = file;
	return EXIT_DONE;
}

// What apply takes; that other owners have services, too, is no part of it.
static void print_export(json_t *result)
{
	json_t *others = json_object_get(result, "other_owners");
	size_t i;
	json_t *owner;

	json_array_foreach(others, i, owner)
		sg_log_info("owner %s has services, too: export --owner %s prints them",
			json_string_value(owner), json_string_value(owner));
	json_object_del(result, "other_owners");
	print_json(result);
}

static void print_result(const struct command_line *line, json_t *result)
{
	if (!line->verb->print)
		print_export(result);
	else if (line->json)
		print_json(result);
	else
		line->verb->print(result);
}

// Prints once a second, for as long as somebody reads.
static int watch(struct client *client, const struct command_line *line)
{
	json_t *result;
	int code;

	for (;;) {
		code = client_call(
			client, line->verb->words, json_deep_copy(line->params), false, &result);
		if (code)
			return code;
		if (isatty(STDOUT_FILENO))
			fputs("\033[H\033[2J", stdout);
		print_result(line, result);
		json_decref(result);
		if (fflush(stdout) != 0)
			return EXIT_DONE;
		sleep(WATCH_SECONDS);
	}
}

static int run(struct command_line *line)
{
	struct client client;
	json_t *result = NULL;
	bool patient = json_object_get(line->params, "wait") != NULL;
	int code = client_open(&client, line->socket_path);

	if (code)
		return code;
	if (line->watch) {
		code = watch(&client, line);
	} else {
		code = client_call(
			&client, line->verb->words, json_incref(line->params), patient, &result);
		if (!code)
			print_result(line, result);
		json_decref(result);
	}
	client_close(&client);
	return code;
}

int main(int argc, char **argv)
{
	struct command_line line;
	int code;

	sg_log_open("stormctl");
	if (!command_line_parse(&line, argc, argv, &code))
		return code;
	code = line.file ? read_apply_params(&line) : EXIT_DONE;
	if (!code)
		code = run(&line);
	json_decref(line.params);
	return code;
}
