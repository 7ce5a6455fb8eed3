// Policies as JSON: the members `allow` and `deny`, of a service or of all.
//
// `"allow": null` stands for everyone, as its absence does; an array that is given takes the place
// of the one before. Control thread only.
#pragma once

#include "control/json_reader.h"
#include "service/policy.h"

// Readers whose field is a `struct sg_policy_spec`.
sg_json_read_fn sg_json_read_allow; // an array of prefixes, or null
sg_json_read_fn sg_json_read_deny;  // an array of prefixes, or null: none

// Adds the lists that say more than their defaults do.
void sg_policy_add_json(json_t *object, const struct sg_policy_spec *spec);
// The policy for all services, whole, as sg_policy_from_json reads it; NULL is the one by which
// everyone may.
json_t *sg_policy_to_json(const struct sg_shared_policy *policy);
// The policy for all services, over what there is. Errors: as sg_json_read_members.
int sg_policy_from_json(
	struct sg_shared_policy *policy, const json_t *object, struct sg_error *error);
