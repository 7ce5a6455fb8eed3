// Mode ipip, see encapsulate.h.
#include "dataplane/encapsulate.h"

#include <string.h>

#include "base/hash.h"
#include "base/random.h"
#include "dataplane/answer.h"
#include "dataplane/nexthop.h"
#include "net/checksum.h"
#include "net/headers.h"

#define OUTER_BYTES  sizeof(struct sg_ipv4_hdr)
#define OUTER_TTL    64
#define OPTION_END   0
#define OPTION_NONE  1
#define OPTION_MSS   2
#define MSS_BYTES    4 // kind, length, value
#define MSS_OVERHEAD (sizeof(struct sg_ipv4_hdr) + sizeof(struct sg_tcp_hdr))

static uint16_t inner_mtu(const struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_flow *flow)
{
	return (uint16_t)(sg_nexthop_mtu(pipeline, snapshot, flow, SG_FLOW_TO_BACKEND) -
			  OUTER_BYTES);
}

bool sg_encapsulate_fits(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_flow *flow, struct sg_pkt *pkt)
{
	uint16_t mtu = inner_mtu(pipeline, snapshot, flow);

	if (pkt->length - sizeof(struct sg_eth_hdr) <= mtu)
		return true;
	// The outer packet is sent in fragments, unless there can be no packet of that length.
	if (sg_pkt_may_be_fragmented(pkt) &&
		pkt->length - sizeof(struct sg_eth_hdr) + OUTER_BYTES <= UINT16_MAX)
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

static void clamp_mss(struct sg_pkt *pkt, uint16_t mtu)
{
	struct sg_tcp_hdr *tcp = (void *)(pkt->bytes + pkt->l4_offset);
	uint8_t *at = (uint8_t *)(tcp + 1), *end = (uint8_t *)tcp + (tcp->offset >> 4) * 4u;
	uint16_t most = (uint16_t)(mtu - MSS_OVERHEAD);

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

static uint32_t outer_source(const struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_flow *flow)
{
	const struct sg_tuple *client = &flow->client;
	uint64_t hash = sg_mix64((uint64_t)client->src_be << 32 | (uint32_t)client->sport_be << 16 |
				 client->dport_be);
	uint8_t port = sg_routes_find4(snapshot->routes, flow->server.src_be).port;
	uint32_t own_be = snapshot->routes->port_addr4_be[port];

	if (pipeline->snat)
		return sg_snat_pool_address4(pipeline->snat, (uint32_t)(hash >> 32));
	// Without an address of our own on this port, as with answers: the one that was spoken to.
	return own_be ? own_be : client->dst_be;
}

bool sg_encapsulate(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_flow *flow, struct sg_pkt *pkt)
{
	const struct sg_ipv4_hdr *inner = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	const struct sg_tcp_hdr *tcp = (const void *)(pkt->bytes + pkt->l4_offset);
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

	if (pkt->head < OUTER_BYTES) {
		sg_pkt_drop(pkt, SG_DROP_NO_BUFFER);
		return false;
	}
	if (inner->proto == SG_PROTO_TCP && tcp->flags & SG_TCP_SYN)
		clamp_mss(pkt, inner_mtu(pipeline, snapshot, flow));
	outer.checksum = sg_checksum_finish(sg_checksum_add(0, &outer, sizeof(outer)));

	// The frame's type stays IPv4; its MACs come with the next hop.
	memmove(pkt->bytes - OUTER_BYTES, pkt->bytes, sizeof(struct sg_eth_hdr));
	pkt->bytes -= OUTER_BYTES;
	pkt->head = (uint16_t)(pkt->head - OUTER_BYTES);
	pkt->room = (uint16_t)(pkt->room + OUTER_BYTES);
	pkt->length += OUTER_BYTES;
	if (pkt->contiguous)
		pkt->contiguous = (uint16_t)(pkt->contiguous + OUTER_BYTES);
	pkt->l4_offset = (uint8_t)(pkt->l4_offset + OUTER_BYTES);
	memcpy(pkt->bytes + sizeof(struct sg_eth_hdr), &outer, sizeof(outer));
	return true;
}
