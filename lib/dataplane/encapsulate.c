// Mode ipip, see encapsulate.h.
#include "dataplane/encapsulate.h"

#include <string.h>

#include "base/hash.h"
#include "base/random.h"
#include "dataplane/answer.h"
#include "dataplane/nexthop.h"
#include "dataplane/tunnel.h"
#include "net/checksum.h"
#include "net/headers.h"

#define OUTER_BYTES  sizeof(struct sg_ipv4_hdr)
#define OUTER6_BYTES sizeof(struct sg_ipv6_hdr)
#define OUTER_TTL    64
#define OPTION_END   0
#define OPTION_NONE  1
#define OPTION_MSS   2
#define MSS_BYTES    4 // kind, length, value

// The port's, or what routers behind it have said.
static uint16_t outer_mtu(const struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_flow *flow, const struct sg_flow_addresses *addresses)
{
	uint16_t mtu = sg_nexthop_mtu(pipeline, snapshot, flow, addresses, SG_FLOW_TO_BACKEND);
	uint16_t noted = pipeline->tunnels ? sg_tunnel_mtu(pipeline->tunnels, flow->backend_slot,
						     flow->backend_generation, pipeline->now_ticks)
					   : 0;

	return noted != 0 && noted < mtu ? noted : mtu;
}

// RFC 2473, 7.1: no IPv6 link carries less than 1,280 bytes, so nobody is told of a smaller MTU.
static uint16_t inner_mtu(const struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_flow *flow, const struct sg_flow_addresses *addresses)
{
	uint16_t mtu = outer_mtu(pipeline, snapshot, flow, addresses);

	if (!addresses)
		return (uint16_t)(mtu - OUTER_BYTES);
	return mtu < SG_IPV6_MIN_MTU + OUTER6_BYTES ? SG_IPV6_MIN_MTU
						    : (uint16_t)(mtu - OUTER6_BYTES);
}

bool sg_encapsulate_fits(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_flow *flow, const struct sg_flow_addresses *addresses, struct sg_pkt *pkt)
{
	size_t outer_bytes = addresses ? OUTER6_BYTES : OUTER_BYTES;
	uint16_t mtu;

	// fast path: what fits everywhere.
	if (addresses && pkt->length <= sizeof(struct sg_eth_hdr) + SG_IPV6_MIN_MTU - OUTER6_BYTES)
		return true;
	mtu = inner_mtu(pipeline, snapshot, flow, addresses);
	if (pkt->length - sizeof(struct sg_eth_hdr) <= mtu)
		return true;
	// The outer packet is sent in fragments, unless there can be no packet of that length.
	if (sg_pkt_may_be_fragmented(pkt) &&
		pkt->length - sizeof(struct sg_eth_hdr) + outer_bytes <= UINT16_MAX)
		return true;
	sg_answer_too_big(pipeline, snapshot, pkt, mtu);
	return false;
}

// Changes a 16-bit word that may lie at an odd address. Summed as the two words that it may lie in.
static void change_word(struct sg_tcp_hdr *tcp, uint8_t *at, uint16_t value)
{
	uint8_t old[MSS_BYTES] = {0}, new[MSS_BYTES] = {0};
	unsigned odd = (unsigned)(at - (uint8_t *)tcp) & 1;
	uint32_t old_word, new_word;

	memcpy(old + odd, at, 2);
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
	memcpy(new + odd, at, 2);
	memcpy(&old_word, old, 4);
	memcpy(&new_word, new, 4);
	tcp->checksum = sg_checksum_apply(tcp->checksum, sg_checksum_delta32(old_word, new_word));
}

// Lowers a SYN's MSS to what `most` bytes of payload say.
static void clamp_mss(struct sg_pkt *pkt, uint16_t most)
{
	struct sg_tcp_hdr *tcp = (void *)(pkt->bytes + pkt->l4_offset);
	uint8_t *at = (uint8_t *)(tcp + 1), *end = (uint8_t *)tcp + (tcp->offset >> 4) * 4u;

	while (at + 1 < end && *at != OPTION_END) {
		if (*at == OPTION_NONE) {
			at++;
			continue;
		}
		if (at[1] < 2 || at + at[1] > end)
			return; // the end points will say what that is
		if (at[0] == OPTION_MSS && at[1] == MSS_BYTES && (at[2] << 8 | at[3]) > most)
			change_word(tcp, at + 2, most);
		at += at[1];
	}
}

// Spreads flows over what differs outside. IPv6 has its fingerprint where IPv4 has addresses.
static uint64_t hash_of(const struct sg_flow *flow)
{
	const struct sg_tuple *client = &flow->client;

	return sg_mix64(((uint64_t)client->src_be << 32 | (uint32_t)client->sport_be << 16 |
				client->dport_be) ^
			(uint64_t)client->dst_be << 8);
}

static uint32_t outer_source(const struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_flow *flow)
{
	uint8_t port = sg_routes_find4(snapshot->routes, flow->server.src_be).port;
	uint32_t own_be = snapshot->routes->port_addr4_be[port];

	if (pipeline->has_snat4)
		return sg_snat_pool_address4(pipeline->snat, (uint32_t)(hash_of(flow) >> 32));
	// Without an address of our own on this port, as with answers: the one that was spoken to.
	return own_be ? own_be : flow->client.dst_be;
}

static const uint8_t *outer_source6(const struct sg_pipeline *pipeline,
	const struct sg_snapshot *snapshot, const struct sg_flow *flow,
	const struct sg_flow_addresses *addresses)
{
	static const uint8_t none[16];
	uint8_t port = sg_routes_find6(snapshot->routes, addresses->server.src).port;
	const uint8_t *own = snapshot->routes->port_addr6[port];

	if (pipeline->has_snat6)
		return sg_snat_pool_address6(pipeline->snat, (uint32_t)(hash_of(flow) >> 32));
	return memcmp(own, none, 16) != 0 ? own : addresses->client.dst;
}

