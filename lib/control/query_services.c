// Lists of services: `service list`, `service show`, `export` and `stats`, see query.h. All of them
// are written in steps (listing.h).
#include <errno.h>
#include <string.h>

#include "control/control_internal.h"
#include "control/edit.h"
#include "control/json_reader.h"
#include "control/query.h"
#include "control/spec_json.h"

#define BACKENDS_PER_STEP 64
#define OTHERS_PER_STEP   64 // services that an export does not print

static const struct sg_json_member no_members[] = {SG_JSON_END};
static const struct sg_json_member owner_members[] = {
	SG_JSON_MEMBER("owner", sg_json_read_string, .max = SG_MAX_NAME_BYTES),
	SG_JSON_END,
};
static const struct sg_json_member name_members[] = {
	SG_JSON_MEMBER("name", sg_json_read_string, .max = SG_MAX_NAME_BYTES, .required = true),
	SG_JSON_END,
};

// A listing over the services that there are now.
static int start(struct sg_control *control, struct sg_call *call, sg_listing_step_fn *step,
	struct sg_listing **ret_listing, struct sg_error *error)
{
	struct sg_state state;
	int err;

	if (sg_state_clone(&state, sg_rollout_state(control->rollout)) < 0)
		return sg_error_set(error, -ENOMEM, "no memory is left for the answer");
	err = sg_listing_start(control, call, step, ret_listing, error);
	if (err)
		sg_state_fini(&state);
	else
		(*ret_listing)->after = state;
	return err;
}

// Everything of a service but its backends.
static json_t *head_of(const struct sg_service_spec *spec, bool with_owner)
{
	struct sg_service_spec head = *spec;
	json_t *object;

	head.n_backends = 0;
	object = sg_spec_to_json(&head);
	json_object_del(object, "backends");
	if (object && with_owner)
		json_object_set_new(object, "owner", json_string(spec->owner));
	return object;
}

// Writes the service at hand, or some of its backends. Returns whether it is complete.
static bool write_service(struct sg_listing *listing, const struct sg_service_spec *spec,
	json_t *(*head)(struct sg_control *control, const struct sg_service_spec *spec),
	json_t *(*backend)(struct sg_control *control, const struct sg_service_spec *spec,
		const struct sg_backend_spec *backend),
	struct sg_control *control)
{
	struct sg_text *text = &listing->text;
	unsigned n = 0;

	if (listing->at_backend == 0) {
		sg_listing_separate(listing);
		sg_text_append_string(text, "{");
		sg_text_append_members(text, head(control, spec));
		sg_text_append_string(text, ",\"backends\":[");
	}
	for (; listing->at_backend < spec->n_backends && n < BACKENDS_PER_STEP; n++) {
		sg_text_append_string(text, listing->at_backend ? "," : "");
		sg_text_append_json(
			text, backend(control, spec, &spec->backends[listing->at_backend++]));
	}
	if (listing->at_backend < spec->n_backends)
		return false;
	sg_text_append_string(text, "]}");
	listing->at_backend = 0;
	return true;
}

static json_t *plain_head(struct sg_control *control, const struct sg_service_spec *spec)
{
	(void)control;
	return head_of(spec, false);
}

static json_t *owned_head(struct sg_control *control, const struct sg_service_spec *spec)
{
	(void)control;
	return head_of(spec, true);
}

static json_t *plain_backend(struct sg_control *control, const struct sg_service_spec *spec,
	const struct sg_backend_spec *backend)
{
	(void)control;
	(void)spec;
	return sg_backend_to_json(backend);
}

static bool step_list(struct sg_control *control, struct sg_listing *listing)
{
	const struct sg_service_spec *spec = sg_state_get(&listing->after, listing->at_after);

	if (listing->n_written == 0 && listing->at_backend == 0)
		sg_text_append_string(&listing->text, "{\"services\":[");
	if (!spec) {
		sg_text_append_string(&listing->text, "]}");
		return true;
	}
	if (write_service(listing, spec, owned_head, plain_backend, control))
		sg_state_next(&listing->after, &listing->at_after);
	return false;
}

int sg_query_service_list(struct sg_control *control, struct sg_call *call, struct sg_error *error)
{
	struct sg_listing *listing;
	int err = sg_json_read_members(
		no_members, call->request.params, true, NULL, "service list", error);

	return err ? err : start(control, call, step_list, &listing, error);
}

static bool step_show(struct sg_control *control, struct sg_listing *listing)
{
	return write_service(listing, sg_state_get(&listing->after, listing->at_after), owned_head,
		plain_backend, control);
}

