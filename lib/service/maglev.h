// Maglev's table (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, 3.4),
// with weights: a backend takes its turn as often as its share of the largest weight allows.
//
// Depends on nothing but the backends' identities, the weights, the size and the seed, so all nodes agree. A pure function.
#pragma once

#include <stdint.h>

#include "net/addr.h"

struct sg_maglev_backend {
	struct sg_addr addr;
	uint16_t port; // host order
	uint16_t weight; // 1 to 65535
};

// Fills ret_table[size] with indices into `backends` (n from 1 to 65535; size a prime). Returns 0 or -ENOMEM.
int sg_maglev_build(const struct sg_maglev_backend *backends, unsigned n, uint64_t seed,
	uint16_t *ret_table, uint32_t size);
