// The snapshot: the desired state compiled into what a packet needs, immutable from publication to
// reclaim.
//
// Control builds one, publishes its pointer, and frees the parts that no newer snapshot shares once
// every worker has passed a quiescent state. A worker reads the pointer once a turn and passes it
// to each stage as `const`. Services and backends are named by slot; a flow keeps slot +
// generation, never a pointer.
//
// Services and pages are in a row of successive snapshots. So nobody counts who has them: each
// snapshot lists those of the one before that it does not have any more, and they are freed with
// the latter, when all that are older have gone. What a change costs does not depend on how many
// there are, but for two arrays of pointers.
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "service/index.h"
#include "service/index6.h"
#include "service/routes.h"
#include "service/settings.h"
#include "service/state.h"
#include "service/trie.h"

// What a backend slot is to the flows that use it.
enum sg_backend_life {
	SG_BACKEND_FREE = 0,
	SG_BACKEND_ACTIVE = 1,   // new flows welcome (weight permitting)
	SG_BACKEND_DRAINING = 2, // `drain`: no new flows, old ones stay as long as they like
	SG_BACKEND_REMOVED = 3,  // deleted: TCP flows may finish, UDP flows pick anew
	SG_BACKEND_DEAD = 4,     // drain time over: what still comes is answered with RST
	SG_BACKEND_OUTSIDE = 5,  // of backend_cidrs, whatever else it is: as DEAD
};

// The word that every packet of a known flow compares: generation << 8 | life.
#define SG_BACKEND_WORD(generation, life) ((uint32_t)(generation) << 8 | (life))

struct sg_backend {
	uint32_t addr4_be; // 0 for IPv6
	uint16_t port_be;
	uint16_t generation; // of the slot; never 0
	uint16_t hop;        // towards the address, at the routes' generation; 0: none
	uint8_t route_kind;  // enum sg_route_kind
	uint8_t route_port;
	uint16_t weight;
	uint8_t life; // enum sg_backend_life
	uint8_t reserved0;
	uint32_t service_slot;
	uint32_t max_connections; // 0: its service's
	struct sg_addr addr;
	uint8_t reserved2[20];
};
static_assert(sizeof(struct sg_backend) == 64, "a backend is one cache line");

// Shared by all snapshots in which it is the same.
struct sg_backend_page {
	// Slots of backends that flows may not simply stay with: neither ACTIVE nor DRAINING, and
	// not never used. While there is none, a hit need not look at its backend's word, which
	// would be a cache miss where there are many backends: the slot has the tenant that the
	// flow began with, since one whose tenant went is given out again only when no flow can
	// name it (slots.h).
	uint32_t n_uneasy;
	uint64_t born;                   // the generation that it was made for
	struct sg_backend_page *retired; // the next that the same snapshot was the last to have
	uint32_t words[SG_BACKENDS_PER_PAGE];
	_Alignas(64) struct sg_backend backends[SG_BACKENDS_PER_PAGE];
};

// The usable backends of one family: active, with a weight above 0. A client is only ever given one
// of its own family.
struct sg_backend_set {
	uint32_t n_backends;
	uint32_t table_size;
	uint32_t total_weight;
	const uint32_t *backend_slots; // [n_backends], in the order of address and port
	const uint16_t *weights;       // [n_backends]
	// maglev, sh: each entry is an index into backend_slots. wrr: the sequence to walk.
	// Otherwise NULL.
	const uint16_t *table;
};

enum sg_set {
	SG_SET_IPV4,
	SG_SET_IPV6,
	SG_SET_COUNT,
};

// A compiled service. Shared by all snapshots in which it is the same.
struct sg_service {
	uint64_t born;              // the generation that it was made for
	struct sg_service *retired; // the next that the same snapshot was the last to have
	uint32_t slot;
	uint8_t protocol;
	uint8_t scheduler; // enum sg_scheduler
	uint8_t forward;   // enum sg_forward
	uint8_t affinity;
	uint8_t existing; // enum sg_existing
	bool limited;     // some limit is set
	struct sg_limits limits;
	uint16_t port_be;
	uint32_t vip4_be; // 0: none
	uint32_t affinity_timeout_s;
	struct sg_backend_set sets[SG_SET_COUNT];
	uint8_t vip6[16];             // ::: none
	struct sg_policy *policy;     // NULL: everyone may
	struct sg_service_spec *spec; // a reference: the name for people, never read by a worker
};

// Whether any worker can tell from the packet alone to which backend a flow goes, and the packet is
// carried across without choosing anything: then flows are only a memory of what the table said
// when they began, and a packet may go without one.
static inline bool sg_service_is_stateless(const struct sg_service *service)
{
	return service->forward != SG_FORWARD_SNAT && service->affinity == SG_AFFINITY_NONE &&
	       (service->scheduler == SG_SCHEDULER_MAGLEV || service->scheduler == SG_SCHEDULER_SH);
}

// Kinds of our own addresses, as bits of the address index's values.
#define SG_ADDRESS_VIP      0x1u // a service has it (a draining one counts)
#define SG_ADDRESS_SNAT     0x2u
#define SG_ADDRESS_ANNOUNCE 0x4u // workers answer ARP / NDP for it

#define SG_VIP_KEY(addr_be, port_be, protocol) \
	((uint64_t)(addr_be) << 32 | (uint64_t)(port_be) << 16 | (protocol))
