// Memory that is given back all at once: what one request or one config file needs while it is
// read.
//
// Chunks grow as needed up to the bound given at init; beyond it, alloc answers NULL, so that a
// hostile request cannot grow the process. One thread at a time. All memory is zeroed.
#pragma once

#include <stddef.h>

struct sg_arena_chunk;

struct sg_arena {
	struct sg_arena_chunk *chunks; // newest first
	size_t used_bytes;             // by all chunks together
	size_t max_bytes;
};

void sg_arena_init(struct sg_arena *arena, size_t max_bytes);
void sg_arena_fini(struct sg_arena *arena);

// 16-byte aligned and zeroed; NULL when the bound or the machine's memory is reached.
void *sg_arena_alloc(struct sg_arena *arena, size_t bytes);

// A copy of `length` bytes with a NUL behind; NULL as above.
char *sg_arena_strndup(struct sg_arena *arena, const char *text, size_t length);
