// Strict reading of JSON objects by tables: the parameters of a method, a service, a backend.
//
// The JSON sibling of config_reader.h: a row names the member, the function that reads its type,
// the field that it fills and its range. A member that no row knows, a wrong type and a value out
// of range are refused with a sentence that begins with `where` (`service "web"`), which names the
// item for the operator. Members that are absent leave their fields alone, so the same table reads
// a whole object over its defaults and a change over what there is.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/error.h"
#include "control/words.h"

struct sg_json_member;

// Reads `value` into `field`, which is `member->offset` bytes into the object. Returns 0,
// -EBADMSG (this is not what the method takes) with a sentence, or -ENOMEM.
typedef int sg_json_read_fn(const struct sg_json_member *member, const json_t *value, void *field,
	const char *where, struct sg_error *error);

struct sg_json_member {
	const char *name;
	sg_json_read_fn *read;
	size_t offset;
	uint64_t min, max;  // numbers: the range; strings: `max` bytes with the NUL
	sg_words_fn *words; // of a choice
	bool required;      // of a whole object
};

#define SG_JSON_MEMBER(member_name, reader, ...)                   \
	{                                                          \
		.name = member_name, .read = reader, ##__VA_ARGS__ \
	}
#define SG_JSON_END          \
	{                    \
		.name = NULL \
	}

sg_json_read_fn sg_json_read_bool;    // bool
sg_json_read_fn sg_json_read_u16;     // uint16_t
sg_json_read_fn sg_json_read_u32;     // uint32_t
sg_json_read_fn sg_json_read_seconds; // uint32_t; 0 leaves the default that is there
sg_json_read_fn sg_json_read_string;  // char[max], not empty
sg_json_read_fn sg_json_read_choice;  // an enum: unsigned int
sg_json_read_fn sg_json_read_address; // struct sg_addr
sg_json_read_fn sg_json_read_object;  // const json_t *, an object that lives as long as the request
sg_json_read_fn sg_json_read_array;   // const json_t *, an array, likewise

// Reads every member of `object` by `members`. `whole`: required members must be there.
int sg_json_read_members(const struct sg_json_member *members, const json_t *object, bool whole,
	void *fields, const char *where, struct sg_error *error);

// For readers of other shapes: -EBADMSG with "where: member sentence".
int sg_json_refuse(const char *where, const char *member, struct sg_error *error,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
// "a string", "an integer": what a value is, for people.
const char *sg_json_kind(const json_t *value);
