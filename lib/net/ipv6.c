// The walk over extension headers, see ipv6.h.
#include "net/ipv6.h"

#define UNIT          8u // bytes: extension headers come in multiples
#define SEGMENTS_LEFT 3  // where a routing header has them
#define MAX_OFFSET    (sizeof(struct sg_ipv6_hdr) + SG_IPV6_MAX_EXTENSION_BYTES)

static bool is_extension(uint8_t proto)
{
	return proto == SG_PROTO_HOP_BY_HOP || proto == SG_PROTO_ROUTING ||
	       proto == SG_PROTO_DESTINATION || proto == SG_PROTO_FRAGMENT;
}

struct sg_ipv6_payload sg_ipv6_find_payload(const struct sg_ipv6_hdr *ip, unsigned available)
{
	struct sg_ipv6_payload payload = {.proto = ip->next, .offset = sizeof(*ip)};

	for (unsigned n = 0; is_extension(payload.proto); n++) {
		const uint8_t *header = (const uint8_t *)ip + payload.offset;
		unsigned bytes;

		payload.way = SG_IPV6_TRUNCATED;
		if (payload.offset + UNIT > available)
			return payload;
		payload.way = SG_IPV6_FRAGMENT;
		if (payload.proto == SG_PROTO_FRAGMENT)
			return payload;
		bytes = (header[1] + 1u) * UNIT;
		payload.way = SG_IPV6_REFUSED;
		if (n == SG_IPV6_MAX_EXTENSIONS || payload.offset + bytes > MAX_OFFSET ||
			(payload.proto == SG_PROTO_HOP_BY_HOP && n > 0) ||
			(payload.proto == SG_PROTO_ROUTING && header[SEGMENTS_LEFT] != 0))
			return payload;
		payload.way = SG_IPV6_TRUNCATED;
		if (payload.offset + bytes > available)
			return payload;
		payload.proto = header[0];
		payload.offset = (uint16_t)(payload.offset + bytes);
	}
	payload.way = SG_IPV6_ARRIVED;
	return payload;
}
