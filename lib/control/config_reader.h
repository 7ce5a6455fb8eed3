// Typed reading of libconfig settings, driven by tables: a key of the config file is one row.
//
// A row names the key, the function that reads its type, the field that it fills and the range that
// it may have. A group is read by looking up each of its settings among its rows, so unknown keys,
// wrong types and values out of range are found in one place and in the order of the file.
// Sentences begin with the setting's path
// ("services[0].port must be ...") and carry its line.
//
// For lib/control's config files only; one thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libconfig.h>

#include "base/error.h"
#include "control/words.h"

struct sg_config_key;

// Reads `setting` into `field`, which is `key->offset` bytes into the object of the group. Returns
// 0 or -EINVAL with line and sentence (-ENOMEM where memory is needed).
typedef int sg_config_read_fn(const struct sg_config_key *key, const config_setting_t *setting,
	void *field, struct sg_error *error);

struct sg_config_key {
	const char *name;
	sg_config_read_fn *read;
	size_t offset;
	uint64_t min, max; // numbers: the range; strings: `max` bytes with the NUL
	const struct sg_config_key
		*keys;      // of a group or of each group in a list; ends with a NULL name
	sg_words_fn *words; // of a choice
	bool required;
	bool may_be_empty; // strings
};

// A row: name and reader, then whatever else the reader looks at.
#define SG_CONFIG_KEY(key_name, reader, ...)                    \
	{                                                       \
		.name = key_name, .read = reader, ##__VA_ARGS__ \
	}
#define SG_CONFIG_END        \
	{                    \
		.name = NULL \
	}

// Readers of plain values. `max` bounds each; `key->min` too.
sg_config_read_fn sg_config_read_bool;    // bool
sg_config_read_fn sg_config_read_u16;     // uint16_t
sg_config_read_fn sg_config_read_u32;     // uint32_t
sg_config_read_fn sg_config_read_int;     // int
sg_config_read_fn sg_config_read_u64;     // uint64_t
sg_config_read_fn sg_config_read_seconds; // uint32_t; 0 leaves the default that is there
sg_config_read_fn sg_config_read_string;  // char[max]
sg_config_read_fn sg_config_read_choice;  // an enum: unsigned int
sg_config_read_fn sg_config_read_group; // the members by `key->keys`, into the same object (offset
					// from `field`)

// For readers of other shapes.

// -EINVAL with the setting's line, and its path before the sentence: "must be ...".
int sg_config_refuse(const config_setting_t *setting, struct sg_error *error, const char *format,
	...) __attribute__((format(printf, 3, 4)));
// "a string", "an integer": what a setting is, for people.
const char *sg_config_kind(const config_setting_t *setting);
// The text of a string setting; refuses any other type.
int sg_config_get_text(
	const config_setting_t *setting, const char **ret_text, struct sg_error *error);
// The value of an integer setting within [min, max]; refuses any other.
int sg_config_get_integer(const config_setting_t *setting, uint64_t min, uint64_t max,
	uint64_t *ret_value, struct sg_error *error);
// The length of an array or list; refuses anything else, and more than `max` elements. `what` names
// them in the plural.
int sg_config_get_length(const config_setting_t *setting, unsigned max, const char *what,
	unsigned *ret_length, struct sg_error *error);
