// May this source pass? The policy for all services and that of one, as the name of a drop. And may
// it be answered, where only backends have something to say?
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/packet.h"
#include "service/drop.h"
#include "service/snapshot.h"

static inline enum sg_drop sg_source_drop(enum sg_policy_verdict verdict)
{
	static const uint8_t drops[] = {[SG_POLICY_ALLOWED] = SG_DROP_NONE,
		[SG_POLICY_NOT_ALLOWED] = SG_DROP_NOT_ALLOWED,
		[SG_POLICY_DENIED] = SG_DROP_DENIED};

	return (enum sg_drop)drops[verdict];
}

// Either policy may be NULL. Returns why the source may not pass, or SG_DROP_NONE.
static inline enum sg_drop sg_source_judge4(
	const struct sg_policy *all, const struct sg_policy *own, uint32_t addr_be)
{
	enum sg_policy_verdict verdict = SG_POLICY_ALLOWED;

	if (all)
		verdict = sg_policy_judge4(all, addr_be);
	if (verdict == SG_POLICY_ALLOWED && own)
		verdict = sg_policy_judge4(own, addr_be);
	return sg_source_drop(verdict);
}

static inline enum sg_drop sg_source_judge6(
	const struct sg_policy *all, const struct sg_policy *own, const uint8_t addr[16])
{
	enum sg_policy_verdict verdict = SG_POLICY_ALLOWED;

	if (all)
		verdict = sg_policy_judge6(all, addr);
	if (verdict == SG_POLICY_ALLOWED && own)
		verdict = sg_policy_judge6(own, addr);
	return sg_source_drop(verdict);
}

// Sources that a burst asks about: of each both policies' tries are walked, and all of them side by
// side, so that a burst waits for memory as often as one source would.
#define SG_MAX_SOURCES 32

struct sg_source {
	const struct sg_policy *own; // of its service; NULL: everyone may
	const uint8_t *addr;         // 4 or 16 bytes in network order
	bool is_ipv6;
};

// `ret_drops`: by source, as above (enum sg_drop).
void sg_source_judge_bulk(const struct sg_policy *all, const struct sg_source *sources, unsigned n,
	uint8_t *ret_drops);

// Whether a packet may leave for the one who sent this one, if that is a backend.
bool sg_source_may_be_reached(const struct sg_snapshot *snapshot, const struct sg_pkt *pkt);
