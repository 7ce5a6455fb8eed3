// Waiting for a next hop, see hold.h.
#include "dataplane/hold.h"

#include <string.h>

#include "dataplane/worker.h"

static unsigned count_of_hop(const struct sg_hold *hold, uint16_t hop)
{
	unsigned n = 0;

	for (unsigned i = 0; i < hold->n; i++)
		n += hold->entries[i].hop == hop;
	return n;
}

// Whose packets these are nobody knows any more: other backend_cidrs may forbid what they waited
// for.
static void let_go_of_older(struct sg_worker *worker, const struct sg_snapshot *snapshot)
{
	if (worker->hold.settings_since == snapshot->settings_since)
		return;
	sg_hold_clear(worker);
	worker->hold.settings_since = snapshot->settings_since;
}

void sg_hold_put(struct sg_worker *worker, const struct sg_snapshot *snapshot,
	struct rte_mbuf *mbuf, uint16_t hop)
{
	struct sg_hold *hold = &worker->hold;

	let_go_of_older(worker, snapshot);
	if (hold->n == SG_HOLD_PACKETS || count_of_hop(hold, hop) >= SG_HOLD_PER_HOP)
		return sg_tx_drop(worker, mbuf, SG_DROP_NEXTHOP_UNRESOLVED);
	hold->entries[hold->n].mbuf = mbuf;
	hold->entries[hold->n].hop = hop;
	hold->entries[hold->n].until_ms = worker->pipeline->now_ms + SG_HOLD_MS;
	hold->n++;
}

static void release(struct sg_worker *worker, const struct sg_hop *way, struct rte_mbuf *mbuf)
{
	memcpy(rte_pktmbuf_mtod(mbuf, void *), way, 12);
	sg_tx_port(worker, way->port, mbuf);
}

void sg_hold_turn(struct sg_worker *worker, const struct sg_snapshot *snapshot)
{
	struct sg_hold *hold = &worker->hold;
	unsigned kept = 0;

	let_go_of_older(worker, snapshot);
	for (unsigned i = 0; i < hold->n; i++) {
		uint16_t hop = hold->entries[i].hop;
		const struct sg_hop *way =
			hop < snapshot->routes->n_hops ? &snapshot->routes->hops[hop] : NULL;

		if (way && way->kind == SG_HOP_PORT)
			release(worker, way, hold->entries[i].mbuf);
		else if (!way || way->kind != SG_HOP_UNRESOLVED ||
			 worker->pipeline->now_ms >= hold->entries[i].until_ms)
			sg_tx_drop(worker, hold->entries[i].mbuf, SG_DROP_NEXTHOP_UNRESOLVED);
		else
			hold->entries[kept++] = hold->entries[i];
	}
	hold->n = kept;
}

void sg_hold_clear(struct sg_worker *worker)
{
	for (unsigned i = 0; i < worker->hold.n; i++)
		sg_tx_drop(worker, worker->hold.entries[i].mbuf, SG_DROP_NEXTHOP_UNRESOLVED);
	worker->hold.n = 0;
}
