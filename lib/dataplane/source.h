// May this source pass? The policy for all services and that of one, as the name of a drop.
#pragma once

#include <stdint.h>

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
