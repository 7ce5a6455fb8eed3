// The descriptors that tell when a port's receive queues have packets, so that idle workers can
// sleep until then. Main thread.
#pragma once

#include "dataplane/dataplane.h"

// Fills in rx_fds of a port that has been started; ports before it have theirs. DPDK 22.11 gives
// none out for net_af_packet and net_af_xdp, which read from sockets: theirs are found among the
// process's descriptors. Leaves zeros for every other driver, and where the sockets are not as
// expected; then workers look from time to time.
void sg_queue_fds_find(struct sg_dataplane *dataplane, struct sg_port *port);
