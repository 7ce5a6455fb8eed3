// Generations on their way to the workers, see rollout.h.
#include "control/rollout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/kept_addresses.h"
#include "service/state_diff.h"
#include "service/validate.h"

#define FIRST_LOOK_US   20    // a worker's turn takes some microseconds
#define SLOWEST_LOOK_US 1000  // while somebody waits for an answer
#define IDLE_LOOK_US    20000 // while only memory waits
#define RETRY_MS        1000  // after a compilation failed that nobody asked for
#define PAUSE_MS        2 // between two that nobody asked for: a storm of routes is taken together
#define COUNT_US        1000       // a turn may take to begin counting for a large change
#define NOT_YET         UINT64_MAX // a deadline that begins when workers are given the generation
#define SHRINK_MS       10000      // between two looks for addresses that are not needed any more

// A published snapshot that some worker may not use yet, and the one before it, which such a worker
// still uses.
struct in_flight {
	uint64_t token;
	uint64_t generation;
	struct sg_snapshot *replaced;
};

struct waiter {
	struct waiter *next;
	sg_rollout_done_fn *done;
	void *context;
	uint64_t generation;
	uint64_t deadline_ms;
};

// How far a large change has come.
enum phase {
	PHASE_NONE,
	PHASE_HELD,
	PHASE_PREPARED, // or being prepared, by another thread
	PHASE_COUNTING, // its new services and backends begin to count
};

struct sg_rollout {
	const struct sg_settings *settings;
	const struct sg_publisher *publisher;
	struct sg_mirror *mirror;
	struct sg_statistics *statistics;
	struct sg_compiler *compiler;
	struct sg_routes *routes;
	struct sg_kept_addresses kept;

	struct sg_state state; // what `snapshot` was compiled from
	struct sg_snapshot *snapshot;
	struct in_flight in_flight[SG_ROLLOUT_MAX_IN_FLIGHT]; // oldest first
	unsigned n_in_flight;

	// The large change.
	enum phase phase;
	struct sg_state next;
	struct sg_compilation *compilation;
	struct sg_snapshot *next_snapshot; // of the committed compilation
	int prepare_err;
	struct sg_error prepare_error;
	uint64_t begun_ms;
	struct sg_state_diff counting; // of `state` and `next`

	bool has_pending; // committed while all places in flight were taken
	struct sg_state pending;
	struct sg_rollout_end *pending_ends;
	unsigned n_pending_ends;

	bool routes_changed;
	bool withdrawal_due; // the next snapshot announces no VIP
	uint64_t retry_ms;   // nothing is compiled on our own account before
	uint64_t shrink_ms;  // the addresses are not looked through before
	struct waiter *waiters;
	bool committed; // since the last turn
	uint64_t look_us;
	struct sg_memory memory; // of generation `memory_generation`
	uint64_t memory_generation;
	sg_rollout_published_fn *published; // NULL: nobody
	void *published_context;
};

static void answer(struct sg_rollout *rollout, uint64_t generation, uint64_t now_ms,
	const struct sg_rollout_result *result);

// What begins with a change: services and backends that were not there before count from zero.
static void begin_counting(struct sg_rollout *rollout, const struct sg_service_spec *before,
	const struct sg_service_spec *after)
{
	uint32_t slot;

	if (!after)
		return;
	slot = sg_compiler_find_service_slot(rollout->compiler, after->name);
	if (!before)
		sg_statistics_begin_service(rollout->statistics, slot);
	for (unsigned i = 0; i < after->n_backends; i++) {
		const struct sg_backend_spec *backend = &after->backends[i];

		if (before &&
			sg_service_spec_find_backend(before, &backend->address, backend->port))
			continue;
		sg_statistics_begin_backend(rollout->statistics,
			sg_compiler_find_backend_slot_of(
				rollout->compiler, slot, &backend->address, backend->port),
			slot);
	}
}

