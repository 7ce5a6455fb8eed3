// A server at a socket in a directory of its own, and clients that know nothing of its inside.
//
// Included by the tests of the server and of its socket's file.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "control/request.h"
#include "control/server.h"
#include "control/socket_file.h"

#define PATIENCE 2000 // turns of the loop; each looks at all descriptors without waiting

// A server whose handler answers "echo LINE"; a line "hold" is answered when the test says so, a
// line "big" by a megabyte.
struct rig {
	char directory[32];
	char path[64];
	struct sg_loop *loop;
	struct sg_server *server;
	uint64_t held[SG_SERVER_MAX_CONNECTIONS + 8];
	unsigned n_held;
	unsigned n_lines, n_closed;
	struct sg_peer peer;
	char *big;
	// For long lines, when the test wants them.
	bool has_reader, reader_is_busy;
	char *buffer; // of the one that is being read
	uint64_t reading;
};

static inline void answer_with(struct rig *rig, uint64_t connection, const char *answer)
{
	struct sg_text text = {0};

	sg_text_append_string(&text, answer);
	sg_server_answer(rig->server, connection, &text);
	assert_null(text.first);
}

static inline void on_line(void *context, uint64_t connection, const struct sg_peer *peer,
	const char *line, size_t length)
{
	struct rig *rig = context;
	char *answer;

	assert_int_equal(strlen(line), length);
	rig->n_lines++;
	rig->peer = *peer;
	if (strcmp(line, "burn") == 0) {
		for (uint64_t end = sg_clock_ns() + 300000; sg_clock_ns() < end;)
			;
		answer_with(rig, connection, "burnt");
	} else if (strcmp(line, "hold") == 0) {
		rig->held[rig->n_held++] = connection;
	} else if (strcmp(line, "big") == 0) {
		answer_with(rig, connection, rig->big);
	} else {
		assert_true(asprintf(&answer, "echo %.100s", line) > 0);
		answer_with(rig, connection, answer);
		free(answer);
	}
}

static inline void on_bad_line(void *context, const char *sentence, struct sg_text *ret_text)
{
	(void)context;
	sg_request_write_error(ret_text, NULL, SG_REQUEST_NO_JSON, sentence);
}

static inline void on_closed(void *context, uint64_t connection)
{
	(void)connection;
	((struct rig *)context)->n_closed++;
}

static inline void on_long_line(void *context, uint64_t connection, const struct sg_peer *peer,
	char *buffer, const char *line, size_t length)
{
	struct rig *rig = context;

	(void)peer;
	assert_int_equal(strlen(line), length);
	assert_true(length >= SG_SERVER_LONG_LINE_BYTES && line >= buffer);
	assert_null(rig->buffer);
	rig->buffer = buffer;
	rig->reading = connection;
	sg_server_hold(rig->server, connection);
}

static inline bool takes_long_line(void *context)
{
	const struct rig *rig = context;

	return !rig->buffer && !rig->reader_is_busy;
}

static inline int open_server(struct rig *rig, mode_t mode, struct sg_error *error)
{
	struct sg_server_handler handler = {
		.context = rig, .line = on_line, .bad_line = on_bad_line, .closed = on_closed};

	if (rig->has_reader) {
		handler.long_line = on_long_line;
		handler.takes_long_line = takes_long_line;
	}
	return sg_server_open(
		&rig->server, rig->loop, rig->path, mode, SG_SOCKET_FILE_NO_GROUP, &handler, error);
}

static inline int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct sg_error error = {0};

	strcpy(rig->directory, "/tmp/sg-server-XXXXXX");
	assert_non_null(mkdtemp(rig->directory));
	snprintf(rig->path, sizeof(rig->path), "%s/s", rig->directory);
	rig->big = malloc((1 << 20) + 1);
	memset(rig->big, 'x', 1 << 20);
	rig->big[1 << 20] = '\0';
	assert_int_equal(sg_loop_create(&rig->loop, &error), 0);
	if (open_server(rig, 0600, &error))
		fail_msg("%s", error.text);
	*state = rig;
	return 0;
}

static inline int tear_down(void **state)
{
	struct rig *rig = *state;

	sg_server_close(rig->server);
	sg_loop_destroy(rig->loop);
	// Nothing is left behind: the directory is empty.
	assert_int_equal(rmdir(rig->directory), 0);
	free(rig->big);
	free(rig);
	return 0;
}

static inline int try_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

static inline void turn(struct rig *rig)
{
	assert_int_equal(sg_loop_run_once(rig->loop, NULL, NULL, 1), 0);
	sg_server_turn(rig->server);
}

static inline int connect_client(struct rig *rig)
{
	int fd = try_connect(rig->path);

	assert_true(fd >= 0);
	turn(rig);
	return fd;
}

static inline void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

// Reads until the newline, for as long as the server has something to do.
static inline void expect(struct rig *rig, int fd, const char *beginning)
{
	char text[4096] = "";
	size_t length = 0;

	for (unsigned i = 0; i < PATIENCE && !strchr(text, '\n'); i++) {
		ssize_t n;

		turn(rig);
		n = recv(fd, text + length, 1, 0); // one by one: what follows is for the next call
		while (n > 0 && text[length++] != '\n' && length < sizeof(text) - 1)
			n = recv(fd, text + length, 1, 0);
		text[length] = '\0';
		if (n == 0)
			break;
	}
	if (strncmp(text, beginning, strlen(beginning)) != 0 || !strchr(text, '\n'))
		fail_msg("\"%s\" and not \"%s\"", text, beginning);
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
