// Limits of connections and of new ones, see allowance.h.
#include "dataplane/allowance.h"

#include <string.h>

#include "base/random.h"
#include "dataplane/loads.h"
#include "dataplane/pipeline.h"

#define TOKEN 1000 // a bucket counts thousandths

static size_t align(size_t bytes)
{
	return (bytes + 63) & ~(size_t)63;
}

// A power of two, at most half of it ever in use.
static uint32_t count_entries(uint32_t max_flows)
{
	uint32_t n = 64;

	while (n < 2 * (uint64_t)max_flows && n < UINT32_C(1) << 31)
		n *= 2;
	return n;
}

size_t sg_limits_bytes(uint32_t max_flows)
{
	return align(SG_MAX_SERVICES * sizeof(struct sg_bucket)) +
	       align(SG_LIMIT_BUCKETS * sizeof(struct sg_bucket)) +
	       align(count_entries(max_flows) * sizeof(struct sg_client_count));
}

void sg_limits_init(struct sg_limit_tables *tables, void *memory, uint32_t max_flows)
{
	uint8_t *at = memory;

	sg_random_bytes(&tables->key, sizeof(tables->key));
	tables->services = (void *)at;
	at += align(SG_MAX_SERVICES * sizeof(struct sg_bucket));
	tables->clients = (void *)at;
	at += align(SG_LIMIT_BUCKETS * sizeof(struct sg_bucket));
	tables->counts = (void *)at;
	tables->mask = count_entries(max_flows) - 1;
}

