// Pieces of a text, see text.h.
#include "control/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_PIECE_BYTES 512

static void free_first(struct sg_text *text)
{
	struct sg_text_piece *piece = text->first;

	text->first = piece->next;
	if (!text->first)
		text->last = NULL;
	text->length -= piece->end - piece->start;
	text->size_bytes -= piece->size_bytes;
	free(piece);
}

void sg_text_clear(struct sg_text *text)
{
	while (text->first)
		free_first(text);
	text->failed = false;
}

static void link_piece(struct sg_text *text, struct sg_text_piece *piece)
{
	piece->next = NULL;
	if (text->last)
		text->last->next = piece;
	else
		text->first = piece;
	text->last = piece;
	text->length += piece->end - piece->start;
	text->size_bytes += piece->size_bytes;
}

// A new last piece with room for `bytes`: small ones first, because most answers are.
static struct sg_text_piece *add_piece(struct sg_text *text, size_t bytes)
{
	size_t size = text->last ? 4 * text->last->size_bytes : FIRST_PIECE_BYTES;
	struct sg_text_piece *piece;

	if (size > SG_TEXT_PIECE_BYTES)
		size = SG_TEXT_PIECE_BYTES;
	if (size < bytes)
		size = bytes;
	piece = malloc(sizeof(*piece) + size);
	if (!piece)
		return NULL;
	piece->start = piece->end = 0;
	piece->size_bytes = size;
	link_piece(text, piece);
	return piece;
}

static size_t room(const struct sg_text *text)
{
	return text->last ? text->last->size_bytes - text->last->end : 0;
}

void sg_text_append(struct sg_text *text, const char *bytes, size_t length)
{
	struct sg_text_piece *piece = text->last;

	if (text->failed || length == 0)
		return;
	if (room(text) < length)
		piece = add_piece(text, length);
	if (!piece) {
		text->failed = true;
		return;
	}
	memcpy(piece->bytes + piece->end, bytes, length);
	piece->end += length;
	text->length += length;
}

void sg_text_append_string(struct sg_text *text, const char *string)
{
	sg_text_append(text, string, strlen(string));
}

void sg_text_append_format(struct sg_text *text, const char *format, ...)
{
	char line[512];
	char *longer = NULL;
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (length < (int)sizeof(line)) {
		sg_text_append(text, line, (size_t)length);
		return;
	}
	va_start(args, format);
	if (vasprintf(&longer, format, args) < 0)
		text->failed = true;
	else
		sg_text_append_string(text, longer);
	va_end(args);
	free(longer);
}

static int append_callback(const char *bytes, size_t length, void *text)
{
	sg_text_append(text, bytes, length);
	return 0;
}

void sg_text_append_json(struct sg_text *text, json_t *value)
{
	if (!value || json_dump_callback(
			      value, append_callback, text, JSON_COMPACT | JSON_ENCODE_ANY) < 0)
		text->failed = true;
	json_decref(value);
}

void sg_text_append_members(struct sg_text *text, json_t *object)
{
	if (!object ||
		json_dump_callback(object, append_callback, text, JSON_COMPACT | JSON_EMBED) < 0)
		text->failed = true;
	json_decref(object);
}

void sg_text_move(struct sg_text *text, struct sg_text *tail)
{
	text->failed = text->failed || tail->failed;
	if (tail->length <= room(text)) {
		for (struct sg_text_piece *piece = tail->first; piece; piece = piece->next)
			sg_text_append(
				text, piece->bytes + piece->start, piece->end - piece->start);
		sg_text_clear(tail);
		return;
	}
	if (text->last)
		text->last->next = tail->first;
	else
		text->first = tail->first;
	text->last = tail->last;
	text->length += tail->length;
	text->size_bytes += tail->size_bytes;
	*tail = (struct sg_text){0};
}

void sg_text_take(struct sg_text *text, size_t length)
{
	text->first->start += length;
	text->length -= length;
	if (text->first->start == text->first->end)
		free_first(text);
}
