// `history`, and what `rollback` does to a candidate; see query.h and edit.h.
#include <errno.h>
#include <time.h>

#include "control/control_internal.h"
#include "control/edit.h"
#include "control/history.h"
#include "control/json_reader.h"
#include "control/query.h"

#define NO_GENERATION UINT64_MAX

struct generation_params {
	uint64_t generation;
	bool dry_run;
};

static int read_generation(const struct sg_json_member *member, const json_t *value, void *field,
	const char *where, struct sg_error *error)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return sg_json_refuse(where, member->name, error,
			"must be the number of a generation, not %s", sg_json_kind(value));
	*(uint64_t *)field = (uint64_t)json_integer_value(value);
	return 0;
}

// clang-format off
#define PARAM(field) .offset = offsetof(struct generation_params, field)
static const struct sg_json_member history_members[] = {
	SG_JSON_MEMBER("generation", read_generation, PARAM(generation)),
	SG_JSON_END,
};
static const struct sg_json_member rollback_members[] = {
	SG_JSON_MEMBER("generation", read_generation, PARAM(generation)),
	SG_JSON_MEMBER("dry_run", sg_json_read_bool, PARAM(dry_run)),
	SG_JSON_END,
};
// clang-format on

static json_t *time_to_json(int64_t time_ms)
{
	time_t seconds = (time_t)(time_ms / 1000);
	struct tm utc;
	char text[40];

	gmtime_r(&seconds, &utc);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	return json_sprintf("%s.%03dZ", text, (int)(time_ms % 1000));
}

static json_t *entry_to_json(const struct sg_history_entry *entry)
{
	return json_pack("{s:I, s:o, s:I, s:I, s:s, s:s, s:s}", "generation",
		(json_int_t)entry->generation, "time", time_to_json(entry->time_ms), "uid",
		(json_int_t)entry->uid, "pid", (json_int_t)entry->pid, "verb", entry->verb, "owner",
		entry->owner, "summary", entry->summary);
}

// The entries of one generation, or of all, the newest first.
static json_t *entries_to_json(const struct sg_history *history, uint64_t generation)
{
	json_t *entries = json_array();

	for (unsigned at = 0; at < sg_history_size(history); at++) {
		const struct sg_history_entry *entry = sg_history_get(history, at);

		if (generation == NO_GENERATION || entry->generation == generation)
			json_array_append_new(entries, entry_to_json(entry));
	}
	return entries;
}

// All entries, one a step; older and older ones, whatever comes in meanwhile.
static bool step_history(struct sg_control *control, struct sg_listing *listing)
{
	const struct sg_history *history = control->history;
	unsigned n = sg_history_size(history);
	uint64_t newest = n ? sg_history_get(history, 0)->serial : 0;
	uint64_t at =
		listing->serial && newest >= listing->serial ? newest - listing->serial + 1 : 0;

	if (listing->n_written == 0)
		sg_text_append_string(&listing->text, "{\"history\":[");
	if (at >= n) {
		sg_text_append_string(&listing->text, "]}");
		return true;
	}
	sg_listing_separate(listing);
	listing->serial = sg_history_get(history, (unsigned)at)->serial;
	sg_text_append_json(&listing->text, entry_to_json(sg_history_get(history, (unsigned)at)));
	return false;
}

static unsigned count_newer(const struct sg_history *history, uint64_t generation, bool with_it)
{
	unsigned n = 0;

	while (n < sg_history_size(history) &&
		(sg_history_get(history, n)->generation > generation ||
			(with_it && sg_history_get(history, n)->generation == generation)))
		n++;
	return n;
}

// The states before and after one generation.
static int show(struct sg_control *control, struct sg_call *call, uint64_t generation,
	struct sg_error *error)
{
	const struct sg_state *present = sg_rollout_state(control->rollout);
	const struct sg_history *history = control->history;
	unsigned n_after = count_newer(history, generation, false);
	unsigned n_before = count_newer(history, generation, true);
	struct sg_listing *listing;
	int err;

	if (n_after == n_before)
		return sg_error_set(error, -ENOENT, "the history does not have generation %llu",
			(unsigned long long)generation);
	err = sg_listing_start(control, call, sg_difference_step, &listing, error);
	if (err)
		return err;
	listing->head = json_pack("{s:I, s:o}", "generation", (json_int_t)generation, "history",
		entries_to_json(history, generation));
	listing->text.failed = !listing->head || sg_state_clone(&listing->after, present) < 0 ||
			       sg_history_undo_entries(history, n_after, &listing->after) < 0 ||
			       sg_state_clone(&listing->before, present) < 0 ||
			       sg_history_undo_entries(history, n_before, &listing->before) < 0;
	return 0;
}

int sg_query_history(struct sg_control *control, struct sg_call *call, struct sg_error *error)
{
	struct generation_params params = {.generation = NO_GENERATION};
	struct sg_listing *listing;
	int err = sg_json_read_members(
		history_members, call->request.params, true, &params, "history", error);

	if (!err && params.generation != NO_GENERATION)
		return show(control, call, params.generation, error);
	return err ? err : sg_listing_start(control, call, step_history, &listing, error);
}

int sg_edit_rollback(struct sg_edit *edit, const json_t *params, struct sg_error *error)
{
	struct generation_params read = {.generation = NO_GENERATION};
	int err = sg_json_read_members(rollback_members, params, true, &read, "rollback", error);

	if (err)
		return err;
	edit->dry_run = read.dry_run;
	if (read.generation == NO_GENERATION) {
		if (sg_history_size(edit->history) < 2)
			return sg_error_set(error, -ENOENT,
				"nothing has been changed since stormgate was started");
		read.generation = sg_history_previous(edit->history);
	}
	return sg_history_undo(edit->history, read.generation, &edit->state, error);
}
