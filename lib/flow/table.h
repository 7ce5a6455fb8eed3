// The flow table: one worker's known flows, found by either direction's tuple.
//
// A flow is one 64-byte record, and two entries (one for each direction's tuple) in a cuckoo index
// of 64-byte buckets (flow/cuckoo.h). What a burst costs is counted in cache lines, since at a
// million flows each is a miss: a hit reads one bucket and the record, which the pipeline wants
// anyway; a miss reads one bucket, and a second one only where entries have overflowed. find_bulk
// asks for all buckets of a burst, then for all records, and only then compares, so the misses of a
// burst overlap.
//
// Capacity: `max_flows`, fixed at init. The index of a full table has 69 % of its slots in use, and
// refuses nothing before 95 %, so it is the records that run out. Then insert answers 0, and it is
// the caller who decides: embryos may be recycled, established flows never are. Memory: 95.4 bytes
// a flow, everything counted (64 record, 23.3 buckets, 8 node, 0.1 free bits).
//
// A flow starts as an embryo: nobody has proved yet that he receives what we send him. Embryos
// stand in a queue, oldest first, from which they go when they are confirmed or removed. They may
// take what established flows leave free, at most 1/2 and at least 1/8 of the table. Under a flood
// of F embryos a second, one is therefore recycled share / F seconds after it came: a handshake
// that takes longer fails. Not before: the queue is exact.
//
// A flow whose answers do not come through us (dsr, ipip) is `one_way`: it is entered under its
// client's tuple alone, and its server's tuple is only a note, without a protocol. `one_way` is
// part of what insert is given and never changes after.
//
// IPv6 flows live in the same table, under the same capacity. Their tuples have a fingerprint where
// IPv4's have addresses (net/tuple.h); the addresses themselves are a line of 64 bytes beside the
// record, by the record's number, in memory of its own that is attached after init. IPv4 flows
// never touch it: where it is mapped without being filled, it takes memory only once IPv6 flows
// come, as much as the records that they use reach over, and none of it ever comes back. An
// IPv6 flow is thus 159.4 bytes, and a hit reads one line more, the one that it is rewritten to.
// The fingerprint is keyed and has 64 bits: where 16 flows have the same ports, as among a million
// flows to one service, a million new ones a second meet one of them in 36,000 years. Whoever finds
// a flow compares the addresses, so even then nobody's packet goes astray.
//
// Threads: everything is called by the one worker that owns the table, except sg_flow_table_read,
// which any thread may call at any time. Fields of a record other than `life`, `embryo` and the
// tuples are the owner's to change in place. Nothing here allocates, blocks or calls the kernel.
//
// The memory holds offsets and no pointers: it may be mapped at another address, by another
// process, later.
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
	SG_FLOW_TCP_SYN,     // embryo: SYN seen
	SG_FLOW_TCP_SYN_ACK, // embryo: SYN + ACK seen
	SG_FLOW_TCP_ESTABLISHED,
	SG_FLOW_TCP_HALF_CLOSED, // one FIN seen
	SG_FLOW_TCP_CLOSING,     // both FINs seen
	SG_FLOW_TCP_CLOSED,      // both acknowledged, or RST (then it may still be an embryo)
	SG_FLOW_UDP_NEW,         // embryo: the client has sent
	SG_FLOW_UDP_REPLIED,     // embryo: the backend has answered
	SG_FLOW_UDP,             // confirmed
	SG_FLOW_UDP_RELEASED,    // its client has another flow now; the backend may still answer
	SG_FLOW_AFFINITY, // no flow: which backend a client has; `sequence` is its timeout in ticks
	SG_FLOW_STATE_COUNT,
	SG_FLOW_LAST_INSERTED = SG_FLOW_UDP, // of flows; the state behind it is only come to
};

// The states in which a flow starts: nothing confirms yet that its client is real.
static inline bool sg_flow_state_is_embryo(uint8_t state)
{
	const unsigned embryos = 1u << SG_FLOW_TCP_SYN | 1u << SG_FLOW_TCP_SYN_ACK |
				 1u << SG_FLOW_UDP_NEW | 1u << SG_FLOW_UDP_REPLIED |
				 1u << SG_FLOW_AFFINITY;

	return (embryos >> state) & 1;
}

struct sg_flow {
	struct sg_tuple client; // client -> VIP as received; hop: towards the client
	struct sg_tuple server; // backend -> SNAT address as received; hop: towards the backend
	uint16_t l3_delta;      // checksum delta of addresses, client to backend (RFC 1624)
	uint16_t l4_delta;      // of addresses and ports
	uint32_t backend_slot;
	uint32_t service_slot : 31;
	uint32_t limited : 1; // its client's connections are counted, see dataplane/allowance.h
	uint16_t backend_generation;
	uint16_t life;       // the table's. Even: in use or free; odd: being written
	uint32_t last_seen;  // ticks
	uint32_t sequence;   // the client's, by state, see flow/tcp.h
	uint8_t state;       // enum sg_flow_state
	uint8_t mode : 2;    // enum sg_forward
	uint8_t one_way : 1; // only the client's tuple is entered
	uint8_t embryo : 1;  // the table's: it stands in the embryos' queue
	uint8_t marks : 4;   // by state, see flow/tcp.h
	uint16_t route_generation;
	uint32_t server_sequence; // by state, see flow/tcp.h
};
static_assert(sizeof(struct sg_flow) == 64, "a flow is one cache line");
static_assert(offsetof(struct sg_flow, client) == 0 && offsetof(struct sg_flow, server) == 16,
	"a direction's tuple is found at 16 * direction");

