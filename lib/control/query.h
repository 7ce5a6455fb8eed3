// Methods that only look: their answers are what other programs read, so members are added but
// never renamed.
#pragma once

#include <jansson.h>

#include "base/error.h"

struct sg_control;

// Returns 0 and the result (NULL there: no memory), or -EBADMSG, -ENOENT, -EINVAL with a sentence.
typedef int sg_query_fn(const struct sg_control *control, const json_t *params, json_t **ret_result,
	struct sg_error *error);

sg_query_fn sg_query_hello;        // {"name", "version", "protocol", "instance"}
sg_query_fn sg_query_status;       // {"version", "instance", "generation", "uptime_s", "workers",
				   // "services", "flows"}
sg_query_fn sg_query_service_list; // {"services": [...]}, each as in `export` and its "owner"
sg_query_fn sg_query_service_show; // one of these
sg_query_fn sg_query_export;       // the params of an `apply`, and "other_owners"
sg_query_fn sg_query_stats;        // all counters
sg_query_fn sg_query_drops;        // {"drops": [{"name", "count", "meaning"}]}
