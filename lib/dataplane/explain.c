// A dry run of the stages, see explain.h.
#include "dataplane/explain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/region.h"
#include "net/headers.h"

#define SCRATCH_FLOWS 64
#define MAX_HANDOFFS  4 // an affinity's way: home, the affinity's home, home
#define HEAD_BYTES    128
#define FRAME_BYTES   2048
#define TRIES         3 // a racing insertion may move an entry while we look

struct sg_explainer {
	struct sg_pipeline *const *workers;
	unsigned n_workers;
	struct sg_region region;
	struct sg_pipeline *scratch;
	void *table;     // the scratch pipeline's flow table
	void *addresses; // and its IPv6 flows' addresses
	uint32_t *backend_flows;
	uint32_t *cursors;
	struct sg_learned_client *learned;
	struct sg_wishes wishes;
	struct sg_counters totals;
	struct sg_worker_counters counters;
	struct sg_burst burst;
	_Alignas(64) uint8_t frame[HEAD_BYTES + FRAME_BYTES];
};

static size_t align(size_t bytes)
{
	return (bytes + 4095) & ~(size_t)4095;
}

// All but little of it is never touched.
static int lay_out(struct sg_explainer *explainer, struct sg_error *error)
{
	const size_t sizes[] = {align(sizeof(struct sg_pipeline)),
		align(sg_flow_table_bytes(SCRATCH_FLOWS)),
		align(sg_flow_addresses_bytes(SCRATCH_FLOWS)),
		align(SG_MAX_BACKENDS * sizeof(uint32_t)),
		align(SG_MAX_SERVICES * SG_SET_COUNT * sizeof(uint32_t)),
		align(SG_LEARNED_ENTRIES * sizeof(struct sg_learned_client)),
		align(SG_MAX_SERVICES * sizeof(struct sg_traffic)),
		align(SG_MAX_BACKENDS * sizeof(struct sg_traffic)),
		align(SG_MAX_SERVICES * sizeof(struct sg_losses)),
		align(SG_MAX_BACKENDS * sizeof(struct sg_losses))};
	enum {
		N = sizeof(sizes) / sizeof(sizes[0])
	};
	void *parts[N];
	size_t bytes = 0;
	uint8_t *at;
	int err;

	for (unsigned i = 0; i < N; i++)
		bytes += sizes[i];
	err = sg_region_open(&explainer->region, bytes, false, error);
	if (err)
		return err;
	at = explainer->region.bytes;
	for (unsigned i = 0; i < N; i++, at += sizes[i - 1])
		parts[i] = at;
	explainer->scratch = parts[0];
	explainer->table = parts[1];
	explainer->addresses = parts[2];
	explainer->backend_flows = parts[3];
	explainer->cursors = parts[4];
	explainer->learned = parts[5];
	explainer->counters = (struct sg_worker_counters){.totals = &explainer->totals,
		.services = parts[6],
		.backends = parts[7],
		.service_losses = parts[8],
		.backend_losses = parts[9]};
	return 0;
}

struct sg_explainer *sg_explainer_create(
	struct sg_pipeline *const *pipelines, unsigned n_workers, struct sg_error *error)
{
	size_t bytes = (sizeof(struct sg_explainer) + 63) & ~(size_t)63;
	struct sg_explainer *explainer = aligned_alloc(64, bytes);

	if (!explainer) {
		sg_error_set(error, -ENOMEM, "no memory is left to explain");
		return NULL;
	}
	memset(explainer, 0, bytes);
	explainer->workers = pipelines;
	explainer->n_workers = n_workers;
	if (lay_out(explainer, error) < 0) {
		free(explainer);
		return NULL;
	}
	return explainer;
}

void sg_explainer_destroy(struct sg_explainer *explainer)
{
	if (!explainer)
		return;
	sg_region_close(&explainer->region);
	free(explainer);
}

// --- the packet ---

static unsigned write_ipv4(uint8_t *at, const struct sg_question *question, unsigned l4_bytes)
{
	struct sg_ipv4_hdr ip = {.version_ihl = 0x45,
		.total_length_be = __builtin_bswap16((uint16_t)(sizeof(ip) + l4_bytes)),
		.fragment_be = __builtin_bswap16(SG_IPV4_DF),
		.ttl = 64,
		.proto = question->protocol,
		.src_be = sg_addr_ipv4_be(&question->src),
		.dst_be = sg_addr_ipv4_be(&question->dst)};

	memcpy(at, &ip, sizeof(ip));
	return sizeof(ip);
}

