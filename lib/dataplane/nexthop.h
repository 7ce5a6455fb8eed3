// The next hop of a flow's packets, in either direction: looked up once, kept in the flow's record,
// and looked up again when routes changed or nothing was known. `addresses`: an IPv6 flow's; NULL
// for IPv4.
#pragma once

#include <stdbool.h>
#include <string.h>

#include "dataplane/packet.h"
#include "dataplane/pipeline.h"
#include "net/headers.h"

// At a flow's start: fills in both hops and the route generation, and remembers the client's MAC
// when its neighbour is not resolved yet. `pkt` is the client's first packet. Returns why not when
// one side cannot be reached at all.
enum sg_drop sg_nexthop_begin(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_pkt *pkt, struct sg_flow *flow, const struct sg_flow_addresses *addresses);

// Gives the packet its way out: verdict, hop and MACs, or the drop.
void sg_nexthop_apply(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_flow *flow, const struct sg_flow_addresses *addresses,
	enum sg_flow_direction direction, struct sg_pkt *pkt);

// The MTU of the port that a flow's packets leave by, in one direction.
uint16_t sg_nexthop_mtu(const struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_flow *flow, const struct sg_flow_addresses *addresses,
	enum sg_flow_direction direction);

// Whether a router on the way may send it in fragments: any IPv4 packet without DF (RFC 791), and
// what has come in fragments, or is to leave in some.
static inline bool sg_pkt_may_be_fragmented(const struct sg_pkt *pkt)
{
	const struct sg_ipv4_hdr *ip = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));

	return pkt->flags & SG_PKT_MERGED || pkt->cut ||
	       (ip->version_ihl >> 4 == 4 && !(ip->fragment_be & __builtin_bswap16(SG_IPV4_DF)));
}

// fast path: the same where routes stand, the hop is resolved and the packet fits, which is nearly
// always. False: nothing is done yet.
static inline bool sg_nexthop_apply_known(const struct sg_pipeline *pipeline,
	const struct sg_snapshot *snapshot, const struct sg_flow *flow,
	enum sg_flow_direction direction, struct sg_pkt *pkt)
{
	const struct sg_routes *routes = snapshot->routes;
	uint16_t hop = (direction == SG_FLOW_TO_BACKEND ? &flow->server : &flow->client)->hop;
	const struct sg_hop *way = &routes->hops[hop]; // number 0 is of kind SG_HOP_NONE

	if (__builtin_expect(flow->route_generation != routes->generation ||
				     way->kind <= SG_HOP_UNRESOLVED ||
				     pkt->length > pipeline->ports[way->port].mtu +
							   sizeof(struct sg_eth_hdr),
		    0))
		return false;
	memcpy(pkt->bytes, way, 12); // destination and source MAC lie there as on the wire
	pkt->verdict = SG_VERDICT_FORWARD;
	pkt->hop = hop;
	return true;
}