// Names one flow and a direction of it: record << 1 | direction. 0 is "none" (record 0 is never
// used).
typedef uint32_t sg_flow_ref;

#define SG_FLOW_MAX_BURST 64                        // keys that find_bulk takes at once
#define SG_FLOW_MAX_FLOWS ((UINT32_C(1) << 28) - 1) // records have 28 bits in the embryos' queue

static inline enum sg_flow_direction sg_flow_ref_direction(sg_flow_ref ref)
{
	return (enum sg_flow_direction)(ref & 1);
}

// The tuple that packets of a direction carry. That of the other direction, reversed, is what they
// are rewritten to.
static inline const struct sg_tuple *sg_flow_tuple(
	const struct sg_flow *flow, enum sg_flow_direction direction)
{
	return &flow->client + direction;
}

// An IPv6 flow's addresses, as its packets carry them in each direction.
struct sg_flow_addresses {
	_Alignas(64) struct sg_pair6 client; // client -> VIP
	struct sg_pair6 server;              // backend -> SNAT address or client
};
static_assert(sizeof(struct sg_flow_addresses) == 64, "a flow's addresses are one cache line");

static inline const struct sg_pair6 *sg_flow_pair(
	const struct sg_flow_addresses *addresses, enum sg_flow_direction direction)
{
	return &addresses->client + direction;
}

struct sg_flow_table; // at the start of its memory; holds offsets, no pointers

// Bytes of memory that a table of `max_flows` (1 to SG_FLOW_MAX_FLOWS) needs, everything counted.
size_t sg_flow_table_bytes(uint32_t max_flows);

// Lays a table out in zeroed memory of sg_flow_table_bytes(max_flows), 64-byte aligned. Returns it.
// It does not touch memory that no flow has used yet.
struct sg_flow_table *sg_flow_table_init(
	void *memory, uint32_t max_flows, const struct sg_hash_key *key);

// The same with another table's key: what is a hash or an IPv6 flow's key in one is it in both.
struct sg_flow_table *sg_flow_table_init_like(
	void *memory, uint32_t max_flows, const struct sg_flow_table *other);

// Gives the table room for the addresses of IPv6 flows: sg_flow_addresses_bytes(max_flows) of
// zeroed memory, 64-byte aligned. Before the first IPv6 flow, and again wherever one of the two was
// mapped anew. It is not touched here.
size_t sg_flow_addresses_bytes(uint32_t max_flows);
void sg_flow_table_attach_addresses(struct sg_flow_table *table, void *memory);

// Makes a tuple, whose ports, protocol and domain are set, the key of an IPv6 flow's direction.
void sg_flow_table_key6(
	const struct sg_flow_table *table, const struct sg_pair6 *pair, struct sg_tuple *tuple);

// The addresses of the IPv6 flow that `ref` names.
const struct sg_flow_addresses *sg_flow_table_addresses(
	const struct sg_flow_table *table, sg_flow_ref ref);

// Hashes keys whose hop is 0.
void sg_flow_table_hash(const struct sg_flow_table *table, const struct sg_tuple *tuples,
	unsigned n, uint64_t *ret_hashes);

// Finds up to SG_FLOW_MAX_BURST tuples at once, with prefetching. ret_refs[i] is the flow and the
// direction whose tuple it is; 0: unknown. Afterwards the records found are in the cache.
void sg_flow_table_find_bulk(const struct sg_flow_table *table, const struct sg_tuple *tuples,
	const uint64_t *hashes, unsigned n, sg_flow_ref *ret_refs);
sg_flow_ref sg_flow_table_find(
	const struct sg_flow_table *table, const struct sg_tuple *tuple, uint64_t hash);

// The record that `ref` names; it stays the same flow until it is removed.
struct sg_flow *sg_flow_table_get(const struct sg_flow_table *table, sg_flow_ref ref);

// Asks for the primary buckets of keys that are about to be found one by one, inserted or removed.
void sg_flow_table_prefetch(const struct sg_flow_table *table, const uint64_t *hashes, unsigned n);
// Copies `flow` (its `life` and `embryo` are ours) into a record and enters both directions; of a
// `one_way` flow the client's alone, and `server_hash` is of no meaning. The caller knows that
// neither tuple is there. A flow in an embryo's state also joins the end of the
// embryos' queue. Returns the ref (SG_FLOW_TO_BACKEND), or 0 when there is no record left or
// displacement gave up; nothing changed then.
sg_flow_ref sg_flow_table_insert(struct sg_flow_table *table, const struct sg_flow *flow,
	uint64_t client_hash, uint64_t server_hash);

