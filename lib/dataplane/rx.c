// rx: takes packets from a port's queue or from the inbox, and describes them to the stages.
#include "dataplane/worker.h"

#include <string.h>

#include <rte_ethdev.h>

#include "net/checksum.h"

static uint16_t flags_of(const struct rte_mbuf *mbuf)
{
	uint64_t offload = mbuf->ol_flags;
	uint16_t flags = 0;

	// A bad checksum is found again in software, where it gets its name.
	if ((offload & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD)
		flags |= SG_PKT_IP_GOOD;
	if ((offload & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
		flags |= SG_PKT_L4_GOOD;
	return flags;
}

void sg_rx_describe(struct sg_pkt *pkt, struct rte_mbuf *mbuf, uint8_t port, uint16_t flags)
{
	*pkt = (struct sg_pkt){
		.bytes = rte_pktmbuf_mtod(mbuf, uint8_t *),
		.buffer = mbuf,
		.length = rte_pktmbuf_pkt_len(mbuf),
		.contiguous = mbuf->nb_segs > 1 ? rte_pktmbuf_data_len(mbuf) : 0,
		.head = rte_pktmbuf_headroom(mbuf),
		.room = (uint16_t)(rte_pktmbuf_data_len(mbuf) + rte_pktmbuf_tailroom(mbuf)),
		.port = port,
		.flags = flags,
	};
}

// A tag that the device has taken off. One that it has seen and left is in the frame.
static void note_tag(struct sg_pkt *pkt, const struct rte_mbuf *mbuf)
{
	if (__builtin_expect(!(mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED), 1))
		return;
	pkt->flags |= SG_PKT_TAGGED;
	pkt->vlan = mbuf->vlan_tci;
	if (mbuf->ol_flags & RTE_MBUF_F_RX_QINQ_STRIPPED)
		pkt->flags |= SG_PKT_STACKED;
}

// Brings the headers of a chain into its first piece. False when its buffer is too small for that.
static bool gather_headers(struct rte_mbuf *mbuf)
{
	uint32_t wanted = RTE_MIN(rte_pktmbuf_pkt_len(mbuf), (uint32_t)SG_PKT_HEADERS);

	while (rte_pktmbuf_data_len(mbuf) < wanted) {
		struct rte_mbuf *next = mbuf->next;
		uint32_t n = RTE_MIN(
			wanted - rte_pktmbuf_data_len(mbuf), (uint32_t)rte_pktmbuf_data_len(next));

		if (n > rte_pktmbuf_tailroom(mbuf))
			return false;
		memcpy(rte_pktmbuf_mtod_offset(mbuf, uint8_t *, mbuf->data_len),
			rte_pktmbuf_mtod(next, uint8_t *), n);
		mbuf->data_len = (uint16_t)(mbuf->data_len + n);
		next->data_off = (uint16_t)(next->data_off + n);
		next->data_len = (uint16_t)(next->data_len - n);
		if (next->data_len > 0)
			continue;
		mbuf->next = next->next;
		mbuf->nb_segs--;
		rte_pktmbuf_free_seg(next);
	}
	return true;
}

// Not rte_raw_cksum_mbuf: DPDK 22.11's loses carries where a piece begins at an odd byte.
uint64_t sg_rx_sum_chain(const struct sg_pkt *pkt, uint64_t sum, uint32_t offset, uint32_t length)
{
	const struct rte_mbuf *piece = pkt->buffer;
	uint32_t done = 0;

	// The stages may have moved the frame's beginning.
	offset += (uint32_t)(pkt->bytes - rte_pktmbuf_mtod(piece, uint8_t *));
	for (; piece && done < length; piece = piece->next) {
		uint32_t n = rte_pktmbuf_data_len(piece);
		uint16_t of_piece;

		if (offset >= n) {
			offset -= n;
			continue;
		}
		n = RTE_MIN(n - offset, length - done);
		of_piece = sg_checksum_fold(sg_checksum_add(
			0, rte_pktmbuf_mtod_offset(piece, const uint8_t *, offset), n));
		sum += done & 1 ? __builtin_bswap16(of_piece) : of_piece;
		done += n;
		offset = 0;
	}
	return sum;
}

unsigned sg_rx_queue_burst(
	struct sg_worker *worker, const struct sg_rx_queue *queue, struct sg_burst *burst)
{
	const struct sg_port *port = &worker->dataplane->ports[queue->port];
	struct rte_mbuf *mbufs[SG_BURST];
	unsigned n = rte_eth_rx_burst(port->dpdk_id, queue->queue, mbufs, SG_BURST);

	burst->n = 0;
	for (unsigned i = 0; i < n; i++) {
		if (mbufs[i]->nb_segs > 1 && !gather_headers(mbufs[i])) {
			sg_tx_drop(worker, mbufs[i], SG_DROP_NO_BUFFER);
			continue;
		}
		sg_rx_describe(&burst->pkts[burst->n], mbufs[i], queue->port, flags_of(mbufs[i]));
		note_tag(&burst->pkts[burst->n++], mbufs[i]);
	}
	if (n > 0)
		sg_counter_add(&worker->counters->received, n);
	return n;
}

unsigned sg_rx_whole_burst(struct sg_worker *worker, struct sg_burst *burst)
{
	struct sg_reassembly *reassembly = worker->reassembly;

	burst->n = 0;
	for (unsigned i = 0; i < reassembly->n_whole; i++) {
		struct rte_mbuf *mbuf = reassembly->whole[i];
		const struct sg_mbuf_meta *meta = sg_mbuf_meta(mbuf);
		uint16_t flags = SG_PKT_MERGED | (meta->from_kernel ? SG_PKT_FROM_KERNEL : 0);

		// The first fragment may end within the headers.
		if (!gather_headers(mbuf)) {
			sg_tx_drop(worker, mbuf, SG_DROP_NO_BUFFER);
			continue;
		}
		sg_rx_describe(&burst->pkts[burst->n], mbuf, meta->port, flags);
		burst->pkts[burst->n++].cut = meta->cut;
	}
	reassembly->n_whole = 0;
	return burst->n;
}

unsigned sg_rx_inbox_burst(struct sg_worker *worker, struct sg_burst *burst)
{
	struct rte_mbuf *mbufs[SG_BURST];
	unsigned n = rte_ring_dequeue_burst(
		worker->dataplane->inboxes[worker->number], (void **)mbufs, SG_BURST, NULL);

	burst->n = 0;
	for (unsigned i = 0; i < n; i++) {
		const struct sg_mbuf_meta *meta = sg_mbuf_meta(mbufs[i]);
		uint16_t flags = flags_of(mbufs[i]);

		if (meta->transmit) {
			sg_tx_port(worker, meta->port, mbufs[i]);
			continue;
		}
		if (meta->from_kernel)
			flags |= SG_PKT_FROM_KERNEL;
		if (meta->handed_off)
			flags |= SG_PKT_HANDED_OFF | meta->affinity;
		if (meta->merged)
			flags |= SG_PKT_MERGED;
		sg_rx_describe(&burst->pkts[burst->n], mbufs[i], meta->port, flags);
		burst->pkts[burst->n].cut = meta->cut;
		burst->pkts[burst->n].told_slot = meta->told_slot;
		burst->pkts[burst->n++].told_generation = meta->told_generation;
	}
	if (n > 0)
		sg_counter_add(&worker->counters->handed_in, n);
	return n;
}
