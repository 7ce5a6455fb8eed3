// The control thread's event loop: descriptors, and one function that is called between events.
//
// All of control runs on one thread and never blocks but here. A descriptor has one callback;
// callbacks may add, change and remove any descriptor, their own included: an event of a removed
// one that was already collected is dropped, even when its number has been given to a new file
// meanwhile. Level triggered.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct sg_loop;

// `events` are those of epoll(7): EPOLLIN, EPOLLOUT, EPOLLHUP, ...
typedef void sg_loop_fn(void *context, int fd, uint32_t events);

#define SG_LOOP_NEVER UINT64_MAX
// Called before each wait. Returns after how many microseconds it wants to be called again though
// nothing happened; 0: at once, after a look at the descriptors; SG_LOOP_NEVER.
typedef uint64_t sg_loop_turn_fn(void *context);

int sg_loop_create(struct sg_loop **ret_loop, struct sg_error *error);
void sg_loop_destroy(struct sg_loop *loop); // closes no descriptor of others; NULL is fine

// Returns 0, -EEXIST, -ENOMEM, or what epoll_ctl gives.
int sg_loop_add(struct sg_loop *loop, int fd, uint32_t events, sg_loop_fn *call, void *context);
void sg_loop_modify(struct sg_loop *loop, int fd, uint32_t events);
// Before the descriptor is closed.
void sg_loop_remove(struct sg_loop *loop, int fd);

// Runs until sg_loop_stop, or not at all when that came first. Errors: what waiting gives.
int sg_loop_run(struct sg_loop *loop, sg_loop_turn_fn *turn, void *context);
// One turn, waiting at most as long as `turn` says, or not at all with `no_wait`: for tests.
int sg_loop_run_once(struct sg_loop *loop, sg_loop_turn_fn *turn, void *context, int no_wait);
void sg_loop_stop(struct sg_loop *loop);
bool sg_loop_is_stopped(const struct sg_loop *loop);

// The longest turn, from one wait to the next, since the loop was made or the longest was last
// taken, in nanoseconds of CPU time: nobody is served for so long. Any thread.
uint64_t sg_loop_longest_turn_ns(const struct sg_loop *loop);
uint64_t sg_loop_take_longest_turn_ns(struct sg_loop *loop);
