// Snapshots before publication: derived from the one before, and changed where the new one differs;
// and their end. One at a time is being made. Control thread, or its helper for it.
#pragma once

#include "service/snapshot.h"

// A snapshot that shares every part of `previous` (NULL: nothing), with room for at least as many
// slots and pages. It has no routes and no indexes yet. NULL without memory.
struct sg_snapshot *sg_snapshot_derive(
	const struct sg_snapshot *previous, uint32_t n_service_slots, uint32_t n_pages);
// Frees a snapshot that is not to be published, with what was made for it.
void sg_snapshot_drop(struct sg_snapshot *snapshot);
// Frees the oldest that there is, which no worker sees, with what the `next` one has not; all of it
// when there is no next.
void sg_snapshot_free_oldest(struct sg_snapshot *snapshot);

// Takes over `service`; NULL clears the slot.
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
