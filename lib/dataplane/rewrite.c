// rewrite: carries each packet of a flow across: state, counters, addresses, ports, checksums, TTL,
// next hop.
#include "dataplane/rewrite.h"

#include <stddef.h>
#include <string.h>

#include "dataplane/answer.h"
#include "dataplane/encapsulate.h"
#include "dataplane/loss.h"
#include "dataplane/nexthop.h"
#include "flow/tcp.h"
#include "net/checksum.h"
#include "net/headers.h"

// Decrementing the TTL takes 1 from the low byte of its word in memory order: ~m + m' is minus one
// in one's complement.
#define TTL_DELTA 0xfffe

static inline __attribute__((always_inline)) enum sg_flow_event step_tcp(
	struct sg_flow *flow, const struct sg_pkt *pkt)
{
	const struct sg_tcp_hdr *tcp = (const void *)(pkt->bytes + pkt->l4_offset);
	uint32_t payload;

	// fast path: a segment inside an established connection changes nothing.
	if (__builtin_expect(sg_flow_tcp_is_plain(flow, tcp->flags), 1))
		return SG_FLOW_EVENT_NONE;
	payload = pkt->length - pkt->l4_offset - (tcp->offset >> 4) * 4u;
	if (flow->one_way)
		return sg_flow_tcp_step_one_way(
			flow, tcp->flags, __builtin_bswap32(tcp->seq_be), payload);
	return sg_flow_tcp_step(flow, sg_flow_ref_direction(pkt->ref), tcp->flags,
		__builtin_bswap32(tcp->seq_be), __builtin_bswap32(tcp->ack_be), payload);
}

static enum sg_flow_event step_udp(struct sg_flow *flow, const struct sg_pkt *pkt)
{
	if (flow->state == SG_FLOW_UDP)
		return SG_FLOW_EVENT_NONE;
	return flow->one_way ? sg_flow_udp_step_one_way(flow)
			     : sg_flow_udp_step(flow, sg_flow_ref_direction(pkt->ref));
}

// Directions mix at random in a burst, so nothing here branches on them: a misprediction would cost
// more than all of it.
static_assert(offsetof(struct sg_traffic, packets_to_client) == 2 * sizeof(sg_counter) &&
		      offsetof(struct sg_traffic, bytes_to_client) == 3 * sizeof(sg_counter),
	"a direction's two counters are found at 2 * direction");

static void count(struct sg_traffic *traffic, enum sg_flow_direction direction, uint32_t bytes)
{
	sg_counter *counters = &traffic->packets_to_backend + 2 * direction;

	sg_counter_add(&counters[0], 1);
	sg_counter_add(&counters[1], bytes);
}

// What a burst's packets are counted as. Where there are many backends their counters are cache
// misses, which lookup asked for: then they are counted once all packets are rewritten.
struct tally {
	bool late;
	unsigned n;
	struct {
		struct sg_traffic *traffic;
		uint32_t bytes;
		uint8_t direction;
	} rows[SG_BURST];
};

static inline void tally_up(struct tally *tally, struct sg_traffic *traffic,
	enum sg_flow_direction direction, uint32_t bytes)
{
	if (!tally->late)
		return count(traffic, direction, bytes);
	tally->rows[tally->n].traffic = traffic;
	tally->rows[tally->n].bytes = bytes;
	tally->rows[tally->n++].direction = (uint8_t)direction;
}

static void count_late(const struct tally *tally)
{
	for (unsigned i = 0; i < tally->n; i++)
		count(tally->rows[i].traffic, (enum sg_flow_direction)tally->rows[i].direction,
			tally->rows[i].bytes);
}

// UDP's checksum 0 means "none", and stays so (over IPv6 none comes so far without); one that comes
// out as 0 is sent as its equal (RFC 768).
static void rewrite_udp_checksum(struct sg_udp_hdr *udp, uint16_t delta)
{
	if (udp->checksum == 0)
		return;
	udp->checksum = sg_checksum_apply(udp->checksum, delta);
	if (udp->checksum == 0)
		udp->checksum = 0xffff;
}

