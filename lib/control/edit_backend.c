// Edits of one backend: add, set, drain, delete; see edit.h.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "control/edit.h"
#include "control/json_reader.h"

struct backend_params {
	struct sg_backend_name name;
	uint32_t weight;          // NOT_GIVEN when it is not
	uint32_t max_connections; // the same
	bool wait;
	bool now;
};

#define NOT_GIVEN UINT32_MAX

// clang-format off
#define PARAM(field) .offset = offsetof(struct backend_params, field)
#define BACKEND_NAME \
	SG_JSON_MEMBER("service", sg_json_read_string, PARAM(name.service), .max = SG_MAX_NAME_BYTES, .required = true), \
	SG_JSON_MEMBER("address", sg_json_read_address, PARAM(name.address), .required = true), \
	SG_JSON_MEMBER("port", sg_json_read_u16, PARAM(name.port), .min = 1, .max = 65535)

static const struct sg_json_member put_members[] = {
	BACKEND_NAME, SG_JSON_MEMBER("weight", sg_json_read_u32, PARAM(weight), .max = SG_MAX_WEIGHT),
	SG_JSON_MEMBER("max_connections", sg_json_read_u32, PARAM(max_connections), .max = INT32_MAX), SG_JSON_END};
static const struct sg_json_member drain_members[] = {
	BACKEND_NAME, SG_JSON_MEMBER("wait", sg_json_read_bool, PARAM(wait)), SG_JSON_END};
static const struct sg_json_member delete_members[] = {
	BACKEND_NAME, SG_JSON_MEMBER("now", sg_json_read_bool, PARAM(now)), SG_JSON_END};
// clang-format on

static int refuse_memory(struct sg_error *error)
{
	return sg_error_set(error, -ENOMEM, "no memory is left for the change");
}

static const char *format_backend(
	const struct sg_backend_name *name, char text[SG_ADDR_TEXT_BYTES + 8])
{
	char address[SG_ADDR_TEXT_BYTES];

	snprintf(text, SG_ADDR_TEXT_BYTES + 8,
		name->address.family == SG_FAMILY_IPV6 ? "[%s]:%u" : "%s:%u",
		sg_addr_format(&name->address, address), name->port);
	return text;
}

// Reads the params, and puts a copy of the service that is free to edit into `ret_spec`. The port
// defaults to the service's.
static int open_service(struct sg_edit *edit, const struct sg_json_member *members,
	const json_t *params, struct backend_params *ret_params, struct sg_service_spec **ret_spec,
	struct sg_error *error)
{
	struct backend_params read = {.weight = NOT_GIVEN, .max_connections = NOT_GIVEN};
	struct sg_service_spec *spec;
	int err = sg_json_read_members(members, params, true, &read, "backend", error);

	if (err)
		return err;
	spec = sg_state_find(&edit->state, read.name.service);
	if (!spec)
		return sg_error_set(error, -ENOENT,
			"no service is named '%s'; see \"service list\"", read.name.service);
	spec = sg_service_spec_clone(spec);
	if (!spec)
		return refuse_memory(error);
	if (read.name.port == 0)
		read.name.port = spec->port;
	*ret_params = read;
	*ret_spec = spec;
	return 0;
}

// Ends what open_service began: puts the spec into the candidate, or drops it when `err` says so.
static int close_service(
	struct sg_edit *edit, struct sg_service_spec *spec, int err, struct sg_error *error)
{
	if (!err && sg_state_put(&edit->state, spec) < 0)
		err = refuse_memory(error);
	if (err)
		sg_service_spec_unref(spec);
	return err;
}

static struct sg_backend_spec *find_backend(const struct sg_service_spec *spec,
	const struct sg_backend_name *name, struct sg_error *error)
{
	struct sg_backend_spec *backend =
		sg_service_spec_find_backend(spec, &name->address, name->port);
	char text[SG_ADDR_TEXT_BYTES + 8];

	if (!backend)
		sg_error_set(error, -ENOENT,
			"service '%s' has no backend %s; see \"service show %s\"", spec->name,
			format_backend(name, text), spec->name);
	return backend;
}

