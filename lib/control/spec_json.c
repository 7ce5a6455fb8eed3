// Specs from JSON and back, see spec_json.h.
#include "control/spec_json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/json_reader.h"
#include "control/policy_json.h"

static int refuse_memory(struct sg_error *error)
{
	return sg_error_set(error, -ENOMEM, "no memory is left for the service");
}

static int read_vip(const struct sg_json_member *member, const json_t *value, void *field,
	const char *where, struct sg_error *error)
{
	struct sg_service_spec *spec = field;
	size_t n = json_array_size(value);

	memset(spec->vips, 0, sizeof(spec->vips));
	spec->n_vips = 1;
	if (!json_is_array(value))
		return sg_json_read_address(member, value, &spec->vips[0], where, error);
	for (size_t i = 0; i < n && i < 2; i++) {
		int err = sg_json_read_address(
			member, json_array_get(value, i), &spec->vips[i], where, error);

		if (err)
			return err;
	}
	if (n == 0 || n > 2 || (n == 2 && spec->vips[0].family == spec->vips[1].family))
		return sg_json_refuse(where, member->name, error,
			"must be one address, or an array of one IPv4 and one IPv6 address");
	spec->n_vips = (unsigned)n;
	return 0;
}

static int read_protocol(const struct sg_json_member *member, const json_t *value, void *field,
	const char *where, struct sg_error *error)
{
	const char *text = json_string_value(value);
	int protocol = text ? sg_protocol_parse(text) : -EINVAL;

	if (protocol < 0)
		return sg_json_refuse(where, member->name, error,
			"must be \"tcp\" or \"udp\", not %.60s", text ? text : sg_json_kind(value));
	*(uint8_t *)field = (uint8_t)protocol;
	return 0;
}

// Only looks at the shape: backends are read when the rest is known, because their port defaults to
// the service's.
static int check_backends(const struct sg_json_member *member, const json_t *value, void *field,
	const char *where, struct sg_error *error)
{
	(void)field;
	if (!json_is_array(value))
		return sg_json_refuse(where, member->name, error, "must be an array, not %s",
			sg_json_kind(value));
	if (json_array_size(value) > SG_MAX_SERVICE_BACKENDS)
		return sg_json_refuse(where, member->name, error,
			"has %zu backends, at most %d are possible", json_array_size(value),
			SG_MAX_SERVICE_BACKENDS);
	return 0;
}

// clang-format off
#define BACKEND(field) .offset = offsetof(struct sg_backend_spec, field)
static const struct sg_json_member backend_members[] = {
	SG_JSON_MEMBER("address", sg_json_read_address, BACKEND(address), .required = true),
	SG_JSON_MEMBER("port", sg_json_read_u16, BACKEND(port), .min = 1, .max = 65535),
	SG_JSON_MEMBER("weight", sg_json_read_u16, BACKEND(weight), .max = SG_MAX_WEIGHT),
	SG_JSON_MEMBER("draining", sg_json_read_bool, BACKEND(draining)),
	SG_JSON_MEMBER("max_connections", sg_json_read_u32, BACKEND(max_connections), .max = INT32_MAX),
	SG_JSON_END,
};

#define SPEC(field) .offset = offsetof(struct sg_service_spec, field)
static const struct sg_json_member service_members[] = {
	SG_JSON_MEMBER("name", sg_json_read_string, SPEC(name), .max = SG_MAX_NAME_BYTES, .required = true),
	SG_JSON_MEMBER("vip", read_vip, .required = true),
	SG_JSON_MEMBER("protocol", read_protocol, SPEC(protocol), .required = true),
	SG_JSON_MEMBER("port", sg_json_read_u16, SPEC(port), .min = 1, .max = 65535, .required = true),
	SG_JSON_MEMBER("scheduler", sg_json_read_choice, SPEC(scheduler), .words = sg_words_scheduler),
	SG_JSON_MEMBER("forward", sg_json_read_choice, SPEC(forward), .words = sg_words_forward),
	SG_JSON_MEMBER("allow", sg_json_read_allow, SPEC(policy)),
	SG_JSON_MEMBER("deny", sg_json_read_deny, SPEC(policy)),
	SG_JSON_MEMBER("policy_existing", sg_json_read_choice, SPEC(policy.existing), .words = sg_words_existing),
	SG_JSON_MEMBER("max_connections", sg_json_read_u32, SPEC(limits.max_connections), .max = INT32_MAX),
	SG_JSON_MEMBER("max_connections_per_backend", sg_json_read_u32, SPEC(limits.max_connections_per_backend), .max = INT32_MAX),
	SG_JSON_MEMBER("max_connections_per_client", sg_json_read_u32, SPEC(limits.max_connections_per_client), .max = INT32_MAX),
	SG_JSON_MEMBER("max_new_per_second", sg_json_read_u32, SPEC(limits.max_new_per_second), .max = 1000000),
	SG_JSON_MEMBER("max_new_per_second_per_client", sg_json_read_u32, SPEC(limits.max_new_per_second_per_client), .max = 1000000),
	SG_JSON_MEMBER("client_prefix", sg_json_read_u32, SPEC(limits.client_prefix), .min = 1, .max = 32),
	SG_JSON_MEMBER("client_prefix6", sg_json_read_u32, SPEC(limits.client_prefix6), .min = 1, .max = 128),
	SG_JSON_MEMBER("affinity", sg_json_read_choice, SPEC(affinity), .words = sg_words_affinity),
	SG_JSON_MEMBER("affinity_timeout", sg_json_read_seconds, SPEC(affinity_timeout_s), .max = 604800),
	SG_JSON_MEMBER("announce", sg_json_read_choice, SPEC(announce), .words = sg_words_announce),
	SG_JSON_MEMBER("maglev_table_size", sg_json_read_u32, SPEC(maglev_table_size), .min = 251, .max = 131071),
	SG_JSON_MEMBER("backends", check_backends),
	SG_JSON_END,
};
// clang-format on