static unsigned write_ipv6(uint8_t *at, const struct sg_question *question, unsigned l4_bytes)
{
	memset(at, 0, 40);
	at[0] = 0x60;
	at[4] = (uint8_t)(l4_bytes >> 8);
	at[5] = (uint8_t)l4_bytes;
	at[6] = question->protocol;
	at[7] = 64;
	memcpy(at + 8, question->src.bytes, 16);
	memcpy(at + 24, question->dst.bytes, 16);
	return 40;
}

// The packet that is asked about, as a device hands it over that has checked it. Its sender's MAC
// is nobody's: it counts only for a client that nobody has resolved.
static void write_packet(struct sg_explainer *explainer, const struct sg_question *question,
	uint8_t flags, uint8_t port, uint16_t pkt_flags)
{
	const bool is_ipv6 = question->dst.family == SG_FAMILY_IPV6;
	const bool is_tcp = question->protocol == SG_PROTO_TCP;
	const unsigned l4_bytes = is_tcp ? sizeof(struct sg_tcp_hdr) : sizeof(struct sg_udp_hdr);
	uint8_t *bytes = explainer->frame + HEAD_BYTES;
	uint8_t *at = bytes + sizeof(struct sg_eth_hdr);
	struct sg_eth_hdr eth = {.src = {2},
		.ethertype_be = __builtin_bswap16(is_ipv6 ? 0x86dd : SG_ETHERTYPE_IPV4)};

	memcpy(eth.dst, explainer->workers[0]->ports[port].mac, 6);
	memcpy(bytes, &eth, sizeof(eth));
	at += is_ipv6 ? write_ipv6(at, question, l4_bytes) : write_ipv4(at, question, l4_bytes);
	if (is_tcp)
		memcpy(at,
			&(struct sg_tcp_hdr){.sport_be = __builtin_bswap16(question->sport),
				.dport_be = __builtin_bswap16(question->dport),
				.offset = 5 << 4,
				.flags = flags},
			l4_bytes);
	else
		memcpy(at,
			&(struct sg_udp_hdr){.sport_be = __builtin_bswap16(question->sport),
				.dport_be = __builtin_bswap16(question->dport),
				.length_be = __builtin_bswap16((uint16_t)l4_bytes),
				.checksum = 0xffff}, // IPv6 knows no datagram without one
			l4_bytes);
	at += l4_bytes;

	explainer->burst.n = 1;
	explainer->burst.pkts[0] = (struct sg_pkt){.bytes = bytes,
		.length = (uint16_t)(at - bytes),
		.head = HEAD_BYTES,
		.room = FRAME_BYTES,
		.port = port,
		.flags = (uint16_t)(SG_PKT_IP_GOOD | SG_PKT_L4_GOOD | pkt_flags)};
}

// --- the worker ---

// The service that the packet is for, if there is one: its loads and turns are taken over.
static const struct sg_service *service_of(
	const struct sg_snapshot *snapshot, const struct sg_question *question)
{
	uint16_t port_be = __builtin_bswap16(question->dport);

	if (question->dst.family == SG_FAMILY_IPV6)
		return sg_snapshot_find_service6(
			snapshot, question->dst.bytes, port_be, question->protocol);
	return sg_snapshot_find_service4(
		snapshot, sg_addr_ipv4_be(&question->dst), port_be, question->protocol);
}

static void take_over_loads(struct sg_explainer *explainer, const struct sg_pipeline *worker,
	const struct sg_service *service)
{
	explainer->counters.services[service->slot] = worker->counters.services[service->slot];
	for (unsigned i = 0; i < SG_SET_COUNT; i++) {
		const struct sg_backend_set *set = &service->sets[i];
		uint32_t cursor = service->slot * SG_SET_COUNT + i;

		explainer->cursors[cursor] =
			__atomic_load_n(&worker->cursors[cursor], __ATOMIC_RELAXED);
		for (uint32_t j = 0; j < set->n_backends; j++) {
			uint32_t slot = set->backend_slots[j];

			explainer->backend_flows[slot] =
				__atomic_load_n(&worker->backend_flows[slot], __ATOMIC_RELAXED);
		}
	}
}

