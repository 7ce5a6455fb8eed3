// The way of a change, see change.h: made, checked, compiled, published, kept, answered.
#include "control/change.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/control_internal.h"
#include "control/edit.h"
#include "control/json_reader.h"
#include "control/reload.h"
#include "service/state_diff.h"
#include "service/validate.h"

#define MAX_WARNINGS 100  // in an answer
#define TURN_US      1000 // for changes that have waited

struct sg_change {
	struct sg_change *next; // that waits
	struct sg_control *control;
	struct sg_call *call;
	const struct sg_command *command;
	uint64_t deadline_ms; // until then it may wait for workers
	uint64_t begun_ns;
	// What becomes of it, the helper's while it works on it.
	const struct sg_state *before; // the rollout's
	struct sg_edit edit;
	struct sg_history_entry entry; // without changes: none is to be noted
	json_t *answer;                // as far as it is known
	struct committed *committed;   // for when it is compiled
	int err;
	struct sg_error error;
};

void sg_changes_init(struct sg_changes *changes)
{
	*changes = (struct sg_changes){.last = &changes->first};
}

struct warnings {
	json_t *sentences;
	unsigned n;
};

static void add_warning(void *context, int line, const char *text)
{
	struct warnings *warnings = context;

	(void)line; // of the config file, which is not what is being talked about
	if (warnings->n++ < MAX_WARNINGS)
		json_array_append_new(warnings->sentences, json_string(text));
}

// What a candidate would do and what is odd about it: the part of the answer that is known before
// it is committed.
static json_t *describe(const struct sg_state *before, const struct sg_state *after)
{
	struct sg_state_change change = sg_state_count_changes(before, after);
	struct warnings warnings = {.sentences = json_array()};

	sg_validate_state_warnings(after, before, add_warning, &warnings);
	if (warnings.n > MAX_WARNINGS)
		json_array_append_new(warnings.sentences,
			json_sprintf("and %u warnings more", warnings.n - MAX_WARNINGS));
	return json_pack("{s:{s:i, s:i, s:i}, s:b, s:o}", "services", "added", (int)change.added,
		"changed", (int)change.changed, "removed", (int)change.removed, "policy",
		!sg_shared_policy_equal(before->policy, after->policy), "warnings",
		warnings.sentences);
}

static void add_generation(json_t *answer, uint64_t generation)
{
	json_object_set_new(answer, "generation", json_integer((json_int_t)generation));
}

// A committed edit that is on its way to the workers.
struct committed {
	struct sg_call *call;
	json_t *answer; // as far as it is known
	bool wait;
	struct sg_backend_name waited;
};

static void return_committed(struct committed *committed)
{
	struct sg_call *call = committed->call;

	if (committed->wait)
		sg_drain_wait_add(call->control, call, &committed->waited);
	else
		sg_call_return(call, json_incref(committed->answer));
	json_decref(committed->answer);
	free(committed);
}

static void answer_kept(void *context, bool persisted)
{
	struct committed *committed = context;

	json_object_set_new(committed->answer, "persisted", json_boolean(persisted));
	return_committed(committed);
}

static void answer_commit(void *context, const struct sg_rollout_result *result)
{
	struct committed *committed = context;
	struct sg_call *call = committed->call;
	struct sg_control *control = call->control;

	if (result->err) {
		sg_history_forget(control->history, result->generation);
		sg_call_refuse_error(call, result->err, &result->error);
		json_decref(committed->answer);
		free(committed);
		return;
	}
	add_generation(committed->answer, result->generation);
	json_object_set_new(committed->answer, "active", json_boolean(result->active));
	if (!result->active)
		json_object_set_new(
			committed->answer, "late_worker", json_integer(result->late_worker));
	if (control->keeper)
		sg_keeper_wait(
			control->keeper, result->generation, answer_kept, committed, sg_clock_ms());
	else
		return_committed(committed);
}