static inline void rewrite_l4(uint8_t *l4, const struct sg_tuple *other, uint16_t l4_delta)
{
	uint32_t ports;

	memcpy(&ports, &other->sport_be, 4);
	ports = ports << 16 | ports >> 16;
	memcpy(l4, &ports, 4);
	if (other->proto == SG_PROTO_TCP) {
		struct sg_tcp_hdr *tcp = (void *)l4;

		tcp->checksum = sg_checksum_apply(tcp->checksum, l4_delta);
	} else {
		rewrite_udp_checksum((void *)l4, l4_delta);
	}
}

// The other direction's tuple, turned round, is what the packet becomes.
static inline __attribute__((always_inline)) void rewrite_headers(
	struct sg_pkt *pkt, const struct sg_flow *flow, enum sg_flow_direction direction)
{
	const struct sg_tuple *other = sg_flow_tuple(flow, SG_FLOW_TO_CLIENT - direction);
	uint16_t sign = (uint16_t)(0u - direction); // all ones negates a delta
	uint16_t l3_delta = flow->l3_delta ^ sign;
	uint16_t l4_delta = flow->l4_delta ^ sign;
	struct sg_ipv4_hdr *ip = (void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	uint8_t *l4 = pkt->bytes + pkt->l4_offset;
	uint64_t addresses;

	ip->ttl--;
	ip->checksum = sg_checksum_apply2(ip->checksum, l3_delta, TTL_DELTA);
	// Two addresses, and two ports, change places as one word.
	memcpy(&addresses, &other->src_be, 8);
	addresses = addresses << 32 | addresses >> 32;
	memcpy(&ip->src_be, &addresses, 8);
	rewrite_l4(l4, other, l4_delta);
}

static inline void rewrite_headers6(struct sg_pkt *pkt, const struct sg_flow *flow,
	const struct sg_flow_addresses *addresses, enum sg_flow_direction direction)
{
	enum sg_flow_direction other = (enum sg_flow_direction)(SG_FLOW_TO_CLIENT - direction);
	uint16_t sign = (uint16_t)(0u - direction); // all ones negates a delta
	struct sg_ipv6_hdr *ip = sg_pkt_ip6(pkt);

	ip->hop_limit--;
	ip->pair = sg_pair6_reversed(sg_flow_pair(addresses, other));
	rewrite_l4(pkt->bytes + pkt->l4_offset, sg_flow_tuple(flow, other), flow->l4_delta ^ sign);
}

// dsr, ipip: nothing but a hop on the way. The TTL is taken from as by any router, so that a packet
// which a backend without the VIP sends back to us does not go round for ever. Returns false when
// the packet is settled.
static bool pass(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_flow *flow, const struct sg_flow_addresses *addresses, struct sg_pkt *pkt)
{
	struct sg_ipv4_hdr *ip = (void *)(pkt->bytes + sizeof(struct sg_eth_hdr));

	if (flow->mode == SG_FORWARD_IPIP &&
		!sg_encapsulate_fits(pipeline, snapshot, flow, addresses, pkt))
		return false;
	if (addresses) {
		sg_pkt_ip6(pkt)->hop_limit--;
	} else {
		ip->ttl--;
		ip->checksum = sg_checksum_apply(ip->checksum, TTL_DELTA);
	}
	return flow->mode != SG_FORWARD_IPIP ||
	       sg_encapsulate(pipeline, snapshot, flow, addresses, pkt);
}

static void restore_l4(uint8_t *l4, const struct sg_tuple *own, uint16_t l4_delta)
{
	memcpy(l4, &own->sport_be, 4);
	if (own->proto == SG_PROTO_TCP) {
		struct sg_tcp_hdr *tcp = (void *)l4;

		tcp->checksum = sg_checksum_apply(tcp->checksum, l4_delta);
	} else {
		rewrite_udp_checksum((void *)l4, l4_delta);
	}
}

// The inverse of rewriting, for a packet that comes no further and has to be quoted.
static void restore_headers(struct sg_pkt *pkt, const struct sg_flow *flow,
	const struct sg_flow_addresses *addresses, enum sg_flow_direction direction)
{
	const struct sg_tuple *own = sg_flow_tuple(flow, direction);
	uint16_t sign = (uint16_t)(direction - 1u); // all ones negates a delta
	struct sg_ipv4_hdr *ip = (void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	uint8_t *l4 = pkt->bytes + pkt->l4_offset;

	if (addresses) {
		sg_pkt_ip6(pkt)->hop_limit++;
		sg_pkt_ip6(pkt)->pair = *sg_flow_pair(addresses, direction);
	} else {
		ip->ttl++;
		ip->checksum = sg_checksum_apply(ip->checksum, sg_checksum_delta_negate(TTL_DELTA));
	}
	if (flow->one_way)
		return;
	if (!addresses) {
		ip->checksum = sg_checksum_apply(ip->checksum, flow->l3_delta ^ sign);
		memcpy(&ip->src_be, &own->src_be, 8);
	}
	restore_l4(l4, own, flow->l4_delta ^ sign);
}

static void find_way(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_flow *flow, const struct sg_flow_addresses *addresses,
	enum sg_flow_direction direction, struct sg_pkt *pkt)
{
	sg_nexthop_apply(pipeline, snapshot, flow, addresses, direction, pkt);
	if (pkt->verdict == SG_VERDICT_DROP && pkt->drop == SG_DROP_TOO_BIG &&
		flow->mode != SG_FORWARD_IPIP) {
		restore_headers(pkt, flow, addresses, direction);
		sg_answer_too_big(pipeline, snapshot, pkt,
			sg_nexthop_mtu(pipeline, snapshot, flow, addresses, direction));
	}
	sg_loss_of_backend(pipeline, flow->backend_slot, direction, pkt);
}

// `addresses`: of IPv6; a constant NULL where it is IPv4, so that IPv4 does not ask.
static inline __attribute__((always_inline)) void carry(struct sg_pipeline *pipeline,
	const struct sg_snapshot *snapshot, struct sg_flow *flow,
	const struct sg_flow_addresses *addresses, enum sg_flow_direction direction,
	struct sg_pkt *pkt, struct tally *tally)
{
	tally_up(tally, &pipeline->counters.backends[flow->backend_slot], direction, pkt->length);
	if (__builtin_expect(flow->one_way, 0)) {
		if (!pass(pipeline, snapshot, flow, addresses, pkt))
			return sg_loss_of_backend(pipeline, flow->backend_slot, direction, pkt);
	} else if (addresses) {
		rewrite_headers6(pkt, flow, addresses, direction);
	} else {
		rewrite_headers(pkt, flow, direction);
	}
	if (!sg_nexthop_apply_known(pipeline, snapshot, flow, direction, pkt))
		find_way(pipeline, snapshot, flow, addresses, direction, pkt);
}

void sg_rewrite_note_deltas6(struct sg_flow *flow, const struct sg_flow_addresses *addresses)
{
	const struct sg_tuple *c = &flow->client, *s = &flow->server;
	uint16_t before = sg_checksum_fold(
		sg_checksum_add((uint32_t)c->sport_be + c->dport_be, &addresses->client, 32));
	uint16_t after = sg_checksum_fold(
		sg_checksum_add((uint32_t)s->sport_be + s->dport_be, &addresses->server, 32));

	flow->l4_delta = sg_checksum_fold((uint32_t)(uint16_t)~before + after);
}

void sg_rewrite_stateless(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_flow *flow, const struct sg_flow_addresses *addresses,
	enum sg_flow_direction direction, struct sg_pkt *pkt)
{
	struct tally tally;

	tally.late = false;
	if (addresses)
		carry(pipeline, snapshot, flow, addresses, direction, pkt, &tally);
	else
		carry(pipeline, snapshot, flow, NULL, direction, pkt, &tally);
}

// What is done for a burst together. Of flows that it has confirmed the table is told at once, so
// that its cache misses overlap.
struct together {
	unsigned n_confirmed;
	sg_flow_ref confirmed[SG_BURST];
	struct tally tally;
};

// What a packet does to its flow.
static inline __attribute__((always_inline)) void step(struct sg_pipeline *pipeline,
	struct sg_flow *flow, const struct sg_pkt *pkt, struct together *together)
{
	enum sg_flow_event event;

	if (flow->last_seen != pipeline->now_ticks)
		flow->last_seen = pipeline->now_ticks;
	event = flow->client.proto == SG_PROTO_TCP ? step_tcp(flow, pkt) : step_udp(flow, pkt);
	if (__builtin_expect(event == SG_FLOW_EVENT_CONFIRMED, 0))
		together->confirmed[together->n_confirmed++] = pkt->ref;
}

static inline __attribute__((always_inline)) void rewrite(struct sg_pipeline *pipeline,
	const struct sg_snapshot *snapshot, struct sg_pkt *pkt, struct together *together)
{
	struct sg_flow *flow = sg_flow_table_get(pipeline->flows, pkt->ref);
	const struct sg_ipv4_hdr *ip = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));

