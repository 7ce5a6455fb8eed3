// The config file once more, see reload.h.
#include "control/reload.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/config_file.h"
#include "control/config_service.h"
#include "control/control_internal.h"
#include "control/edit.h"
#include "service/state_diff.h"
#include "service/validate.h"

struct setting {
	const char *name;
	size_t offset, size;
	bool is_live; // it may change while stormgate runs
};

// clang-format off
#define FIELD(field) offsetof(struct sg_settings, field), sizeof(((struct sg_settings *)0)->field)
#define SETTING(name, field) {name, FIELD(field), false}
#define LIVE(name, field) {name, FIELD(field), true}
static const struct setting settings_by_name[] = {
	SETTING("dataplane.instance", instance),
	SETTING("dataplane.workers", workers),
	SETTING("dataplane.workers", n_workers),
	SETTING("dataplane.control_cpu", control_cpu),
	SETTING("dataplane.flows_per_worker", flows_per_worker),
	SETTING("dataplane.hugepages", hugepages),
	SETTING("dataplane.poll", poll),
	LIVE("dataplane.unserved", unserved),
	SETTING("dataplane.maglev_seed", maglev_seed),
	SETTING("ports", ports),
	SETTING("ports", n_ports),
	SETTING("snat.addresses", snat_addresses),
	SETTING("snat.addresses", n_snat_addresses),
	SETTING("snat.ports", snat_port_min),
	SETTING("snat.ports", snat_port_max),
	LIVE("timeouts.syn", timeouts.syn),
	LIVE("timeouts.tcp", timeouts.tcp),
	LIVE("timeouts.tcp_half_closed", timeouts.tcp_half_closed),
	LIVE("timeouts.tcp_fin", timeouts.tcp_fin),
	LIVE("timeouts.udp_new", timeouts.udp_new),
	LIVE("timeouts.udp", timeouts.udp),
	LIVE("timeouts.drain", timeouts.drain),
	SETTING("control.socket", socket_path),
	SETTING("control.mode", socket_mode),
	SETTING("control.group", socket_group),
	SETTING("control.monitor_socket", monitor_path),
	SETTING("control.monitor_mode", monitor_mode),
	SETTING("control.monitor_group", monitor_group),
	SETTING("control.state_file", state_file),
	LIVE("control.shutdown_timeout", shutdown_timeout_s),
	LIVE("backend_cidrs", backend_cidrs_given),
	LIVE("backend_cidrs", backend_cidrs),
	LIVE("backend_cidrs", n_backend_cidrs),
};
// clang-format on

#define N_SETTINGS (sizeof(settings_by_name) / sizeof(settings_by_name[0]))

// Without what is no setting: where in the file it stands, and whether it stands there at all.
static void forget_lines(struct sg_settings *settings)
{
	for (unsigned i = 0; i < SG_MAX_PORTS; i++)
		settings->ports[i].line = 0;
	settings->dataplane_line = settings->snat_line = settings->control_line = 0;
	settings->poll_given = settings->snat_ports_given = false;
}

static void add_name(char *names, size_t size, const char *name)
{
	size_t used = strlen(names), length = strlen(name);

	if (used >= length && strcmp(names + used - length, name) == 0)
		return;
	snprintf(names + used, size - used, "%s%s", used ? ", " : "", name);
}

void sg_settings_compare(const struct sg_settings *a, const struct sg_settings *b, bool live,
	char *ret_names, size_t size)
{
	struct sg_settings *copies = malloc(2 * sizeof(copies[0]));

	ret_names[0] = '\0';
	if (!copies)
		return;
	copies[0] = *a;
	copies[1] = *b;
	forget_lines(&copies[0]);
	forget_lines(&copies[1]);
	for (size_t i = 0; i < N_SETTINGS; i++) {
		const struct setting *setting = &settings_by_name[i];
		char *old = (char *)&copies[0] + setting->offset;
		char *new = (char *)&copies[1] + setting->offset;

		if (setting->is_live == live && memcmp(old, new, setting->size) != 0)
			add_name(ret_names, size, setting->name);
		memset(old, 0, setting->size);
		memset(new, 0, setting->size);
	}
	if (!live && memcmp(&copies[0], &copies[1], sizeof(copies[0])) != 0)
		add_name(ret_names, size, "others");
	free(copies);
}

void sg_settings_take_live(struct sg_settings *settings, const struct sg_settings *from)
{
	for (size_t i = 0; i < N_SETTINGS; i++) {
		const struct setting *setting = &settings_by_name[i];

		if (setting->is_live)
			memcpy((char *)settings + setting->offset,
				(const char *)from + setting->offset, setting->size);
	}
}

