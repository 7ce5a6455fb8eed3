// Fragments on the way out, see refragment.h.
#include "dataplane/refragment.h"

#include <errno.h>
#include <string.h>

#include <rte_ip_frag.h>

#include "base/random.h"
#include "dataplane/worker.h"
#include "net/checksum.h"
#include "net/headers.h"

#define MAX_PIECES 128 // 64 KB over the least MTU, 576 bytes, are 119

// DPDK puts the fragment header right behind IPv6's own. These must stand before it (RFC
// 8200, 4.5).
static bool wants_to_be_first(const struct rte_mbuf *mbuf)
{
	uint8_t next = rte_pktmbuf_mtod(mbuf, const struct sg_ipv6_hdr *)->next;

	return next == SG_PROTO_HOP_BY_HOP || next == SG_PROTO_ROUTING;
}

// DPDK wants the packet from its IP header on, and gives fragments without a frame before them.
static int make_pieces(struct sg_worker *worker, struct rte_mbuf *mbuf, uint16_t mtu,
	uint16_t ethertype_be, struct rte_mbuf *ret_pieces[MAX_PIECES])
{
	struct rte_mempool *pool = worker->dataplane->mempool;

	rte_pktmbuf_adj(mbuf, sizeof(struct sg_eth_hdr));
	if (ethertype_be == __builtin_bswap16(SG_ETHERTYPE_IPV4))
		return rte_ipv4_fragment_packet(mbuf, ret_pieces, MAX_PIECES, mtu, pool, pool);
	if (ethertype_be == __builtin_bswap16(SG_ETHERTYPE_IPV6) && !wants_to_be_first(mbuf))
		return rte_ipv6_fragment_packet(mbuf, ret_pieces, MAX_PIECES, mtu, pool, pool);
	return -ENOTSUP;
}

// What DPDK leaves open: a checksum, or the name that the fragments of a packet have in common.
static void finish_header(struct rte_mbuf *piece, uint32_t id)
{
	struct sg_ipv4_hdr *ip = rte_pktmbuf_mtod(piece, struct sg_ipv4_hdr *);

	if (ip->version_ihl >> 4 == 6) {
		rte_pktmbuf_mtod_offset(piece, struct sg_fragment_hdr *, sizeof(struct sg_ipv6_hdr))
			->id_be = id;
		return;
	}
	ip->checksum = 0;
	ip->checksum = sg_checksum_finish(sg_checksum_add(0, ip, (ip->version_ihl & 15) * 4u));
}

void sg_refragment(struct sg_worker *worker, uint8_t port, struct rte_mbuf *mbuf, uint16_t mtu)
{
	struct rte_mbuf *pieces[MAX_PIECES];
	struct sg_eth_hdr eth = *rte_pktmbuf_mtod(mbuf, struct sg_eth_hdr *);
	uint32_t id = (uint32_t)(sg_random_next(&worker->pipeline->random) >> 32);
	int n = make_pieces(worker, mbuf, mtu, eth.ethertype_be, pieces);

	if (n <= 0)
		return sg_tx_drop(worker, mbuf, n == -ENOMEM ? SG_DROP_NO_BUFFER : SG_DROP_TOO_BIG);
	rte_pktmbuf_free(mbuf); // its bytes live on in the fragments
	sg_counter_add(&worker->counters->generated, (uint64_t)n - 1);
	for (int i = 0; i < n; i++) {
		finish_header(pieces[i], id);
		pieces[i]->ol_flags = 0;
		memcpy(rte_pktmbuf_prepend(pieces[i], sizeof(eth)), &eth, sizeof(eth));
		sg_tx_port(worker, port, pieces[i]);
	}
}
