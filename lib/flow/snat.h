// SNAT addresses and ports: the flow table is the allocator, and Toeplitz's linearity keeps replies at home.
//
// (The essay belongs here; see the design, section 3, "SNAT ports".)
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "flow/table.h"
#include "net/toeplitz.h"

struct sg_snat_pool;

// Ports port_min to port_max (host order) of `n` addresses, in classes by what a destination port adds to the low 7 bits
// of the Toeplitz hash. Checks at start that the classes are complete (every class has a port). NULL with a sentence on failure.
struct sg_snat_pool *sg_snat_pool_create(const struct sg_home *home, const uint32_t *addresses_be,
	unsigned n, uint16_t port_min, uint16_t port_max, struct sg_error *error);
void sg_snat_pool_destroy(struct sg_snat_pool *pool); // NULL is fine

// Finds a free reply tuple: on entry `reply` has the backend as source, the protocol and the domain; on success also
// destination address and port, and `ret_hash` its hash in the table. home(reply) is `worker`. Tries 4 candidates at a time with
// prefetched buckets, at most 32 an address, then the next address. `syn_seq`: see sg_flow_tcp_may_reuse.
// When the port found belongs to a closed flow, `ret_closed` names it: the caller removes it before it inserts.
// Returns false when none was found.
bool sg_snat_pick(const struct sg_snat_pool *pool, const struct sg_flow_table *table, unsigned worker,
	uint64_t *random, uint32_t syn_seq, struct sg_tuple4 *reply, uint64_t *ret_hash,
	sg_flow_ref *ret_closed);
