// JSON-RPC 2.0: a line to a request, and a result or a refusal to a line.
//
// One object a line, in both directions. A request needs an id (a string or an integer): stormgate
// answers everything, so a notification is refused. Batch arrays are refused too; several changes
// that belong together are one `change`. Depth and length are bounded by jansson (2,048 levels) and
// by the server, the memory that a line's values take by SG_REQUEST_MAX_BYTES, and an id by
// SG_REQUEST_MAX_ID_BYTES, because it is repeated.
//
// Any thread; nothing is kept between calls.
#pragma once

#include <stddef.h>

#include <jansson.h>

#include "control/text.h"

// The largest line that makes sense, with SG_MAX_BACKENDS backends, takes 260 MB; sixteen million
// brackets would take over a thousand.
#define SG_REQUEST_MAX_BYTES    (320u << 20)
#define SG_REQUEST_MAX_ID_BYTES 256

// The codes of JSON-RPC 2.0, section 5.1, and our own.
enum sg_request_code {
	SG_REQUEST_NO_JSON = -32700,
	SG_REQUEST_INVALID = -32600,
	SG_REQUEST_UNKNOWN_METHOD = -32601,
	SG_REQUEST_BAD_PARAMS = -32602,
	SG_REQUEST_FAILED = -32603,  // our own fault: no memory
	SG_REQUEST_REFUSED = -32000, // understood, and not done; the message says why
};

struct sg_request {
	json_t *root; // owns what follows
	const json_t *id;
	const char *method;
	const json_t *params; // an object; empty when the request has none
};

// Parses a line. On failure `ret_request` holds the id as far as one was readable (else NULL), the
// answer's code is returned, and `message` (`size` bytes) holds a sentence. Returns 0 on success.
// Either way the caller calls sg_request_fini.
int sg_request_parse(struct sg_request *ret_request, const char *line, size_t length, char *message,
	size_t size);
void sg_request_fini(struct sg_request *request);

// Answers, without a newline, written behind what is in the text; without memory the text fails.
// `id` NULL stands for one that could not be read. `result` is taken over; bytes in `message` that
// are no UTF-8 become "?".
void sg_request_write_result(struct sg_text *text, const json_t *id, json_t *result);
void sg_request_write_error(struct sg_text *text, const json_t *id, int code, const char *message);
// For results that are too large for a tree: what stands before the result, and behind it.
void sg_request_begin_result(struct sg_text *text, const json_t *id);
void sg_request_end_result(struct sg_text *text);
