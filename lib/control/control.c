// The owner of the control thread's parts, see control.h.
#include "control/control.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/control_internal.h"
#include "control/request.h"
#include "control/socket_file.h"

#define TICK_MS         20 // between two looks at what announces itself by no event
#define WISHES_PER_TICK 256

const struct sg_settings *sg_control_settings(const struct sg_control *control)
{
	return sg_state_settings(sg_rollout_state(control->rollout), control->settings);
}

struct sg_server *sg_control_server_of(const struct sg_control *control, uint64_t connection)
{
	return connection & SG_CONTROL_MONITOR ? control->monitor : control->server;
}

static void answer_socket(void *context, uint64_t connection, struct sg_text *text)
{
	struct sg_server *server = sg_control_server_of(context, connection);

	if (server)
		sg_server_answer(server, connection, text);
	else
		sg_text_clear(text);
}

static size_t unsent_of_socket(void *context, uint64_t connection)
{
	const struct sg_server *server = sg_control_server_of(context, connection);

	return server ? sg_server_unsent(server, connection) : 0;
}

static int find_group(const char *key, const char *name, gid_t *ret_gid, struct sg_error *error)
{
	const struct group *group;

	*ret_gid = SG_SOCKET_FILE_NO_GROUP;
	if (!name[0])
		return 0;
	group = getgrnam(name);
	if (!group)
		return sg_error_set(error, -EINVAL,
			"%s \"%s\" is no group of this machine: create it with groupadd, or "
			"leave the key out",
			key, name);
	*ret_gid = group->gr_gid;
	return 0;
}

static void on_mirror(void *context, int fd, uint32_t events)
{
	struct sg_control *control = context;
	bool changed = false;
	int err = sg_mirror_receive(control->mirror, &changed, &control->error);

	(void)fd;
	(void)events;
	if (err) {
		control->broken = err;
		sg_loop_stop(control->loop);
	}
	if (changed && control->rollout)
		sg_rollout_routes_changed(control->rollout);
}

int sg_control_create(struct sg_control **ret_control, const struct sg_settings *settings,
	struct sg_state *state, const struct sg_publisher *publisher, struct sg_mirror *mirror,
	struct sg_error *error)
{
	struct sg_control *control = calloc(1, sizeof(*control));
	int err;

	if (!control)
		return sg_error_set(error, -ENOMEM, "no memory is left for the control thread");
	control->settings = settings;
	control->publisher = publisher;
	control->mirror = mirror;
	control->started_ms = sg_clock_ms();
	control->answer = answer_socket;
	control->unsent = unsent_of_socket;
	control->answer_context = control;
	sg_state_init(&control->first_state);
	sg_state_init(&control->file_state);
	sg_changes_init(&control->changes);
	control->statistics = sg_statistics_create(publisher);
	control->history = sg_history_create();
	err = control->statistics && control->history
		      ? 0
		      : sg_error_set(error, -ENOMEM, "no memory is left for the control thread");
	if (!err)
		err = find_group(
			"control.group", settings->socket_group, &control->socket_gid, error);
	if (!err)
		err = find_group("control.monitor_group", settings->monitor_group,
			&control->monitor_gid, error);
	if (!err)
		err = sg_loop_create(&control->loop, error);
	if (!err)
		err = sg_helper_create(&control->helper, control->loop, error);
	if (!err && mirror)
		err = sg_control_add_fd(control, sg_mirror_fd(mirror), on_mirror, control, error);
	if (err) {
		sg_control_destroy(control);
		return err;
	}
	if (sg_state_clone(&control->file_state, state) < 0) {
		sg_control_destroy(control);
		return sg_error_set(error, -ENOMEM, "no memory is left for the control thread");
	}
	control->first_state = *state;
	sg_state_init(state);
	*ret_control = control;
	return 0;
}

void sg_control_destroy(struct sg_control *control)
{
	if (!control)
		return;
	sg_helper_destroy(control->helper);
	control->helper = NULL;
	if (control->rollout) {
		sg_command_cancel(control);
		sg_change_cancel(control);
		sg_reload_cancel(control);
		sg_listing_cancel(control);
		sg_drain_wait_cancel(control);
	}
	if (control->keeper)
		sg_keeper_close(control->keeper,
			control->rollout ? sg_rollout_published_state(control->rollout) : NULL);
	control->keeper = NULL;
	sg_rollout_destroy(control->rollout);
	sg_server_close(control->server);
	sg_server_close(control->monitor);
	sg_state_fini(&control->first_state);
	sg_state_fini(&control->file_state);
	sg_statistics_destroy(control->statistics);
	sg_history_destroy(control->history);
	sg_loop_destroy(control->loop);
	free(control);
}

static void on_published(void *context, const struct sg_state *before, const struct sg_state *after,
	uint64_t generation)
{
	struct sg_control *control = context;

	sg_keeper_note(control->keeper, before, after, generation);
}

// Where every way back ends.
static int begin_history(struct sg_control *control, const struct sg_state *state)
{
	struct sg_history_entry start = {.uid = getuid(), .pid = getpid(), .verb = "start"};
	int err = sg_history_describe(&start, state, state);

	snprintf(start.summary, sizeof(start.summary), "started with %u services",
		state->n_services);
	start.generation = sg_rollout_generation(control->rollout);
	sg_history_add(control->history, &start);
	return err;
}

// What was asked for through the socket before, on top of what the file says.
static int restore(struct sg_control *control, struct sg_error *error)
{
	struct sg_state state;
	int err;

	if (!control->settings->state_file[0])
		return 0;
	err = sg_keeper_open(&control->keeper, control->loop, control->settings,
		&control->first_state, &state, error);
	if (err)
		return err;
	sg_state_fini(&control->first_state);
	control->first_state = state;
	return 0;
}

