// A merge of two sorted lists of pages, see state_diff.h.
#include "service/state_diff.h"

#include <string.h>

static int compare(const struct sg_service_spec *before, const struct sg_service_spec *after)
{
	if (before == after)
		return 0;
	if (!before || !after)
		return before ? -1 : 1;
	return strcmp(before->name, after->name);
}

// fast path: pages that both have are not read.
static void skip_shared_pages(struct sg_state_diff *diff)
{
	const struct sg_state *before = diff->before, *after = diff->after;

	while (diff->at_before.at == 0 && diff->at_after.at == 0 &&
		diff->at_before.page < before->n_pages && diff->at_after.page < after->n_pages &&
		before->pages[diff->at_before.page] == after->pages[diff->at_after.page]) {
		diff->at_before.page++;
		diff->at_after.page++;
	}
}

bool sg_state_diff_next(struct sg_state_diff *diff, struct sg_service_spec **ret_before,
	struct sg_service_spec **ret_after)
{
	for (;;) {
		struct sg_service_spec *old, *new;
		int order;

		skip_shared_pages(diff);
		old = sg_state_get(diff->before, diff->at_before);
		new = sg_state_get(diff->after, diff->at_after);
		if (!old && !new)
			return false;
		order = compare(old, new);
		if (order <= 0)
			sg_state_next(diff->before, &diff->at_before);
		if (order >= 0)
			sg_state_next(diff->after, &diff->at_after);
		if (old == new)
			continue;
		*ret_before = order <= 0 ? old : NULL;
		*ret_after = order >= 0 ? new : NULL;
		return true;
	}
}

void sg_state_diff(const struct sg_state *before, const struct sg_state *after,
	sg_state_visit_fn *visit, void *context)
{
	struct sg_state_diff diff = {.before = before, .after = after};
	struct sg_service_spec *old, *new;

	while (sg_state_diff_next(&diff, &old, &new))
		visit(context, old, new);
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

bool sg_state_is_same(const struct sg_state *a, const struct sg_state *b)
{
	struct sg_state_diff diff = {.before = a, .after = b};
	struct sg_service_spec *old, *new;

	return a->settings == b->settings && sg_shared_policy_equal(a->policy, b->policy) &&
	       a->n_services == b->n_services && !sg_state_diff_next(&diff, &old, &new);
}
