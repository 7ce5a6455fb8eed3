// Packets that wait for their next hop's MAC: at most 4 a hop, for at most 100 ms. Sees DPDK.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "service/snapshot.h"

struct rte_mbuf;
struct sg_worker;

#define SG_HOLD_PACKETS 256
#define SG_HOLD_PER_HOP 4
#define SG_HOLD_MS      100

struct sg_hold {
	unsigned n;
	uint64_t settings_since; // of the snapshot that those that wait were judged by
	struct {
		struct rte_mbuf *mbuf;
		uint64_t until_ms;
		uint16_t hop;
	} entries[SG_HOLD_PACKETS];
};

// Keeps the packet, or drops it by name when there is no room for it.
void sg_hold_put(struct sg_worker *worker, const struct sg_snapshot *snapshot,
	struct rte_mbuf *mbuf, uint16_t hop);
// Once a turn: sends what can go now, drops what has waited too long, and what might be for a
// backend that is no longer to be reached.
void sg_hold_turn(struct sg_worker *worker, const struct sg_snapshot *snapshot);
// At the end: drops everything.
void sg_hold_clear(struct sg_worker *worker);
