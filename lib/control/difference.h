// The exact difference between two desired states, for people and for programs.
//
// One object a service, in the order of names:
//
//     {"service":"web","owner":"operator","action":"changed",
//      "members":{"scheduler":{"before":"maglev","after":"rr"}},
//      "backends":[{"backend":"10.0.0.4:8080","action":"added","after":{...}},
//                  {"backend":"10.0.0.2:8080","action":"changed","before":{...},"after":{...}},
//                  {"backend":"10.0.0.3:8080","action":"removed","before":{...}}]}
//     {"service":"new","owner":"operator","action":"added","after":{...}}
//     {"service":"old","owner":"operator","action":"removed","before":{...}}
//
// and before them, where the policy for all services differs,
//
//     {"service":null,"owner":null,"action":"changed","members":{"deny":{...}},"backends":[]}
//
// A service or a backend is written as spec_json.h writes it; a member that one side lacks is null
// there. Control thread only.
#pragma once

#include <stddef.h>

#include <jansson.h>

#include "control/listing.h"
#include "service/state.h"

// `before` is NULL for a service that is new, `after` for one that is gone. NULL without memory.
json_t *sg_difference_of(const struct sg_service_spec *before, const struct sg_service_spec *after);

// Writes `listing->head`, then "difference" with everything between `listing->before` and
// `listing->after`, as one object.
sg_listing_step_fn sg_difference_step;

#define SG_DIFFERENCE_SUMMARY_BYTES 240

// What differs in one line, and whose services they are ("config,operator"); both end in "..."
// where there is more than fits.
void sg_difference_summarise(const struct sg_state *before, const struct sg_state *after,
	char ret_summary[SG_DIFFERENCE_SUMMARY_BYTES], char ret_owners[SG_MAX_NAME_BYTES]);
