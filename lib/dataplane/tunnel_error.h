// ICMP errors about the outer packets of mode ipip, from routers between us and the backend (RFC
// 2003, 4; RFC 2473, 8).
//
// Such an error comes to the outer source, and quotes the outer packet. As much of the inner one as
// it quotes names the flow, whose home it goes to like any packet of the client's; but the tuple is
// the client's own, and not that of an answer. The client then gets the error as about what it has
// sent: without the outer header in the quote, from the VIP, with the MTU that is left inside. An
// error that means nothing to the client is translated to what does: whatever happened to the outer
// packet, he could not reach the service.
//
//     IPv4    too long: fragmentation needed. Unreachable: with its code; protocol: host.
//             Time exceeded: host unreachable. Others say nothing of the packet inside.
//     IPv6    too big: the same. Unreachable, time exceeded: address unreachable.
//
// It is believed when it quotes a packet of a flow that is known, or that the scheduler alone gives
// to the quoted destination; and an MTU when the quoted packet was longer. What it says of the MTU
// is noted for all flows (tunnel.h). A quote that ends before the inner ports (RFC 792 asks for 64
// bits only) names no client: then the note is all that comes of it, and the client's next packet
// is answered by us.
#pragma once

#include <stdbool.h>

#include "dataplane/packet.h"
#include "dataplane/pipeline.h"

// Settles an ICMP or ICMPv6 packet if it is an error about an outer packet that we have sent.
// False, and nothing is done: it is not, as far as we know. `for_us`: to a VIP or a SNAT address;
// if not, it may be about a packet that the node itself has sent.
bool sg_tunnel_error_settle(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, bool for_us);
