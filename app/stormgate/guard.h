// Keeps the kernel's hands off the interfaces that stormgate works on through AF_PACKET.
//
// An AF_PACKET socket gets a copy of each packet; the original goes on into the kernel's own stack,
// which answers for every local address on any interface, so that clients would be answered twice.
// The guard drops the originals in the netdev ingress hook, behind the place where AF_PACKET takes
// its copy: a table of family netdev named stormgate_INSTANCE with one chain an interface. AF_XDP
// and real NICs need none.
//
// The table is created with `flags owner`: it belongs to our netlink socket, vanishes with the
// process however that ends, and no `nft flush ruleset` takes it away meanwhile. A kernel
// before 5.12 knows no owner; there the table is removed at the end, and one that a killed instance
// left is replaced at start.
//
// Receive offloads that merge packets (GRO, LRO) are switched off on these interfaces, since what
// they make is longer than the MTU and would be cut; they are switched on again at the end. The
// other end of a veth is not ours: its segmentation and checksum offloads must be switched off by
// whoever owns it, and a line at start says so.
//
// A rule on the twin's ingress is not needed: workers never punt ARP requests for VIPs and SNAT
// addresses, so the kernel has no request to answer there.
//
// Main thread only.
#pragma once

#include "base/error.h"
#include "service/settings.h"

struct sg_guard;

// Before the ports are opened. NULL in `ret_guard` when no port needs one. Errors: what nftables
// says.
int sg_guard_open(
	struct sg_guard **ret_guard, const struct sg_settings *settings, struct sg_error *error);
// After the ports are closed. NULL is fine.
void sg_guard_close(struct sg_guard *guard);
