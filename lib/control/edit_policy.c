// The policy for all services: `policy set` and `policy show`, see edit.h and query.h.
#include <errno.h>

#include "control/control_internal.h"
#include "control/edit.h"
#include "control/json_reader.h"
#include "control/policy_json.h"
#include "control/query.h"

// clang-format off
#define POLICY(field) .offset = offsetof(struct sg_shared_policy, field)
static const struct sg_json_member policy_members[] = {
	SG_JSON_MEMBER("allow", sg_json_read_allow, POLICY(spec)),
	SG_JSON_MEMBER("deny", sg_json_read_deny, POLICY(spec)),
	SG_JSON_MEMBER("existing", sg_json_read_choice, POLICY(spec.existing), .words = sg_words_existing),
	SG_JSON_END,
};
// clang-format on

int sg_policy_from_json(
	struct sg_shared_policy *policy, const json_t *object, struct sg_error *error)
{
	return sg_json_read_members(policy_members, object, true, policy, "policy", error);
}

json_t *sg_policy_to_json(const struct sg_shared_policy *policy)
{
	json_t *object = json_pack("{s:s}", "existing",
		sg_existing_name(policy ? policy->spec.existing : SG_EXISTING_KEEP));

	if (object && policy)
		sg_policy_add_json(object, &policy->spec);
	return object;
}

int sg_edit_policy_set(struct sg_edit *edit, const json_t *params, struct sg_error *error)
{
	struct sg_shared_policy *policy = sg_shared_policy_clone(edit->state.policy);
	int err;

	if (!policy)
		return sg_error_set(error, -ENOMEM, "no memory is left for the change");
	err = sg_policy_from_json(policy, params, error);
	if (err) {
		sg_shared_policy_unref(policy);
		return err;
	}
	sg_state_set_policy(&edit->state, policy);
	return 0;
}

static const struct sg_json_member no_members[] = {SG_JSON_END};

int sg_query_policy_show(const struct sg_control *control, const json_t *params,
	json_t **ret_result, struct sg_error *error)
{
	const struct sg_shared_policy *policy = sg_rollout_state(control->rollout)->policy;
	int err = sg_json_read_members(no_members, params, true, NULL, "policy show", error);

	if (err)
		return err;
	*ret_result = json_pack("{s:n, s:[], s:s}", "allow", "deny", "existing",
		sg_existing_name(policy ? policy->spec.existing : SG_EXISTING_KEEP));
	if (policy)
		sg_policy_add_json(*ret_result, &policy->spec);
	return 0;
}
