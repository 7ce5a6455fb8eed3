// From the kernel's facts to routes, see mirror_model.h.
#include "control/mirror_model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Who wins for one prefix: the lower rank.
enum rank {
	RANK_OWN = 0,       // an address on a twin
	RANK_ELSEWHERE = 1, // an address of the kernel on another interface: not for us to route to
	RANK_ROUTE = 2,
};

struct sg_mirror_candidate {
	struct sg_mirror_route route;
	uint8_t rank;
	unsigned order;
};

int sg_mirror_model_init(
	struct sg_mirror_model *model, const struct sg_mirror_port *ports, unsigned n_ports)
{
	*model = (struct sg_mirror_model){
		.n_ports = n_ports, .generation = 1, .ask_at_ms = UINT64_MAX};
	memcpy(model->ports, ports, n_ports * sizeof(ports[0]));
	if (sg_mirror_hops_init(&model->hops, n_ports))
		return -ENOMEM;
	model->trie4 = sg_trie_create(NULL, 0, SG_FAMILY_IPV4);
	model->trie6 = sg_trie_create(NULL, 0, SG_FAMILY_IPV6);
	if (model->trie4 && model->trie6)
		return 0;
	sg_mirror_model_fini(model);
	return -ENOMEM;
}

void sg_mirror_model_fini(struct sg_mirror_model *model)
{
	sg_mirror_hops_fini(&model->hops);
	sg_trie_unref(model->trie4);
	sg_trie_unref(model->trie6);
	free(model->candidates);
	free(model->entries);
	free(model->kept);
	sg_mirror_elsewhere_fini(&model->elsewhere);
	*model = (struct sg_mirror_model){0};
}

static void renew_generation(struct sg_mirror_model *model)
{
	model->generation = model->generation == UINT16_MAX ? 1 : model->generation + 1;
	model->changed = true;
}

// Taking in addresses and routes.

void sg_mirror_model_begin_routes(struct sg_mirror_model *model)
{
	model->n_candidates = 0;
	model->next_speakers = (struct sg_mirror_speakers){0};
	sg_mirror_elsewhere_begin(&model->elsewhere);
}

static int add_candidate(
	struct sg_mirror_model *model, const struct sg_mirror_route *route, enum rank rank)
{
	if (model->n_candidates == model->max_candidates) {
		unsigned max = model->max_candidates ? 2 * model->max_candidates : 64;
		void *grown = realloc(model->candidates, max * sizeof(model->candidates[0]));

		if (!grown)
			return -ENOMEM;
		model->candidates = grown;
		model->max_candidates = max;
	}
	model->candidates[model->n_candidates] = (struct sg_mirror_candidate){
		.route = *route, .rank = rank, .order = model->n_candidates};
	model->n_candidates++;
	return 0;
}

// The first address of a port that is fit to speak with becomes its speaker.
static void take_speaker(
	struct sg_mirror_speakers *speakers, const struct sg_mirror_address *address)
{
	static const uint8_t none[16];
	uint32_t *speaker4 = &speakers->addr4_be[address->port];
	uint8_t *speaker6 = speakers->addr6[address->port];

	if (address->secondary)
		return;
	if (address->addr.family == SG_FAMILY_IPV4 && *speaker4 == 0)
		*speaker4 = sg_addr_ipv4_be(&address->addr);
	if (address->addr.family == SG_FAMILY_IPV6 && memcmp(speaker6, none, sizeof(none)) == 0)
		memcpy(speaker6, address->addr.bytes, sizeof(none));
}

int sg_mirror_model_add_address(
	struct sg_mirror_model *model, const struct sg_mirror_address *address)
{
	struct sg_mirror_route route = {
		.prefix = {.addr = address->addr,
			.length = (uint8_t)sg_family_bits(address->addr.family)},
		.port = address->port,
	};

	if (address->port == SG_MIRROR_ELSEWHERE) {
		int err = sg_mirror_elsewhere_add(
			&model->elsewhere, &address->addr, address->ifindex);

		return err ? err : add_candidate(model, &route, RANK_ELSEWHERE);
	}
	take_speaker(&model->next_speakers, address);
	route.kind = SG_ROUTE_LOCAL;
	return add_candidate(model, &route, RANK_OWN);
}

int sg_mirror_model_add_route(struct sg_mirror_model *model, const struct sg_mirror_route *route)
{
	return add_candidate(model, route, RANK_ROUTE);
}

