// From an IPv6 header to what it carries, past extension headers (RFC 8200, 4).
//
// Headers that a host may put there are passed over: hop-by-hop options (first or nowhere), routing
// headers that have arrived (segments left 0), destination options. Their number and length are
// limited: nobody honest uses many, and each costs. Pure functions, any thread.
#pragma once

#include <stdint.h>

#include "net/headers.h"

#define SG_IPV6_MAX_EXTENSIONS      4
#define SG_IPV6_MAX_EXTENSION_BYTES 128 // all together

enum sg_ipv6_way {
	SG_IPV6_ARRIVED,   // `proto` is no extension header, or one that hides the rest (ESP, AH)
	SG_IPV6_FRAGMENT,  // a fragment header is next, whole; `offset` is where it starts
	SG_IPV6_TRUNCATED, // an extension header does not end where the bytes do
	SG_IPV6_REFUSED,   // too many, too long, out of order, or on its way elsewhere
};

struct sg_ipv6_payload {
	uint8_t way;     // enum sg_ipv6_way
	uint8_t proto;   // SG_PROTO_, of what begins at `offset`
	uint16_t offset; // bytes from the IPv6 header's start
};

// `available` bytes lie from the header on, at least 40.
struct sg_ipv6_payload sg_ipv6_find_payload(const struct sg_ipv6_hdr *ip, unsigned available);