int sg_edit_backend_add(struct sg_edit *edit, const json_t *params, struct sg_error *error)
{
	struct backend_params read;
	struct sg_service_spec *spec = NULL;
	char text[SG_ADDR_TEXT_BYTES + 8];
	int err = open_service(edit, put_members, params, &read, &spec, error);

	if (err)
		return err;
	if (sg_service_spec_find_backend(spec, &read.name.address, read.name.port)) {
		err = sg_error_set(error, -EEXIST,
			"service '%s' has the backend %s already: change it with \"backend set\"",
			spec->name, format_backend(&read.name, text));
	} else {
		struct sg_backend_spec backend = {.address = read.name.address,
			.port = read.name.port,
			.weight = read.weight == NOT_GIVEN ? 1 : (uint16_t)read.weight,
			.max_connections =
				read.max_connections == NOT_GIVEN ? 0 : read.max_connections};

		if (sg_service_spec_put_backend(spec, &backend) < 0)
			err = refuse_memory(error);
	}
	return close_service(edit, spec, err, error);
}

int sg_edit_backend_set(struct sg_edit *edit, const json_t *params, struct sg_error *error)
{
	struct backend_params read;
	struct sg_service_spec *spec = NULL;
	struct sg_backend_spec *backend;
	int err = open_service(edit, put_members, params, &read, &spec, error);

	if (err)
		return err;
	backend = find_backend(spec, &read.name, error);
	if (!backend)
		err = -ENOENT;
	else if (read.weight == NOT_GIVEN && read.max_connections == NOT_GIVEN)
		err = sg_json_refuse(
			"backend", "weight", error, "is missing, and so is max_connections");
	if (!err && read.max_connections != NOT_GIVEN)
		backend->max_connections = read.max_connections;
	if (!err && read.weight != NOT_GIVEN) {
		backend->weight = (uint16_t)read.weight;
		backend->draining = backend->draining && backend->weight == 0;
	}
	return close_service(edit, spec, err, error);
}

int sg_edit_backend_drain(struct sg_edit *edit, const json_t *params, struct sg_error *error)
{
	struct backend_params read;
	struct sg_service_spec *spec = NULL;
	struct sg_backend_spec *backend;
	int err = open_service(edit, drain_members, params, &read, &spec, error);

	if (err)
		return err;
	backend = find_backend(spec, &read.name, error);
	if (backend)
		backend->draining = true;
	edit->wait = read.wait;
	edit->waited = read.name;
	return close_service(edit, spec, backend ? 0 : -ENOENT, error);
}

static int end_now(struct sg_edit *edit, const struct sg_backend_name *name, struct sg_error *error)
{
	struct sg_rollout_end *ends =
		realloc(edit->ends, (edit->n_ends + 1) * sizeof(edit->ends[0]));

	if (!ends)
		return refuse_memory(error);
	edit->ends = ends;
	ends[edit->n_ends] = (struct sg_rollout_end){.address = name->address, .port = name->port};
	snprintf(ends[edit->n_ends].service, SG_MAX_NAME_BYTES, "%s", name->service);
	edit->n_ends++;
	return 0;
}

// Whether the backend was deleted before, alone or with its service, and some of its flows are
// finishing.
static bool is_leaving(const struct sg_edit *edit, const struct backend_params *params)
{
	const struct sg_backend_name *name = &params->name;
	const struct sg_service_spec *spec = sg_state_find(&edit->state, name->service);
	uint16_t port = name->port || !spec ? name->port : spec->port;

	if (spec && sg_service_spec_find_backend(spec, &name->address, port))
		return false;
	return edit->compiler &&
	       sg_compiler_holds(edit->compiler, name->service, &name->address, port);
}

int sg_edit_backend_delete(struct sg_edit *edit, const json_t *params, struct sg_error *error)
{
	struct backend_params read = {.now = false};
	struct sg_service_spec *spec = NULL;
	int err = sg_json_read_members(delete_members, params, true, &read, "backend", error);

	if (err)
		return err;
	if (read.now && is_leaving(edit, &read)) {
		spec = sg_state_find(&edit->state, read.name.service);
		if (spec && read.name.port == 0)
			read.name.port = spec->port;
		return end_now(edit, &read.name, error);
	}
	err = open_service(edit, delete_members, params, &read, &spec, error);
	if (err)
		return err;
	err = find_backend(spec, &read.name, error) ? 0 : -ENOENT;
	if (!err && read.now)
		err = end_now(edit, &read.name, error);
	if (!err)
		err = sg_service_spec_remove_backend(spec, &read.name.address, read.name.port);
	return close_service(edit, spec, err, error);
}
