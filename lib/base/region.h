// A region of zeroed memory from mmap, on 2 MB pages where the machine has them: for tables whose
// every look-up is a cache miss, and which must not be a TLB miss as well.
//
// Pages are given by the kernel when first touched, so a generous bound costs nothing until it is
// used, except with `hugetlb`: then all of them are taken at once, and nobody who uses them later
// waits for the kernel to clear one. Called by the control thread at start and stop.
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct sg_error;

struct sg_region {
	void *bytes; // 2 MB aligned; NULL when not mapped
	size_t size_bytes;
	bool hugetlb; // explicit 2 MB pages; otherwise transparent ones were asked for
};

// Tries hugetlb pages first when `hugetlb` is set, and falls back to transparent huge pages, taken
// at once as well.
// Errors: -ENOMEM.
int sg_region_open(
	struct sg_region *ret_region, size_t size_bytes, bool hugetlb, struct sg_error *error);
void sg_region_close(struct sg_region *region);
