// Fragments of what is for us, put together again: a worker's, behind tx. Sees DPDK.
//
// A stage has said SG_VERDICT_REASSEMBLE; tx brings the fragment here. The datagram that becomes
// whole goes back to rx and through all stages, as a packet that nobody has handed over yet. Its
// buffer is a chain. While fragments wait they are `held`; of n that were merged n - 1 are
// consumed. Where the first has waited in vain, we originate an
// ICMP error, time exceeded.
//
// What may be joined is decided in dataplane/fragments.h; for how many there is a buffer, in
// app/stormgate/buffers.h.
#pragma once

#include <stdbool.h>

#include "dataplane/fragments.h"
#include "dataplane/packet.h"

struct rte_mbuf;
struct sg_worker;

struct sg_reassembly {
	struct sg_fragments fragments;
	unsigned n_whole;
	struct rte_mbuf *whole[SG_BURST]; // what this burst has completed
	unsigned n_late;
	struct rte_mbuf *late[SG_FRAGMENTS_DATAGRAMS]; // first fragments, whose senders are told
};

void sg_reassembly_init(struct sg_reassembly *reassembly, struct sg_worker *worker);

// Takes a fragment, whose buffer has its length. At most SG_BURST of them between two looks at what
// is whole.
void sg_reassemble(struct sg_worker *worker, const struct sg_pkt *pkt);

// Once a turn: gives up what has waited too long, and tells whoever has sent the first fragment.
void sg_reassembly_turn(struct sg_worker *worker, const struct sg_snapshot *snapshot);
