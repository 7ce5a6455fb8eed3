// The kernel's addresses, routes and neighbours on the twins, mirrored over netlink (rtnetlink(7)).
//
// The kernel stays the control plane of L2 and L3: what BIRD, Calico or an operator puts there is what workers
// follow. Control thread only; its descriptor is polled beside the others.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "net/addr.h"
#include "service/routes.h"

struct sg_mirror;

struct sg_mirror_port {
	int ifindex; // of the twin, in the namespace of the process
	uint8_t mac[6];
};

// Subscribes, dumps everything once, and is then up to date. Errors: as netlink gives them.
int sg_mirror_open(struct sg_mirror **ret_mirror, const struct sg_mirror_port *ports, unsigned n_ports,
	struct sg_error *error);
void sg_mirror_close(struct sg_mirror *mirror); // NULL is fine
int sg_mirror_fd(const struct sg_mirror *mirror);

// Reads what the kernel has sent. `ret_changed`: the routes differ from those built last. After an overrun
// (ENOBUFS) it dumps everything again by itself. Errors: netlink broke for good.
int sg_mirror_receive(struct sg_mirror *mirror, bool *ret_changed, struct sg_error *error);

// What workers should follow now, with one reference for the caller. NULL without memory.
struct sg_routes *sg_mirror_build(struct sg_mirror *mirror);

// Backends: their next hops (themselves, or the gateways on the way) are resolved by the kernel and kept resolved
// (NTF_EXT_MANAGED) until another call leaves them out. Each has a hop index from then on. Returns true when routes changed.
bool sg_mirror_keep(struct sg_mirror *mirror, const struct sg_addr *addresses, unsigned n);

// A client on the link that somebody is about to answer: asks the kernel to resolve it (NTF_USE).
void sg_mirror_use(struct sg_mirror *mirror, unsigned port, uint32_t addr_be);
