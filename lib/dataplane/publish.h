// Publishing a snapshot: one pointer, and the grace period after which nobody reads the old one
// (rte_rcu_qsbr).
//
// Control stores the pointer with release; a worker loads it with acquire once a turn and reports a
// quiescent state at the turn's end. A worker that sleeps is offline: it holds no snapshot, and
// loads the pointer anew on waking.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "service/snapshot.h"

struct sg_publish;

// Control thread. NULL with a sentence on failure.
struct sg_publish *sg_publish_create(unsigned n_workers, struct sg_error *error);
void sg_publish_destroy(struct sg_publish *publish); // NULL is fine

// Control thread: workers use `snapshot` from their next turn on. The token is for
// sg_publish_passed.
uint64_t sg_publish_set(struct sg_publish *publish, const struct sg_snapshot *snapshot);
// Control thread: whether every worker has passed a quiescent state since the token was given.
// Never waits.
bool sg_publish_passed(struct sg_publish *publish, uint64_t token, unsigned *ret_late_worker);

// A worker, in this order: online, then turns of (get ... quiescent), then offline.
void sg_publish_online(struct sg_publish *publish, unsigned worker);
const struct sg_snapshot *sg_publish_get(const struct sg_publish *publish);
void sg_publish_quiescent(struct sg_publish *publish, unsigned worker);
void sg_publish_offline(struct sg_publish *publish, unsigned worker);