// One reading of the file.
struct reload {
	struct sg_control *control;
	const char *path;
	// What becomes of it, the helper's while it works on it.
	const struct sg_state *before; // the rollout's
	char changed[500];             // settings that do while stormgate runs
	struct sg_settings settings;
	struct sg_state file;
	struct sg_edit edit;
	struct sg_history_entry entry;
	struct sg_state_change count;
	bool is_read; // as far as that the settings are known
	int err;
	struct sg_error error;
};

static void refuse(const char *path, const struct sg_error *error)
{
	if (error->line > 0)
		sg_log_error("%s:%d: %s", path, error->line, error->text);
	else
		sg_log_error("%s: %s", path, error->text);
	sg_log_error("SIGHUP: %s is refused, and everything stays as it was", path);
}

static void warn(void *path, int line, const char *text)
{
	if (line > 0)
		sg_log_warning("%s:%d: %s", (const char *)path, line, text);
	else
		sg_log_warning("%s: %s", (const char *)path, text);
}

static void report(void *context, const char *sentence)
{
	(void)context;
	sg_log_warning("%s", sentence);
}

static void on_done(void *context, const struct sg_rollout_result *result)
{
	struct sg_control *control = context;

	if (!result->err || result->err == -ECANCELED)
		return;
	sg_history_forget(control->history, result->generation);
	sg_log_error("SIGHUP: the file's services cannot be used: %s", result->error.text);
}

// What the state becomes: the file's blocks, and the edits of those that have not changed.
static int merge(struct reload *reload)
{
	const struct sg_state *file = &reload->control->file_state;
	struct sg_intents intents = {0};
	int err = sg_intents_note(&intents, file, file, reload->before);

	if (err)
		sg_error_set(&reload->error, err, "no memory is left for the change");
	else
		err = sg_intents_merge(&intents, &reload->file, true, report, NULL,
			&reload->edit.state, &reload->error);
	sg_intents_clear(&intents);
	if (!err)
		sg_edit_settle(&reload->edit, reload->before);
	return err;
}

// Gives the candidate the settings in force, with the file's for those that may change.
static int take_settings(struct reload *reload)
{
	const struct sg_settings *before =
		sg_state_settings(reload->before, reload->control->settings);
	struct sg_shared_settings *settings = NULL;

	sg_settings_compare(
		before, &reload->settings, true, reload->changed, sizeof(reload->changed));
	if (!reload->changed[0]) {
		settings = sg_shared_settings_ref(reload->before->settings);
	} else {
		settings = sg_shared_settings_create(before);
		if (!settings)
			return sg_error_set(
				&reload->error, -ENOMEM, "no memory is left for the change");
		sg_settings_take_live(&settings->settings, &reload->settings);
	}
	sg_state_set_settings(&reload->edit.state, settings);
	return 0;
}

static int describe(struct reload *reload)
{
	struct sg_history_entry *entry = &reload->entry;
	int err = sg_history_describe(entry, reload->before, &reload->edit.state);
	size_t used = strlen(entry->summary);

	if (err || !reload->changed[0])
		return err;
	snprintf(entry->summary + used, sizeof(entry->summary) - used, "%ssettings: %s",
		used ? ", " : "", reload->changed);
	if (!entry->owner[0])
		strcpy(entry->owner, SG_CONFIG_OWNER);
	return 0;
}

// Reads the file, and makes and checks the candidate. This or the helper's thread: the rollout and
// the file's present blocks stay as they are meanwhile.
static int make(struct reload *reload)
{
	int err =
		sg_config_file_read(reload->path, &reload->settings, &reload->file, &reload->error);

	if (err)
		return err;
	reload->is_read = true;
	err = merge(reload);
	if (!err)
		err = take_settings(reload);
	if (!err)
		err = sg_rollout_check(
			reload->control->rollout, &reload->edit.state, &reload->error);
	if (err)
		return err;
	if (describe(reload) < 0)
		return sg_error_set(&reload->error, -ENOMEM, "no memory is left for the history");
	reload->count = sg_state_count_changes(reload->before, &reload->edit.state);
	sg_validate_state_warnings(&reload->edit.state, reload->before, warn, (void *)reload->path);
	return 0;
}

static void say_what_needs_a_restart(const struct reload *reload)
{
	char names[1000];

	sg_settings_compare(
		reload->control->settings, &reload->settings, false, names, sizeof(names));
	if (names[0])
		sg_log_warning("%s: these settings are other than those that stormgate was started "
			       "with, and need a restart: %s",
			reload->path, names);
}

