// ICMPv6 errors about a flow, from either side (RFC 4443): unreachable, too big, time exceeded,
// parameter problem. What icmp_error.h says of ICMP holds here.
#pragma once

#include <stdbool.h>

#include "dataplane/packet.h"
#include "dataplane/pipeline.h"

// Whether this is an ICMPv6 error that quotes enough of a TCP or UDP packet. `ret_tuple` and
// `ret_pair`: of an answer to the quoted packet; the tuple is not a key yet.
bool sg_icmpv6_error_read(
	const struct sg_pkt *pkt, struct sg_tuple *ret_tuple, struct sg_pair6 *ret_pair);

// Carries an error across the flow that `ref` names, with the direction that the answer was found
// in. Sets the verdict.
void sg_icmpv6_error_forward(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, sg_flow_ref ref);

// The same where no flow is known, if none need be (stateless.h): of the client's tuple and
// addresses. Sets a verdict, or none.
void sg_icmpv6_error_without_flow(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, const struct sg_tuple *client, const struct sg_pair6 *pair,
	enum sg_flow_direction direction);
