// schedule: gives each admitted packet a backend and creates its flow.
//
// In passes over the burst, so that its cache misses overlap: backends are picked and described,
// SNAT ports proposed and room made for all, and then all flows are entered together. Those that
// have to be looked at again, because another packet of the burst may want the same tuple or a
// limit counts them, follow one by one.
#include "dataplane/pipeline.h"

#include <string.h>

#include "dataplane/affinity.h"
#include "dataplane/answer.h"
#include "dataplane/flow_life.h"
#include "dataplane/loss.h"
#include "dataplane/nexthop.h"
#include "dataplane/pick.h"
#include "dataplane/rewrite.h"
#include "flow/tcp.h"
#include "net/checksum.h"
#include "net/headers.h"

// A set of hashes that may say yes wrongly, of a burst's once in eight bursts: a bit for each, by
// 12 bits of it.
#define SEEN_WORDS 64

struct seen {
	uint64_t words[SEEN_WORDS];
};

// The flows that a burst wants to start; the arrays go by the same index.
struct starts {
	const struct sg_snapshot *snapshot;
	unsigned n;
	uint8_t at[SG_BURST];    // in the burst
	uint16_t hops[SG_BURST]; // towards the backend; no part of a key, so kept apart
	struct sg_flow flows[SG_BURST];
	struct sg_flow_addresses addresses[SG_BURST]; // of IPv6
	// Of those in mode snat: the tuples of their replies, for which ports are looked for. Of
	// those in mode dnat the same, from the arrays' end downwards.
	unsigned n_replies, n_dnat_replies;
	uint8_t reply_of[SG_BURST]; // by flow
	uint8_t flow_of[SG_BURST];  // by reply
	struct sg_tuple replies[SG_BURST];
	struct sg_pair6 reply_pairs[SG_BURST]; // of IPv6
	uint64_t hashes[SG_BURST];             // of the clients' tuples
	uint64_t reply_hashes[SG_BURST];
	uint64_t free_replies; // a bit for each whose proposed tuple was free
	// Hashes of tuples that flows of this burst want.
	struct seen clients, servers;
	// Flows that can be entered together, and those where it takes another look once the former
	// are in.
	unsigned n_together, n_apart;
	struct sg_flow_newcomer together[SG_BURST];
	uint8_t together_of[SG_BURST]; // by newcomer: the flow
	uint8_t apart[SG_BURST];       // flows
	uint64_t ended;                // flows of the worker, when those apart had their turn
	// Packets of the burst whose flow lookup found.
	unsigned n_known;
	uint8_t known[SG_BURST];
};

static uint32_t sequence_of(const struct sg_pkt *pkt, const struct sg_tuple *tuple)
{
	const struct sg_tcp_hdr *tcp = (const void *)(pkt->bytes + pkt->l4_offset);

	return tuple->proto == SG_PROTO_TCP ? __builtin_bswap32(tcp->seq_be) : 0;
}

static void lose(
	struct sg_pipeline *pipeline, struct sg_pkt *pkt, uint32_t backend_slot, enum sg_drop drop)
{
	sg_pkt_drop(pkt, drop);
	sg_loss_of_backend(pipeline, backend_slot, SG_FLOW_TO_BACKEND, pkt);
}

static void refuse(struct sg_pipeline *pipeline, struct sg_pkt *pkt)
{
	sg_answer_refusal(pipeline, pkt, pkt->service->protocol, SG_DROP_NO_BACKEND);
	sg_loss_of_service(pipeline, pkt->service->slot, pkt);
}

static void describe(const struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_pkt *pkt, const struct sg_tuple *client, uint32_t backend_slot,
	struct sg_flow *ret_flow)
{
	const struct sg_backend *backend = sg_snapshot_backend(snapshot, backend_slot);

	*ret_flow = (struct sg_flow){
		.client = *client,
		.server = {.src_be = backend->addr4_be,
			.sport_be = backend->port_be,
			.proto = client->proto,
			.domain = pipeline->domains[backend->route_port]},
		.backend_slot = backend_slot,
		.service_slot = pkt->service->slot,
		.backend_generation = backend->generation,
		.last_seen = pipeline->now_ticks,
		.state = SG_FLOW_UDP_NEW,
		.mode = pkt->service->forward,
		.one_way = pkt->service->forward >= SG_FORWARD_DSR,
	};
	// snat finds an address and a port for it later; all others keep the client's.
	if (ret_flow->mode != SG_FORWARD_SNAT) {
		ret_flow->server.dst_be = client->src_be;
		ret_flow->server.dport_be = client->sport_be;
	}
	if (client->proto == SG_PROTO_TCP)
		sg_flow_tcp_open(ret_flow, sequence_of(pkt, client));
}

