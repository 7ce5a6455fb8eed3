// Randomness: keys from the kernel, and a fast generator for choices that nobody must guess for
// money.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Fills `bytes` with the kernel's randomness (getrandom). Never fails: without it there is no key,
// so it aborts.
void sg_random_bytes(void *ret_bytes, size_t length);

// xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled"
// (2016). One state per thread; a state of 0 is not allowed.
static inline uint64_t sg_random_next(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * UINT64_C(2685821657736338717);
}

// Maps 32 random bits to [0, n) without a division: Lemire, "Fast random integer generation in an
// interval" (2019).
static inline uint32_t sg_reduce(uint32_t random, uint32_t n)
{
	return (uint32_t)(((uint64_t)random * n) >> 32);
}
