// How a flow table lies in its memory: for the files that make it up, and for tests. Nobody else
// includes this.
//
//     struct sg_flow_table | buckets | records 0 to max_flows | nodes 0 to max_flows | free bits
//     elsewhere: addresses 0 to max_flows, of those records that are IPv6 flows
//
// A node is an embryo's place in the queue, a circular list whose ends meet in node 0, next towards
// the younger. Nodes stand apart from the records because eight of them share a line: leaving the
// queue touches neighbours, and those are records of other flows.
//
// Free bits are explained in free.c.
#pragma once

#include "flow/cuckoo.h"
#include "flow/table.h"

// A full table has 16 slots for every 11 entries: 69 % of the slots are in use. The reason for that
// much room is tables that have been full for long. Where flows come and go, 15 of 100 entries then
// live in their alternate bucket, which is another cache miss for whoever inserts, finds or removes
// one; at 86 % it would be 33, and insertions would often have to move others' entries.
#define SG_FLOW_ENTRIES_PER_2_BUCKETS 11

#define SG_FLOW_FREE_LEVELS 5   // 64 to the power of 5 is all that 30 bits can name
#define SG_FLOW_POCKET      128 // records, a power of two

enum sg_flow_hash {
	SG_FLOW_HASH_SIPHASH,
	SG_FLOW_HASH_AES,
	SG_FLOW_HASH_IDENTITY, // for tests: structure shines through
	SG_FLOW_HASH_CONSTANT, // for tests: the worst there is
};

// Records have 28 bits, so that half of the epoch in which the embryo came has room beside each of
// two. Two words rather than bit fields, which the compiler reads and writes in pieces of several
// sizes: what was just stored in parts and is loaded whole stalls.
struct sg_flow_node {
	uint32_t prev; // SG_FLOW_NODE_ bits
	uint32_t next;
};
#define SG_FLOW_NODE_RECORD UINT32_C(0x0fffffff)

static inline uint32_t sg_flow_node_prev(const struct sg_flow_node *node)
{
	return node->prev & SG_FLOW_NODE_RECORD;
}

static inline uint32_t sg_flow_node_next(const struct sg_flow_node *node)
{
	return node->next & SG_FLOW_NODE_RECORD;
}

static inline uint8_t sg_flow_node_epoch(const struct sg_flow_node *node)
{
	return (uint8_t)(node->prev >> 28 | node->next >> 28 << 4);
}

struct sg_flow_table {
	// Written by init only.
	_Alignas(64) struct sg_hash_key key;
	uint32_t hash; // enum sg_flow_hash: a number, since a function's address means nothing to
		       // the next process
	uint32_t max_flows;
	uint32_t n_buckets;
	uint32_t reserved;
	uint64_t buckets_at; // bytes from the table's start
	uint64_t records_at;
	uint64_t nodes_at;
	uint64_t free_at;
	uint32_t free_starts[SG_FLOW_FREE_LEVELS]; // words from `free_at`
	uint64_t addresses_at; // of another mapping: as an unsigned difference; 0: none

	// Written by the worker that owns the table.
	_Alignas(64) uint32_t count;
	uint32_t embryos;
	uint32_t first_unused; // this record and all behind it were never used
	uint32_t sweep_at;     // the next record that the sweep looks at
	uint32_t pocket_top;   // counts up and down, wrapping; the top one is in front of it
	uint32_t n_pocket;
	uint8_t epoch;                   // of embryos that come now, see embryo.c
	uint8_t oldest_epoch;            // of the embryo that came first
	uint32_t epoch_left;             // embryos that may come before the next epoch
	uint32_t pocket[SG_FLOW_POCKET]; // free records, the one freed last on top
};

static inline struct sg_cuckoo sg_flow_table_cuckoo(const struct sg_flow_table *table)
{
	return (struct sg_cuckoo){
		.buckets = (struct sg_cuckoo_bucket *)((uintptr_t)table + table->buckets_at),
		.n_buckets = table->n_buckets,
		.oldest = table->oldest_epoch,
		.span = (uint8_t)(table->epoch - table->oldest_epoch) % SG_CUCKOO_EPOCHS,
	};
}

static inline struct sg_flow *sg_flow_table_records(const struct sg_flow_table *table)
{
	return (struct sg_flow *)((uintptr_t)table + table->records_at);
}

static inline struct sg_flow_addresses *sg_flow_table_all_addresses(
	const struct sg_flow_table *table)
{
	return (struct sg_flow_addresses *)((uintptr_t)table + table->addresses_at);
}

static inline struct sg_flow_node *sg_flow_table_nodes(const struct sg_flow_table *table)
{
	return (struct sg_flow_node *)((uintptr_t)table + table->nodes_at);
}

static inline uint64_t *sg_flow_table_free_bits(const struct sg_flow_table *table)
{
	return (uint64_t *)((uintptr_t)table + table->free_at);
}

// An entry of the index has the direction in bit 31 and the record below bit 30; a ref is the same,
// rotated.
static inline sg_flow_ref sg_flow_ref_of_entry(uint32_t entry)
{
	entry &= ~SG_CUCKOO_ALTERNATE;
	return entry << 1 | entry >> 31;
}

static inline uint32_t sg_flow_entry_of_ref(sg_flow_ref ref)
{
	return ref >> 1 | ref << 31;
}

// As sg_flow_table_init, with a hash of the caller's choice.
struct sg_flow_table *sg_flow_table_init_hashed(
	void *memory, uint32_t max_flows, const struct sg_hash_key *key, enum sg_flow_hash hash);

// The embryos' queue, see embryo.c. `begin` comes before an embryo's entries are made, `join`
// after; `tag` is what its entries carry in between and as long as it is one.
void sg_flow_embryo_begin(struct sg_flow_table *table);
uint8_t sg_flow_embryo_tag(const struct sg_flow_table *table, uint32_t record);
void sg_flow_embryo_join(struct sg_flow_table *table, uint32_t record);
void sg_flow_embryo_join_bulk(struct sg_flow_table *table, const uint32_t *records, unsigned n);
void sg_flow_embryo_leave(struct sg_flow_table *table, uint32_t record);

// Hashes both directions' keys of up to SG_FLOW_HASH_RECORDS flows, client's first, and asks for
// where their entries are.
#define SG_FLOW_HASH_RECORDS 32
void sg_flow_table_hash_records(const struct sg_flow_table *table, const sg_flow_ref *refs,
	unsigned n, uint64_t *ret_hashes);
// Gives a record back whose entries and place in the queue are gone, or left behind.
void sg_flow_table_give_record(struct sg_flow_table *table, uint32_t record);

// Free records, see free.c. `next` names the one that `take` will take; 0: all are in use.
size_t sg_flow_free_bytes(uint32_t max_flows);
void sg_flow_free_init(struct sg_flow_table *table);
uint32_t sg_flow_free_next(struct sg_flow_table *table);
void sg_flow_free_take(struct sg_flow_table *table);
void sg_flow_free_give(struct sg_flow_table *table, uint32_t record);
bool sg_flow_free_has(const struct sg_flow_table *table, uint32_t record);

// Looks at every word of the table: is each flow found under both tuples, is each entry somebody's,
// do the overflow counters, the queue and the counts agree? NULL when all is well, otherwise what
// is not.
const char *sg_flow_table_check(const struct sg_flow_table *table);
