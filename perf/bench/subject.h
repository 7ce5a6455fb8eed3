// The tables that are compared, behind the same few functions: bursts of keys in, records read.
//
// A flow is a number; its two tuples follow from it, so that keys need not be read from memory,
// where they would compete with the tables for cache and bandwidth. Numbers are all different
// tuples, as a gateway sees them: any client, a few VIPs and backends.
#pragma once

#include <stdint.h>

#include "base/hash.h"
#include "bench/bench.h"
#include "net/tuple.h"

struct sg_bench_subject {
	const char *name;
	// A table for `n_flows` at 60 % of its slots, both directions of each.
	void *(*open)(struct sg_bench *bench, uint32_t n_flows);
	void (*close)(void *table);
	// Up to SG_BENCH_BURST flows, two keys each. `slots` are numbers below `n_flows` that no
	// live flow has, for those who need to be told where to put the record.
	void (*insert)(void *table, const uint32_t *slots, const struct sg_tuple *keys, unsigned n);
	void (*remove)(void *table, const struct sg_tuple *keys, unsigned n);
	// Looks up SG_BENCH_BURST keys, reads the record of each that is found. Returns how many
	// were.
	unsigned (*lookup)(void *table, const struct sg_tuple *keys);
};

extern const struct sg_bench_subject sg_bench_subject_ours;
extern const struct sg_bench_subject sg_bench_subject_rte_hash;

static inline void sg_bench_keys(uint32_t number, struct sg_tuple ret_keys[2])
{
	uint64_t mixed = sg_mix64(number);

	// The source address (the destination, on the way back) alone tells numbers apart: an odd
	// factor is a bijection.
	ret_keys[0] = (struct sg_tuple){.src_be = number * UINT32_C(0x9e3779b1),
		.dst_be = 0x0a0200c0,
		.sport_be = (uint16_t)mixed,
		.dport_be = 0x5000,
		.proto = 6};
	ret_keys[1] = (struct sg_tuple){.src_be = 0x0200000a + (uint32_t)(mixed >> 60 << 24),
		.dst_be = number * UINT32_C(0x85ebca6b),
		.sport_be = 0x901f,
		.dport_be = (uint16_t)(mixed >> 16),
		.proto = 6};
}
