// Lists of prefixes from JSON and back, see policy_json.h.
#include "control/policy_json.h"

#include <errno.h>

#include "service/limits.h"

typedef int add_fn(struct sg_policy_spec *spec, const struct sg_prefix *prefix);

static int read_prefixes(const struct sg_json_member *member, const json_t *value,
	struct sg_policy_spec *spec, add_fn *add, const char *where, struct sg_error *error)
{
	if (!json_is_array(value) && !json_is_null(value))
		return sg_json_refuse(where, member->name, error,
			"must be an array of prefixes, not %s", sg_json_kind(value));
	if (json_array_size(value) > SG_MAX_SERVICE_PREFIXES)
		return sg_json_refuse(where, member->name, error,
			"has %zu prefixes, at most %d are possible", json_array_size(value),
			SG_MAX_SERVICE_PREFIXES);
	for (size_t i = 0; i < json_array_size(value); i++) {
		const char *text = json_string_value(json_array_get(value, i));
		struct sg_prefix prefix;

		if (!text || sg_prefix_parse(text, &prefix, NULL) < 0)
			return sg_json_refuse(where, member->name, error,
				"must hold prefixes such as 10.0.0.0/8 without host bits, not %.60s",
				text ? text : sg_json_kind(json_array_get(value, i)));
		if (add(spec, &prefix) < 0)
			return sg_error_set(error, -ENOMEM, "no memory is left for the prefixes");
	}
	return 0;
}

int sg_json_read_allow(const struct sg_json_member *member, const json_t *value, void *field,
	const char *where, struct sg_error *error)
{
	struct sg_policy_spec *spec = field;

	spec->n_allow = 0;
	spec->allow_everyone = json_is_null(value);
	return read_prefixes(member, value, spec, sg_policy_spec_add_allow, where, error);
}

int sg_json_read_deny(const struct sg_json_member *member, const json_t *value, void *field,
	const char *where, struct sg_error *error)
{
	struct sg_policy_spec *spec = field;

	spec->n_deny = 0;
	return read_prefixes(member, value, spec, sg_policy_spec_add_deny, where, error);
}

static json_t *prefixes_to_json(const struct sg_prefix *prefixes, unsigned n)
{
	json_t *array = json_array();
	char text[SG_PREFIX_TEXT_BYTES];

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(array, json_string(sg_prefix_format(&prefixes[i], text)));
	return array;
}

void sg_policy_add_json(json_t *object, const struct sg_policy_spec *spec)
{
	if (!spec->allow_everyone)
		json_object_set_new(object, "allow", prefixes_to_json(spec->allow, spec->n_allow));
	if (spec->n_deny > 0)
		json_object_set_new(object, "deny", prefixes_to_json(spec->deny, spec->n_deny));
}