// Flows that end with a change, beside what it changes of the state.
static void describe_ends(struct sg_history_entry *entry, const struct sg_edit *edit)
{
	const struct sg_rollout_end *end = edit->ends;
	char address[SG_ADDR_TEXT_BYTES];
	size_t used = strlen(entry->summary);

	if (edit->n_ends == 0)
		return;
	snprintf(entry->summary + used, sizeof(entry->summary) - used,
		"%s%s: connections of %s port %u ended%s", used ? ", " : "", end->service,
		sg_addr_format(&end->address, address), end->port,
		edit->n_ends > 1 ? " and more" : "");
	if (!entry->owner[0]) {
		const struct sg_service_spec *spec = sg_state_find(&edit->state, end->service);

		snprintf(entry->owner, sizeof(entry->owner), "%s", spec ? spec->owner : "");
	}
}

static int describe_entry(struct sg_change *change)
{
	struct sg_history_entry *entry = &change->entry;

	*entry = (struct sg_history_entry){
		.uid = change->call->peer.uid, .pid = change->call->peer.pid};
	snprintf(entry->verb, sizeof(entry->verb), "%s", change->command->method);
	if (sg_history_describe(entry, change->before, &change->edit.state) < 0)
		return -ENOMEM;
	describe_ends(entry, &change->edit);
	return 0;
}

// Any verb may be tried: takes "dry_run" out of its params, which are the request's own.
static int take_dry_run(
	const struct sg_command *command, json_t *params, bool *ret_dry_run, struct sg_error *error)
{
	const json_t *value = command->in_batch ? json_object_get(params, "dry_run") : NULL;

	*ret_dry_run = json_is_true(value);
	if (value && !json_is_boolean(value))
		return sg_json_refuse(command->method, "dry_run", error,
			"must be true or false, not %s", sg_json_kind(value));
	if (value)
		json_object_del(params, "dry_run");
	return 0;
}

// Makes the candidate, checks it and says what it would do. This or the helper's thread: the
// rollout stays as it is meanwhile.
static int make(struct sg_change *change)
{
	struct sg_control *control = change->control;
	json_t *params = (json_t *)change->call->request.params;
	struct sg_error *error = &change->error;
	bool dry_run = false;
	int err = take_dry_run(change->command, params, &dry_run, error);

	if (!err)
		err = change->command->edit(&change->edit, params, error);
	if (err)
		return err;
	change->edit.dry_run = change->edit.dry_run || dry_run;
	sg_edit_settle(&change->edit, change->before);
	err = sg_rollout_check(control->rollout, &change->edit.state, error);
	if (err)
		return err;
	change->answer = describe(change->before, &change->edit.state);
	if (!change->answer || (!change->edit.dry_run && describe_entry(change) < 0))
		return sg_error_set(error, -ENOMEM, "no memory is left for the answer");
	return 0;
}

static int open_change(struct sg_change *change)
{
	struct sg_control *control = change->control;
	int err;

	change->before = sg_rollout_state(control->rollout);
	err = sg_edit_init(&change->edit, change->before);
	if (err)
		sg_error_set(&change->error, err, "no memory is left for the change");
	change->edit.compiler = sg_rollout_compiler(control->rollout);
	change->edit.history = control->history;
	return err;
}

static bool changes_anything(const struct sg_change *change)
{
	return change->entry.n_changes > 0 || change->entry.policy_changed ||
	       change->edit.n_ends > 0;
}

// Of one whose call has been answered, or will be by others.
static void close_change(struct sg_change *change)
{
	sg_history_drop(&change->entry);
	json_decref(change->answer);
	sg_edit_fini(&change->edit);
}

static void refuse(struct sg_change *change, int err)
{
	sg_call_refuse_error(change->call, err, &change->error);
}