// What describe leaves to be said of an IPv6 flow; the server's tuple is no key before its last
// address is known.
static __attribute__((noinline)) void describe6(const struct sg_pipeline *pipeline,
	const struct sg_snapshot *snapshot, const struct sg_pkt *pkt, struct sg_flow *flow,
	struct sg_flow_addresses *ret_addresses)
{
	const struct sg_backend *backend = sg_snapshot_backend(snapshot, flow->backend_slot);

	ret_addresses->client = sg_pkt_ip6(pkt)->pair;
	memcpy(ret_addresses->server.src, backend->addr.bytes, 16);
	memcpy(ret_addresses->server.dst, ret_addresses->client.src, 16);
	flow->server.domain |= SG_DOMAIN_IPV6;
	if (flow->mode != SG_FORWARD_SNAT)
		sg_flow_table_key6(pipeline->flows, &ret_addresses->server, &flow->server);
}

static inline void note_deltas(struct sg_flow *flow, const struct sg_flow_addresses *addresses)
{
	if (__builtin_expect(sg_tuple_is_ipv6(&flow->client), 0))
		sg_rewrite_note_deltas6(flow, addresses);
	else
		sg_rewrite_note_deltas(flow);
}

static void go_without_flow(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_flow *flow, const struct sg_flow_addresses *addresses, struct sg_pkt *pkt)
{
	note_deltas(flow, addresses);
	sg_rewrite_stateless(pipeline, snapshot, flow, sg_pkt_is_ipv6(pkt) ? addresses : NULL,
		SG_FLOW_TO_BACKEND, pkt);
}

// Picks a backend for a packet and adds its flow to those that want to start, or settles the
// packet.
static inline __attribute__((always_inline)) void plan_of(struct sg_pipeline *pipeline,
	const struct sg_snapshot *snapshot, struct sg_burst *burst, unsigned at,
	struct starts *starts, const bool is_ipv6)
{
	struct sg_pkt *pkt = &burst->pkts[at];
	struct sg_flow *flow = &starts->flows[starts->n];
	const struct sg_ipv4_hdr *ip = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	const struct sg_pair6 *pair = is_ipv6 ? &sg_pkt_ip6(pkt)->pair : NULL;
	struct sg_flow_addresses *addresses = is_ipv6 ? &starts->addresses[starts->n] : NULL;
	enum sg_drop cut_off;
	uint32_t slot;

	if ((is_ipv6 ? sg_pkt_ip6(pkt)->hop_limit : ip->ttl) <= 1) {
		sg_answer_ttl(pipeline, snapshot, pkt);
		return sg_loss_of_service(pipeline, pkt->service->slot, pkt);
	}
	slot = pkt->service->affinity == SG_AFFINITY_CLIENT_IP
		       ? sg_affinity_pick(pipeline, snapshot, pkt, &burst->tuples[at], pair)
		       : sg_pick_backend(
				 pipeline, snapshot, pkt->service, &burst->tuples[at], pair);
	if (pkt->verdict)
		return;
	if (slot == SG_PICK_NONE)
		return refuse(pipeline, pkt);
	if (__builtin_expect(pkt->service->limited, 0))
		slot = sg_limits_choose_backend(pipeline, snapshot, pkt->service,
			&pkt->service->sets[is_ipv6 ? SG_SET_IPV6 : SG_SET_IPV4], slot);
	if (!sg_snapshot_may_reach(snapshot, &sg_snapshot_backend(snapshot, slot)->addr))
		return lose(pipeline, pkt, slot, SG_DROP_BACKEND_OUTSIDE);
	describe(pipeline, snapshot, pkt, &burst->tuples[at], slot, flow);
	if (is_ipv6)
		describe6(pipeline, snapshot, pkt, flow, addresses);
	cut_off = sg_nexthop_begin(pipeline, snapshot, pkt, flow, addresses);
	if (cut_off)
		return lose(pipeline, pkt, slot, cut_off);
	if (pkt->stateless)
		return go_without_flow(pipeline, snapshot, flow, addresses, pkt);
	if (flow->mode == SG_FORWARD_SNAT) {
		if (is_ipv6 ? !pipeline->has_snat6 : !pipeline->has_snat4)
			return lose(pipeline, pkt, slot, SG_DROP_SNAT_PORTS);
		if (is_ipv6)
			starts->reply_pairs[starts->n_replies] = addresses->server;
		starts->reply_of[starts->n] = (uint8_t)starts->n_replies;
		starts->flow_of[starts->n_replies++] = (uint8_t)starts->n;
	} else if (flow->mode == SG_FORWARD_DNAT) {
		unsigned reply = SG_BURST - ++starts->n_dnat_replies;

		starts->reply_of[starts->n] = (uint8_t)reply;
		starts->flow_of[reply] = (uint8_t)starts->n;
	}

