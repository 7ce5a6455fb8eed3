// One live process for each instance name.
//
// `dataplane.instance` names what a stormgate owns on a machine: its DPDK runtime directory, its
// nftables table, its socket. The name is claimed by a lock on /run/stormgate/NAME.lock, which the
// kernel gives back however the process ends, so a start after kill -9 takes over what was left,
// while a start beside a live process is refused by name before anything is touched. Main thread,
// first at start and last at the end.
#pragma once

#include "base/error.h"

struct sg_instance;

// Errors: -EBUSY (it is running, and still is after half a second; the sentence has its pid), or
// what the file system says.
int sg_instance_claim(struct sg_instance **ret_instance, const char *name, struct sg_error *error);
// Removes the lock file, and its directory when that is empty. NULL is fine.
void sg_instance_release(struct sg_instance *instance);