// It is committed, and `committed` answers for it: notes it in the history if it makes a
// generation.
static void note_committed(struct sg_change *change)
{
	struct sg_control *control = change->control;

	if (!changes_anything(change))
		return;
	change->entry.generation = sg_rollout_generation(control->rollout);
	sg_history_add(control->history, &change->entry);
	change->entry = (struct sg_history_entry){.n_changes = 0};
}

static struct committed *create_committed(struct sg_change *change)
{
	struct committed *committed = calloc(1, sizeof(*committed));

	if (!committed) {
		sg_error_set(&change->error, -ENOMEM, "no memory is left for the change");
		return NULL;
	}
	*committed = (struct committed){.call = change->call,
		.answer = json_incref(change->answer),
		.wait = change->edit.wait,
		.waited = change->edit.waited};
	return committed;
}

static void drop_committed(struct committed *committed)
{
	json_decref(committed->answer);
	free(committed);
}

// On success the call is the rollout's.
static int commit(struct sg_change *change)
{
	struct committed *committed = create_committed(change);
	int err;

	if (!committed)
		return -ENOMEM;
	err = sg_rollout_commit_checked(change->control->rollout, &change->edit.state,
		change->edit.ends, change->edit.n_ends, answer_commit, committed, sg_clock_ms(),
		&change->error);
	if (err)
		drop_committed(committed);
	else
		note_committed(change);
	return err;
}

// Says in what the candidate differs. On success the call is the listing's.
static int answer_dry_run(struct sg_change *change)
{
	struct sg_control *control = change->control;
	struct sg_listing *listing;
	int err = sg_listing_start(
		control, change->call, sg_difference_step, &listing, &change->error);

	if (err)
		return err;
	json_object_set_new(change->answer, "dry_run", json_true());
	add_generation(change->answer, sg_rollout_generation(control->rollout));
	listing->head = json_incref(change->answer);
	listing->text.failed = sg_state_clone(&listing->before, change->before) < 0;
	listing->after = change->edit.state;
	sg_state_init(&change->edit.state);
	return 0;
}

static void run_here(struct sg_change *change)
{
	int err = open_change(change);

	if (!err)
		err = make(change);
	if (!err)
		err = change->edit.dry_run ? answer_dry_run(change) : commit(change);
	if (err)
		refuse(change, err);
	close_change(change);
}

// --- large ones

static void hold_connection(const struct sg_call *call)
{
	struct sg_server *server = sg_control_server_of(call->control, call->connection);

	if (server)
		sg_server_hold(server, call->connection);
}

static void let_connection_go(struct sg_control *control, uint64_t connection, uint64_t used_ns)
{
	struct sg_server *server = sg_control_server_of(control, connection);

	if (server)
		sg_server_go_on(server, connection, used_ns);
}

// The change in hand is over. `err`: its call is still to be answered.
static void end(struct sg_change *change, int err)
{
	struct sg_control *control = change->control;
	uint64_t connection = change->call->connection;

	control->changes.in_hand = NULL;
	if (err)
		refuse(change, err);
	let_connection_go(control, connection, sg_clock_ns() - change->begun_ns);
	close_change(change);
	free(change);
}

static void compile_it(void *job)
{
	sg_rollout_prepare(((struct sg_change *)job)->control->rollout);
}

static void on_compiled(void *job)
{
	struct sg_change *change = job;
	int err = sg_rollout_conclude(
		change->control->rollout, answer_commit, change->committed, &change->error);

	if (err)
		drop_committed(change->committed);
	else
		note_committed(change);
	end(change, err);
}

static void make_it(void *job)
{
	struct sg_change *change = job;

	change->err = make(change);
}

