// Two states, member by member; see difference.h.
#include "control/difference.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control/policy_json.h"
#include "control/spec_json.h"
#include "service/state_diff.h"

static json_t *or_null(json_t *value)
{
	return value ? json_incref(value) : json_null();
}

// Everything of a service but its backends, and its owner.
static json_t *head_of(const struct sg_service_spec *spec)
{
	struct sg_service_spec head = *spec;
	json_t *object;

	head.n_backends = 0;
	object = sg_spec_to_json(&head);
	json_object_del(object, "backends");
	json_object_set_new(object, "owner", json_string(spec->owner));
	return object;
}

static void note_member(json_t *members, const char *name, json_t *before, json_t *after)
{
	if (!json_object_get(members, name) && !json_equal(before, after))
		json_object_set_new(members, name,
			json_pack(
				"{s:o, s:o}", "before", or_null(before), "after", or_null(after)));
}

// Takes over both.
static json_t *members_that_differ(json_t *old, json_t *new)
{
	json_t *members = json_object();
	const char *name;
	json_t *value;

	json_object_foreach(new, name, value)
		note_member(members, name, json_object_get(old, name), value);
	json_object_foreach(old, name, value)
		note_member(members, name, value, json_object_get(new, name));
	json_decref(old);
	json_decref(new);
	return members;
}

static json_t *end_point(const struct sg_backend_spec *backend)
{
	char text[SG_ADDR_TEXT_BYTES];

	return json_sprintf(backend->address.family == SG_FAMILY_IPV6 ? "[%s]:%u" : "%s:%u",
		sg_addr_format(&backend->address, text), backend->port);
}

static const char *action_of(const void *before, const void *after)
{
	return !before ? "added" : after ? "changed" : "removed";
}

// Both are NULL or of one address and port; nothing for two that are the same.
static void note_backend(
	json_t *backends, const struct sg_backend_spec *before, const struct sg_backend_spec *after)
{
	json_t *old = before ? sg_backend_to_json(before) : NULL;
	json_t *new = after ? sg_backend_to_json(after) : NULL;
	json_t *object = NULL;

	if (!json_equal(old, new)) {
		object = json_pack("{s:o, s:s}", "backend", end_point(after ? after : before),
			"action", action_of(before, after));
		if (before)
			json_object_set(object, "before", old);
		if (after)
			json_object_set(object, "after", new);
		json_array_append_new(backends, object);
	}
	json_decref(old);
	json_decref(new);
}

static int compare_backends(const struct sg_backend_spec *a, const struct sg_backend_spec *b)
{
	int order = sg_addr_compare(&a->address, &b->address);

	return order ? order : (int)a->port - (int)b->port;
}

static json_t *backends_that_differ(
	const struct sg_service_spec *before, const struct sg_service_spec *after)
{
	json_t *backends = json_array();
	unsigned b = 0, a = 0;

	while (b < before->n_backends || a < after->n_backends) {
		const struct sg_backend_spec *old =
			b < before->n_backends ? &before->backends[b] : NULL;
		const struct sg_backend_spec *new =
			a < after->n_backends ? &after->backends[a] : NULL;
		int order = !old ? 1 : !new ? -1 : compare_backends(old, new);

		// fast path: most are as they were.
		if (order != 0 || old->weight != new->weight || old->draining != new->draining ||
			old->max_connections != new->max_connections)
			note_backend(backends, order <= 0 ? old : NULL, order >= 0 ? new : NULL);
		b += order <= 0;
		a += order >= 0;
	}
	return backends;
}

static json_t *policy_members(const struct sg_state *before, const struct sg_state *after)
{
	return members_that_differ(
		sg_policy_to_json(before->policy), sg_policy_to_json(after->policy));
}

static void write_policy(struct sg_listing *listing)
{
	if (sg_shared_policy_equal(listing->before.policy, listing->after.policy))
		return;
	sg_listing_separate(listing);
	sg_text_append_json(&listing->text,
		json_pack("{s:n, s:n, s:s, s:o, s:[]}", "service", "owner", "action", "changed",
			"members", policy_members(&listing->before, &listing->after), "backends"));
}

json_t *sg_difference_of(const struct sg_service_spec *before, const struct sg_service_spec *after)
{
	const struct sg_service_spec *spec = after ? after : before;
	json_t *object = json_pack("{s:s, s:s, s:s}", "service", spec->name, "owner", spec->owner,
		"action", action_of(before, after));

	if (!object)
		return NULL;
	if (before && after) {
		json_object_set_new(
			object, "members", members_that_differ(head_of(before), head_of(after)));
		json_object_set_new(object, "backends", backends_that_differ(before, after));
	} else {
		json_object_set_new(object, before ? "before" : "after", sg_spec_to_json(spec));
	}
	return object;
}

