// Time as stormgate counts it.
//
// Flows are timed in ticks of 64 ms of CLOCK_BOOTTIME, in 32 bits (8.7 years): they keep their
// meaning across a restart of the process and a suspend of the machine. Everything else is
// milliseconds. Any thread; a vDSO call, so a worker reads it once a turn, not once a packet.
#pragma once

#include <stdint.h>

#define SG_TICK_MS 64

uint64_t sg_clock_ms(void); // CLOCK_BOOTTIME
uint64_t sg_clock_ns(void); // CLOCK_MONOTONIC, for intervals
// What this thread has had of a CPU: whoever takes the CPU away does not count. A system call.
uint64_t sg_clock_thread_ns(void);

static inline uint32_t sg_ticks_from_ms(uint64_t ms)
{
	return (uint32_t)(ms / SG_TICK_MS);
}

static inline uint32_t sg_ticks_from_seconds(uint32_t seconds)
{
	return (uint32_t)((uint64_t)seconds * 1000 / SG_TICK_MS);
}
