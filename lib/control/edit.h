// Edits of the desired state: what `apply`, `change` and the verbs of stormctl do to a candidate.
//
// An edit reads a method's params and changes a candidate state; nothing else notices. The
// candidate is then committed or thrown away as a whole (change.c), so a batch of edits is atomic
// by itself. Control thread, or its helper while the change is in hand (change.h).
#pragma once

#include <stdbool.h>

#include <jansson.h>

#include "base/error.h"
#include "control/history.h"
#include "control/rollout.h"
#include "service/state.h"

#define SG_EDIT_DEFAULT_OWNER "operator"

// Names a backend for people: its service, address and port.
struct sg_backend_name {
	char service[SG_MAX_NAME_BYTES];
	struct sg_addr address;
	uint16_t port;
};

struct sg_edit {
	struct sg_state state; // the candidate
	// Knows the backends that are not in the state any more, but finish. NULL: there are none.
	const struct sg_compiler *compiler;
	const struct sg_history *history; // the way back
	struct sg_rollout_end *ends;
	unsigned n_ends;
	bool dry_run;
	bool wait; // answer when the flows of `waited` are gone
	struct sg_backend_name waited;
};

// Starts from a state; the rest is zero. Returns 0 or -ENOMEM.
int sg_edit_init(struct sg_edit *edit, const struct sg_state *from);
void sg_edit_fini(struct sg_edit *edit);

// Takes the specs of `from` for those that came out equal: what changes nothing is no change.
void sg_edit_settle(struct sg_edit *edit, const struct sg_state *from);

// Errors: -EBADMSG (params are not what the method takes), -ENOENT, -EEXIST, -EPERM (another
// owner's), -ENOMEM, each with a sentence. The candidate is then of no use.
typedef int sg_edit_fn(struct sg_edit *edit, const json_t *params, struct sg_error *error);

sg_edit_fn sg_edit_apply;          // {"owner", "services", "dry_run"}
sg_edit_fn sg_edit_rollback;       // {"generation", "dry_run"}
sg_edit_fn sg_edit_service_add;    // a whole service
sg_edit_fn sg_edit_service_set;    // "name" and the members to change
sg_edit_fn sg_edit_service_delete; // {"name"}
sg_edit_fn sg_edit_backend_add;    // {"service", "address", "port", "weight"}
sg_edit_fn sg_edit_backend_set;    // the same; a weight above 0 ends draining
sg_edit_fn sg_edit_backend_drain;  // {"service", "address", "port", "wait"}
sg_edit_fn sg_edit_policy_set;     // {"allow", "deny", "existing"}: what is absent stays
sg_edit_fn sg_edit_backend_delete; // {"service", "address", "port", "now"}
