// Mode ipip: the client's packet, whole, inside another packet of the same family to the backend
// (RFC 2003; IPv6: RFC 2473, without the option that limits nesting).
//
// The outer source is one of this node's own addresses, so that whoever checks sources on the way
// lets it pass: one of the SNAT addresses, picked by the flow, so that routers which spread packets
// by their addresses spread flows; without SNAT addresses the port's own. TTL starts anew, DF and
// type of service are as inside, ECN too (RFC 6040, normal mode: what the path marks, the backend's
// kernel carries inside).
//
// IPv6 also gets a flow label outside, of the flow; only what came in fragments leaves in
// fragments, and 1,280 bytes where the way has no room for them and a header.
//
// 20 bytes more, over IPv6 40, may not fit, out of the port or on the way behind it (tunnel.h). A
// SYN's MSS is lowered to what does. That tells the backend, whose packets go another way; what a
// client sends is held down by the backend's own MSS, or by our ICMP "fragmentation needed", or
// "too big", with the MTU that is left.
//
// `addresses`: an IPv6 flow's; NULL for IPv4.
#pragma once

#include <stdbool.h>

#include "dataplane/packet.h"
#include "dataplane/pipeline.h"

// Whether the packet will fit with its outer header. If not, it is settled: answered where it must
// not be fragmented, else dropped by name. Before its TTL is touched.
bool sg_encapsulate_fits(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_flow *flow, const struct sg_flow_addresses *addresses, struct sg_pkt *pkt);

// Puts the outer header before the packet, and Ethernet's before that, yet without its MACs. False:
// there is no room, and the packet is settled.
bool sg_encapsulate(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_flow *flow, const struct sg_flow_addresses *addresses, struct sg_pkt *pkt);