static void note_sweeps(struct sg_rollout *rollout)
{
	uint64_t sweeps[SG_MAX_WORKERS];
	unsigned n = rollout->publisher->n_workers;

	for (unsigned worker = 0; worker < n; worker++)
		sweeps[worker] =
			sg_counter_read(&rollout->publisher->counters[worker].totals->sweeps);
	sg_compiler_note_sweeps(rollout->compiler, sweeps, n);
}

// Takes the mirror's present routes into use. Without memory the old ones stay, and the next turn
// tries again.
static void rebuild_routes(struct sg_rollout *rollout)
{
	struct sg_routes *routes = rollout->mirror ? sg_mirror_build(rollout->mirror) : NULL;

	rollout->routes_changed = rollout->mirror && !routes;
	if (!routes)
		return;
	sg_routes_unref(rollout->routes);
	rollout->routes = routes;
}

static void keep(struct sg_rollout *rollout)
{
	if (sg_mirror_keep(rollout->mirror, rollout->kept.addresses, rollout->kept.n))
		rollout->routes_changed = true;
}

// Asks for the next hops of `state`'s backends before they are compiled in.
static void keep_hops(struct sg_rollout *rollout, const struct sg_state *state)
{
	if (!rollout->mirror)
		return;
	if (sg_kept_addresses_add(&rollout->kept, &rollout->state, state))
		keep(rollout);
	if (rollout->routes_changed)
		rebuild_routes(rollout);
}

static void shrink_hops(struct sg_rollout *rollout, uint64_t now_ms)
{
	if (!rollout->mirror || now_ms < rollout->shrink_ms)
		return;
	rollout->shrink_ms = now_ms + SHRINK_MS;
	if (sg_kept_addresses_shrink(&rollout->kept, rollout->snapshot))
		keep(rollout);
}

static void publish(struct sg_rollout *rollout, struct sg_snapshot *snapshot)
{
	const struct sg_publisher *publisher = rollout->publisher;

	rollout->in_flight[rollout->n_in_flight++] = (struct in_flight){
		.token = publisher->publish(publisher->dataplane, snapshot),
		.generation = snapshot->generation,
		.replaced = rollout->snapshot,
	};
	rollout->snapshot = snapshot;
	rollout->look_us = FIRST_LOOK_US;
}

// What the compiler is told before it compiles `state`.
static void make_ready(struct sg_rollout *rollout, const struct sg_state *state,
	const struct sg_rollout_end *ends, unsigned n_ends)
{
	note_sweeps(rollout);
	keep_hops(rollout, state);
	if (rollout->withdrawal_due)
		sg_compiler_withdraw(rollout->compiler);
	for (unsigned i = 0; i < n_ends; i++)
		sg_compiler_end_now(
			rollout->compiler, ends[i].service, &ends[i].address, ends[i].port);
}

static void publish_state(
	struct sg_rollout *rollout, const struct sg_state *state, struct sg_snapshot *snapshot)
{
	publish(rollout, snapshot);
	if (rollout->published)
		rollout->published(
			rollout->published_context, &rollout->state, state, snapshot->generation);
}

// Goes on until all of them count, or `end_ns`. Returns whether they do.
static bool go_on_counting(struct sg_rollout *rollout, uint64_t end_ns)
{
	struct sg_service_spec *before, *after;

	while (sg_state_diff_next(&rollout->counting, &before, &after)) {
		begin_counting(rollout, before, after);
		if (sg_clock_ns() >= end_ns)
			return false;
	}
	return true;
}

// Compiles and publishes `state`, of which there is room in flight. On failure nothing has changed.
static int roll_out(struct sg_rollout *rollout, const struct sg_state *state,
	const struct sg_rollout_end *ends, unsigned n_ends, uint64_t now_ms, struct sg_error *error)
{
	struct sg_snapshot *snapshot;
	int err;

	make_ready(rollout, state, ends, n_ends);
	err = sg_compiler_compile(
		rollout->compiler, state, rollout->routes, now_ms, &snapshot, error);
	if (err)
		return err;
	rollout->counting = (struct sg_state_diff){.before = &rollout->state, .after = state};
	go_on_counting(rollout, UINT64_MAX);
	publish_state(rollout, state, snapshot);
	return 0;
}

