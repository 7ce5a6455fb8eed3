// tx: carries verdicts out: to a port, to the kernel, to another worker, or nowhere. The only place
// that frees a packet.
#include "dataplane/worker.h"

#include <assert.h>

#include <rte_ethdev.h>
#include <rte_ether.h>

#include "dataplane/refragment.h"
#include "net/headers.h"

#define TX_TRIES 8

void sg_tx_drop(struct sg_worker *worker, struct rte_mbuf *mbuf, enum sg_drop drop)
{
	sg_counter_add(&worker->counters->dropped[drop], 1);
	rte_pktmbuf_free(mbuf);
}

static void note_handed_out(struct sg_worker *worker, unsigned bell, unsigned n)
{
	sg_counter_add(&worker->counters->handed_out, n);
	worker->owed[bell] = worker->owes_rings = true;
}

// What a turn has for another worker goes into that one's inbox at once, which may be full.
static void post(struct sg_worker *worker, unsigned target)
{
	struct sg_outbox *outbox = &worker->outboxes[target];
	unsigned n = rte_ring_enqueue_burst(
		worker->dataplane->inboxes[target], (void **)outbox->mbufs, outbox->n, NULL);

	for (unsigned i = n; i < outbox->n; i++)
		sg_tx_drop(worker, outbox->mbufs[i], SG_DROP_HANDOFF_FULL);
	outbox->n = 0;
	if (n > 0)
		note_handed_out(worker, target, n);
}

static void post_all(struct sg_worker *worker)
{
	while (worker->outgoing != 0) {
		unsigned target = (unsigned)__builtin_ctzll(worker->outgoing);

		worker->outgoing &= worker->outgoing - 1;
		post(worker, target);
	}
}

static void to_worker(struct sg_worker *worker, unsigned target, struct rte_mbuf *mbuf)
{
	struct sg_outbox *outbox = &worker->outboxes[target];

	static_assert(SG_MAX_WORKERS <= 64, "one bit a worker");
	outbox->mbufs[outbox->n++] = mbuf;
	worker->outgoing |= UINT64_C(1) << target;
	if (outbox->n == SG_BURST)
		post(worker, target);
}

static void send_queue(struct sg_worker *worker, uint8_t port, struct sg_tx_queue *queue)
{
	uint16_t dpdk_id = worker->dataplane->ports[port].dpdk_id;
	unsigned sent = 0;

	for (unsigned try = 0; try < TX_TRIES && sent < queue->n; try++)
		sent += rte_eth_tx_burst(
			dpdk_id, queue->queue, queue->mbufs + sent, (uint16_t)(queue->n - sent));
	sg_counter_add(&worker->counters->forwarded, sent);
	for (unsigned i = sent; i < queue->n; i++)
		sg_tx_drop(worker, queue->mbufs[i], SG_DROP_TX_FULL);
	queue->n = 0;
}

static void put_in_queue(
	struct sg_worker *worker, uint8_t number, struct sg_tx_queue *queue, struct rte_mbuf *mbuf)
{
	queue->mbufs[queue->n++] = mbuf;
	if (queue->n == SG_TX_BATCH)
		send_queue(worker, number, queue);
}

// The port is down, the packet too long for it or in too many pieces, the queue another worker's,
// or the port a VLAN, whose frames leave tagged by its device's queue.
static __attribute__((noinline)) void send_oddly(
	struct sg_worker *worker, uint8_t number, struct rte_mbuf *mbuf)
{
	const struct sg_port *port = &worker->dataplane->ports[number];
	uint8_t device = port->vlan ? port->device : number;
	struct sg_tx_queue *queue = &worker->tx_queues[device];

