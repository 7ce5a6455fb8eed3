// SNAT addresses and ports: the flow table is the allocator, and Toeplitz's linearity keeps replies
// at home.
//
// A flow in `snat` mode leaves with one of our addresses and a port of it, and the backend's reply
// comes back to them. Two things must hold. The reply's tuple (protocol, backend:port, SNAT
// address:port) must be no other flow's: so the port is free exactly when the flow table does not
// know the tuple, and the same address and port serve as many backends at once as there are. And
// home(reply) must be the worker that owns the flow, since a NIC will bring it there.
//
// For the second, hash(tuple) = hash(tuple with port 0) ^ hash(port): Toeplitz is linear. So ports
// fall into 128 classes by what they add to the low 7 bits, about 504 ports a class, and for any
// tuple the classes whose reply comes home are found with one XOR for each of the worker's entries
// in the table of homes. With one worker every class is home.
//
// Which port is taken goes in turns, kept for each backend: a port comes again only after a third
// of all have been taken for it. Backends remember connections that they closed for a minute
// (TIME_WAIT), and a SYN with an older timestamp, as another client's may be, is not believed then:
// its client waits a second for nothing. At up to 350 connections a second to one backend an
// address gives each port that minute. The turns begin at random, so somebody who sees neither side
// of the gateway learns no port.
//
// Up to 3 turns are passed over whose tuple is taken, or would not go into the first of its two
// buckets in the flow table, so that answers find it there. Where a turn's port is taken, its
// backend's turns go on from somewhere else, up to 5 times; then ports at random, 4 at a time with
// prefetched buckets, 32 an address. With a share p of ports in use they all miss a free one with a
// probability of p^32: 3 in 100 at 90 %, where the next address is tried. A flow that is closed
// gives way to a SYN above its last number, and an embryo to anybody: a flood has as many ports as
// there are, and takes them from itself.
//
// All of this holds for IPv6 as for IPv4, with its own addresses and its own classes (the port lies
// elsewhere in what is hashed). The tuple of an IPv6 reply is a key of its addresses, so those
// stand beside it as a pair.
//
// The pool is immutable once created, and is shared by all workers.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "flow/table.h"
#include "net/addr.h"
#include "net/toeplitz.h"

struct sg_snat_pool;

// Ports port_min to port_max (host order, 1 or more) of `n` addresses, 1 or more, of both families
// in any mix. `home` must outlive the pool. With more than one worker every class must have a port,
// or a worker might own none: -EINVAL's sentence says so. NULL with a sentence on failure.
struct sg_snat_pool *sg_snat_pool_create(const struct sg_home *home,
	const struct sg_addr *addresses, unsigned n, uint16_t port_min, uint16_t port_max,
	struct sg_error *error);
void sg_snat_pool_destroy(struct sg_snat_pool *pool); // NULL is fine

// Whether it has an address of the family. The functions below want one of the reply's.
bool sg_snat_pool_has(const struct sg_snat_pool *pool, enum sg_family family);

// One of the addresses, by any number of the caller's: the same for the same number.
uint32_t sg_snat_pool_address4(const struct sg_snat_pool *pool, uint32_t number);
const uint8_t *sg_snat_pool_address6(const struct sg_snat_pool *pool, uint32_t number);

// Where a worker stands, for up to SG_SNAT_TURNS backends; more of them share.
#define SG_SNAT_TURNS 1024

struct sg_snat_turns {
	uint32_t next[SG_SNAT_TURNS];
};

void sg_snat_turns_init(struct sg_snat_turns *turns, uint64_t *random);

// Finding a free reply tuple takes two steps, so that the cache misses of a burst of new flows
// overlap. On entry a reply has the backend as source, the protocol and the domain; its home will
// be `worker`. `random` is the worker's generator (base/random.h). Of an IPv6 reply the tuple's
// domain says that it is one, and the pair beside it has the backend as source and gets the
// destination; for IPv4 the pair is not looked at.
//
// `propose` gives each of up to SG_FLOW_MAX_BURST `replies` (its hop is set to 0) a destination
// that is free, if a few turns find one, and `ret_hashes` its hash in the table; it returns a bit
// for each that is free. `settle` goes on with one of the others, or one whose proposal may have
// been given to a flow inserted meanwhile, just before it is inserted: it takes the proposal if it
// is free after all, and searches otherwise. `syn_seq`: the SYN's sequence number, see
// sg_flow_tcp_may_reuse; anything for UDP. When the tuple belongs to a closed flow or an embryo,
// `ret_old` names it, and the caller removes it before it inserts; otherwise 0. Returns false when
// none was found: `reply`'s destination is then of no meaning.
uint64_t sg_snat_propose(const struct sg_snat_pool *pool, const struct sg_flow_table *table,
	unsigned worker, struct sg_snat_turns *turns, struct sg_tuple *replies,
	struct sg_pair6 *pairs, unsigned n, uint64_t *ret_hashes);
bool sg_snat_settle(const struct sg_snat_pool *pool, const struct sg_flow_table *table,
	unsigned worker, uint64_t *random, uint32_t syn_seq, struct sg_tuple *reply,
	struct sg_pair6 *pair, uint64_t *hash, sg_flow_ref *ret_old);
