// Next hops of flows, see nexthop.h.
#include "dataplane/nexthop.h"

#include <string.h>

#include "net/headers.h"

static bool is_resolved(const struct sg_routes *routes, uint16_t hop)
{
	return hop != 0 && routes->hops[hop].kind != SG_HOP_UNRESOLVED;
}

static __attribute__((noinline)) struct sg_route_answer find_route6(
	const struct sg_routes *routes, const struct sg_tuple *to, const struct sg_pair6 *pair)
{
	if (to->domain & SG_DOMAIN_LINK)
		return sg_routes_find_neighbour6(routes, to->domain & SG_DOMAIN_PORT, pair->src);
	return sg_routes_find6(routes, pair->src);
}

// Where packets towards a tuple's source go; `pair` has it for IPv6.
static inline struct sg_route_answer find_route(
	const struct sg_routes *routes, const struct sg_tuple *to, const struct sg_pair6 *pair)
{
	if (__builtin_expect(pair != NULL, 0))
		return find_route6(routes, to, pair);
	return sg_routes_find4(routes, to->src_be);
}

static __attribute__((noinline)) bool is_on_link6(
	const struct sg_routes *routes, const struct sg_pair6 *pair)
{
	return sg_routes_is_on_link6(routes, pair->src);
}

static inline bool is_on_link(
	const struct sg_routes *routes, const struct sg_tuple *to, const struct sg_pair6 *pair)
{
	if (__builtin_expect(pair != NULL, 0))
		return is_on_link6(routes, pair);
	return sg_routes_is_on_link4(routes, to->src_be);
}

static struct sg_addr address_of(const struct sg_tuple *to, const struct sg_pair6 *pair)
{
	struct sg_addr addr = {.family = SG_FAMILY_IPV6};

	if (!pair)
		return sg_addr_from_ipv4(to->src_be);
	memcpy(addr.bytes, pair->src, sizeof(addr.bytes));
	return addr;
}

static const struct sg_pair6 *pair_of(
	const struct sg_flow_addresses *addresses, enum sg_flow_direction direction)
{
	return addresses ? sg_flow_pair(addresses, direction) : NULL;
}

// To a client with a link-local address, only what leaves by his own link finds its way: our
// answers, or a backend's beside him (RFC 4291, 2.5.6).
static bool is_cut_off(
	const struct sg_pkt *pkt, const struct sg_flow *flow, const struct sg_backend *backend)
{
	if (flow->mode == SG_FORWARD_SNAT)
		return pkt->flags & SG_PKT_FROM_KERNEL;
	return flow->mode != SG_FORWARD_DSR || backend->route_port != pkt->port;
}

enum sg_drop sg_nexthop_begin(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_pkt *pkt, struct sg_flow *flow, const struct sg_flow_addresses *addresses)
{
	const struct sg_routes *routes = snapshot->routes;
	const struct sg_backend *backend = sg_snapshot_backend(snapshot, flow->backend_slot);
	const struct sg_pair6 *pair = pair_of(addresses, SG_FLOW_TO_BACKEND);
	struct sg_route_answer client = find_route(routes, &flow->client, pair);
	const struct sg_eth_hdr *eth = (const void *)pkt->bytes;

	if (flow->client.domain & SG_DOMAIN_LINK && is_cut_off(pkt, flow, backend))
		return SG_DROP_LINK_LOCAL;
	if (client.kind == SG_ROUTE_NONE || backend->route_kind == SG_ROUTE_NONE)
		return SG_DROP_NO_ROUTE;
	if (client.kind == SG_ROUTE_LOCAL && !(pkt->flags & SG_PKT_FROM_KERNEL))
		return SG_DROP_BAD_ADDRESS; // the node's own: answers would reach its kernel
	if (flow->mode == SG_FORWARD_DSR &&
		!is_on_link(routes, &flow->server, pair_of(addresses, SG_FLOW_TO_CLIENT)))
		return SG_DROP_NO_ROUTE;
	if (!is_resolved(routes, client.hop) && !(pkt->flags & SG_PKT_FROM_KERNEL)) {
		struct sg_addr addr = address_of(&flow->client, pair);

		sg_learned_put(&pipeline->learned, &addr, client.port, eth->src);
	}
	flow->client.hop = client.hop;
	flow->server.hop = backend->hop;
	flow->route_generation = routes->generation;
	return SG_DROP_NONE;
}

// Control looks at wishes every few milliseconds; one a second for each neighbour is plenty.
static void wish(struct sg_pipeline *pipeline, struct sg_learned_client *client,
	const struct sg_addr *addr, uint8_t port)
{
	if (client && client->asked_ms != 0 &&
		pipeline->now_ms - client->asked_ms < SG_LEARNED_ASK_MS)
		return;
	if (client)
		client->asked_ms = pipeline->now_ms;
	sg_wishes_put(pipeline->wishes, (struct sg_wish){.addr = *addr, .port = port});
}

