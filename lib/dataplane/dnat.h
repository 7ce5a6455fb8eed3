// Answers in mode dnat: backend:port to the client's own address, so for no address of ours.
//
// They are known by where they come from: the snapshot maps (address, port, protocol) of each dnat
// service's backends to the backend, and no two services share one. With the VIP that is the
// client's tuple, whose home is the flow's. The same for IPv6, with pairs of addresses beside the
// tuples; the client's tuple is not a key yet.
#pragma once

#include <stdbool.h>

#include "dataplane/packet.h"
#include "dataplane/pipeline.h"

// Whether `answer` comes from a backend of a dnat service. `ret_client`: the tuple of the client's
// packets, if it is an answer.
bool sg_dnat_find(const struct sg_snapshot *snapshot, const struct sg_tuple *answer,
	struct sg_tuple *ret_client, uint32_t *ret_backend_slot);

bool sg_dnat_find6(const struct sg_snapshot *snapshot, const struct sg_tuple *answer,
	const struct sg_pair6 *answer_pair, struct sg_tuple *ret_client,
	struct sg_pair6 *ret_client_pair, uint32_t *ret_backend_slot);

// Whether the address is a backend's of a dnat service, so that a fragment of it may be part of an
// answer.
bool sg_dnat_may_send4(const struct sg_snapshot *snapshot, uint32_t addr_be);
bool sg_dnat_may_send6(const struct sg_snapshot *snapshot, const uint8_t addr[16]);

// Settles an answer at its home, where no flow is known for it: carried across all the same where
// the scheduler needs no flows, else refused.
void sg_dnat_answer_without_flow(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, const struct sg_tuple *answer);
