// A thread that writes, and who waits for it; see keeper.h.
#include "control/keeper.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "control/state_file.h"

#define RETRY_MS          1000
#define MIN_REPLACE_BYTES (1u << 20)
#define APPEND_FACTOR     4 // a file that has grown by so much is written anew

// What is written in one piece.
struct batch {
	struct sg_intents intents;
	bool whole;          // all that there is, instead of what the file holds
	uint64_t generation; // the newest that is in it
	bool any;            // something was noted
};

struct waiter {
	struct waiter *next;
	uint64_t generation;
	uint64_t deadline_ms;
	sg_keeper_done_fn *done;
	void *context;
};

struct sg_keeper {
	struct sg_loop *loop;
	struct sg_state file_state; // the config file's blocks
	struct batch collecting;
	bool whole; // the next write is of all
	uint64_t persisted;
	bool failing;
	uint64_t retry_ms;
	uint64_t last_ms;
	uint64_t file_bytes;
	struct waiter *waiters;

	// The thread's while `busy`, the control thread's otherwise.
	struct sg_state_file file;
	struct batch writing;
	int err;
	struct sg_error error;

	bool busy; // control thread only
	pthread_t thread;
	pthread_mutex_t lock; // of the two that follow
	pthread_cond_t wake;
	bool has_work, stop;
	int done_fd; // eventfd: the thread has written
};

static int write_batch(struct sg_keeper *keeper)
{
	const struct batch *batch = &keeper->writing;
	struct sg_text lines = {0};
	int err;

	for (unsigned i = 0; i < batch->intents.n; i++)
		if (!batch->whole || !batch->intents.all[i].as_file)
			sg_intent_write(&lines, &batch->intents.all[i]);
	err = batch->whole ? sg_state_file_replace(&keeper->file, &lines, &keeper->error)
			   : sg_state_file_append(&keeper->file, &lines, &keeper->error);
	sg_text_clear(&lines);
	return err;
}

static void *run_thread(void *context)
{
	struct sg_keeper *keeper = context;
	uint64_t one = 1;

	pthread_mutex_lock(&keeper->lock);
	for (;;) {
		while (!keeper->has_work && !keeper->stop)
			pthread_cond_wait(&keeper->wake, &keeper->lock);
		if (!keeper->has_work)
			break;
		pthread_mutex_unlock(&keeper->lock);
		keeper->err = write_batch(keeper);
		pthread_mutex_lock(&keeper->lock);
		keeper->has_work = false;
		if (write(keeper->done_fd, &one, sizeof(one)) < 0)
			break; // an eventfd takes that
	}
	pthread_mutex_unlock(&keeper->lock);
	return NULL;
}

// Makes what was collected, or all of `state`, the next to be written.
static void collect(struct sg_keeper *keeper, const struct sg_state *state)
{
	struct batch *batch = &keeper->collecting;

	if (keeper->file.fd < 0 ||
		keeper->file.bytes >
			MIN_REPLACE_BYTES + APPEND_FACTOR * keeper->file.replaced_bytes)
		keeper->whole = true;
	batch->whole = keeper->whole;
	if (keeper->whole) {
		sg_intents_clear(&batch->intents);
		// Without memory it stays to be done.
		keeper->whole = sg_intents_note(&batch->intents, &keeper->file_state,
					&keeper->file_state, state) < 0;
	}
	keeper->writing = *batch;
	keeper->collecting = (struct batch){.generation = batch->generation};
}

static void begin_writing(struct sg_keeper *keeper, const struct sg_state *state)
{
	collect(keeper, state);
	if (keeper->whole) {
		sg_intents_clear(&keeper->writing.intents);
		return;
	}
	keeper->busy = true;
	pthread_mutex_lock(&keeper->lock);
	keeper->has_work = true;
	pthread_cond_signal(&keeper->wake);
	pthread_mutex_unlock(&keeper->lock);
}

static void fail(struct sg_keeper *keeper)
{
	keeper->whole = true;
	keeper->retry_ms = keeper->last_ms + RETRY_MS;
	if (!keeper->failing)
		sg_log_error("changes are made, but would not survive a restart: %s",
			keeper->error.text);
	keeper->failing = true;
}

// Takes over what the thread has done.
static void end_writing(struct sg_keeper *keeper)
{
	keeper->busy = false;
	sg_intents_clear(&keeper->writing.intents);
	if (keeper->err == -ESTALE && !keeper->failing) {
		sg_log_warning("%s: it is written anew", keeper->error.text);
		keeper->whole = true;
		return;
	}
	if (keeper->err) {
		// What the file holds is as it was, or not known.
		fail(keeper);
		return;
	}
	keeper->persisted = keeper->writing.generation;
	keeper->file_bytes = SG_STATE_FILE_HEADER_BYTES + keeper->file.bytes;
	if (keeper->failing)
		sg_log_info("%s is written again: changes survive a restart", keeper->file.path);
	keeper->failing = false;
}

