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

// The addresses of IPv6 flows lie behind the table.
static inline struct sg_flow_table *fixture_table(uint32_t max_flows, enum sg_flow_hash hash)
{
	size_t bytes = (sg_flow_table_bytes(max_flows) + 63) & ~(size_t)63;
	size_t all_bytes = bytes + sg_flow_addresses_bytes(max_flows);
	uint8_t *memory = aligned_alloc(64, all_bytes);
	struct sg_flow_table *table;

	assert_non_null(memory);
	memset(memory, 0, all_bytes);
	table = sg_flow_table_init_hashed(memory, max_flows, &fixture_key, hash);
	sg_flow_table_attach_addresses(table, memory + bytes);
	return table;
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

// What its `backend_slot` says about an IPv6 flow's addresses.
static inline struct sg_flow_addresses fixture_addresses(const struct sg_flow *flow)
{
	struct sg_flow_addresses addresses;

	memset(&addresses, 0, sizeof(addresses));
	for (unsigned i = 0; i < 4; i++)
		memcpy((uint8_t *)&addresses + 16 * i + 12, &flow->backend_slot, 4);
	addresses.client.src[0] = 0x20;
	addresses.client.dst[0] = 0x21;
	addresses.server.src[0] = 0xfd;
	addresses.server.dst[0] = 0xfc;
	return addresses;
}

// The same flow as fixture_flow's, over IPv6.
static inline struct sg_flow fixture_flow6(
	const struct sg_flow_table *table, uint32_t number, enum sg_flow_state state)
{
	struct sg_flow flow = fixture_flow(number, state);
	struct sg_flow_addresses addresses = fixture_addresses(&flow);

	sg_flow_table_key6(table, &addresses.client, &flow.client);
	sg_flow_table_key6(table, &addresses.server, &flow.server);
	return flow;
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
	struct sg_flow_addresses addresses = fixture_addresses(flow);

	if (sg_tuple_is_ipv6(&flow->client))
		return sg_flow_table_insert6(table, flow, &addresses,
			fixture_hash(table, &flow->client), fixture_hash(table, &flow->server));
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
