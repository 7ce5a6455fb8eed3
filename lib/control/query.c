// Who we are and how we fare, see query.h.
#include <stdio.h>
#include <unistd.h>

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

// Pages of the process, as the kernel counts them.
static uint64_t resident_bytes(void)
{
	unsigned long long size, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file)
		return 0;
	if (fscanf(file, "%llu %llu", &size, &resident) != 2)
		resident = 0;
	fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static json_t *average(uint64_t bytes, uint64_t n)
{
	return json_integer((json_int_t)(n ? bytes / n : 0));
}

// What one service, backend and generation takes, on average.
static void add_memory(const struct sg_control *control, json_t *object)
{
	const struct sg_memory *memory = sg_rollout_memory(control->rollout);

	json_object_set_new(object, "service_bytes", average(memory->services, memory->n_services));
	json_object_set_new(object, "backend_bytes", average(memory->backends, memory->n_backends));
	json_object_set_new(
		object, "generation_bytes", json_integer((json_int_t)memory->generation));
	json_object_set_new(object, "resident_bytes", json_integer((json_int_t)resident_bytes()));
	json_object_set_new(object, "longest_turn_us",
		json_integer((json_int_t)(sg_loop_longest_turn_ns(control->loop) / 1000)));
}

// What is served, but hardly as it is meant.
static json_t *list_warnings(const struct sg_control *control)
{
	const struct sg_local_vips *local = &control->local_vips;
	json_t *warnings = json_array();

	for (unsigned i = 0; i < local->n; i++) {
		char text[SG_LOCAL_VIP_TEXT_SIZE];

		json_array_append_new(
			warnings, json_string(sg_local_vip_describe(&local->found[i], text)));
	}
	if (local->n_more)
		json_array_append_new(warnings,
			json_sprintf(
				"%u more VIPs are addresses of this node's other interfaces, too",
				local->n_more));
	return warnings;
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
	if (*ret_result)
		add_memory(control, *ret_result);
	if (*ret_result)
		json_object_set_new(*ret_result, "warnings", list_warnings(control));
	if (*ret_result && control->keeper) {
		json_object_set_new(
			*ret_result, "state_file", json_string(control->settings->state_file));
		json_object_set_new(
			*ret_result, "persisted", json_boolean(sg_keeper_is_well(control->keeper)));
	}
	return 0;
}
