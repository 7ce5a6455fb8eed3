// Who we are and what was asked of us, see query.h.
#include "control/query.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "control/control_internal.h"
#include "control/edit.h"
#include "control/json_reader.h"
#include "control/spec_json.h"

#define PROTOCOL_VERSION 1

static const struct sg_json_member no_members[] = {SG_JSON_END};

static int refuse_params(const json_t *params, const char *method, struct sg_error *error)
{
	return sg_json_read_members(no_members, params, true, NULL, method, error);
}

int sg_query_hello(const struct sg_control *control, const json_t *params, json_t **ret_result,
	struct sg_error *error)
{
	int err = refuse_params(params, "hello", error);

	if (err)
		return err;
	*ret_result = json_pack("{s:s, s:s, s:i, s:s}", "name", "stormgate", "version", SG_VERSION,
		"protocol", PROTOCOL_VERSION, "instance", control->settings->instance);
	return 0;
}

int sg_query_status(const struct sg_control *control, const json_t *params, json_t **ret_result,
	struct sg_error *error)
{
	const struct sg_state *state = sg_rollout_state(control->rollout);
	int err = refuse_params(params, "status", error);

	if (err)
		return err;
	*ret_result = json_pack("{s:s, s:s, s:I, s:I, s:i, s:i, s:I}", "version", SG_VERSION,
		"instance", control->settings->instance, "generation",
		(json_int_t)sg_rollout_snapshot(control->rollout)->generation, "uptime_s",
		(json_int_t)((sg_clock_ms() - control->started_ms) / 1000), "workers",
		(int)control->publisher->n_workers, "services", (int)state->n_services, "flows",
		(json_int_t)sg_statistics_flows(control->statistics));
	return 0;
}

static json_t *service_to_json(const struct sg_service_spec *spec)
{
	json_t *object = sg_spec_to_json(spec);

	if (object)
		json_object_set_new(object, "owner", json_string(spec->owner));
	return object;
}

int sg_query_service_list(const struct sg_control *control, const json_t *params,
	json_t **ret_result, struct sg_error *error)
{
	const struct sg_state *state = sg_rollout_state(control->rollout);
	int err = refuse_params(params, "service list", error);
	json_t *services;

	if (err)
		return err;
	services = json_array();
	for (unsigned i = 0; i < state->n_services; i++)
		json_array_append_new(services, service_to_json(state->services[i]));
	*ret_result = json_pack("{s:o}", "services", services);
	return 0;
}

static const struct sg_json_member show_members[] = {
	SG_JSON_MEMBER("name", sg_json_read_string, .max = SG_MAX_NAME_BYTES, .required = true),
	SG_JSON_END,
};

int sg_query_service_show(const struct sg_control *control, const json_t *params,
	json_t **ret_result, struct sg_error *error)
{
	char name[SG_MAX_NAME_BYTES];
	const struct sg_service_spec *spec;
	int err = sg_json_read_members(show_members, params, true, name, "service show", error);

	if (err)
		return err;
	spec = sg_state_find(sg_rollout_state(control->rollout), name);
	if (!spec)
		return sg_error_set(error, -ENOENT, "no service is named '%s'", name);
	*ret_result = service_to_json(spec);
	return 0;
}

static bool owns_any(const struct sg_state *state, const char *owner)
{
	for (unsigned i = 0; i < state->n_services; i++) {
		if (strcmp(state->services[i]->owner, owner) == 0)
			return true;
	}
	return false;
}

// Whose services an export without an owner prints: the operator's, or of those that have any, the
// first.
static const char *choose_owner(const struct sg_state *state)
{
	if (state->n_services == 0 || owns_any(state, SG_EDIT_DEFAULT_OWNER))
		return SG_EDIT_DEFAULT_OWNER;
	return state->services[0]->owner;
}

static bool contains(const json_t *strings, const char *text)
{
	size_t i;
	json_t *value;

	json_array_foreach((json_t *)strings, i, value)
	{
		if (strcmp(json_string_value(value), text) == 0)
			return true;
	}
	return false;
}

static const struct sg_json_member export_members[] = {
	SG_JSON_MEMBER("owner", sg_json_read_string, .max = SG_MAX_NAME_BYTES),
	SG_JSON_END,
};

int sg_query_export(const struct sg_control *control, const json_t *params, json_t **ret_result,
	struct sg_error *error)
{
	const struct sg_state *state = sg_rollout_state(control->rollout);
	char given[SG_MAX_NAME_BYTES] = "";
	const char *owner = given;
	json_t *services, *others;
	int err = sg_json_read_members(export_members, params, true, given, "export", error);

	if (err)
		return err;
	if (!given[0])
		owner = choose_owner(state);
	services = json_array();
	others = json_array();
	for (unsigned i = 0; i < state->n_services; i++) {
		const struct sg_service_spec *spec = state->services[i];

		if (strcmp(spec->owner, owner) == 0)
			json_array_append_new(services, sg_spec_to_json(spec));
		else if (!contains(others, spec->owner))
			json_array_append_new(others, json_string(spec->owner));
	}
	*ret_result = json_pack(
		"{s:s, s:o, s:o}", "owner", owner, "services", services, "other_owners", others);
	return 0;
}