static void replace_state(struct sg_state *state, struct sg_state *by)
{
	sg_state_fini(state);
	*state = *by;
	sg_state_init(by);
}

int sg_rollout_create(struct sg_rollout **ret_rollout, const struct sg_settings *settings,
	struct sg_state *state, const struct sg_publisher *publisher, struct sg_mirror *mirror,
	struct sg_statistics *statistics, struct sg_error *error)
{
	struct sg_rollout *rollout = calloc(1, sizeof(*rollout));
	int err = -ENOMEM;

	if (!rollout)
		return sg_error_set(error, -ENOMEM, "no memory is left for the control thread");
	rollout->settings = settings;
	rollout->publisher = publisher;
	rollout->mirror = mirror;
	rollout->statistics = statistics;
	sg_state_init(&rollout->state);
	sg_state_init(&rollout->pending);
	sg_state_init(&rollout->next);
	rollout->routes = sg_routes_create_empty();
	rollout->compiler = sg_compiler_create(settings);
	rollout->routes_changed = mirror != NULL;
	if (!rollout->routes || !rollout->compiler)
		sg_error_set(error, err, "no memory is left for the first snapshot");
	else
		err = roll_out(rollout, state, NULL, 0, 0, error);
	if (err) {
		sg_rollout_destroy(rollout);
		return err;
	}
	replace_state(&rollout->state, state);
	*ret_rollout = rollout;
	return 0;
}

void sg_rollout_destroy(struct sg_rollout *rollout)
{
	struct sg_rollout_result stopping = {.err = -ECANCELED};

	if (!rollout)
		return;
	sg_error_set(&stopping.error, -ECANCELED, "stormgate is stopping");
	answer(rollout, UINT64_MAX, 0, &stopping);
	for (unsigned i = 0; i < rollout->n_in_flight; i++) {
		if (rollout->in_flight[i].replaced)
			sg_compiler_reclaim(rollout->compiler, rollout->in_flight[i].replaced);
	}
	if (rollout->compilation && rollout->phase == PHASE_PREPARED)
		sg_compiler_drop(rollout->compiler, rollout->compilation);
	sg_compiler_destroy(rollout->compiler);
	sg_routes_unref(rollout->routes);
	sg_kept_addresses_fini(&rollout->kept);
	sg_state_fini(&rollout->state);
	sg_state_fini(&rollout->pending);
	sg_state_fini(&rollout->next);
	free(rollout->pending_ends);
	free(rollout);
}

// Makes the candidate the pending generation, in the place of one that is pending already.
static int set_pending(struct sg_rollout *rollout, struct sg_state *candidate,
	const struct sg_rollout_end *ends, unsigned n_ends, struct sg_error *error)
{
	unsigned n = rollout->n_pending_ends;
	struct sg_rollout_end *all =
		n_ends ? realloc(rollout->pending_ends, (n + n_ends) * sizeof(all[0]))
		       : rollout->pending_ends;

	if (n_ends && !all)
		return sg_error_set(error, -ENOMEM, "no memory is left for the change");
	if (n_ends)
		memcpy(all + n, ends, n_ends * sizeof(all[0]));
	rollout->pending_ends = all;
	rollout->n_pending_ends = n + n_ends;
	replace_state(&rollout->pending, candidate);
	rollout->has_pending = true;
	return 0;
}

static int take_over(struct sg_rollout *rollout, struct sg_state *candidate,
	const struct sg_rollout_end *ends, unsigned n_ends, uint64_t now_ms, struct sg_error *error)
{
	int err;

	// Nothing to do, for instance the same `apply` again: answered for the generation that has
	// it.
	if (n_ends == 0 && sg_state_is_same(candidate, sg_rollout_state(rollout))) {
		sg_state_fini(candidate);
		return 0;
	}
	if (rollout->has_pending || rollout->phase != PHASE_NONE ||
		rollout->n_in_flight == SG_ROLLOUT_MAX_IN_FLIGHT)
		return set_pending(rollout, candidate, ends, n_ends, error);
	err = roll_out(rollout, candidate, ends, n_ends, now_ms, error);
	if (!err)
		replace_state(&rollout->state, candidate);
	return err;
}

