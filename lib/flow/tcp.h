// What a TCP segment or a UDP datagram does to a flow's state.
//
//     TCP_SYN          SYN + ACK of the client's ISN + 1                -> TCP_SYN_ACK
//     TCP_SYN_ACK      the client acknowledges the server's ISN + 1     -> TCP_ESTABLISHED
//     TCP_ESTABLISHED  FIN of either side                               -> TCP_HALF_CLOSED
//     TCP_HALF_CLOSED  FIN of the other side                            -> TCP_CLOSING
//     TCP_CLOSING      both FINs acknowledged                           -> TCP_CLOSED
//     any of TCP       RST                                              -> TCP_CLOSED
//     UDP_NEW          the backend answers                              -> UDP_REPLIED
//     UDP_REPLIED      the client sends again                           -> UDP
//
// A flow is confirmed only by who can have seen the backend's answer. The SYN + ACK has to
// acknowledge the client's ISN + 1, and the client exactly the server's: somebody who guesses hits
// one of 2^32 numbers. Nothing else that either side sends makes an embryo more than an embryo; an
// RST closes it, but it stays in the embryos' queue, so a flood that is answered with RST is
// recycled like any other.
//
// Sequence windows are not checked: the end points do that, and would have to be believed anyway.
// So somebody who knows a connection's addresses and ports can make us think it closed with a
// forged FIN or RST. Its packets are forwarded all the same; the flow is only forgotten after
// `tcp_fin` seconds of silence.
//
// What a record's fields hold (host order; RFC 9293's names in brackets):
//
//     state         sequence                         server_sequence
//     SYN           the client's ISN                 -
//     SYN_ACK       the client's ISN                 the server's ISN + 1 [SND.NXT]
//     ESTABLISHED   of no meaning                    of no meaning
//     HALF_CLOSED   behind the client's FIN, if seen behind the server's FIN, if seen
//     CLOSING       behind the client's FIN          behind the server's FIN
//     CLOSED        the client's last, if known      of no meaning
//
// `marks` says which ends are known and which are acknowledged, one bit each a direction.
//
// Where answers do not come through us (dsr, ipip), the client's packets are all there is, and
// nothing that he sends proves that he got an answer:
//
//     TCP_SYN          the client's ACK behind his ISN                  -> TCP_ESTABLISHED
//     any of TCP       the client's FIN or RST                          -> TCP_CLOSED
//     UDP_NEW          the client's first datagram                      -> UDP_REPLIED
//     UDP_REPLIED      the client sends again                           -> UDP
//
// So a flood of SYNs alone is recycled as any other, but one that sends an ACK after each SYN fills
// the table; what is then done without a table is the pipeline's business. After the client's FIN
// his ACKs keep the flow as long as `tcp_fin` seconds lie between them.
//
// Timeouts (RFC 5382 and 4787 say what they are for) go by state, see sg_flow_timeouts: `tcp_fin`
// belongs to CLOSED alone. The worker that owns the flow calls these. They read nothing but the
// record.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "flow/table.h"
#include "net/headers.h"

enum sg_flow_event {
	SG_FLOW_EVENT_NONE = 0,
	SG_FLOW_EVENT_CONFIRMED = 1, // the handshake is complete: call sg_flow_table_confirm
	SG_FLOW_EVENT_CLOSED = 2,    // both FINs acknowledged, or RST
};

// fast path: a segment that sg_flow_tcp_step would not act upon, which is nearly all of them.
static inline bool sg_flow_tcp_is_plain(const struct sg_flow *flow, uint8_t flags)
{
	return flow->state == SG_FLOW_TCP_ESTABLISHED &&
	       !(flags & (SG_TCP_FIN | SG_TCP_SYN | SG_TCP_RST));
}

// A flow that a client's SYN starts: state and sequence of a record before it is inserted.
static inline void sg_flow_tcp_open(struct sg_flow *flow, uint32_t seq)
{
	flow->state = SG_FLOW_TCP_SYN;
	flow->sequence = seq;
	flow->server_sequence = 0;
	flow->marks = 0;
}

// `seq` and `ack` in host order, `ack` of no meaning without the flag; `payload_bytes` without the
// TCP header. The SYN that sg_flow_tcp_open has seen may be passed again.
enum sg_flow_event sg_flow_tcp_step(struct sg_flow *flow, enum sg_flow_direction direction,
	uint8_t flags, uint32_t seq, uint32_t ack, uint32_t payload_bytes);
// The same for a flow of which only the client is seen.
enum sg_flow_event sg_flow_tcp_step_one_way(
	struct sg_flow *flow, uint8_t flags, uint32_t seq, uint32_t payload_bytes);
enum sg_flow_event sg_flow_udp_step_one_way(struct sg_flow *flow);
enum sg_flow_event sg_flow_udp_step(struct sg_flow *flow, enum sg_flow_direction direction);

// Whether a SYN (client side, no ACK) with this sequence number may start a new flow where this one
// stands: the old one is closed, and the number is above its last (RFC 6191). Where the last is
// unknown (the server sent an RST without an ACK), it may not, and the flow has to age.
bool sg_flow_tcp_may_reuse(const struct sg_flow *flow, uint32_t seq);
