// A control socket: a Unix stream socket with one line a request and one line an answer.
//
// There are two, one for everything and one that only answers questions (control.h). Whoever may
// connect may do what that socket does: the file's mode and group decide (socket_file.h). What a
// client can do to others is bounded, and nothing here waits for a client:
//
// * connections: SG_SERVER_MAX_CONNECTIONS a socket. When all are taken, the oldest that is owed no
//   answer is closed, one that never sent a complete request first; so a new client always gets in;
// * a line: the longer one is answered with an error, and its connection closed;
// * unfinished lines of all clients together: the largest is closed when they exceed their bound;
// * requests in hand: a connection that is owed SG_SERVER_MAX_IN_HAND answers, or has not read
//   SG_SERVER_MAX_UNSENT_BYTES of them, is not read from until that changes;
// * unread answers of all clients together: the connection with the most is closed when they exceed
//   their bound;
// * time: lines are handled for SG_SERVER_TURN_US a turn of the loop, one line at a time, and the
//   next is always of the client that has had the least time so far. So a client that has a
//   question now and then is served before any number of those that have a thousand requests in the
//   pipe;
// * long lines: handed over with their memory when the handler takes one, because reading it takes
//   longer than others may wait. Until then such a line waits, and its client with it.
//
// Answers may overtake each other: their ids say what they answer. A client that closes before it
// has read its answers has still made its requests. Control thread only.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "control/loop.h"
#include "control/text.h"

#define SG_SERVER_MAX_CONNECTIONS 256 // a power of two
#define SG_SERVER_MAX_LINE_BYTES \
	(16u << 20) // an apply of 10,000 services with 10 backends each takes 7 MB
#define SG_SERVER_MAX_INPUT_BYTES  (64u << 20) // of unfinished lines, all clients together
#define SG_SERVER_MAX_IN_HAND      64
#define SG_SERVER_MAX_UNSENT_BYTES (1u << 20) // one answer may be longer
#define SG_SERVER_MAX_OUTPUT_BYTES (256u << 20)
#define SG_SERVER_TURN_US          1000
#define SG_SERVER_LONG_LINE_BYTES  (32u << 10) // and above

struct sg_server;

// Who is at the other end (SO_PEERCRED), as it was when it connected.
struct sg_peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};

struct sg_server_handler {
	void *context;
	size_t max_line_bytes; // 0: SG_SERVER_MAX_LINE_BYTES
	uint64_t id_bit;       // set in the ids of all its connections, and in no other server's
	// A complete line, with a NUL behind. The server wants exactly one sg_server_answer for it,
	// now or later.
	void (*line)(void *context, uint64_t connection, const struct sg_peer *peer,
		const char *line, size_t length);
	// The same for a long line, which lies in `buffer`, the callee's to free; called when
	// `takes_long_line` says so. Without these two long lines are like others.
	void (*long_line)(void *context, uint64_t connection, const struct sg_peer *peer,
		char *buffer, const char *line, size_t length);
	bool (*takes_long_line)(void *context);
	// What is wrong with input that never becomes a line: writes the answer.
	void (*bad_line)(void *context, const char *sentence, struct sg_text *ret_text);
	// The connection is gone; answers to it are ignored from now on.
	void (*closed)(void *context, uint64_t connection);
};

// `gid`: SG_SOCKET_FILE_NO_GROUP leaves the group. Errors: as sg_socket_file_open.
int sg_server_open(struct sg_server **ret_server, struct sg_loop *loop, const char *path,
	mode_t mode, gid_t gid, const struct sg_server_handler *handler, struct sg_error *error);
// Closes all connections (without `closed`) and removes the socket. NULL is fine.
void sg_server_close(struct sg_server *server);

// Answers one request of a connection; nothing happens when that is gone. The text is taken over,
// and empty then. One that has failed: the connection is closed instead, so that its client does
// not wait for ever.
void sg_server_answer(struct sg_server *server, uint64_t connection, struct sg_text *text);
// What the connection asked for last is held up: its next lines wait until sg_server_go_on, which
// says what time of others it has taken. Nothing happens when it is gone.
void sg_server_hold(struct sg_server *server, uint64_t connection);
void sg_server_go_on(struct sg_server *server, uint64_t connection, uint64_t used_ns);
// Bytes of answers that the client has not read yet; 0 when it is gone.
size_t sg_server_unsent(const struct sg_server *server, uint64_t connection);

// To be called once a turn of the loop: handles the lines that have come. Returns true when there
// is more to do at once.
bool sg_server_turn(struct sg_server *server);

unsigned sg_server_connections(const struct sg_server *server);
