// DPDK's rte_hash with CRC as a subject: two keys a flow, both with the number of one 64-byte
// record.
//
// Look-ups in bulk, with the records prefetched behind them. It has no bulk insertion or removal,
// and no way to prefetch for them from outside.
#include "bench/subject.h"

#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_prefetch.h>

#include "flow/table.h"

struct peer {
	struct rte_hash *hash;
	struct sg_flow *records; // by slot
};

static void *open_table(struct sg_bench *bench, uint32_t n_flows)
{
	struct rte_hash_parameters parameters = {
		.name = "peer",
		.entries = (uint32_t)((uint64_t)n_flows * 2 * 10 / 6),
		.key_len = sizeof(struct sg_tuple),
		.hash_func = rte_hash_crc,
	};
	struct peer *peer = calloc(1, sizeof(*peer));

	if (!peer)
		sg_bench_die("no memory");
	peer->hash = rte_hash_create(&parameters);
	if (!peer->hash)
		sg_bench_die("rte_hash_create failed: %s", rte_strerror(rte_errno));
	peer->records = sg_bench_memory(bench, (uint64_t)n_flows * sizeof(*peer->records));
	return peer;
}

static void close_table(void *table)
{
	struct peer *peer = table;

	rte_hash_free(peer->hash);
	sg_bench_free(peer->records);
	free(peer);
}

static void insert(void *table, const uint32_t *slots, const struct sg_tuple *keys, unsigned n)
{
	struct peer *peer = table;
	struct sg_flow flow = {.state = SG_FLOW_TCP_ESTABLISHED};

	for (unsigned i = 0; i < n; i++)
		rte_prefetch0(&peer->records[slots[i]]);
	for (unsigned i = 0; i < n; i++) {
		void *data = (void *)(uintptr_t)slots[i];

		flow.client = keys[2 * i];
		flow.server = keys[2 * i + 1];
		flow.backend_slot = slots[i];
		if (rte_hash_add_key_data(peer->hash, &keys[2 * i], data) < 0 ||
			rte_hash_add_key_data(peer->hash, &keys[2 * i + 1], data) < 0)
			sg_bench_die("rte_hash refused a key");
		peer->records[slots[i]] = flow;
	}
}

static void remove_flows(void *table, const struct sg_tuple *keys, unsigned n)
{
	struct peer *peer = table;

	for (unsigned i = 0; i < 2 * n; i++) {
		if (rte_hash_del_key(peer->hash, &keys[i]) < 0)
			sg_bench_die("rte_hash does not know a key");
	}
}

static unsigned lookup(void *table, const struct sg_tuple *keys)
{
	struct peer *peer = table;
	const void *pointers[SG_BENCH_BURST];
	void *data[SG_BENCH_BURST];
	uint64_t found = 0;
	uint32_t sum = 0;

	for (unsigned i = 0; i < SG_BENCH_BURST; i++)
		pointers[i] = &keys[i];
	rte_hash_lookup_bulk_data(peer->hash, pointers, SG_BENCH_BURST, &found, data);
	for (unsigned i = 0; i < SG_BENCH_BURST; i++) {
		if (found >> i & 1)
			rte_prefetch0(&peer->records[(uintptr_t)data[i]]);
	}
	for (unsigned i = 0; i < SG_BENCH_BURST; i++) {
		if (found >> i & 1)
			sum += peer->records[(uintptr_t)data[i]].backend_slot +
			       peer->records[(uintptr_t)data[i]].last_seen;
	}
	sg_bench_use(&sum);
	return (unsigned)__builtin_popcountll(found);
}

const struct sg_bench_subject sg_bench_subject_rte_hash = {
	.name = "rte_hash",
	.open = open_table,
	.close = close_table,
	.insert = insert,
	.remove = remove_flows,
	.lookup = lookup,
};
