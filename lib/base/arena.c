// A bump allocator over a list of chunks, see arena.h.
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 16384

struct sg_arena_chunk {
	struct sg_arena_chunk *next;
	size_t used_bytes;
	size_t size_bytes;
	_Alignas(16) uint8_t bytes[];
};

void sg_arena_init(struct sg_arena *arena, size_t max_bytes)
{
	*arena = (struct sg_arena){.max_bytes = max_bytes};
}

void sg_arena_fini(struct sg_arena *arena)
{
	while (arena->chunks) {
		struct sg_arena_chunk *chunk = arena->chunks;

		arena->chunks = chunk->next;
		free(chunk);
	}
	arena->used_bytes = 0;
}

static struct sg_arena_chunk *add_chunk(struct sg_arena *arena, size_t bytes)
{
	size_t size = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
	struct sg_arena_chunk *chunk = calloc(1, sizeof(*chunk) + size);

	if (!chunk)
		return NULL;
	chunk->size_bytes = size;
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	return chunk;
}

void *sg_arena_alloc(struct sg_arena *arena, size_t bytes)
{
	struct sg_arena_chunk *chunk = arena->chunks;
	void *result;

	if (bytes > arena->max_bytes || arena->used_bytes > arena->max_bytes - bytes)
		return NULL;
	bytes = (bytes + 15) & ~(size_t)15;
	if (!chunk || chunk->size_bytes - chunk->used_bytes < bytes)
		chunk = add_chunk(arena, bytes);
	if (!chunk)
		return NULL;
	result = chunk->bytes + chunk->used_bytes;
	chunk->used_bytes += bytes;
	arena->used_bytes += bytes;
	return result;
}

char *sg_arena_strndup(struct sg_arena *arena, const char *text, size_t length)
{
	char *copy = sg_arena_alloc(arena, length + 1);

	if (copy)
		memcpy(copy, text, length);
	return copy;
}