int sg_query_service_show(struct sg_control *control, struct sg_call *call, struct sg_error *error)
{
	char name[SG_MAX_NAME_BYTES];
	struct sg_listing *listing;
	struct sg_service_spec *spec;
	int err = sg_json_read_members(
		name_members, call->request.params, true, name, "service show", error);

	if (err)
		return err;
	spec = sg_state_find(sg_rollout_state(control->rollout), name);
	if (!spec)
		return sg_error_set(
			error, -ENOENT, "no service is named '%s'; see \"service list\"", name);
	err = sg_listing_start(control, call, step_show, &listing, error);
	if (err)
		return err;
	sg_service_spec_ref(spec);
	if (sg_state_put(&listing->after, spec) < 0) {
		sg_service_spec_unref(spec);
		listing->text.failed = true;
	}
	return 0;
}

static bool owns_any(const struct sg_state *state, const char *owner)
{
	struct sg_state_place place = {0};
	const struct sg_service_spec *spec;

	while ((spec = sg_state_next(state, &place)))
		if (strcmp(spec->owner, owner) == 0)
			return true;
	return false;
}

// Whose services an export without an owner prints: the operator's, or of those that have any, the
// first.
static const char *choose_owner(const struct sg_state *state)
{
	if (state->n_services == 0 || owns_any(state, SG_EDIT_DEFAULT_OWNER))
		return SG_EDIT_DEFAULT_OWNER;
	return sg_state_get(state, (struct sg_state_place){0})->owner;
}

// `listing->head` is an object with a member for each of them.
static json_t *other_owners(const struct sg_listing *listing)
{
	json_t *others = json_array();
	const char *owner;
	json_t *value;

	json_object_foreach(listing->head, owner, value)
		json_array_append_new(others, json_string(owner));
	return others;
}

static void note_owner(struct sg_listing *listing, const char *owner)
{
	if (!json_object_get(listing->head, owner) &&
		json_object_set_new(listing->head, owner, json_null()) < 0)
		listing->text.failed = true;
}

static bool step_export(struct sg_control *control, struct sg_listing *listing)
{
	const struct sg_service_spec *spec;
	struct sg_text *text = &listing->text;

	if (!listing->more) {
		listing->more = true;
		sg_text_append_string(text, "{");
		sg_text_append_members(text, listing->head);
		sg_text_append_string(text, ",\"services\":[");
		listing->head = json_object();
		return false;
	}
	for (unsigned n = 0; n < OTHERS_PER_STEP; n++) {
		spec = sg_state_get(&listing->after, listing->at_after);
		if (!spec)
			break;
		if (strcmp(spec->owner, listing->name) == 0) {
			if (write_service(listing, spec, plain_head, plain_backend, control))
				sg_state_next(&listing->after, &listing->at_after);
			return false;
		}
		note_owner(listing, spec->owner);
		sg_state_next(&listing->after, &listing->at_after);
	}
	if (sg_state_get(&listing->after, listing->at_after))
		return false;
	sg_text_append_string(text, "],");
	sg_text_append_members(text, json_pack("{s:o}", "other_owners", other_owners(listing)));
	sg_text_append_string(text, "}");
	return true;
}

int sg_query_export(struct sg_control *control, struct sg_call *call, struct sg_error *error)
{
	char owner[SG_MAX_NAME_BYTES] = "";
	struct sg_listing *listing;
	int err = sg_json_read_members(
		owner_members, call->request.params, true, owner, "export", error);

	if (!err)
		err = start(control, call, step_export, &listing, error);
	if (err)
		return err;
	strcpy(listing->name, owner[0] ? owner : choose_owner(&listing->after));
	listing->head = json_pack("{s:s}", "owner", listing->name);
	listing->text.failed = !listing->head;
	return 0;
}

static bool step_stats(struct sg_control *control, struct sg_listing *listing)
{
	const struct sg_service_spec *spec;
	struct sg_text *text = &listing->text;

	if (!listing->more) {
		listing->more = true;
		sg_text_append_string(text, "{");
		sg_text_append_members(text, sg_stats_of_packets(control));
		sg_text_append_string(text, ",\"services\":[");
		return false;
	}
	spec = sg_state_get(&listing->after, listing->at_after);
	if (!spec) {
		sg_text_append_string(text, "]}");
		return true;
	}
	if (write_service(listing, spec, sg_stats_of_service, sg_stats_of_backend, control))
		sg_state_next(&listing->after, &listing->at_after);
	return false;
}

int sg_query_stats(struct sg_control *control, struct sg_call *call, struct sg_error *error)
{
	struct sg_listing *listing;
	int err =
		sg_json_read_members(no_members, call->request.params, true, NULL, "stats", error);

	return err ? err : start(control, call, step_stats, &listing, error);
}
