// VIPs that the kernel has, too, on an interface that is no twin: lo, kube-ipvs0, another NIC.
//
// They are served all the same, but whoever asks there gets an answer from the kernel, and what the
// node itself sends to them never leaves it. That is rarely meant, so each is said once in the log,
// with what to do, and stands in `status` for as long as it is so. At most SG_LOCAL_VIPS are named.
// Control thread only.
#pragma once

#include <net/if.h>
#include <stdint.h>

#include "control/mirror_elsewhere.h"
#include "service/snapshot.h"

#define SG_LOCAL_VIPS          16
#define SG_LOCAL_VIP_TEXT_SIZE 320

struct sg_local_vips {
	struct sg_elsewhere_address found[SG_LOCAL_VIPS];
	unsigned n;      // of `found`
	unsigned n_more; // that found no place there
	// What was looked at last: nothing is done until one of them is another.
	unsigned epoch;
	const struct sg_index *addresses4; // compared, never followed
	const struct sg_index6 *addresses6;
	uint64_t look_ms; // not before
};

// Looks again if the kernel's addresses or the VIPs have changed, at most once a second, and warns
// of what is new. Often: it costs three comparisons when nothing has changed, otherwise a look-up
// for each of the kernel's addresses.
void sg_local_vips_look(struct sg_local_vips *local, const struct sg_mirror_elsewhere *elsewhere,
	const struct sg_snapshot *snapshot, uint64_t now_ms);

// The sentence about one of `found`.
const char *sg_local_vip_describe(
	const struct sg_elsewhere_address *found, char text[SG_LOCAL_VIP_TEXT_SIZE]);
