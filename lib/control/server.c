// The set of clients, see server.h.
#include "control/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/connection.h"
#include "control/socket_file.h"

#define ACCEPTS_PER_EVENT 16
#define MAX_LEAD_NS       5000000 // that a client who asks for nothing saves up
#define SPARE_DESCRIPTORS 256     // for everything else that the process opens

struct sg_server {
	struct sg_loop *loop;
	struct sg_server_handler handler;
	struct sg_socket_file file;
	struct sg_connection *connections[SG_SERVER_MAX_CONNECTIONS];
	unsigned n_connections;
	uint64_t next_serial;
	uint64_t used_ns; // by everybody who has something to do, at least: what a newcomer begins
			  // with
	uint64_t serving; // id of the connection whose line is being handled; 0: none
};

static void close_connection(struct sg_connection *connection)
{
	struct sg_server *server = connection->server;
	uint64_t id = connection->id;

	if (!connection->hung_up)
		sg_loop_remove(server->loop, connection->fd);
	close(connection->fd);
	sg_connection_free_buffers(connection);
	server->connections[id % SG_SERVER_MAX_CONNECTIONS] = NULL;
	server->n_connections--;
	free(connection);
	server->handler.closed(server->handler.context, id);
}

static struct sg_connection *find_connection(const struct sg_server *server, uint64_t id)
{
	struct sg_connection *connection = server->connections[id % SG_SERVER_MAX_CONNECTIONS];

	return connection && connection->id == id ? connection : NULL;
}

static bool may_take_line(const struct sg_connection *connection)
{
	return connection->in_hand < SG_SERVER_MAX_IN_HAND &&
	       sg_connection_unsent(connection) < SG_SERVER_MAX_UNSENT_BYTES && !connection->broken;
}

static size_t held_bytes(const struct sg_connection *connection, bool output)
{
	return output ? connection->output.size_bytes : connection->input.size_bytes;
}

// Keeps the buffers of all clients together within `max`: closes whoever holds the most, and says
// so when that is `self` (which is then only marked, because it is being worked on).
static void bound_buffers(
	struct sg_server *server, struct sg_connection *self, bool output, size_t max)
{
	struct sg_connection *largest = self;
	size_t total = 0;

	for (unsigned i = 0; i < SG_SERVER_MAX_CONNECTIONS; i++) {
		struct sg_connection *connection = server->connections[i];

		if (!connection)
			continue;
		total += held_bytes(connection, output);
		if (held_bytes(connection, output) > held_bytes(largest, output))
			largest = connection;
	}
	if (total <= max)
		return;
	if (largest == self || largest->id == server->serving)
		largest->broken = true;
	else
		close_connection(largest);
}

static void send_text(struct sg_connection *connection, struct sg_text *text)
{
	if (sg_connection_send(connection, text) < 0)
		connection->broken = true;
	else if (connection->output.size_bytes > SG_SERVER_MAX_UNSENT_BYTES)
		bound_buffers(connection->server, connection, true, SG_SERVER_MAX_OUTPUT_BYTES);
}

// Reads no more, and closes when everything owed has been sent.
static void end_input(struct sg_connection *connection, const char *sentence)
{
	struct sg_server *server = connection->server;

	connection->input_ended = true;
	connection->input.start = connection->input.end;
	connection->scanned = 0;
	connection->has_line = false;
	if (sentence) {
		struct sg_text text = {0};

		server->handler.bad_line(server->handler.context, sentence, &text);
		send_text(connection, &text);
	}
}

static bool is_blank(const char *line, size_t length)
{
	return strspn(line, " \t\r") == length;
}

