// One twin's TAP made and configured, through ioctl, netlink and sysctl. Main thread. Used by
// twin.c only.
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "dataplane/dataplane.h"
#include "service/settings.h"

// Returns 0 and a non-blocking descriptor, or an error whose sentence names the twin. The interface
// is up and has its addresses; closing the descriptor removes it.
int sg_twin_create(const struct sg_port *port, const struct sg_port_settings *settings, int *ret_fd,
	int *ret_ifindex, struct sg_error *error);

// Tells the kernel whether the port has a link. Kernels before 4.20 cannot be told; nothing happens
// then.
void sg_twin_set_carrier(int fd, bool up);
