// One client of the socket: its bytes in, its bytes out, and what it is owed.
//
// Knows nothing of requests: lines come out, texts go in. Buffers grow with what the client sends
// or leaves unread, within the bounds of server.h, and shrink to nothing when they are empty. Never
// blocks. Used by server.c alone.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/server.h"
#include "control/text.h"

struct sg_buffer {
	char *bytes;
	size_t start, end; // what is in it
	size_t size_bytes;
};

struct sg_connection {
	struct sg_server *server;
	int fd;
	uint64_t id;
	uint64_t serial; // in the order of arrival
	struct sg_peer peer;
	struct sg_buffer input;
	size_t scanned;        // bytes of `input` that hold no newline
	bool has_line;         // there is one behind those
	struct sg_text output; // what the client has not read yet
	size_t max_line_bytes;
	uint64_t used_ns;  // for its lines so far
	unsigned in_hand;  // requests without an answer yet
	bool had_request;  // at least one line was complete
	bool input_ended;  // the client will send no more, or we will read no more
	bool ready;        // there may be something to handle: lines, an end
	bool held;         // no line is handled before one that is held up
	bool deaf;         // the client reads no answers any more
	bool hung_up;      // the client reads no answers, and the loop watches it no more
	bool broken;       // to be closed at the next occasion
	uint32_t interest; // what epoll was told
};

enum sg_receive {
	SG_RECEIVE_SOME,
	SG_RECEIVE_NOTHING, // for now
	SG_RECEIVE_END,
	SG_RECEIVE_TOO_LONG, // a line over max_line_bytes
	SG_RECEIVE_BROKEN,
};

// Reads once, at most 64 KiB.
enum sg_receive sg_connection_receive(struct sg_connection *connection);
// Whether there is a complete line, and how long it is without its newline.
bool sg_connection_find_line(struct sg_connection *connection, size_t *ret_length);
// The next complete line, without its newline but with a NUL in its place; NULL when there is none.
// It stays valid until sg_connection_receive.
char *sg_connection_next_line(struct sg_connection *connection, size_t *ret_length);
// The same for a line that is kept: `ret_buffer` is the memory that it lies in, the caller's to
// free. NULL also without memory for what stands behind it, and then nothing has happened.
char *sg_connection_take_line(
	struct sg_connection *connection, char **ret_buffer, size_t *ret_length);
// Whether bytes of an unfinished line are left.
bool sg_connection_has_half_line(const struct sg_connection *connection);

// Queues a text, which is empty then, and a newline, and writes as much as the client takes now.
// Returns 0 or -ENOMEM.
int sg_connection_send(struct sg_connection *connection, struct sg_text *text);
// Writes at most SG_CONNECTION_FLUSH_BYTES: a client that reads as fast as we write has to let
// others have their turn.
void sg_connection_flush(struct sg_connection *connection);
#define SG_CONNECTION_FLUSH_BYTES (512u << 10)

static inline size_t sg_connection_unsent(const struct sg_connection *connection)
{
	return connection->output.length;
}

void sg_connection_free_buffers(struct sg_connection *connection);
