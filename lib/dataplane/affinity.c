// Client-IP affinity, see affinity.h.
#include "dataplane/affinity.h"

#include <string.h>

#include "base/clock.h"
#include "dataplane/flow_life.h"
#include "dataplane/pick.h"

#define AFFINITY_PROTO 0x80 // with the service's protocol in the low bits; no packet's number

// Of an IPv6 client the fingerprint is that of his flows: his address and the VIP.
static struct sg_tuple key_of(const struct sg_tuple *client)
{
	return (struct sg_tuple){.src_be = client->src_be,
		.dst_be = client->dst_be,
		.dport_be = client->dport_be,
		.proto = client->proto | AFFINITY_PROTO,
		.domain = client->domain};
}

static bool is_usable(
	const struct sg_snapshot *snapshot, uint32_t slot, uint16_t generation, uint32_t service)
{
	return sg_snapshot_backend_word(snapshot, slot) ==
		       SG_BACKEND_WORD(generation, SG_BACKEND_ACTIVE) &&
	       sg_snapshot_backend(snapshot, slot)->service_slot == service;
}

static bool holds(const struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_flow *record, uint32_t service)
{
	// Between two sweeps a record may be older than it should get.
	return pipeline->now_ticks - record->last_seen <= record->sequence &&
	       is_usable(snapshot, record->backend_slot, record->backend_generation, service);
}

// Notes the backend; without room in the table, the client is simply asked about again.
static void note(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_service *service, const struct sg_tuple *key, const struct sg_pair6 *pair,
	uint64_t hash, uint32_t slot)
{
	const struct sg_backend *backend = sg_snapshot_backend(snapshot, slot);
	const struct sg_flow record = {.client = *key,
		.server = {.src_be = backend->addr4_be, .sport_be = backend->port_be},
		.backend_slot = slot,
		.service_slot = service->slot,
		.backend_generation = backend->generation,
		.last_seen = pipeline->now_ticks,
		.sequence = sg_ticks_from_seconds(service->affinity_timeout_s),
		.state = SG_FLOW_AFFINITY,
		.one_way = 1};

	struct sg_flow_addresses addresses;
	sg_flow_ref ref;

	sg_flow_make_room(pipeline, 1);
	if (pair) {
		addresses.client = *pair;
		memcpy(addresses.server.src, backend->addr.bytes, 16);
		memset(addresses.server.dst, 0, 16);
		ref = sg_flow_table_insert6(pipeline->flows, &record, &addresses, hash, 0);
	} else {
		ref = sg_flow_table_insert(pipeline->flows, &record, hash, 0);
	}
	if (ref)
		sg_flow_begin(pipeline, &record);
}

// On a dry run: the backend that the client has already.
static uint32_t retell(struct sg_explanation *trace, uint32_t slot)
{
	trace->choice = SG_CHOICE_AFFINITY;
	trace->backend_slot = slot;
	return slot;
}

// At the affinity's home: the client's backend, or the one that is now picked for him.
static uint32_t remember(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_service *service, const struct sg_tuple *client,
	const struct sg_pair6 *pair)
{
	struct sg_tuple key = key_of(client);
	struct sg_flow *record;
	sg_flow_ref ref;
	uint64_t hash;
	uint32_t slot;

	sg_flow_table_hash(pipeline->flows, &key, 1, &hash);
	ref = sg_flow_table_find(pipeline->taken, &key, hash);
	record = sg_flow_table_get(pipeline->taken, ref);
	// Another client under the same key: his record stays, and this one is asked about again.
	if (ref && pair &&
		!sg_pair6_equal(&sg_flow_table_addresses(pipeline->taken, ref)->client, pair))
		return sg_pick_backend(pipeline, snapshot, service, client, pair);
	if (ref && holds(pipeline, snapshot, record, service->slot)) {
		if (pipeline->trace)
			return retell(pipeline->trace, record->backend_slot);
		record->last_seen = pipeline->now_ticks;
		sg_flow_table_renew_embryo(pipeline->flows, ref);
		return record->backend_slot;
	}
	if (ref && !pipeline->trace)
		sg_flow_end_bulk(pipeline, &ref, 1);
	slot = sg_pick_backend(pipeline, snapshot, service, client, pair);
	if (slot != SG_PICK_NONE)
		note(pipeline, snapshot, service, &key, pair, hash, slot);
	return slot;
}

static unsigned home_of(const struct sg_pipeline *pipeline, const struct sg_tuple *tuple,
	const struct sg_pair6 *pair)
{
	return pair ? sg_home_of_tuple6(pipeline->home, pair, tuple)
		    : sg_home_of_tuple4(pipeline->home, tuple);
}

static void hand_over(struct sg_pkt *pkt, unsigned worker, uint16_t flag)
{
	pkt->verdict = SG_VERDICT_HANDOFF;
	pkt->target = (uint8_t)worker;
	pkt->flags |= flag;
}

static void tell(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, const struct sg_tuple *client, const struct sg_pair6 *pair,
	uint32_t slot)
{
	pkt->told_slot = slot;
	pkt->told_generation = sg_snapshot_backend(snapshot, slot)->generation;
	pkt->flags &= (uint16_t)~SG_PKT_ASKS;
	hand_over(pkt, home_of(pipeline, client, pair), SG_PKT_TOLD);
}

uint32_t sg_affinity_pick(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, const struct sg_tuple *client, const struct sg_pair6 *pair)
{
	const struct sg_service *service = pkt->service;
	const struct sg_tuple key = key_of(client);
	uint32_t slot;

	if (pkt->flags & SG_PKT_TOLD) {
		if (is_usable(snapshot, pkt->told_slot, pkt->told_generation, service->slot))
			return pkt->told_slot;
		// It went while the packet was on its way.
		return sg_pick_backend(pipeline, snapshot, service, client, pair);
	}
	if (pipeline->n_workers > 1 && !(pkt->flags & SG_PKT_ASKS)) {
		unsigned home = home_of(pipeline, &key, pair);

		if (home != pipeline->worker) {
			hand_over(pkt, home, SG_PKT_ASKS);
			return SG_PICK_NONE;
		}
	}
	slot = remember(pipeline, snapshot, service, client, pair);
	if (slot != SG_PICK_NONE && pkt->flags & SG_PKT_ASKS)
		tell(pipeline, snapshot, pkt, client, pair, slot);
	return slot;
}
