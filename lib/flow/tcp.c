// The steps of tcp.h.
#include "flow/tcp.h"

// Bits of `marks`, shifted left by the direction that they speak of.
enum {
	END_KNOWN = 1 << 0, // the direction's FIN was seen, and `sequence` or `server_sequence` is
			    // behind it
	END_ACKED = 1 << 2, // the other side has acknowledged it
};
#define BOTH(mark) ((mark) | (mark) << 1)

static inline enum sg_flow_direction opposite(enum sg_flow_direction direction)
{
	return (enum sg_flow_direction)(direction ^ 1);
}

static inline bool has_mark(
	const struct sg_flow *flow, unsigned mark, enum sg_flow_direction direction)
{
	return (flow->marks >> direction) & mark;
}

static inline void set_mark(struct sg_flow *flow, unsigned mark, enum sg_flow_direction direction)
{
	flow->marks = (flow->marks | mark << direction) & 0xf;
}

static inline uint32_t *end_of(struct sg_flow *flow, enum sg_flow_direction direction)
{
	return direction == SG_FLOW_TO_BACKEND ? &flow->sequence : &flow->server_sequence;
}

// Both FINs are acknowledged, or somebody has given up. What is worth keeping is the client's last
// sequence number: his own, or what the server says it has got.
static enum sg_flow_event close_flow(struct sg_flow *flow, enum sg_flow_direction direction,
	uint8_t flags, uint32_t seq, uint32_t ack)
{
	bool is_client = direction == SG_FLOW_TO_BACKEND;

	if (flow->state == SG_FLOW_TCP_CLOSED)
		return SG_FLOW_EVENT_NONE;
	if (!has_mark(flow, END_KNOWN, SG_FLOW_TO_BACKEND) && (is_client || flags & SG_TCP_ACK)) {
		flow->sequence = is_client ? seq : ack;
		set_mark(flow, END_KNOWN, SG_FLOW_TO_BACKEND);
	}
	flow->state = SG_FLOW_TCP_CLOSED;
	return SG_FLOW_EVENT_CLOSED;
}

// The backend speaks to an embryo. A SYN without ACK is a simultaneous open (RFC 9293, 3.5): the
// client's SYN + ACK confirms it then. A later SYN + ACK may differ (SYN cookies); the last one
// counts.
static void note_answer(struct sg_flow *flow, uint8_t flags, uint32_t seq, uint32_t ack)
{
	if (!(flags & SG_TCP_SYN))
		return;
	if (flags & SG_TCP_ACK ? ack != flow->sequence + 1 : flow->state != SG_FLOW_TCP_SYN)
		return;
	flow->state = SG_FLOW_TCP_SYN_ACK;
	flow->server_sequence = seq + 1;
}

// The client speaks to an embryo: a SYN once more, perhaps of a new attempt, or what confirms it.
static bool is_confirmed(struct sg_flow *flow, uint8_t flags, uint32_t seq, uint32_t ack)
{
	if (flags & SG_TCP_ACK)
		return flow->state == SG_FLOW_TCP_SYN_ACK && ack == flow->server_sequence;
	if (flags & SG_TCP_SYN && seq != flow->sequence) {
		flow->sequence = seq;
		flow->state = SG_FLOW_TCP_SYN;
	}
	return false;
}

static void note_fin(struct sg_flow *flow, enum sg_flow_direction direction, uint32_t end)
{
	// Until one is acknowledged, the last FIN counts.
	if (has_mark(flow, END_ACKED, direction))
		return;
	*end_of(flow, direction) = end;
	set_mark(flow, END_KNOWN, direction);
}

static void note_ack(struct sg_flow *flow, enum sg_flow_direction direction, uint32_t ack)
{
	enum sg_flow_direction other = opposite(direction);

	// A FIN is the last that a side sends: its acknowledgement is exactly what is behind it.
	if (has_mark(flow, END_KNOWN, other) && ack == *end_of(flow, other))
		set_mark(flow, END_ACKED, other);
}

