// The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
//
// Sums are kept as partial one's-complement sums of 16-bit words in memory order: no byte swapping
// is needed anywhere, since the sum of swapped words is the swapped sum. Pure functions, any
// thread.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "net/tuple.h"

// Adds `length` bytes to a partial sum. An odd last byte counts as the first of a pair.
uint64_t sg_checksum_add(uint64_t sum, const void *bytes, size_t length);

static inline uint16_t sg_checksum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static inline uint16_t sg_checksum_finish(uint64_t sum)
{
	return (uint16_t)~sg_checksum_fold(sum);
}

// The pseudo header of TCP and UDP over IPv4. `l4_length` is in bytes, host order.
static inline uint64_t sg_checksum_pseudo4(
	uint32_t src_be, uint32_t dst_be, uint8_t proto, uint16_t l4_length)
{
	return (uint64_t)src_be + dst_be + ((uint32_t)proto << 8) + __builtin_bswap16(l4_length);
}

// The pseudo header of TCP, UDP and ICMPv6 over IPv6: the pair's addresses may lie anywhere. A
// length above 65,535 does not occur: jumbograms are refused.
static inline uint64_t sg_checksum_pseudo6(
	const struct sg_pair6 *pair, uint8_t proto, uint16_t l4_length)
{
	return sg_checksum_add(
		((uint32_t)proto << 8) + __builtin_bswap16(l4_length), pair, sizeof(*pair));
}

// What a change of words adds to a header's sum, in the form that sg_checksum_apply takes: the sum
// of what is new and the complement of what was there.
static inline uint16_t sg_checksum_delta32(uint32_t old_word, uint32_t new_word)
{
	return sg_checksum_fold((uint64_t)(uint32_t)~old_word + new_word);
}

static inline uint16_t sg_checksum_delta_join(uint16_t a, uint16_t b)
{
	return sg_checksum_fold((uint32_t)a + b);
}

// The delta of the opposite change.
static inline uint16_t sg_checksum_delta_negate(uint16_t delta)
{
	return (uint16_t)~delta;
}

// RFC 1624, equation 3: HC' = ~(~HC + ~m + m').
static inline uint16_t sg_checksum_apply(uint16_t checksum, uint16_t delta)
{
	uint32_t sum = (uint32_t)(uint16_t)~checksum + delta;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

// The same for two deltas at once.
static inline uint16_t sg_checksum_apply2(uint16_t checksum, uint16_t delta_a, uint16_t delta_b)
{
	uint32_t sum = (uint32_t)(uint16_t)~checksum + delta_a + delta_b;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}
