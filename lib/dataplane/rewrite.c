// rewrite: carries each packet of a flow across: state, counters, addresses, ports, checksums, TTL,
// next hop.
#include "dataplane/pipeline.h"

#include <stddef.h>
#include <string.h>

#include "dataplane/answer.h"
#include "dataplane/nexthop.h"
#include "flow/tcp.h"
#include "net/checksum.h"
#include "net/headers.h"

// Decrementing the TTL takes 1 from the low byte of its word in memory order: ~m + m' is minus one
// in one's complement.
#define TTL_DELTA 0xfffe

static void step_tcp(struct sg_pipeline *pipeline, struct sg_flow *flow, struct sg_pkt *pkt)
{
	const struct sg_tcp_hdr *tcp = (const void *)(pkt->bytes + pkt->l4_offset);
	uint32_t payload = pkt->length - pkt->l4_offset - (tcp->offset >> 4) * 4u;

	// fast path: a segment inside an established connection changes nothing.
	if (__builtin_expect(sg_flow_tcp_is_plain(flow, tcp->flags), 1))
		return;
	if (sg_flow_tcp_step(flow, sg_flow_ref_direction(pkt->ref), tcp->flags,
		    __builtin_bswap32(tcp->seq_be), __builtin_bswap32(tcp->ack_be),
		    payload) == SG_FLOW_EVENT_CONFIRMED)
		sg_flow_table_confirm(pipeline->flows, pkt->ref);
}

static void step_udp(struct sg_pipeline *pipeline, struct sg_flow *flow, struct sg_pkt *pkt)
{
	if (flow->state == SG_FLOW_UDP)
		return;
	if (sg_flow_udp_step(flow, sg_flow_ref_direction(pkt->ref)) == SG_FLOW_EVENT_CONFIRMED)
		sg_flow_table_confirm(pipeline->flows, pkt->ref);
}

static void count(struct sg_traffic *traffic, enum sg_flow_direction direction, uint32_t bytes)
{
	if (direction == SG_FLOW_TO_BACKEND) {
		sg_counter_add(&traffic->packets_to_backend, 1);
		sg_counter_add(&traffic->bytes_to_backend, bytes);
	} else {
		sg_counter_add(&traffic->packets_to_client, 1);
		sg_counter_add(&traffic->bytes_to_client, bytes);
	}
}

// The other direction's tuple, turned round, is what the packet becomes.
static void rewrite_headers(
	struct sg_pkt *pkt, const struct sg_flow *flow, enum sg_flow_direction direction)
{
	bool to_backend = direction == SG_FLOW_TO_BACKEND;
	const struct sg_tuple4 *other = to_backend ? &flow->server : &flow->client;
	uint16_t l3_delta = to_backend ? flow->l3_delta : sg_checksum_delta_negate(flow->l3_delta);
	uint16_t l4_delta = to_backend ? flow->l4_delta : sg_checksum_delta_negate(flow->l4_delta);
	struct sg_ipv4_hdr *ip = (void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	uint8_t *l4 = pkt->bytes + pkt->l4_offset;

	ip->ttl--;
	ip->checksum = sg_checksum_apply(ip->checksum, sg_checksum_delta_join(l3_delta, TTL_DELTA));
	ip->src_be = other->dst_be;
	ip->dst_be = other->src_be;

	if (other->proto == SG_PROTO_TCP) {
		struct sg_tcp_hdr *tcp = (void *)l4;

		tcp->sport_be = other->dport_be;
		tcp->dport_be = other->sport_be;
		tcp->checksum = sg_checksum_apply(tcp->checksum, l4_delta);
	} else {
		struct sg_udp_hdr *udp = (void *)l4;

		udp->sport_be = other->dport_be;
		udp->dport_be = other->sport_be;
		if (udp->checksum != 0) { // RFC 768: zero means "none", and stays so
			udp->checksum = sg_checksum_apply(udp->checksum, l4_delta);
			if (udp->checksum == 0)
				udp->checksum = 0xffff;
		}
	}
}

static void rewrite(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_pkt *pkt)
{
	struct sg_flow *flow = sg_flow_table_get(pipeline->flows, pkt->ref);
	enum sg_flow_direction direction = sg_flow_ref_direction(pkt->ref);
	const struct sg_ipv4_hdr *ip = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));

	if (__builtin_expect(ip->ttl <= 1, 0))
		return sg_answer_ttl(pipeline, snapshot, pkt);

	if (flow->last_seen != pipeline->now_ticks)
		flow->last_seen = pipeline->now_ticks;
	if (flow->client.proto == SG_PROTO_TCP)
		step_tcp(pipeline, flow, pkt);
	else
		step_udp(pipeline, flow, pkt);
	count(&pipeline->counters.services[flow->service_slot], direction, pkt->length);
	count(&pipeline->counters.backends[flow->backend_slot], direction, pkt->length);
	rewrite_headers(pkt, flow, direction);
	sg_nexthop_apply(pipeline, snapshot, flow, direction, pkt);
}

void sg_stage_rewrite(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_burst *burst)
{
	for (unsigned i = 0; i < burst->n; i++) {
		struct sg_pkt *pkt = &burst->pkts[i];

		if (!pkt->verdict)
			rewrite(pipeline, snapshot, pkt);
	}
}
