// The twins: each port's interface in the kernel's own stack, and the thread that carries packets
// to and fro.
//
// A twin is a TAP with the port's MAC, MTU and configured addresses. It exists as long as the
// process holds it, however that ends. What workers punt comes out of it as if the port were an
// ordinary interface; what the kernel sends on it goes to a worker, and from there out of the port
// or, when it is for a VIP, into the pipeline. So ssh, BIRD, keepalived and ping work, and ARP and
// NDP for our next hops are the kernel's.
//
// One thread serves all twins, so that a flood of punted packets can starve neither forwarding nor
// another port's BGP: each round takes a bounded number from each ring, ARP and routing protocols
// (punt_urgent) first. It is woken by the kernel's packets, and by a worker that has punted one, in
// its next turn that takes nothing in. A worker that always has something to carry makes no system
// call to wake it; so while one is busy, it looks at their rings after 50 us when there was
// something lately, and otherwise after 1 ms. It also watches the ports' links (sg_ports_watch) and
// gives them to the twins as carrier. It runs on the control CPU.
//
// Counted in dataplane->counters[n_workers], which only this thread writes: a frame of the kernel
// is `generated` and then handed_out or dropped (twin_full, no_buffer); a punted packet is
// handed_in and then punted or dropped (punt_full).
#pragma once

#include "base/error.h"
#include "dataplane/dataplane.h"
#include "service/settings.h"

struct sg_twins;

// Creates and configures one twin for each port, which must be open. Sets forwarding=0,
// rp_filter=2, arp_ignore=1 and arp_announce=2 on it, and warns where the "all" setting overrules;
// for IPv6 accept_ra=0, and nobody is asked for duplicates. Main thread. Errors: a sentence that
// names the twin.
int sg_twins_open(struct sg_twins **ret_twins, struct sg_dataplane *dataplane,
	const struct sg_settings *settings, struct sg_error *error);
// The kernel's index of a port's twin, for the mirror.
int sg_twins_ifindex(const struct sg_twins *twins, unsigned port);

// The thread. Start it before the workers, stop it after them: what they still punt is then
// delivered.
int sg_twins_start(struct sg_twins *twins, struct sg_error *error);
void sg_twins_stop(struct sg_twins *twins);  // fine when it never started
void sg_twins_close(struct sg_twins *twins); // NULL is fine; stopped before
