// The clocks of clock.h.
#include "base/clock.h"

#include <time.h>

static uint64_t read_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t sg_clock_ms(void)
{
	return read_ns(CLOCK_BOOTTIME) / 1000000u;
}

uint64_t sg_clock_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

uint64_t sg_clock_thread_ns(void)
{
	return read_ns(CLOCK_THREAD_CPUTIME_ID);
}