	if (!__atomic_load_n(&port->up, __ATOMIC_RELAXED))
		return sg_tx_drop(worker, mbuf, SG_DROP_PORT_DOWN);
	if (mbuf->pkt_len > port->mtu + sizeof(struct sg_eth_hdr))
		return sg_refragment(worker, number, mbuf, port->mtu);
	// A device that cannot send so many pieces gets one: a buffer holds a frame of any port.
	if (mbuf->nb_segs > port->max_pieces && rte_pktmbuf_linearize(mbuf))
		return sg_tx_drop(worker, mbuf, SG_DROP_NO_BUFFER);
	if (queue->owner != worker->number) {
		*sg_mbuf_meta(mbuf) = (struct sg_mbuf_meta){.port = number, .transmit = true};
		return to_worker(worker, queue->owner, mbuf);
	}
	mbuf->vlan_tci = port->vlan;
	if (port->vlan && rte_vlan_insert(&mbuf))
		return sg_tx_drop(worker, mbuf, SG_DROP_NO_BUFFER);
	put_in_queue(worker, device, queue, mbuf);
}

// fast path: one branch, and no call, for what is as it nearly always is.
static inline void send_port(struct sg_worker *worker, uint8_t number, struct rte_mbuf *mbuf)
{
	const struct sg_port *port = &worker->dataplane->ports[number];
	struct sg_tx_queue *queue = &worker->tx_queues[number];
	bool odd = !__atomic_load_n(&port->up, __ATOMIC_RELAXED) |
		   (mbuf->pkt_len > port->mtu + sizeof(struct sg_eth_hdr)) |
		   (mbuf->nb_segs > port->max_pieces) | (queue->owner != worker->number);

	if (__builtin_expect(odd, 0))
		return send_oddly(worker, number, mbuf);
	put_in_queue(worker, number, queue, mbuf);
}

void sg_tx_port(struct sg_worker *worker, uint8_t number, struct rte_mbuf *mbuf)
{
	send_port(worker, number, mbuf);
}

// The way is narrower than the port, as somebody has told us or shown.
static __attribute__((noinline)) void send_cut(
	struct sg_worker *worker, uint8_t number, const struct sg_pkt *pkt)
{
	uint16_t mtu = worker->dataplane->ports[number].mtu;

	if (pkt->length > pkt->cut + sizeof(struct sg_eth_hdr))
		sg_refragment(worker, number, pkt->buffer, pkt->cut < mtu ? pkt->cut : mtu);
	else
		send_port(worker, number, pkt->buffer);
}

static inline void send_pkt(struct sg_worker *worker, uint8_t number, const struct sg_pkt *pkt)
{
	if (__builtin_expect(pkt->cut != 0, 0))
		send_cut(worker, number, pkt);
	else
		send_port(worker, number, pkt->buffer);
}

static void to_kernel(struct sg_worker *worker, uint8_t port, struct rte_mbuf *mbuf, bool urgent)
{
	struct sg_port *way = &worker->dataplane->ports[port];

	if (rte_ring_enqueue(urgent ? way->punt_urgent : way->punt, mbuf) != 0)
		return sg_tx_drop(worker, mbuf, SG_DROP_PUNT_FULL);
	note_handed_out(worker, worker->dataplane->n_workers, 1);
}

static inline void forward(
	struct sg_worker *worker, const struct sg_snapshot *snapshot, const struct sg_pkt *pkt)
{
	const struct sg_hop *way = &snapshot->routes->hops[pkt->hop];

	if (__builtin_expect(way->kind == SG_HOP_PORT, 1))
		send_pkt(worker, way->port, pkt);
	else if (way->kind == SG_HOP_TWIN)
		to_kernel(worker, way->port, pkt->buffer, false);
	else
		sg_hold_put(worker, snapshot, pkt->buffer, pkt->hop);
}

static void originate(struct sg_worker *worker, const struct sg_pkt *pkt)
{
	sg_counter_add(&worker->counters->generated, 1);
	if (pkt->flags & SG_PKT_FROM_KERNEL)
		to_kernel(worker, pkt->port, pkt->buffer, true);
	else
		send_pkt(worker, pkt->port, pkt);
}

static void consume(struct sg_worker *worker, const struct sg_pkt *pkt)
{
	sg_counter_add(&worker->counters->consumed, 1);
	rte_pktmbuf_free(pkt->buffer);
}

static void answer(struct sg_worker *worker, const struct sg_pkt *pkt)
{
	struct sg_counters *counters = worker->counters;

	sg_counter_add(pkt->drop ? &counters->dropped[pkt->drop] : &counters->consumed, 1);
	originate(worker, pkt);
}

