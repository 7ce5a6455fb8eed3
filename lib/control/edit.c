// The candidate itself, see edit.h.
#include "control/edit.h"

#include <stdlib.h>

#include "service/state_diff.h"

int sg_edit_init(struct sg_edit *edit, const struct sg_state *from)
{
	*edit = (struct sg_edit){0};
	return sg_state_clone(&edit->state, from);
}

void sg_edit_settle(struct sg_edit *edit, const struct sg_state *from)
{
	struct sg_state_diff diff = {.before = from, .after = &edit->state};
	struct sg_service_spec *before, *after;

	if (sg_shared_policy_equal(edit->state.policy, from->policy))
		sg_state_set_policy(&edit->state, sg_shared_policy_ref(from->policy));
	while (sg_state_diff_next(&diff, &before, &after)) {
		if (!before || !after || !sg_service_spec_equal(before, after))
			continue;
		// Without memory it stays a change that changes nothing.
		if (sg_state_put(&edit->state, sg_service_spec_ref(before)) < 0)
			sg_service_spec_unref(before);
	}
}

void sg_edit_fini(struct sg_edit *edit)
{
	sg_state_fini(&edit->state);
	free(edit->ends);
	edit->ends = NULL;
}