int sg_rollout_check(
	const struct sg_rollout *rollout, const struct sg_state *candidate, struct sg_error *error)
{
	return sg_validate_state(candidate, sg_rollout_state(rollout),
		sg_state_settings(candidate, rollout->settings), error);
}

static void add_waiter(struct sg_rollout *rollout, struct waiter *waiter, sg_rollout_done_fn *done,
	void *context, uint64_t deadline_ms)
{
	*waiter = (struct waiter){.next = rollout->waiters,
		.done = done,
		.context = context,
		.generation = sg_rollout_generation(rollout),
		.deadline_ms = deadline_ms};
	rollout->waiters = waiter;
	rollout->committed = true;
}

int sg_rollout_commit_checked(struct sg_rollout *rollout, struct sg_state *candidate,
	const struct sg_rollout_end *ends, unsigned n_ends, sg_rollout_done_fn *done, void *context,
	uint64_t now_ms, struct sg_error *error)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));
	int err;

	if (!waiter)
		return sg_error_set(error, -ENOMEM, "no memory is left for the change");
	err = take_over(rollout, candidate, ends, n_ends, now_ms, error);
	if (err)
		free(waiter);
	else
		add_waiter(rollout, waiter, done, context, now_ms + SG_ROLLOUT_ANSWER_MS);
	return err;
}

int sg_rollout_commit(struct sg_rollout *rollout, struct sg_state *candidate,
	const struct sg_rollout_end *ends, unsigned n_ends, sg_rollout_done_fn *done, void *context,
	uint64_t now_ms, struct sg_error *error)
{
	int err = sg_rollout_check(rollout, candidate, error);

	return err ? err
		   : sg_rollout_commit_checked(
			     rollout, candidate, ends, n_ends, done, context, now_ms, error);
}

bool sg_rollout_hold(struct sg_rollout *rollout)
{
	if (rollout->has_pending || rollout->phase != PHASE_NONE ||
		rollout->n_in_flight == SG_ROLLOUT_MAX_IN_FLIGHT)
		return false;
	rollout->phase = PHASE_HELD;
	return true;
}

bool sg_rollout_is_busy(const struct sg_rollout *rollout)
{
	return rollout->phase != PHASE_NONE;
}

void sg_rollout_release(struct sg_rollout *rollout)
{
	rollout->phase = PHASE_NONE;
}

void sg_rollout_begin(struct sg_rollout *rollout, struct sg_state *candidate,
	const struct sg_rollout_end *ends, unsigned n_ends, uint64_t now_ms)
{
	replace_state(&rollout->next, candidate);
	make_ready(rollout, &rollout->next, ends, n_ends);
	rollout->begun_ms = now_ms;
	rollout->compilation = NULL;
	rollout->phase = PHASE_PREPARED;
}

void sg_rollout_prepare(struct sg_rollout *rollout)
{
	rollout->prepare_err = sg_compiler_prepare(rollout->compiler, &rollout->next,
		rollout->routes, rollout->begun_ms, &rollout->compilation, &rollout->prepare_error);
}

int sg_rollout_conclude(
	struct sg_rollout *rollout, sg_rollout_done_fn *done, void *context, struct sg_error *error)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));
	int err = rollout->prepare_err;

	if (err)
		*error = rollout->prepare_error;
	else if (!waiter)
		err = sg_error_set(error, -ENOMEM, "no memory is left for the change");
	if (err) {
		sg_compiler_drop(rollout->compiler, rollout->compilation);
		sg_state_fini(&rollout->next);
		rollout->phase = PHASE_NONE;
		free(waiter);
		return err;
	}
	rollout->next_snapshot = sg_compiler_commit(rollout->compiler, rollout->compilation);
	rollout->counting =
		(struct sg_state_diff){.before = &rollout->state, .after = &rollout->next};
	rollout->phase = PHASE_COUNTING;
	add_waiter(rollout, waiter, done, context, NOT_YET);
	return 0;
}

