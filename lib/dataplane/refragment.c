// Fragments on the way out, see refragment.h.
#include "dataplane/refragment.h"

#include <errno.h>
#include <string.h>

#include <rte_ip_frag.h>

#include "dataplane/worker.h"
#include "net/checksum.h"
#include "net/headers.h"

#define MAX_PIECES 128 // 64 KB over the least MTU, 576 bytes, are 119

// DPDK wants the packet from its IP header on, and gives fragments without a frame before them.
static int make_pieces(struct sg_worker *worker, uint8_t port, struct rte_mbuf *mbuf,
	struct rte_mbuf *ret_pieces[MAX_PIECES])
{
	struct rte_mempool *pool = worker->dataplane->mempool;
	uint16_t mtu = worker->dataplane->ports[port].mtu;
	const struct sg_eth_hdr *eth = rte_pktmbuf_mtod(mbuf, const struct sg_eth_hdr *);

	if (eth->ethertype_be != __builtin_bswap16(SG_ETHERTYPE_IPV4))
		return -ENOTSUP;
	rte_pktmbuf_adj(mbuf, sizeof(*eth));
	return rte_ipv4_fragment_packet(mbuf, ret_pieces, MAX_PIECES, mtu, pool, pool);
}

static void write_frame(struct rte_mbuf *piece, const struct sg_eth_hdr *eth)
{
	struct sg_ipv4_hdr *ip = rte_pktmbuf_mtod(piece, struct sg_ipv4_hdr *);

	// DPDK leaves this to a device.
	ip->checksum = 0;
	ip->checksum = sg_checksum_finish(sg_checksum_add(0, ip, (ip->version_ihl & 15) * 4u));
	piece->ol_flags = 0;
	memcpy(rte_pktmbuf_prepend(piece, sizeof(*eth)), eth, sizeof(*eth));
}

void sg_refragment(struct sg_worker *worker, uint8_t port, struct rte_mbuf *mbuf)
{
	struct rte_mbuf *pieces[MAX_PIECES];
	struct sg_eth_hdr eth = *rte_pktmbuf_mtod(mbuf, struct sg_eth_hdr *);
	int n = make_pieces(worker, port, mbuf, pieces);

	if (n <= 0)
		return sg_tx_drop(worker, mbuf, n == -ENOMEM ? SG_DROP_NO_BUFFER : SG_DROP_TOO_BIG);
	rte_pktmbuf_free(mbuf); // its bytes live on in the fragments
	sg_counter_add(&worker->counters->generated, (uint64_t)n - 1);
	for (int i = 0; i < n; i++) {
		write_frame(pieces[i], &eth);
		sg_tx_port(worker, port, pieces[i]);
	}
}
