// RFC 1071 sums over bytes of any alignment, see checksum.h.
#include "net/checksum.h"

#include <string.h>

uint64_t sg_checksum_add(uint64_t sum, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;
	uint32_t word;
	uint16_t half;

	for (; length >= 4; at += 4, length -= 4) {
		memcpy(&word, at, 4);
		sum += word;
	}
	if (length >= 2) {
		memcpy(&half, at, 2);
		sum += half;
		at += 2;
		length -= 2;
	}
	if (length > 0) {
		half = 0;
		memcpy(&half, at, 1);
		sum += half;
	}
	return sum;
}
