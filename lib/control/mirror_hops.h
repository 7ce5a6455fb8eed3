// Next hops by index: which neighbour each index of the snapshot's hop array stands for.
//
// Flows remember indices, so an index keeps its meaning as long as possible. One is given to a
// neighbour (port and address) when it is first heard of or asked for. When the kernel forgets a
// neighbour that nobody needs, its index becomes dormant: it still means that neighbour,
// unresolved, and if the neighbour comes back it has its index again. Only when SG_MIRROR_DORMANT
// others wait, or none is left, is a dormant index given to another neighbour; the caller hears of
// it, since flows then have to look their hops up again.
//
// Index 0 is "none" and indices 1 to n_ports are the twins. Control thread only. Memory for all
// hops is reserved once; the kernel provides pages as they are used.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "control/mirror_parse.h"
#include "service/routes.h"

#define SG_MIRROR_DORMANT     1024
#define SG_MIRROR_MAX_INDICES (SG_MAX_HOPS - 1) // their number has 16 bits in a snapshot

struct sg_mirror_hop {
	struct sg_addr addr; // family SG_FAMILY_NONE: not a neighbour
	uint8_t port;
	uint8_t mac[6];       // the last known
	uint8_t reachability; // enum sg_mirror_reachability
	bool managed;         // the kernel keeps it resolved
	bool gateway;         // of a route
	bool kept;            // a backend's
	bool marked;          // while a new set of gateways, kept ones or neighbours is taken in
	bool asked;           // we asked the kernel to keep it resolved
	bool doubted;         // it has just fallen silent, and is still believed to be there
	uint16_t backoff_ms;  // between one question and the next; 0: none was asked since it was
			      // last usable
	uint64_t ask_at_ms;
	uint64_t doubted_until_ms;
	uint32_t next; // in its hash chain; 0 ends it
};

struct sg_mirror_hops {
	struct sg_mirror_hop *hops; // [SG_MIRROR_MAX_INDICES]
	uint32_t *heads;            // hash chains
	uint32_t n_hops;            // given out so far, 0 and the twins included
	uint32_t first;             // the first that is a neighbour's
	uint32_t n_dormant;
	uint32_t hand; // where the search for a dormant one goes on
};

// Returns 0 or -ENOMEM.
int sg_mirror_hops_init(struct sg_mirror_hops *hops, unsigned n_ports);
void sg_mirror_hops_fini(struct sg_mirror_hops *hops);

// 0: this neighbour has no index.
uint32_t sg_mirror_hops_find(
	const struct sg_mirror_hops *hops, uint8_t port, const struct sg_addr *addr);
// Finds or gives an index; 0 when none is left. `ret_reused` is set (never cleared) when the index
// meant another neighbour before. The hop counts as dormant until the caller has set what it is,
// between `lift` and `settle`.
uint32_t sg_mirror_hops_get(
	struct sg_mirror_hops *hops, uint8_t port, const struct sg_addr *addr, bool *ret_reused);

// Around each change of a hop's `reachability`, `gateway`, `kept` or `marked`: they decide whether
// it is dormant.
void sg_mirror_hops_lift(struct sg_mirror_hops *hops, uint32_t index);
void sg_mirror_hops_settle(struct sg_mirror_hops *hops, uint32_t index);

static inline bool sg_mirror_hop_wanted(const struct sg_mirror_hop *hop)
{
	return hop->gateway || hop->kept;
}

static inline bool sg_mirror_hop_usable(const struct sg_mirror_hop *hop)
{
	return hop->reachability >= SG_MIRROR_STALE || hop->doubted;
}
