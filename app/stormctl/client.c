// The socket's other end, see client.h.
#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

static int no_daemon(const char *socket_path, int err)
{
	if (err == ENOENT || err == ECONNREFUSED)
		sg_log_error("no stormgate serves %s: start it, or name its socket with -s",
			socket_path);
	else if (err == EACCES || err == EPERM)
		sg_log_error(
			"%s may not be opened by this user: be root, or a member of the socket's group",
			socket_path);
	else
		sg_log_error("%s: %s", socket_path, strerror(err));
	return EXIT_NO_DAEMON;
}

int client_open(struct client *ret_client, const char *socket_path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct client client = {.next_id = 1};

	if (strlen(socket_path) >= sizeof(address.sun_path))
		return no_daemon(socket_path, ENAMETOOLONG);
	strcpy(address.sun_path, socket_path);
	client.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client.fd < 0)
		return no_daemon(socket_path, errno);
	if (connect(client.fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int err = errno;

		close(client.fd);
		return no_daemon(socket_path, err);
	}
	*ret_client = client;
	return EXIT_DONE;
}

void client_close(struct client *client)
{
	close(client->fd);
	free(client->buffer);
}

static int lost(const char *why)
{
	sg_log_error("the connection to stormgate is lost: %s", why);
	return EXIT_NO_DAEMON;
}

static int send_all(struct client *client, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t n = send(client->fd, text, length, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return lost(strerror(errno));
		text += n;
		length -= (size_t)n;
	}
	return EXIT_DONE;
}

static int send_request(struct client *client, const char *method, json_t *params)
{
	json_t *request = json_pack("{s:s, s:i, s:s, s:O}", "jsonrpc", "2.0", "id", client->next_id,
		"method", method, "params", params);
	char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	int code = EXIT_NO_DAEMON;

	json_decref(request);
	if (!text)
		return lost("no memory is left");
	code = send_all(client, text, strlen(text));
	free(text);
	return code ? code : send_all(client, "\n", 1);
}

static int wait_for_bytes(struct client *client, int answer_ms)
{
	struct pollfd wanted = {.fd = client->fd, .events = POLLIN};
	int n;

	do
		n = poll(&wanted, 1, answer_ms);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return lost("no answer came in time");
	return n < 0 ? lost(strerror(errno)) : EXIT_DONE;
}

static int read_more(struct client *client, int answer_ms)
{
	ssize_t n;
	int code = wait_for_bytes(client, answer_ms);

	if (code)
		return code;
	if (client->length == client->size) {
		size_t size = client->size ? 2 * client->size : 65536;
		char *larger = realloc(client->buffer, size);

		if (!larger)
			return lost("no memory is left");
		client->buffer = larger;
		client->size = size;
	}
	n = recv(client->fd, client->buffer + client->length, client->size - client->length, 0);
	if (n == 0)
		return lost("it was closed at the other end");
	if (n < 0)
		return errno == EINTR ? EXIT_DONE : lost(strerror(errno));
	client->length += (size_t)n;
	return EXIT_DONE;
}

// The next line as JSON.
static int read_answer(struct client *client, int answer_ms, json_t **ret_answer)
{
	size_t looked_at = 0;
	char *newline = NULL;

	for (;;) {
		if (client->length > looked_at)
			newline = memchr(
				client->buffer + looked_at, '\n', client->length - looked_at);
		if (newline)
			break;
		looked_at = client->length;
		if (read_more(client, answer_ms) != EXIT_DONE)
			return EXIT_NO_DAEMON;
	}
	*ret_answer = json_loadb(client->buffer, (size_t)(newline - client->buffer), 0, NULL);
	client->length -= (size_t)(newline + 1 - client->buffer);
	memmove(client->buffer, newline + 1, client->length);
	return *ret_answer ? EXIT_DONE : lost("its answer is no JSON");
}

int client_call(struct client *client, const char *method, json_t *params, int answer_ms,
	json_t **ret_result)
{
	json_t *answer = NULL, *error;
	int code = send_request(client, method, params);

	json_decref(params);
	// Even when sending failed: a line that is too long is answered before it has been read.
	if (read_answer(client, answer_ms, &answer) != EXIT_DONE)
		return EXIT_NO_DAEMON;
	client->next_id++;
	error = json_object_get(answer, "error");
	*ret_result = json_incref(json_object_get(answer, "result"));
	if (error || code) {
		const char *message = json_string_value(json_object_get(error, "message"));

		sg_log_error("%s", message ? message : "refused without a reason");
		code = EXIT_REFUSED;
	} else if (!*ret_result) {
		code = lost("its answer has no result");
	}
	json_decref(answer);
	return code;
}
