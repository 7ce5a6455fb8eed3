// From an accepted desired state to every worker: validate, compile, publish, wait, reclaim.
//
// A change is a candidate state. It is validated whole and compiled into a snapshot, or refused;
// the snapshot is published with one pointer, and the old one given back when every worker has
// passed a quiescent state. Nothing here waits: sg_rollout_turn looks again and again, for as long
// as something is under way, and says when it wants to look next. At most SG_ROLLOUT_MAX_IN_FLIGHT
// generations await their grace period; what is committed meanwhile becomes one pending generation,
// which is compiled when there is room.
//
// New generations also come from the kernel's routes (sg_rollout_set_routes) and from drain
// deadlines; nobody is answered for those. Backends' addresses are told to the mirror before a
// snapshot with them is compiled, so that they have a next hop from its first packet on.
//
// Control thread only; times are sg_clock_ms().
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "control/mirror.h"
#include "control/publisher.h"
#include "control/statistics.h"
#include "service/compiler.h"
#include "service/memory.h"
#include "service/settings.h"
#include "service/state.h"

#define SG_ROLLOUT_MAX_IN_FLIGHT 8
#define SG_ROLLOUT_ANSWER_MS     100 // a change is answered so long after workers were given it

struct sg_rollout;

// How a change went.
struct sg_rollout_result {
	int err; // 0, or why the pending generation could not be compiled: `error` has the sentence
	struct sg_error error;
	uint64_t generation;
	bool active;          // every worker uses it
	unsigned late_worker; // one that does not, unless active
};

typedef void sg_rollout_done_fn(void *context, const struct sg_rollout_result *result);

// A backend whose flows end at once (`delete --now`).
struct sg_rollout_end {
	char service[SG_MAX_NAME_BYTES];
	struct sg_addr address;
	uint16_t port; // host order
};

// `mirror` NULL: no routes at all. `state` has passed sg_validate_state and is taken over on
// success. The others must outlive the rollout. Compiles and publishes the first snapshot, which
// workers find when they start. Errors: -ENOMEM, -ENOSPC with a sentence.
int sg_rollout_create(struct sg_rollout **ret_rollout, const struct sg_settings *settings,
	struct sg_state *state, const struct sg_publisher *publisher, struct sg_mirror *mirror,
	struct sg_statistics *statistics, struct sg_error *error);
// No worker may run any more. NULL is fine. Whoever still waits is called with -ECANCELED.
void sg_rollout_destroy(struct sg_rollout *rollout);

// Commits a candidate, which is taken over on success, and calls `done` once: never before this
// returns. `ends` may be NULL. Errors: -EINVAL, -ENOSPC, -ENOMEM with a sentence; nothing has
// changed then, and `done` is not called.
int sg_rollout_commit(struct sg_rollout *rollout, struct sg_state *candidate,
	const struct sg_rollout_end *ends, unsigned n_ends, sg_rollout_done_fn *done, void *context,
	uint64_t now_ms, struct sg_error *error);
// The same for a candidate that has passed sg_rollout_check since the last commit.
int sg_rollout_commit_checked(struct sg_rollout *rollout, struct sg_state *candidate,
	const struct sg_rollout_end *ends, unsigned n_ends, sg_rollout_done_fn *done, void *context,
	uint64_t now_ms, struct sg_error *error);
// Only validates. Any thread, while the rollout is held.
int sg_rollout_check(
	const struct sg_rollout *rollout, const struct sg_state *candidate, struct sg_error *error);

// A large change is made in steps, so that its making, checking and compiling may be another
// thread's while this one goes on:
//
//     hold      from here on nothing is compiled, so that the state and the compiler's books stay
//     begin     takes over a candidate that has passed sg_rollout_check
//     prepare   compiles it: the only step for another thread
//     conclude  as sg_rollout_commit_checked; the turns that follow publish it, and only then does
//               the time begin in which workers are not late
//     release   instead of begin: there is nothing to commit
//
// Other commits may not come from hold to conclude. Returns false when generations are pending, or
// as many in flight as may be.
bool sg_rollout_hold(struct sg_rollout *rollout);
// Whether it is held, or a large change on its way to the workers.
bool sg_rollout_is_busy(const struct sg_rollout *rollout);
void sg_rollout_release(struct sg_rollout *rollout);
void sg_rollout_begin(struct sg_rollout *rollout, struct sg_state *candidate,
	const struct sg_rollout_end *ends, unsigned n_ends, uint64_t now_ms);
void sg_rollout_prepare(struct sg_rollout *rollout);
int sg_rollout_conclude(struct sg_rollout *rollout, sg_rollout_done_fn *done, void *context,
	struct sg_error *error);

// The kernel's routes have changed: the next turn compiles them in.
void sg_rollout_routes_changed(struct sg_rollout *rollout);

// The next turn compiles a snapshot in which no VIP is announced, and so are all later ones.
void sg_rollout_withdraw(struct sg_rollout *rollout);

// Does what is due, and returns after how many microseconds it wants to be called again
// (SG_ROLLOUT_NEVER).
#define SG_ROLLOUT_NEVER UINT64_MAX
uint64_t sg_rollout_turn(struct sg_rollout *rollout, uint64_t now_ms);
// Whether something was committed since the last turn: then the next one must not wait for as long
// as that said.
bool sg_rollout_is_due(const struct sg_rollout *rollout);

// Calls `published` whenever workers are given a state from now on, also when it is the one before.
typedef void sg_rollout_published_fn(void *context, const struct sg_state *before,
	const struct sg_state *after, uint64_t generation);
void sg_rollout_observe(
	struct sg_rollout *rollout, sg_rollout_published_fn *published, void *context);

// What workers were given last.
const struct sg_state *sg_rollout_published_state(const struct sg_rollout *rollout);
// What the next candidate starts from: everything that was committed.
const struct sg_state *sg_rollout_state(const struct sg_rollout *rollout);
// The generation that this state is, or will be.
uint64_t sg_rollout_generation(const struct sg_rollout *rollout);
// What workers were given last. It lives until the next call that may publish.
const struct sg_snapshot *sg_rollout_snapshot(const struct sg_rollout *rollout);
const struct sg_compiler *sg_rollout_compiler(const struct sg_rollout *rollout);
// What that and its state take. Counted when it is asked for, once a generation.
const struct sg_memory *sg_rollout_memory(struct sg_rollout *rollout);
