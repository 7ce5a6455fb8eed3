// Buffers and rings, see buffers.h.
#include "buffers.h"

#include <errno.h>
#include <stdio.h>

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>

#include "dataplane/fragments.h"

#define CACHE_BUFFERS 256           // of each thread; DPDK lets a cache grow to half as much again
#define POOL_OPS      "ring_mt_rts" // nobody waits for a thread that lost its CPU, as below
#define HELD_BUFFERS \
	(512 + SG_FRAGMENTS_HELD) // by one worker: its bursts, what it is about to send, what waits
#define ROUND_BYTES 1024
#define FRAME_EXTRA_BYTES \
	88 // Ethernet and two VLAN tags; and what AF_PACKET puts in front of a frame
#define OBJECT_EXTRA     512 // mbuf, private area, mempool's header, alignment
#define SMALL_PAGE_BYTES 4096
#define OTHER_MB         48 // what DPDK needs beside buffers: devices, rings, its own tables

unsigned sg_buffer_room(uint16_t mtu)
{
	unsigned room = (mtu + FRAME_EXTRA_BYTES + ROUND_BYTES - 1) / ROUND_BYTES * ROUND_BYTES;

	return room < SG_BUFFER_ROOM ? SG_BUFFER_ROOM : room;
}

static unsigned largest_room(const struct sg_settings *settings)
{
	unsigned room = SG_BUFFER_ROOM;

	for (unsigned i = 0; i < settings->n_ports; i++) {
		if (sg_buffer_room(settings->ports[i].mtu) > room)
			room = sg_buffer_room(settings->ports[i].mtu);
	}
	return room;
}

static unsigned count_buffers(const struct sg_settings *settings, unsigned n_workers)
{
	unsigned per_device = n_workers * 2 * SG_QUEUE_DESCRIPTORS;
	unsigned per_port = SG_PUNT_SLOTS + SG_PUNT_URGENT_SLOTS;
	unsigned per_worker = SG_INBOX_SLOTS + HELD_BUFFERS + 2 * CACHE_BUFFERS;
	unsigned n_devices = 0;

	for (unsigned i = 0; i < settings->n_ports; i++)
		n_devices += settings->ports[i].vlan == 0;
	return n_devices * per_device + settings->n_ports * per_port + (n_workers + 1) * per_worker;
}

unsigned sg_buffers_memory_mb(const struct sg_settings *settings, unsigned n_workers)
{
	unsigned long each = RTE_PKTMBUF_HEADROOM + largest_room(settings) + OBJECT_EXTRA;

	// No buffer crosses a page, because a device may want it in one piece: on small pages each
	// begins one.
	if (!settings->hugepages)
		each = (each + SMALL_PAGE_BYTES - 1) / SMALL_PAGE_BYTES * SMALL_PAGE_BYTES;
	return (unsigned)(count_buffers(settings, n_workers) * each >> 20) + OTHER_MB;
}

// Many producers; the one consumer is the ring's owner. Workers may share a CPU, and whichever
// loses it halfway through a put must not make the others wait for it: with a relaxed tail, and no
// limit to how far the head may be in front of it, nobody does (rte_ring's RTS mode).
static struct rte_ring *make_ring(const char *what, unsigned number, unsigned slots)
{
	char name[RTE_RING_NAMESIZE];
	struct rte_ring *ring;

	snprintf(name, sizeof(name), "%s%u", what, number);
	ring = rte_ring_create(
		name, slots, SOCKET_ID_ANY, RING_F_MP_RTS_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
	if (ring)
		rte_ring_set_prod_htd_max(ring, rte_ring_get_capacity(ring));
	return ring;
}

static int make_rings(struct sg_dataplane *dataplane)
{
	for (unsigned i = 0; i < dataplane->n_workers; i++) {
		dataplane->inboxes[i] = make_ring("inbox", i, SG_INBOX_SLOTS);
		if (!dataplane->inboxes[i])
			return -ENOMEM;
	}
	for (unsigned i = 0; i < dataplane->n_ports; i++) {
		struct sg_port *port = &dataplane->ports[i];

		port->punt_urgent = make_ring("punt_urgent", i, SG_PUNT_URGENT_SLOTS);
		port->punt = make_ring("punt", i, SG_PUNT_SLOTS);
		if (!port->punt_urgent || !port->punt)
			return -ENOMEM;
	}
	return 0;
}

int sg_buffers_create(
	struct sg_dataplane *dataplane, const struct sg_settings *settings, struct sg_error *error)
{
	unsigned n = count_buffers(settings, dataplane->n_workers);

	dataplane->mempool = rte_pktmbuf_pool_create_by_ops("packets", n, CACHE_BUFFERS,
		SG_MBUF_PRIV_BYTES, (uint16_t)(RTE_PKTMBUF_HEADROOM + largest_room(settings)),
		SOCKET_ID_ANY, POOL_OPS);
	for (unsigned i = 0; i <= dataplane->n_workers; i++)
		if (sg_doorbell_open(&dataplane->bells[i], error))
			return -EMFILE;
	if (dataplane->mempool && make_rings(dataplane) == 0)
		return 0;
	return sg_error_set(error, -ENOMEM, "no memory for %u packet buffers: %s", n,
		settings->hugepages ? "more hugepages are needed" : rte_strerror(rte_errno));
}

void sg_buffers_destroy(struct sg_dataplane *dataplane)
{
	for (unsigned i = 0; i < dataplane->n_ports; i++) {
		rte_ring_free(dataplane->ports[i].punt_urgent);
		rte_ring_free(dataplane->ports[i].punt);
		dataplane->ports[i].punt_urgent = dataplane->ports[i].punt = NULL;
	}
	for (unsigned i = 0; i < dataplane->n_workers; i++) {
		rte_ring_free(dataplane->inboxes[i]);
		dataplane->inboxes[i] = NULL;
	}
	for (unsigned i = 0; i <= dataplane->n_workers; i++)
		sg_doorbell_close(&dataplane->bells[i]);
	rte_mempool_free(dataplane->mempool);
	dataplane->mempool = NULL;
}
