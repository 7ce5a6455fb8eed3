// The socket with real clients in a temporary directory: half lines, long lines, many connections,
// readers that do not.
#include "control/server.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "control/request.h"
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

static void answer_with(struct rig *rig, uint64_t connection, const char *answer)
{
	struct sg_text text = {0};

	sg_text_append_string(&text, answer);
	sg_server_answer(rig->server, connection, &text);
	assert_null(text.first);
}

static void on_line(void *context, uint64_t connection, const struct sg_peer *peer,
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

static void on_bad_line(void *context, const char *sentence, struct sg_text *ret_text)
{
	(void)context;
	sg_request_write_error(ret_text, NULL, SG_REQUEST_NO_JSON, sentence);
}

static void on_closed(void *context, uint64_t connection)
{
	(void)connection;
	((struct rig *)context)->n_closed++;
}

static void on_long_line(void *context, uint64_t connection, const struct sg_peer *peer,
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

static bool takes_long_line(void *context)
{
	const struct rig *rig = context;

	return !rig->buffer && !rig->reader_is_busy;
}

static int open_server(struct rig *rig, mode_t mode, struct sg_error *error)
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

static int set_up(void **state)
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

static int tear_down(void **state)
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

static int try_connect(const char *path)
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

static void turn(struct rig *rig)
{
	assert_int_equal(sg_loop_run_once(rig->loop, NULL, NULL, 1), 0);
	sg_server_turn(rig->server);
}

static int connect_client(struct rig *rig)
{
	int fd = try_connect(rig->path);

	assert_true(fd >= 0);
	turn(rig);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

// Reads until the newline, for as long as the server has something to do.
static void expect(struct rig *rig, int fd, const char *beginning)
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

static void expect_end(struct rig *rig, int fd)
{
	char byte;

	for (unsigned i = 0; i < PATIENCE; i++) {
		ssize_t n = recv(fd, &byte, 1, 0);

		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return;
		assert_int_equal(n, -1);
		turn(rig);
	}
	fail_msg("the connection was not closed");
}

static void lines_are_answered_in_turn(void **state)
{
	struct rig *rig = *state;
	int fd = connect_client(rig);

	say(fd, "one\ntwo\n\n  \nthree\n");
	expect(rig, fd, "echo one");
	expect(rig, fd, "echo two");
	expect(rig, fd, "echo three");
	assert_int_equal(rig->n_lines, 3); // blank ones are nothing
	assert_int_equal(rig->peer.pid, getpid());
	assert_int_equal(rig->peer.uid, geteuid());
	close(fd);
	turn(rig);
	turn(rig);
	assert_int_equal(rig->n_closed, 1);
	assert_int_equal(sg_server_connections(rig->server), 0);
}

static void a_line_may_come_byte_by_byte(void **state)
{
	struct rig *rig = *state;
	int fd = connect_client(rig);

	for (const char *at = "slowly\n"; *at; at++) {
		char byte[2] = {*at, '\0'};

		assert_int_equal(rig->n_lines, 0);
		say(fd, byte);
		turn(rig);
	}
	expect(rig, fd, "echo slowly");
	close(fd);
}

static void a_last_line_without_newline_is_an_error(void **state)
{
	struct rig *rig = *state;
	int fd = connect_client(rig);

	say(fd, "whole\nhalf");
	shutdown(fd, SHUT_WR);
	expect(rig, fd, "echo whole");
	expect(rig, fd,
		"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"the last line");
	expect_end(rig, fd);
	assert_int_equal(rig->n_lines, 1);
	close(fd);
}

static void a_client_that_sends_and_leaves_is_heard(void **state)
{
	struct rig *rig = *state;
	int fd = try_connect(rig->path);

	say(fd, "first\nsecond\nthird\nhalf");
	close(fd);
	for (unsigned i = 0; i < 10; i++)
		turn(rig);
	assert_int_equal(rig->n_lines, 3);
	assert_int_equal(sg_server_connections(rig->server), 0);
}

static void a_half_closed_client_gets_what_it_is_owed(void **state)
{
	struct rig *rig = *state;
	int fd = connect_client(rig);

	say(fd, "hold\n");
	shutdown(fd, SHUT_WR);
	for (unsigned i = 0; i < 10; i++)
		turn(rig);
	assert_int_equal(sg_server_connections(rig->server), 1);
	answer_with(rig, rig->held[0], "at last");
	expect(rig, fd, "at last");
	expect_end(rig, fd);
	close(fd);
}

static void answers_to_closed_connections_are_ignored(void **state)
{
	struct rig *rig = *state;
	int fd = connect_client(rig);

	say(fd, "hold\n");
	turn(rig);
	close(fd);
	turn(rig);
	turn(rig);
	assert_int_equal(rig->n_closed, 1);
	answer_with(rig, rig->held[0], "too late");
	// The next one may have the same place and descriptor, but is somebody else.
	fd = connect_client(rig);
	answer_with(rig, rig->held[0], "too late");
	say(fd, "hello\n");
	expect(rig, fd, "echo hello");
	close(fd);
}

static void a_line_that_is_too_long_is_an_error(void **state)
{
	struct rig *rig = *state;
	int fd = connect_client(rig);
	size_t left = (size_t)SG_SERVER_MAX_LINE_BYTES + (1 << 20);

	// Nobody reads more than the bound, so the client's writes end somewhere behind it.
	while (left > 0 && rig->n_closed == 0) {
		ssize_t n = send(fd, rig->big, left < 65536 ? left : 65536, MSG_NOSIGNAL);

		if (n > 0)
			left -= (size_t)n;
		else if (errno != EAGAIN)
			break;
		turn(rig);
	}
	expect(rig, fd,
		"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"the line is longer than");
	expect_end(rig, fd);
	assert_int_equal(rig->n_lines, 0);
	close(fd);
}

static void a_long_line_arrives_whole(void **state)
{
	struct rig *rig = *state;
	int fd = connect_client(rig);
	size_t left = (8u << 20);

	while (left > 0) {
		ssize_t n = send(fd, rig->big, left < 65536 ? left : 65536, MSG_NOSIGNAL);

		if (n > 0)
			left -= (size_t)n;
		else
			assert_int_equal(errno, EAGAIN);
		turn(rig);
	}
	say(fd, "\n");
	expect(rig, fd, "echo xxxx");
	close(fd);
}

static void end_reading(struct rig *rig)
{
	free(rig->buffer);
	rig->buffer = NULL;
	answer_with(rig, rig->reading, "read");
	sg_server_go_on(rig->server, rig->reading, 0);
}

static void turn_often(struct rig *rig)
{
	for (unsigned i = 0; i < 300; i++)
		turn(rig);
}

// Handed over one at a time; what its client says next waits for it, others do not.
static void a_long_line_is_handed_over(void **state)
{
	struct rig *rig = *state;
	struct sg_error error;
	int first, second, third;

	sg_server_close(rig->server);
	rig->has_reader = true;
	assert_int_equal(open_server(rig, 0600, &error), 0);
	rig->big[SG_SERVER_LONG_LINE_BYTES] = '\0';
	first = connect_client(rig);
	second = connect_client(rig);
	third = connect_client(rig);
	say(first, rig->big);
	say(first, "\nafter\n");
	turn_often(rig);
	assert_non_null(rig->buffer);
	say(second, rig->big);
	say(second, "\n");
	say(third, "short\n");
	expect(rig, third, "echo short");
	assert_int_equal(rig->n_lines, 1);
	end_reading(rig);
	expect(rig, first, "read");
	expect(rig, first, "echo after");
	turn_often(rig);
	// Whoever waits may leave, and so may the one whose line is being read.
	assert_non_null(rig->buffer);
	close(second);
	turn_often(rig);
	end_reading(rig);
	turn_often(rig);
	assert_int_equal(rig->n_closed, 1);
	rig->reader_is_busy = true;
	say(first, rig->big);
	say(first, "\n");
	turn_often(rig);
	assert_null(rig->buffer);
	assert_false(sg_server_turn(rig->server)); // nothing to be done at once
	rig->reader_is_busy = false;
	turn_often(rig);
	end_reading(rig);
	expect(rig, first, "read");
	close(first);
	close(third);
}

static void unfinished_lines_together_are_bounded(void **state)
{
	struct rig *rig = *state;
	int fds[20];
	int good = connect_client(rig);

	// 20 times 8 MiB: some of them have to go.
	for (unsigned i = 0; i < 20; i++) {
		size_t left = 8u << 20;

		fds[i] = connect_client(rig);
		while (left > 0) {
			ssize_t n =
				send(fds[i], rig->big, left < 65536 ? left : 65536, MSG_NOSIGNAL);

			if (n > 0)
				left -= (size_t)n;
			else if (errno != EAGAIN)
				break;
			turn(rig);
		}
	}
	assert_true(rig->n_closed >= 10);
	say(good, "still there\n");
	expect(rig, good, "echo still there");
	for (unsigned i = 0; i < 20; i++)
		close(fds[i]);
	close(good);
}

// Whoever has a question now and then is served before those that have many in the pipe, in the
// turn in which it comes, and whatever they do: reading no answer, hanging up.
static void a_greedy_client_holds_up_nobody(void **state)
{
	struct rig *rig = *state;
	int greedy[50], modest = connect_client(rig);

	for (unsigned i = 0; i < 50; i++) {
		greedy[i] = connect_client(rig);
		for (unsigned n = 0; n < 40; n++)
			say(greedy[i], "burn\n");
		if (i % 10 == 0)
			close(greedy[i]);
	}
	// Newcomers are all the same, until each has had its first.
	while (rig->n_lines < 60)
		turn(rig);
	for (unsigned i = 0; i < 20; i++) {
		char answer[100];
		unsigned before;

		turn(rig);
		before = rig->n_lines;
		say(modest, "question\n");
		turn(rig);
		assert_int_equal(
			recv(modest, answer, sizeof(answer), 0), strlen("echo question\n"));
		// In a turn of 1 ms there is time for four of 0.3 ms.
		assert_true(rig->n_lines - before < 12);
	}
	for (unsigned i = 0; i < 50; i++)
		if (i % 10 != 0)
			close(greedy[i]);
	while (rig->n_lines < 50 * 40 + 20)
		turn(rig);
	turn(rig);
	assert_int_equal(sg_server_connections(rig->server), 1);
	close(modest);
}

static void a_reader_that_does_not_read_is_not_served_further(void **state)
{
	struct rig *rig = *state;
	int slow = connect_client(rig);
	int other = connect_client(rig);
	char *bytes = malloc(1 << 16);
	size_t received = 0;

	for (unsigned i = 0; i < 40; i++)
		say(slow, "big\n");
	for (unsigned i = 0; i < 100; i++)
		turn(rig);
	// One megabyte unread is enough to stop: few of the 40 were handled.
	assert_true(rig->n_lines < 4);
	say(other, "me too\n");
	expect(rig, other, "echo me too");
	// When it reads, it gets all.
	for (unsigned i = 0; i < 100000 && received < 40ul * ((1 << 20) + 1); i++) {
		ssize_t n = recv(slow, bytes, 1 << 16, 0);

		if (n > 0)
			received += (size_t)n;
		turn(rig);
	}
	assert_int_equal(received, 40ul * ((1 << 20) + 1));
	free(bytes);
	close(slow);
	close(other);
}

static void requests_in_hand_are_bounded(void **state)
{
	struct rig *rig = *state;
	int fd = connect_client(rig);

	for (unsigned i = 0; i < 100; i++)
		say(fd, "hold\n");
	for (unsigned i = 0; i < 20; i++)
		turn(rig);
	assert_int_equal(rig->n_held, SG_SERVER_MAX_IN_HAND);
	for (unsigned i = 0; i < 100; i++) {
		assert_true(i < rig->n_held);
		answer_with(rig, rig->held[i], "ok");
		turn(rig);
	}
	for (unsigned i = 0; i < 100; i++)
		expect(rig, fd, "ok");
	close(fd);
}

static void a_new_client_always_gets_in(void **state)
{
	struct rig *rig = *state;
	static int fds[SG_SERVER_MAX_CONNECTIONS + 1];
	unsigned n = SG_SERVER_MAX_CONNECTIONS;

	// The first one has asked something and is owed an answer; the second has asked and is
	// served; the third sends half a line.
	for (unsigned i = 0; i < n; i++)
		fds[i] = connect_client(rig);
	say(fds[0], "hold\n");
	turn(rig);
	say(fds[1], "hello\n");
	expect(rig, fds[1], "echo hello");
	say(fds[2], "half");
	turn(rig);
	assert_int_equal(sg_server_connections(rig->server), n);

	// So the third is the oldest without a complete request.
	fds[n] = connect_client(rig);
	say(fds[n], "let me in\n");
	expect(rig, fds[n], "echo let me in");
	assert_int_equal(rig->n_closed, 1);
	expect_end(rig, fds[2]);
	assert_int_equal(sg_server_connections(rig->server), n);
	answer_with(rig, rig->held[0], "still here");
	expect(rig, fds[0], "still here");
	for (unsigned i = 0; i <= n; i++)
		close(fds[i]);
	for (unsigned i = 0; i < 100; i++)
		turn(rig);
	assert_int_equal(sg_server_connections(rig->server), 0);
}

static void the_file_has_the_mode_that_was_asked_for(void **state)
{
	struct rig *rig = *state;
	struct sg_error error;
	struct stat status;
	mode_t old_mask = umask(0);

	assert_int_equal(stat(rig->path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	sg_server_close(rig->server);
	// However the process is masked.
	umask(0777);
	assert_int_equal(open_server(rig, 0666, &error), 0);
	umask(old_mask);
	assert_int_equal(stat(rig->path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0666);
}

static void the_file_has_the_group_that_was_asked_for(void **state)
{
	struct rig *rig = *state;
	// Root may give it to any group, others to their own.
	gid_t gid = geteuid() == 0 ? 12345 : getegid();
	struct sg_socket_file file;
	struct sg_error error;
	struct stat status;
	char path[80];

	snprintf(path, sizeof(path), "%s/g", rig->directory);
	assert_int_equal(sg_socket_file_open(&file, path, 0620, gid, &error), 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_gid, gid);
	assert_int_equal(status.st_mode & 07777, 0620);
	sg_socket_file_close(&file);
}

static void a_live_socket_is_refused_by_its_process(void **state)
{
	struct rig *rig = *state;
	struct rig second = *rig;
	struct sg_error error;
	char expected[200];
	int fd;

	assert_int_equal(open_server(&second, 0600, &error), -EADDRINUSE);
	snprintf(expected, sizeof(expected), "process %d already serves the control socket %s",
		(int)getpid(), rig->path);
	assert_memory_equal(error.text, expected, strlen(expected));
	// The live one is as it was.
	fd = connect_client(rig);
	say(fd, "hello\n");
	expect(rig, fd, "echo hello");
	close(fd);
}

static void what_a_killed_process_left_is_taken_over(void **state)
{
	struct rig *rig = *state;
	struct sg_error error;
	int status, fd;
	pid_t child;

	sg_server_close(rig->server);
	child = fork();
	if (child == 0) {
		struct sg_socket_file file;

		// Dies as by kill -9: the file stays.
		_exit(sg_socket_file_open(
			      &file, rig->path, 0600, SG_SOCKET_FILE_NO_GROUP, &error) != 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(access(rig->path, F_OK), 0);
	assert_int_equal(try_connect(rig->path), -1);
	assert_int_equal(open_server(rig, 0600, &error), 0);
	fd = connect_client(rig);
	say(fd, "hello\n");
	expect(rig, fd, "echo hello");
	close(fd);
}

static void another_file_in_its_place_is_refused(void **state)
{
	struct rig *rig = *state;
	struct sg_error error;
	int fd;

	sg_server_close(rig->server);
	rig->server = NULL;
	fd = open(rig->path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(open_server(rig, 0600, &error), -EEXIST);
	assert_non_null(strstr(error.text, "exists and is no socket"));
	assert_int_equal(unlink(rig->path), 0);
}

static void a_missing_directory_is_made_and_removed(void **state)
{
	struct rig *rig = *state;
	struct sg_socket_file file;
	struct sg_error error;
	char path[100];

	snprintf(path, sizeof(path), "%s/run/s", rig->directory);
	assert_int_equal(
		sg_socket_file_open(&file, path, 0600, SG_SOCKET_FILE_NO_GROUP, &error), 0);
	assert_int_equal(access(path, F_OK), 0);
	sg_socket_file_close(&file);
	// tear_down finds the upper directory empty.
	snprintf(path, sizeof(path), "%s/not/there/s", rig->directory);
	assert_int_equal(
		sg_socket_file_open(&file, path, 0600, SG_SOCKET_FILE_NO_GROUP, &error), -ENOENT);
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RIG(lines_are_answered_in_turn),
		WITH_RIG(a_line_may_come_byte_by_byte),
		WITH_RIG(a_last_line_without_newline_is_an_error),
		WITH_RIG(a_client_that_sends_and_leaves_is_heard),
		WITH_RIG(a_half_closed_client_gets_what_it_is_owed),
		WITH_RIG(answers_to_closed_connections_are_ignored),
		WITH_RIG(a_line_that_is_too_long_is_an_error),
		WITH_RIG(a_long_line_arrives_whole),
		WITH_RIG(a_long_line_is_handed_over),
		WITH_RIG(unfinished_lines_together_are_bounded),
		WITH_RIG(a_greedy_client_holds_up_nobody),
		WITH_RIG(a_reader_that_does_not_read_is_not_served_further),
		WITH_RIG(requests_in_hand_are_bounded),
		WITH_RIG(a_new_client_always_gets_in),
		WITH_RIG(the_file_has_the_mode_that_was_asked_for),
		WITH_RIG(the_file_has_the_group_that_was_asked_for),
		WITH_RIG(a_live_socket_is_refused_by_its_process),
		WITH_RIG(what_a_killed_process_left_is_taken_over),
		WITH_RIG(another_file_in_its_place_is_refused),
		WITH_RIG(a_missing_directory_is_made_and_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