// By prefix, and within one the winner first.
static int compare_candidates(const void *left, const void *right)
{
	const struct sg_mirror_candidate *a = left, *b = right;
	int order = sg_addr_compare(&a->route.prefix.addr, &b->route.prefix.addr);

	if (order)
		return order;
	if (a->route.prefix.length != b->route.prefix.length)
		return a->route.prefix.length < b->route.prefix.length ? -1 : 1;
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	if (a->route.metric != b->route.metric)
		return a->route.metric < b->route.metric ? -1 : 1;
	// The device below a twin may carry the same subnet as the twin.
	if ((a->route.kind == SG_ROUTE_NONE) != (b->route.kind == SG_ROUTE_NONE))
		return a->route.kind == SG_ROUTE_NONE ? 1 : -1;
	if (a->route.rank != b->route.rank)
		return a->route.rank < b->route.rank ? -1 : 1;
	return a->order < b->order ? -1 : 1;
}

static void set_mark(struct sg_mirror_hops *hops, uint32_t index, bool marked)
{
	sg_mirror_hops_lift(hops, index);
	hops->hops[index].marked = marked;
	sg_mirror_hops_settle(hops, index);
}

static void clear_marks(struct sg_mirror_hops *hops)
{
	for (uint32_t i = hops->first; i < hops->n_hops; i++)
		set_mark(hops, i, false);
}

// The index of a neighbour, marked so that it is not given away while the others are looked up.
static uint32_t mark_hop(struct sg_mirror_model *model, uint8_t port, const struct sg_addr *addr)
{
	bool reused = false;
	uint32_t index = sg_mirror_hops_get(&model->hops, port, addr, &reused);

	if (reused)
		renew_generation(model);
	if (!index) {
		model->full = true;
		return 0;
	}
	set_mark(&model->hops, index, true);
	return index;
}

static uint32_t trie_value_of(struct sg_mirror_model *model, const struct sg_mirror_route *route)
{
	uint32_t hop = 0;

	if (route->kind == SG_ROUTE_NONE)
		return SG_ROUTE_VALUE(SG_ROUTE_NONE, 0, 0);
	if (route->kind == SG_ROUTE_LOCAL)
		hop = route->port + 1u;
	if (route->kind == SG_ROUTE_HOP) {
		hop = mark_hop(model, route->port, &route->gateway);
		if (!hop)
			return SG_ROUTE_VALUE(SG_ROUTE_NONE, 0, 0);
	}
	return SG_ROUTE_VALUE(route->kind, route->port, hop);
}

// One entry for each prefix, from the winners. Marks the gateways. NULL without memory.
static struct sg_trie_entry *resolve_candidates(struct sg_mirror_model *model, unsigned *ret_n)
{
	struct sg_trie_entry *entries = calloc(model->n_candidates + 1, sizeof(entries[0]));
	unsigned n = 0;

	if (!entries)
		return NULL;
	if (model->n_candidates)
		qsort(model->candidates, model->n_candidates, sizeof(model->candidates[0]),
			compare_candidates);
	for (unsigned i = 0; i < model->n_candidates; i++) {
		const struct sg_mirror_route *route = &model->candidates[i].route;
		const struct sg_prefix *last = n ? &entries[n - 1].prefix : NULL;

		if (last && last->length == route->prefix.length &&
			sg_addr_equal(&last->addr, &route->prefix.addr))
			continue;
		entries[n].prefix = route->prefix;
		entries[n].value = trie_value_of(model, route);
		n++;
	}
	*ret_n = n;
	return entries;
}

static bool same_entries(
	const struct sg_trie_entry *a, unsigned n_a, const struct sg_trie_entry *b, unsigned n_b)
{
	if (n_a != n_b)
		return false;
	for (unsigned i = 0; i < n_a; i++) {
		if (a[i].value != b[i].value || a[i].prefix.length != b[i].prefix.length ||
			!sg_addr_equal(&a[i].prefix.addr, &b[i].prefix.addr))
			return false;
	}
	return true;
}

static void look_again_at(struct sg_mirror_model *model, uint64_t at_ms)
{
	if (at_ms < model->ask_at_ms)
		model->ask_at_ms = at_ms;
}

static void be_due(struct sg_mirror_model *model, struct sg_mirror_hop *hop, uint64_t at_ms)
{
	hop->ask_at_ms = at_ms;
	look_again_at(model, at_ms);
}

enum wish {
	WISH_GATEWAY,
	WISH_KEPT,
};

