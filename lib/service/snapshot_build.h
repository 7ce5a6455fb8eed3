// Snapshots before publication: derived from the one before, and changed where the new one differs.
// Control thread only.
#pragma once

#include "service/snapshot.h"

// A snapshot that shares every part of `previous` (NULL: nothing), with room for at least as many
// slots and pages. It has no routes and no indexes yet. NULL without memory.
struct sg_snapshot *sg_snapshot_derive(
	const struct sg_snapshot *previous, uint32_t n_service_slots, uint32_t n_pages);
// Gives up the references of a snapshot that no worker sees, and the snapshot. NULL is fine.
void sg_snapshot_free(struct sg_snapshot *snapshot);

// Takes over the reference to `service`; NULL clears the slot.
void sg_snapshot_put_service(
	struct sg_snapshot *snapshot, uint32_t slot, struct sg_service *service);

// Writes a backend where it differs from what is there; a page that another snapshot also has is
// copied first. Returns 0 or -ENOMEM.
int sg_snapshot_put_backend(
	struct sg_snapshot *snapshot, uint32_t slot, const struct sg_backend *backend);

// Looks up the next hops of all backends again, in the snapshot's routes. Returns 0 or -ENOMEM.
int sg_snapshot_route_backends(struct sg_snapshot *snapshot);
// The same for one that is about to be put.
void sg_snapshot_route_backend(const struct sg_snapshot *snapshot, struct sg_backend *backend);
