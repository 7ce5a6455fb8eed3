// ICMP errors about a flow, see icmp_error.h.
#include "dataplane/icmp_error.h"

#include <stddef.h>
#include <string.h>

#include "dataplane/encapsulate.h"
#include "dataplane/loss.h"
#include "dataplane/nexthop.h"
#include "dataplane/stateless.h"
#include "net/checksum.h"
#include "net/headers.h"

#define MIN_L4_QUOTE 8 // RFC 792: at least the ports, and UDP's checksum

static bool is_error(uint8_t type)
{
	return type == SG_ICMP_UNREACHABLE || type == SG_ICMP_TIME_EXCEEDED ||
	       type == SG_ICMP_PARAMETER;
}

static struct sg_ipv4_hdr *quoted_ip(const struct sg_pkt *pkt)
{
	return (void *)(pkt->bytes + pkt->l4_offset + sizeof(struct sg_icmp_hdr));
}

static uint8_t *quoted_l4(struct sg_ipv4_hdr *quoted)
{
	return (uint8_t *)quoted + (quoted->version_ihl & 15) * 4u;
}

bool sg_icmp_error_read(const struct sg_pkt *pkt, struct sg_tuple *ret_tuple)
{
	const struct sg_icmp_hdr *icmp = (const void *)(pkt->bytes + pkt->l4_offset);
	struct sg_ipv4_hdr *quoted = quoted_ip(pkt);
	unsigned available = pkt->length - pkt->l4_offset - sizeof(*icmp);
	unsigned header;

	if (!is_error(icmp->type) || available < sizeof(*quoted))
		return false;
	header = (quoted->version_ihl & 15) * 4u;
	if (quoted->version_ihl >> 4 != 4 || header < sizeof(*quoted) ||
		available < header + MIN_L4_QUOTE)
		return false;
	// Only a first fragment has ports.
	if ((quoted->fragment_be & __builtin_bswap16(SG_IPV4_OFFSET_MASK)) != 0 ||
		(quoted->proto != SG_PROTO_TCP && quoted->proto != SG_PROTO_UDP))
		return false;
	*ret_tuple = (struct sg_tuple){
		.src_be = quoted->dst_be, .dst_be = quoted->src_be, .proto = quoted->proto};
	memcpy(&ret_tuple->dport_be, quoted_l4(quoted), 2);
	memcpy(&ret_tuple->sport_be, quoted_l4(quoted) + 2, 2);
	return true;
}

// The checksum in a quoted TCP or UDP header; NULL where the quote ends before it or there is none.
static uint16_t *quoted_checksum(
	const struct sg_pkt *pkt, const struct sg_ipv4_hdr *quoted, uint8_t *l4)
{
	size_t at = quoted->proto == SG_PROTO_TCP ? offsetof(struct sg_tcp_hdr, checksum)
						  : offsetof(struct sg_udp_hdr, checksum);
	uint16_t *checksum = (void *)(l4 + at);

	if ((const uint8_t *)(checksum + 1) > pkt->bytes + pkt->length)
		return NULL;
	return quoted->proto == SG_PROTO_UDP && *checksum == 0 ? NULL : checksum;
}

// The quoted packet, as we sent it, becomes `sent`: as its sender had sent it.
static void restore_quote(
	struct sg_pkt *pkt, const struct sg_tuple *sent, uint16_t l3_delta, uint16_t l4_delta)
{
	struct sg_ipv4_hdr *quoted = quoted_ip(pkt);
	uint8_t *l4 = quoted_l4(quoted);
	uint16_t *checksum = quoted_checksum(pkt, quoted, l4);

	memcpy(&quoted->src_be, &sent->src_be, 8);
	memcpy(l4, &sent->sport_be, 4);
	quoted->checksum = sg_checksum_apply(quoted->checksum, l3_delta);
	if (checksum)
		*checksum = sg_checksum_apply(*checksum, l4_delta);
}

static void finish(
	const struct sg_pipeline *pipeline, struct sg_pkt *pkt, const struct sg_tuple *sent)
{
	struct sg_ipv4_hdr *ip = (void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	struct sg_icmp_hdr *icmp = (void *)(pkt->bytes + pkt->l4_offset);

	icmp->checksum = 0;
	icmp->checksum = sg_checksum_finish(
		sg_pkt_sum(pipeline, pkt, 0, pkt->l4_offset, pkt->length - pkt->l4_offset));
	ip->src_be = sent->dst_be;
	ip->dst_be = sent->src_be;
	ip->ttl--;
	ip->checksum = 0;
	ip->checksum = sg_checksum_finish(sg_checksum_add(0, ip, (ip->version_ihl & 15) * 4u));
}

static void forward(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, struct sg_flow *flow, enum sg_flow_direction direction)
{
	const struct sg_ipv4_hdr *ip = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
	// What the receiver of the error had sent.
	const struct sg_tuple *sent = sg_flow_tuple(flow, SG_FLOW_TO_CLIENT - direction);
	uint16_t sign = (uint16_t)(0u - direction); // all ones negates a delta

	if (direction == SG_FLOW_TO_BACKEND &&
		!sg_snapshot_may_reach4(snapshot, flow->server.src_be))
		return sg_pkt_drop(pkt, SG_DROP_BACKEND_OUTSIDE);
	// No error is answered with an error (RFC 1122 3.2.2).
	if (ip->ttl <= 1)
		return sg_pkt_drop(pkt, SG_DROP_TTL_EXCEEDED);
	if (flow->one_way) {
		// The backend speaks for the VIP itself: the quote is what it had sent.
		finish(pipeline, pkt,
			&(struct sg_tuple){.src_be = ip->dst_be, .dst_be = ip->src_be});
	} else {
		restore_quote(pkt, sent, flow->l3_delta ^ sign, flow->l4_delta ^ sign);
		finish(pipeline, pkt, sent);
	}
	if (flow->mode == SG_FORWARD_IPIP &&
		(!sg_encapsulate_fits(pipeline, snapshot, flow, NULL, pkt) ||
			!sg_encapsulate(pipeline, snapshot, flow, NULL, pkt)))
		return;
	sg_nexthop_apply(pipeline, snapshot, flow, NULL, direction, pkt);
}

void sg_icmp_error_forward(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, sg_flow_ref ref)
{
	struct sg_flow *flow = sg_flow_table_get(pipeline->flows, ref);
	enum sg_flow_direction direction = sg_flow_ref_direction(ref);

	forward(pipeline, snapshot, pkt, flow, direction);
	sg_loss_of_backend(pipeline, flow->backend_slot, direction, pkt);
}

void sg_icmp_error_without_flow(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, const struct sg_tuple *client, enum sg_flow_direction direction)
{
	const struct sg_ipv4_hdr *quoted = quoted_ip(pkt);
	struct sg_flow flow;

	if (!sg_stateless_flow(pipeline, snapshot, client, NULL, &flow, NULL))
		return;
	if (direction == SG_FLOW_TO_CLIENT &&
		(quoted->dst_be != flow.server.src_be ||
			memcmp(quoted_l4(quoted_ip(pkt)) + 2, &flow.server.sport_be, 2) != 0))
		return;
	forward(pipeline, snapshot, pkt, &flow, direction);
	sg_loss_of_backend(pipeline, flow.backend_slot, direction, pkt);
}