// The marked hops become the gateways, or the kept ones, and no others are.
static void apply_marks(struct sg_mirror_model *model, enum wish wish, uint64_t now_ms)
{
	struct sg_mirror_hops *hops = &model->hops;

	for (uint32_t i = hops->first; i < hops->n_hops; i++) {
		struct sg_mirror_hop *hop = &hops->hops[i];
		bool *flag = wish == WISH_GATEWAY ? &hop->gateway : &hop->kept;
		bool was_wanted = sg_mirror_hop_wanted(hop);

		sg_mirror_hops_lift(hops, i);
		*flag = hop->marked;
		hop->marked = false;
		sg_mirror_hops_settle(hops, i);
		if (was_wanted == sg_mirror_hop_wanted(hop))
			continue;
		model->changed = true;
		be_due(model, hop, now_ms);
	}
}

// What the trie of its family says of an address.
static uint32_t trie_find(const struct sg_mirror_model *model, const struct sg_addr *addr)
{
	return sg_trie_find(
		addr->family == SG_FAMILY_IPV4 ? model->trie4 : model->trie6, addr->bytes);
}

// Follows each kept address through the routes as they are now.
static void resolve_kept(struct sg_mirror_model *model, uint64_t now_ms)
{
	for (unsigned i = 0; i < model->n_kept; i++) {
		const struct sg_addr *addr = &model->kept[i];
		uint32_t value = trie_find(model, addr);

		// Gateways are kept in any case, and our own addresses need nobody.
		if (value != SG_TRIE_NONE && value >> 24 == SG_ROUTE_ON_LINK)
			mark_hop(model, (uint8_t)(value >> 16), addr);
	}
	apply_marks(model, WISH_KEPT, now_ms);
}

static int replace_entries(struct sg_mirror_model *model, struct sg_trie_entry *entries, unsigned n)
{
	struct sg_trie *trie4 = sg_trie_create(entries, n, SG_FAMILY_IPV4);
	struct sg_trie *trie6 = sg_trie_create(entries, n, SG_FAMILY_IPV6);

	if (!trie4 || !trie6) {
		sg_trie_unref(trie4);
		sg_trie_unref(trie6);
		return -ENOMEM;
	}
	sg_trie_unref(model->trie4);
	sg_trie_unref(model->trie6);
	model->trie4 = trie4;
	model->trie6 = trie6;
	free(model->entries);
	model->entries = entries;
	model->n_entries = n;
	renew_generation(model);
	return 0;
}

int sg_mirror_model_commit_routes(struct sg_mirror_model *model, uint64_t now_ms)
{
	unsigned n;
	struct sg_trie_entry *entries = resolve_candidates(model, &n);

	if (!entries)
		return -ENOMEM;
	if (same_entries(entries, n, model->entries, model->n_entries)) {
		free(entries);
	} else if (replace_entries(model, entries, n)) {
		free(entries);
		clear_marks(&model->hops);
		return -ENOMEM;
	}
	apply_marks(model, WISH_GATEWAY, now_ms);
	resolve_kept(model, now_ms);
	if (memcmp(&model->speakers, &model->next_speakers, sizeof(model->speakers)) != 0) {
		model->speakers = model->next_speakers;
		model->changed = true;
	}
	sg_mirror_elsewhere_commit(&model->elsewhere);
	return 0;
}

// Taking in neighbours.

static bool needs_asking(const struct sg_mirror_hop *hop)
{
	if (hop->doubted && hop->reachability == SG_MIRROR_FAILED)
		return true;
	if (!sg_mirror_hop_wanted(hop) || hop->reachability == SG_MIRROR_FIXED)
		return false;
	if (hop->reachability == SG_MIRROR_UNKNOWN || hop->reachability == SG_MIRROR_FAILED)
		return true;
	// A kernel before 5.16 manages nothing by itself; asking it again and again keeps the entry
	// alive.
	return !hop->managed;
}

// Whether workers find it: also one that the kernel has no entry of, when it is wanted.
static bool is_known(const struct sg_mirror_hop *hop)
{
	return hop->reachability != SG_MIRROR_UNKNOWN || sg_mirror_hop_wanted(hop);
}

