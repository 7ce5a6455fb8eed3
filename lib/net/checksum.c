// RFC 1071 sums over bytes of any alignment, see checksum.h.
#include "net/checksum.h"

#include <string.h>

// What overflows comes back in at the bottom: 2^64 is 1 in one's complement, too.
static uint64_t add(uint64_t sum, uint64_t word)
{
	sum += word;
	return sum + (sum < word);
}

static uint64_t load(const uint8_t *at, size_t length)
{
	uint64_t word = 0;

	memcpy(&word, at, length);
	return word;
}

uint64_t sg_checksum_add(uint64_t sum, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;
	uint64_t other = 0;

	// fast path: eight bytes at a time, in two sums that do not wait for each other.
	for (; length >= 16; at += 16, length -= 16) {
		sum = add(sum, load(at, 8));
		other = add(other, load(at + 8, 8));
	}
	sum = add(sum, other);
	if (length & 8) {
		sum = add(sum, load(at, 8));
		at += 8;
	}
	if (length & 4) {
		sum = add(sum, load(at, 4));
		at += 4;
	}
	if (length & 2) {
		sum = add(sum, load(at, 2));
		at += 2;
	}
	if (length & 1)
		sum = add(sum, load(at, 1));
	// Callers add to it without looking for an overflow.
	return (sum & 0xffffffff) + (sum >> 32);
}