// No worker is late before it was given anything.
static void begin_waiting(struct sg_rollout *rollout, uint64_t now_ms)
{
	for (struct waiter *waiter = rollout->waiters; waiter; waiter = waiter->next) {
		if (waiter->deadline_ms == NOT_YET)
			waiter->deadline_ms = now_ms + SG_ROLLOUT_ANSWER_MS;
	}
}

// A part of the way from the books to the workers. Returns whether there is more to do.
static bool go_on_concluding(struct sg_rollout *rollout, uint64_t now_ms)
{
	if (rollout->phase != PHASE_COUNTING)
		return false;
	if (!go_on_counting(rollout, sg_clock_ns() + COUNT_US * 1000))
		return true;
	publish_state(rollout, &rollout->next, rollout->next_snapshot);
	begin_waiting(rollout, now_ms);
	replace_state(&rollout->state, &rollout->next);
	rollout->phase = PHASE_NONE;
	return false;
}

void sg_rollout_withdraw(struct sg_rollout *rollout)
{
	rollout->withdrawal_due = true;
}

void sg_rollout_routes_changed(struct sg_rollout *rollout)
{
	rollout->routes_changed = true;
}

// Answers the waiters of generations up to `generation`, or those whose time is over.
static void answer(struct sg_rollout *rollout, uint64_t generation, uint64_t now_ms,
	const struct sg_rollout_result *result)
{
	struct waiter **link = &rollout->waiters;

	while (*link) {
		struct waiter *waiter = *link;
		struct sg_rollout_result own = *result;

		if (waiter->generation > generation && waiter->deadline_ms > now_ms) {
			link = &waiter->next;
			continue;
		}
		*link = waiter->next;
		own.generation = waiter->generation;
		waiter->done(waiter->context, &own);
		free(waiter);
	}
}

// Gives back what no worker uses any more. Returns false, and who is late, when something is still
// in flight.
static bool reclaim_passed(struct sg_rollout *rollout, unsigned *ret_late_worker)
{
	const struct sg_publisher *publisher = rollout->publisher;
	unsigned n = 0;

	while (n < rollout->n_in_flight && publisher->passed(publisher->dataplane,
						   rollout->in_flight[n].token, ret_late_worker)) {
		if (rollout->in_flight[n].replaced)
			sg_compiler_reclaim(rollout->compiler, rollout->in_flight[n].replaced);
		n++;
	}
	rollout->n_in_flight -= n;
	memmove(rollout->in_flight, rollout->in_flight + n,
		rollout->n_in_flight * sizeof(rollout->in_flight[0]));
	return rollout->n_in_flight == 0;
}

static void answer_waiters(
	struct sg_rollout *rollout, bool idle, unsigned late_worker, uint64_t now_ms)
{
	struct sg_rollout_result active = {.active = true};
	struct sg_rollout_result late = {.late_worker = late_worker};
	uint64_t passed =
		idle ? rollout->snapshot->generation : rollout->in_flight[0].generation - 1;

	answer(rollout, passed, 0, &active);
	// With nothing in flight no worker is late: what is waited for is still on its way from
	// here.
	if (!idle)
		answer(rollout, 0, now_ms, &late);
}

static void roll_out_pending(struct sg_rollout *rollout, uint64_t now_ms)
{
	struct sg_rollout_result result = {0};
	uint64_t generation = sg_rollout_generation(rollout);

	result.err = roll_out(rollout, &rollout->pending, rollout->pending_ends,
		rollout->n_pending_ends, now_ms, &result.error);
	rollout->has_pending = false;
	rollout->n_pending_ends = 0;
	if (!result.err) {
		replace_state(&rollout->state, &rollout->pending);
		return;
	}
	sg_log_error("the changes that were waiting cannot be made: %s", result.error.text);
	sg_state_fini(&rollout->pending);
	answer(rollout, generation, 0, &result);
}

