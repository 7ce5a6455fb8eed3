// Round-trip times by how often each was seen, in ticks of the generator's clock, 3 % wide at most.
#pragma once

#include <stdint.h>
#include <string.h>

#define SG_LATENCY_SUB     32 // steps in each power of two
#define SG_LATENCY_BUCKETS (28 * SG_LATENCY_SUB)

struct sg_latency {
	uint64_t n;
	uint64_t counts[SG_LATENCY_BUCKETS];
};

static inline unsigned sg_latency_bucket(uint32_t ticks)
{
	unsigned power;

	if (ticks < SG_LATENCY_SUB)
		return ticks;
	power = 31u - (unsigned)__builtin_clz(ticks) - 5; // 2^5 is SG_LATENCY_SUB
	return power * SG_LATENCY_SUB + (ticks >> power);
}

// The middle of a bucket.
static inline double sg_latency_ticks(unsigned bucket)
{
	unsigned power = bucket / SG_LATENCY_SUB;

	if (power <= 1)
		return bucket;
	return (double)((uint64_t)(bucket % SG_LATENCY_SUB + SG_LATENCY_SUB) << (power - 1)) +
	       (double)(UINT64_C(1) << (power - 1)) / 2;
}

static inline void sg_latency_add(struct sg_latency *latency, uint32_t ticks)
{
	latency->n++;
	latency->counts[sg_latency_bucket(ticks)]++;
}

// The time that `share` (0 to 1) of all were below; 0 when there is none.
static inline double sg_latency_quantile(const struct sg_latency *latency, double share)
{
	uint64_t rank = (uint64_t)(share * (double)latency->n), seen = 0;

	for (unsigned i = 0; i < SG_LATENCY_BUCKETS; i++) {
		seen += latency->counts[i];
		if (seen > rank)
			return sg_latency_ticks(i);
	}
	return 0;
}
