// The socket with real clients: half lines, long lines, many connections, readers that do not.
#include "control/server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "server_rig.h"

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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