// Writes a neighbour's new state into its hop, and notes whether workers or the kernel have to hear
// of it.
static void update_hop(struct sg_mirror_model *model, uint32_t index,
	const struct sg_mirror_neighbour *neighbour, uint64_t now_ms)
{
	struct sg_mirror_hop *hop = &model->hops.hops[index];
	struct sg_mirror_hop old = *hop;

	sg_mirror_hops_lift(&model->hops, index);
	hop->reachability = neighbour->reachability;
	hop->managed = neighbour->managed;
	sg_mirror_hops_settle(&model->hops, index);
	if (hop->reachability >= SG_MIRROR_STALE) {
		memcpy(hop->mac, neighbour->mac, sizeof(hop->mac));
		hop->backoff_ms = 0;
		hop->doubted = false;
		// An operator has taken over. To let go of what was asked for before would be to
		// ask, and the kernel makes an ordinary entry of a permanent one that is asked for.
		if (hop->reachability == SG_MIRROR_FIXED)
			hop->asked = false;
	} else if (hop->reachability == SG_MIRROR_UNKNOWN) {
		hop->doubted = false; // somebody deleted it
	} else if (old.reachability >= SG_MIRROR_STALE) {
		hop->doubted = true;
		hop->doubted_until_ms = now_ms + SG_MIRROR_DOUBT_MS;
		look_again_at(model, hop->doubted_until_ms);
	}
	if (sg_mirror_hop_usable(hop) != sg_mirror_hop_usable(&old) ||
		is_known(hop) != is_known(&old) || memcmp(hop->mac, old.mac, sizeof(old.mac)) != 0)
		model->changed = true;
	if (needs_asking(hop))
		be_due(model, hop, now_ms + hop->backoff_ms);
}

void sg_mirror_model_set_neighbour(
	struct sg_mirror_model *model, const struct sg_mirror_neighbour *neighbour, uint64_t now_ms)
{
	uint32_t index = sg_mirror_hops_find(&model->hops, neighbour->port, &neighbour->addr);

	if (!index && neighbour->reachability == SG_MIRROR_UNKNOWN)
		return;
	index = mark_hop(model, neighbour->port, &neighbour->addr);
	if (!index)
		return;
	update_hop(model, index, neighbour, now_ms);
	if (!model->in_dump)
		set_mark(&model->hops, index, false);
}

void sg_mirror_model_begin_neighbours(struct sg_mirror_model *model)
{
	model->in_dump = true;
}

void sg_mirror_model_commit_neighbours(struct sg_mirror_model *model, uint64_t now_ms)
{
	static const struct sg_mirror_neighbour gone = {.reachability = SG_MIRROR_UNKNOWN};
	struct sg_mirror_hops *hops = &model->hops;

	for (uint32_t i = hops->first; i < hops->n_hops; i++) {
		if (!hops->hops[i].marked && hops->hops[i].reachability != SG_MIRROR_UNKNOWN)
			update_hop(model, i, &gone, now_ms);
	}
	clear_marks(hops);
	model->in_dump = false;
}

// What the kernel is asked for.

int sg_mirror_model_keep(
	struct sg_mirror_model *model, const struct sg_addr *addresses, unsigned n, uint64_t now_ms)
{
	struct sg_addr *kept = malloc((n + 1) * sizeof(kept[0]));

	if (!kept)
		return -ENOMEM;
	if (n)
		memcpy(kept, addresses, n * sizeof(kept[0]));
	free(model->kept);
	model->kept = kept;
	model->n_kept = n;
	resolve_kept(model, now_ms);
	return 0;
}

struct sg_addr sg_mirror_model_next_hop(
	const struct sg_mirror_model *model, unsigned port, const struct sg_addr *addr)
{
	uint32_t value = trie_find(model, addr);

	if (value == SG_TRIE_NONE || value >> 24 != SG_ROUTE_HOP || (uint8_t)(value >> 16) != port)
		return *addr;
	return model->hops.hops[(uint16_t)value].addr;
}

// A neighbour that stayed silent for too long is given up.
static void end_doubt(struct sg_mirror_model *model, struct sg_mirror_hop *hop, uint64_t now_ms)
{
	if (!hop->doubted)
		return;
	if (now_ms < hop->doubted_until_ms)
		return look_again_at(model, hop->doubted_until_ms);
	hop->doubted = false;
	model->changed = true;
}

void sg_mirror_model_ask(struct sg_mirror_model *model, uint64_t now_ms,
	void (*ask)(void *context, const struct sg_mirror_hop *hop, bool keep), void *context)
{
	struct sg_mirror_hops *hops = &model->hops;

	if (now_ms < model->ask_at_ms)
		return;
	model->ask_at_ms = UINT64_MAX;
	for (uint32_t i = hops->first; i < hops->n_hops; i++) {
		struct sg_mirror_hop *hop = &hops->hops[i];

		end_doubt(model, hop, now_ms);
		if (hop->asked && !sg_mirror_hop_wanted(hop)) {
			ask(context, hop, false);
			hop->asked = false;
		}
		if (!needs_asking(hop))
			continue;
		if (hop->ask_at_ms <= now_ms) {
			hop->asked = sg_mirror_hop_wanted(hop);
			ask(context, hop, hop->asked);
			hop->backoff_ms =
				hop->backoff_ms ? 2 * hop->backoff_ms : SG_MIRROR_ASK_FIRST_MS;
			if (hop->backoff_ms > SG_MIRROR_ASK_LAST_MS)
				hop->backoff_ms = SG_MIRROR_ASK_LAST_MS;
			hop->ask_at_ms = now_ms + hop->backoff_ms;
		}
		be_due(model, hop, hop->ask_at_ms);
	}
}

