// Methods: from a line of the socket to an answer.
//
// Each verb of stormctl is one method with the same name ("service add", "backend drain", "stats";
// a dot may stand for the blank). A method either asks something, and is answered at once or, when
// the answer is long, in steps (query.h, listing.h); or it edits the desired state (edit.h) and is
// answered when the workers use it. Each is one row of the table in command.c. Control thread only.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "control/edit.h"
#include "control/query.h"
#include "control/request.h"
#include "control/server.h"

struct sg_control;

// A request that has not been answered yet. Whoever has one ends it with exactly one of the
// sg_call_ functions, which frees it.
struct sg_call {
	struct sg_control *control;
	uint64_t connection;
	struct sg_peer peer;
	struct sg_request request;
	bool is_long; // its line was: its tree is the helper's to free
};

// A method: a query, an edit or a list.
struct sg_command {
	const char *method;
	// One of these.
	sg_query_fn *query;
	sg_edit_fn *edit;
	sg_list_fn *list;
	bool in_batch; // may stand in a `change`
	bool large;    // may change everything, however short its line
};

// Takes over `result`. NULL: no memory was left for it.
void sg_call_return(struct sg_call *call, json_t *result);
// `text` is the whole answer, for results too large for a tree; taken over, and empty then.
void sg_call_return_text(struct sg_call *call, struct sg_text *text);
// `code`: enum sg_request_code.
void sg_call_refuse(struct sg_call *call, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
// The same with the code that belongs to an error.
void sg_call_refuse_error(struct sg_call *call, int err, const struct sg_error *error);

// Answers a long line that is being read: stormgate is stopping, and the helper has stopped.
void sg_command_cancel(struct sg_control *control);
// Handles a long line, which lies in `buffer`, freed here: it is read by the helper, which is not
// busy.
void sg_command_handle_long(struct sg_control *control, uint64_t connection,
	const struct sg_peer *peer, char *buffer, const char *line, size_t length);
// Handles one line: exactly one answer goes to control->answer, now or later.
void sg_command_handle(struct sg_control *control, uint64_t connection, const struct sg_peer *peer,
	const char *line, size_t length);
