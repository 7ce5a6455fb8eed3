// The data plane as a whole: its ports, its workers and what they share. Sees DPDK.
//
// Filled by app/stormgate at start (lcores, ports, twin), used by workers and the twins' thread,
// taken down by app/stormgate at the end. Nothing here is allocated or freed while workers run.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>

#include "base/doorbell.h"
#include "dataplane/tunnel.h"
#include "service/counters.h"
#include "service/limits.h"

struct sg_worker;
struct sg_publish;

// What a packet's buffer says about it on its way through a ring, in the private area of its mbuf.
// Whoever puts a packet into an inbox fills it in whole; nobody else looks at it, so that a packet
// which stays with its worker does not touch this cache line.
struct sg_mbuf_meta {
	uint8_t port;     // our number of the port that it came in on, or is to leave by
	bool from_kernel; // read from the twin rather than received on the wire
	bool handed_off;  // from another worker, to be judged here: it is not handed over again
	bool transmit;    // judged already: this worker only owns the transmit queue
	bool merged;      // was put together from fragments
	uint16_t cut;     // as in struct sg_pkt
	uint8_t affinity; // SG_PKT_ASKS or SG_PKT_TOLD, and then
	uint16_t told_generation;
	uint32_t told_slot;
};
#define SG_MBUF_PRIV_BYTES 64

static inline struct sg_mbuf_meta *sg_mbuf_meta(struct rte_mbuf *mbuf)
{
	return (struct sg_mbuf_meta *)rte_mbuf_to_priv(mbuf);
}

struct sg_port {
	uint16_t dpdk_id;
	uint8_t number; // as in the config file, from 0
	uint8_t mac[6];
	uint16_t mtu;   // bytes of IP packet
	uint16_t vlan;  // 0: a device. Otherwise a VLAN of one: that has the queues
	uint8_t device; // its number
	uint16_t n_rx_queues;
	uint16_t n_tx_queues;
	uint16_t max_pieces; // of a chain that the device can send
	// What the device does for us; everything else is done in software.
	bool rx_checksums; // tells good and bad IP and L4 checksums of received packets
	bool rss;          // our key and table are programmed
	char name[SG_MAX_NAME_BYTES];
	char driver[32];
	// Workers (many) to the twins' thread (one). `urgent` carries ARP and routing protocols and
	// is emptied first.
	struct rte_ring *punt_urgent;
	struct rte_ring *punt;
	bool opened;
	unsigned below;     // index of the kernel interface that the device sits on (af_packet,
			    // af_xdp); 0: none
	uint16_t below_mtu; // when its link was last looked at; 0: unknown
	int group_socket;   // makes that interface take all multicast while it is open; 0: none
	int rx_fds[SG_MAX_WORKERS]; // by receive queue: readable when it has packets; 0: unknown
	// Written by the thread that watches the ports, read by workers (relaxed).
	_Alignas(64) bool up;
	bool gone;
	bool removed; // written by DPDK's interrupt thread: the device was pulled out
};

struct sg_dataplane {
	struct sg_port ports[SG_MAX_PORTS];
	unsigned n_ports;
	unsigned n_workers;
	struct rte_mempool *mempool; // private area: struct sg_mbuf_meta
	// Packets for a worker from other threads: hand-offs of other workers and what the kernel
	// sends on a twin. Many producers, one consumer (the worker).
	struct rte_ring *inboxes[SG_MAX_WORKERS];
	// Of the workers, and of the twins' thread at [n_workers]. Rung by whoever has put
	// something into an inbox or a punt ring, see worker.h.
	struct sg_doorbell bells[SG_MAX_WORKERS + 1];
	struct sg_worker_counters counters[SG_MAX_WORKERS + 1]; // [n_workers]: the twins' thread
	struct sg_worker *workers[SG_MAX_WORKERS];
	struct sg_publish *publish;
	struct sg_tunnels tunnels;
};
