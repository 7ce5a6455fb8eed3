// The sequence that weighted round robin walks: each index as often as its weight says, evenly
// spread.
//
// Weights are divided by their common divisor; when their sum is then still above the bound, which
// is max(4096, 16 x n), the entries are shared out by largest remainder, but nobody who has a
// weight goes without. A share is then exact to within one entry (1/4096 of all, or 1/16 of an
// average share), more only where very small weights were rounded up to one entry. Turn k of the c
// turns of index i stands at (k + (i + 1/2) / n) / c of the way: equal weights go round in their
// order, and 5:1:1 is walked as a a a b a a c rather than as a burst of five.
//
// A pure function: the same weights give the same sequence.
#pragma once

#include <stdint.h>

// `weights` from 1 to 65535, n from 1 to SG_MAX_SERVICE_BACKENDS. The caller frees ret_sequence.
// Returns 0 or -ENOMEM.
int sg_wrr_build(
	const uint16_t *weights, unsigned n, uint16_t **ret_sequence, uint32_t *ret_length);
