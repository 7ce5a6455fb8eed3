// One block of `services` after the other, see config_service.h.
#include "control/config_service.h"

#include <errno.h>
#include <string.h>

static int refuse_memory(struct sg_error *error)
{
	return sg_error_set(error, -ENOMEM, "no memory is left for the configuration");
}

static int read_address(
	const config_setting_t *setting, struct sg_addr *ret_addr, struct sg_error *error)
{
	const char *text;

	if (sg_config_get_text(setting, &text, error) < 0)
		return -EINVAL;
	if (sg_addr_parse(text, ret_addr) < 0)
		return sg_config_refuse(
			setting, error, "must be an IPv4 or IPv6 address, not \"%.60s\"", text);
	return 0;
}

static int read_address_key(const struct sg_config_key *key, const config_setting_t *setting,
	void *field, struct sg_error *error)
{
	(void)key;
	return read_address(setting, field, error);
}

static int read_vip(const struct sg_config_key *key, const config_setting_t *setting, void *field,
	struct sg_error *error)
{
	struct sg_service_spec *spec = field;
	unsigned n = 0;

	(void)key;
	if (config_setting_type(setting) == CONFIG_TYPE_STRING) {
		spec->n_vips = 1;
		return read_address(setting, &spec->vips[0], error);
	}
	if (sg_config_get_length(setting, 2, "addresses", &n, error) < 0)
		return -EINVAL;
	for (unsigned i = 0; i < n; i++) {
		if (read_address(config_setting_get_elem(setting, i), &spec->vips[i], error) < 0)
			return -EINVAL;
	}
	if (n == 0 || (n == 2 && spec->vips[0].family == spec->vips[1].family))
		return sg_config_refuse(setting, error,
			"must be one address, or an array of one IPv4 and one IPv6 address");
	spec->n_vips = n;
	return 0;
}

static int read_protocol(const struct sg_config_key *key, const config_setting_t *setting,
	void *field, struct sg_error *error)
{
	struct sg_service_spec *spec = field;
	const char *text;
	int protocol;

	(void)key;
	if (sg_config_get_text(setting, &text, error) < 0)
		return -EINVAL;
	protocol = sg_protocol_parse(text);
	if (protocol < 0)
		return sg_config_refuse(
			setting, error, "must be \"tcp\" or \"udp\", not \"%.60s\"", text);
	spec->protocol = (uint8_t)protocol;
	return 0;
}

int sg_config_read_prefixes(const config_setting_t *setting, unsigned max,
	int (*add)(void *context, const struct sg_prefix *prefix), void *context,
	struct sg_error *error)
{
	unsigned n;

	if (sg_config_get_length(setting, max, "prefixes", &n, error) < 0)
		return -EINVAL;
	for (unsigned i = 0; i < n; i++) {
		const config_setting_t *element = config_setting_get_elem(setting, i);
		struct sg_prefix prefix;
		const char *text;

		if (sg_config_get_text(element, &text, error) < 0)
			return -EINVAL;
		if (sg_prefix_parse(text, &prefix, NULL) < 0)
			return sg_config_refuse(element, error,
				"must be a prefix such as 10.0.0.0/8 without host bits, not \"%.60s\"",
				text);
		if (add(context, &prefix) < 0)
			return refuse_memory(error);
	}
	return 0;
}

static int add_allow(void *context, const struct sg_prefix *prefix)
{
	return sg_policy_spec_add_allow(context, prefix);
}

int sg_config_read_allow(const struct sg_config_key *key, const config_setting_t *setting,
	void *field, struct sg_error *error)
{
	struct sg_policy_spec *spec = field;

	(void)key;
	spec->allow_everyone = false;
	return sg_config_read_prefixes(setting, SG_MAX_SERVICE_PREFIXES, add_allow, spec, error);
}

static int add_deny(void *context, const struct sg_prefix *prefix)
{
	return sg_policy_spec_add_deny(context, prefix);
}

int sg_config_read_deny(const struct sg_config_key *key, const config_setting_t *setting,
	void *field, struct sg_error *error)
{
	(void)key;
	return sg_config_read_prefixes(setting, SG_MAX_SERVICE_PREFIXES, add_deny, field, error);
}

// Only looks at the shape. Backends are read when the rest of the block is known, because their
// port defaults to the service's, which may stand below them.
static int check_backends(const struct sg_config_key *key, const config_setting_t *setting,
	void *field, struct sg_error *error)
{
	unsigned n;

	(void)key;
	(void)field;
	return sg_config_get_length(setting, SG_MAX_SERVICE_BACKENDS, "backends", &n, error);
}

// clang-format off
#define BACKEND(field) .offset = offsetof(struct sg_backend_spec, field)
static const struct sg_config_key backend_keys[] = {
	SG_CONFIG_KEY("address", read_address_key, BACKEND(address), .required = true),
	SG_CONFIG_KEY("port", sg_config_read_u16, BACKEND(port), .min = 1, .max = 65535),
	SG_CONFIG_KEY("weight", sg_config_read_u16, BACKEND(weight), .max = SG_MAX_WEIGHT),
	SG_CONFIG_KEY("max_connections", sg_config_read_u32, BACKEND(max_connections), .max = INT32_MAX),
	SG_CONFIG_END,
};
static const struct sg_config_key backend_block = {.keys = backend_keys};

