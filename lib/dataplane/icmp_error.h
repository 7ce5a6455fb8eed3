// ICMP errors about a flow, from either side (RFC 792, RFC 5508): unreachable, fragmentation
// needed, time exceeded, parameter problem.
//
// An error quotes the packet that it is about as that packet left us. Its addresses and ports,
// turned round, are therefore the tuple of what the flow's other end sends to us: it is found in
// the flow table, or by its home on another worker, as an answer to the quoted packet would be. The
// error then travels in the answer's direction. Inside, the quoted packet becomes what its sender
// had sent, with its checksums; outside, the error gets the addresses that an answer would have. So
// a client learns nothing of the network behind the gateway (its hops all look like the VIP), and
// path MTU discovery works through us in both directions.
//
// An error says nothing about who is alive: it neither confirms a flow nor keeps it from ageing.
#pragma once

#include <stdbool.h>

#include "dataplane/packet.h"
#include "dataplane/pipeline.h"

// Whether this is an ICMP error that quotes enough of a TCP or UDP packet. `ret_tuple`: the tuple
// of an answer to the quoted packet.
bool sg_icmp_error_read(const struct sg_pkt *pkt, struct sg_tuple *ret_tuple);

// Carries an error across the flow that `ref` names, with the direction that `ret_tuple` was found
// in. Sets the verdict.
void sg_icmp_error_forward(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, sg_flow_ref ref);

// The same where no flow is known, if none need be (stateless.h): of the client's tuple. Sets a
// verdict, or none.
void sg_icmp_error_without_flow(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, const struct sg_tuple *client, enum sg_flow_direction direction);
