// The table of methods and the way of a request through it, see command.h.
#include "control/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/control_internal.h"
#include "control/json_reader.h"

static sg_edit_fn edit_change;

// clang-format off
static const struct sg_command commands[] = {
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
	{.method = "apply", .edit = sg_edit_apply, .large = true},
	{.method = "rollback", .edit = sg_edit_rollback, .large = true},
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

static const struct sg_command *find_command(const char *method)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (same_method(commands[i].method, method))
			return &commands[i];
	}
	return NULL;
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
	const struct sg_command *command;
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

static void run_query(struct sg_control *control, struct sg_call *call, sg_query_fn *function)
{
	struct sg_error error;
	json_t *result = NULL;
	int err = function(control, call->request.params, &result, &error);

	if (err)
		sg_call_refuse_error(call, err, &error);
	else
		sg_call_return(call, result);
}

static void run_list(struct sg_control *control, struct sg_call *call, sg_list_fn *function)
{
	struct sg_error error;
	int err = function(control, call, &error);

	if (err)
		sg_call_refuse_error(call, err, &error);
}

static void run(struct sg_control *control, struct sg_call *call)
{
	const struct sg_command *command = find_command(call->request.method);

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
		sg_change_run(control, call, command);
}

static struct sg_call *create_call(
	struct sg_control *control, uint64_t connection, const struct sg_peer *peer)
{
	struct sg_call *call = calloc(1, sizeof(*call));

	if (!call) {
		struct sg_text text = {.failed = true};

		control->answer(control->answer_context, connection, &text);
		return NULL;
	}
	call->control = control;
	call->connection = connection;
	call->peer = *peer;
	return call;
}

void sg_command_handle(struct sg_control *control, uint64_t connection, const struct sg_peer *peer,
	const char *line, size_t length)
{
	struct sg_call *call = create_call(control, connection, peer);
	char message[300];
	int code;

	if (!call)
		return;
	code = sg_request_parse(&call->request, line, length, message, sizeof(message));
	if (code)
		sg_call_refuse(call, code, "%s", message);
	else
		run(control, call);
}

// A long line that the helper reads.
struct reading {
	struct sg_call *call;
	char *buffer;
	const char *line;
	size_t length;
	uint64_t begun_ns;
	int code;
	char message[300];
};

static void read_it(void *job)
{
	struct reading *reading = job;

	reading->code = sg_request_parse(&reading->call->request, reading->line, reading->length,
		reading->message, sizeof(reading->message));
	free(reading->buffer);
}

static void on_read(void *job)
{
	struct reading *reading = job;
	struct sg_call *call = reading->call;
	struct sg_control *control = call->control;
	struct sg_server *server = sg_control_server_of(control, call->connection);

	control->reading = NULL;
	// Before it runs: what changes something may hold the connection further on.
	if (server)
		sg_server_go_on(server, call->connection, sg_clock_ns() - reading->begun_ns);
	if (reading->code)
		sg_call_refuse(call, reading->code, "%s", reading->message);
	else
		run(control, call);
	free(reading);
}

void sg_command_handle_long(struct sg_control *control, uint64_t connection,
	const struct sg_peer *peer, char *buffer, const char *line, size_t length)
{
	struct sg_call *call = create_call(control, connection, peer);
	struct reading *reading = call ? malloc(sizeof(*reading)) : NULL;
	struct sg_server *server = sg_control_server_of(control, connection);

	if (!reading) {
		free(buffer);
		if (call)
			sg_call_refuse(call, SG_REQUEST_FAILED, "no memory is left for the line");
		return;
	}
	call->is_long = true;
	*reading = (struct reading){.call = call,
		.buffer = buffer,
		.line = line,
		.length = length,
		.begun_ns = sg_clock_ns()};
	control->reading = reading;
	if (server)
		sg_server_hold(server, connection);
	sg_helper_start(control->helper, read_it, on_read, reading);
}

void sg_command_cancel(struct sg_control *control)
{
	struct reading *reading = control->reading;

	control->reading = NULL;
	if (!reading)
		return;
	sg_call_refuse(reading->call, SG_REQUEST_REFUSED, "stormgate is stopping");
	free(reading);
}