static int read_backend(struct sg_service_spec *spec, const json_t *object, const char *where,
	struct sg_error *error)
{
	struct sg_backend_spec backend = {.port = spec->port, .weight = 1};
	char text[SG_ADDR_TEXT_BYTES];
	int err;

	if (!json_is_object(object))
		return sg_json_refuse(
			where, "backend", error, "must be an object, not %s", sg_json_kind(object));
	err = sg_json_read_members(backend_members, object, true, &backend, where, error);
	if (err)
		return err;
	if (sg_service_spec_find_backend(spec, &backend.address, backend.port))
		return sg_json_refuse(where, "backend", error, "%s port %u stands there twice",
			sg_addr_format(&backend.address, text), backend.port);
	return sg_service_spec_put_backend(spec, &backend) < 0 ? refuse_memory(error) : 0;
}

static int read_backends(struct sg_service_spec *spec, const json_t *array, struct sg_error *error)
{
	spec->n_backends = 0;
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *object = json_array_get(array, i);
		char where[SG_MAX_NAME_BYTES + 60];
		int err;

		// fast path: which one it is is only put into words when something is wrong with
		// it.
		if (read_backend(spec, object, "", error) == 0)
			continue;
		snprintf(where, sizeof(where), "service '%.63s': backends[%zu]", spec->name, i);
		err = read_backend(spec, object, where, error);
		if (err)
			return err;
	}
	return 0;
}

int sg_spec_from_json(
	struct sg_service_spec *spec, const json_t *object, bool whole, struct sg_error *error)
{
	const char *name = json_string_value(json_object_get(object, "name"));
	const json_t *backends;
	char where[SG_MAX_NAME_BYTES + 20];
	int err;

	if (!json_is_object(object))
		return sg_json_refuse(
			"", "a service", error, "must be an object, not %s", sg_json_kind(object));
	snprintf(where, sizeof(where), "service '%.63s'", name ? name : "?");
	err = sg_json_read_members(service_members, object, whole, spec, where, error);
	if (err)
		return err;
	backends = json_object_get(object, "backends");
	return backends ? read_backends(spec, backends, error) : 0;
}

static json_t *address_to_json(const struct sg_addr *addr)
{
	char text[SG_ADDR_TEXT_BYTES];

	return json_string(sg_addr_format(addr, text));
}

json_t *sg_backend_to_json(const struct sg_backend_spec *backend)
{
	json_t *object = json_pack("{s:o, s:i, s:i}", "address", address_to_json(&backend->address),
		"port", backend->port, "weight", backend->weight);

	if (object && backend->draining)
		json_object_set_new(object, "draining", json_true());
	if (object && backend->max_connections > 0)
		json_object_set_new(
			object, "max_connections", json_integer(backend->max_connections));
	return object;
}

// Those that are set.
static void add_limits(json_t *object, const struct sg_limits *limits)
{
	const struct {
		const char *name;
		uint32_t value, usual;
	} rows[] = {{"max_connections", limits->max_connections, 0},
		{"max_connections_per_backend", limits->max_connections_per_backend, 0},
		{"max_connections_per_client", limits->max_connections_per_client, 0},
		{"max_new_per_second", limits->max_new_per_second, 0},
		{"max_new_per_second_per_client", limits->max_new_per_second_per_client, 0},
		{"client_prefix", limits->client_prefix, 32},
		{"client_prefix6", limits->client_prefix6, 64}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].value != rows[i].usual)
			json_object_set_new(object, rows[i].name, json_integer(rows[i].value));
}

static json_t *vips_to_json(const struct sg_service_spec *spec)
{
	if (spec->n_vips < 2)
		return address_to_json(&spec->vips[0]);
	return json_pack(
		"[o, o]", address_to_json(&spec->vips[0]), address_to_json(&spec->vips[1]));
}

json_t *sg_spec_to_json(const struct sg_service_spec *spec)
{
	json_t *backends = json_array();
	json_t *object;

	for (unsigned i = 0; i < spec->n_backends; i++)
		json_array_append_new(backends, sg_backend_to_json(&spec->backends[i]));
	object = json_pack("{s:s, s:o, s:s, s:i, s:s, s:s}", "name", spec->name, "vip",
		vips_to_json(spec), "protocol", sg_protocol_name(spec->protocol), "port",
		spec->port, "scheduler", sg_scheduler_name(spec->scheduler), "forward",
		sg_forward_name(spec->forward));
	if (object) {
		sg_policy_add_json(object, &spec->policy);
		add_limits(object, &spec->limits);
		json_object_set_new(object, "policy_existing",
			json_string(sg_existing_name(spec->policy.existing)));
	}
	if (!object || json_object_update_new(object,
			       json_pack("{s:s, s:i, s:s, s:i, s:o}", "affinity",
				       sg_affinity_name(spec->affinity), "affinity_timeout",
				       (int)spec->affinity_timeout_s, "announce",
				       sg_announce_name(spec->announce), "maglev_table_size",
				       (int)spec->maglev_table_size, "backends", backends)) < 0) {
		json_decref(object);
		return NULL;
	}
	return object;
}
