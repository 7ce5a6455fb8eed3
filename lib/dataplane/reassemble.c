// Joining fragments, see reassemble.h.
#include "dataplane/reassemble.h"

#include <string.h>

#include "dataplane/worker.h"
#include "net/addr.h"
#include "net/checksum.h"
#include "net/headers.h"

#define ECN_MASK      3
#define ECN_CONGESTED 3
#define MAX_DATAGRAM  65535

static void drop(void *context, void *buffer, enum sg_drop reason)
{
	sg_tx_drop(context, buffer, reason);
}

void sg_reassembly_init(struct sg_reassembly *reassembly, struct sg_worker *worker)
{
	reassembly->n_whole = 0;
	sg_fragments_init(&reassembly->fragments, drop, worker);
}

static struct sg_ipv4_hdr *ip_of(struct rte_mbuf *mbuf)
{
	return rte_pktmbuf_mtod_offset(mbuf, struct sg_ipv4_hdr *, sizeof(struct sg_eth_hdr));
}

static unsigned header_bytes(const struct sg_ipv4_hdr *ip)
{
	return (ip->version_ihl & 15) * 4u;
}

static struct sg_fragment read_fragment(
	struct rte_mbuf *mbuf, uint8_t domain, struct sg_fragment_key *ret_key)
{
	const struct sg_ipv4_hdr *ip = ip_of(mbuf);
	uint16_t word = __builtin_bswap16(ip->fragment_be);

	*ret_key = (struct sg_fragment_key){
		.id = ip->id_be, .proto = ip->proto, .domain = domain, .family = SG_FAMILY_IPV4};
	memcpy(ret_key->src, &ip->src_be, 4);
	memcpy(ret_key->dst, &ip->dst_be, 4);
	return (struct sg_fragment){.buffer = mbuf,
		.offset = (uint16_t)((word & SG_IPV4_OFFSET_MASK) * 8),
		.length = (uint16_t)(rte_pktmbuf_pkt_len(mbuf) - sizeof(struct sg_eth_hdr) -
				     header_bytes(ip)),
		.more = word & SG_IPV4_MORE};
}

// Congestion that any fragment has met has been met (RFC 3168, 5.3).
static uint8_t joined_tos(const struct sg_fragment *all, unsigned n)
{
	uint8_t tos = ip_of(all[0].buffer)->tos;

	for (unsigned i = 1; i < n && tos & ECN_MASK; i++) {
		if ((ip_of(all[i].buffer)->tos & ECN_MASK) == ECN_CONGESTED)
			tos |= ECN_CONGESTED;
	}
	return tos;
}

// The first fragment's header becomes the datagram's. Its sender has shown that fragments suit him:
// DF of fragments, rare as it is, ends here.
static void write_header(struct sg_ipv4_hdr *ip, uint8_t tos, uint32_t payload)
{
	ip->tos = tos;
	ip->total_length_be = __builtin_bswap16((uint16_t)(header_bytes(ip) + payload));
	ip->fragment_be = 0;
	ip->checksum = 0;
	ip->checksum = sg_checksum_finish(sg_checksum_add(0, ip, header_bytes(ip)));
}

// Hangs a fragment's payload behind what is there. Returns the new last piece.
static struct rte_mbuf *append(struct rte_mbuf *whole, struct rte_mbuf *last, struct rte_mbuf *mbuf)
{
	unsigned before = sizeof(struct sg_eth_hdr) + header_bytes(ip_of(mbuf));

	whole->pkt_len += mbuf->pkt_len - before;
	whole->nb_segs = (uint16_t)(whole->nb_segs + mbuf->nb_segs);
	rte_pktmbuf_adj(mbuf, (uint16_t)before);
	last->next = mbuf;
	return rte_pktmbuf_lastseg(mbuf);
}

static struct rte_mbuf *join(const struct sg_fragment *all, unsigned n)
{
	struct rte_mbuf *whole = all[0].buffer;
	struct rte_mbuf *last = rte_pktmbuf_lastseg(whole);
	uint32_t payload = all[n - 1].offset + (uint32_t)all[n - 1].length;

	write_header(ip_of(whole), joined_tos(all, n), payload);
	for (unsigned i = 1; i < n; i++)
		last = append(whole, last, all[i].buffer);
	// What the device has said of the first fragment is not true of the whole.
	whole->ol_flags &= ~(RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK);
	return whole;
}

void sg_reassemble(struct sg_worker *worker, const struct sg_pkt *pkt)
{
	struct sg_reassembly *reassembly = worker->reassembly;
	struct sg_fragment all[SG_FRAGMENTS_PER_DATAGRAM];
	struct sg_fragment_key key;
	struct sg_fragment fragment =
		read_fragment(pkt->buffer, worker->pipeline->domains[pkt->port], &key);
	unsigned n;

	*sg_mbuf_meta(pkt->buffer) = (struct sg_mbuf_meta){
		.port = pkt->port, .from_kernel = pkt->flags & SG_PKT_FROM_KERNEL};
	n = sg_fragments_put(
		&reassembly->fragments, worker->pipeline->now_ms, &key, &fragment, all);
	if (n == 0)
		return;
	// Only the first header counts, and it may be longer than that of the last.
	if (header_bytes(ip_of(all[0].buffer)) + all[n - 1].offset + all[n - 1].length >
		MAX_DATAGRAM) {
		for (unsigned i = 0; i < n; i++)
			sg_tx_drop(worker, all[i].buffer, SG_DROP_FRAGMENT_BAD);
		return;
	}
	reassembly->whole[reassembly->n_whole++] = join(all, n);
	sg_counter_add(&worker->counters->consumed, n - 1);
}