// A generation that nobody asked for: routes, or a drain deadline.
static void roll_out_again(struct sg_rollout *rollout, uint64_t now_ms)
{
	struct sg_error error = {0};
	int err = roll_out(rollout, &rollout->state, NULL, 0, now_ms, &error);

	rollout->retry_ms = now_ms + (err ? RETRY_MS : PAUSE_MS);
	rollout->withdrawal_due = rollout->withdrawal_due && err;
	if (err)
		sg_log_error("the kernel's routes cannot be followed for now: %s", error.text);
}

// When the next of those is due; UINT64_MAX: never.
static uint64_t due_ms(const struct sg_rollout *rollout)
{
	uint64_t deadline_ms = rollout->routes_changed || rollout->withdrawal_due
				       ? 0
				       : sg_compiler_next_deadline_ms(rollout->compiler);

	return deadline_ms > rollout->retry_ms ? deadline_ms : rollout->retry_ms;
}

static uint64_t next_look_us(struct sg_rollout *rollout, uint64_t now_ms)
{
	uint64_t slowest_us = rollout->waiters ? SLOWEST_LOOK_US : IDLE_LOOK_US;
	uint64_t look_us = rollout->look_us;
	uint64_t due = rollout->phase == PHASE_NONE ? due_ms(rollout) : UINT64_MAX;

	if (rollout->n_in_flight || rollout->has_pending || rollout->waiters) {
		rollout->look_us = look_us * 2 < slowest_us ? look_us * 2 : slowest_us;
		return look_us < slowest_us ? look_us : slowest_us;
	}
	if (due == UINT64_MAX)
		return SG_ROLLOUT_NEVER;
	return due > now_ms ? (due - now_ms) * 1000 : 0;
}

uint64_t sg_rollout_turn(struct sg_rollout *rollout, uint64_t now_ms)
{
	unsigned late_worker = 0;
	bool idle = reclaim_passed(rollout, &late_worker);

	rollout->committed = false;
	answer_waiters(rollout, idle, late_worker, now_ms);
	if (go_on_concluding(rollout, now_ms))
		return 0;
	if (rollout->phase == PHASE_NONE && rollout->n_in_flight < SG_ROLLOUT_MAX_IN_FLIGHT) {
		if (rollout->has_pending)
			roll_out_pending(rollout, now_ms);
		else if (now_ms >= due_ms(rollout))
			roll_out_again(rollout, now_ms);
	}
	shrink_hops(rollout, now_ms);
	return next_look_us(rollout, now_ms);
}

bool sg_rollout_is_due(const struct sg_rollout *rollout)
{
	return rollout->committed;
}

void sg_rollout_observe(
	struct sg_rollout *rollout, sg_rollout_published_fn *published, void *context)
{
	rollout->published = published;
	rollout->published_context = context;
}

const struct sg_state *sg_rollout_published_state(const struct sg_rollout *rollout)
{
	return &rollout->state;
}

const struct sg_state *sg_rollout_state(const struct sg_rollout *rollout)
{
	if (rollout->has_pending)
		return &rollout->pending;
	return rollout->phase == PHASE_COUNTING ? &rollout->next : &rollout->state;
}

uint64_t sg_rollout_generation(const struct sg_rollout *rollout)
{
	return rollout->snapshot->generation + (rollout->phase == PHASE_COUNTING) +
	       rollout->has_pending;
}

const struct sg_snapshot *sg_rollout_snapshot(const struct sg_rollout *rollout)
{
	return rollout->snapshot;
}

const struct sg_compiler *sg_rollout_compiler(const struct sg_rollout *rollout)
{
	return rollout->compiler;
}

const struct sg_memory *sg_rollout_memory(struct sg_rollout *rollout)
{
	if (rollout->memory_generation != rollout->snapshot->generation)
		sg_memory_count(&rollout->memory, rollout->snapshot, &rollout->state);
	rollout->memory_generation = rollout->snapshot->generation;
	return &rollout->memory;
}