// The same for an IPv6 flow, with its addresses; both tuples are keys of them.
sg_flow_ref sg_flow_table_insert6(struct sg_flow_table *table, const struct sg_flow *flow,
	const struct sg_flow_addresses *addresses, uint64_t client_hash, uint64_t server_hash);

// The same for all flows that a burst starts, IPv4 and IPv6, at once: their cache misses overlap,
// and no bucket is looked at twice. No two of them have a tuple in common. Their clients' buckets
// should be cached (after a miss), the servers' too.
#define SG_FLOW_MAX_NEWCOMERS 32
struct sg_flow_newcomer {
	const struct sg_flow *flow;
	const struct sg_flow_addresses *addresses; // NULL: IPv4
	uint64_t client_hash;
	uint64_t server_hash;
	sg_flow_ref ref; // returned, as above
};
void sg_flow_table_insert_bulk(
	struct sg_flow_table *table, struct sg_flow_newcomer *newcomers, unsigned n);

// Of up to SG_FLOW_MAX_BURST keys: a bit for each that is not in the table and whose primary bucket
// has room for it, so that entering it will touch no other line.
uint64_t sg_flow_table_fits_bulk(
	const struct sg_flow_table *table, const uint64_t *hashes, unsigned n);

// Takes a flow out. Either direction's ref names it. In bulk the cache misses overlap; a flow that
// is named twice, or is not there any more, is skipped.
void sg_flow_table_remove(struct sg_flow_table *table, sg_flow_ref ref);
void sg_flow_table_remove_bulk(struct sg_flow_table *table, const sg_flow_ref *refs, unsigned n);

// Takes the client's entry out and leaves the server's: the client's next packet is a miss, while
// answers on their way still find the flow. Not for a `one_way` flow: nothing would be left of it.
// The state becomes SG_FLOW_UDP_RELEASED; an embryo
// leaves the queue.
void sg_flow_table_release_client(struct sg_flow_table *table, sg_flow_ref ref);

// Embryos. `embryos_full`: one has to go before another comes, because their share is used up or
// there is no record left; `oldest_embryo` names it (0: there is none). For a burst of `n_more` new
// embryos, `embryos_over` says how many have to go, and `oldest_embryos` names up to `max`, oldest
// first, for `recycle_bulk`, which removes just these, cheaply: they leave the queue together, and
// their entries stay in the index until others take the place. `confirm` takes a flow off the
// queue; a confirmed one stays as it is.
bool sg_flow_table_embryos_full(const struct sg_flow_table *table);
sg_flow_ref sg_flow_table_oldest_embryo(struct sg_flow_table *table);
uint32_t sg_flow_table_embryos_over(const struct sg_flow_table *table, uint32_t n_more);
unsigned sg_flow_table_oldest_embryos(
	const struct sg_flow_table *table, sg_flow_ref *ret_refs, unsigned max);
void sg_flow_table_recycle_bulk(struct sg_flow_table *table, const sg_flow_ref *refs, unsigned n);
void sg_flow_table_confirm(struct sg_flow_table *table, sg_flow_ref ref);
void sg_flow_table_confirm_bulk(struct sg_flow_table *table, const sg_flow_ref *refs, unsigned n);
// Makes the record of an affinity (SG_FLOW_AFFINITY; of nothing else) the youngest embryo.
void sg_flow_table_renew_embryo(struct sg_flow_table *table, sg_flow_ref ref);

struct sg_flow_timeouts {
	uint32_t ticks[SG_FLOW_STATE_COUNT]; // idle time by state
};

// Looks at the next `n_records` records (the sweep goes round and round) and writes the refs of
// those that were idle longer than their state's timeout, at most `max`; it stops early when full.
// The caller counts and removes them. `ret_wrapped` counts how often it passed the end of the
// table, once for each call on an empty one.
unsigned sg_flow_table_sweep(struct sg_flow_table *table, uint32_t n_records, uint32_t now_ticks,
	const struct sg_flow_timeouts *timeouts, sg_flow_ref *ret_refs, unsigned max,
	unsigned *ret_wrapped);

// The record that the sweep looks at next, and the last one that was ever used (0: none).
uint32_t sg_flow_table_sweep_at(const struct sg_flow_table *table);
uint32_t sg_flow_table_used(const struct sg_flow_table *table);

uint32_t sg_flow_table_count(const struct sg_flow_table *table);
uint32_t sg_flow_table_embryos(const struct sg_flow_table *table);
uint32_t sg_flow_table_max(const struct sg_flow_table *table);

// For another thread (a dump): copies record `index` (1 to sg_flow_table_max) if it is in use and
// was not being written. The copy is of one flow, never of two that used the record one after the
// other; fields that the owner changes in place are each whole. `ret_addresses` is written for IPv6
// flows only.
bool sg_flow_table_read(const struct sg_flow_table *table, uint32_t index, struct sg_flow *ret_flow,
	struct sg_flow_addresses *ret_addresses);
