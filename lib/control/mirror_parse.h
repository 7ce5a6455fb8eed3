// What the kernel says over rtnetlink, one message at a time, reduced to the facts that the mirror
// follows.
//
// Pure functions from a message to a fact, for the control thread and for tests that build messages
// by hand. A message is taken as hostile: every length is checked, and one that makes no sense is
// answered with -EINVAL. Each function returns 0, or -ENOENT when the message is well formed but
// none of the mirror's business (another table, another interface, a cached route; link-local and
// multicast IPv6 destinations, which every link has). Outputs are untouched unless 0 is returned.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <linux/netlink.h>

#include "control/mirror.h"
#include "net/addr.h"

#define SG_MIRROR_ELSEWHERE UINT8_MAX // a port number: an interface that is no twin

// An address that the kernel has, on a twin or elsewhere.
struct sg_mirror_address {
	struct sg_addr addr;
	uint8_t length;
	uint8_t port;
	int ifindex;
	bool secondary; // not the one to speak with: another is first, or it is not valid yet, or
			// not for long
};

// A route of the main table. `kind` is SG_ROUTE_ON_LINK, SG_ROUTE_HOP (through `gateway`, which may
// be of the other family: RFC 8950), or SG_ROUTE_NONE when it leads through no twin or nowhere at
// all.
struct sg_mirror_route {
	struct sg_prefix prefix;
	uint32_t metric; // the lowest wins
	uint8_t rank;    // among routers that advertised themselves: 0 high, 1 medium, 2 low
	uint8_t kind;    // enum sg_route_kind
	uint8_t port;
	struct sg_addr gateway;
};

enum sg_mirror_reachability {
	SG_MIRROR_UNKNOWN, // the kernel has no entry
	SG_MIRROR_ASKING,  // NUD_INCOMPLETE: it asks, once a second
	SG_MIRROR_FAILED,  // it has given up
	SG_MIRROR_STALE,   // good to use; nobody has made sure lately
	SG_MIRROR_USABLE,
	SG_MIRROR_FIXED, // usable, and an operator's word (NUD_PERMANENT, NUD_NOARP): nobody is to
			 // be asked
};

struct sg_mirror_neighbour {
	struct sg_addr addr;
	uint8_t port;
	uint8_t reachability; // enum sg_mirror_reachability
	bool managed;         // the kernel keeps it resolved by itself
	uint8_t mac[6];       // when STALE or better
};

int sg_mirror_parse_address(const struct nlmsghdr *message, const struct sg_mirror_port *ports,
	unsigned n_ports, struct sg_mirror_address *ret_address);

// Of a route with several next hops the first usable one on a twin counts.
int sg_mirror_parse_route(const struct nlmsghdr *message, const struct sg_mirror_port *ports,
	unsigned n_ports, struct sg_mirror_route *ret_route);

// RTM_NEWNEIGH and RTM_DELNEIGH; the latter gives SG_MIRROR_UNKNOWN.
int sg_mirror_parse_neighbour(const struct nlmsghdr *message, const struct sg_mirror_port *ports,
	unsigned n_ports, struct sg_mirror_neighbour *ret_neighbour);
