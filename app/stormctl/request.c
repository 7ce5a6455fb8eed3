// Requests and what becomes of their results, see request.h.
#include "request.h"

#include <errno.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <unistd.h>

#include "base/log.h"
#include "client.h"

#define WATCH_SECONDS 1

static void print_result(const struct command_line *line, json_t *result)
{
	if (line->verb->print && !line->json)
		line->verb->print(result);
	else
		print_json(result);
}

int request(struct command_line *line, const char *method)
{
	bool waits = json_is_true(json_object_get(line->params, "wait"));
	struct client client;
	json_t *result;
	int code = client_open(&client, line->socket_path);

	if (code)
		return code;
	code = client_call(&client, method, json_incref(line->params),
		waits ? ANSWER_MS_NEVER : ANSWER_MS, &result);
	if (!code)
		print_result(line, result);
	json_decref(result);
	client_close(&client);
	return code;
}

static int print_again(struct client *client, struct command_line *line, const char *method)
{
	json_t *result;
	int code = client_call(client, method, json_deep_copy(line->params), ANSWER_MS, &result);

	if (!code) {
		if (isatty(STDOUT_FILENO))
			fputs("\033[H\033[2J", stdout);
		print_result(line, result);
	}
	json_decref(result);
	return code;
}

// Every second, for as long as somebody reads.
static int request_again_and_again(struct command_line *line, const char *method)
{
	struct client client;
	int code = client_open(&client, line->socket_path);

	if (code)
		return code;
	while ((code = print_again(&client, line, method)) == EXIT_DONE && fflush(stdout) == 0)
		sleep(WATCH_SECONDS);
	// That nobody reads any more is how one stops it. Of any other trouble main() complains.
	if (!code && errno == EPIPE) {
		__fpurge(stdout);
		clearerr(stdout);
	}
	client_close(&client);
	return code;
}

int run_request(struct command_line *line)
{
	return request(line, line->verb->words);
}

// A script wants to know whether it gets there, and that is what the exit status says.
int run_explain(struct command_line *line)
{
	struct client client;
	json_t *result;
	int code = client_open(&client, line->socket_path);

	if (code)
		return code;
	code = client_call(&client, "explain", json_incref(line->params), ANSWER_MS, &result);
	if (!code) {
		print_result(line, result);
		if (!json_is_true(json_object_get(result, "forwarded")))
			code = EXIT_REFUSED;
	}
	json_decref(result);
	client_close(&client);
	return code;
}

int run_stats(struct command_line *line)
{
	if (command_line_value(line, "watch"))
		return request_again_and_again(line, "stats");
	return request(line, "stats");
}
