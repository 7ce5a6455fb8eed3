// The IPv6 side of answer.h: how an answer is put together. answer.h decides whether one is due.
#pragma once

#include "dataplane/packet.h"
#include "dataplane/pipeline.h"

// To a valid neighbour solicitation for one of our addresses (RFC 4861, 7.2.4): to who has asked,
// or to all on the link where he has no address yet (duplicate address detection, RFC 4862).
void sg_answer_solicitation(struct sg_pipeline *pipeline, struct sg_pkt *pkt);

// To an ICMPv6 echo request for one of our addresses (RFC 4443, 4.2). Extension headers stay
// behind.
void sg_answer_echo6(struct sg_pkt *pkt);

// An ICMPv6 error about the packet (RFC 4443, 2.4 and 3), from `src`: as much of it as fits into
// 1,280 bytes. `header`: type, code and what comes behind the checksum. Rate-limited; the drop is
// then `over_limit`, as it is where no error may be sent.
void sg_answer_icmpv6_error(struct sg_pipeline *pipeline, struct sg_pkt *pkt,
	const struct sg_icmp_hdr *header, const uint8_t src[16], enum sg_drop over_limit);

// Puts a TCP header without payload in the packet's place: back to where it came from, or, with
// `onwards`, in the packet's own direction, with its own addresses and no verdict.
void sg_answer_tcp6(struct sg_pkt *pkt, const struct sg_tcp_hdr *tcp, bool onwards);
