// Maglev's table (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer",
// NSDI 2016, 3.4), with weights: a backend takes its turn as often as its share of the largest
// weight allows.
//
// Every backend has a permutation of the table's places, drawn from its identity (address and port)
// and the seed. Turn after turn, a backend takes the first place of its permutation that is still
// free. In round r = 1, 2, ... those have a turn, in their order, for whom r x weight / largest
// weight passed a whole number: so a backend's part of the table is its part of the weights, to
// within one or two places. When a backend leaves, the others keep nearly all of theirs, because
// they ask for them in the same order as before.
//
// Depends on nothing but the backends' identities, weights and order, the size and the seed: nodes
// that are given the same backends, sorted, build the same table. A change of this algorithm moves
// flows between nodes of different versions; the unit test holds a checksum. Not affected by the
// machine (little-endian ones). A pure function.
#pragma once

#include <stdint.h>

#include "net/addr.h"

struct sg_maglev_backend {
	struct sg_addr addr;
	uint16_t port;   // host order
	uint16_t weight; // 1 to 65535
};

// Fills ret_table[size] with indices into `backends` (n from 1 to 65535; size a prime). Takes about
// size x log(size) steps: 10 us for 1021 places. Returns 0 or -ENOMEM.
int sg_maglev_build(const struct sg_maglev_backend *backends, unsigned n, uint64_t seed,
	uint16_t *ret_table, uint32_t size);
