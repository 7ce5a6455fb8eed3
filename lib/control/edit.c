// The candidate itself, see edit.h.
#include "control/edit.h"

#include <stdlib.h>
#include <string.h>

int sg_edit_init(struct sg_edit *edit, const struct sg_state *from)
{
	*edit = (struct sg_edit){0};
	return sg_state_clone(&edit->state, from);
}

void sg_edit_settle(struct sg_edit *edit, const struct sg_state *from)
{
	unsigned at = 0;

	if (sg_shared_policy_equal(edit->state.policy, from->policy))
		sg_state_set_policy(&edit->state, sg_shared_policy_ref(from->policy));
	for (unsigned i = 0; i < edit->state.n_services; i++) {
		struct sg_service_spec *spec = edit->state.services[i], *old;

		while (at < from->n_services && from->services[at] != spec &&
			strcmp(from->services[at]->name, spec->name) < 0)
			at++;
		old = at < from->n_services ? from->services[at] : NULL;
		if (old == spec)
			at++;
		if (!old || old == spec || !sg_service_spec_equal(old, spec))
			continue;
		edit->state.services[i] = sg_service_spec_ref(old);
		sg_service_spec_unref(spec);
	}
}

void sg_edit_fini(struct sg_edit *edit)
{
	sg_state_fini(&edit->state);
	free(edit->ends);
	edit->ends = NULL;
}
