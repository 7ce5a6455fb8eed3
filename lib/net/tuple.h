// The tuple: what tells one direction of one flow from every other.
//
// 16 bytes, so that it is hashed, compared and copied as one register. The last two bytes are not
// part of its identity: inside a flow record they carry the next hop towards the tuple's *source*
// (the packets of the other direction go there); in a key for hashing and comparing they are zero.
//
// Two IPv6 addresses do not fit. In their place, the eight bytes of `src_be` and `dst_be`, is a
// keyed fingerprint of the pair (sg_flow_table_fingerprint), and SG_DOMAIN_IPV6 in `domain` says
// so. Whoever finds such a tuple compares the addresses themselves, a struct sg_pair6, before he
// believes it.
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

// A link-local IPv6 source means its link: such a client's domain is the port that he came in on,
// with this bit.
#define SG_DOMAIN_IPV6 0x80
#define SG_DOMAIN_LINK 0x40
#define SG_DOMAIN_PORT 0x3f // of which port the domain is

struct sg_tuple {
	_Alignas(16) uint32_t src_be;
	uint32_t dst_be;
	uint16_t sport_be;
	uint16_t dport_be;
	uint8_t proto;
	uint8_t domain; // of the port that it came from: VLAN, 0 untagged; and SG_DOMAIN_ bits
	uint16_t hop;   // not identity, see above
};

static_assert(sizeof(struct sg_tuple) == 16, "a tuple is one 16-byte register");

// Equal in all but the next hop.
static inline bool sg_tuple_equal(const struct sg_tuple *a, const struct sg_tuple *b)
{
	uint64_t a0, a1, b0, b1;

	memcpy(&a0, a, 8);
	memcpy(&a1, (const uint8_t *)a + 8, 8);
	memcpy(&b0, b, 8);
	memcpy(&b1, (const uint8_t *)b + 8, 8);
	return ((a0 ^ b0) | ((a1 ^ b1) << 16)) == 0; // little endian: the hop is the top 16 bits
}

// The addresses of one direction of an IPv6 flow, as they lie side by side in the IPv6 header.
struct sg_pair6 {
	uint8_t src[16];
	uint8_t dst[16];
};

static_assert(sizeof(struct sg_pair6) == 32, "a pair is copied out of a header whole");

static inline bool sg_tuple_is_ipv6(const struct sg_tuple *tuple)
{
	return tuple->domain & SG_DOMAIN_IPV6;
}

static inline bool sg_pair6_equal(const struct sg_pair6 *a, const struct sg_pair6 *b)
{
	uint64_t x[4], y[4];

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3])) == 0;
}

// fe80::/10.
static inline bool sg_is_link_local6(const uint8_t addr[16])
{
	return addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80;
}

// What the packets of the other direction carry.
static inline struct sg_pair6 sg_pair6_reversed(const struct sg_pair6 *pair)
{
	struct sg_pair6 reversed;

	memcpy(reversed.src, pair->dst, 16);
	memcpy(reversed.dst, pair->src, 16);
	return reversed;
}