	starts->at[starts->n] = (uint8_t)at;
	starts->hashes[starts->n] = burst->hashes[at];
	starts->hops[starts->n] = flow->server.hop;
	flow->server.hop = 0;
	starts->n++;
}

// Of both families, so that IPv4 asks once.
static __attribute__((noinline)) void plan6(struct sg_pipeline *pipeline,
	const struct sg_snapshot *snapshot, struct sg_burst *burst, unsigned at,
	struct starts *starts)
{
	plan_of(pipeline, snapshot, burst, at, starts, true);
}

static inline void plan(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_burst *burst, unsigned at, struct starts *starts)
{
	if (__builtin_expect(sg_pkt_is_ipv6(&burst->pkts[at]), 0))
		return plan6(pipeline, snapshot, burst, at, starts);
	plan_of(pipeline, snapshot, burst, at, starts, false);
}

// Whether the hash may have been seen before; from now on it has.
static bool see(struct seen *seen, uint64_t hash)
{
	uint64_t bit = UINT64_C(1) << (hash & 63);
	uint64_t *word = &seen->words[hash >> 6 & (SEEN_WORDS - 1)];
	bool had = *word & bit;

	*word |= bit;
	return had;
}

// A closed flow or an embryo leaves its SNAT port to a new one.
static void give_way(struct sg_pipeline *pipeline, sg_flow_ref old)
{
	if (sg_flow_table_get(pipeline->flows, old)->embryo)
		sg_counter_add(&pipeline->counters.totals->embryos_recycled, 1);
	sg_flow_end_bulk(pipeline, &old, 1);
}

// The proposed reply, or another that is free by now, becomes the flow's tuple.
static void take_reply(struct starts *starts, unsigned i)
{
	unsigned reply = starts->reply_of[i];

	starts->flows[i].server = starts->replies[reply];
	if (__builtin_expect(sg_tuple_is_ipv6(&starts->flows[i].client), 0))
		starts->addresses[i].server = starts->reply_pairs[reply];
}

static bool find_snat_port(
	struct sg_pipeline *pipeline, struct starts *starts, unsigned i, uint32_t syn_seq)
{
	unsigned reply = starts->reply_of[i];
	sg_flow_ref old;

	if (!sg_snat_settle(pipeline->snat, pipeline->taken, pipeline->worker, &pipeline->random,
		    syn_seq, &starts->replies[reply], &starts->reply_pairs[reply],
		    &starts->reply_hashes[reply], &old))
		return false;
	if (old && pipeline->taken == pipeline->flows)
		give_way(pipeline, old);
	take_reply(starts, i);
	return true;
}

// In mode dnat the answers' tuple is what it is. Whoever has it is an older flow of the same client
// and port to the same pod (through a VIP that was changed, or released): the pod can tell them
// apart no better, and the newer one counts.
static void end_older(struct sg_pipeline *pipeline, const struct starts *starts, unsigned reply)
{
	sg_flow_ref older = sg_flow_table_find(
		pipeline->flows, &starts->replies[reply], starts->reply_hashes[reply]);

	if (older)
		sg_flow_end_bulk(pipeline, &older, 1);
}

// Looks for whoever has the answers' tuples of mode dnat.
static void find_dnat_replies(const struct sg_pipeline *pipeline, struct starts *starts)
{
	unsigned n = starts->n_dnat_replies, first = SG_BURST - n;
	sg_flow_ref older[SG_BURST];

	for (unsigned i = first; i < SG_BURST; i++)
		starts->replies[i] = starts->flows[starts->flow_of[i]].server;
	sg_flow_table_hash(
		pipeline->flows, &starts->replies[first], n, &starts->reply_hashes[first]);
	sg_flow_table_find_bulk(
		pipeline->flows, &starts->replies[first], &starts->reply_hashes[first], n, older);
	for (unsigned i = 0; i < n; i++)
		starts->free_replies |= (uint64_t)(older[i] == 0) << (first + i);
}

// Whether a packet belongs to the flow that was found by its tuple.
static inline bool is_own(
	const struct sg_pipeline *pipeline, const struct sg_pkt *pkt, const struct sg_tuple *tuple)
{
	return !sg_tuple_is_ipv6(tuple) || sg_pkt_is_of(pipeline, pkt, pkt->ref);
}

