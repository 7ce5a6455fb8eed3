// A ring of entries, see history.h.
#include "control/history.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "service/state_diff.h"

struct sg_history {
	struct sg_history_entry entries[SG_HISTORY_MAX_ENTRIES];
	unsigned oldest, n;
	unsigned n_generations; // among the entries
	uint64_t base;          // the oldest generation that there is a way back to
};

struct sg_history *sg_history_create(void)
{
	return calloc(1, sizeof(struct sg_history));
}

void sg_history_drop(struct sg_history_entry *entry)
{
	for (unsigned i = 0; i < entry->n_changes; i++) {
		sg_service_spec_unref((struct sg_service_spec *)entry->changes[i].before);
		sg_service_spec_unref((struct sg_service_spec *)entry->changes[i].after);
	}
	free(entry->changes);
	sg_shared_policy_unref(entry->policy_before);
	entry->changes = NULL;
	entry->policy_before = NULL;
	entry->n_changes = 0;
}

// `at` 0: the newest.
static struct sg_history_entry *entry_at(const struct sg_history *history, unsigned at)
{
	unsigned index = (history->oldest + history->n - 1 - at) % SG_HISTORY_MAX_ENTRIES;

	return (struct sg_history_entry *)&history->entries[index];
}

void sg_history_destroy(struct sg_history *history)
{
	if (!history)
		return;
	for (unsigned at = 0; at < history->n; at++)
		sg_history_drop(entry_at(history, at));
	free(history);
}

static struct sg_service_spec *ref(const struct sg_service_spec *spec)
{
	return spec ? sg_service_spec_ref((struct sg_service_spec *)spec) : NULL;
}

static void note_change(
	void *context, const struct sg_service_spec *before, const struct sg_service_spec *after)
{
	struct sg_history_entry *entry = context;

	entry->changes[entry->n_changes++] =
		(struct sg_history_change){.before = ref(before), .after = ref(after)};
}

int sg_history_describe(
	struct sg_history_entry *entry, const struct sg_state *before, const struct sg_state *after)
{
	struct sg_state_change count = sg_state_count_changes(before, after);
	unsigned n = count.added + count.changed + count.removed;
	struct timespec now;

	entry->n_changes = 0;
	entry->changes = n ? malloc(n * sizeof(entry->changes[0])) : NULL;
	if (n && !entry->changes)
		return -ENOMEM;
	clock_gettime(CLOCK_REALTIME, &now);
	entry->time_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	sg_state_diff(before, after, note_change, entry);
	entry->policy_changed = !sg_shared_policy_equal(before->policy, after->policy);
	entry->policy_before = sg_shared_policy_ref(before->policy);
	sg_difference_summarise(before, after, entry->summary, entry->owner);
	return 0;
}

static void forget_oldest(struct sg_history *history)
{
	struct sg_history_entry *oldest = entry_at(history, history->n - 1);
	bool alone = history->n == 1 ||
		     entry_at(history, history->n - 2)->generation != oldest->generation;

	history->base = oldest->generation;
	history->n_generations -= alone;
	sg_history_drop(oldest);
	history->oldest = (history->oldest + 1) % SG_HISTORY_MAX_ENTRIES;
	history->n--;
}

void sg_history_add(struct sg_history *history, struct sg_history_entry *entry)
{
	if (history->n == 0)
		history->base = entry->generation;
	if (history->n == 0 || entry_at(history, 0)->generation != entry->generation)
		history->n_generations++;
	entry->serial = history->n ? entry_at(history, 0)->serial + 1 : 1;
	if (history->n == SG_HISTORY_MAX_ENTRIES)
		forget_oldest(history);
	history->n++;
	*entry_at(history, 0) = *entry;
	while (history->n_generations > SG_HISTORY_GENERATIONS)
		forget_oldest(history);
}

void sg_history_forget(struct sg_history *history, uint64_t generation)
{
	bool any = false;

	while (history->n && entry_at(history, 0)->generation == generation) {
		sg_history_drop(entry_at(history, 0));
		history->n--;
		any = true;
	}
	history->n_generations -= any;
}

unsigned sg_history_size(const struct sg_history *history)
{
	return history->n;
}

const struct sg_history_entry *sg_history_get(const struct sg_history *history, unsigned at)
{
	return entry_at(history, at);
}

uint64_t sg_history_previous(const struct sg_history *history)
{
	for (unsigned at = 1; at < history->n; at++)
		if (entry_at(history, at)->generation != entry_at(history, 0)->generation)
			return entry_at(history, at)->generation;
	return history->base;
}

static int undo_entry(const struct sg_history_entry *entry, struct sg_state *state)
{
	if (entry->policy_changed)
		sg_state_set_policy(state, sg_shared_policy_ref(entry->policy_before));
	for (unsigned i = entry->n_changes; i-- > 0;) {
		const struct sg_history_change *change = &entry->changes[i];

		if (!change->before) {
			if (sg_state_remove(state, change->after->name) == -ENOMEM)
				return -ENOMEM;
		} else if (sg_state_put(state, ref(change->before)) < 0) {
			sg_service_spec_unref((struct sg_service_spec *)change->before);
			return -ENOMEM;
		}
	}
	return 0;
}

int sg_history_undo_entries(const struct sg_history *history, unsigned n, struct sg_state *state)
{
	int err = 0;

	for (unsigned at = 0; !err && at < n; at++)
		err = undo_entry(entry_at(history, at), state);
	return err;
}

int sg_history_undo(const struct sg_history *history, uint64_t generation, struct sg_state *state,
	struct sg_error *error)
{
	uint64_t newest = history->n ? entry_at(history, 0)->generation : history->base;
	unsigned n = 0;

	if (generation < history->base)
		return sg_error_set(error, -ENOENT,
			"there is no way back to generation %llu: the oldest that is kept is %llu (see "
			"\"history\")",
			(unsigned long long)generation, (unsigned long long)history->base);
	while (n < history->n && entry_at(history, n)->generation > generation)
		n++;
	if (generation > newest)
		return sg_error_set(error, -ENOENT,
			"generation %llu is no earlier one: the newest change made generation %llu",
			(unsigned long long)generation, (unsigned long long)newest);
	if (sg_history_undo_entries(history, n, state) < 0)
		return sg_error_set(error, -ENOMEM, "no memory is left for the change");
	return 0;
}
