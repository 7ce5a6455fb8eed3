// The kernel's randomness, see random.h.
#include "base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void sg_random_bytes(void *ret_bytes, size_t length)
{
	uint8_t *bytes = ret_bytes;

	while (length > 0) {
		ssize_t got = getrandom(bytes, length, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort();
		bytes += got;
		length -= (size_t)got;
	}
}
