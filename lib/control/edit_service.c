// Edits of services: add, set, delete, and `apply`, which is all of them for one owner; see edit.h.
#include <errno.h>
#include <string.h>

#include "control/edit.h"
#include "control/json_reader.h"
#include "control/spec_json.h"

static int refuse_memory(struct sg_error *error)
{
	return sg_error_set(error, -ENOMEM, "no memory is left for the change");
}

// Puts a spec into the candidate; takes over the reference in any case.
static int put(struct sg_edit *edit, struct sg_service_spec *spec, struct sg_error *error)
{
	if (sg_state_put(&edit->state, spec) == 0)
		return 0;
	sg_service_spec_unref(spec);
	return refuse_memory(error);
}

int sg_edit_service_add(struct sg_edit *edit, const json_t *params, struct sg_error *error)
{
	struct sg_service_spec *spec = sg_service_spec_create("", SG_EDIT_DEFAULT_OWNER);
	const struct sg_service_spec *other;
	int err;

	if (!spec)
		return refuse_memory(error);
	err = sg_spec_from_json(spec, params, true, error);
	other = err ? NULL : sg_state_find(&edit->state, spec->name);
	if (other)
		err = sg_error_set(error, -EEXIST,
			"service '%s' exists already (owner %s): change it with \"service set\"",
			spec->name, other->owner);
	if (err) {
		sg_service_spec_unref(spec);
		return err;
	}
	return put(edit, spec, error);
}

static int find_service(const struct sg_edit *edit, const char *name,
	struct sg_service_spec **ret_spec, struct sg_error *error)
{
	*ret_spec = sg_state_find(&edit->state, name);
	if (!*ret_spec)
		return sg_error_set(
			error, -ENOENT, "no service is named '%s'; see \"service list\"", name);
	return 0;
}

int sg_edit_service_set(struct sg_edit *edit, const json_t *params, struct sg_error *error)
{
	const char *name = json_string_value(json_object_get(params, "name"));
	struct sg_service_spec *spec;
	int err;

	if (!name)
		return sg_json_refuse("", "name", error, "is missing, or not a string");
	err = find_service(edit, name, &spec, error);
	if (err)
		return err;
	spec = sg_service_spec_clone(spec);
	if (!spec)
		return refuse_memory(error);
	err = sg_spec_from_json(spec, params, false, error);
	if (err) {
		sg_service_spec_unref(spec);
		return err;
	}
	return put(edit, spec, error);
}

static const struct sg_json_member delete_members[] = {
	SG_JSON_MEMBER("name", sg_json_read_string, .max = SG_MAX_NAME_BYTES, .required = true),
	SG_JSON_END,
};

int sg_edit_service_delete(struct sg_edit *edit, const json_t *params, struct sg_error *error)
{
	struct sg_service_spec *spec;
	char name[SG_MAX_NAME_BYTES];
	int err = sg_json_read_members(delete_members, params, true, name, "service delete", error);

	if (!err)
		err = find_service(edit, name, &spec, error);
	if (!err && sg_state_remove(&edit->state, name) < 0)
		err = refuse_memory(error);
	return err;
}

struct apply_params {
	char owner[SG_MAX_NAME_BYTES];
	const json_t *services;
	bool dry_run;
};

// clang-format off
#define APPLY(field) .offset = offsetof(struct apply_params, field)
static const struct sg_json_member apply_members[] = {
	SG_JSON_MEMBER("owner", sg_json_read_string, APPLY(owner), .max = SG_MAX_NAME_BYTES),
	SG_JSON_MEMBER("services", sg_json_read_array, APPLY(services), .required = true),
	SG_JSON_MEMBER("dry_run", sg_json_read_bool, APPLY(dry_run)),
	SG_JSON_END,
};
// clang-format on

// One service of an apply: kept as it is when nothing about it differs, so that its parts are
// shared further on.
static int apply_service(struct sg_edit *edit, const struct sg_state *before, const char *owner,
	const json_t *object, struct sg_error *error)
{
	struct sg_service_spec *spec = sg_service_spec_create("", owner);
	struct sg_service_spec *old;
	int err;

	if (!spec)
		return refuse_memory(error);
	err = sg_spec_from_json(spec, object, true, error);
	old = err ? NULL : sg_state_find(&edit->state, spec->name);
	if (old && strcmp(old->owner, owner) == 0)
		err = sg_error_set(error, -EEXIST, "service '%s' stands there twice", spec->name);
	else if (old)
		err = sg_error_set(error, -EPERM, "service '%s' belongs to owner %s, not to %s",
			spec->name, old->owner, owner);
	if (err) {
		sg_service_spec_unref(spec);
		return err;
	}
	old = sg_state_find(before, spec->name);
	if (old && sg_service_spec_equal(old, spec)) {
		sg_service_spec_unref(spec);
		spec = sg_service_spec_ref(old);
	}
	return put(edit, spec, error);
}

int sg_edit_apply(struct sg_edit *edit, const json_t *params, struct sg_error *error)
{
	struct apply_params apply = {.owner = SG_EDIT_DEFAULT_OWNER};
	struct sg_state before;
	int err = sg_json_read_members(apply_members, params, true, &apply, "apply", error);

	if (err)
		return err;
	edit->dry_run = apply.dry_run;
	if (sg_state_clone(&before, &edit->state) < 0)
		return refuse_memory(error);
	if (sg_state_remove_owner(&edit->state, apply.owner) < 0)
		err = refuse_memory(error);
	for (size_t i = 0; !err && i < json_array_size(apply.services); i++)
		err = apply_service(
			edit, &before, apply.owner, json_array_get(apply.services, i), error);
	sg_state_fini(&before);
	return err;
}
