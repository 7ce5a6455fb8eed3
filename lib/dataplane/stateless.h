// Flows that nobody need remember: of a service whose scheduler alone says to which backend a
// client goes (sg_service_is_stateless). Whoever has none in the table, after a restart, on another
// node, or because there was no room, describes it anew.
#pragma once

#include <stdbool.h>

#include "dataplane/pipeline.h"

// The flow that a client's packets have, with its deltas; of IPv6 `pair` is their addresses, and
// `ret_addresses` is filled. False: it is no such service's, the client may not use it, or there is
// no backend.
bool sg_stateless_flow(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_tuple *client, const struct sg_pair6 *pair, struct sg_flow *ret_flow,
	struct sg_flow_addresses *ret_addresses);
