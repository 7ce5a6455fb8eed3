// rx: takes packets from a port's queue or from the inbox, and describes them to the stages.
#include "dataplane/worker.h"

#include <rte_ethdev.h>

static uint8_t flags_of(const struct rte_mbuf *mbuf)
{
	uint64_t offload = mbuf->ol_flags;
	uint8_t flags = 0;

	// A bad checksum is found again in software, where it gets its name.
	if ((offload & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD)
		flags |= SG_PKT_IP_GOOD;
	if ((offload & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
		flags |= SG_PKT_L4_GOOD;
	if (offload & RTE_MBUF_F_RX_VLAN)
		flags |= SG_PKT_TAGGED;
	return flags;
}

static void describe(struct sg_pkt *pkt, struct rte_mbuf *mbuf, uint8_t port, uint8_t flags)
{
	*pkt = (struct sg_pkt){
		.bytes = rte_pktmbuf_mtod(mbuf, uint8_t *),
		.buffer = mbuf,
		.length = rte_pktmbuf_data_len(mbuf),
		.head = rte_pktmbuf_headroom(mbuf),
		.room = (uint16_t)(rte_pktmbuf_data_len(mbuf) + rte_pktmbuf_tailroom(mbuf)),
		.port = port,
		.flags = flags,
	};
}

// Stages see one piece of memory. Buffers are sized for the port's MTU, so a chain is rare; one
// that cannot be joined is shorter than its headers say, and parse finds that out.
static void join_segments(struct rte_mbuf *mbuf)
{
	if (mbuf->nb_segs > 1)
		rte_pktmbuf_linearize(mbuf);
}

unsigned sg_rx_queue_burst(
	struct sg_worker *worker, const struct sg_rx_queue *queue, struct sg_burst *burst)
{
	const struct sg_port *port = &worker->dataplane->ports[queue->port];
	struct rte_mbuf *mbufs[SG_BURST];
	unsigned n = rte_eth_rx_burst(port->dpdk_id, queue->queue, mbufs, SG_BURST);

	for (unsigned i = 0; i < n; i++) {
		join_segments(mbufs[i]);
		describe(&burst->pkts[i], mbufs[i], queue->port, flags_of(mbufs[i]));
	}
	burst->n = n;
	if (n > 0)
		sg_counter_add(&worker->counters->received, n);
	return n;
}

unsigned sg_rx_inbox_burst(struct sg_worker *worker, struct sg_burst *burst)
{
	struct rte_mbuf *mbufs[SG_BURST];
	unsigned n = rte_ring_dequeue_burst(
		worker->dataplane->inboxes[worker->number], (void **)mbufs, SG_BURST, NULL);

	burst->n = 0;
	for (unsigned i = 0; i < n; i++) {
		const struct sg_mbuf_meta *meta = sg_mbuf_meta(mbufs[i]);
		uint8_t flags = flags_of(mbufs[i]);

		if (meta->transmit) {
			sg_tx_port(worker, meta->port, mbufs[i]);
			continue;
		}
		if (meta->from_kernel)
			flags |= SG_PKT_FROM_KERNEL;
		if (meta->handed_off)
			flags |= SG_PKT_HANDED_OFF | meta->affinity;
		describe(&burst->pkts[burst->n], mbufs[i], meta->port, flags);
		burst->pkts[burst->n].told_slot = meta->told_slot;
		burst->pkts[burst->n++].told_generation = meta->told_generation;
	}
	if (n > 0)
		sg_counter_add(&worker->counters->handed_in, n);
	return n;
}
