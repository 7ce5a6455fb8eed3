// Large memory of which a test uses a few pages: zeroed, given by the kernel as it is touched, and
// with a page behind its last byte that nobody may touch.
//
// From the heap it would be touched whole where malloc shows uninitialised memory (MALLOC_PERTURB_,
// which meson sets), and shadowed whole by a sanitizer.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define GUARDED_PAGE_BYTES ((size_t)4096)

static inline size_t guarded_pages_bytes(size_t bytes)
{
	return (bytes + GUARDED_PAGE_BYTES - 1) & ~(GUARDED_PAGE_BYTES - 1);
}

// Aligned to 64 bytes where `bytes` is a multiple of them. Never fails.
static inline void *guarded_map(size_t bytes)
{
	size_t pages = guarded_pages_bytes(bytes);
	uint8_t *memory = mmap(NULL, pages + GUARDED_PAGE_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED || mprotect(memory + pages, GUARDED_PAGE_BYTES, PROT_NONE) != 0)
		abort();
	return memory + pages - bytes;
}

static inline void guarded_unmap(void *memory, size_t bytes)
{
	size_t pages = guarded_pages_bytes(bytes);

	munmap((uint8_t *)memory + bytes - pages, pages + GUARDED_PAGE_BYTES);
}
