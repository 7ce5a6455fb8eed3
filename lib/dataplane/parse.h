// What the files of parse share.
#pragma once

#include "dataplane/pipeline.h"

// Loses a frame that cannot be read; one of the kernel's goes out as it is.
void sg_parse_refuse(struct sg_pkt *pkt, enum sg_drop drop);

static inline bool sg_parse_is_group_mac(const uint8_t *mac)
{
	return mac[0] & 1;
}

// What is wrong with a header at `l4_offset` and the `length` bytes from there on, of either family
// (the packet's class says which). The device may have vouched for the checksum.
enum sg_drop sg_parse_check_tcp(
	const struct sg_pipeline *pipeline, const struct sg_pkt *pkt, uint16_t length);
enum sg_drop sg_parse_check_udp(
	const struct sg_pipeline *pipeline, const struct sg_pkt *pkt, uint16_t length);
// The sum over it with the pseudo header; 0 when it is right.
uint16_t sg_parse_sum_l4(const struct sg_pipeline *pipeline, const struct sg_pkt *pkt,
	uint8_t proto, uint16_t length);

// A frame whose type is IPv6.
void sg_parse_ipv6(
	const struct sg_pipeline *pipeline, struct sg_pkt *pkt, struct sg_tuple *ret_tuple);