static void on_written(void *context, int fd, uint32_t events)
{
	struct sg_keeper *keeper = context;
	uint64_t count;

	(void)events;
	if (read(fd, &count, sizeof(count)) == sizeof(count))
		end_writing(keeper);
}

static void make_directory(const char *path)
{
	char directory[PATH_MAX];
	char *slash;

	snprintf(directory, sizeof(directory), "%s", path);
	slash = strrchr(directory, '/');
	if (!slash || slash == directory)
		return;
	*slash = '\0';
	mkdir(directory, 0755); // what is wrong with it shows when the file is written
}

static void report(void *context, const char *sentence)
{
	(void)context;
	sg_log_warning("%s", sentence);
}

static int take_line(void *context, const char *line, size_t length, struct sg_error *error)
{
	return sg_intents_read(context, line, length, error);
}

// A file that cannot be believed is put out of the way, and said so.
static void set_aside(const char *path, const struct sg_error *problem)
{
	char aside[PATH_MAX];
	int err = sg_state_file_set_aside(path, aside);

	if (err)
		sg_log_error(
			"%s is corrupt (%s) and cannot be set aside: %s. Nothing of it is used: "
			"services are those of the config file",
			path, problem->text, strerror(-err));
	else
		sg_log_error(
			"%s is corrupt (%s): it is set aside as %s, and nothing of it is used. "
			"Services are those of the config file",
			path, problem->text, aside);
}

// Somebody's work does not fit the config file any more: what the state file says is kept, for who
// wants it back.
static void keep_copy(const char *path, unsigned n_left_out)
{
	char copy[PATH_MAX];
	int err = sg_state_file_copy(path, copy);

	if (err)
		sg_log_error(
			"what does not fit the config file (changes: %u) cannot be kept beside %s: %s",
			n_left_out, path, strerror(-err));
	else
		sg_log_warning(
			"what does not fit the config file (changes: %u) is kept in %s, the state file "
			"as it was",
			n_left_out, copy);
}

static int restore(struct sg_keeper *keeper, const struct sg_settings *settings,
	struct sg_state *ret_state, struct sg_error *error)
{
	struct sg_intents intents = {0};
	struct sg_error problem = {0};
	unsigned n_left_out = 0;
	int err = sg_state_file_open(
		&keeper->file, settings->state_file, take_line, &intents, &problem);

	if (err == -EBADMSG) {
		set_aside(settings->state_file, &problem);
		sg_intents_clear(&intents);
	} else if (err) {
		sg_intents_clear(&intents);
		*error = problem;
		return err;
	}
	if (intents.n)
		sg_log_info("%u services are not as in the config file: %s says how", intents.n,
			settings->state_file);
	err = sg_intents_restore(&intents, &keeper->file_state, settings, report, NULL, ret_state,
		&n_left_out, error);
	if (n_left_out)
		keep_copy(settings->state_file, n_left_out);
	sg_intents_clear(&intents);
	return err;
}

static int start_thread(struct sg_keeper *keeper, struct sg_error *error)
{
	int err;

	keeper->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (keeper->done_fd < 0)
		return sg_error_set(error, -errno, "the state file's thread cannot be started: %s",
			strerror(errno));
	err = sg_loop_add(keeper->loop, keeper->done_fd, EPOLLIN, on_written, keeper);
	if (!err) {
		err = -pthread_create(&keeper->thread, NULL, run_thread, keeper);
		if (!err)
			return 0;
		sg_loop_remove(keeper->loop, keeper->done_fd);
	}
	close(keeper->done_fd);
	return sg_error_set(
		error, err, "the state file's thread cannot be started: %s", strerror(-err));
}

int sg_keeper_open(struct sg_keeper **ret_keeper, struct sg_loop *loop,
	const struct sg_settings *settings, const struct sg_state *file, struct sg_state *ret_state,
	struct sg_error *error)
{
	struct sg_keeper *keeper = calloc(1, sizeof(*keeper));
	struct sg_state state;
	int err;

