// The NIC's RSS hash in plain C, and what its linearity gives us.
//
// Microsoft, "RSS hashing types": for each set bit of the input, the 32 key bits starting at that
// bit's position are XORed. So hash(a ^ b) = hash(a) ^ hash(b): the contributions of addresses and
// ports can be computed apart and joined, and a SNAT port can be chosen such that the reply's hash
// falls where we want it.
//
// Byte-wise tables make a 12-byte IPv4 tuple 12 table reads. Built once at start, read-only
// afterwards.
#pragma once

#include <stdint.h>

#include "net/tuple.h"

#define SG_TOEPLITZ_KEY_BYTES 40
#define SG_HOME_ENTRIES       128 // entries of the indirection table, and of the NIC's
#define SG_HOME_MASK          (SG_HOME_ENTRIES - 1)

// The key of Microsoft's verification suite, the default of most NICs.
extern const uint8_t sg_toeplitz_default_key[SG_TOEPLITZ_KEY_BYTES];

struct sg_toeplitz {
	uint8_t key[SG_TOEPLITZ_KEY_BYTES];
	uint32_t table[36][256]; // by byte position of the input (IPv6: 16 + 16 + 2 + 2), then by
				 // its value
};

void sg_toeplitz_init(struct sg_toeplitz *toeplitz, const uint8_t key[SG_TOEPLITZ_KEY_BYTES]);

// Hash of `length` bytes (at most 36) in the order source address, destination address, source
// port, destination port, as a NIC reads them off the wire.
uint32_t sg_toeplitz_hash(const struct sg_toeplitz *toeplitz, const void *bytes, unsigned length);

// Source address, destination address, source port, destination port of an IPv4 tuple.
static inline uint32_t sg_toeplitz_tuple4(
	const struct sg_toeplitz *toeplitz, const struct sg_tuple *tuple)
{
	return sg_toeplitz_hash(toeplitz, tuple, 12);
}

// The same of an IPv6 packet: the tuple has its ports, and the pair its addresses.
static inline uint32_t sg_toeplitz_tuple6(const struct sg_toeplitz *toeplitz,
	const struct sg_pair6 *pair, const struct sg_tuple *tuple)
{
	uint8_t bytes[36];

	memcpy(bytes, pair, 32);
	memcpy(bytes + 32, &tuple->sport_be, 4);
	return sg_toeplitz_hash(toeplitz, bytes, sizeof(bytes));
}

// What a destination port alone adds to an IPv4 tuple's hash (positions 10 and 11).
static inline uint32_t sg_toeplitz_dport4(const struct sg_toeplitz *toeplitz, uint16_t port)
{
	return toeplitz->table[10][port >> 8] ^ toeplitz->table[11][port & 0xff];
}

// And to an IPv6 tuple's (positions 34 and 35).
static inline uint32_t sg_toeplitz_dport6(const struct sg_toeplitz *toeplitz, uint16_t port)
{
	return toeplitz->table[34][port >> 8] ^ toeplitz->table[35][port & 0xff];
}

// Which worker a flow belongs to: home(tuple) = reta[toeplitz(tuple) & 127]. The same key and the
// same table are programmed into every port that accepts them, so that RSS normally brings a packet
// home.
struct sg_home {
	struct sg_toeplitz toeplitz;
	uint8_t reta[SG_HOME_ENTRIES]; // worker numbers
};

// The table of `n_workers` (1 to 128) workers: entry i belongs to worker i mod n_workers.
void sg_home_init(
	struct sg_home *home, const uint8_t key[SG_TOEPLITZ_KEY_BYTES], unsigned n_workers);

// Of a fragment, which has no ports: source address, destination address.
static inline unsigned sg_home_of_pair6(const struct sg_home *home, const struct sg_pair6 *pair)
{
	return home->reta[sg_toeplitz_hash(&home->toeplitz, pair, sizeof(*pair)) & SG_HOME_MASK];
}

static inline unsigned sg_home_of_pair4(const struct sg_home *home, const void *src_dst)
{
	return home->reta[sg_toeplitz_hash(&home->toeplitz, src_dst, 8) & SG_HOME_MASK];
}

static inline unsigned sg_home_of_tuple4(const struct sg_home *home, const struct sg_tuple *tuple)
{
	return home->reta[sg_toeplitz_tuple4(&home->toeplitz, tuple) & SG_HOME_MASK];
}

static inline unsigned sg_home_of_tuple6(
	const struct sg_home *home, const struct sg_pair6 *pair, const struct sg_tuple *tuple)
{
	return home->reta[sg_toeplitz_tuple6(&home->toeplitz, pair, tuple) & SG_HOME_MASK];
}
