// Who changed what, and the way back.
//
// Each change that made a generation is one entry: when, who (SO_PEERCRED: the client as it was
// when it connected), by which verb, whose services, and the specs before and after. Specs are
// shared and immutable, so an entry costs what it changed; a way back is the entries undone, newest
// first.
//
// Kept: the entries of the last SG_HISTORY_GENERATIONS generations, but never more than
// SG_HISTORY_MAX_ENTRIES (changes that come faster than workers take them share a generation). The
// history begins anew with the process: what it made of the state is persistent (state_file.h), who
// made it is not. Generations that only follow the kernel's routes are not listed; what was asked
// for is the same in them. Control thread only.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "control/difference.h"
#include "service/state.h"

#define SG_HISTORY_GENERATIONS 16
#define SG_HISTORY_MAX_ENTRIES 4096

struct sg_history;

struct sg_history_change {
	const struct sg_service_spec *before, *after; // references
};

struct sg_history_entry {
	uint64_t serial; // counts entries, without gaps
	uint64_t generation;
	int64_t time_ms; // since 1970
	uid_t uid;
	pid_t pid;
	char owner[SG_MAX_NAME_BYTES]; // whose services, with commas between several
	char verb[32];
	char summary[SG_DIFFERENCE_SUMMARY_BYTES];
	struct sg_history_change *changes;
	unsigned n_changes;
	bool policy_changed; // the one for all services
	struct sg_shared_policy *policy_before;
};

struct sg_history *sg_history_create(void);          // NULL without memory
void sg_history_destroy(struct sg_history *history); // NULL is fine

// Notes what a change is about to do: fills owner, summary and changes of an entry that the caller
// has filled otherwise. Returns 0 or -ENOMEM.
int sg_history_describe(struct sg_history_entry *entry, const struct sg_state *before,
	const struct sg_state *after);
void sg_history_drop(struct sg_history_entry *entry); // one that is not added after all

// Adds an entry, which is taken over; `entry->generation` is that of the entry before or a later
// one.
void sg_history_add(struct sg_history *history, struct sg_history_entry *entry);
// The newest generation came to nothing after all.
void sg_history_forget(struct sg_history *history, uint64_t generation);

// Entries from the newest (0) to the oldest.
unsigned sg_history_size(const struct sg_history *history);
const struct sg_history_entry *sg_history_get(const struct sg_history *history, unsigned at);

// The generation before the newest entry's: what `rollback` without a number goes back to.
uint64_t sg_history_previous(const struct sg_history *history);
// Turns `state`, the present one, into what was asked for in `generation`. Errors: -ENOENT (it is
// not kept, or not made yet), -ENOMEM, with a sentence; the state is then of no use.
int sg_history_undo(const struct sg_history *history, uint64_t generation, struct sg_state *state,
	struct sg_error *error);
// Undoes the newest `n` entries of the present state. Errors: -ENOMEM.
int sg_history_undo_entries(const struct sg_history *history, unsigned n, struct sg_state *state);
