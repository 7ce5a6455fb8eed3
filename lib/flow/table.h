// The flow table: one worker's known flows, found by either direction's tuple.
//
// (The essay belongs here; see the design, section 3.)
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "net/tuple.h"

enum sg_flow_direction {
	SG_FLOW_TO_BACKEND = 0, // packets of the client
	SG_FLOW_TO_CLIENT = 1,  // packets of the backend
};

enum sg_flow_state {
	SG_FLOW_FREE = 0,
	SG_FLOW_TCP_SYN,         // embryo: SYN seen
	SG_FLOW_TCP_SYN_ACK,     // embryo: SYN + ACK seen, `expected_ack` is known
	SG_FLOW_TCP_ESTABLISHED,
	SG_FLOW_TCP_HALF_CLOSED, // one FIN seen
	SG_FLOW_TCP_CLOSING,     // both FINs seen
	SG_FLOW_TCP_CLOSED,      // both acknowledged, or RST
	SG_FLOW_UDP_NEW,         // embryo: the client has sent
	SG_FLOW_UDP_REPLIED,     // embryo: the backend has answered
	SG_FLOW_UDP,             // confirmed
	SG_FLOW_STATE_COUNT,
};

struct sg_flow {
	struct sg_tuple4 client; // client -> VIP as received; hop: towards the client
	struct sg_tuple4 server; // backend -> SNAT address as received; hop: towards the backend
	uint16_t l3_delta;       // checksum delta of addresses, client to backend (RFC 1624)
	uint16_t l4_delta;       // of addresses and ports
	uint32_t backend_slot;
	uint32_t service_slot;
	uint16_t backend_generation;
	uint16_t life;      // even: in use or free; odd: being written. For readers on other threads
	uint32_t last_seen; // ticks
	uint32_t sequence;  // by state: see flow/tcp.h
	uint8_t state;      // enum sg_flow_state
	uint8_t mode;       // enum sg_forward
	uint16_t route_generation;
	uint32_t link; // free list while free
};
static_assert(sizeof(struct sg_flow) == 64, "a flow is one cache line");

// Names one flow and a direction of it: record << 1 | direction. 0 is "none" (record 0 is never used).
typedef uint32_t sg_flow_ref;

static inline enum sg_flow_direction sg_flow_ref_direction(sg_flow_ref ref)
{
	return (enum sg_flow_direction)(ref & 1);
}

struct sg_flow_table; // at the start of its memory; holds offsets, no pointers

// Bytes of memory that a table of `max_flows` needs, everything counted.
size_t sg_flow_table_bytes(uint32_t max_flows);

// Lays a table out in zeroed memory of sg_flow_table_bytes(max_flows), 64-byte aligned. Returns it.
struct sg_flow_table *sg_flow_table_init(void *memory, uint32_t max_flows, const struct sg_hash_key *key);

// Hashes keys whose hop is 0.
void sg_flow_table_hash(
	const struct sg_flow_table *table, const struct sg_tuple4 *tuples, unsigned n, uint64_t *ret_hashes);

// Finds up to 64 tuples at once, with prefetching. ret_refs[i] is the flow and the direction whose tuple it is; 0: unknown.
void sg_flow_table_find_bulk(const struct sg_flow_table *table, const struct sg_tuple4 *tuples,
	const uint64_t *hashes, unsigned n, sg_flow_ref *ret_refs);
sg_flow_ref sg_flow_table_find(
	const struct sg_flow_table *table, const struct sg_tuple4 *tuple, uint64_t hash);

struct sg_flow *sg_flow_table_get(const struct sg_flow_table *table, sg_flow_ref ref);

// Copies `flow` (its `life` and `link` are ours) into a record and enters both directions. The caller knows that neither
// tuple is there. An embryo also joins the end of the embryos' queue. Returns the ref (SG_FLOW_TO_BACKEND), or 0
// when there is no record left or displacement gave up; nothing changed then.
sg_flow_ref sg_flow_table_insert(struct sg_flow_table *table, const struct sg_flow *flow,
	uint64_t client_hash, uint64_t server_hash);
void sg_flow_table_remove(struct sg_flow_table *table, sg_flow_ref ref);
void sg_flow_table_remove_bulk(struct sg_flow_table *table, const sg_flow_ref *refs, unsigned n);

// Embryos. `embryos_full`: their share of the table is used up, so one has to go before another comes;
// `oldest_embryo` names it (0: there is none). `confirm` makes a flow established in the eyes of the table.
bool sg_flow_table_embryos_full(const struct sg_flow_table *table);
sg_flow_ref sg_flow_table_oldest_embryo(struct sg_flow_table *table);
void sg_flow_table_confirm(struct sg_flow_table *table, sg_flow_ref ref);

struct sg_flow_timeouts {
	uint32_t ticks[SG_FLOW_STATE_COUNT]; // idle time by state
};

// Looks at the next `n_records` records (the sweep goes round and round) and writes the refs of those that are over
// their timeout, at most `max`; it stops early when full. The caller counts and removes them.
// `ret_wrapped` counts how often it passed the end of the table.
unsigned sg_flow_table_sweep(struct sg_flow_table *table, uint32_t n_records, uint32_t now_ticks,
	const struct sg_flow_timeouts *timeouts, sg_flow_ref *ret_refs, unsigned max, unsigned *ret_wrapped);

uint32_t sg_flow_table_count(const struct sg_flow_table *table);
uint32_t sg_flow_table_embryos(const struct sg_flow_table *table);
uint32_t sg_flow_table_max(const struct sg_flow_table *table);

// For another thread (a dump): copies record `index` (1 to sg_flow_table_max) if it is in use and was not being written.
bool sg_flow_table_read(const struct sg_flow_table *table, uint32_t index, struct sg_flow *ret_flow);