// On the way out, tx makes fragments of what is too long and may be fragmented.
static bool fits(const struct sg_pipeline *pipeline, uint8_t port, const struct sg_pkt *pkt)
{
	return pkt->length <= pipeline->ports[port].mtu + sizeof(struct sg_eth_hdr) ||
	       sg_pkt_may_be_fragmented(pkt);
}

static void send_to(
	struct sg_pipeline *pipeline, const uint8_t mac[6], uint8_t port, struct sg_pkt *pkt)
{
	struct sg_eth_hdr *eth = (void *)pkt->bytes;

	if (!fits(pipeline, port, pkt))
		return sg_pkt_drop(pkt, SG_DROP_TOO_BIG);
	memcpy(eth->dst, mac, 6);
	memcpy(eth->src, pipeline->ports[port].mac, 6);
	pkt->verdict = SG_VERDICT_SEND;
	pkt->out_port = port;
}

static void apply_hop(struct sg_pipeline *pipeline, const struct sg_routes *routes, uint16_t hop,
	struct sg_pkt *pkt)
{
	const struct sg_hop *way = &routes->hops[hop];

	if (__builtin_expect(!fits(pipeline, way->port, pkt), 0))
		return sg_pkt_drop(pkt, SG_DROP_TOO_BIG);
	memcpy(pkt->bytes, way, 12); // destination and source MAC lie there as on the wire
	pkt->verdict = SG_VERDICT_FORWARD;
	pkt->hop = hop;
}

// Looks the way up again. While the kernel does not know the neighbour, the packet goes to the MAC
// that the client spoke from, or waits at the hop that is being resolved. Returns the hop, or 0
// with a verdict set.
static uint16_t find_again(struct sg_pipeline *pipeline, const struct sg_routes *routes,
	const struct sg_tuple *to, const struct sg_pair6 *pair, struct sg_pkt *pkt)
{
	struct sg_route_answer answer = find_route(routes, to, pair);
	struct sg_learned_client *client;
	struct sg_addr addr;

	if (answer.kind == SG_ROUTE_NONE) {
		sg_pkt_drop(pkt, SG_DROP_NO_ROUTE);
		return 0;
	}
	if (is_resolved(routes, answer.hop))
		return answer.hop;

	addr = address_of(to, pair);
	client = sg_learned_find(&pipeline->learned, &addr, answer.port);
	if (answer.kind == SG_ROUTE_ON_LINK)
		wish(pipeline, client, &addr, answer.port);
	if (client) {
		send_to(pipeline, client->mac, answer.port, pkt);
		return 0;
	}
	if (answer.hop == 0)
		sg_pkt_drop(pkt, SG_DROP_NEXTHOP_UNRESOLVED);
	return answer.hop;
}

void sg_nexthop_apply(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_flow *flow, const struct sg_flow_addresses *addresses,
	enum sg_flow_direction direction, struct sg_pkt *pkt)
{
	const struct sg_routes *routes = snapshot->routes;
	const struct sg_pair6 *pair =
		pair_of(addresses, (enum sg_flow_direction)(SG_FLOW_TO_CLIENT - direction));
	// Each tuple carries the hop towards its own source.
	struct sg_tuple *to = direction == SG_FLOW_TO_BACKEND ? &flow->server : &flow->client;

	if (__builtin_expect(flow->route_generation != routes->generation, 0)) {
		flow->client.hop = 0;
		flow->server.hop = 0;
		flow->route_generation = routes->generation;
	}
	if (__builtin_expect(!is_resolved(routes, to->hop), 0)) {
		if (flow->mode == SG_FORWARD_DSR && direction == SG_FLOW_TO_BACKEND &&
			!is_on_link(routes, to, pair))
			return sg_pkt_drop(pkt, SG_DROP_NO_ROUTE);
		to->hop = find_again(pipeline, routes, to, pair, pkt);
		if (to->hop == 0)
			return;
	}
	apply_hop(pipeline, routes, to->hop, pkt);
}

uint16_t sg_nexthop_mtu(const struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_flow *flow, const struct sg_flow_addresses *addresses,
	enum sg_flow_direction direction)
{
	const struct sg_routes *routes = snapshot->routes;
	const struct sg_tuple *to = direction == SG_FLOW_TO_BACKEND ? &flow->server : &flow->client;

	if (flow->route_generation == routes->generation && is_resolved(routes, to->hop))
		return pipeline->ports[routes->hops[to->hop].port].mtu;
	return pipeline
		->ports[find_route(routes, to,
			pair_of(addresses, (enum sg_flow_direction)(SG_FLOW_TO_CLIENT - direction)))
				.port]
		.mtu;
}
