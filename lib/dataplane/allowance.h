// How many connections there may be, and how many may begin: per service, per backend, per client.
//
// Connections are flows, embryos too, so that a flood of SYNs runs into a limit as clients do. Each
// worker counts its own and knows of the others what control has summed in the last millisecond
// (loads.h): it admits a flow while sum + workers x (own now - own then) is below the limit. So a
// limit is exact with one worker; with W it is kept to within W - 1, and to within what begins in
// the millisecond between two sums. Clients are counted by each worker alone, which admits a W-th
// of the limit, rounded up: a client's connections are spread over the workers by their ports.
//
// Rates are token buckets, one for each service and one for each (service, client prefix): a
// second's worth at most is saved up, and one at least. Each worker fills its own with a W-th of
// the rate.
//
// Client buckets lie in a fixed table, in sets of 8 that a keyed hash chooses, so that nobody can
// aim at another's. Where a set is full, the bucket that was used longest ago is given up: its
// client begins with a full one again. That gives nothing away while fewer than about 100,000
// prefixes a second begin connections at a worker; above, the service's own limit is what holds.
//
// Clients' connections are counted in a table with twice as many entries as there are flows, so it
// is never full. It is a mapping of its own of which pages are taken when a service with such a
// limit has clients. A flow that is counted there says so (`limited`): limits come and go while
// flows stay.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "service/snapshot.h"

struct sg_flow;
struct sg_pipeline;

#define SG_LIMIT_BUCKETS 131072 // of clients; a power of two
#define SG_LIMIT_WAYS    8

struct sg_bucket {
	uint64_t key; // of a client: its fingerprint; 0: empty
	uint32_t filled_ms;
	uint32_t tokens; // thousandths
};

struct sg_client_count {
	uint64_t key; // fingerprint of (service, client); 0: empty
	uint32_t connections;
	uint32_t reserved;
};

struct sg_limit_tables {
	struct sg_hash_key key;
	struct sg_bucket *services;     // [SG_MAX_SERVICES]
	struct sg_bucket *clients;      // [SG_LIMIT_BUCKETS]
	struct sg_client_count *counts; // [mask + 1]
	uint32_t mask;
	// On a dry run: whose connections ended in it, and how many.
	uint32_t n_given_back;
	uint64_t given_back_by;
};

// Zeroed memory for one worker's tables, of which little is touched without limits.
size_t sg_limits_bytes(uint32_t max_flows);
void sg_limits_init(struct sg_limit_tables *tables, void *memory, uint32_t max_flows);

// Whether a new flow of this client may begin, by rate; a token is taken for it, unless on a dry
// run. `client` is the address in network order, of 4 or 16 bytes.
enum sg_drop sg_limits_rate(struct sg_pipeline *pipeline, const struct sg_service *service,
	const uint8_t *client, unsigned client_bytes);
// The same by connections, just before the flow is entered: of the service, the backend and the
// client. Notes in the flow whether its client is counted.
enum sg_drop sg_limits_room(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_service *service, const uint8_t *client, unsigned client_bytes,
	struct sg_flow *flow);
// The backend that was picked, or where it has no room another of its set that has some; the one
// that was picked if none has.
uint32_t sg_limits_choose_backend(const struct sg_pipeline *pipeline,
	const struct sg_snapshot *snapshot, const struct sg_service *service,
	const struct sg_backend_set *set, uint32_t slot);
// A limited flow begins or ends.
void sg_limits_count(struct sg_pipeline *pipeline, const struct sg_flow *flow,
	const uint8_t *client, unsigned client_bytes, bool begins);
