// Settings by tables, see config_reader.h.
#include "control/config_reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PATH_BYTES 200

// "services[0].port" into `path`, cut off where it does not fit.
static void append_path(const config_setting_t *setting, char path[PATH_BYTES])
{
	const config_setting_t *parent = config_setting_parent(setting);
	size_t used;

	if (!parent)
		return;
	append_path(parent, path);
	used = strlen(path);
	if (config_setting_name(setting))
		snprintf(path + used, PATH_BYTES - used, "%s%s", used ? "." : "",
			config_setting_name(setting));
	else
		snprintf(path + used, PATH_BYTES - used, "[%d]", config_setting_index(setting));
}

int sg_config_refuse(
	const config_setting_t *setting, struct sg_error *error, const char *format, ...)
{
	char path[PATH_BYTES] = "";
	char sentence[300];
	va_list args;
	int line;

	append_path(setting, path);
	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	// The whole file has no line of its own.
	line = (int)config_setting_source_line(setting);
	return sg_error_set_at(
		error, -EINVAL, line ? line : 1, "%s %s", path[0] ? path : "the file", sentence);
}

const char *sg_config_kind(const config_setting_t *setting)
{
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_GROUP:
		return "a group { }";
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return "an integer";
	case CONFIG_TYPE_FLOAT:
		return "a number with a fraction";
	case CONFIG_TYPE_STRING:
		return "a string";
	case CONFIG_TYPE_BOOL:
		return "true or false";
	case CONFIG_TYPE_ARRAY:
		return "an array [ ]";
	case CONFIG_TYPE_LIST:
		return "a list ( )";
	default:
		return "nothing";
	}
}

int sg_config_get_text(
	const config_setting_t *setting, const char **ret_text, struct sg_error *error)
{
	if (config_setting_type(setting) != CONFIG_TYPE_STRING)
		return sg_config_refuse(
			setting, error, "must be a string, not %s", sg_config_kind(setting));
	*ret_text = config_setting_get_string(setting);
	return 0;
}

int sg_config_get_integer(const config_setting_t *setting, uint64_t min, uint64_t max,
	uint64_t *ret_value, struct sg_error *error)
{
	int type = config_setting_type(setting);
	long long value;

	if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64)
		return sg_config_refuse(
			setting, error, "must be an integer, not %s", sg_config_kind(setting));
	value = config_setting_get_int64(setting);
	if (value < 0 || (uint64_t)value < min || (uint64_t)value > max)
		return sg_config_refuse(setting, error, "must be from %llu to %llu, not %lld",
			(unsigned long long)min, (unsigned long long)max, value);
	*ret_value = (uint64_t)value;
	return 0;
}

int sg_config_get_length(const config_setting_t *setting, unsigned max, const char *what,
	unsigned *ret_length, struct sg_error *error)
{
	int type = config_setting_type(setting);
	int length;

	if (type != CONFIG_TYPE_ARRAY && type != CONFIG_TYPE_LIST)
		return sg_config_refuse(setting, error, "must be an array or a list of %s, not %s",
			what, sg_config_kind(setting));
	length = config_setting_length(setting);
	if ((unsigned)length > max)
		return sg_config_refuse(
			setting, error, "has %d %s, at most %u are possible", length, what, max);
	*ret_length = (unsigned)length;
	return 0;
}

int sg_config_read_bool(const struct sg_config_key *key, const config_setting_t *setting,
	void *field, struct sg_error *error)
{
	(void)key;
	if (config_setting_type(setting) != CONFIG_TYPE_BOOL)
		return sg_config_refuse(
			setting, error, "must be true or false, not %s", sg_config_kind(setting));
	*(bool *)field = config_setting_get_bool(setting) != CONFIG_FALSE;
	return 0;
}

int sg_config_read_u64(const struct sg_config_key *key, const config_setting_t *setting,
	void *field, struct sg_error *error)
{
	return sg_config_get_integer(setting, key->min, key->max, field, error);
}

