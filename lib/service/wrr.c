// Weighted round robin's sequence, see wrr.h: first how often each has a turn, then in which order.
#include "service/wrr.h"

#include <errno.h>
#include <stdlib.h>

#define MIN_BOUND 4096

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
	while (b > 0) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

// One index with the part of an entry that rounding down took from it.
struct remainder {
	uint64_t part;
	uint32_t index;
};

static int compare_remainders(const void *left, const void *right)
{
	const struct remainder *a = left, *b = right;

	if (a->part != b->part)
		return a->part > b->part ? -1 : 1;
	return a->index < b->index ? -1 : 1;
}

// Shares `bound` entries out in proportion to the weights; those that would get none get one on
// top.
static int apportion(
	const uint16_t *weights, unsigned n, uint64_t total, uint32_t bound, uint32_t *ret_counts)
{
	struct remainder *remainders = malloc(n * sizeof(*remainders));
	uint64_t given = 0;

	if (!remainders)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		uint64_t exact = (uint64_t)weights[i] * bound;

		ret_counts[i] = (uint32_t)(exact / total);
		given += ret_counts[i];
		remainders[i] = (struct remainder){.part = exact % total, .index = i};
	}
	qsort(remainders, n, sizeof(*remainders), compare_remainders);
	for (unsigned i = 0; given < bound; i++, given++)
		ret_counts[remainders[i].index]++;
	free(remainders);
	for (unsigned i = 0; i < n; i++)
		if (ret_counts[i] == 0)
			ret_counts[i] = 1;
	return 0;
}

static int count_turns(const uint16_t *weights, unsigned n, uint32_t *ret_counts)
{
	uint32_t bound = 16 * n > MIN_BOUND ? 16 * n : MIN_BOUND;
	uint32_t divisor = 0;
	uint64_t total = 0;

	for (unsigned i = 0; i < n; i++) {
		divisor = common_divisor(weights[i], divisor);
		total += weights[i];
	}
	if (total / divisor > bound)
		return apportion(weights, n, total, bound, ret_counts);
	for (unsigned i = 0; i < n; i++)
		ret_counts[i] = weights[i] / divisor;
	return 0;
}

static int compare_keys(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return *a < *b ? -1 : *a > *b;
}

// A turn's place in the sequence, (k + (index + 1/2) / n) / count, in 34 bits, and behind it the
// index.
static uint64_t turn_key(uint64_t k, uint64_t count, uint64_t index, uint64_t n)
{
	return ((((2 * n * k + 2 * index + 1) << 34) / (2 * n * count)) << 16) | index;
}

int sg_wrr_build(const uint16_t *weights, unsigned n, uint16_t **ret_sequence, uint32_t *ret_length)
{
	uint32_t *counts = malloc(n * sizeof(*counts));
	uint16_t *sequence = NULL;
	uint64_t *keys = NULL;
	uint32_t length = 0, at = 0;

	if (!counts || count_turns(weights, n, counts) < 0)
		goto fail;
	for (unsigned i = 0; i < n; i++)
		length += counts[i];
	keys = malloc(length * sizeof(*keys));
	sequence = malloc(length * sizeof(*sequence));
	if (!keys || !sequence)
		goto fail;
	for (unsigned i = 0; i < n; i++)
		for (uint32_t k = 0; k < counts[i]; k++)
			keys[at++] = turn_key(k, counts[i], i, n);
	qsort(keys, length, sizeof(*keys), compare_keys);
	for (uint32_t i = 0; i < length; i++)
		sequence[i] = (uint16_t)keys[i];
	free(keys);
	free(counts);
	*ret_sequence = sequence;
	*ret_length = length;
	return 0;

fail:
	free(sequence);
	free(keys);
	free(counts);
	return -ENOMEM;
}
