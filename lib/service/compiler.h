// From desired state to snapshot: gives out slots, shares what did not change, and follows removed
// backends until their last flow is gone. Control thread only.
//
// Slots. A service keeps its slot while a service of that name exists. A backend slot belongs to
// (service, address, port) and goes through these lives:
//
//     ACTIVE    in the state, gets new flows
//     DRAINING  in the state, but drained or of weight 0: its flows stay as long as they like
//     REMOVED   not in the state: TCP flows may finish until the drain timeout is over
//     DEAD      it is over, or `end_now` was asked for: what flows are left get RSTs
//
// A backend that is put back while REMOVED is revived: same slot, same generation, its flows never
// noticed. A DEAD slot rests until every worker has swept its flow table twice since, and is then
// given out with the next generation; the same backend put back meanwhile gets another slot. A
// deleted service's slot is freed after its last backend's slot, and until then services[slot]
// tells people whose flows these are. Its address stays a VIP (and announced) while one of its
// backends is REMOVED, but it has left `vips4`, so nothing new begins. A service whose VIP is
// changed gives the old address up at once.
//
// Cost. A change costs what it changes, and copying two arrays of pointers; when services come or
// go, a walk over all of them. What is the same spec (or an equal one) in two states is the same
// compiled service in two snapshots. A page of backends is copied only when one of its backends
// differs, be it for its next hop; the indexes of VIPs and addresses are built anew only when the
// set of them changed. New routes are looked up for every backend.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "service/snapshot.h"

struct sg_compiler;

// `settings` must outlive the compiler; a state may have others (sg_state_settings), of which only
// timeouts, dataplane.unserved and backend_cidrs are looked at. NULL without memory.
struct sg_compiler *sg_compiler_create(const struct sg_settings *settings);
// Frees also the snapshots that were not reclaimed. NULL is fine.
void sg_compiler_destroy(struct sg_compiler *compiler);

// Compiles a state that passed validation. `routes` is referenced, not taken over. `now_ms` is
// sg_clock_ms(). Errors: -ENOSPC (no slot is free: the sentence says of what), -ENOMEM. On
// failure nothing changed, and the snapshot compiled before is still the current one.
int sg_compiler_compile(struct sg_compiler *compiler, const struct sg_state *state,
	struct sg_routes *routes, uint64_t now_ms, struct sg_snapshot **ret_snapshot,
	struct sg_error *error);

// The same in two steps, the first of which takes long when much changes: then it is a helper's
// thread that prepares. Until the commit the books say what they said before, and the control
// thread may read them and reclaim snapshots, but may not compile, end_now or note_sweeps. `state`
// and `routes` must stay as they are meanwhile. Errors: as sg_compiler_compile; it is then for the
// control thread to call sg_compiler_drop with NULL.
struct sg_compilation;

int sg_compiler_prepare(struct sg_compiler *compiler, const struct sg_state *state,
	struct sg_routes *routes, uint64_t now_ms, struct sg_compilation **ret_compilation,
	struct sg_error *error);
struct sg_snapshot *sg_compiler_commit(
	struct sg_compiler *compiler, struct sg_compilation *compilation);
// Throws it away: nothing has changed.
void sg_compiler_drop(struct sg_compiler *compiler, struct sg_compilation *compilation);

// Gives back a snapshot that no worker can see any more, in any order.
void sg_compiler_reclaim(struct sg_compiler *compiler, struct sg_snapshot *snapshot);

// Before compiling a state in which this backend is absent: its flows end at once (`--now`).
// No effect on a backend that does not exist.
void sg_compiler_end_now(struct sg_compiler *compiler, const char *service,
	const struct sg_addr *address, uint16_t port);

// From the next compile on no VIP is announced, whatever its service says.
void sg_compiler_withdraw(struct sg_compiler *compiler);

// When the next compile is due on account of time alone (a drain deadline), as sg_clock_ms();
// UINT64_MAX: never.
uint64_t sg_compiler_next_deadline_ms(const struct sg_compiler *compiler);

// Tells how many full sweeps each worker has made, so that resting slots can be freed.
void sg_compiler_note_sweeps(
	struct sg_compiler *compiler, const uint64_t *sweeps, unsigned n_workers);

// For people: what lives in a slot now. `find_backend_slot` returns UINT32_MAX when there is none
// (also for REMOVED).
uint32_t sg_compiler_find_service_slot(const struct sg_compiler *compiler, const char *service);
uint32_t sg_compiler_find_backend_slot(const struct sg_compiler *compiler, const char *service,
	const struct sg_addr *address, uint16_t port);
// The same for a backend of the service that has this slot.
uint32_t sg_compiler_find_backend_slot_of(const struct sg_compiler *compiler, uint32_t service_slot,
	const struct sg_addr *address, uint16_t port);
// Whether the backend has a slot and is not DEAD: also when it is REMOVED.
bool sg_compiler_holds(const struct sg_compiler *compiler, const char *service,
	const struct sg_addr *address, uint16_t port);
