// Edits apart from the file that they edit, see intent.h.
#include "control/intent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/config_service.h"
#include "control/json_reader.h"
#include "control/policy_json.h"
#include "control/spec_json.h"
#include "service/state_diff.h"
#include "service/validate.h"

static void drop(struct sg_intent *intent)
{
	sg_service_spec_unref(intent->block);
	sg_service_spec_unref(intent->now);
	sg_shared_policy_unref(intent->block_policy);
	sg_shared_policy_unref(intent->now_policy);
}

void sg_intents_clear(struct sg_intents *intents)
{
	for (unsigned i = 0; i < intents->n; i++)
		drop(&intents->all[i]);
	free(intents->all);
	*intents = (struct sg_intents){0};
}

// A place at the end; NULL without memory.
static struct sg_intent *add(struct sg_intents *intents)
{
	if (intents->n == intents->capacity) {
		unsigned capacity = intents->capacity ? 2 * intents->capacity : 4;
		struct sg_intent *all = realloc(intents->all, capacity * sizeof(all[0]));

		if (!all)
			return NULL;
		intents->all = all;
		intents->capacity = capacity;
	}
	intents->all[intents->n] = (struct sg_intent){.name = ""};
	return &intents->all[intents->n++];
}

static struct sg_service_spec *ref(const struct sg_service_spec *spec)
{
	return spec ? sg_service_spec_ref((struct sg_service_spec *)spec) : NULL;
}

struct noting {
	struct sg_intents *intents;
	const struct sg_state *file;
	bool out_of_memory;
};

static void note(
	void *context, const struct sg_service_spec *before, const struct sg_service_spec *after)
{
	struct noting *noting = context;
	const char *name = (after ? after : before)->name;
	struct sg_service_spec *block = sg_state_find(noting->file, name);
	struct sg_intent *intent = add(noting->intents);

	if (!intent) {
		noting->out_of_memory = true;
		return;
	}
	strcpy(intent->name, name);
	intent->as_file = block && after ? sg_service_spec_equal(block, after) : block == after;
	if (intent->as_file)
		return;
	intent->block = ref(block);
	intent->now = ref(after);
}

static bool note_policy(struct sg_intents *intents, const struct sg_state *file,
	const struct sg_state *before, const struct sg_state *after)
{
	struct sg_intent *intent;

	if (sg_shared_policy_equal(before->policy, after->policy))
		return true;
	intent = add(intents);
	if (!intent)
		return false;
	intent->as_file = sg_shared_policy_equal(file->policy, after->policy);
	intent->block_policy = sg_shared_policy_ref(file->policy);
	intent->now_policy = sg_shared_policy_ref(after->policy);
	return true;
}

int sg_intents_note(struct sg_intents *intents, const struct sg_state *file,
	const struct sg_state *before, const struct sg_state *after)
{
	struct noting noting = {.intents = intents, .file = file};

	sg_state_diff(before, after, note, &noting);
	if (noting.out_of_memory || !note_policy(intents, file, before, after))
		return -ENOMEM;
	return 0;
}

static json_t *spec_to_json(const struct sg_service_spec *spec)
{
	return spec ? sg_spec_to_json(spec) : json_null();
}

static json_t *policy_to_json(const struct sg_shared_policy *policy)
{
	return policy ? sg_policy_to_json(policy) : json_null();
}

void sg_intent_write(struct sg_text *text, const struct sg_intent *intent)
{
	json_t *line = json_object();

	if (intent->name[0])
		json_object_set_new(line, "service", json_string(intent->name));
	else
		json_object_set_new(line, "policy", json_true());
	if (!intent->as_file && intent->now)
		json_object_set_new(line, "owner", json_string(intent->now->owner));
	if (!intent->as_file) {
		json_object_set_new(line, "block",
			intent->name[0] ? spec_to_json(intent->block)
					: policy_to_json(intent->block_policy));
		json_object_set_new(line, "now",
			intent->name[0] ? spec_to_json(intent->now)
					: policy_to_json(intent->now_policy));
	}
	sg_text_append_json(text, line);
	sg_text_append(text, "\n", 1);
}

struct line {
	char service[SG_MAX_NAME_BYTES];
	char owner[SG_MAX_NAME_BYTES];
	bool policy;
	const json_t *block, *now;
};

static int read_any(const struct sg_json_member *member, const json_t *value, void *field,
	const char *where, struct sg_error *error)
{
	(void)member;
	(void)where;
	(void)error;
	*(const json_t **)field = value;
	return 0;
}

// clang-format off
#define LINE(field) .offset = offsetof(struct line, field)
static const struct sg_json_member line_members[] = {
	SG_JSON_MEMBER("service", sg_json_read_string, LINE(service), .max = SG_MAX_NAME_BYTES),
	SG_JSON_MEMBER("owner", sg_json_read_string, LINE(owner), .max = SG_MAX_NAME_BYTES),
	SG_JSON_MEMBER("policy", sg_json_read_bool, LINE(policy)),
	SG_JSON_MEMBER("block", read_any, LINE(block)),
	SG_JSON_MEMBER("now", read_any, LINE(now)),
	SG_JSON_END,
};
// clang-format on

