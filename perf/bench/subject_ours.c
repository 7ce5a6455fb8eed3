// Our flow table as a subject: used as the pipeline uses it, in bursts with prefetching.
#include "bench/subject.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "flow/layout.h"
#include "flow/table.h"

static void *open_table(struct sg_bench *bench, uint32_t n_flows)
{
	// 60 % of the slots, where a full table has SG_FLOW_ENTRIES_PER_2_BUCKETS of 2 *
	// SG_CUCKOO_SLOTS.
	uint64_t max_flows =
		(uint64_t)n_flows * SG_FLOW_ENTRIES_PER_2_BUCKETS * 10 / (2 * SG_CUCKOO_SLOTS * 6);
	struct sg_hash_key key;

	sg_random_bytes(&key, sizeof(key));
	return sg_flow_table_init(sg_bench_memory(bench, sg_flow_table_bytes((uint32_t)max_flows)),
		(uint32_t)max_flows, &key);
}

static void insert(void *table, const uint32_t *slots, const struct sg_tuple *keys, unsigned n)
{
	struct sg_flow_newcomer newcomers[SG_BENCH_BURST];
	struct sg_flow flows[SG_BENCH_BURST];
	uint64_t hashes[2 * SG_BENCH_BURST];

	(void)slots;
	sg_flow_table_hash(table, keys, 2 * n, hashes);
	sg_flow_table_prefetch(table, hashes, 2 * n);
	for (unsigned i = 0; i < n; i++) {
		flows[i] = (struct sg_flow){.client = keys[2 * i],
			.server = keys[2 * i + 1],
			.backend_slot = (uint32_t)hashes[2 * i],
			.state = SG_FLOW_TCP_ESTABLISHED};
		newcomers[i] = (struct sg_flow_newcomer){.flow = &flows[i],
			.client_hash = hashes[2 * i],
			.server_hash = hashes[2 * i + 1]};
	}
	sg_flow_table_insert_bulk(table, newcomers, n);
	for (unsigned i = 0; i < n; i++) {
		if (!newcomers[i].ref)
			sg_bench_die("the flow table refused a flow");
	}
}

static void remove_flows(void *table, const struct sg_tuple *keys, unsigned n)
{
	struct sg_tuple clients[SG_BENCH_BURST];
	uint64_t hashes[SG_BENCH_BURST];
	sg_flow_ref refs[SG_BENCH_BURST];

	for (unsigned i = 0; i < n; i++)
		clients[i] = keys[2 * i];
	sg_flow_table_hash(table, clients, n, hashes);
	sg_flow_table_find_bulk(table, clients, hashes, n, refs);
	sg_flow_table_remove_bulk(table, refs, n);
}

static unsigned lookup(void *table, const struct sg_tuple *keys)
{
	uint64_t hashes[SG_BENCH_BURST];
	sg_flow_ref refs[SG_BENCH_BURST];
	unsigned n_found = 0;
	uint32_t sum = 0;

	sg_flow_table_hash(table, keys, SG_BENCH_BURST, hashes);
	sg_flow_table_find_bulk(table, keys, hashes, SG_BENCH_BURST, refs);
	for (unsigned i = 0; i < SG_BENCH_BURST; i++) {
		const struct sg_flow *flow = sg_flow_table_get(table, refs[i]);

		sum += flow->backend_slot + flow->last_seen;
		n_found += refs[i] != 0;
	}
	sg_bench_use(&sum);
	return n_found;
}

static void close_table(void *table)
{
	sg_bench_free(table);
}

const struct sg_bench_subject sg_bench_subject_ours = {
	.name = "flow_table",
	.open = open_table,
	.close = close_table,
	.insert = insert,
	.remove = remove_flows,
	.lookup = lookup,
};