// Whether not even an embryo could make room.
static bool is_full(const struct sg_flow_table *table)
{
	return sg_flow_table_count(table) == sg_flow_table_max(table) &&
	       sg_flow_table_embryos(table) == 0;
}

// What is left to say of a flow once its reply's tuple is known.
static inline void complete(struct starts *starts, unsigned i)
{
	note_deltas(&starts->flows[i], &starts->addresses[i]);
	starts->flows[i].server.hop = starts->hops[i];
}

// Enters one flow that wants to start. Returns why it cannot.
static enum sg_drop start(struct sg_pipeline *pipeline, struct starts *starts, unsigned i,
	struct sg_pkt *pkt, const struct sg_tuple *tuple)
{
	struct sg_flow *flow = &starts->flows[i];
	const bool is_ipv6 = sg_pkt_is_ipv6(pkt);
	struct sg_flow_newcomer newcomer = {.flow = flow,
		.addresses = is_ipv6 ? &starts->addresses[i] : NULL,
		.client_hash = starts->hashes[i]};
	const uint8_t *client =
		is_ipv6 ? starts->addresses[i].client.src : (const uint8_t *)&tuple->src_be;
	const unsigned client_bytes = is_ipv6 ? 16 : 4;

	pkt->ref = sg_flow_table_find(pipeline->flows, tuple, newcomer.client_hash);
	if (pkt->ref)
		return is_own(pipeline, pkt, tuple) ? SG_DROP_NONE : SG_DROP_KEY_COLLISION;
	if (__builtin_expect(pkt->service->limited, 0)) {
		enum sg_drop refused = sg_limits_room(
			pipeline, starts->snapshot, pkt->service, client, client_bytes, flow);

		if (refused)
			return refused;
	}
	if (flow->mode == SG_FORWARD_SNAT) {
		if (!find_snat_port(pipeline, starts, i, sequence_of(pkt, tuple)))
			return SG_DROP_SNAT_PORTS;
		newcomer.server_hash = starts->reply_hashes[starts->reply_of[i]];
	} else if (flow->mode == SG_FORWARD_DNAT) {
		end_older(pipeline, starts, starts->reply_of[i]);
		newcomer.server_hash = starts->reply_hashes[starts->reply_of[i]];
	}
	if (pipeline->trace && is_full(pipeline->taken))
		return SG_DROP_FLOW_TABLE_FULL;
	complete(starts, i);
	sg_flow_table_insert_bulk(pipeline->flows, &newcomer, 1);
	pkt->ref = newcomer.ref;
	if (!pkt->ref)
		return SG_DROP_FLOW_TABLE_FULL;
	if (__builtin_expect(flow->limited, 0))
		sg_limits_count(pipeline, flow, client, client_bytes, true);
	sg_flow_begin(pipeline, flow);
	return SG_DROP_NONE;
}

static void settle(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct starts *starts, unsigned i, struct sg_pkt *pkt, enum sg_drop drop)
{
	if (drop == SG_DROP_FLOW_TABLE_FULL && sg_service_is_stateless(pkt->service))
		go_without_flow(pipeline, snapshot, &starts->flows[i], &starts->addresses[i], pkt);
	else
		lose(pipeline, pkt, starts->flows[i].backend_slot, drop);
}

// Whether nobody else wants a flow's tuples, and nothing has to be counted first.
static inline bool is_plain(const struct sg_pipeline *pipeline, struct starts *starts, unsigned i,
	const struct sg_pkt *pkt)
{
	const struct sg_flow *flow = &starts->flows[i];

	if (see(&starts->clients, starts->hashes[i]) || pkt->service->limited || pipeline->trace)
		return false;
	return flow->one_way ||
	       (starts->free_replies >> starts->reply_of[i] & 1 &&
		       !see(&starts->servers, starts->reply_hashes[starts->reply_of[i]]));
}

// Parts the flows into those that are entered together and those that are not.
static void part(
	const struct sg_pipeline *pipeline, const struct sg_burst *burst, struct starts *starts)
{
	for (unsigned i = 0; i < starts->n; i++) {
		const struct sg_pkt *pkt = &burst->pkts[starts->at[i]];
		struct sg_flow_newcomer *newcomer = &starts->together[starts->n_together];

		if (__builtin_expect(!is_plain(pipeline, starts, i, pkt), 0)) {
			starts->apart[starts->n_apart++] = (uint8_t)i;
			continue;
		}
		newcomer->flow = &starts->flows[i];
		newcomer->addresses = sg_pkt_is_ipv6(pkt) ? &starts->addresses[i] : NULL;
		newcomer->client_hash = starts->hashes[i];
		if (starts->flows[i].mode == SG_FORWARD_SNAT)
			take_reply(starts, i);
		if (!starts->flows[i].one_way)
			newcomer->server_hash = starts->reply_hashes[starts->reply_of[i]];
		complete(starts, i);
		starts->together_of[starts->n_together++] = (uint8_t)i;
	}
}