// The same beside an IPv6 address.
#define SG_VIP6_REST(port_be, protocol) ((uint32_t)(port_be) << 16 | (protocol))

struct sg_snapshot {
	uint64_t generation;
	struct sg_index *vips4;       // SG_VIP_KEY -> service slot
	struct sg_index *addresses4;  // address -> SG_ADDRESS_ bits
	struct sg_index *dnat4;       // SG_VIP_KEY of a dnat service's backend -> backend slot;
				      // also with port and protocol 0, for fragments
	struct sg_index6 *vips6;      // (VIP, SG_VIP6_REST) -> service slot
	struct sg_index6 *addresses6; // (address, 0) -> SG_ADDRESS_ bits
	struct sg_index6 *dnat6;      // (backend, SG_VIP6_REST) -> backend slot
	struct sg_service **services; // by slot; NULL where free
	uint32_t n_service_slots;
	struct sg_backend_page **pages; // by slot / SG_BACKENDS_PER_PAGE; NULL where free
	uint32_t n_pages;
	// The prefixes that backends may lie in; NULL: anywhere. Asked at the packet, although a
	// state with a backend outside is refused.
	struct sg_trie *cidrs4, *cidrs6;
	struct sg_policy *policy; // for all services; NULL: everyone may
	bool policy_ends;         // it holds for existing flows as well
	// Grows when flows that exist are to be held against policies that end them.
	uint64_t policy_epoch;
	struct sg_routes *routes;
	struct sg_hash_key maglev_key; // the same on all nodes
	enum sg_unserved unserved;
	struct sg_timeouts timeouts; // none is 0
	uint64_t settings_since;     // the generation since which these and the prefixes hold
	// Control thread only.
	struct sg_snapshot *next; // compiled after this one
	bool given_back;          // no worker sees it; it waits for those that are older
	// What the one before has and this one has not.
	struct sg_service *retired_services;
	struct sg_backend_page *retired_pages;
};

static inline const struct sg_backend_page *sg_snapshot_backend_page(
	const struct sg_snapshot *snapshot, uint32_t slot)
{
	return snapshot->pages[slot / SG_BACKENDS_PER_PAGE];
}

static inline const struct sg_backend *sg_snapshot_backend(
	const struct sg_snapshot *snapshot, uint32_t slot)
{
	return &snapshot->pages[slot / SG_BACKENDS_PER_PAGE]->backends[slot % SG_BACKENDS_PER_PAGE];
}

static inline bool sg_backend_word_is_uneasy(uint32_t word)
{
	return word != 0 && (word & 0xff) != SG_BACKEND_ACTIVE &&
	       (word & 0xff) != SG_BACKEND_DRAINING;
}

// The backend word of a slot that a flow remembers. Pages are never taken away while a flow may
// name them.
static inline uint32_t sg_snapshot_backend_word(const struct sg_snapshot *snapshot, uint32_t slot)
{
	return snapshot->pages[slot / SG_BACKENDS_PER_PAGE]->words[slot % SG_BACKENDS_PER_PAGE];
}

// Whether a packet may leave for a backend of this address.
static inline bool sg_snapshot_may_reach4(const struct sg_snapshot *snapshot, uint32_t addr_be)
{
	return !snapshot->cidrs4 || sg_trie_find(snapshot->cidrs4, &addr_be) != SG_TRIE_NONE;
}

static inline bool sg_snapshot_may_reach6(
	const struct sg_snapshot *snapshot, const uint8_t addr[16])
{
	return !snapshot->cidrs6 || sg_trie_find(snapshot->cidrs6, addr) != SG_TRIE_NONE;
}

static inline bool sg_snapshot_may_reach(
	const struct sg_snapshot *snapshot, const struct sg_addr *addr)
{
	const struct sg_trie *cidrs =
		addr->family == SG_FAMILY_IPV6 ? snapshot->cidrs6 : snapshot->cidrs4;

	return !cidrs || sg_trie_find(cidrs, addr->bytes) != SG_TRIE_NONE;
}

// The service at a VIP, or NULL.
static inline const struct sg_service *sg_snapshot_find_service4(
	const struct sg_snapshot *snapshot, uint32_t addr_be, uint16_t port_be, uint8_t protocol)
{
	uint32_t slot = sg_index_find(snapshot->vips4, SG_VIP_KEY(addr_be, port_be, protocol));

	return slot == SG_INDEX_NONE ? NULL : snapshot->services[slot];
}

static inline const struct sg_service *sg_snapshot_find_service6(const struct sg_snapshot *snapshot,
	const uint8_t addr[16], uint16_t port_be, uint8_t protocol)
{
	uint32_t slot = sg_index6_find(snapshot->vips6, addr, SG_VIP6_REST(port_be, protocol));

	return slot == SG_INDEX_NONE ? NULL : snapshot->services[slot];
}

// SG_ADDRESS_ bits of an address; 0 when it is not ours.
static inline uint32_t sg_snapshot_address4(const struct sg_snapshot *snapshot, uint32_t addr_be)
{
	uint32_t bits = sg_index_find(snapshot->addresses4, addr_be);

	return bits == SG_INDEX_NONE ? 0 : bits;
}

static inline uint32_t sg_snapshot_address6(
	const struct sg_snapshot *snapshot, const uint8_t addr[16])
{
	uint32_t bits = sg_index6_find(snapshot->addresses6, addr, 0);

	return bits == SG_INDEX_NONE ? 0 : bits;
}
