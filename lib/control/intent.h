// What was asked for through the socket, beside what the config file says.
//
// An intent is one service that is not as its block in the file, or the policy: the block as it was
// read, and what it was made into. The state file holds intents (state_file.h), one a line:
//
//     {"service":"web","owner":"config","block":{...},"now":{...}}   a service of the file, edited
//     {"service":"web","block":{...},"now":null}                     the same, deleted
//     {"service":"api","owner":"operator","block":null,"now":{...}}  one that the file does not have
//     {"service":"web"}                                              as the file has it, again
//     {"policy":true,"block":{...},"now":{...}}                      the policy for all services
//
// Of several lines about one service the last counts.
//
// When the file is read again, at a start or at SIGHUP, intents meet its new blocks: while the
// block is unchanged, the edit is made again; if the block has changed or is gone, the file wins,
// and that is said in one line. Control thread only, but sg_intent_write, which only reads.
#pragma once

#include <jansson.h>

#include "base/error.h"
#include "control/text.h"
#include "service/settings.h"
#include "service/state.h"

struct sg_intent {
	char name[SG_MAX_NAME_BYTES];        // empty: the policy
	bool as_file;                        // again as the file has it
	struct sg_service_spec *block, *now; // references; NULL: none
	struct sg_shared_policy *block_policy, *now_policy;
};

struct sg_intents {
	struct sg_intent *all;
	unsigned n, capacity;
};

void sg_intents_clear(struct sg_intents *intents);
// Adds what turns `before` into `after`, as seen from the file's blocks. Returns 0 or -ENOMEM.
int sg_intents_note(struct sg_intents *intents, const struct sg_state *file,
	const struct sg_state *before, const struct sg_state *after);

// One line with its newline.
void sg_intent_write(struct sg_text *text, const struct sg_intent *intent);
// Adds the intent of a line, or replaces the one of that service. Errors: -EBADMSG, -ENOMEM.
int sg_intents_read(
	struct sg_intents *intents, const char *line, size_t length, struct sg_error *error);

// What becomes of intents is told here, a sentence each.
typedef void sg_intent_report_fn(void *context, const char *sentence);

// The file's new blocks with the intents; `ret_state` is initialised by the call. With
// `refuse_conflicts`, a block that takes another owner's name is refused instead of winning, so
// that nothing that was asked for is lost while somebody is there to be told. Errors: -EEXIST with
// the block's line and a sentence, -ENOMEM.
int sg_intents_merge(const struct sg_intents *intents, const struct sg_state *file,
	bool refuse_conflicts, sg_intent_report_fn *report, void *context,
	struct sg_state *ret_state, struct sg_error *error);

// For a start, when nobody can be told to try again: the largest part of the merge that passes
// sg_validate_state. What does not is left out and told, each service as a whole: then it is as in
// the file, or not there. `file` alone has passed. Errors: -ENOMEM.
int sg_intents_restore(const struct sg_intents *intents, const struct sg_state *file,
	const struct sg_settings *settings, sg_intent_report_fn *report, void *context,
	struct sg_state *ret_state, unsigned *ret_n_left_out, struct sg_error *error);
