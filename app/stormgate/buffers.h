// Packet buffers, the rings that carry them between threads, and the bells that tell of them: how
// many, how large, made and freed.
//
// Every buffer holds a whole packet of the largest port's MTU, so that the stages see one piece of
// memory. There are enough of them for every place that can hold one at the same time to be full:
// the devices' queues, the punt rings, the inboxes and the threads' caches. Main thread only.
#pragma once

#include "base/error.h"
#include "dataplane/dataplane.h"
#include "service/settings.h"

#define SG_BUFFER_ROOM       2048 // bytes of packet in the usual buffer
#define SG_QUEUE_DESCRIPTORS 1024 // asked for; a device may have fewer
#define SG_INBOX_SLOTS       2048
#define SG_PUNT_SLOTS        1024
#define SG_PUNT_URGENT_SLOTS 512

// Bytes of packet that a buffer must hold for frames of this MTU: SG_BUFFER_ROOM, or more in whole
// KB.
unsigned sg_buffer_room(uint16_t mtu);

// MB of memory that EAL should have for these ports and workers, everything of DPDK counted.
unsigned sg_buffers_memory_mb(const struct sg_settings *settings, unsigned n_workers);

// Fills in the dataplane's mempool, inboxes, bells and the ports' punt rings; needs n_workers and
// n_ports. Errors: -ENOMEM. After a failure sg_buffers_destroy takes back what was made.
int sg_buffers_create(
	struct sg_dataplane *dataplane, const struct sg_settings *settings, struct sg_error *error);
// When no thread and no device uses them any more.
void sg_buffers_destroy(struct sg_dataplane *dataplane);
