// Counters as JSON, see query.h.
#include "control/control_internal.h"
#include "control/json_reader.h"
#include "control/query.h"
#include "control/spec_json.h"

static const struct sg_json_member no_members[] = {SG_JSON_END};

static void set_number(json_t *object, const char *name, uint64_t number)
{
	json_object_set_new(object, name, json_integer((json_int_t)number));
}

// Every reason, those without a packet, too: programs that read it find each name from the start.
static json_t *drops_by_name(const struct sg_statistics_packets *packets)
{
	json_t *drops = json_object();

	for (unsigned drop = 1; drop < SG_DROP_COUNT; drop++)
		set_number(drops, sg_drop_name((enum sg_drop)drop), packets->dropped[drop]);
	return drops;
}

static json_t *packets_to_json(const struct sg_statistics_packets *packets)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "received",
		(json_int_t)packets->received, "generated", (json_int_t)packets->generated,
		"forwarded", (json_int_t)packets->forwarded, "punted", (json_int_t)packets->punted,
		"consumed", (json_int_t)packets->consumed, "in_flight",
		(json_int_t)packets->in_flight, "dropped", drops_by_name(packets));
}

// One thread: the same as the whole, the hand-offs that close its own account, and how its loop
// fares.
static json_t *thread_to_json(const struct sg_control *control, unsigned thread)
{
	const struct sg_counters *counters = control->publisher->counters[thread].totals;
	struct sg_statistics_packets packets;
	json_t *object;

	sg_statistics_thread(control->statistics, thread, &packets);
	object = packets_to_json(&packets);
	set_number(object, "handed_in", packets.handed_in);
	set_number(object, "handed_out", packets.handed_out);
	set_number(object, "turns", sg_counter_read(&counters->turns));
	set_number(object, "sleeps", sg_counter_read(&counters->sleeps));
	return object;
}

static json_t *worker_to_json(const struct sg_control *control, unsigned worker)
{
	const struct sg_counters *counters = control->publisher->counters[worker].totals;
	json_t *object = thread_to_json(control, worker);

	set_number(object, "worker", worker);
	set_number(object, "flows", sg_counter_read(&counters->flows));
	set_number(object, "embryos", sg_counter_read(&counters->embryos));
	set_number(object, "new_flows", sg_counter_read(&counters->flows_created));
	set_number(object, "ended_flows", sg_counter_read(&counters->flows_ended));
	set_number(object, "embryos_recycled", sg_counter_read(&counters->embryos_recycled));
	set_number(object, "generation", sg_counter_read(&counters->generation));
	set_number(object, "stolen_gaps", sg_counter_read(&counters->stolen_gaps));
	set_number(object, "stolen_max_us", sg_counter_read(&counters->stolen_max_us));
	return object;
}

// Only of what was lost: there may be many backends.
static json_t *losses_by_name(const uint64_t losses[SG_SERVICE_DROP_COUNT])
{
	json_t *object = json_object();

	for (unsigned i = 1; i < SG_SERVICE_DROP_COUNT; i++)
		if (losses[i] > 0)
			set_number(object, sg_drop_name((enum sg_drop)sg_service_drop_reasons[i]),
				losses[i]);
	return object;
}

static void add_traffic(json_t *object, const struct sg_statistics_traffic *traffic)
{
	set_number(object, "flows", traffic->flows);
	set_number(object, "new_flows", traffic->new_flows);
	set_number(object, "packets_to_backend", traffic->packets_to_backend);
	set_number(object, "bytes_to_backend", traffic->bytes_to_backend);
	set_number(object, "packets_to_client", traffic->packets_to_client);
	set_number(object, "bytes_to_client", traffic->bytes_to_client);
	set_number(object, "dropped", traffic->dropped);
	json_object_set_new(object, "dropped_to_backend", losses_by_name(traffic->losses[0]));
	json_object_set_new(object, "dropped_to_client", losses_by_name(traffic->losses[1]));
}

json_t *sg_stats_of_backend(struct sg_control *control, const struct sg_service_spec *spec,
	const struct sg_backend_spec *backend)
{
	const struct sg_compiler *compiler = sg_rollout_compiler(control->rollout);
	uint32_t slot = sg_compiler_find_backend_slot(
		compiler, spec->name, &backend->address, backend->port);
	struct sg_statistics_traffic traffic = {0};
	json_t *object = sg_backend_to_json(backend);

	// A change that still waits for its turn has no slot, and no traffic.
	if (slot != UINT32_MAX)
		sg_statistics_backend(control->statistics, slot, &traffic);
	add_traffic(object, &traffic);
	return object;
}

json_t *sg_stats_of_service(struct sg_control *control, const struct sg_service_spec *spec)
{
	uint32_t slot =
		sg_compiler_find_service_slot(sg_rollout_compiler(control->rollout), spec->name);
	struct sg_statistics_traffic traffic = {0};
	json_t *object = json_pack("{s:s}", "name", spec->name);

	if (slot != UINT32_MAX)
		sg_statistics_service(control->statistics, slot, &traffic);
	add_traffic(object, &traffic);
	return object;
}

json_t *sg_stats_of_packets(struct sg_control *control)
{
	unsigned n_workers = control->publisher->n_workers;
	struct sg_statistics_packets all;
	json_t *object, *workers;

	sg_statistics_all(control->statistics, &all);
	object = packets_to_json(&all);
	workers = json_array();
	for (unsigned worker = 0; worker < n_workers; worker++)
		json_array_append_new(workers, worker_to_json(control, worker));
	json_object_set_new(object, "workers", workers);
	json_object_set_new(object, "twin", thread_to_json(control, n_workers));
	return object;
}

int sg_query_drops(const struct sg_control *control, const json_t *params, json_t **ret_result,
	struct sg_error *error)
{
	struct sg_statistics_packets all;
	json_t *drops;
	int err = sg_json_read_members(no_members, params, true, NULL, "drops", error);

	if (err)
		return err;
	sg_statistics_all(control->statistics, &all);
	drops = json_array();
	for (unsigned drop = 1; drop < SG_DROP_COUNT; drop++)
		json_array_append_new(drops,
			json_pack("{s:s, s:I, s:s}", "name", sg_drop_name((enum sg_drop)drop),
				"count", (json_int_t)all.dropped[drop], "meaning",
				sg_drop_meaning((enum sg_drop)drop)));
	*ret_result = json_pack("{s:o}", "drops", drops);
	return 0;
}
