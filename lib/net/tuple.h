// The tuple: what tells one direction of one flow from every other.
//
// 16 bytes, so that it is hashed, compared and copied as one register. The last two bytes are not
// part of its identity: inside a flow record they carry the next hop towards the tuple's *source*
// (the packets of the other direction go there); in a key for hashing and comparing they are zero.
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct sg_tuple {
	_Alignas(16) uint32_t src_be;
	uint32_t dst_be;
	uint16_t sport_be;
	uint16_t dport_be;
	uint8_t proto;
	uint8_t domain; // the VLAN domain of the port that it came from; 0 untagged
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
