// The compiler's books, and a plan: how they will look when a new state has become a snapshot.
//
// A compile first plans (who is new, changed, gone, due), then builds the snapshot that the plan
// asks for, and then commits. Until the commit the books are as they were, except for slots that
// were taken: a plan that fails is dropped, and rewinds them. Control thread, or its helper.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "service/compiler.h"
#include "service/deadlines.h"
#include "service/slots.h"

// A backend of a service that holds a slot and is not dead yet.
struct sg_member {
	struct sg_addr address;
	uint16_t port;
	uint16_t weight;
	uint16_t generation;
	uint8_t life; // enum sg_backend_life
	bool end_now; // dies as soon as a state lacks it
	uint32_t slot;
	uint32_t max_connections; // 0: its service's
	uint64_t deadline_ms;     // while REMOVED
};

// What a service slot holds.
struct sg_holder {
	struct sg_member *members; // sorted by address, then port
	uint32_t n_members;
	uint32_t n_resting; // backend slots that died and have not rested yet
	uint64_t visited;   // the last plan that looked at it
	bool in_use;
	bool deleted;   // no service of this name is in the state; the slot waits for its backends'
	bool has_marks; // some member has end_now, and the slot is in `marked`
};

// Every name that has a slot, sorted.
struct sg_holding {
	struct sg_service_spec *spec; // a reference; the last one seen when deleted
	uint32_t slot;
	bool deleted;
	bool draining; // deleted, but the address stays a VIP for flows that may finish
};

struct sg_compiler {
	const struct sg_settings *settings;
	struct sg_snapshot *current;     // compiled last; NULL before the first
	struct sg_snapshot *oldest;      // that was not freed yet; the others follow it
	struct sg_state state;           // that `current` was compiled from
	struct sg_shared_policy *policy; // that it was compiled from; NULL: everyone may
	struct sg_slots service_slots;
	struct sg_slots backend_slots;
	struct sg_resting resting;
	struct sg_deadlines deadlines;
	struct sg_holder *holders; // by service slot
	struct sg_holding *holdings;
	uint32_t n_holdings;
	uint32_t *marked; // service slots with marks
	uint32_t n_marked;
	uint32_t *cleared; // service slots given back since the last compile
	uint32_t n_cleared;
	uint32_t *due;          // scratch: SG_MAX_SERVICES
	uint32_t *member_slots; // scratch: SG_MAX_SERVICE_BACKENDS
	uint64_t n_plans;
	bool has_over;  // some deleted service's slot was given back since the last compile
	bool withdrawn; // no VIP is announced
};

// One service that does not stay as it is.
struct sg_visit {
	struct sg_service_spec *spec; // in the new state; NULL when it is not there
	struct sg_member *members;    // as they will be; those that die now are still among them
	uint32_t n_members;
	uint32_t slot;
	bool recompile;
	bool vanishes; // deleted, and nothing holds its slot any more
};

// A holding as it was before the plan wrote over it.
struct sg_undo {
	uint32_t at;
	struct sg_holding holding;
};

struct sg_plan {
	struct sg_compiler *compiler;
	struct sg_shared_policy *policy;    // of the new state
	struct sg_state state;              // a clone of that
	const struct sg_settings *settings; // that hold with it
	bool settings_changed;
	uint64_t drain_ms;
	uint64_t now_ms;
	struct sg_visit *visits;
	uint32_t n_visits, max_visits;
	// As they will be: an array of the plan's own or, in place, the compiler's, with what it
	// had.
	struct sg_holding *holdings;
	uint32_t n_holdings;
	bool in_place;
	struct sg_undo *undos;
	uint32_t n_undos, max_undos;
	// References taken for `holdings`, given back when the plan is dropped.
	struct sg_service_spec **fresh;
	uint32_t n_fresh;
	// References of the old holdings, given back at the commit.
	struct sg_service_spec **stale;
	uint32_t n_stale;
	bool vips_changed;
	bool addresses_changed;
	struct sg_slots_mark service_mark, backend_mark;
};

// `may_write`: nobody reads the books until the plan is committed or dropped, so when all names
// stay and few services change, it writes into the compiler's holdings instead of copying them.
// Errors: -ENOSPC with a sentence, -ENOMEM. The plan is then dropped already.
int sg_plan_make(struct sg_plan *ret_plan, struct sg_compiler *compiler,
	const struct sg_state *state, uint64_t now_ms, bool may_write, struct sg_error *error);
// Makes the plan the books. Cannot fail.
void sg_plan_commit(struct sg_plan *plan);
void sg_plan_drop(struct sg_plan *plan);

// The place of a name among the holdings. Returns whether it is there.
bool sg_holdings_search(
	const struct sg_holding *holdings, uint32_t n, const char *name, uint32_t *ret_at);
// NULL when the service has no such member.
struct sg_member *sg_holder_find(
	const struct sg_holder *holder, const struct sg_addr *address, uint16_t port);