static int refuse_memory(struct sg_error *error)
{
	return sg_error_set(error, -ENOMEM, "no memory is left for the state file");
}

// `ret_spec` NULL for null.
static int read_spec(const json_t *object, const struct line *line, const char *owner,
	struct sg_service_spec **ret_spec, struct sg_error *error)
{
	struct sg_service_spec *spec;
	int err;

	*ret_spec = NULL;
	if (json_is_null(object))
		return 0;
	spec = sg_service_spec_create("", owner);
	if (!spec)
		return refuse_memory(error);
	err = sg_spec_from_json(spec, object, true, error);
	if (!err && strcmp(spec->name, line->service) != 0)
		err = sg_error_set(error, -EBADMSG, "service '%s' is called '%s', too",
			line->service, spec->name);
	if (err)
		sg_service_spec_unref(spec);
	else
		*ret_spec = spec;
	return err;
}

static int read_policy(
	const json_t *object, struct sg_shared_policy **ret_policy, struct sg_error *error)
{
	struct sg_shared_policy *policy;
	int err;

	*ret_policy = NULL;
	if (json_is_null(object))
		return 0;
	policy = sg_shared_policy_create();
	if (!policy)
		return refuse_memory(error);
	err = sg_policy_from_json(policy, object, error);
	if (err)
		sg_shared_policy_unref(policy);
	else
		*ret_policy = policy;
	return err;
}

static int read_intent(struct sg_intent *intent, const json_t *object, struct sg_error *error)
{
	struct line line = {.service = ""};
	int err = sg_json_read_members(line_members, object, true, &line, "a line", error);

	if (err)
		return err;
	if (line.policy == (line.service[0] != '\0') || !line.block != !line.now)
		return sg_error_set(error, -EBADMSG, "a line is about nothing");
	if (json_is_object(line.now) && !line.policy && !line.owner[0])
		return sg_error_set(error, -EBADMSG, "service '%s' has no owner", line.service);
	strcpy(intent->name, line.service);
	intent->as_file = !line.block;
	if (intent->as_file)
		return 0;
	if (line.policy) {
		err = read_policy(line.block, &intent->block_policy, error);
		return err ? err : read_policy(line.now, &intent->now_policy, error);
	}
	err = read_spec(line.block, &line, SG_CONFIG_OWNER, &intent->block, error);
	return err ? err : read_spec(line.now, &line, line.owner, &intent->now, error);
}

