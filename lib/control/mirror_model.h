// What the kernel has told, and the routes that follow from it: the mirror without its sockets.
//
// mirror.c feeds it facts from rtnetlink, and tests feed it by hand. Addresses and routes come as
// whole sets between `begin_routes` and `commit_routes`; neighbours one by one, and as whole sets
// after a dump. From them it derives, per prefix, where packets go, and per neighbour a stable
// index (mirror_hops.h). It also knows which neighbours the kernel should be asked about, and when.
// Control thread only; times are sg_clock_ms().
//
// Which route wins: the longest prefix, as everywhere; for one prefix an address of our own before
// any route, then the lowest metric, then a route through a twin, then the router that advertised
// itself with the higher preference, then the kernel's order. A route that leads through no twin,
// or nowhere, is entered too: it hides shorter prefixes. Only the main table is followed, not
// policy routing.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "control/mirror_elsewhere.h"
#include "control/mirror_hops.h"
#include "control/mirror_parse.h"
#include "service/routes.h"

#define SG_MIRROR_ASK_FIRST_MS 100 // from a failure to the next question; doubled up to the longest
#define SG_MIRROR_ASK_LAST_MS  1000
// How long a neighbour that has just fallen silent is still sent to, at the MAC last known, while
// the kernel is asked for it. On a loaded machine questions and answers get lost or come late, and
// the kernel gives up after three; traffic must not pay for that.
#define SG_MIRROR_DOUBT_MS 15000

struct sg_mirror_candidate;

// The address that each port speaks with in its own name; 0 and ::, none.
struct sg_mirror_speakers {
	uint32_t addr4_be[SG_MAX_PORTS];
	uint8_t addr6[SG_MAX_PORTS][16];
};

struct sg_mirror_model {
	struct sg_mirror_port ports[SG_MAX_PORTS];
	unsigned n_ports;
	struct sg_mirror_hops hops;

	// The set that is being taken in.
	struct sg_mirror_candidate *candidates;
	unsigned n_candidates, max_candidates;
	struct sg_mirror_speakers next_speakers;

	// What followed from the last set.
	struct sg_trie_entry *entries; // one for each prefix, sorted
	unsigned n_entries;
	struct sg_trie *trie4, *trie6;
	struct sg_mirror_speakers speakers;
	struct sg_mirror_elsewhere elsewhere;
	uint16_t generation; // never 0

	struct sg_addr *kept;
	unsigned n_kept;

	uint64_t ask_at_ms; // when a hop is to be asked for or given up next; UINT64_MAX: none is
	bool changed;       // since the last build
	bool full;          // a neighbour got no index
	bool in_dump;       // between begin_neighbours and commit_neighbours
};

// Returns 0 or -ENOMEM.
int sg_mirror_model_init(
	struct sg_mirror_model *model, const struct sg_mirror_port *ports, unsigned n_ports);
void sg_mirror_model_fini(struct sg_mirror_model *model);

// A whole set of addresses and routes, in the kernel's order. Returns 0 or -ENOMEM; until
// `commit_routes` succeeds, what followed from the set before stays.
void sg_mirror_model_begin_routes(struct sg_mirror_model *model);
int sg_mirror_model_add_address(
	struct sg_mirror_model *model, const struct sg_mirror_address *address);
int sg_mirror_model_add_route(struct sg_mirror_model *model, const struct sg_mirror_route *route);
int sg_mirror_model_commit_routes(struct sg_mirror_model *model, uint64_t now_ms);

// One neighbour changed. Between `begin_neighbours` and `commit_neighbours`: the set of all, the
// others are gone; no other function may be called meanwhile.
void sg_mirror_model_set_neighbour(struct sg_mirror_model *model,
	const struct sg_mirror_neighbour *neighbour, uint64_t now_ms);
void sg_mirror_model_begin_neighbours(struct sg_mirror_model *model);
void sg_mirror_model_commit_neighbours(struct sg_mirror_model *model, uint64_t now_ms);

// The addresses whose next hops are kept resolved from now on. Returns 0 or -ENOMEM (the old ones
// stay).
int sg_mirror_model_keep(struct sg_mirror_model *model, const struct sg_addr *addresses, unsigned n,
	uint64_t now_ms);

// The neighbour to resolve for packets to `addr` which leave by `port`: a gateway, or `addr`
// itself.
struct sg_addr sg_mirror_model_next_hop(
	const struct sg_mirror_model *model, unsigned port, const struct sg_addr *addr);

// Calls `ask` for each hop that the kernel should be told about now: to resolve it and keep it so
// (`keep`), or to leave it to itself again. Notes when each is due again.
void sg_mirror_model_ask(struct sg_mirror_model *model, uint64_t now_ms,
	void (*ask)(void *context, const struct sg_mirror_hop *hop, bool keep), void *context);

// As sg_mirror_build. Takes `changed` back.
struct sg_routes *sg_mirror_model_build(struct sg_mirror_model *model);
