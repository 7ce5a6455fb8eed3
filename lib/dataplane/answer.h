// Answers in our own name, made in place out of the packet that asks for one, and sent back to the
// station that it came from. Where not said otherwise, for packets of either family (those of IPv6
// are put together in answer_ipv6.c).
//
// Each function sets the verdict: SG_VERDICT_ANSWER, or the drop when the rate limit is used up.
#pragma once

#include "dataplane/packet.h"
#include "dataplane/pipeline.h"

// To an ARP request for one of our addresses (RFC 826).
void sg_answer_arp(struct sg_pipeline *pipeline, struct sg_pkt *pkt);

// To an IPv4 echo request for one of our addresses (RFC 792). Not limited: it is no bigger than the
// question.
void sg_answer_echo(struct sg_pkt *pkt);

// An ICMP error about an IPv4 packet (RFC 792, RFC 1812 4.3.2), from `src_be`. Rate-limited; the
// drop is then `over_limit`.
void sg_answer_icmp_error(struct sg_pipeline *pipeline, struct sg_pkt *pkt, uint8_t type,
	uint8_t code, uint32_t src_be, enum sg_drop over_limit);

// A RST to a TCP segment (RFC 9293 3.10.7.1): its sequence number is the segment's acknowledgement.
// A RST is never answered: it is dropped as `drop`. What exceeds the rate limit is dropped as
// `over_limit`.
void sg_answer_reset(struct sg_pipeline *pipeline, struct sg_pkt *pkt, enum sg_drop drop,
	enum sg_drop over_limit);

// Makes the TCP segment a RST to whom it is for, from whom it is from: the flow is over, and the
// one who waits for more of it should hear so. No answer, and no verdict: the packet goes on its
// way.
void sg_become_reset(struct sg_pkt *pkt);

// To a packet whose TTL does not last: time exceeded.
void sg_answer_ttl(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_pkt *pkt);

// To the first fragment of a datagram whose others did not come in time: time exceeded (RFC 792;
// RFC 4443, 3.3), from the address that it was for. The drop is `fragment_timeout`, also where no
// error may be sent: about ICMP other than an echo request, or a protocol that nobody serves, or to
// a backend outside of backend_cidrs.
void sg_answer_late_fragment(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_pkt *pkt);

// To a packet that is longer than the `mtu` of the way on: fragmentation needed, if it must not be
// fragmented (RFC 1191); otherwise it is dropped. IPv6 always must not: too big.
void sg_answer_too_big(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, uint16_t mtu);

// To a packet that nobody serves: RST for TCP, port unreachable for UDP; `drop` where no answer is
// due or left.
void sg_answer_refusal(
	struct sg_pipeline *pipeline, struct sg_pkt *pkt, uint8_t protocol, enum sg_drop drop);

// The answer that the packet has become goes back to the station that sent it, from the port that
// it came in on.
void sg_answer_turn_round(struct sg_pkt *pkt);
