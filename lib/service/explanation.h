// A question about a packet that nobody has sent, and its answer: what would happen to it, and why.
//
// Control asks and tells people; the data plane answers by a dry run of its own stages
// (dataplane/explain.h). Reasons are numbers here, and become sentences in control/query_explain.c.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "flow/table.h"
#include "net/addr.h"
#include "service/drop.h"
#include "service/limits.h"
#include "service/policy.h"

struct sg_question {
	uint8_t protocol; // SG_PROTO_TCP or SG_PROTO_UDP
	struct sg_addr src, dst;
	uint16_t sport, dport; // host order
	bool flags_given;
	uint8_t tcp_flags; // otherwise: a SYN, or of a known flow a plain segment
	bool port_given;
	uint8_t port; // otherwise: by the route to the source
};

enum sg_explained_end {
	SG_EXPLAINED_DROPPED,   // as `drop` says
	SG_EXPLAINED_FORWARDED, // to the next hop
	SG_EXPLAINED_HELD,      // to a next hop that is being resolved, for which it waits
	SG_EXPLAINED_TO_KERNEL, // the node's own business
	SG_EXPLAINED_RESET,     // answered with RST
	SG_EXPLAINED_ICMP,      // answered with an ICMP error
};

// How the backend was found.
enum sg_explained_choice {
	SG_CHOICE_NONE,      // not asked
	SG_CHOICE_SCHEDULER, // by the service's scheduler
	SG_CHOICE_AFFINITY,  // the client has it already
	SG_CHOICE_EMPTY,     // there is none
};

struct sg_explanation {
	enum sg_explained_end end;
	enum sg_drop drop; // with SG_EXPLAINED_DROPPED

	// Where: the port that it comes in on, and the worker that judges it.
	uint8_t in_port;
	bool from_kernel; // its sender is the node itself
	unsigned first_worker, worker;

	// The door; of a packet that no known flow has.
	bool asked_service;
	uint32_t service_slot; // UINT32_MAX: none is declared there
	enum sg_drop refused;  // by policy

	// A flow that is known, as its worker has it.
	bool known;
	enum sg_flow_direction direction;
	struct sg_flow flow;
	struct sg_flow_addresses addresses; // of an IPv6 flow

	enum sg_explained_choice choice;
	uint8_t scheduler;     // enum sg_scheduler
	uint32_t n_candidates; // usable backends
	uint64_t least_flows;  // lc, wlc: what the chosen one has, as the worker sees it
	uint32_t backend_slot; // UINT32_MAX: none

	// How it leaves.
	bool rewritten;
	struct sg_addr src, dst; // as it leaves; of ipip the outer ones
	uint16_t sport, dport;
	bool encapsulated;
	uint8_t out_port;
	uint8_t next_mac[6];
	bool learned; // the MAC is that which the client spoke from
};