static void on_made(void *job)
{
	struct sg_change *change = job;
	struct sg_rollout *rollout = change->control->rollout;
	int err = change->err;

	if (!err && !change->edit.dry_run && changes_anything(change)) {
		change->committed = create_committed(change);
		err = change->committed ? 0 : -ENOMEM;
	}
	if (change->committed) {
		sg_rollout_begin(rollout, &change->edit.state, change->edit.ends,
			change->edit.n_ends, sg_clock_ms());
		sg_helper_start(change->control->helper, compile_it, on_compiled, change);
		return;
	}
	sg_rollout_release(rollout);
	if (!err)
		err = change->edit.dry_run ? answer_dry_run(change) : commit(change);
	end(change, err);
}

// Gives a change to the helper, the rollout being held.
static void hand_over(struct sg_change *change)
{
	int err = open_change(change);

	change->control->changes.in_hand = change;
	hold_connection(change->call);
	if (err) {
		sg_rollout_release(change->control->rollout);
		end(change, err);
		return;
	}
	sg_helper_start(change->control->helper, make_it, on_made, change);
}

static bool is_large(const struct sg_change *change)
{
	return change->command->large || change->call->is_long;
}

// --- waiting

static void wait(struct sg_change *change)
{
	struct sg_changes *changes = &change->control->changes;

	hold_connection(change->call);
	change->next = NULL;
	*changes->last = change;
	changes->last = &change->next;
}

static struct sg_change *take_first(struct sg_changes *changes)
{
	struct sg_change *change = changes->first;

	changes->first = change->next;
	if (!changes->first)
		changes->last = &changes->first;
	return change;
}

static void run_waiting(struct sg_change *change)
{
	struct sg_control *control = change->control;
	uint64_t connection = change->call->connection;

	run_here(change);
	let_connection_go(control, connection, 0);
	free(change);
}

bool sg_change_is_in_hand(const struct sg_control *control)
{
	return control->changes.in_hand || control->reload.in_hand;
}

bool sg_change_is_waiting(const struct sg_control *control)
{
	return sg_change_is_in_hand(control) || control->changes.first || control->reload.due;
}

bool sg_change_turn(struct sg_control *control, uint64_t now_ms)
{
	struct sg_changes *changes = &control->changes;
	uint64_t end_ns = sg_clock_ns() + TURN_US * 1000;

	sg_reload_turn(control, now_ms);
	while (changes->first && !sg_change_is_in_hand(control)) {
		struct sg_change *first = changes->first;

		if (sg_helper_is_busy(control->helper) && is_large(first))
			return false;
		if (is_large(first) && sg_rollout_hold(control->rollout))
			hand_over(take_first(changes));
		else if (is_large(first) && now_ms < first->deadline_ms)
			return false;
		else
			run_waiting(take_first(changes));
		if (sg_clock_ns() >= end_ns)
			return changes->first != NULL && !sg_change_is_in_hand(control);
	}
	return false;
}

void sg_change_run(
	struct sg_control *control, struct sg_call *call, const struct sg_command *command)
{
	struct sg_changes *changes = &control->changes;
	struct sg_change *change = calloc(1, sizeof(*change));

	if (!change) {
		sg_call_refuse(call, SG_REQUEST_FAILED, "no memory is left for the change");
		return;
	}
	*change = (struct sg_change){.control = control,
		.call = call,
		.command = command,
		.begun_ns = sg_clock_ns(),
		.deadline_ms = sg_clock_ms() + SG_ROLLOUT_ANSWER_MS};
	if (sg_change_is_in_hand(control) || changes->first || is_large(change)) {
		wait(change);
		return;
	}
	run_here(change);
	free(change);
}

void sg_change_cancel(struct sg_control *control)
{
	struct sg_changes *changes = &control->changes;

	if (changes->in_hand) {
		if (changes->in_hand->committed)
			drop_committed(changes->in_hand->committed);
		sg_error_set(&changes->in_hand->error, -ECANCELED, "stormgate is stopping");
		end(changes->in_hand, -ECANCELED);
	}
	while (changes->first) {
		struct sg_change *change = take_first(changes);

		sg_call_refuse(change->call, SG_REQUEST_REFUSED, "stormgate is stopping");
		free(change);
	}
}