// After anything that happened to a connection: closes it if it is done, or asks for the events
// that it now needs.
static void settle(struct sg_connection *connection)
{
	bool done = connection->input_ended && !connection->ready && connection->in_hand == 0 &&
		    sg_connection_unsent(connection) == 0;
	uint32_t interest = 0;

	if (connection->broken || done) {
		close_connection(connection);
		return;
	}
	if (connection->hung_up)
		return;
	if (!connection->input_ended && !connection->ready && may_take_line(connection))
		interest |= EPOLLIN;
	if (sg_connection_unsent(connection) > 0)
		interest |= EPOLLOUT;
	if (interest != connection->interest)
		sg_loop_modify(connection->server->loop, connection->fd, interest);
	connection->interest = interest;
}

static void receive(struct sg_connection *connection)
{
	char sentence[60];

	switch (sg_connection_receive(connection)) {
	case SG_RECEIVE_SOME:
		if (connection->input.size_bytes > SG_SERVER_MAX_UNSENT_BYTES)
			bound_buffers(
				connection->server, connection, false, SG_SERVER_MAX_INPUT_BYTES);
		break;
	case SG_RECEIVE_NOTHING:
		break;
	case SG_RECEIVE_END:
		connection->input_ended = true;
		break;
	case SG_RECEIVE_TOO_LONG:
		snprintf(sentence, sizeof(sentence), "the line is longer than %zu KiB",
			connection->max_line_bytes >> 10);
		end_input(connection, sentence);
		break;
	case SG_RECEIVE_BROKEN:
		connection->broken = true;
		break;
	}
}

// Something has come, or gone. What it is about is done in sg_server_turn, in a fair order.
static void on_client(void *context, int fd, uint32_t events)
{
	struct sg_connection *connection = context;

	if (events & (EPOLLHUP | EPOLLERR)) {
		// Nobody reads an answer, but what was asked for is done.
		sg_loop_remove(connection->server->loop, fd);
		connection->hung_up = connection->deaf = true;
		sg_text_clear(&connection->output);
	}
	if (events & EPOLLOUT)
		sg_connection_flush(connection);
	if ((events & (EPOLLIN | EPOLLHUP)) && !connection->input_ended)
		receive(connection);
	connection->ready = true;
}

// Whom to close for a new client: the oldest of those that never sent a request, then of those that
// are owed nothing, then of all.
static void close_oldest(struct sg_server *server)
{
	struct sg_connection *oldest = NULL;
	unsigned oldest_rank = 0;

	for (unsigned i = 0; i < SG_SERVER_MAX_CONNECTIONS; i++) {
		struct sg_connection *connection = server->connections[i];
		unsigned rank;

		if (!connection)
			continue;
		rank = connection->in_hand > 0 ? 2 : connection->had_request ? 1 : 0;
		if (!oldest || rank < oldest_rank ||
			(rank == oldest_rank && connection->serial < oldest->serial)) {
			oldest = connection;
			oldest_rank = rank;
		}
	}
	if (oldest)
		close_connection(oldest);
}

static unsigned find_free_slot(const struct sg_server *server)
{
	unsigned slot = 0;

	while (server->connections[slot])
		slot++;
	return slot;
}

static void add_connection(struct sg_server *server, int fd)
{
	struct sg_connection *connection = calloc(1, sizeof(*connection));
	struct ucred peer = {0};
	socklen_t length = sizeof(peer);
	unsigned slot;

	if (server->n_connections == SG_SERVER_MAX_CONNECTIONS)
		close_oldest(server);
	if (!connection || sg_loop_add(server->loop, fd, EPOLLIN, on_client, connection) < 0) {
		free(connection);
		close(fd);
		return;
	}
	slot = find_free_slot(server);
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
	connection->server = server;
	connection->fd = fd;
	connection->serial = ++server->next_serial;
	connection->id =
		(connection->serial * SG_SERVER_MAX_CONNECTIONS + slot) | server->handler.id_bit;
	connection->used_ns = server->used_ns;
	connection->max_line_bytes = server->handler.max_line_bytes;
	connection->peer = (struct sg_peer){.pid = peer.pid, .uid = peer.uid, .gid = peer.gid};
	connection->interest = EPOLLIN;
	server->connections[slot] = connection;
	server->n_connections++;
}