static void take_over_learned(struct sg_explainer *explainer, const struct sg_pipeline *worker,
	const struct sg_addr *addr)
{
	struct sg_learned theirs = worker->learned, ours = {.clients = explainer->learned};

	*sg_learned_slot(&ours, addr) = *sg_learned_slot(&theirs, addr);
}

// Makes the scratch pipeline look like a worker's, with an empty table.
static void take_over(struct sg_explainer *explainer, unsigned number,
	const struct sg_snapshot *snapshot, const struct sg_question *question,
	struct sg_explanation *explanation)
{
	const struct sg_pipeline *worker = explainer->workers[number];
	const struct sg_service *service = service_of(snapshot, question);
	struct sg_pipeline *scratch = explainer->scratch;

	memcpy(scratch, worker, sizeof(*scratch));
	memset(explainer->table, 0, sg_flow_table_bytes(SCRATCH_FLOWS));
	scratch->flows = sg_flow_table_init_like(explainer->table, SCRATCH_FLOWS, worker->flows);
	sg_flow_table_attach_addresses(scratch->flows, explainer->addresses);
	scratch->taken = worker->flows;
	scratch->trace = explanation;
	scratch->counters = explainer->counters;
	scratch->backend_flows = explainer->backend_flows;
	scratch->cursors = explainer->cursors;
	scratch->learned.clients = explainer->learned;
	scratch->wishes = &explainer->wishes;
	memset(&explainer->wishes, 0, sizeof(explainer->wishes));
	take_over_learned(explainer, worker, &question->src);
	take_over_learned(explainer, worker, &question->dst);
	if (service)
		take_over_loads(explainer, worker, service);
}

// --- a flow that is known ---

// Copies the flow of a tuple out of a worker's table.
static bool read_flow(const struct sg_flow_table *table, const struct sg_tuple *tuple,
	struct sg_flow *ret_flow, struct sg_flow_addresses *ret_addresses,
	enum sg_flow_direction *ret_direction)
{
	uint64_t hash;

	sg_flow_table_hash(table, tuple, 1, &hash);
	for (unsigned try = 0; try < TRIES; try++) {
		sg_flow_ref ref = sg_flow_table_find(table, tuple, hash);

		*ret_direction = sg_flow_ref_direction(ref);
		if (ref && sg_flow_table_read(table, ref >> 1, ret_flow, ret_addresses) &&
			sg_tuple_equal(sg_flow_tuple(ret_flow, *ret_direction), tuple))
			return true;
	}
	return false;
}

// Enters a copy of a worker's flow into the scratch table, and what it has learned of its two ends.
static void enter_flow(struct sg_explainer *explainer, const struct sg_pipeline *worker,
	const struct sg_flow *flow, const struct sg_flow_addresses *addresses)
{
	struct sg_pipeline *scratch = explainer->scratch;
	struct sg_flow copy = *flow;
	struct sg_tuple keys[2] = {flow->client, flow->server};
	bool released = flow->state == SG_FLOW_UDP_RELEASED;
	uint64_t hashes[2];
	sg_flow_ref ref;

	for (unsigned i = 0; i < 2; i++) {
		const struct sg_tuple *tuple = sg_flow_tuple(flow, (enum sg_flow_direction)i);
		struct sg_addr addr = sg_addr_from_ipv4(tuple->src_be);

		if (sg_tuple_is_ipv6(tuple)) {
			addr.family = SG_FAMILY_IPV6;
			memcpy(addr.bytes, (&addresses->client + i)->src, 16);
		}
		take_over_learned(explainer, worker, &addr);
	}
	keys[0].hop = keys[1].hop = 0;
	sg_flow_table_hash(scratch->flows, keys, 2, hashes);
	if (released)
		copy.state = SG_FLOW_UDP;
	if (sg_tuple_is_ipv6(&flow->client))
		ref = sg_flow_table_insert6(scratch->flows, &copy, addresses, hashes[0], hashes[1]);
	else
		ref = sg_flow_table_insert(scratch->flows, &copy, hashes[0], hashes[1]);
	if (ref && released)
		sg_flow_table_release_client(scratch->flows, ref);
}

