// What a TCP segment or a UDP datagram does to a flow's state (RFC 9293; RFC 5382 and 4787 for the timeouts' meaning).
// Sequence windows are not checked: the end points do that.
#pragma once

#include <stdint.h>

#include "flow/table.h"

enum sg_flow_event {
	SG_FLOW_EVENT_NONE = 0,
	SG_FLOW_EVENT_CONFIRMED = 1, // the handshake is complete: no embryo any more
	SG_FLOW_EVENT_CLOSED = 2,    // both FINs acknowledged, or RST
};

// `seq` and `ack` in host order; `payload_bytes` without the TCP header.
enum sg_flow_event sg_flow_tcp_step(struct sg_flow *flow, enum sg_flow_direction direction, uint8_t flags,
	uint32_t seq, uint32_t ack, uint32_t payload_bytes);
enum sg_flow_event sg_flow_udp_step(struct sg_flow *flow, enum sg_flow_direction direction);

// Whether a SYN (client side, no ACK) with this sequence number may start a new flow where this one stands:
// the old one is closed, and the number is above its last (RFC 6191).
bool sg_flow_tcp_may_reuse(const struct sg_flow *flow, uint32_t seq);
