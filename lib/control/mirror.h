// The kernel's addresses, routes and neighbours on the twins, mirrored over netlink (rtnetlink(7)).
//
// The kernel stays the control plane of L2 and L3: what BIRD, Calico or an operator puts there is
// what workers follow. The mirror listens, reduces what it hears to "which next hop for which
// prefix" and "which MAC for which next hop" (mirror_model.h), and builds from it the immutable
// `struct sg_routes` that a snapshot carries. In the other direction it asks the kernel to resolve
// neighbours: the kernel sends ARP and NDP on the twin, and the answers come back through netlink.
//
// Followed are the main table (routes through a twin forward, all others hide shorter prefixes) and
// the addresses on all interfaces; not policy routing, not VRFs. A change is in `sg_mirror_build`
// after the next `sg_mirror_receive`, that is, at once for neighbours, and for routes after at most
// one pause between dumps (2 ms, longer when the table is so large that a dump takes a while).
//
// Control thread only. Its descriptor is polled beside the others: it becomes readable for the
// kernel's messages and for the mirror's own deadlines, so it needs no timer of its caller's.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "control/mirror_elsewhere.h"
#include "net/addr.h"
#include "service/routes.h"

struct sg_mirror;

struct sg_mirror_port {
	int ifindex; // of the twin, in the namespace of the process
	uint8_t mac[6];
};

// Subscribes, dumps everything once, and is then up to date. `ports` is copied; the number of a
// port is its place in it, at most SG_MAX_PORTS. Errors: as netlink gives them.
int sg_mirror_open(struct sg_mirror **ret_mirror, const struct sg_mirror_port *ports,
	unsigned n_ports, struct sg_error *error);
void sg_mirror_close(struct sg_mirror *mirror); // NULL is fine
int sg_mirror_fd(const struct sg_mirror *mirror);

// Reads all that the kernel has sent, dumps what has to be dumped again (routes after any change,
// everything after an overrun) and asks the questions that are due. `ret_changed`: the routes
// differ from those built last. Errors: netlink broke for good.
int sg_mirror_receive(struct sg_mirror *mirror, bool *ret_changed, struct sg_error *error);

// What workers should follow now, with one reference for the caller. NULL without memory.
struct sg_routes *sg_mirror_build(struct sg_mirror *mirror);

// The kernel's addresses on interfaces that are no twins, as they were dumped last.
const struct sg_mirror_elsewhere *sg_mirror_get_elsewhere(const struct sg_mirror *mirror);

// Backends: their next hops (themselves, or the gateways on the way) are resolved by the kernel and
// kept resolved (NTF_EXT_MANAGED) until another call leaves them out. Each has a hop index from
// then on. While one does not answer it is asked for at least once a second. Gateways of routes
// need no call: they are always kept. An operator's permanent entry is never touched.
// Returns true when routes changed. Costs one route look-up an address: call it when they changed.
bool sg_mirror_keep(struct sg_mirror *mirror, const struct sg_addr *addresses, unsigned n);

// A client behind `port` that somebody is about to answer: asks the kernel to resolve it, or the
// gateway towards it (NTF_USE).
void sg_mirror_use(struct sg_mirror *mirror, unsigned port, const struct sg_addr *addr);
