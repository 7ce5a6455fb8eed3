// The ports: each configured device opened, set up as far as it can, and watched.
//
// What a device can do is used (receive checksums, RSS with our key and table); what it cannot is
// done in software, so a missing offload is never an error. At start one line a port says what is
// in use. Link changes and a device that disappears are logged once; workers read `up` and drop by
// name what would leave by a port that is down.
#pragma once

#include "base/error.h"
#include "dataplane/dataplane.h"
#include "net/toeplitz.h"
#include "service/settings.h"

// Opens and starts all ports, with min(workers, what the device has) queues each; needs EAL,
// n_workers and the buffers (sg_buffers_create), and fills in dataplane->ports. `home` is
// programmed where a device takes it. Errors: one sentence, which names the port. After a failure
// sg_ports_close takes back what was opened.
int sg_ports_open(struct sg_dataplane *dataplane, const struct sg_settings *settings,
	const struct sg_home *home, struct sg_error *error);
// When no worker runs any more.
void sg_ports_close(struct sg_dataplane *dataplane);

// Looks at every port's link and device, and says what has changed. Called some times a second by
// one thread at a time (the twins' thread while it runs); the only writer of `up` and `gone`.
void sg_ports_watch(struct sg_dataplane *dataplane);

// One port's link and device as they are now, without a word. For sg_ports_open and sg_ports_watch.
void sg_ports_read_link(struct sg_port *port);
