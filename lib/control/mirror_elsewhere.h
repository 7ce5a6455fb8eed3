// The addresses that the kernel has on other interfaces than the twins, as whole sets. Part of the
// mirror's model; control thread only.
#pragma once

#include <stdint.h>

#include "net/addr.h"

struct sg_elsewhere_address {
	struct sg_addr addr;
	int ifindex;
};

struct sg_mirror_elsewhere {
	struct sg_elsewhere_address *addresses, *next; // the set in force, and the one taken in
	unsigned n, n_next, max, max_next;
	unsigned epoch; // counts how often the set in force became another one
};

void sg_mirror_elsewhere_fini(struct sg_mirror_elsewhere *elsewhere);
// A whole set between begin and commit. Returns 0 or -ENOMEM.
void sg_mirror_elsewhere_begin(struct sg_mirror_elsewhere *elsewhere);
int sg_mirror_elsewhere_add(
	struct sg_mirror_elsewhere *elsewhere, const struct sg_addr *addr, int ifindex);
void sg_mirror_elsewhere_commit(struct sg_mirror_elsewhere *elsewhere);
