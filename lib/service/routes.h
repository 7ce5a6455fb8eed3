// Where packets go next: the kernel's routes and neighbours, mirrored by control into an immutable
// part of the snapshot.
//
// A hop is an index. Control keeps an index's meaning stable: while one address is a neighbour, it
// has one index, and a changed MAC is a new content at the same index. When an index may mean
// something else, or a route changed, `generation` changes, and flows look their hops up again
// (they carry the generation they looked up with).
#pragma once

#include <assert.h>
#include <stdint.h>

#include "net/addr.h"
#include "service/index6.h"
#include "service/limits.h"
#include "service/trie.h"

enum sg_hop_kind {
	SG_HOP_NONE = 0,       // index not in use
	SG_HOP_UNRESOLVED = 1, // the kernel is asking for its MAC
	SG_HOP_PORT = 2,       // out of `port`, with the MACs given
	SG_HOP_TWIN = 3,       // into the kernel through the twin of `port`
};

struct sg_hop {
	uint8_t dst_mac[6]; // the first 12 bytes are as on the wire
	uint8_t src_mac[6];
	uint8_t port;
	uint8_t kind;
	uint16_t vlan; // 0: untagged
};
static_assert(sizeof(struct sg_hop) == 16, "a hop is one 16-byte load");

enum sg_route_kind {
	SG_ROUTE_NONE,    // no route through a port
	SG_ROUTE_HOP,     // `hop` is known (it may still be unresolved)
	SG_ROUTE_ON_LINK, // a neighbour on `port` that nobody has asked for yet
	SG_ROUTE_LOCAL,   // an address of the kernel on the twin of `port`; `hop` leads there
};

struct sg_route_answer {
	uint8_t kind; // enum sg_route_kind
	uint8_t port;
	uint16_t hop; // 0 unless SG_ROUTE_HOP or SG_ROUTE_LOCAL
};

struct sg_routes {
	unsigned refs;       // base/refs.h
	uint16_t generation; // never 0
	uint16_t n_hops;     // hops[0] is SG_HOP_NONE
	struct sg_hop *hops;
	struct sg_trie *ipv4, *ipv6;   // values: SG_ROUTE_VALUE
	struct sg_index *neighbours4;  // SG_NEIGHBOUR_KEY -> hop
	struct sg_index6 *neighbours6; // (address, port) -> hop
	// An address that the kernel has on each port's twin, for answers in our own name; 0, ::
	// none. The IPv6 one is global.
	uint32_t port_addr4_be[SG_MAX_PORTS];
	uint8_t port_addr6[SG_MAX_PORTS][16];
};

// What the trie holds: kind << 24 | port << 16 | hop. An on-link route has hop 0: the neighbour is
// looked up by address.
#define SG_ROUTE_VALUE(kind, port, hop) ((uint32_t)(kind) << 24 | (uint32_t)(port) << 16 | (hop))
#define SG_NEIGHBOUR_KEY(port, addr_be) ((uint64_t)(port) << 32 | (addr_be))

// What a worker asks control for: that the kernel resolve a neighbour which it is about to answer;
// or that all workers hear of the MTU on the way to a backend (dataplane/tunnel.h).
struct sg_wish {
	struct sg_addr addr;
	uint8_t port;
	uint16_t mtu; // 0: the neighbour is meant
};

// No routes and no hops, with one reference. NULL without memory.
struct sg_routes *sg_routes_create_empty(void);
struct sg_routes *sg_routes_ref(struct sg_routes *routes);
void sg_routes_unref(struct sg_routes *routes); // NULL is fine

// A route's answer of what the trie says; an on-link one has no hop yet.
static inline struct sg_route_answer sg_route_answer_of(uint32_t trie_value)
{
	if (trie_value == SG_TRIE_NONE)
		return (struct sg_route_answer){.kind = SG_ROUTE_NONE};
	return (struct sg_route_answer){.kind = (uint8_t)(trie_value >> 24),
		.port = (uint8_t)(trie_value >> 16),
		.hop = (uint16_t)trie_value};
}

// Any thread that holds the snapshot. At most four dependent reads and one hash probe.
static inline struct sg_route_answer sg_routes_find4(
	const struct sg_routes *routes, uint32_t addr_be)
{
	struct sg_route_answer answer = sg_route_answer_of(sg_trie_find(routes->ipv4, &addr_be));
	uint32_t hop;

	if (answer.kind != SG_ROUTE_ON_LINK)
		return answer;
	hop = sg_index_find(routes->neighbours4, SG_NEIGHBOUR_KEY(answer.port, addr_be));
	if (hop != SG_INDEX_NONE) {
		answer.kind = SG_ROUTE_HOP;
		answer.hop = (uint16_t)hop;
	}
	return answer;
}

// An IPv6 address on the link of a port.
static inline struct sg_route_answer sg_routes_find_neighbour6(
	const struct sg_routes *routes, uint8_t port, const uint8_t addr[16])
{
	uint32_t hop = sg_index6_find(routes->neighbours6, addr, port);

	if (hop == SG_INDEX_NONE)
		return (struct sg_route_answer){.kind = SG_ROUTE_ON_LINK, .port = port};
	return (struct sg_route_answer){.kind = SG_ROUTE_HOP, .port = port, .hop = (uint16_t)hop};
}

// As sg_routes_find4; at most sixteen dependent reads. Link-local addresses have no route: they
// mean nothing without a port.
static inline struct sg_route_answer sg_routes_find6(
	const struct sg_routes *routes, const uint8_t addr[16])
{
	struct sg_route_answer answer = sg_route_answer_of(sg_trie_find(routes->ipv6, addr));

	if (answer.kind != SG_ROUTE_ON_LINK)
		return answer;
	return sg_routes_find_neighbour6(routes, answer.port, addr);
}

// Whether no router lies on the way: what dsr needs, which leaves the destination address as it is.
static inline bool sg_routes_is_on_link4(const struct sg_routes *routes, uint32_t addr_be)
{
	uint8_t kind = sg_route_answer_of(sg_trie_find(routes->ipv4, &addr_be)).kind;

	return kind == SG_ROUTE_ON_LINK || kind == SG_ROUTE_LOCAL;
}

static inline bool sg_routes_is_on_link6(const struct sg_routes *routes, const uint8_t addr[16])
{
	uint8_t kind = sg_route_answer_of(sg_trie_find(routes->ipv6, addr)).kind;

	return kind == SG_ROUTE_ON_LINK || kind == SG_ROUTE_LOCAL;
}
