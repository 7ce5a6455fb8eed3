// A token bucket: so many events a second, and a burst of so many at once. One owner, no clock of
// its own.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct sg_limiter {
	uint64_t filled_ms; // when tokens were last added
	uint32_t tokens;
	uint32_t per_second;
	uint32_t burst;
};

static inline void sg_limiter_init(struct sg_limiter *limiter, uint32_t per_second, uint32_t burst)
{
	*limiter = (struct sg_limiter){.tokens = burst, .per_second = per_second, .burst = burst};
}

// Adds what the time since the last call has earned. Whole tokens only: the rest of the time stays
// unspent.
static inline void sg_limiter_fill(struct sg_limiter *limiter, uint64_t now_ms)
{
	uint64_t earned = (now_ms - limiter->filled_ms) * limiter->per_second / 1000;

	if (earned == 0)
		return;
	limiter->filled_ms = now_ms;
	limiter->tokens = earned > limiter->burst - limiter->tokens
				  ? limiter->burst
				  : limiter->tokens + (uint32_t)earned;
}

static inline bool sg_limiter_take(struct sg_limiter *limiter)
{
	if (limiter->tokens == 0)
		return false;
	limiter->tokens--;
	return true;
}
