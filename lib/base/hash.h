// Keyed, non-linear hashes.
//
// sg_hash16: for the flow table. An attacker chooses tuples, so the hash has a random 128-bit key;
// CRC and the NIC's Toeplitz hash are linear, and collide whatever their seed. AES rounds where the
// CPU has them (aesenc, picked at start), SipHash-1-3 otherwise; the two give different values,
// which is fine: the key lives as long as the process.
//
// sg_siphash: SipHash-1-3 (Aumasson and Bernstein, 2012), the same on every machine: for choices on
// which all nodes have to agree (Maglev).
//
// All functions are pure and may be called from any thread.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct sg_hash_key {
	_Alignas(16) uint64_t words[2];
};

// Hashes `n` keys of 16 bytes (16-byte aligned). One call per burst: the loop keeps several AES
// pipelines busy.
typedef void sg_hash16_bulk_fn(
	const struct sg_hash_key *key, const void *keys16, unsigned n, uint64_t *ret_hashes);

sg_hash16_bulk_fn sg_hash16_bulk_portable; // SipHash-1-3
sg_hash16_bulk_fn sg_hash16_bulk_aes;      // only where sg_hash16_has_aes()
int sg_hash16_has_aes(void);
sg_hash16_bulk_fn *sg_hash16_bulk_best(void); // what this CPU does fastest

// sg_hash32: 32 bytes (of any alignment) to 64 bits, for the fingerprints of IPv6 address pairs.
// Whoever chooses both halves must not find two inputs of one value without the key: each half goes
// through rounds of its own before they meet.
uint64_t sg_hash32_portable(const struct sg_hash_key *key, const void *bytes32); // SipHash-1-3
uint64_t sg_hash32_aes(const struct sg_hash_key *key, const void *bytes32);      // see has_aes

uint64_t sg_siphash(const struct sg_hash_key *key, const void *bytes, size_t length);

// 16 bytes to 64 bits, the same on every machine, at a tenth of SipHash's cost: a keyed
// multiplication of both halves, folded (as in Wang Yi's wyhash, 2019). For spreading what an
// attacker may steer anyway, on a path where each nanosecond counts: which backend a client's
// packet gets, he sees in the answer.
static inline uint64_t sg_hash16_agreed(const struct sg_hash_key *key, const void *bytes16)
{
	uint64_t words[2];
	unsigned __int128 product;

	__builtin_memcpy(words, bytes16, 16);
	product = (unsigned __int128)(words[0] ^ key->words[0] ^ UINT64_C(0xa0761d6478bd642f)) *
		  (words[1] ^ key->words[1] ^ UINT64_C(0xe7037ed1a0b428db));
	product = (unsigned __int128)((uint64_t)product ^ (uint64_t)(product >> 64)) *
		  UINT64_C(0x8ebc6af09c88c6e3);
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

// SplitMix64's finaliser (Steele, Lea, Flood 2014): spreads keys that nobody hostile chose.
static inline uint64_t sg_mix64(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}
