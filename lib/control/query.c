// Who we are and how we fare, see query.h.
#include "control/query.h"

#include "base/clock.h"
#include "control/control_internal.h"
#include "control/json_reader.h"

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
	if (*ret_result && control->keeper) {
		json_object_set_new(
			*ret_result, "state_file", json_string(control->settings->state_file));
		json_object_set_new(
			*ret_result, "persisted", json_boolean(sg_keeper_is_well(control->keeper)));
	}
	return 0;
}
