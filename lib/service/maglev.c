// Maglev's table with weights, see maglev.h: first the order of turns, then the places.
#include "service/maglev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define FREE_PLACE UINT16_MAX // n is at most 65535, so no index

// Where a backend is in its permutation: places offset, offset + skip, offset + 2 skip, ... modulo
// size.
struct walk {
	uint32_t place;
	uint32_t skip;
};

// The rounds in which one backend has a turn: ceil(k x largest / weight) for k = 1, 2, ..., without
// a division a turn.
struct rounds {
	uint32_t round;
	uint32_t step, rest; // of largest / weight
	uint32_t weight;
	int64_t debt; // k x rest - (what was rounded up) x weight, from 1 - weight to 0
};

static struct rounds rounds_of(uint32_t weight, uint32_t largest)
{
	return (struct rounds){
		.step = largest / weight, .rest = largest % weight, .weight = weight};
}

static uint32_t next_round(struct rounds *rounds)
{
	rounds->round += rounds->step;
	rounds->debt += rounds->rest;
	if (rounds->debt > 0) {
		rounds->round++;
		rounds->debt -= rounds->weight;
	}
	return rounds->round;
}

static uint32_t largest_weight(
	const struct sg_maglev_backend *backends, unsigned n, uint64_t *ret_total)
{
	uint32_t largest = 0;

	*ret_total = 0;
	for (unsigned i = 0; i < n; i++) {
		*ret_total += backends[i].weight;
		if (backends[i].weight > largest)
			largest = backends[i].weight;
	}
	return largest;
}

// fast path: equal weights go round.
static uint16_t *order_equal_turns(unsigned n, uint32_t size)
{
	uint16_t *turns = malloc(size * sizeof(*turns));
	unsigned next = 0;

	for (uint32_t turn = 0; turns && turn < size; turn++) {
		turns[turn] = (uint16_t)next;
		next = next + 1 < n ? next + 1 : 0;
	}
	return turns;
}

// Writes who has a turn, round by round, until there are at least `size` turns (a counting sort by
// round). Returns NULL without memory.
static uint16_t *order_turns(const struct sg_maglev_backend *backends, unsigned n, uint32_t size)
{
	uint64_t total;
	uint32_t largest = largest_weight(backends, n, &total);
	// In r rounds, backend i has more than r x weight / largest - 1 turns.
	uint32_t n_rounds = (uint32_t)(((uint64_t)size + n) * largest / total + 1);
	uint32_t *starts;
	uint16_t *turns = NULL;

	if (total == (uint64_t)n * largest)
		return order_equal_turns(n, size);
	starts = calloc((size_t)n_rounds + 2, sizeof(*starts));
	if (!starts)
		return NULL;
	for (unsigned i = 0; i < n; i++) {
		struct rounds rounds = rounds_of(backends[i].weight, largest);

		for (uint32_t round; (round = next_round(&rounds)) <= n_rounds;)
			starts[round + 1]++;
	}
	for (uint32_t round = 1; round <= n_rounds + 1; round++)
		starts[round] += starts[round - 1];
	turns = malloc(starts[n_rounds + 1] * sizeof(*turns));
	for (unsigned i = 0; turns && i < n; i++) {
		struct rounds rounds = rounds_of(backends[i].weight, largest);

		for (uint32_t round; (round = next_round(&rounds)) <= n_rounds;)
			turns[starts[round]++] = (uint16_t)i;
	}
	free(starts);
	return turns;
}

static struct walk start_walk(const struct sg_maglev_backend *backend, uint64_t seed, uint32_t size)
{
	const struct sg_hash_key offset_key = {{seed, 1}}, skip_key = {{seed, 2}};
	uint8_t identity[20] = {0};

	memcpy(identity, backend->addr.bytes, 16);
	identity[16] = backend->addr.family;
	identity[18] = (uint8_t)(backend->port >> 8);
	identity[19] = (uint8_t)backend->port;
	return (struct walk){
		.place = (uint32_t)(sg_siphash(&offset_key, identity, sizeof(identity)) % size),
		.skip = (uint32_t)(sg_siphash(&skip_key, identity, sizeof(identity)) % (size - 1) +
				   1),
	};
}

// The next place of the permutation; the one before is returned.
static inline uint32_t step(struct walk *walk, uint32_t size)
{
	uint32_t place = walk->place;

	walk->place += walk->skip;
	if (walk->place >= size)
		walk->place -= size;
	return place;
}

int sg_maglev_build(const struct sg_maglev_backend *backends, unsigned n, uint64_t seed,
	uint16_t *ret_table, uint32_t size)
{
	struct walk *walks = malloc(n * sizeof(*walks));
	uint16_t *turns = order_turns(backends, n, size);
	int err = -ENOMEM;

	if (!walks || !turns)
		goto out;
	for (unsigned i = 0; i < n; i++)
		walks[i] = start_walk(&backends[i], seed, size);
	memset(ret_table, 0xff, size * sizeof(*ret_table));
	for (uint32_t turn = 0; turn < size; turn++) {
		// A copy, because the compiler cannot know that the table is not the walk: a third
		// faster.
		struct walk walk = walks[turns[turn]];
		uint32_t place;

		do
			place = step(&walk, size);
		while (ret_table[place] != FREE_PLACE);
		walks[turns[turn]] = walk;
		ret_table[place] = turns[turn];
	}
	err = 0;
out:
	free(turns);
	free(walks);
	return err;
}
