// Two sets that change places, see mirror_elsewhere.h.
#include "control/mirror_elsewhere.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void sg_mirror_elsewhere_fini(struct sg_mirror_elsewhere *elsewhere)
{
	free(elsewhere->addresses);
	free(elsewhere->next);
	*elsewhere = (struct sg_mirror_elsewhere){0};
}

void sg_mirror_elsewhere_begin(struct sg_mirror_elsewhere *elsewhere)
{
	elsewhere->n_next = 0;
}

int sg_mirror_elsewhere_add(
	struct sg_mirror_elsewhere *elsewhere, const struct sg_addr *addr, int ifindex)
{
	if (elsewhere->n_next == elsewhere->max_next) {
		unsigned max = elsewhere->max_next ? 2 * elsewhere->max_next : 16;
		struct sg_elsewhere_address *next = realloc(elsewhere->next, max * sizeof(next[0]));

		if (!next)
			return -ENOMEM;
		elsewhere->next = next;
		elsewhere->max_next = max;
	}
	elsewhere->next[elsewhere->n_next++] =
		(struct sg_elsewhere_address){.addr = *addr, .ifindex = ifindex};
	return 0;
}

static bool is_same(const struct sg_mirror_elsewhere *elsewhere)
{
	if (elsewhere->n != elsewhere->n_next)
		return false;
	for (unsigned i = 0; i < elsewhere->n; i++)
		if (elsewhere->addresses[i].ifindex != elsewhere->next[i].ifindex ||
			!sg_addr_equal(&elsewhere->addresses[i].addr, &elsewhere->next[i].addr))
			return false;
	return true;
}

void sg_mirror_elsewhere_commit(struct sg_mirror_elsewhere *elsewhere)
{
	struct sg_mirror_elsewhere before = *elsewhere;

	if (is_same(elsewhere))
		return;
	elsewhere->addresses = before.next;
	elsewhere->n = before.n_next;
	elsewhere->max = before.max_next;
	elsewhere->next = before.addresses;
	elsewhere->max_next = before.max;
	elsewhere->epoch++;
}