// From here on edits are edits of these blocks.
static void take_file(struct reload *reload)
{
	struct sg_control *control = reload->control;
	struct sg_state old = control->file_state;

	control->file_state = reload->file;
	reload->file = old;
	if (control->keeper)
		sg_keeper_set_file(control->keeper, &control->file_state);
}

static bool changes_anything(const struct reload *reload)
{
	return reload->entry.n_changes > 0 || reload->entry.policy_changed || reload->changed[0];
}

// It is committed.
static void note_committed(struct reload *reload)
{
	struct sg_control *control = reload->control;
	bool changes = changes_anything(reload);

	if (changes) {
		reload->entry.generation = sg_rollout_generation(control->rollout);
		sg_history_add(control->history, &reload->entry);
		reload->entry = (struct sg_history_entry){.n_changes = 0};
	}
	take_file(reload);
	sg_log_info("SIGHUP: %s is read again: %u services added, %u changed, %u removed%s%s",
		reload->path, reload->count.added, reload->count.changed, reload->count.removed,
		reload->changed[0] ? "; other settings: " : "",
		changes ? reload->changed : ", so nothing is to be done");
}

// It is over.
static void end(struct reload *reload, int err)
{
	reload->control->reload.in_hand = NULL;
	// Of a file that is refused, too: it may be because of these that its services do not fit.
	if (reload->is_read)
		say_what_needs_a_restart(reload);
	if (err)
		refuse(reload->path, &reload->error);
	sg_history_drop(&reload->entry);
	sg_edit_fini(&reload->edit);
	sg_state_fini(&reload->file);
	free(reload);
}

static int commit_here(struct reload *reload)
{
	struct sg_control *control = reload->control;
	int err = sg_rollout_commit_checked(control->rollout, &reload->edit.state, NULL, 0, on_done,
		control, sg_clock_ms(), &reload->error);

	if (!err)
		note_committed(reload);
	return err;
}

static void compile_it(void *job)
{
	sg_rollout_prepare(((struct reload *)job)->control->rollout);
}

static void on_compiled(void *job)
{
	struct reload *reload = job;
	struct sg_control *control = reload->control;
	int err = sg_rollout_conclude(control->rollout, on_done, control, &reload->error);

	if (!err)
		note_committed(reload);
	end(reload, err);
}

static void make_it(void *job)
{
	struct reload *reload = job;

	reload->err = make(reload);
}

static void on_made(void *job)
{
	struct reload *reload = job;
	struct sg_control *control = reload->control;

	if (!reload->err && changes_anything(reload)) {
		sg_rollout_begin(control->rollout, &reload->edit.state, NULL, 0, sg_clock_ms());
		sg_helper_start(control->helper, compile_it, on_compiled, reload);
		return;
	}
	sg_rollout_release(control->rollout);
	end(reload, reload->err ? reload->err : commit_here(reload));
}

// `held`: the rollout is, for the helper's work.
static void carry_out(struct sg_control *control, bool held)
{
	struct sg_reload_order *order = &control->reload;
	struct reload *reload = calloc(1, sizeof(*reload));
	int err;

	order->due = false;
	if (!reload) {
		if (held)
			sg_rollout_release(control->rollout);
		return;
	}
	reload->control = control;
	reload->path = order->path;
	reload->before = sg_rollout_state(control->rollout);
	reload->entry =
		(struct sg_history_entry){.uid = order->uid, .pid = order->pid, .verb = "reload"};
	order->in_hand = reload;
	if (held) {
		sg_helper_start(control->helper, make_it, on_made, reload);
		return;
	}
	err = make(reload);
	end(reload, err ? err : commit_here(reload));
}

void sg_control_reload(struct sg_control *control, const char *path, uid_t uid, pid_t pid)
{
	struct sg_reload_order *order = &control->reload;

	order->due = true;
	order->path = path;
	order->uid = uid;
	order->pid = pid;
	order->deadline_ms = sg_clock_ms() + SG_ROLLOUT_ANSWER_MS;
	sg_reload_turn(control, sg_clock_ms());
}

void sg_reload_turn(struct sg_control *control, uint64_t now_ms)
{
	const struct sg_reload_order *order = &control->reload;

	if (!order->due || sg_change_is_in_hand(control) || sg_helper_is_busy(control->helper) ||
		sg_rollout_is_busy(control->rollout))
		return;
	if (sg_rollout_hold(control->rollout))
		carry_out(control, true);
	else if (now_ms >= order->deadline_ms)
		carry_out(control, false);
}

void sg_reload_cancel(struct sg_control *control)
{
	struct reload *reload = control->reload.in_hand;

	if (!reload)
		return;
	reload->is_read = false;
	sg_error_set(&reload->error, -ECANCELED, "stormgate is stopping");
	end(reload, -ECANCELED);
}
