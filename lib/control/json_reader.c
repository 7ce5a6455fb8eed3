// JSON objects by tables, see json_reader.h.
#include "control/json_reader.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "net/addr.h"

int sg_json_refuse(
	const char *where, const char *member, struct sg_error *error, const char *format, ...)
{
	char sentence[300];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	return sg_error_set(
		error, -EBADMSG, "%s%s%.80s %s", where, where[0] ? ": " : "", member, sentence);
}

const char *sg_json_kind(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "an integer";
	case JSON_REAL:
		return "a number with a fraction";
	case JSON_TRUE:
	case JSON_FALSE:
		return "true or false";
	default:
		return "null";
	}
}

static int refuse_kind(const struct sg_json_member *member, const json_t *value, const char *wanted,
	const char *where, struct sg_error *error)
{
	return sg_json_refuse(
		where, member->name, error, "must be %s, not %s", wanted, sg_json_kind(value));
}

static int read_integer(const struct sg_json_member *member, const json_t *value,
	uint64_t *ret_value, const char *where, struct sg_error *error)
{
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value))
		return refuse_kind(member, value, "an integer", where, error);
	if (number < 0 || (uint64_t)number < member->min || (uint64_t)number > member->max)
		return sg_json_refuse(where, member->name, error,
			"must be from %llu to %llu, not %lld", (unsigned long long)member->min,
			(unsigned long long)member->max, (long long)number);
	*ret_value = (uint64_t)number;
	return 0;
}

int sg_json_read_bool(const struct sg_json_member *member, const json_t *value, void *field,
	const char *where, struct sg_error *error)
{
	if (!json_is_boolean(value))
		return refuse_kind(member, value, "true or false", where, error);
	*(bool *)field = json_is_true(value);
	return 0;
}

int sg_json_read_u16(const struct sg_json_member *member, const json_t *value, void *field,
	const char *where, struct sg_error *error)
{
	uint64_t number = 0;
	int err = read_integer(member, value, &number, where, error);

	if (!err)
		*(uint16_t *)field = (uint16_t)number;
	return err;
}

int sg_json_read_u32(const struct sg_json_member *member, const json_t *value, void *field,
	const char *where, struct sg_error *error)
{
	uint64_t number = 0;
	int err = read_integer(member, value, &number, where, error);

	if (!err)
		*(uint32_t *)field = (uint32_t)number;
	return err;
}

int sg_json_read_seconds(const struct sg_json_member *member, const json_t *value, void *field,
	const char *where, struct sg_error *error)
{
	uint64_t number = 0;
	int err = read_integer(member, value, &number, where, error);

	if (!err && number != 0)
		*(uint32_t *)field = (uint32_t)number;
	return err;
}

int sg_json_read_string(const struct sg_json_member *member, const json_t *value, void *field,
	const char *where, struct sg_error *error)
{
	const char *text = json_string_value(value);

	if (!text)
		return refuse_kind(member, value, "a string", where, error);
	if (text[0] == '\0')
		return sg_json_refuse(where, member->name, error, "must not be empty");
	if (strlen(text) >= member->max)
		return sg_json_refuse(where, member->name, error,
			"must not be longer than %u characters", (unsigned)member->max - 1);
	memcpy(field, text, strlen(text) + 1);
	return 0;
}

int sg_json_read_choice(const struct sg_json_member *member, const json_t *value, void *field,
	const char *where, struct sg_error *error)
{
	const char *text = json_string_value(value);
	char list[SG_WORDS_TEXT_BYTES];
	int choice;

	if (!text)
		return refuse_kind(member, value, "a string", where, error);
	choice = sg_words_find(member->words, text);
	if (choice < 0)
		return sg_json_refuse(where, member->name, error, "must be %s, not \"%.60s\"",
			sg_words_format(member->words, list), text);
	*(unsigned *)field = (unsigned)choice;
	return 0;
}

int sg_json_read_address(const struct sg_json_member *member, const json_t *value, void *field,
	const char *where, struct sg_error *error)
{
	const char *text = json_string_value(value);

	if (!text)
		return refuse_kind(member, value, "a string", where, error);
	if (sg_addr_parse(text, field) < 0)
		return sg_json_refuse(where, member->name, error,
			"must be an IPv4 or IPv6 address, not \"%.60s\"", text);
	return 0;
}

int sg_json_read_object(const struct sg_json_member *member, const json_t *value, void *field,
	const char *where, struct sg_error *error)
{
	if (!json_is_object(value))
		return refuse_kind(member, value, "an object", where, error);
	*(const json_t **)field = value;
	return 0;
}

int sg_json_read_array(const struct sg_json_member *member, const json_t *value, void *field,
	const char *where, struct sg_error *error)
{
	if (!json_is_array(value))
		return refuse_kind(member, value, "an array", where, error);
	*(const json_t **)field = value;
	return 0;
}

static const struct sg_json_member *find_member(
	const struct sg_json_member *members, const char *name)
{
	for (; members->name; members++) {
		if (strcmp(members->name, name) == 0)
			return members;
	}
	return NULL;
}

static int refuse_unknown(const struct sg_json_member *members, const char *name, const char *where,
	struct sg_error *error)
{
	char known[220] = "";
	size_t used = 0;

	for (; members->name && used < sizeof(known); members++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
			used ? ", " : "", members->name);
	return sg_json_refuse(
		where, name, error, "is an unknown member (known here: %s)", used ? known : "none");
}

int sg_json_read_members(const struct sg_json_member *members, const json_t *object, bool whole,
	void *fields, const char *where, struct sg_error *error)
{
	const char *name;
	json_t *value;
	uint64_t given = 0; // a bit for each of `members`

	json_object_foreach((json_t *)object, name, value)
	{
		const struct sg_json_member *member = find_member(members, name);
		int err = member ? member->read(member, value, (char *)fields + member->offset,
					   where, error)
				 : refuse_unknown(members, name, where, error);

		if (err)
			return err;
		given |= UINT64_C(1) << (member - members);
	}
	for (unsigned i = 0; whole && members[i].name; i++) {
		assert(i < 64);
		if (members[i].required && !(given >> i & 1))
			return sg_json_refuse(where, members[i].name, error, "is missing");
	}
	return 0;
}