static enum sg_flow_event step_established(struct sg_flow *flow, enum sg_flow_direction direction,
	uint8_t flags, uint32_t seq, uint32_t ack, uint32_t payload_bytes)
{
	if (flags & SG_TCP_SYN)
		return SG_FLOW_EVENT_NONE; // a retransmission, or an old one: the end points will
					   // say
	if (flags & SG_TCP_FIN)
		note_fin(flow, direction, seq + payload_bytes + 1);
	if (flags & SG_TCP_ACK)
		note_ack(flow, direction, ack);
	if ((flow->marks & BOTH(END_ACKED)) == BOTH(END_ACKED))
		return close_flow(flow, direction, flags, seq, ack);
	if ((flow->marks & BOTH(END_KNOWN)) == BOTH(END_KNOWN))
		flow->state = SG_FLOW_TCP_CLOSING;
	else if (flow->marks & BOTH(END_KNOWN))
		flow->state = SG_FLOW_TCP_HALF_CLOSED;
	return SG_FLOW_EVENT_NONE;
}

enum sg_flow_event sg_flow_tcp_step(struct sg_flow *flow, enum sg_flow_direction direction,
	uint8_t flags, uint32_t seq, uint32_t ack, uint32_t payload_bytes)
{
	if (sg_flow_tcp_is_plain(flow, flags) || flow->state == SG_FLOW_TCP_CLOSED)
		return SG_FLOW_EVENT_NONE;
	if (flags & SG_TCP_RST)
		return close_flow(flow, direction, flags, seq, ack);
	if (!sg_flow_state_is_embryo(flow->state))
		return step_established(flow, direction, flags, seq, ack, payload_bytes);
	if (direction == SG_FLOW_TO_CLIENT) {
		note_answer(flow, flags, seq, ack);
		return SG_FLOW_EVENT_NONE;
	}
	if (!is_confirmed(flow, flags, seq, ack))
		return SG_FLOW_EVENT_NONE;
	flow->state = SG_FLOW_TCP_ESTABLISHED;
	step_established(flow, direction, flags, seq, ack, payload_bytes); // it may carry a FIN
	return SG_FLOW_EVENT_CONFIRMED;
}

enum sg_flow_event sg_flow_tcp_step_one_way(
	struct sg_flow *flow, uint8_t flags, uint32_t seq, uint32_t payload_bytes)
{
	if (flow->state == SG_FLOW_TCP_CLOSED)
		return SG_FLOW_EVENT_NONE;
	if (flags & SG_TCP_FIN)
		note_fin(flow, SG_FLOW_TO_BACKEND, seq + payload_bytes + 1);
	if (flags & (SG_TCP_FIN | SG_TCP_RST))
		return close_flow(flow, SG_FLOW_TO_BACKEND, flags, seq, 0);
	if (flow->state != SG_FLOW_TCP_SYN)
		return SG_FLOW_EVENT_NONE;
	if (flags & SG_TCP_SYN)
		flow->sequence = seq;
	else if (flags & SG_TCP_ACK && seq == flow->sequence + 1)
		flow->state = SG_FLOW_TCP_ESTABLISHED;
	return flow->state == SG_FLOW_TCP_ESTABLISHED ? SG_FLOW_EVENT_CONFIRMED
						      : SG_FLOW_EVENT_NONE;
}

enum sg_flow_event sg_flow_udp_step_one_way(struct sg_flow *flow)
{
	if (flow->state == SG_FLOW_UDP_NEW) {
		flow->state = SG_FLOW_UDP_REPLIED;
		return SG_FLOW_EVENT_NONE;
	}
	if (flow->state != SG_FLOW_UDP_REPLIED)
		return SG_FLOW_EVENT_NONE;
	flow->state = SG_FLOW_UDP;
	return SG_FLOW_EVENT_CONFIRMED;
}

enum sg_flow_event sg_flow_udp_step(struct sg_flow *flow, enum sg_flow_direction direction)
{
	if (flow->state == SG_FLOW_UDP_NEW && direction == SG_FLOW_TO_CLIENT)
		flow->state = SG_FLOW_UDP_REPLIED;
	if (flow->state != SG_FLOW_UDP_REPLIED || direction != SG_FLOW_TO_BACKEND)
		return SG_FLOW_EVENT_NONE;
	flow->state = SG_FLOW_UDP;
	return SG_FLOW_EVENT_CONFIRMED;
}

bool sg_flow_tcp_may_reuse(const struct sg_flow *flow, uint32_t seq)
{
	if (flow->state != SG_FLOW_TCP_CLOSED || !has_mark(flow, END_KNOWN, SG_FLOW_TO_BACKEND))
		return false;
	return (int32_t)(seq - flow->sequence) > 0;
}
