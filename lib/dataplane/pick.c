// The schedulers at run time, see pick.h.
#include "dataplane/pick.h"

#include <string.h>

#include "base/hash.h"
#include "base/random.h"
#include "dataplane/loads.h"

static uint32_t pick_by_hash(const struct sg_backend_set *set, uint64_t hash)
{
	return set->table[sg_reduce((uint32_t)(hash >> 32), set->table_size)];
}

// A tuple's fingerprint is this worker's own: what all nodes agree on are the addresses alone.
static __attribute__((noinline)) uint32_t pick_maglev6(const struct sg_snapshot *snapshot,
	const struct sg_backend_set *set, const struct sg_tuple *client,
	const struct sg_pair6 *pair)
{
	uint64_t words[2];

	memcpy(&words[0], &client->sport_be, 8);
	words[0] ^= sg_hash16_agreed(&snapshot->maglev_key, pair->src);
	words[1] = sg_hash16_agreed(&snapshot->maglev_key, pair->dst);
	return pick_by_hash(set, sg_hash16_agreed(&snapshot->maglev_key, words));
}

static inline uint32_t pick_maglev(const struct sg_snapshot *snapshot,
	const struct sg_backend_set *set, const struct sg_tuple *client,
	const struct sg_pair6 *pair)
{
	if (__builtin_expect(pair != NULL, 0))
		return pick_maglev6(snapshot, set, client, pair);
	return pick_by_hash(set, sg_hash16_agreed(&snapshot->maglev_key, client));
}

// All that one address sends, whatever its ports: what sh is for.
static uint32_t pick_by_source(const struct sg_snapshot *snapshot, const struct sg_backend_set *set,
	const struct sg_tuple *client, const struct sg_pair6 *pair)
{
	struct sg_tuple source = {.src_be = client->src_be, .domain = client->domain};

	if (pair)
		return pick_by_hash(set, sg_hash16_agreed(&snapshot->maglev_key, pair->src));
	return pick_maglev(snapshot, set, &source, NULL);
}

// Workers start at different places, or each would send its first flow to the same backend. Each
// family has a place of its own.
static uint32_t advance(struct sg_pipeline *pipeline, const struct sg_service *service,
	const struct sg_backend_set *set, uint32_t length)
{
	uint32_t *cursor = &pipeline->cursors[service->slot * SG_SET_COUNT + (set - service->sets)];
	uint32_t at = (*cursor + pipeline->worker * length / pipeline->n_workers) % length;

	*cursor = *cursor + 1 >= length ? 0 : *cursor + 1;
	return at;
}

// Flows on a backend as this worker sees them, see loads.h.
static uint64_t score(const struct sg_pipeline *pipeline, uint32_t slot)
{
	const struct sg_loads *loads = pipeline->loads;
	int64_t own = pipeline->backend_flows[slot];
	int64_t total;

	if (!loads)
		return (uint64_t)own;
	total = __atomic_load_n(&loads->view[slot], __ATOMIC_RELAXED) +
		(own - __atomic_load_n(&loads->seen[pipeline->worker][slot], __ATOMIC_RELAXED)) *
			(int64_t)pipeline->n_workers;
	return total > 0 ? (uint64_t)total : 0;
}

// Whether backend `a` has fewer flows for its weight than `b`, counting the one to come.
static bool is_lighter(const struct sg_pipeline *pipeline, const struct sg_service *service,
	const struct sg_backend_set *set, uint32_t a, uint32_t b)
{
	uint64_t flows_a = score(pipeline, set->backend_slots[a]);
	uint64_t flows_b = score(pipeline, set->backend_slots[b]);

	if (service->scheduler == SG_SCHEDULER_LC)
		return flows_a < flows_b;
	return (flows_a + 1) * set->weights[b] < (flows_b + 1) * set->weights[a];
}

static uint32_t pick_lightest(struct sg_pipeline *pipeline, const struct sg_service *service,
	const struct sg_backend_set *set, uint32_t start)
{
	uint32_t n = set->n_backends;
	uint32_t best = start;

	for (uint32_t i = 1; i < n; i++) {
		uint32_t candidate = start + i < n ? start + i : start + i - n;

		if (is_lighter(pipeline, service, set, candidate, best))
			best = candidate;
	}
	return best;
}

static uint32_t sample(struct sg_pipeline *pipeline, const struct sg_service *service,
	const struct sg_backend_set *set)
{
	uint32_t random = (uint32_t)(sg_random_next(&pipeline->random) >> 32);

	if (service->scheduler == SG_SCHEDULER_WLC && set->table)
		return set->table[sg_reduce(random, set->table_size)];
	return sg_reduce(random, set->n_backends);
}

static uint32_t pick_least(struct sg_pipeline *pipeline, const struct sg_service *service,
	const struct sg_backend_set *set)
{
	uint32_t limit =
		pipeline->n_workers == 1 ? SG_PICK_SAMPLE_ABOVE_SINGLE : SG_PICK_SAMPLE_ABOVE;
	uint32_t a, b;

	// Equal backends take turns: the search starts one further each time.
	if (set->n_backends <= limit)
		return pick_lightest(
			pipeline, service, set, advance(pipeline, service, set, set->n_backends));
	a = sample(pipeline, service, set);
	b = sample(pipeline, service, set);
	return is_lighter(pipeline, service, set, b, a) ? b : a;
}

// On a dry run: how it came to this choice. What the schedulers count in is told by `at`, before it
// becomes a backend.
static void note(struct sg_pipeline *pipeline, const struct sg_service *service,
	const struct sg_backend_set *set, uint32_t at)
{
	struct sg_explanation *trace = pipeline->trace;

	trace->choice = set->n_backends > 0 ? SG_CHOICE_SCHEDULER : SG_CHOICE_EMPTY;
	trace->scheduler = service->scheduler;
	trace->n_candidates = set->n_backends;
	if (set->n_backends == 0)
		return;
	trace->backend_slot = set->backend_slots[at];
	trace->least_flows = score(pipeline, trace->backend_slot);
}

uint32_t sg_pick_backend(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_service *service, const struct sg_tuple *client,
	const struct sg_pair6 *pair)
{
	const struct sg_backend_set *set = &service->sets[pair ? SG_SET_IPV6 : SG_SET_IPV4];
	uint32_t at;

	if (set->n_backends == 0) {
		if (pipeline->trace)
			note(pipeline, service, set, 0);
		return SG_PICK_NONE;
	}
	switch (service->scheduler) {
	case SG_SCHEDULER_RR:
		at = advance(pipeline, service, set, set->n_backends);
		break;
	case SG_SCHEDULER_WRR:
		at = set->table[advance(pipeline, service, set, set->table_size)];
		break;
	case SG_SCHEDULER_LC:
	case SG_SCHEDULER_WLC:
		at = pick_least(pipeline, service, set);
		break;
	case SG_SCHEDULER_SH:
		at = pick_by_source(snapshot, set, client, pair);
		break;
	default:
		at = pick_maglev(snapshot, set, client, pair);
		break;
	}
	if (pipeline->trace)
		note(pipeline, service, set, at);
	return set->backend_slots[at];
}
