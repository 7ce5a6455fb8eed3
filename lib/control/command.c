// The table of methods and the way of a request through it, see command.h.
#include "control/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/control_internal.h"
#include "control/edit.h"
#include "control/json_reader.h"
#include "control/query.h"
#include "service/state_diff.h"
#include "service/validate.h"

struct command {
	const char *method;
	// One of these.
	sg_query_fn *query;
	sg_edit_fn *edit;
	sg_list_fn *list;
	bool in_batch; // may stand in a `change`
};

static sg_edit_fn edit_change;

// clang-format off
static const struct command commands[] = {
	{.method = "hello", .query = sg_query_hello},
	{.method = "status", .query = sg_query_status},
	{.method = "service list", .list = sg_query_service_list},
	{.method = "service show", .list = sg_query_service_show},
	{.method = "service add", .edit = sg_edit_service_add, .in_batch = true},
	{.method = "service set", .edit = sg_edit_service_set, .in_batch = true},
	{.method = "service delete", .edit = sg_edit_service_delete, .in_batch = true},
	{.method = "backend add", .edit = sg_edit_backend_add, .in_batch = true},
	{.method = "backend set", .edit = sg_edit_backend_set, .in_batch = true},
	{.method = "backend drain", .edit = sg_edit_backend_drain, .in_batch = true},
	{.method = "backend delete", .edit = sg_edit_backend_delete, .in_batch = true},
	{.method = "policy show", .query = sg_query_policy_show},
	{.method = "policy set", .edit = sg_edit_policy_set, .in_batch = true},
	{.method = "apply", .edit = sg_edit_apply},
	{.method = "rollback", .edit = sg_edit_rollback},
	{.method = "history", .list = sg_query_history},
	{.method = "change", .edit = edit_change},
	{.method = "export", .list = sg_query_export},
	{.method = "flows", .list = sg_query_flows},
	{.method = "stats", .list = sg_query_stats},
	{.method = "explain", .query = sg_query_explain},
	{.method = "drops", .query = sg_query_drops},
};
// clang-format on

// "service.add" is "service add".
static bool same_method(const char *method, const char *given)
{
	for (; *method && (*method == *given || (*method == ' ' && *given == '.')); given++)
		method++;
	return *method == *given;
}

static const struct command *find_command(const char *method)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (same_method(commands[i].method, method))
			return &commands[i];
	}
	return NULL;
}

static int code_of(int err)
{
	if (err == -EBADMSG)
		return SG_REQUEST_BAD_PARAMS;
	return err == -ENOMEM ? SG_REQUEST_FAILED : SG_REQUEST_REFUSED;
}

struct change_params {
	const json_t *changes;
	bool dry_run;
};

struct batch_item {
	char method[32];
	const json_t *params;
};

// clang-format off
#define CHANGE(field) .offset = offsetof(struct change_params, field)
static const struct sg_json_member change_members[] = {
	SG_JSON_MEMBER("changes", sg_json_read_array, CHANGE(changes), .required = true),
	SG_JSON_MEMBER("dry_run", sg_json_read_bool, CHANGE(dry_run)),
	SG_JSON_END,
};

#define ITEM(field) .offset = offsetof(struct batch_item, field)
static const struct sg_json_member item_members[] = {
	SG_JSON_MEMBER("method", sg_json_read_string, ITEM(method), .max = 32, .required = true),
	SG_JSON_MEMBER("params", sg_json_read_object, ITEM(params), .required = true),
	SG_JSON_END,
};
// clang-format on

static int edit_one(
	struct sg_edit *edit, const json_t *object, const char *where, struct sg_error *error)
{
	const struct command *command;
	struct batch_item item;
	struct sg_error inner;
	int err;

	if (!json_is_object(object))
		return sg_json_refuse(
			where, "it", error, "must be an object with method and params");
	err = sg_json_read_members(item_members, object, true, &item, where, error);
	if (err)
		return err;
	command = find_command(item.method);
	if (!command || !command->in_batch)
		return sg_json_refuse(where, item.method, error,
			"is no verb that changes a service, a backend or the policy");
	err = command->edit(edit, item.params, &inner);
	if (!err && edit->wait)
		return sg_json_refuse(where, "wait", error, "is not possible in a batch");
	return err ? sg_error_set(error, err, "%s: %s", where, inner.text) : 0;
}