int sg_config_read_u32(const struct sg_config_key *key, const config_setting_t *setting,
	void *field, struct sg_error *error)
{
	uint64_t value = 0;
	int err = sg_config_get_integer(setting, key->min, key->max, &value, error);

	if (!err)
		*(uint32_t *)field = (uint32_t)value;
	return err;
}

int sg_config_read_seconds(const struct sg_config_key *key, const config_setting_t *setting,
	void *field, struct sg_error *error)
{
	uint64_t value = 0;
	int err = sg_config_get_integer(setting, 0, key->max, &value, error);

	if (!err && value != 0)
		*(uint32_t *)field = (uint32_t)value;
	return err;
}

int sg_config_read_int(const struct sg_config_key *key, const config_setting_t *setting,
	void *field, struct sg_error *error)
{
	uint64_t value = 0;
	int err = sg_config_get_integer(setting, key->min, key->max, &value, error);

	if (!err)
		*(int *)field = (int)value;
	return err;
}

int sg_config_read_u16(const struct sg_config_key *key, const config_setting_t *setting,
	void *field, struct sg_error *error)
{
	uint64_t value = 0;
	int err = sg_config_get_integer(setting, key->min, key->max, &value, error);

	if (!err)
		*(uint16_t *)field = (uint16_t)value;
	return err;
}

int sg_config_read_string(const struct sg_config_key *key, const config_setting_t *setting,
	void *field, struct sg_error *error)
{
	const char *text;

	if (sg_config_get_text(setting, &text, error) < 0)
		return -EINVAL;
	if (text[0] == '\0' && !key->may_be_empty)
		return sg_config_refuse(setting, error, "must not be empty");
	if (strlen(text) >= key->max)
		return sg_config_refuse(setting, error, "must not be longer than %u characters",
			(unsigned)key->max - 1);
	memcpy(field, text, strlen(text) + 1);
	return 0;
}

int sg_config_read_choice(const struct sg_config_key *key, const config_setting_t *setting,
	void *field, struct sg_error *error)
{
	char list[SG_WORDS_TEXT_BYTES];
	const char *text;
	int value;

	if (sg_config_get_text(setting, &text, error) < 0)
		return -EINVAL;
	value = sg_words_find(key->words, text);
	if (value < 0)
		return sg_config_refuse(setting, error, "must be %s, not \"%.60s\"",
			sg_words_format(key->words, list), text);
	*(unsigned *)field = (unsigned)value;
	return 0;
}

static const struct sg_config_key *find_key(const struct sg_config_key *keys, const char *name)
{
	for (; keys->name; keys++) {
		if (strcmp(keys->name, name) == 0)
			return keys;
	}
	return NULL;
}

static int refuse_unknown(
	const struct sg_config_key *keys, const config_setting_t *member, struct sg_error *error)
{
	char known[220] = "";
	size_t used = 0;

	for (; keys->name && used < sizeof(known); keys++)
		used += (size_t)snprintf(
			known + used, sizeof(known) - used, "%s%s", used ? ", " : "", keys->name);
	return sg_config_refuse(member, error, "is an unknown key (known here: %s)", known);
}

int sg_config_read_group(const struct sg_config_key *key, const config_setting_t *setting,
	void *field, struct sg_error *error)
{
	if (config_setting_type(setting) != CONFIG_TYPE_GROUP)
		return sg_config_refuse(
			setting, error, "must be a group { }, not %s", sg_config_kind(setting));
	for (int i = 0; i < config_setting_length(setting); i++) {
		const config_setting_t *member = config_setting_get_elem(setting, (unsigned)i);
		const struct sg_config_key *row = find_key(key->keys, config_setting_name(member));
		int err = row ? row->read(row, member, (char *)field + row->offset, error)
			      : refuse_unknown(key->keys, member, error);

		if (err)
			return err;
	}
	for (const struct sg_config_key *row = key->keys; row->name; row++) {
		if (row->required && !config_setting_get_member(setting, row->name))
			return sg_config_refuse(setting, error, "lacks the key \"%s\"", row->name);
	}
	return 0;
}
