// How long an outer packet of mode ipip may be on its way to each backend, as routers have said
// that found one too long (RFC 2003, 5.1 and RFC 2473, 7: the tunnel's soft state).
//
// An error about an outer packet reaches one worker, and may quote too little of it to name a
// client. What it says of the way is true for all of them: so that worker tells control, by a wish
// (wishes.h), and control notes it for every backend at that address. From then on each worker
// itself tells clients whose packets do not fit. After SG_TUNNEL_SECONDS it is forgotten, and the
// next long packet asks the way again (RFC 1191, 6.3). A note is only ever made smaller: who forges
// errors cannot make packets too long.
//
// A note is one word, written by control alone, and nothing else belongs to it: stored and loaded
// whole (relaxed). It names its slot's tenant by generation, so a new one starts without.
#pragma once

#include <stdint.h>

#include "net/addr.h"
#include "service/snapshot.h"

#define SG_TUNNEL_SECONDS 600

// What is less cannot be true: it would leave nothing for the packet inside (RFC 791, RFC 8200).
#define SG_TUNNEL_LEAST_MTU4 (68 + 20)
#define SG_TUNNEL_LEAST_MTU6 1280

// Generation 16 bits, MTU 16 bits, until when 32 bits (ticks).
#define SG_TUNNEL_NOTE(generation, mtu, until_ticks) \
	((uint64_t)(generation) << 48 | (uint64_t)(mtu) << 32 | (uint32_t)(until_ticks))

struct sg_tunnels {
	uint64_t *notes; // [SG_MAX_BACKENDS]
};

// The MTU of the way to a backend; 0: nothing is noted. Any thread.
static inline uint16_t sg_tunnel_mtu(const struct sg_tunnels *tunnels, uint32_t backend_slot,
	uint16_t generation, uint32_t now_ticks)
{
	uint64_t note = __atomic_load_n(&tunnels->notes[backend_slot], __ATOMIC_RELAXED);

	if (note >> 48 != generation || (int32_t)((uint32_t)note - now_ticks) <= 0)
		return 0;
	return (uint16_t)(note >> 32);
}

// Notes the MTU of the way to all backends at an address. Control thread; looks at every backend.
void sg_tunnels_note(struct sg_tunnels *tunnels, const struct sg_snapshot *snapshot,
	const struct sg_addr *addr, uint16_t mtu, uint32_t now_ticks);
