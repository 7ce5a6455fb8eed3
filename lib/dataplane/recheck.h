// What a change of the configuration means for flows that exist.
//
// A policy is asked when a flow starts. Where it says that it holds for existing flows as well
// (SG_EXISTING_END), a snapshot with a new `policy_epoch` tells workers to ask again: from its
// first burst on each packet of a known flow is held against the policies, and meanwhile the worker
// looks through its table for flows that are silent. When it has been through, no flow is left that
// these policies refuse, and packets of known flows cost what they cost before. Whoever is refused
// is lost under the name that his new flow would be lost under; a backend that sends to him gets a
// RST.
//
// The sweep also takes out what flows of an earlier tenant of a backend's slot are left, so that a
// slot's flows are its tenant's.
#pragma once

#include "dataplane/packet.h"
#include "dataplane/pipeline.h"

static inline bool sg_recheck_is_due(
	const struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot)
{
	return pipeline->policy_epoch != snapshot->policy_epoch;
}

// After lookup, while a recheck is due: ends the flows of this burst that have to end, and settles
// their packets.
void sg_recheck_hits(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_burst *burst);

// Once a turn, while a recheck is due: looks at the next SG_RECHECKS_PER_TURN records.
#define SG_RECHECKS_PER_TURN 64
void sg_recheck_turn(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot);

// Takes out flows of the records from `first` on, which the sweep has just looked at, whose
// backend's slot is another's now. `n` is at most SG_SWEEP_PER_TURN.
void sg_recheck_tenants(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	uint32_t first, uint32_t n);