// What stands for a client of a service, or for its prefix: never 0.
static uint64_t fingerprint(const struct sg_limit_tables *tables, uint32_t service_slot,
	const uint8_t *client, unsigned client_bytes, unsigned bits)
{
	uint8_t bytes[24] = {0};

	memcpy(bytes, client, client_bytes);
	for (unsigned bit = bits; bit < client_bytes * 8; bit++)
		bytes[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
	memcpy(bytes + 16, &service_slot, sizeof(service_slot));
	bytes[20] = (uint8_t)client_bytes;
	bytes[21] = (uint8_t)bits;
	return sg_siphash(&tables->key, bytes, sizeof(bytes)) | 1;
}

// --- rates ---

// What a bucket holds now. Time is cut to 32 bits of milliseconds, which wrap after 49 days.
static uint32_t tokens_now(
	const struct sg_pipeline *pipeline, const struct sg_bucket *bucket, uint32_t per_second)
{
	uint32_t elapsed_ms = (uint32_t)pipeline->now_ms - bucket->filled_ms;
	uint64_t most = (uint64_t)per_second * TOKEN / pipeline->n_workers;
	uint64_t tokens = bucket->tokens + (uint64_t)elapsed_ms * per_second / pipeline->n_workers;

	if (most < TOKEN)
		most = TOKEN;
	return (uint32_t)(tokens < most ? tokens : most);
}

static bool take(struct sg_pipeline *pipeline, struct sg_bucket *bucket, uint32_t per_second)
{
	uint32_t tokens = tokens_now(pipeline, bucket, per_second);

	if (tokens < TOKEN)
		return false;
	if (pipeline->trace)
		return true;
	bucket->tokens = tokens - TOKEN;
	bucket->filled_ms = (uint32_t)pipeline->now_ms;
	return true;
}

// The client's bucket in its set, or on a dry run, where it has none, NULL: a full one.
static struct sg_bucket *find_bucket(struct sg_pipeline *pipeline, uint64_t key)
{
	struct sg_bucket *set =
		&pipeline->limits
			 .clients[(key >> 32) % SG_LIMIT_BUCKETS & ~(uint64_t)(SG_LIMIT_WAYS - 1)];
	uint32_t now_ms = (uint32_t)pipeline->now_ms;
	struct sg_bucket *oldest = set;

	for (unsigned i = 0; i < SG_LIMIT_WAYS; i++) {
		if (set[i].key == key)
			return &set[i];
		if (set[i].key == 0 || (oldest->key != 0 && now_ms - set[i].filled_ms >
								    now_ms - oldest->filled_ms))
			oldest = &set[i];
	}
	if (pipeline->trace)
		return NULL;
	*oldest = (struct sg_bucket){.key = key, .filled_ms = now_ms, .tokens = UINT32_MAX / 2};
	return oldest;
}

enum sg_drop sg_limits_rate(struct sg_pipeline *pipeline, const struct sg_service *service,
	const uint8_t *client, unsigned client_bytes)
{
	const struct sg_limits *limits = &service->limits;
	struct sg_bucket *bucket = &pipeline->limits.services[service->slot];

	if (limits->max_new_per_second_per_client > 0) {
		unsigned bits = client_bytes == 4 ? limits->client_prefix : limits->client_prefix6;
		struct sg_bucket *own = find_bucket(pipeline,
			fingerprint(&pipeline->limits, service->slot, client, client_bytes, bits));

		if (own && !take(pipeline, own, limits->max_new_per_second_per_client))
			return SG_DROP_CLIENT_RATE;
	}
	if (limits->max_new_per_second == 0)
		return SG_DROP_NONE;
	// A slot's first use: the bucket is full.
	if (bucket->key == 0 && !pipeline->trace)
		*bucket = (struct sg_bucket){.key = 1,
			.filled_ms = (uint32_t)pipeline->now_ms,
			.tokens = UINT32_MAX / 2};
	if (bucket->key == 0)
		return SG_DROP_NONE;
	return take(pipeline, bucket, limits->max_new_per_second) ? SG_DROP_NONE
								  : SG_DROP_SERVICE_RATE;
}

// --- connections ---

// A worker's own count, and what it knows of the others', as the schedulers reckon (loads.h).
static bool has_room(const struct sg_pipeline *pipeline, uint32_t own, const uint32_t *view,
	const uint32_t *seen, uint32_t slot, uint32_t most)
{
	int64_t total = own;

	if (view)
		total = __atomic_load_n(&view[slot], __ATOMIC_RELAXED) +
			((int64_t)own - __atomic_load_n(&seen[slot], __ATOMIC_RELAXED)) *
				(int64_t)pipeline->n_workers;
	return total < (int64_t)most;
}

// A backend's own limit goes before its service's.
static bool backend_has_room(const struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_service *service, uint32_t slot)
{
	uint32_t own = sg_snapshot_backend(snapshot, slot)->max_connections;
	uint32_t most = own ? own : service->limits.max_connections_per_backend;
	const struct sg_loads *loads = pipeline->loads;

	return most == 0 ||
	       has_room(pipeline, pipeline->backend_flows[slot], loads ? loads->view : NULL,
		       loads ? loads->seen[pipeline->worker] : NULL, slot, most);
}

uint32_t sg_limits_choose_backend(const struct sg_pipeline *pipeline,
	const struct sg_snapshot *snapshot, const struct sg_service *service,
	const struct sg_backend_set *set, uint32_t slot)
{
	uint32_t at = 0;

	if (backend_has_room(pipeline, snapshot, service, slot))
		return slot;
	while (at < set->n_backends && set->backend_slots[at] != slot)
		at++;
	// The ones behind it, so that neighbours share what it cannot take.
	for (uint32_t i = 1; i < set->n_backends; i++) {
		uint32_t other = set->backend_slots[(at + i) % set->n_backends];

		if (backend_has_room(pipeline, snapshot, service, other))
			return other;
	}
	return slot;
}

static bool service_has_room(const struct sg_pipeline *pipeline, const struct sg_service *service)
{
	const struct sg_traffic *traffic = &pipeline->counters.services[service->slot];
	uint32_t own = (uint32_t)(traffic->flows_created - traffic->flows_ended);
	const struct sg_loads *loads = pipeline->loads;

	return has_room(pipeline, own, loads ? loads->service_view : NULL,
		loads ? loads->service_seen[pipeline->worker] : NULL, service->slot,
		service->limits.max_connections);
}

// Where the client's count is, or would be.
static struct sg_client_count *find_count(const struct sg_limit_tables *tables, uint64_t key)
{
	uint32_t at = (uint32_t)(key >> 32) & tables->mask;

	while (tables->counts[at].key != 0 && tables->counts[at].key != key)
		at = (at + 1) & tables->mask;
	return &tables->counts[at];
}

// Takes an entry out and closes the gap: whoever was pushed behind it moves up.
static void remove_count(struct sg_limit_tables *tables, struct sg_client_count *entry)
{
	uint32_t gap = (uint32_t)(entry - tables->counts);

	for (uint32_t at = (gap + 1) & tables->mask; tables->counts[at].key != 0;
		at = (at + 1) & tables->mask) {
		uint32_t home = (uint32_t)(tables->counts[at].key >> 32) & tables->mask;

		// It may move if its home is not behind the gap.
		if (((at - home) & tables->mask) >= ((at - gap) & tables->mask)) {
			tables->counts[gap] = tables->counts[at];
			gap = at;
		}
	}
	tables->counts[gap] = (struct sg_client_count){0};
}

enum sg_drop sg_limits_room(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_service *service, const uint8_t *client, unsigned client_bytes,
	struct sg_flow *flow)
{
	uint32_t per_client = service->limits.max_connections_per_client;

	if (service->limits.max_connections > 0 && !service_has_room(pipeline, service))
		return SG_DROP_SERVICE_LIMIT;
	if (!backend_has_room(pipeline, snapshot, service, flow->backend_slot))
		return SG_DROP_BACKEND_LIMIT;
	flow->limited = per_client > 0;
	if (per_client > 0) {
		uint64_t key = fingerprint(
			&pipeline->limits, service->slot, client, client_bytes, client_bytes * 8);
		uint32_t share = (per_client + pipeline->n_workers - 1) / pipeline->n_workers;

		uint32_t given_back =
			pipeline->limits.given_back_by == key ? pipeline->limits.n_given_back : 0;

		if (find_count(&pipeline->limits, key)->connections >= share + given_back)
			return SG_DROP_CLIENT_LIMIT;
	}
	return SG_DROP_NONE;
}

void sg_limits_count(struct sg_pipeline *pipeline, const struct sg_flow *flow,
	const uint8_t *client, unsigned client_bytes, bool begins)
{
	uint64_t key = fingerprint(
		&pipeline->limits, flow->service_slot, client, client_bytes, client_bytes * 8);
	struct sg_client_count *entry = find_count(&pipeline->limits, key);

	if (pipeline->trace) {
		pipeline->limits.n_given_back += !begins;
		pipeline->limits.given_back_by = key;
		return;
	}
	if (begins) {
		entry->key = key;
		entry->connections++;
	} else if (entry->key == key && --entry->connections == 0) {
		remove_count(&pipeline->limits, entry);
	}
}
