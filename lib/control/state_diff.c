// A merge of two sorted arrays, see state_diff.h.
#include "control/state_diff.h"

#include <string.h>

static int compare(const struct sg_service_spec *before, const struct sg_service_spec *after)
{
	if (before == after)
		return 0;
	if (!before || !after)
		return before ? -1 : 1;
	return strcmp(before->name, after->name);
}

void sg_state_diff(const struct sg_state *before, const struct sg_state *after,
	sg_state_visit_fn *visit, void *context)
{
	unsigned b = 0, a = 0;

	while (b < before->n_services || a < after->n_services) {
		struct sg_service_spec *old = b < before->n_services ? before->services[b] : NULL;
		struct sg_service_spec *new = a < after->n_services ? after->services[a] : NULL;
		int order = compare(old, new);

		if (old != new)
			visit(context, order <= 0 ? old : NULL, order >= 0 ? new : NULL);
		b += order <= 0;
		a += order >= 0;
	}
}

static void count(
	void *context, const struct sg_service_spec *before, const struct sg_service_spec *after)
{
	struct sg_state_change *change = context;

	if (!before)
		change->added++;
	else if (!after)
		change->removed++;
	else
		change->changed++;
}

struct sg_state_change sg_state_count_changes(
	const struct sg_state *before, const struct sg_state *after)
{
	struct sg_state_change change = {0};

	sg_state_diff(before, after, count, &change);
	return change;
}
