// The control thread: one event loop that owns the desired state and everything that is told to the
// workers.
//
// The order of a life: create (with the state of the config file), first_publish (before workers
// start, so that they find a snapshot), open_socket (when the node forwards), run (until stop),
// destroy (after workers have ended). Everything is called by one thread. The loop never waits for
// a worker, a client or the kernel; what takes long is a helper's thread (helper.h), and what is
// written to the disk the keeper's.
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "control/loop.h"
#include "control/mirror.h"
#include "control/publisher.h"
#include "service/settings.h"
#include "service/state.h"

struct sg_control;

// `state` has passed sg_validate_state; it is taken over on success. `mirror` may be NULL (no
// routes: nothing can be forwarded); it stays the caller's, like `settings` and `publisher`, and
// all must outlive the control. Resolves control.group. Errors: -EINVAL (no such group), -ENOMEM,
// or what the system gives, with a sentence.
int sg_control_create(struct sg_control **ret_control, const struct sg_settings *settings,
	struct sg_state *state, const struct sg_publisher *publisher, struct sg_mirror *mirror,
	struct sg_error *error);
// Answers whoever still waits, closes the socket and removes its file. No worker may run any more.
// NULL is fine.
void sg_control_destroy(struct sg_control *control);

// Compiles the state and hands the first snapshot to publisher->publish. Errors: -ENOMEM, -ENOSPC.
int sg_control_first_publish(struct sg_control *control, struct sg_error *error);

// From here on stormctl gets in: by settings->socket_path, and, for questions only, by
// settings->monitor_path if that is set. There everything that changes something is refused by
// name. Errors: as sg_socket_file_open.
int sg_control_open_socket(struct sg_control *control, struct sg_error *error);

// Watches a descriptor of the caller's for EPOLLIN: a signalfd, a port's events. Remove it before
// it is closed.
int sg_control_add_fd(struct sg_control *control, int fd, sg_loop_fn *call, void *context,
	struct sg_error *error);
void sg_control_remove_fd(struct sg_control *control, int fd);

// Serves until sg_control_stop, or until sg_control_shutdown (shutdown.h) has come to its end;
// either may come from a callback. Errors: the loop or the mirror broke for good.
int sg_control_run(struct sg_control *control, struct sg_error *error);
void sg_control_stop(struct sg_control *control);

// The CPU time of the longest turn since the last call, see loop.h. Any thread.
uint64_t sg_control_take_longest_turn_ns(struct sg_control *control);