// Makes room for an outer header before the packet, and puts Ethernet's before that, whose type
// stays and whose MACs come with the next hop. False: there is none, and the packet is settled.
static inline bool grow(struct sg_pkt *pkt, uint16_t bytes)
{
	if (pkt->head < bytes) {
		sg_pkt_drop(pkt, SG_DROP_NO_BUFFER);
		return false;
	}
	memmove(pkt->bytes - bytes, pkt->bytes, sizeof(struct sg_eth_hdr));
	pkt->bytes -= bytes;
	pkt->head = (uint16_t)(pkt->head - bytes);
	pkt->room = (uint16_t)(pkt->room + bytes);
	pkt->length += bytes;
	if (pkt->contiguous)
		pkt->contiguous = (uint16_t)(pkt->contiguous + bytes);
	pkt->l4_offset = (uint8_t)(pkt->l4_offset + bytes);
	return true;
}

static inline bool is_syn(const struct sg_pkt *pkt, const struct sg_flow *flow)
{
	const struct sg_tcp_hdr *tcp = (const void *)(pkt->bytes + pkt->l4_offset);

	return flow->client.proto == SG_PROTO_TCP &&
	       (pkt->class == SG_CLASS_FLOW || pkt->class == SG_CLASS_FLOW6) &&
	       tcp->flags & SG_TCP_SYN;
}

static __attribute__((noinline)) void clamp_syn(const struct sg_pipeline *pipeline,
	const struct sg_snapshot *snapshot, const struct sg_flow *flow,
	const struct sg_flow_addresses *addresses, struct sg_pkt *pkt)
{
	size_t headers = sizeof(struct sg_tcp_hdr) +
			 (addresses ? sizeof(struct sg_ipv6_hdr) : sizeof(struct sg_ipv4_hdr));

	clamp_mss(pkt, (uint16_t)(inner_mtu(pipeline, snapshot, flow, addresses) - headers));
}

// What came in fragments, and 1,280 bytes where even they are too long with their header.
static void cut_to(struct sg_pkt *pkt, uint16_t mtu)
{
	if (pkt->length > mtu + sizeof(struct sg_eth_hdr) && (pkt->cut == 0 || mtu < pkt->cut))
		pkt->cut = mtu;
}

static __attribute__((noinline)) bool encapsulate6(const struct sg_pipeline *pipeline,
	const struct sg_snapshot *snapshot, const struct sg_flow *flow,
	const struct sg_flow_addresses *addresses, struct sg_pkt *pkt)
{
	const struct sg_ipv6_hdr *inner = sg_pkt_ip6(pkt);
	uint32_t traffic_class = __builtin_bswap32(inner->version_class_label_be) & 0x0ff00000;
	// Routers that spread flows may go by the label alone (RFC 6438).
	uint32_t label = (uint32_t)hash_of(flow) & 0xfffff;
	struct sg_ipv6_hdr outer = {.version_class_label_be = __builtin_bswap32(
					    SG_IPV6_VERSION | traffic_class | label),
		.payload_length_be =
			__builtin_bswap16((uint16_t)(pkt->length - sizeof(struct sg_eth_hdr))),
		.next = SG_PROTO_IPV6,
		.hop_limit = OUTER_TTL};

	memcpy(outer.pair.src, outer_source6(pipeline, snapshot, flow, addresses), 16);
	memcpy(outer.pair.dst, addresses->server.src, 16);
	if (!grow(pkt, OUTER6_BYTES))
		return false;
	*sg_pkt_ip6(pkt) = outer;
	if (pkt->length > sizeof(struct sg_eth_hdr) + SG_IPV6_MIN_MTU)
		cut_to(pkt, outer_mtu(pipeline, snapshot, flow, addresses));
	return true;
}

static inline bool encapsulate4(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_flow *flow, struct sg_pkt *pkt)
{
	const struct sg_ipv4_hdr *inner = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	uint16_t dont_fragment = inner->fragment_be & __builtin_bswap16(SG_IPV4_DF);
	struct sg_ipv4_hdr outer = {.version_ihl = 0x45,
		.tos = inner->tos,
		.total_length_be = __builtin_bswap16(
			(uint16_t)(pkt->length - sizeof(struct sg_eth_hdr) + OUTER_BYTES)),
		// Who may be fragmented on the way needs a name (RFC 6864).
		.id_be = dont_fragment ? 0 : (uint16_t)sg_random_next(&pipeline->random),
		.fragment_be = dont_fragment,
		.ttl = OUTER_TTL,
		.proto = SG_PROTO_IPIP,
		.src_be = outer_source(pipeline, snapshot, flow),
		.dst_be = flow->server.src_be};

	outer.checksum = sg_checksum_finish(sg_checksum_add(0, &outer, sizeof(outer)));
	if (!grow(pkt, OUTER_BYTES))
		return false;
	memcpy(pkt->bytes + sizeof(struct sg_eth_hdr), &outer, sizeof(outer));
	return true;
}

bool sg_encapsulate(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_flow *flow, const struct sg_flow_addresses *addresses, struct sg_pkt *pkt)
{
	if (is_syn(pkt, flow))
		clamp_syn(pipeline, snapshot, flow, addresses, pkt);
	return addresses ? encapsulate6(pipeline, snapshot, flow, addresses, pkt)
			 : encapsulate4(pipeline, snapshot, flow, pkt);
}
