// Large mappings, see region.h.
#include "base/region.h"
#include "base/error.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_BYTES ((size_t)2 << 20)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 // Linux 5.14; before it the memory comes when it is touched
#endif

static void *map(size_t size, int flags)
{
	void *at = mmap(
		NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

// Maps 2 MB more than needed and gives back what lies before and behind the aligned part.
static void *map_aligned(size_t size)
{
	uint8_t *raw = map(size + HUGE_BYTES, MAP_NORESERVE);
	uint8_t *aligned;
	size_t before;

	if (!raw)
		return NULL;
	before = (HUGE_BYTES - (uintptr_t)raw % HUGE_BYTES) % HUGE_BYTES;
	aligned = raw + before;
	if (before > 0)
		munmap(raw, before);
	munmap(aligned + size, HUGE_BYTES - before);
	madvise(aligned, size, MADV_HUGEPAGE);
	return aligned;
}

int sg_region_open(
	struct sg_region *ret_region, size_t size_bytes, bool hugetlb, struct sg_error *error)
{
	size_t size = (size_bytes + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
	void *at = hugetlb ? map(size, MAP_HUGETLB | MAP_POPULATE) : NULL;
	bool on_hugetlb = at != NULL;

	if (!at)
		at = map_aligned(size);
	// Now rather than when a packet comes: a fault clears 2 MB while packets wait.
	if (at && hugetlb && !on_hugetlb)
		madvise(at, size, MADV_POPULATE_WRITE);
	if (!at)
		return sg_error_set(error, -ENOMEM, "%zu MB of memory are not to be had: %s",
			size >> 20, strerror(errno));
	*ret_region = (struct sg_region){.bytes = at, .size_bytes = size, .hugetlb = on_hugetlb};
	return 0;
}

void sg_region_close(struct sg_region *region)
{
	if (region->bytes)
		munmap(region->bytes, region->size_bytes);
	*region = (struct sg_region){0};
}
