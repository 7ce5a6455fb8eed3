// What the flow tests share: tables in fresh memory, and flows made from a number.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flow/layout.h"
#include "flow/table.h"
#include "net/headers.h"

static const struct sg_hash_key fixture_key = {
	.words = {UINT64_C(0x0123456789abcdef), UINT64_C(0xfedcba9876543210)},
};

static inline struct sg_flow_table *fixture_table(uint32_t max_flows, enum sg_flow_hash hash)
{
	size_t bytes = (sg_flow_table_bytes(max_flows) + 63) & ~(size_t)63;
	void *memory = aligned_alloc(64, bytes);

	assert_non_null(memory);
	memset(memory, 0, bytes);
	return sg_flow_table_init_hashed(memory, max_flows, &fixture_key, hash);
}

// Different numbers, different tuples, in both directions.
static inline struct sg_flow fixture_flow(uint32_t number, enum sg_flow_state state)
{
	bool tcp = state <= SG_FLOW_TCP_CLOSED;

	return (struct sg_flow){
		.client = {.src_be = __builtin_bswap32(0x0b000000 + number),
			.dst_be = 0x010200c0,
			.sport_be = (uint16_t)number,
			.dport_be = 0x5000,
			.proto = tcp ? SG_PROTO_TCP : SG_PROTO_UDP,
			.hop = (uint16_t)(number * 3)},
		.server = {.src_be = 0x0200000a,
			.dst_be = 0x6400000a + (number & 0xff0000),
			.sport_be = 0x901f,
			.dport_be = (uint16_t)number,
			.proto = tcp ? SG_PROTO_TCP : SG_PROTO_UDP,
			.domain = (uint8_t)(number >> 24),
			.hop = (uint16_t)(number * 7)},
		.backend_slot = number,
		.service_slot = ~number,
		.state = (uint8_t)state,
	};
}

static inline uint64_t fixture_hash(const struct sg_flow_table *table, const struct sg_tuple *tuple)
{
	struct sg_tuple key = *tuple;
	uint64_t hash;

	key.hop = 0;
	sg_flow_table_hash(table, &key, 1, &hash);
	return hash;
}

static inline sg_flow_ref fixture_insert(struct sg_flow_table *table, const struct sg_flow *flow)
{
	return sg_flow_table_insert(table, flow, fixture_hash(table, &flow->client),
		fixture_hash(table, &flow->server));
}

static inline sg_flow_ref fixture_find(const struct sg_flow_table *table,
	const struct sg_flow *flow, enum sg_flow_direction direction)
{
	const struct sg_tuple *tuple = sg_flow_tuple(flow, direction);

	return sg_flow_table_find(table, tuple, fixture_hash(table, tuple));
}

static inline void fixture_assert_consistent(const struct sg_flow_table *table)
{
	const char *problem = sg_flow_table_check(table);

	if (problem)
		fail_msg("%s", problem);
}