// Reads the packet's tuple as the worker would, and looks for its flow there.
static bool find_known(struct sg_explainer *explainer, const struct sg_pipeline *worker,
	struct sg_flow *ret_flow, struct sg_flow_addresses *ret_addresses,
	enum sg_flow_direction *ret_direction)
{
	struct sg_pkt saved = explainer->burst.pkts[0];
	const struct sg_tuple *tuple = &explainer->burst.tuples[0];

	sg_stage_parse(explainer->scratch, &explainer->burst);
	explainer->burst.pkts[0] = saved;
	return tuple->proto != 0 &&
	       read_flow(worker->flows, tuple, ret_flow, ret_addresses, ret_direction);
}

// --- the end ---

static bool is_unresolved(const struct sg_snapshot *snapshot, const struct sg_pkt *pkt)
{
	return snapshot->routes->hops[pkt->hop].kind == SG_HOP_UNRESOLVED;
}

static bool is_reset(const struct sg_pkt *pkt)
{
	const uint8_t *ip = pkt->bytes + sizeof(struct sg_eth_hdr);

	return (ip[0] >> 4 == 4 ? ip[9] : ip[6]) == SG_PROTO_TCP;
}

static enum sg_explained_end end_of(const struct sg_snapshot *snapshot, const struct sg_pkt *pkt)
{
	switch (pkt->verdict) {
	case SG_VERDICT_FORWARD:
		if (snapshot->routes->hops[pkt->hop].kind == SG_HOP_TWIN)
			return SG_EXPLAINED_FORWARDED;
		return is_unresolved(snapshot, pkt) ? SG_EXPLAINED_HELD : SG_EXPLAINED_FORWARDED;
	case SG_VERDICT_SEND:
		return SG_EXPLAINED_FORWARDED;
	case SG_VERDICT_PUNT:
	case SG_VERDICT_PUNT_URGENT:
		return SG_EXPLAINED_TO_KERNEL;
	case SG_VERDICT_ANSWER:
		return is_reset(pkt) ? SG_EXPLAINED_RESET : SG_EXPLAINED_ICMP;
	default:
		return SG_EXPLAINED_DROPPED;
	}
}

// What the packet says as it leaves, read from its bytes.
static void read_headers(const struct sg_pkt *pkt, struct sg_explanation *ret)
{
	const uint8_t *ip = pkt->bytes + sizeof(struct sg_eth_hdr);
	bool is_ipv6 = ip[0] >> 4 == 6;
	uint8_t protocol = is_ipv6 ? ip[6] : ip[9];
	uint16_t ports[2];

	ret->rewritten = true;
	ret->src.family = ret->dst.family = is_ipv6 ? SG_FAMILY_IPV6 : SG_FAMILY_IPV4;
	memcpy(ret->src.bytes, ip + (is_ipv6 ? 8 : 12), is_ipv6 ? 16 : 4);
	memcpy(ret->dst.bytes, ip + (is_ipv6 ? 24 : 16), is_ipv6 ? 16 : 4);
	ret->encapsulated = protocol != SG_PROTO_TCP && protocol != SG_PROTO_UDP;
	memcpy(ports, pkt->bytes + pkt->l4_offset, sizeof(ports));
	ret->sport = __builtin_bswap16(ports[0]);
	ret->dport = __builtin_bswap16(ports[1]);
}

static void note_way(const struct sg_explainer *explainer, const struct sg_snapshot *snapshot,
	const struct sg_pkt *pkt, struct sg_explanation *ret)
{
	const struct sg_pipeline *scratch = explainer->scratch;

	read_headers(pkt, ret);
	if (pkt->verdict == SG_VERDICT_SEND) {
		// What the kernel sends goes out as it is, and belongs to no flow.
		ret->out_port = pkt->out_port;
		ret->learned = pkt->ref != 0;
	} else {
		ret->out_port = snapshot->routes->hops[pkt->hop].port;
	}
	memcpy(ret->next_mac, pkt->bytes, 6);
	if (pkt->ref)
		ret->backend_slot = sg_flow_table_get(scratch->flows, pkt->ref)->backend_slot;
}

// Which port it comes in on, and whether it is the node itself that sends it.
static void place(const struct sg_snapshot *snapshot, const struct sg_question *question,
	struct sg_explanation *ret)
{
	struct sg_route_answer answer =
		question->src.family == SG_FAMILY_IPV6
			? sg_routes_find6(snapshot->routes, question->src.bytes)
			: sg_routes_find4(snapshot->routes, sg_addr_ipv4_be(&question->src));

