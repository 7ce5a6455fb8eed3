// A text in one piece, for tests that compare.
#pragma once

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "control/text.h"

// Malloc'ed; empties the text.
static inline char *flatten(struct sg_text *text)
{
	char *flat = malloc(text->length + 1);
	size_t length = 0;

	assert(!text->failed);
	for (const struct sg_text_piece *piece = text->first; piece; piece = piece->next) {
		memcpy(flat + length, piece->bytes + piece->start, piece->end - piece->start);
		length += piece->end - piece->start;
	}
	assert(length == text->length);
	flat[length] = '\0';
	sg_text_clear(text);
	return flat;
}