	if (__builtin_expect(ip->ttl <= 1, 0)) {
		sg_answer_ttl(pipeline, snapshot, pkt);
		return sg_loss_of_backend(
			pipeline, flow->backend_slot, sg_flow_ref_direction(pkt->ref), pkt);
	}
	step(pipeline, flow, pkt, together);
	carry(pipeline, snapshot, flow, NULL, sg_flow_ref_direction(pkt->ref), pkt,
		&together->tally);
}

static void rewrite6(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, struct together *together)
{
	struct sg_flow *flow = sg_flow_table_get(pipeline->flows, pkt->ref);

	if (sg_pkt_ip6(pkt)->hop_limit <= 1) {
		sg_answer_ttl(pipeline, snapshot, pkt);
		return sg_loss_of_backend(
			pipeline, flow->backend_slot, sg_flow_ref_direction(pkt->ref), pkt);
	}
	step(pipeline, flow, pkt, together);
	carry(pipeline, snapshot, flow, sg_flow_table_addresses(pipeline->flows, pkt->ref),
		sg_flow_ref_direction(pkt->ref), pkt, &together->tally);
}

// A pass of its own, so that IPv4's loop is as if there were no other family.
static __attribute__((noinline)) void rewrite_all6(struct sg_pipeline *pipeline,
	const struct sg_snapshot *snapshot, struct sg_burst *burst, struct together *together)
{
	for (unsigned i = 0; i < burst->n; i++) {
		struct sg_pkt *pkt = &burst->pkts[i];

		if (!pkt->verdict && pkt->class == SG_CLASS_FLOW6)
			rewrite6(pipeline, snapshot, pkt, together);
	}
}

void sg_stage_rewrite(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_burst *burst)
{
	struct together together;

	together.n_confirmed = 0;
	together.tally.n = 0;
	together.tally.late = snapshot->n_pages > SG_FEW_PAGES;
	if (__builtin_expect(burst->n_ipv6 > 0, 0))
		rewrite_all6(pipeline, snapshot, burst, &together);
	for (unsigned i = 0; i < burst->n; i++) {
		struct sg_pkt *pkt = &burst->pkts[i];

		if (!pkt->verdict)
			rewrite(pipeline, snapshot, pkt, &together);
	}
	count_late(&together.tally);
	if (together.n_confirmed > 0)
		sg_flow_table_confirm_bulk(
			pipeline->flows, together.confirmed, together.n_confirmed);
}
