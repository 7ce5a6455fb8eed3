// Gratuitous ARP: tells the link which of its stations has our addresses now (RFC 5227 3, RFC
// 5944 4.6).
//
// One worker walks the snapshot's addresses when the set changes or a link comes up, so many a
// second and no more. It walks them again a second later, then after two, four and so on up to a
// minute: a switch that has just seen the link come up forwards nothing yet, and hosts forget. It
// knows no mbuf: the worker asks for the next address and sends the frame.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "service/snapshot.h"

#define SG_ANNOUNCE_FRAME_BYTES 60 // Ethernet's least, without FCS
#define SG_ANNOUNCE_FIRST_MS    1000
#define SG_ANNOUNCE_PERIOD_MS   60000
#define SG_ANNOUNCE_PER_MS      4

struct sg_announcer {
	const struct sg_index *addresses; // whose walk this is; compared, never followed
	uint32_t at;                      // next entry
	uint32_t left_this_ms;
	uint64_t ms;
	uint64_t next_walk_ms; // no walk begins before the last has ended
	uint64_t period_ms;
	uint32_t links_up; // bit n: port n
};

// Which links are up now. One that has come up leads to stations that may never have heard us: the
// walk begins anew.
void sg_announcer_see_links(struct sg_announcer *announcer, uint32_t links_up);

// The next address to announce now, or 0. Called by one worker, any number of times a turn.
uint32_t sg_announcer_next(
	struct sg_announcer *announcer, const struct sg_snapshot *snapshot, uint64_t now_ms);

// An ARP announcement of `addr_be` at `mac`.
void sg_announce_write(
	uint8_t frame[SG_ANNOUNCE_FRAME_BYTES], const uint8_t mac[6], uint32_t addr_be);