static void on_listener(void *context, int fd, uint32_t events)
{
	struct sg_server *server = context;

	(void)events;
	for (unsigned i = 0; i < ACCEPTS_PER_EVENT; i++) {
		int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (client >= 0) {
			add_connection(server, client);
			continue;
		}
		// Out of descriptors: as good as out of connections. The next turn tries again.
		if (errno == EMFILE || errno == ENFILE)
			close_oldest(server);
		return;
	}
}

// 1,024 descriptors, the usual soft limit, are fewer than the connections promised.
static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	rlim_t wanted = SG_SERVER_MAX_CONNECTIONS + SPARE_DESCRIPTORS;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int sg_server_open(struct sg_server **ret_server, struct sg_loop *loop, const char *path,
	mode_t mode, gid_t gid, const struct sg_server_handler *handler, struct sg_error *error)
{
	struct sg_server *server = calloc(1, sizeof(*server));
	int err;

	if (!server)
		return sg_error_set(error, -ENOMEM, "no memory is left for the control socket");
	server->loop = loop;
	server->handler = *handler;
	if (!handler->max_line_bytes)
		server->handler.max_line_bytes = SG_SERVER_MAX_LINE_BYTES;
	raise_descriptor_limit();
	err = sg_socket_file_open(&server->file, path, mode, gid, error);
	if (err)
		goto free_server;
	err = sg_loop_add(loop, server->file.fd, EPOLLIN, on_listener, server);
	if (err) {
		sg_error_set(
			error, err, "the control socket cannot be watched: %s", strerror(-err));
		goto close_file;
	}
	*ret_server = server;
	return 0;

close_file:
	sg_socket_file_close(&server->file);
free_server:
	free(server);
	return err;
}

static void ignore_closed(void *context, uint64_t connection)
{
	(void)context;
	(void)connection;
}

void sg_server_close(struct sg_server *server)
{
	if (!server)
		return;
	server->handler.closed = ignore_closed;
	for (unsigned i = 0; i < SG_SERVER_MAX_CONNECTIONS; i++) {
		if (server->connections[i])
			close_connection(server->connections[i]);
	}
	sg_loop_remove(server->loop, server->file.fd);
	sg_socket_file_close(&server->file);
	free(server);
}

size_t sg_server_unsent(const struct sg_server *server, uint64_t id)
{
	const struct sg_connection *connection = find_connection(server, id);

	return connection ? sg_connection_unsent(connection) : 0;
}

void sg_server_answer(struct sg_server *server, uint64_t id, struct sg_text *text)
{
	struct sg_connection *connection = find_connection(server, id);

	if (!connection || connection->hung_up)
		sg_text_clear(text);
	if (!connection)
		return;
	connection->in_hand--;
	if (connection->hung_up)
		return;
	send_text(connection, text);
	if (server->serving != id)
		settle(connection);
}

void sg_server_hold(struct sg_server *server, uint64_t id)
{
	struct sg_connection *connection = find_connection(server, id);

	if (connection)
		connection->held = true;
}

void sg_server_go_on(struct sg_server *server, uint64_t id, uint64_t used_ns)
{
	struct sg_connection *connection = find_connection(server, id);

	if (!connection)
		return;
	connection->held = false;
	connection->used_ns += used_ns;
}

// Nothing tells when more comes from a client that has hung up: what the kernel holds of it is read
// until its end.
static void read_on(struct sg_connection *connection)
{
	size_t end = connection->input.end - connection->input.start;

	receive(connection);
	if (!connection->input_ended && connection->input.end - connection->input.start == end)
		connection->broken = true;
}