	if (!keeper || sg_state_clone(&keeper->file_state, file) < 0) {
		free(keeper);
		return sg_error_set(error, -ENOMEM, "no memory is left for the state file");
	}
	keeper->loop = loop;
	keeper->whole = true;
	pthread_mutex_init(&keeper->lock, NULL);
	pthread_cond_init(&keeper->wake, NULL);
	make_directory(settings->state_file);
	err = restore(keeper, settings, &state, error);
	if (err)
		goto free_keeper;
	err = start_thread(keeper, error);
	if (err)
		goto free_state;
	*ret_state = state;
	*ret_keeper = keeper;
	return 0;

free_state:
	sg_state_fini(&state);
free_keeper:
	sg_state_file_close(&keeper->file);
	sg_state_fini(&keeper->file_state);
	free(keeper);
	return err;
}

static void answer(struct sg_keeper *keeper, uint64_t now_ms)
{
	struct waiter **link = &keeper->waiters;

	while (*link) {
		struct waiter *waiter = *link;
		bool persisted = waiter->generation <= keeper->persisted;

		if (!persisted && !keeper->failing && waiter->deadline_ms > now_ms) {
			link = &waiter->next;
			continue;
		}
		*link = waiter->next;
		waiter->done(waiter->context, persisted);
		free(waiter);
		link = &keeper->waiters; // `done` may have added some
	}
}

static void wait_for_thread(struct sg_keeper *keeper)
{
	pthread_mutex_lock(&keeper->lock);
	keeper->stop = true;
	pthread_cond_signal(&keeper->wake);
	pthread_mutex_unlock(&keeper->lock);
	pthread_join(keeper->thread, NULL);
	if (keeper->busy)
		end_writing(keeper);
}

void sg_keeper_close(struct sg_keeper *keeper, const struct sg_state *state)
{
	if (!keeper)
		return;
	wait_for_thread(keeper);
	if (state && (keeper->collecting.any || keeper->whole)) {
		collect(keeper, state);
		keeper->err = write_batch(keeper);
		end_writing(keeper);
	}
	answer(keeper, UINT64_MAX);
	sg_loop_remove(keeper->loop, keeper->done_fd);
	close(keeper->done_fd);
	sg_intents_clear(&keeper->collecting.intents);
	sg_state_file_close(&keeper->file);
	sg_state_fini(&keeper->file_state);
	pthread_cond_destroy(&keeper->wake);
	pthread_mutex_destroy(&keeper->lock);
	free(keeper);
}

void sg_keeper_note(struct sg_keeper *keeper, const struct sg_state *before,
	const struct sg_state *after, uint64_t generation)
{
	struct batch *batch = &keeper->collecting;
	unsigned n = batch->intents.n;

	if (sg_intents_note(&batch->intents, &keeper->file_state, before, after) < 0)
		keeper->whole = true;
	batch->any = batch->any || batch->intents.n > n || keeper->whole;
	batch->generation = generation;
	// One that only follows routes is on the disk as soon as those before it are.
	if (!batch->any && !keeper->busy)
		keeper->persisted = generation;
}

void sg_keeper_set_file(struct sg_keeper *keeper, const struct sg_state *file)
{
	struct sg_state clone;

	if (sg_state_clone(&clone, file) < 0)
		return;
	sg_state_fini(&keeper->file_state);
	keeper->file_state = clone;
	keeper->whole = true;
	keeper->collecting.any = true;
}

const struct sg_state *sg_keeper_file(const struct sg_keeper *keeper)
{
	return &keeper->file_state;
}

void sg_keeper_wait(struct sg_keeper *keeper, uint64_t generation, sg_keeper_done_fn *done,
	void *context, uint64_t now_ms)
{
	struct waiter *waiter;

	if (generation <= keeper->persisted || keeper->failing) {
		done(context, generation <= keeper->persisted);
		return;
	}
	waiter = calloc(1, sizeof(*waiter));
	if (!waiter) {
		done(context, false);
		return;
	}
	*waiter = (struct waiter){.next = keeper->waiters,
		.generation = generation,
		.deadline_ms = now_ms + SG_KEEPER_PATIENCE_MS,
		.done = done,
		.context = context};
	keeper->waiters = waiter;
}

void sg_keeper_turn(struct sg_keeper *keeper, const struct sg_state *state, uint64_t now_ms)
{
	bool due = keeper->collecting.any || keeper->whole;

	keeper->last_ms = now_ms;
	if (!keeper->busy && due && (!keeper->failing || now_ms >= keeper->retry_ms))
		begin_writing(keeper, state);
	if (!keeper->busy && !keeper->collecting.any && !keeper->whole)
		keeper->persisted = keeper->collecting.generation;
	answer(keeper, now_ms);
}

bool sg_keeper_is_well(const struct sg_keeper *keeper)
{
	return !keeper->failing;
}

uint64_t sg_keeper_bytes(const struct sg_keeper *keeper)
{
	return keeper->file_bytes;
}