static void hand_off(struct sg_worker *worker, const struct sg_pkt *pkt)
{
	*sg_mbuf_meta(pkt->buffer) = (struct sg_mbuf_meta){.port = pkt->port,
		.from_kernel = pkt->flags & SG_PKT_FROM_KERNEL,
		.handed_off = true,
		.merged = pkt->flags & SG_PKT_MERGED,
		.cut = pkt->cut,
		.affinity = pkt->flags & (SG_PKT_ASKS | SG_PKT_TOLD),
		.told_generation = pkt->told_generation,
		.told_slot = pkt->told_slot};
	to_worker(worker, pkt->target, pkt->buffer);
}

// The first piece of a chain has so many bytes now, and all of it `length` of those it had.
static void cut_chain(struct rte_mbuf *mbuf, uint16_t contiguous, uint32_t length)
{
	struct rte_mbuf *last = mbuf;
	uint32_t left = length;

	mbuf->data_len = contiguous;
	mbuf->pkt_len = length;
	for (mbuf->nb_segs = 1; left > last->data_len && last->next; mbuf->nb_segs++) {
		left -= last->data_len;
		last = last->next;
	}
	last->data_len = (uint16_t)left;
	rte_pktmbuf_free(last->next);
	last->next = NULL;
}

// Stages may have cut padding off, put a header before it, or made another packet of it.
static void set_length(const struct sg_pkt *pkt)
{
	struct rte_mbuf *mbuf = pkt->buffer;

	mbuf->data_off = (uint16_t)(pkt->bytes - (uint8_t *)mbuf->buf_addr);
	if (__builtin_expect(pkt->contiguous != 0, 0))
		return cut_chain(mbuf, pkt->contiguous, pkt->length);
	mbuf->data_len = (uint16_t)pkt->length;
	mbuf->pkt_len = pkt->length;
}

void sg_tx_originate(struct sg_worker *worker, const struct sg_pkt *pkt)
{
	set_length(pkt);
	originate(worker, pkt);
}

void sg_tx_burst(
	struct sg_worker *worker, const struct sg_snapshot *snapshot, struct sg_burst *burst)
{
	for (unsigned i = 0; i < burst->n; i++) {
		const struct sg_pkt *pkt = &burst->pkts[i];

		set_length(pkt);
		switch (pkt->verdict) {
		case SG_VERDICT_FORWARD:
			forward(worker, snapshot, pkt);
			break;
		case SG_VERDICT_SEND:
			send_pkt(worker, pkt->out_port, pkt);
			break;
		case SG_VERDICT_ANSWER:
			answer(worker, pkt);
			break;
		case SG_VERDICT_PUNT:
		case SG_VERDICT_PUNT_URGENT:
			to_kernel(worker, pkt->port, pkt->buffer,
				pkt->verdict == SG_VERDICT_PUNT_URGENT);
			break;
		case SG_VERDICT_REASSEMBLE:
			sg_reassemble(worker, pkt);
			break;
		case SG_VERDICT_HANDOFF:
			hand_off(worker, pkt);
			break;
		case SG_VERDICT_CONSUME:
			consume(worker, pkt);
			break;
		default:
			sg_tx_drop(worker, pkt->buffer, pkt->drop);
			break;
		}
	}
}

void sg_tx_flush(struct sg_worker *worker)
{
	for (unsigned i = 0; i < worker->dataplane->n_ports; i++) {
		if (worker->tx_queues[i].n > 0)
			send_queue(worker, (uint8_t)i, &worker->tx_queues[i]);
	}
	post_all(worker);
}

void sg_tx_announce(struct sg_worker *worker, const struct sg_addr *addr)
{
	for (unsigned i = 0; i < worker->dataplane->n_ports; i++) {
		const struct sg_port *port = &worker->dataplane->ports[i];
		struct rte_mbuf *mbuf = rte_pktmbuf_alloc(worker->dataplane->mempool);

		if (!mbuf)
			return; // the next walk announces it again
		sg_counter_add(&worker->counters->generated, 1);
		rte_pktmbuf_append(mbuf,
			sg_announce_write(rte_pktmbuf_mtod(mbuf, uint8_t *), port->mac, addr));
		sg_tx_port(worker, port->number, mbuf);
	}
}