// The intent of that name among sorted ones, empty if it was not there; NULL without memory.
static struct sg_intent *find_place(struct sg_intents *intents, const char *name)
{
	unsigned low = 0, high = intents->n;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (strcmp(intents->all[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < intents->n && strcmp(intents->all[low].name, name) == 0)
		return &intents->all[low];
	if (!add(intents))
		return NULL;
	memmove(&intents->all[low + 1], &intents->all[low],
		(intents->n - 1 - low) * sizeof(intents->all[0]));
	intents->all[low] = (struct sg_intent){.name = ""};
	return &intents->all[low];
}

int sg_intents_read(
	struct sg_intents *intents, const char *line, size_t length, struct sg_error *error)
{
	json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
	struct sg_intent read = {.name = ""}, *place;
	int err = object ? read_intent(&read, object, error)
			 : sg_error_set(error, -EBADMSG, "a line is no JSON");

	json_decref(object);
	place = err ? NULL : find_place(intents, read.name);
	if (!err && !place)
		err = refuse_memory(error);
	if (err) {
		drop(&read);
		return err;
	}
	drop(place);
	*place = read;
	return 0;
}

struct merge {
	const struct sg_state *file;
	bool refuse_conflicts;
	sg_intent_report_fn *report;
	void *context;
	struct sg_state *state;
	struct sg_error *error;
	unsigned *n_left_out; // by restore
};

static void tell(const struct merge *merge, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void tell(const struct merge *merge, const char *format, ...)
{
	char sentence[700];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	merge->report(merge->context, sentence);
}

static int put(const struct merge *merge, struct sg_service_spec *spec)
{
	ref(spec);
	if (sg_state_put(merge->state, spec) == 0)
		return 0;
	sg_service_spec_unref(spec);
	return refuse_memory(merge->error);
}

// The same service but for whose it is.
static bool same_but_owner(const struct sg_service_spec *a, const struct sg_service_spec *b)
{
	struct sg_service_spec copy = *a;

	strcpy(copy.owner, b->owner);
	return sg_service_spec_equal(&copy, b);
}

// A service that came through the socket, where the file now has one of its name.
static int meet_block(const struct merge *merge, const struct sg_intent *intent,
	const struct sg_service_spec *block)
{
	if (same_but_owner(intent->now, block)) {
		tell(merge, "service '%s' of owner %s is in the config file now, and belongs to it",
			intent->name, intent->now->owner);
		return 0;
	}
	if (merge->refuse_conflicts)
		return sg_error_set_at(merge->error, -EEXIST, block->line,
			"service '%s' belongs to owner %s, not to %s", intent->name,
			intent->now->owner, SG_CONFIG_OWNER);
	tell(merge, "service '%s' stands in the config file now: the one of owner %s is dropped",
		intent->name, intent->now->owner);
	return 0;
}

static int merge_service(const struct merge *merge, const struct sg_intent *intent)
{
	struct sg_service_spec *block = sg_state_find(merge->file, intent->name);

	if (!intent->block && !intent->now)
		return 0;
	if (!intent->block)
		return block ? meet_block(merge, intent, block) : put(merge, intent->now);
	if (block && sg_service_spec_equal(block, intent->block)) {
		if (intent->now)
			return put(merge, intent->now);
		if (sg_state_remove(merge->state, intent->name) == -ENOMEM)
			return refuse_memory(merge->error);
		return 0;
	}
	if (block || intent->now)
		tell(merge,
			"service '%s': its block in the config file %s: the file wins, and what was "
			"changed through the socket is dropped",
			intent->name, block ? "has changed" : "is gone");
	return 0;
}

static int merge_policy(const struct merge *merge, const struct sg_intent *intent)
{
	if (sg_shared_policy_equal(merge->file->policy, intent->block_policy))
		sg_state_set_policy(merge->state, sg_shared_policy_ref(intent->now_policy));
	else
		tell(merge,
			"the policy in the config file has changed: the file wins, and what was "
			"changed through the socket is dropped");
	return 0;
}

static int merge_one(const struct merge *merge, const struct sg_intent *intent)
{
	if (intent->as_file)
		return 0;
	return intent->name[0] ? merge_service(merge, intent) : merge_policy(merge, intent);
}

int sg_intents_merge(const struct sg_intents *intents, const struct sg_state *file,
	bool refuse_conflicts, sg_intent_report_fn *report, void *context,
	struct sg_state *ret_state, struct sg_error *error)
{
	struct sg_state state;
	struct merge merge = {.file = file,
		.refuse_conflicts = refuse_conflicts,
		.report = report,
		.context = context,
		.state = &state,
		.error = error};
	int err = 0;

	if (sg_state_clone(&state, file) < 0)
		return refuse_memory(error);
	for (unsigned i = 0; !err && i < intents->n; i++)
		err = merge_one(&merge, &intents->all[i]);
	if (err)
		sg_state_fini(&state);
	else
		*ret_state = state;
	return err;
}

static void report_nothing(void *context, const char *sentence)
{
	(void)context;
	(void)sentence;
}

static void leave_out(
	const struct merge *merge, const struct sg_intent *intent, const char *problem)
{
	++*merge->n_left_out;
	if (intent->name[0])
		tell(merge, "what was changed of service '%s' through the socket is dropped: %s",
			intent->name, problem);
	else
		tell(merge, "what was changed of the policy through the socket is dropped: %s",
			problem);
}

// Puts the intents from `first` to before `end` upon a state that passes, if the outcome passes;
// otherwise each half for itself, down to the one that does not.
static int restore_range(const struct merge *merge, const struct sg_intents *intents,
	unsigned first, unsigned end, const struct sg_settings *settings)
{
	struct merge trial = *merge;
	struct sg_state state;
	struct sg_error problem = {0};
	unsigned middle = first + (end - first) / 2;
	int err = 0;

	if (sg_state_clone(&state, merge->state) < 0)
		return refuse_memory(merge->error);
	trial.state = &state;
	trial.report = report_nothing; // it was told when all were merged
	for (unsigned i = first; !err && i < end; i++)
		err = merge_one(&trial, &intents->all[i]);
	if (!err && sg_validate_state(&state, merge->state, settings, &problem) == 0) {
		sg_state_fini(merge->state);
		*merge->state = state;
		return 0;
	}
	sg_state_fini(&state);
	if (err)
		return err;
	if (end - first == 1) {
		leave_out(merge, &intents->all[first], problem.text);
		return 0;
	}
	err = restore_range(merge, intents, first, middle, settings);
	return err ? err : restore_range(merge, intents, middle, end, settings);
}

int sg_intents_restore(const struct sg_intents *intents, const struct sg_state *file,
	const struct sg_settings *settings, sg_intent_report_fn *report, void *context,
	struct sg_state *ret_state, unsigned *ret_n_left_out, struct sg_error *error)
{
	struct sg_error problem = {0};
	struct sg_state state;
	struct merge merge = {.file = file,
		.report = report,
		.context = context,
		.error = error,
		.n_left_out = ret_n_left_out};
	int err = sg_intents_merge(intents, file, false, report, context, &state, error);

	*ret_n_left_out = 0;
	if (err)
		return err;
	if (intents->n == 0 || sg_validate_state(&state, file, settings, &problem) == 0) {
		*ret_state = state;
		return 0;
	}
	sg_state_fini(&state);
	if (sg_state_clone(&state, file) < 0)
		return refuse_memory(error);
	merge.state = &state;
	err = restore_range(&merge, intents, 0, intents->n, settings);
	if (err)
		sg_state_fini(&state);
	else
		*ret_state = state;
	return err;
}