int sg_control_first_publish(struct sg_control *control, struct sg_error *error)
{
	const struct sg_state *state;
	int err = restore(control, error);

	if (!err)
		err = sg_rollout_create(&control->rollout, control->settings, &control->first_state,
			control->publisher, control->mirror, control->statistics, error);
	if (err)
		return err;
	state = sg_rollout_state(control->rollout);
	if (control->keeper) {
		sg_keeper_note(
			control->keeper, state, state, sg_rollout_generation(control->rollout));
		sg_rollout_observe(control->rollout, on_published, control);
	}
	err = begin_history(control, state);
	return err ? sg_error_set(error, err, "no memory is left for the history") : 0;
}

static void handle_line(void *context, uint64_t connection, const struct sg_peer *peer,
	const char *line, size_t length)
{
	sg_command_handle(context, connection, peer, line, length);
}

static void handle_long_line(void *context, uint64_t connection, const struct sg_peer *peer,
	char *buffer, const char *line, size_t length)
{
	sg_command_handle_long(context, connection, peer, buffer, line, length);
}

// One at a time, and not while the helper has a change in hand.
static bool takes_long_line(void *context)
{
	const struct sg_control *control = context;

	return !sg_helper_is_busy(control->helper) && !sg_change_is_waiting(control);
}

static void refuse_bad_line(void *context, const char *sentence, struct sg_text *ret_text)
{
	(void)context;
	sg_request_write_error(ret_text, NULL, SG_REQUEST_NO_JSON, sentence);
}

static void forget(void *context, uint64_t connection)
{
	sg_drain_wait_forget(context, connection);
	sg_listing_forget(context, connection);
}

int sg_control_open_socket(struct sg_control *control, struct sg_error *error)
{
	const struct sg_settings *settings = control->settings;
	struct sg_server_handler handler = {.context = control,
		.line = handle_line,
		.long_line = handle_long_line,
		.takes_long_line = takes_long_line,
		.bad_line = refuse_bad_line,
		.closed = forget};
	int err = sg_server_open(&control->server, control->loop, settings->socket_path,
		settings->socket_mode, control->socket_gid, &handler, error);

	if (err || !settings->monitor_path[0])
		return err;
	handler.id_bit = SG_CONTROL_MONITOR;
	handler.max_line_bytes = SG_CONTROL_MONITOR_LINE_BYTES;
	return sg_server_open(&control->monitor, control->loop, settings->monitor_path,
		settings->monitor_mode, control->monitor_gid, &handler, error);
}

int sg_control_add_fd(
	struct sg_control *control, int fd, sg_loop_fn *call, void *context, struct sg_error *error)
{
	int err = sg_loop_add(control->loop, fd, EPOLLIN, call, context);

	if (err)
		sg_error_set(error, err, "a descriptor cannot be watched: %s", strerror(-err));
	return err;
}

void sg_control_remove_fd(struct sg_control *control, int fd)
{
	sg_loop_remove(control->loop, fd);
}

// Neighbours that workers need, and MTUs that one of them has heard of.
static void grant_wishes(struct sg_control *control)
{
	const struct sg_publisher *publisher = control->publisher;
	struct sg_wish wish;

	if (!control->mirror)
		return;
	for (unsigned i = 0; i < WISHES_PER_TICK; i++) {
		if (!publisher->next_wish(publisher->dataplane, &wish))
			return;
		if (wish.mtu)
			publisher->note_mtu(publisher->dataplane, &wish.addr, wish.mtu);
		else
			sg_mirror_use(control->mirror, wish.port, &wish.addr);
	}
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t sg_control_turn(void *context)
{
	struct sg_control *control = context;
	uint64_t now_ms = sg_clock_ms();
	uint64_t delay_us = SG_LOOP_NEVER;

	if (now_ms >= control->next_tick_ms) {
		control->next_tick_ms = now_ms + TICK_MS;
		grant_wishes(control);
		if (control->rollout)
			sg_drain_wait_turn(control);
		if (control->rollout && control->mirror)
			sg_local_vips_look(&control->local_vips,
				sg_mirror_get_elsewhere(control->mirror),
				sg_rollout_snapshot(control->rollout), now_ms);
	}
	if (control->rollout) {
		delay_us = sg_rollout_turn(control->rollout, now_ms);
		if (control->keeper)
			sg_keeper_turn(control->keeper,
				sg_rollout_published_state(control->rollout), now_ms);
		if (sg_change_turn(control, now_ms))
			delay_us = 0;
		if (sg_listing_turn(control) || sg_shutdown_turn(control, now_ms))
			delay_us = 0;
	}
	if (control->server && sg_server_turn(control->server))
		delay_us = 0;
	if (control->monitor && sg_server_turn(control->monitor))
		delay_us = 0;
	// The rollout's turn came before that which has been committed since.
	if (control->rollout && sg_rollout_is_due(control->rollout))
		delay_us = 0;
	return smaller(delay_us, (control->next_tick_ms - now_ms) * 1000);
}

int sg_control_run(struct sg_control *control, struct sg_error *error)
{
	int err = sg_loop_run(control->loop, sg_control_turn, control);

	if (control->broken) {
		*error = control->error;
		return control->broken;
	}
	if (err)
		sg_error_set(error, err, "the event loop is broken: %s", strerror(-err));
	return err;
}

void sg_control_stop(struct sg_control *control)
{
	sg_loop_stop(control->loop);
}

uint64_t sg_control_take_longest_turn_ns(struct sg_control *control)
{
	return sg_loop_take_longest_turn_ns(control->loop);
}
