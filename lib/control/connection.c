// Bytes of one client, see connection.h.
#include "control/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define READ_BYTES  65536
#define FIRST_BYTES 4096

static void release(struct sg_buffer *buffer)
{
	free(buffer->bytes);
	*buffer = (struct sg_buffer){0};
}

// Room for `bytes` more behind the end: moves what is there to the front, then grows by doubling.
static int reserve(struct sg_buffer *buffer, size_t bytes)
{
	size_t length = buffer->end - buffer->start;
	size_t size = buffer->size_bytes ? buffer->size_bytes : FIRST_BYTES;
	char *larger;

	if (buffer->size_bytes - buffer->end >= bytes)
		return 0;
	if (buffer->start) {
		memmove(buffer->bytes, buffer->bytes + buffer->start, length);
		buffer->start = 0;
		buffer->end = length;
	}
	while (size - length < bytes)
		size *= 2;
	if (size == buffer->size_bytes)
		return 0;
	larger = realloc(buffer->bytes, size);
	if (!larger)
		return -ENOMEM;
	buffer->bytes = larger;
	buffer->size_bytes = size;
	return 0;
}

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

enum sg_receive sg_connection_receive(struct sg_connection *connection)
{
	struct sg_buffer *input = &connection->input;
	size_t length = input->end - input->start;
	// A short line costs a small buffer; a long one is read in larger and larger steps.
	size_t want = min_size(READ_BYTES, length + FIRST_BYTES);
	ssize_t n;

	if (length > connection->max_line_bytes)
		return SG_RECEIVE_TOO_LONG;
	if (reserve(input, want) < 0)
		return SG_RECEIVE_BROKEN;
	n = recv(connection->fd, input->bytes + input->end, want, 0);
	if (n < 0 && errno == ECONNRESET) {
		// It has closed with answers unread. That is told once; what it had sent is still
		// there.
		connection->deaf = true;
		n = recv(connection->fd, input->bytes + input->end, want, 0);
	}
	if (n > 0) {
		input->end += (size_t)n;
		return SG_RECEIVE_SOME;
	}
	if (length == 0)
		release(input);
	if (n == 0)
		return SG_RECEIVE_END;
	return errno == EAGAIN || errno == EINTR ? SG_RECEIVE_NOTHING : SG_RECEIVE_BROKEN;
}

bool sg_connection_find_line(struct sg_connection *connection, size_t *ret_length)
{
	struct sg_buffer *input = &connection->input;
	size_t length = input->end - input->start;
	char *line = input->bytes + input->start;
	char *newline;

	if (!connection->has_line && length > connection->scanned) {
		newline = memchr(line + connection->scanned, '\n', length - connection->scanned);
		connection->has_line = newline != NULL;
		connection->scanned = newline ? (size_t)(newline - line) : length;
	}
	if (length == 0)
		release(input);
	*ret_length = connection->scanned;
	return connection->has_line;
}

char *sg_connection_next_line(struct sg_connection *connection, size_t *ret_length)
{
	struct sg_buffer *input = &connection->input;
	char *line;

	if (!sg_connection_find_line(connection, ret_length))
		return NULL;
	line = input->bytes + input->start;
	line[*ret_length] = '\0';
	input->start += *ret_length + 1;
	connection->scanned = 0;
	connection->has_line = false;
	return line;
}

char *sg_connection_take_line(
	struct sg_connection *connection, char **ret_buffer, size_t *ret_length)
{
	struct sg_buffer *input = &connection->input, rest = {0};
	size_t length;
	char *line;

	if (!sg_connection_find_line(connection, &length))
		return NULL;
	rest.end = input->end - input->start - length - 1;
	if (rest.end > 0) {
		rest.size_bytes = rest.end;
		rest.bytes = malloc(rest.end);
		if (!rest.bytes)
			return NULL;
		memcpy(rest.bytes, input->bytes + input->start + length + 1, rest.end);
	}
	line = sg_connection_next_line(connection, ret_length);
	*ret_buffer = input->bytes;
	*input = rest;
	return line;
}

bool sg_connection_has_half_line(const struct sg_connection *connection)
{
	return connection->input.end > connection->input.start;
}

void sg_connection_flush(struct sg_connection *connection)
{
	struct sg_text *output = &connection->output;
	size_t sent = 0;

	while (output->first && !connection->broken && sent < SG_CONNECTION_FLUSH_BYTES) {
		const struct sg_text_piece *piece = output->first;
		ssize_t n = send(connection->fd, piece->bytes + piece->start,
			piece->end - piece->start, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			sg_text_take(output, (size_t)n);
			sent += (size_t)n;
		} else if (errno == EAGAIN) {
			return;
		} else if (errno == EPIPE || errno == ECONNRESET) {
			// It has closed. What it had asked for before is done all the same.
			connection->deaf = true;
			sg_text_clear(output);
		} else if (errno != EINTR) {
			connection->broken = true;
		}
	}
}

int sg_connection_send(struct sg_connection *connection, struct sg_text *text)
{
	struct sg_text *output = &connection->output;

	if (connection->deaf) {
		sg_text_clear(text);
		return 0;
	}
	sg_text_move(output, text);
	sg_text_append(output, "\n", 1);
	if (output->failed)
		return -ENOMEM;
	sg_connection_flush(connection);
	return 0;
}

void sg_connection_free_buffers(struct sg_connection *connection)
{
	release(&connection->input);
	sg_text_clear(&connection->output);
}