// No complete line is left of what has been read.
static void end_of_lines(struct sg_connection *connection)
{
	if (connection->hung_up && !connection->input_ended) {
		read_on(connection);
		return;
	}
	connection->ready = false;
	if (connection->hung_up)
		connection->broken = true;
	else if (connection->input_ended && sg_connection_has_half_line(connection))
		end_input(connection, "the last line has no newline behind it");
	settle(connection);
}

static void begin_request(struct sg_connection *connection)
{
	connection->had_request = true;
	connection->in_hand++;
	connection->server->serving = connection->id;
}

static void handle_line(struct sg_connection *connection, const char *line, size_t length)
{
	const struct sg_server_handler *handler = &connection->server->handler;

	begin_request(connection);
	handler->line(handler->context, connection->id, &connection->peer, line, length);
	connection->server->serving = 0;
}

static void hand_over_line(struct sg_connection *connection)
{
	const struct sg_server_handler *handler = &connection->server->handler;
	size_t length;
	char *buffer, *line = sg_connection_take_line(connection, &buffer, &length);

	if (!line) {
		connection->broken = true;
		return;
	}
	begin_request(connection);
	handler->long_line(
		handler->context, connection->id, &connection->peer, buffer, line, length);
	connection->server->serving = 0;
}

static bool is_long(const struct sg_server *server, size_t length)
{
	return length >= SG_SERVER_LONG_LINE_BYTES && server->handler.long_line;
}

// Handles one line of a connection that may be served.
static void serve(struct sg_connection *connection)
{
	uint64_t begun_ns = sg_clock_ns();
	size_t length;

	if (!sg_connection_find_line(connection, &length)) {
		end_of_lines(connection);
		return;
	}
	if (is_long(connection->server, length)) {
		hand_over_line(connection);
	} else {
		char *line = sg_connection_next_line(connection, &length);

		if (!is_blank(line, length))
			handle_line(connection, line, length);
	}
	connection->used_ns += sg_clock_ns() - begun_ns;
}

static bool may_be_served(struct sg_connection *connection)
{
	struct sg_server *server = connection->server;
	size_t length;

	if (!may_take_line(connection) || connection->held)
		return false;
	return !sg_connection_find_line(connection, &length) || !is_long(server, length) ||
	       server->handler.takes_long_line(server->handler.context);
}

// A connection that something went wrong with, or else the one with the least time so far.
static struct sg_connection *pick(struct sg_server *server)
{
	struct sg_connection *picked = NULL;

	for (unsigned i = 0; i < SG_SERVER_MAX_CONNECTIONS; i++) {
		struct sg_connection *connection = server->connections[i];

		if (!connection || !connection->ready)
			continue;
		if (connection->broken)
			return connection;
		if (!may_be_served(connection))
			continue;
		if (connection->used_ns + MAX_LEAD_NS < server->used_ns)
			connection->used_ns = server->used_ns - MAX_LEAD_NS;
		if (!picked || connection->used_ns < picked->used_ns)
			picked = connection;
	}
	return picked;
}

// Those that are not served yet are not read from until they are.
static bool settle_ready(struct sg_server *server)
{
	bool more = false;

	for (unsigned i = 0; i < SG_SERVER_MAX_CONNECTIONS; i++) {
		struct sg_connection *connection = server->connections[i];

		if (!connection || !connection->ready)
			continue;
		more = more || may_be_served(connection);
		settle(connection);
	}
	return more;
}

bool sg_server_turn(struct sg_server *server)
{
	uint64_t end_ns = sg_clock_ns() + SG_SERVER_TURN_US * 1000;
	struct sg_connection *connection;

	while ((connection = pick(server))) {
		if (connection->used_ns > server->used_ns)
			server->used_ns = connection->used_ns;
		if (connection->broken)
			close_connection(connection);
		else
			serve(connection);
		if (sg_clock_ns() >= end_ns)
			break;
	}
	return settle_ready(server);
}

unsigned sg_server_connections(const struct sg_server *server)
{
	return server->n_connections;
}
