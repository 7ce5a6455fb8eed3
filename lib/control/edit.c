// The candidate itself, see edit.h.
#include "control/edit.h"

#include <stdlib.h>

int sg_edit_init(struct sg_edit *edit, const struct sg_state *from)
{
	*edit = (struct sg_edit){0};
	return sg_state_clone(&edit->state, from);
}

void sg_edit_fini(struct sg_edit *edit)
{
	sg_state_fini(&edit->state);
	free(edit->ends);
	edit->ends = NULL;
}
