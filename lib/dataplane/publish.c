// The published pointer and its grace period, see publish.h.
#include "dataplane/publish.h"

#include <errno.h>
#include <stdlib.h>

#include <rte_malloc.h>
#include <rte_rcu_qsbr.h>

struct sg_publish {
	_Alignas(64) const struct sg_snapshot *current; // written by control, read by workers
	_Alignas(64) struct rte_rcu_qsbr *qsbr;
	unsigned n_workers;
};

struct sg_publish *sg_publish_create(unsigned n_workers, struct sg_error *error)
{
	size_t bytes = rte_rcu_qsbr_get_memsize(n_workers);
	struct sg_publish *publish = rte_zmalloc("sg_publish", sizeof(*publish), 64);

	if (publish)
		publish->qsbr = rte_zmalloc("sg_qsbr", bytes, RTE_CACHE_LINE_SIZE);
	if (!publish || !publish->qsbr || rte_rcu_qsbr_init(publish->qsbr, n_workers) != 0) {
		sg_publish_destroy(publish);
		sg_error_set(
			error, -ENOMEM, "no memory for the grace periods of %u workers", n_workers);
		return NULL;
	}
	publish->n_workers = n_workers;
	for (unsigned i = 0; i < n_workers; i++)
		rte_rcu_qsbr_thread_register(publish->qsbr, i);
	return publish;
}

void sg_publish_destroy(struct sg_publish *publish)
{
	if (!publish)
		return;
	rte_free(publish->qsbr);
	rte_free(publish);
}

uint64_t sg_publish_set(struct sg_publish *publish, const struct sg_snapshot *snapshot)
{
	// Release pairs with the acquire in sg_publish_get: whoever sees the pointer sees a whole
	// snapshot.
	__atomic_store_n(&publish->current, snapshot, __ATOMIC_RELEASE);
	return rte_rcu_qsbr_start(publish->qsbr);
}

#define COUNT_OFFLINE 0 // what rte_rcu_qsbr keeps for a thread that is offline: it counts as passed

static bool worker_passed(const struct sg_publish *publish, unsigned worker, uint64_t token)
{
	uint64_t count = __atomic_load_n(&publish->qsbr->qsbr_cnt[worker].cnt, __ATOMIC_ACQUIRE);

	return count == COUNT_OFFLINE || count >= token;
}

bool sg_publish_passed(struct sg_publish *publish, uint64_t token, unsigned *ret_late_worker)
{
	if (rte_rcu_qsbr_check(publish->qsbr, token, false) == 1)
		return true;
	for (unsigned i = 0; ret_late_worker && i < publish->n_workers; i++) {
		if (!worker_passed(publish, i, token)) {
			*ret_late_worker = i;
			return false;
		}
	}
	// All have passed between the two looks.
	return ret_late_worker != NULL;
}

void sg_publish_online(struct sg_publish *publish, unsigned worker)
{
	rte_rcu_qsbr_thread_online(publish->qsbr, worker);
}

const struct sg_snapshot *sg_publish_get(const struct sg_publish *publish)
{
	return __atomic_load_n(&publish->current, __ATOMIC_ACQUIRE);
}

void sg_publish_quiescent(struct sg_publish *publish, unsigned worker)
{
	rte_rcu_qsbr_quiescent(publish->qsbr, worker);
}

void sg_publish_offline(struct sg_publish *publish, unsigned worker)
{
	rte_rcu_qsbr_thread_offline(publish->qsbr, worker);
}