bool sg_difference_step(struct sg_control *control, struct sg_listing *listing)
{
	struct sg_service_spec *before, *after;
	struct sg_text *text = &listing->text;

	(void)control;
	if (listing->head) {
		sg_text_append_string(text, "{");
		sg_text_append_members(text, listing->head);
		sg_text_append_string(text, ",\"difference\":[");
		listing->head = NULL;
		listing->diff = (struct sg_state_diff){
			.before = &listing->before, .after = &listing->after};
		write_policy(listing);
	}
	if (!sg_state_diff_next(&listing->diff, &before, &after)) {
		sg_text_append_string(text, "]}");
		return true;
	}
	sg_listing_separate(listing);
	sg_text_append_json(text, sg_difference_of(before, after));
	return false;
}

// The line while it is written.
struct summary {
	char *text;
	char *owners;
	bool full;
};

#define MORE "..."

// Appends to a string of `size` bytes, leaving room for MORE. Returns whether it fitted.
static bool append(char *string, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool append(char *string, size_t size, const char *format, ...)
{
	size_t used = strlen(string), room = size - used - strlen(MORE);
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(string + used, room, format, args);
	va_end(args);
	if (length < (int)room)
		return true;
	strcpy(string + used, MORE);
	return false;
}

static void say(struct summary *summary, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void say(struct summary *summary, const char *format, ...)
{
	char part[SG_DIFFERENCE_SUMMARY_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(part, sizeof(part), format, args);
	va_end(args);
	if (!summary->full)
		summary->full = !append(summary->text, SG_DIFFERENCE_SUMMARY_BYTES, "%s%s",
			summary->text[0] ? ", " : "", part);
}

// "1", "maglev", "[]". Absent is everyone for whoever is allowed, and [] is nobody.
static const char *value_text(const json_t *value, char text[40])
{
	if (json_is_integer(value))
		snprintf(text, 40, "%lld", (long long)json_integer_value(value));
	else if (json_is_string(value))
		snprintf(text, 40, "%s", json_string_value(value));
	else
		snprintf(text, 40, "%s",
			json_is_true(value)                                   ? "true"
			: json_is_false(value)                                ? "false"
			: json_is_null(value)                                 ? "absent"
			: json_is_array(value) && json_array_size(value) == 0 ? "[]"
									      : MORE);
	return text;
}

static void say_members(struct summary *summary, const json_t *members, const char *what)
{
	char before[40], after[40];
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)members, name, value) say(summary, "%s%s%s %s -> %s", what,
		what[0] ? " " : "", name, value_text(json_object_get(value, "before"), before),
		value_text(json_object_get(value, "after"), after));
}

static void say_backends(struct summary *summary, const json_t *backends)
{
	size_t i;
	json_t *value;

	json_array_foreach((json_t *)backends, i, value)
	{
		const char *name = json_string_value(json_object_get(value, "backend"));
		json_t *before = json_object_get(value, "before");
		json_t *after = json_object_get(value, "after");
		json_t *members = json_object();
		const char *key;
		json_t *member;

		if (summary->full) {
			json_decref(members);
			return;
		}
		json_object_foreach(after, key, member)
			note_member(members, key, json_object_get(before, key), member);
		json_object_foreach(before, key, member)
			note_member(members, key, member, json_object_get(after, key));
		if (before && after)
			say_members(summary, members, name);
		else
			say(summary, "%s %s", name, after ? "added" : "removed");
		json_decref(members);
	}
}

// Whether one of the names between commas is this one.
static bool names(const char *owners, const char *owner)
{
	size_t length = strlen(owner);

	for (const char *at = owners; (at = strstr(at, owner)); at += length)
		if ((at == owners || at[-1] == ',') && (at[length] == ',' || !at[length]))
			return true;
	return false;
}

static void summarise(
	void *context, const struct sg_service_spec *before, const struct sg_service_spec *after)
{
	const struct sg_service_spec *spec = after ? after : before;
	struct summary *summary = context;
	json_t *difference;

	if (!names(summary->owners, spec->owner) && !strstr(summary->owners, MORE))
		append(summary->owners, SG_MAX_NAME_BYTES, "%s%s", summary->owners[0] ? "," : "",
			spec->owner);
	if (summary->full)
		return;
	if (!before || !after) {
		say(summary, "%s %s", spec->name, after ? "added" : "removed");
		return;
	}
	difference = sg_difference_of(before, after);
	say(summary, "%s:", spec->name);
	say_members(summary, json_object_get(difference, "members"), "");
	say_backends(summary, json_object_get(difference, "backends"));
	json_decref(difference);
}

void sg_difference_summarise(const struct sg_state *before, const struct sg_state *after,
	char ret_summary[SG_DIFFERENCE_SUMMARY_BYTES], char ret_owners[SG_MAX_NAME_BYTES])
{
	struct summary summary = {.text = ret_summary, .owners = ret_owners};
	char *colon;

	ret_summary[0] = ret_owners[0] = '\0';
	if (!sg_shared_policy_equal(before->policy, after->policy)) {
		json_t *members = policy_members(before, after);

		say_members(&summary, members, "policy");
		json_decref(members);
	}
	sg_state_diff(before, after, summarise, &summary);
	// "web:, weight 1 -> 2" reads better without the comma.
	while ((colon = strstr(ret_summary, ":, ")))
		memmove(colon + 1, colon + 2, strlen(colon + 2) + 1);
}