#define SPEC(field) .offset = offsetof(struct sg_service_spec, field)
const struct sg_config_key sg_config_service_keys[] = {
	SG_CONFIG_KEY("name", sg_config_read_string, SPEC(name), .max = SG_MAX_NAME_BYTES, .required = true),
	SG_CONFIG_KEY("vip", read_vip, .required = true),
	SG_CONFIG_KEY("protocol", read_protocol, .required = true),
	SG_CONFIG_KEY("port", sg_config_read_u16, SPEC(port), .min = 1, .max = 65535, .required = true),
	SG_CONFIG_KEY("scheduler", sg_config_read_choice, SPEC(scheduler), .words = sg_words_scheduler),
	SG_CONFIG_KEY("forward", sg_config_read_choice, SPEC(forward), .words = sg_words_forward),
	SG_CONFIG_KEY("allow", sg_config_read_allow, SPEC(policy)),
	SG_CONFIG_KEY("deny", sg_config_read_deny, SPEC(policy)),
	SG_CONFIG_KEY("policy_existing", sg_config_read_choice, SPEC(policy.existing), .words = sg_words_existing),
	SG_CONFIG_KEY("max_connections", sg_config_read_u32, SPEC(limits.max_connections), .max = INT32_MAX),
	SG_CONFIG_KEY("max_connections_per_backend", sg_config_read_u32, SPEC(limits.max_connections_per_backend), .max = INT32_MAX),
	SG_CONFIG_KEY("max_connections_per_client", sg_config_read_u32, SPEC(limits.max_connections_per_client), .max = INT32_MAX),
	SG_CONFIG_KEY("max_new_per_second", sg_config_read_u32, SPEC(limits.max_new_per_second), .max = 1000000),
	SG_CONFIG_KEY("max_new_per_second_per_client", sg_config_read_u32, SPEC(limits.max_new_per_second_per_client), .max = 1000000),
	SG_CONFIG_KEY("client_prefix", sg_config_read_u32, SPEC(limits.client_prefix), .min = 1, .max = 32),
	SG_CONFIG_KEY("client_prefix6", sg_config_read_u32, SPEC(limits.client_prefix6), .min = 1, .max = 128),
	SG_CONFIG_KEY("affinity", sg_config_read_choice, SPEC(affinity), .words = sg_words_affinity),
	SG_CONFIG_KEY("affinity_timeout", sg_config_read_seconds, SPEC(affinity_timeout_s), .max = 604800),
	SG_CONFIG_KEY("announce", sg_config_read_choice, SPEC(announce), .words = sg_words_announce),
	SG_CONFIG_KEY("maglev_table_size", sg_config_read_u32, SPEC(maglev_table_size), .min = 251, .max = 131071),
	SG_CONFIG_KEY("backends", check_backends, .keys = backend_keys),
	SG_CONFIG_END,
};
// clang-format on
static const struct sg_config_key service_block = {.keys = sg_config_service_keys};

static int read_backend(
	struct sg_service_spec *spec, const config_setting_t *setting, struct sg_error *error)
{
	struct sg_backend_spec backend = {
		.port = spec->port, .weight = 1, .line = (int)config_setting_source_line(setting)};
	char text[SG_ADDR_TEXT_BYTES];

	if (sg_config_read_group(&backend_block, setting, &backend, error) < 0)
		return -EINVAL;
	if (sg_service_spec_find_backend(spec, &backend.address, backend.port))
		return sg_config_refuse(setting, error,
			"repeats the backend %s port %u of service '%s'",
			sg_addr_format(&backend.address, text), backend.port, spec->name);
	if (sg_service_spec_put_backend(spec, &backend) < 0)
		return refuse_memory(error);
	return 0;
}

static int read_service(
	struct sg_service_spec *spec, const config_setting_t *setting, struct sg_error *error)
{
	const config_setting_t *backends;
	int err = sg_config_read_group(&service_block, setting, spec, error);

	if (err)
		return err;
	backends = config_setting_get_member(setting, "backends");
	for (int i = 0; backends && i < config_setting_length(backends); i++) {
		err = read_backend(spec, config_setting_get_elem(backends, (unsigned)i), error);
		if (err)
			return err;
	}
	return 0;
}

static int put_service(
	struct sg_state *state, const config_setting_t *setting, struct sg_error *error)
{
	struct sg_service_spec *spec = sg_service_spec_create("", SG_CONFIG_OWNER);
	struct sg_service_spec *other;
	int err;

	if (!spec)
		return refuse_memory(error);
	spec->line = (int)config_setting_source_line(setting);
	err = read_service(spec, setting, error);
	other = err ? NULL : sg_state_find(state, spec->name);
	if (other)
		err = sg_config_refuse(setting, error, "repeats the name \"%s\" of line %d",
			spec->name, other->line);
	if (!err && sg_state_put(state, spec) < 0)
		err = refuse_memory(error);
	if (err)
		sg_service_spec_unref(spec);
	return err;
}

int sg_config_read_services(const struct sg_config_key *key, const config_setting_t *setting,
	void *field, struct sg_error *error)
{
	unsigned n;
	int err = sg_config_get_length(setting, SG_MAX_SERVICES, "services", &n, error);

	(void)key;
	for (unsigned i = 0; !err && i < n; i++)
		err = put_service(field, config_setting_get_elem(setting, i), error);
	return err;
}