// Building what workers read.

// Whether an on-link address of the family may lead to this hop.
static bool in_index(const struct sg_mirror_hop *hop, enum sg_family family)
{
	return hop->addr.family == family && is_known(hop);
}

static void fill_hops(const struct sg_mirror_model *model, struct sg_hop *ret_hops)
{
	for (uint32_t i = 1; i < model->hops.n_hops; i++) {
		const struct sg_mirror_hop *from = &model->hops.hops[i];
		bool twin = i < model->hops.first;
		const struct sg_mirror_port *port = &model->ports[twin ? i - 1 : from->port];
		struct sg_hop *hop = &ret_hops[i];

		hop->port = twin ? (uint8_t)(i - 1) : from->port;
		hop->kind = twin ? SG_HOP_TWIN : SG_HOP_UNRESOLVED;
		if (!twin && sg_mirror_hop_usable(from))
			hop->kind = SG_HOP_PORT;
		memcpy(hop->src_mac, port->mac, sizeof(hop->src_mac));
		memcpy(hop->dst_mac, twin ? port->mac : from->mac, sizeof(hop->dst_mac));
	}
}

static uint32_t count_neighbours(const struct sg_mirror_hops *hops, enum sg_family family)
{
	uint32_t n = 0;

	for (uint32_t i = hops->first; i < hops->n_hops; i++)
		n += in_index(&hops->hops[i], family);
	return n;
}

static struct sg_index *index_neighbours4(const struct sg_mirror_hops *hops)
{
	struct sg_index *index = sg_index_create(count_neighbours(hops, SG_FAMILY_IPV4));

	for (uint32_t i = hops->first; index && i < hops->n_hops; i++) {
		const struct sg_mirror_hop *hop = &hops->hops[i];

		if (in_index(hop, SG_FAMILY_IPV4))
			sg_index_put(
				index, SG_NEIGHBOUR_KEY(hop->port, sg_addr_ipv4_be(&hop->addr)), i);
	}
	return index;
}

static struct sg_index6 *index_neighbours6(const struct sg_mirror_hops *hops)
{
	struct sg_index6 *index = sg_index6_create(count_neighbours(hops, SG_FAMILY_IPV6));

	for (uint32_t i = hops->first; index && i < hops->n_hops; i++) {
		const struct sg_mirror_hop *hop = &hops->hops[i];

		if (in_index(hop, SG_FAMILY_IPV6))
			sg_index6_put(index, hop->addr.bytes, hop->port, i);
	}
	return index;
}

struct sg_routes *sg_mirror_model_build(struct sg_mirror_model *model)
{
	struct sg_routes *routes = sg_routes_create_empty();
	struct sg_hop *hops = calloc(model->hops.n_hops, sizeof(hops[0]));
	struct sg_index *neighbours4 = index_neighbours4(&model->hops);
	struct sg_index6 *neighbours6 = index_neighbours6(&model->hops);

	if (!routes || !hops || !neighbours4 || !neighbours6) {
		sg_routes_unref(routes);
		sg_index_unref(neighbours4);
		sg_index6_unref(neighbours6);
		free(hops);
		return NULL;
	}
	fill_hops(model, hops);
	free(routes->hops);
	routes->hops = hops;
	routes->n_hops = (uint16_t)model->hops.n_hops;
	sg_index_unref(routes->neighbours4);
	routes->neighbours4 = neighbours4;
	sg_index6_unref(routes->neighbours6);
	routes->neighbours6 = neighbours6;
	sg_trie_unref(routes->ipv4);
	routes->ipv4 = sg_trie_ref(model->trie4);
	sg_trie_unref(routes->ipv6);
	routes->ipv6 = sg_trie_ref(model->trie6);
	routes->generation = model->generation;
	memcpy(routes->port_addr4_be, model->speakers.addr4_be, sizeof(routes->port_addr4_be));
	memcpy(routes->port_addr6, model->speakers.addr6, sizeof(routes->port_addr6));
	model->changed = false;
	return routes;
}
