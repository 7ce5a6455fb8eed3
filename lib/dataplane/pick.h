// Picking a backend for a new flow: the schedulers at run time (their tables are compiled, see
// service/).
#pragma once

#include <stdint.h>

#include "dataplane/pipeline.h"

#define SG_PICK_NONE UINT32_MAX

// The slot of the backend that this worker gives the next flow of `client` to; SG_PICK_NONE when
// none is usable. `pair`: an IPv6 client's addresses; NULL for IPv4. It gets a backend of its own
// family.
//
//     maglev  by the client's address and port: the same on every node
//     sh      by the client's address alone, in a table that is built as maglev's
//     rr      one after the other; each worker starts elsewhere and keeps its own place
//     wrr     along the compiled sequence, where each backend stands as often as its weight says
//     lc      the fewest flows; above SG_PICK_SAMPLE_ABOVE backends the better of two taken at
//             random (Mitzenmacher, "The power of two choices", 2001)
//     wlc     the same by flows for the weight, with the two taken by weight
uint32_t sg_pick_backend(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_service *service, const struct sg_tuple *client,
	const struct sg_pair6 *pair);

#define SG_PICK_SAMPLE_ABOVE        16
#define SG_PICK_SAMPLE_ABOVE_SINGLE 256 // with one worker, whose count is exact and near
