// Gratuitous ARP and unsolicited neighbour advertisements: tells the link which of its stations has
// our addresses now (RFC 5227 3, RFC 5944 4.6; RFC 4861 7.2.6).
//
// One worker walks the snapshot's addresses when the set changes or a link comes up, so many a
// second and no more. It walks them again a second later, then after two, four and so on up to a
// minute: a switch that has just seen the link come up forwards nothing yet, and hosts forget. It
// knows no mbuf: the worker asks for the next address and sends the frame.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "service/snapshot.h"

#define SG_ANNOUNCE_FRAME_BYTES 86 // the longest, IPv6's
#define SG_ANNOUNCE_FIRST_MS    1000
#define SG_ANNOUNCE_PERIOD_MS   60000
#define SG_ANNOUNCE_PER_MS      4

struct sg_announcer {
	const struct sg_index *addresses4; // whose walk this is; compared, never followed
	const struct sg_index6 *addresses6;
	uint64_t at; // next entry: of addresses4, then of addresses6
	uint32_t left_this_ms;
	uint64_t ms;
	uint64_t next_walk_ms; // no walk begins before the last has ended
	uint64_t period_ms;
	uint32_t links_up; // bit n: port n
};

// Which links are up now. One that has come up leads to stations that may never have heard us: the
// walk begins anew.
void sg_announcer_see_links(struct sg_announcer *announcer, uint32_t links_up);

// The next address to announce now; false: none. Called by one worker, any number of times a turn.
bool sg_announcer_next(struct sg_announcer *announcer, const struct sg_snapshot *snapshot,
	uint64_t now_ms, struct sg_addr *ret_addr);

// Whether a walk is under way, so that the next address is due in this millisecond or the next.
bool sg_announcer_is_walking(
	const struct sg_announcer *announcer, const struct sg_snapshot *snapshot);

// An announcement of `addr` at `mac`. Returns the frame's bytes.
uint16_t sg_announce_write(
	uint8_t frame[SG_ANNOUNCE_FRAME_BYTES], const uint8_t mac[6], const struct sg_addr *addr);