// {"changes": [{"method", "params"}, ...], "dry_run"}: all of them or none.
static int edit_change(struct sg_edit *edit, const json_t *params, struct sg_error *error)
{
	struct change_params change = {0};
	char where[40];
	int err = sg_json_read_members(change_members, params, true, &change, "change", error);

	for (size_t i = 0; !err && i < json_array_size(change.changes); i++) {
		snprintf(where, sizeof(where), "changes[%zu]", i);
		err = edit_one(edit, json_array_get(change.changes, i), where, error);
	}
	edit->dry_run = change.dry_run;
	return err;
}

static void add_warning(void *warnings, int line, const char *text)
{
	(void)line; // of the config file, which is not what is being talked about
	json_array_append_new(warnings, json_string(text));
}

// What a candidate would do and what is odd about it: the part of the answer that is known before
// it is committed.
static json_t *describe(const struct sg_state *before, const struct sg_state *after)
{
	struct sg_state_change change = sg_state_count_changes(before, after);
	json_t *warnings = json_array();

	sg_validate_state_warnings(after, before, add_warning, warnings);
	return json_pack("{s:{s:i, s:i, s:i}, s:b, s:o}", "services", "added", (int)change.added,
		"changed", (int)change.changed, "removed", (int)change.removed, "policy",
		!sg_shared_policy_equal(before->policy, after->policy), "warnings", warnings);
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
		sg_call_refuse(call, code_of(result->err), "%s", result->error.text);
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

static int describe_entry(struct sg_history_entry *entry, const struct sg_control *control,
	const struct sg_call *call, const struct sg_edit *edit)
{
	*entry = (struct sg_history_entry){.uid = call->peer.uid, .pid = call->peer.pid};
	snprintf(
		entry->verb, sizeof(entry->verb), "%s", find_command(call->request.method)->method);
	if (sg_history_describe(entry, sg_rollout_state(control->rollout), &edit->state) < 0)
		return -ENOMEM;
	describe_ends(entry, edit);
	return 0;
}

// Commits, and notes it in the history if it makes a generation.
static int commit_noted(struct sg_control *control, struct sg_call *call, struct sg_edit *edit,
	struct committed *committed, struct sg_error *error)
{
	struct sg_history_entry entry;
	bool changes;
	int err = describe_entry(&entry, control, call, edit);

	if (err)
		return sg_error_set(error, err, "no memory is left for the history");
	changes = entry.n_changes > 0 || entry.policy_changed || edit->n_ends > 0;
	err = sg_rollout_commit(control->rollout, &edit->state, edit->ends, edit->n_ends,
		answer_commit, committed, sg_clock_ms(), error);
	entry.generation = sg_rollout_generation(control->rollout);
	if (err || !changes)
		sg_history_drop(&entry);
	else
		sg_history_add(control->history, &entry);
	return err;
}

// Takes over `answer` and, on success, the call.
static int commit(struct sg_control *control, struct sg_call *call, struct sg_edit *edit,
	json_t *answer, struct sg_error *error)
{
	struct committed *committed = calloc(1, sizeof(*committed));
	int err;

	if (!committed) {
		json_decref(answer);
		return sg_error_set(error, -ENOMEM, "no memory is left for the change");
	}
	*committed = (struct committed){
		.call = call, .answer = answer, .wait = edit->wait, .waited = edit->waited};
	err = commit_noted(control, call, edit, committed, error);
	if (err) {
		json_decref(answer);
		free(committed);
	}
	return err;
}

// Validates, and says in what the candidate differs. Takes over `answer` and, on success, the call.
static int answer_dry_run(struct sg_control *control, struct sg_call *call, struct sg_edit *edit,
	json_t *answer, struct sg_error *error)
{
	struct sg_listing *listing;
	int err = sg_rollout_check(control->rollout, &edit->state, error);

	if (!err)
		err = sg_listing_start(control, call, sg_difference_step, &listing, error);
	if (err) {
		json_decref(answer);
		return err;
	}
	json_object_set_new(answer, "dry_run", json_true());
	add_generation(answer, sg_rollout_generation(control->rollout));
	listing->head = answer;
	listing->text.failed =
		sg_state_clone(&listing->before, sg_rollout_state(control->rollout)) < 0;
	listing->after = edit->state;
	sg_state_init(&edit->state);
	return 0;
}

// Answers a dry run, or commits and lets the rollout answer. On failure the call is still the
// caller's.
static int conclude(struct sg_control *control, struct sg_call *call, struct sg_edit *edit,
	struct sg_error *error)
{
	struct sg_rollout *rollout = control->rollout;
	json_t *answer;

	sg_edit_settle(edit, sg_rollout_state(rollout));
	answer = describe(sg_rollout_state(rollout), &edit->state);
	if (!answer)
		return sg_error_set(error, -ENOMEM, "no memory is left for the answer");
	return edit->dry_run ? answer_dry_run(control, call, edit, answer, error)
			     : commit(control, call, edit, answer, error);
}

// Any verb may be tried: takes "dry_run" out of its params, which are the request's own.
static int take_dry_run(
	const struct command *command, json_t *params, bool *ret_dry_run, struct sg_error *error)
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

static void run_edit(
	struct sg_control *control, struct sg_call *call, const struct command *command)
{
	json_t *params = (json_t *)call->request.params;
	struct sg_edit edit;
	struct sg_error error;
	bool dry_run = false;
	int err = sg_edit_init(&edit, sg_rollout_state(control->rollout));

	edit.compiler = sg_rollout_compiler(control->rollout);
	edit.history = control->history;
	if (err)
		sg_error_set(&error, err, "no memory is left for the change");
	else
		err = take_dry_run(command, params, &dry_run, &error);
	if (!err)
		err = command->edit(&edit, params, &error);
	edit.dry_run = edit.dry_run || dry_run;
	if (!err)
		err = conclude(control, call, &edit, &error);
	if (err)
		sg_call_refuse(call, code_of(err), "%s", error.text);
	sg_edit_fini(&edit);
}

static void run_query(struct sg_control *control, struct sg_call *call, sg_query_fn *function)
{
	struct sg_error error;
	json_t *result = NULL;
	int err = function(control, call->request.params, &result, &error);

	if (err)
		sg_call_refuse(call, code_of(err), "%s", error.text);
	else
		sg_call_return(call, result);
}

static void run_list(struct sg_control *control, struct sg_call *call, sg_list_fn *function)
{
	struct sg_error error;
	int err = function(control, call, &error);

	if (err)
		sg_call_refuse(call, code_of(err), "%s", error.text);
}

static void run(struct sg_control *control, struct sg_call *call)
{
	const struct command *command = find_command(call->request.method);

	if (!command)
		sg_call_refuse(call, SG_REQUEST_UNKNOWN_METHOD, "there is no method \"%.60s\"",
			call->request.method);
	else if (command->edit && (call->connection & SG_CONTROL_MONITOR))
		sg_call_refuse(call, SG_REQUEST_REFUSED,
			"\"%s\" changes something, and this socket only answers questions: use %s",
			command->method, control->settings->socket_path);
	else if (command->query)
		run_query(control, call, command->query);
	else if (command->list)
		run_list(control, call, command->list);
	else
		run_edit(control, call, command);
}

void sg_command_handle(struct sg_control *control, uint64_t connection, const struct sg_peer *peer,
	const char *line, size_t length)
{
	struct sg_call *call = calloc(1, sizeof(*call));
	char message[300];
	int code;

	if (!call) {
		struct sg_text text = {.failed = true};

		control->answer(control->answer_context, connection, &text);
		return;
	}
	call->control = control;
	call->connection = connection;
	call->peer = *peer;
	code = sg_request_parse(&call->request, line, length, message, sizeof(message));
	if (code)
		sg_call_refuse(call, code, "%s", message);
	else
		run(control, call);
}
