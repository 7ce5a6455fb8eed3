// One connection to a stormgate: a request line out, an answer line in. Blocking; stormctl has
// nothing else to do.
#pragma once

#include <stddef.h>

#include <jansson.h>

struct client {
	int fd;
	int next_id;
	char *buffer; // what was read behind the last answer
	size_t length, size;
};

// What stormctl exits with.
enum exit_code {
	EXIT_DONE = 0,
	EXIT_REFUSED = 1,
	EXIT_USAGE = 2,
	EXIT_NO_DAEMON = 3,
};

// Returns EXIT_DONE, or EXIT_NO_DAEMON with a sentence on stderr.
int client_open(struct client *ret_client, const char *socket_path);
void client_close(struct client *client);

#define ANSWER_MS       10000 // for a daemon that is well
#define ANSWER_MS_NEVER -1    // waits for ever

// Takes over `params`, and waits for the answer for at most `answer_ms`. Returns EXIT_DONE and the
// result, which is the caller's; or EXIT_REFUSED or EXIT_NO_DAEMON, with a sentence on stderr.
int client_call(struct client *client, const char *method, json_t *params, int answer_ms,
	json_t **ret_result);
