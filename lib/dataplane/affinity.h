// Client-IP affinity: all flows of a client to one service go to one backend, on all workers.
//
// Flows of one client have many homes, so which backend is the client's is known by one worker: the
// home of (client, VIP, port), the affinity's home. A worker that is to start a flow asks it: the
// packet itself is handed over, and comes back with the backend. It costs two hand-offs a flow, and
// nothing for the packets after the first.
//
// What is remembered is a one-way record of the flow table, under a protocol number that no packet
// has. Whoever asks renews it; after `affinity_timeout` seconds in which nobody did it ages out.
// Nothing proves that its client is real, so it stands in the embryos' queue, at the young end each
// time it is renewed: a flood of made-up clients takes no more than the embryos' share of the
// table, and costs the clients that have been silent longest their affinity.
//
// When the backend takes no new flows any more (drained, removed), the client gets another; when
// one is added, nobody moves.
#pragma once

#include "dataplane/packet.h"
#include "dataplane/pipeline.h"

// The record of an IPv6 client has his addresses, as a flow's has.
//
// As sg_pick_backend, for a service with affinity. May settle the packet instead: it is handed over
// to be asked about, or back with the answer.
uint32_t sg_affinity_pick(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, const struct sg_tuple *client, const struct sg_pair6 *pair);