	ret->in_port = question->port_given ? question->port : answer.port;
	ret->from_kernel = answer.kind == SG_ROUTE_LOCAL && answer.port == ret->in_port;
}

static uint8_t choose_flags(const struct sg_question *question, bool known)
{
	if (question->flags_given)
		return question->tcp_flags;
	return known ? SG_TCP_ACK : SG_TCP_SYN;
}

// The worker that a NIC gives the packet to, by its addresses and ports alone.
static unsigned receiver_of(
	const struct sg_explainer *explainer, const struct sg_question *question)
{
	const struct sg_home *home = explainer->workers[0]->home;
	const struct sg_tuple *tuple = &explainer->burst.tuples[0];
	struct sg_pair6 pair;

	if (explainer->n_workers == 1)
		return 0;
	if (question->src.family == SG_FAMILY_IPV4)
		return sg_home_of_tuple4(home, tuple);
	memcpy(pair.src, question->src.bytes, 16);
	memcpy(pair.dst, question->dst.bytes, 16);
	return sg_home_of_tuple6(home, &pair, tuple);
}

// Whether any worker knows the packet's flow. Afterwards burst.tuples[0] is the packet's.
static bool is_known(struct sg_explainer *explainer, const struct sg_snapshot *snapshot,
	const struct sg_question *question, uint16_t flags, struct sg_explanation *ret)
{
	bool known = false;

	write_packet(explainer, question, SG_TCP_SYN, ret->in_port, flags);
	for (unsigned i = 0; i < explainer->n_workers && !known; i++) {
		take_over(explainer, i, snapshot, question, NULL);
		known = find_known(explainer, explainer->workers[i], &ret->flow, &ret->addresses,
			&ret->direction);
	}
	return known;
}

// One worker's stages.
static void run(struct sg_explainer *explainer, const struct sg_snapshot *snapshot,
	const struct sg_question *question, struct sg_explanation *ret)
{
	const struct sg_pipeline *worker = explainer->workers[ret->worker];

	take_over(explainer, ret->worker, snapshot, question, ret);
	ret->known = find_known(explainer, worker, &ret->flow, &ret->addresses, &ret->direction);
	if (ret->known)
		enter_flow(explainer, worker, &ret->flow, &ret->addresses);
	sg_pipeline_run(explainer->scratch, snapshot, &explainer->burst);
}

void sg_explain(struct sg_explainer *explainer, const struct sg_snapshot *snapshot,
	const struct sg_question *question, struct sg_explanation *ret)
{
	struct sg_pkt *pkt = &explainer->burst.pkts[0];
	uint16_t flags, told_generation = 0;
	uint8_t tcp_flags;
	uint32_t told_slot = 0;

	*ret = (struct sg_explanation){
		.service_slot = UINT32_MAX, .backend_slot = UINT32_MAX, .drop = SG_DROP_NONE};
	place(snapshot, question, ret);
	flags = ret->from_kernel ? SG_PKT_FROM_KERNEL : 0;
	tcp_flags = choose_flags(question, is_known(explainer, snapshot, question, flags, ret));
	ret->first_worker = ret->worker = receiver_of(explainer, question);
	for (unsigned handoffs = 0; handoffs <= MAX_HANDOFFS; handoffs++) {
		write_packet(explainer, question, tcp_flags, ret->in_port, flags);
		pkt->told_slot = told_slot;
		pkt->told_generation = told_generation;
		run(explainer, snapshot, question, ret);
		if (pkt->verdict != SG_VERDICT_HANDOFF)
			break;
		// What rx.c makes of a packet that comes out of the inbox.
		flags = (uint16_t)((flags & SG_PKT_FROM_KERNEL) | SG_PKT_HANDED_OFF |
				   (pkt->flags & (SG_PKT_ASKS | SG_PKT_TOLD)));
		told_slot = pkt->told_slot;
		told_generation = pkt->told_generation;
		ret->worker = pkt->target;
	}
	ret->end = end_of(snapshot, pkt);
	ret->drop = ret->end == SG_EXPLAINED_DROPPED ? (enum sg_drop)pkt->drop : SG_DROP_NONE;
	if (ret->end == SG_EXPLAINED_FORWARDED || ret->end == SG_EXPLAINED_HELD)
		note_way(explainer, snapshot, pkt, ret);
}
