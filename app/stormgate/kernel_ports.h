// Whether SNAT leaves the kernel its ports.
//
// A SNAT address may be the kernel's own, too, when the two share out the ports. What the file says
// is checked by service/validate.h; which ports the kernel picks for its connections is known only
// where stormgate starts.
#pragma once

#include "base/error.h"
#include "service/settings.h"

// Reads net.ipv4.ip_local_port_range of this network namespace. Returns 0, or -EINVAL with the line
// of `snat` and a sentence when snat.ports meets that range and a SNAT address is a port's. Main
// thread, before anything is started.
int sg_kernel_ports_check(const struct sg_settings *settings, struct sg_error *error);
