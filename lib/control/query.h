// Methods that only look: their answers are what other programs read, so members are added but
// never renamed.
#pragma once

#include <stdint.h>

#include <jansson.h>

#include "base/error.h"

struct sg_call;
struct sg_control;
struct sg_backend_spec;
struct sg_service_spec;

// Returns 0 and the result (NULL there: no memory), or -EBADMSG, -ENOENT, -EINVAL with a sentence.
typedef int sg_query_fn(const struct sg_control *control, const json_t *params, json_t **ret_result,
	struct sg_error *error);

sg_query_fn sg_query_hello;  // {"name", "version", "protocol", "instance"}
sg_query_fn sg_query_status; // {"version", "instance", "generation", "uptime_s", "workers",
			     // "services", "flows"}
sg_query_fn sg_query_policy_show; // {"allow", "deny", "existing"}; "allow" null: everyone
sg_query_fn sg_query_drops;       // {"drops": [{"name", "count", "meaning"}]}

// {"forwarded", "end", "drop", "worker", "known", "service", "backend", "port",
//  "steps": [{"step", "what"}]}
sg_query_fn sg_query_explain;

// "established", "syn": a flow's state (enum sg_flow_state) for people.
const char *sg_flow_state_name(uint8_t state);

// Begins an answer that is written in steps, and takes over the call on success. Errors: as above.
typedef int sg_list_fn(struct sg_control *control, struct sg_call *call, struct sg_error *error);

sg_list_fn sg_query_service_list; // {"services": [...]}, each as in `export` and its "owner"
sg_list_fn sg_query_service_show; // one of these
sg_list_fn sg_query_export;       // the params of an `apply`, and "other_owners"
sg_list_fn sg_query_stats;        // all counters
sg_list_fn sg_query_history;      // {"history": [...]}, or one generation with its "difference"
sg_list_fn sg_query_flows;        // {"flows": [...], "more"}

// The parts of `stats`.
json_t *sg_stats_of_packets(struct sg_control *control);
json_t *sg_stats_of_service(struct sg_control *control, const struct sg_service_spec *spec);
json_t *sg_stats_of_backend(struct sg_control *control, const struct sg_service_spec *spec,
	const struct sg_backend_spec *backend);
