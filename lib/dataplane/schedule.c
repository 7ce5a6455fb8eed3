// schedule: gives each admitted packet a backend and creates its flow.
#include "dataplane/pipeline.h"

#include "dataplane/answer.h"
#include "dataplane/flow_life.h"
#include "dataplane/nexthop.h"
#include "dataplane/pick.h"
#include "flow/tcp.h"
#include "net/checksum.h"
#include "net/headers.h"

static uint32_t sequence_of(const struct sg_pkt *pkt, const struct sg_tuple4 *tuple)
{
	const struct sg_tcp_hdr *tcp = (const void *)(pkt->bytes + pkt->l4_offset);

	return tuple->proto == SG_PROTO_TCP ? __builtin_bswap32(tcp->seq_be) : 0;
}

static struct sg_flow describe(const struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_pkt *pkt, const struct sg_tuple4 *client, uint32_t backend_slot)
{
	const struct sg_backend *backend = sg_snapshot_backend(snapshot, backend_slot);
	struct sg_flow flow = {
		.client = *client,
		.server = {.src_be = backend->addr4_be, .sport_be = backend->port_be, .proto = client->proto,
			.domain = client->domain},
		.backend_slot = backend_slot,
		.service_slot = pkt->service->slot,
		.backend_generation = backend->generation,
		.last_seen = pipeline->now_ticks,
		.state = SG_FLOW_UDP_NEW,
		.mode = pkt->service->forward,
	};

	if (client->proto == SG_PROTO_TCP)
		sg_flow_tcp_open(&flow, sequence_of(pkt, client));
	return flow;
}

// What the rewrite from client -> VIP to SNAT address -> backend adds to the checksums (RFC 1624).
static void note_deltas(struct sg_flow *flow)
{
	const struct sg_tuple4 *c = &flow->client, *s = &flow->server;
	uint16_t addresses = sg_checksum_delta_join(
		sg_checksum_delta32(c->src_be, s->dst_be), sg_checksum_delta32(c->dst_be, s->src_be));
	uint32_t old_ports = (uint32_t)c->sport_be << 16 | c->dport_be;
	uint32_t new_ports = (uint32_t)s->dport_be << 16 | s->sport_be;

	flow->l3_delta = addresses;
	flow->l4_delta = sg_checksum_delta_join(addresses, sg_checksum_delta32(old_ports, new_ports));
}

// The oldest embryo makes room. Established flows never do.
static bool recycle_embryo(struct sg_pipeline *pipeline)
{
	sg_flow_ref oldest = sg_flow_table_oldest_embryo(pipeline->flows);

	if (!oldest)
		return false;
	sg_counter_add(&pipeline->counters.totals->embryos_recycled, 1);
	sg_flow_end(pipeline, oldest);
	return true;
}

static sg_flow_ref insert(struct sg_pipeline *pipeline, const struct sg_flow *flow, uint64_t client_hash,
	uint64_t server_hash)
{
	sg_flow_ref ref;

	if (sg_flow_table_embryos_full(pipeline->flows))
		recycle_embryo(pipeline);
	ref = sg_flow_table_insert(pipeline->flows, flow, client_hash, server_hash);
	if (!ref && recycle_embryo(pipeline))
		ref = sg_flow_table_insert(pipeline->flows, flow, client_hash, server_hash);
	return ref;
}

// Creates the flow of an admitted packet. Returns the reason when it cannot be.
static enum sg_drop create_flow(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, const struct sg_tuple4 *tuple, uint64_t hash)
{
	uint32_t slot = sg_pick_backend(pipeline, snapshot, pkt->service, tuple);
	struct sg_flow flow;
	uint64_t server_hash;
	sg_flow_ref closed = 0;
	uint16_t hop;

	if (slot == SG_PICK_NONE)
		return SG_DROP_NO_BACKEND;
	flow = describe(pipeline, snapshot, pkt, tuple, slot);
	if (!sg_nexthop_begin(pipeline, snapshot, pkt, &flow))
		return SG_DROP_NO_ROUTE;

	hop = flow.server.hop; // no part of the key that is looked for
	flow.server.hop = 0;
	if (!pipeline->snat || !sg_snat_pick(pipeline->snat, pipeline->flows, pipeline->worker, &pipeline->random,
				       sequence_of(pkt, tuple), &flow.server, &server_hash, &closed))
		return SG_DROP_SNAT_PORTS;
	flow.server.hop = hop;
	if (closed)
		sg_flow_end(pipeline, closed);
	note_deltas(&flow);

	pkt->ref = insert(pipeline, &flow, hash, server_hash);
	if (!pkt->ref)
		return SG_DROP_FLOW_TABLE_FULL;
	sg_flow_begin(pipeline, &flow);
	return SG_DROP_NONE;
}

static void schedule(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_pkt *pkt,
	const struct sg_tuple4 *tuple, uint64_t hash)
{
	const struct sg_ipv4_hdr *ip = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	enum sg_drop drop;

	// Another packet of this burst may have created the flow a moment ago.
	pkt->ref = sg_flow_table_find(pipeline->flows, tuple, hash);
	if (pkt->ref)
		return;
	if (ip->ttl <= 1)
		return sg_answer_ttl(pipeline, snapshot, pkt);

	drop = create_flow(pipeline, snapshot, pkt, tuple, hash);
	if (drop == SG_DROP_NONE)
		return;
	sg_counter_add(&pipeline->counters.services[pkt->service->slot].dropped, 1);
	if (drop == SG_DROP_NO_BACKEND)
		sg_answer_refusal(pipeline, pkt, drop);
	else
		sg_pkt_drop(pkt, drop);
}

// Flows that made room for new ones may have had packets in this very burst, whose refs now name nothing or another's.
static void check_refs(struct sg_pipeline *pipeline, struct sg_burst *burst)
{
	for (unsigned i = 0; i < burst->n; i++) {
		struct sg_pkt *pkt = &burst->pkts[i];
		const struct sg_flow *flow;
		const struct sg_tuple4 *tuple;

		if (pkt->verdict || !pkt->ref)
			continue;
		flow = sg_flow_table_get(pipeline->flows, pkt->ref);
		tuple = sg_flow_ref_direction(pkt->ref) == SG_FLOW_TO_BACKEND ? &flow->client : &flow->server;
		if (flow->state == SG_FLOW_FREE || !sg_tuple4_equal(tuple, &burst->tuples[i]))
			sg_pkt_drop(pkt, SG_DROP_NO_FLOW);
	}
}

void sg_stage_schedule(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_burst *burst)
{
	uint64_t ended = pipeline->counters.totals->flows_ended;

	for (unsigned i = 0; i < burst->n; i++) {
		struct sg_pkt *pkt = &burst->pkts[i];

		if (pkt->verdict || pkt->ref)
			continue;
		schedule(pipeline, snapshot, pkt, &burst->tuples[i], burst->hashes[i]);
	}
	if (pipeline->counters.totals->flows_ended != ended)
		check_refs(pipeline, burst);
}