// Not while the flows are described: a tuple that was just written in pieces is slow to read whole.
static void propose_replies(struct sg_pipeline *pipeline, struct starts *starts)
{
	for (unsigned i = 0; i < starts->n_replies; i++)
		starts->replies[i] = starts->flows[starts->flow_of[i]].server;
	starts->free_replies = sg_snat_propose(pipeline->snat, pipeline->taken, pipeline->worker,
		&pipeline->snat_turns, starts->replies, starts->reply_pairs, starts->n_replies,
		starts->reply_hashes);
}

static void start_all(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_burst *burst, struct starts *starts)
{
	if (starts->n_replies > 0)
		propose_replies(pipeline, starts);
	if (starts->n_dnat_replies > 0)
		find_dnat_replies(pipeline, starts);
	sg_flow_make_room(pipeline, starts->n);
	part(pipeline, burst, starts);
	sg_flow_table_insert_bulk(pipeline->flows, starts->together, starts->n_together);
	for (unsigned k = 0; k < starts->n_together; k++) {
		unsigned i = starts->together_of[k];
		struct sg_pkt *pkt = &burst->pkts[starts->at[i]];

		pkt->ref = starts->together[k].ref;
		if (pkt->ref)
			sg_flow_begin(pipeline, &starts->flows[i]);
		else
			settle(pipeline, snapshot, starts, i, pkt, SG_DROP_FLOW_TABLE_FULL);
	}
	starts->ended = pipeline->counters.totals->flows_ended;
	for (unsigned k = 0; k < starts->n_apart; k++) {
		unsigned i = starts->apart[k];
		struct sg_pkt *pkt = &burst->pkts[starts->at[i]];
		enum sg_drop drop = start(pipeline, starts, i, pkt, &burst->tuples[starts->at[i]]);

		if (drop != SG_DROP_NONE)
			settle(pipeline, snapshot, starts, i, pkt, drop);
	}
}

// Flows that made room for new ones may have had packets in this very burst, whose refs now name
// nothing or another's.
static void check_ref(struct sg_pipeline *pipeline, struct sg_burst *burst, unsigned at)
{
	struct sg_pkt *pkt = &burst->pkts[at];
	const struct sg_flow *flow = sg_flow_table_get(pipeline->flows, pkt->ref);

	if (pkt->verdict || !pkt->ref)
		return;
	if (flow->state == SG_FLOW_FREE ||
		!sg_tuple_equal(
			sg_flow_tuple(flow, sg_flow_ref_direction(pkt->ref)), &burst->tuples[at]) ||
		!is_own(pipeline, pkt, &burst->tuples[at]))
		sg_pkt_drop(pkt, SG_DROP_NO_FLOW);
}

void sg_stage_schedule(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_burst *burst)
{
	uint64_t ended = pipeline->counters.totals->flows_ended;
	struct starts starts;

	starts.snapshot = snapshot;
	starts.n = 0;
	starts.n_replies = starts.n_dnat_replies = 0;
	starts.free_replies = 0;
	starts.n_together = starts.n_apart = 0;
	starts.n_known = 0;
	memset(&starts.clients, 0, sizeof(starts.clients));
	memset(&starts.servers, 0, sizeof(starts.servers));
	for (unsigned i = 0; i < burst->n; i++) {
		if (burst->pkts[i].verdict)
			continue;
		if (burst->pkts[i].ref)
			starts.known[starts.n_known++] = (uint8_t)i;
		else
			plan(pipeline, snapshot, burst, i, &starts);
	}
	if (starts.n > 0)
		start_all(pipeline, snapshot, burst, &starts);
	if (pipeline->counters.totals->flows_ended == ended)
		return;
	for (unsigned k = 0; k < starts.n_known; k++)
		check_ref(pipeline, burst, starts.known[k]);
	// What was entered by itself may have ended what was entered with others.
	if (starts.n == 0 || pipeline->counters.totals->flows_ended == starts.ended)
		return;
	for (unsigned k = 0; k < starts.n; k++)
		check_ref(pipeline, burst, starts.at[k]);
}
