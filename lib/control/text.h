// A long text in pieces: an answer while it is written, and while a client reads it.
//
// An answer may be 20 MB long. In one piece it would be copied whenever it grows and once more when
// it is sent, and each copy would hold up everybody else; pieces are filled, handed on and freed
// one after the other. A piece that memory ran out for marks the text as failed, and it stays so.
// Any one thread at a time.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#define SG_TEXT_PIECE_BYTES 65536 // at most, unless somebody appends more at once

struct sg_text_piece {
	struct sg_text_piece *next;
	size_t start, end; // what is in it
	size_t size_bytes;
	char bytes[];
};

struct sg_text {
	struct sg_text_piece *first, *last;
	size_t length;     // bytes of text
	size_t size_bytes; // of memory
	bool failed;       // memory ran out: some of it is missing
};

// An empty text is all zeros. Frees what is in it and makes it empty again.
void sg_text_clear(struct sg_text *text);

void sg_text_append(struct sg_text *text, const char *bytes, size_t length);
void sg_text_append_string(struct sg_text *text, const char *string);
void sg_text_append_format(struct sg_text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
// Compact JSON. Takes over `value`; NULL (memory ran out for it) fails the text.
void sg_text_append_json(struct sg_text *text, json_t *value);
// The members of an object without its braces.
void sg_text_append_members(struct sg_text *text, json_t *object);

// Moves everything of `tail` behind `text`; `tail` is empty then.
void sg_text_move(struct sg_text *text, struct sg_text *tail);
// Takes `length` bytes, of the first piece at most, away from the front.
void sg_text_take(struct sg_text *text, size_t length);
