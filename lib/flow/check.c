// The flow table's consistency, word by word: for tests. See layout.h.
#include "flow/layout.h"

static bool is_entry_of(const struct sg_flow_table *table, uint32_t bucket_at, unsigned slot)
{
	const struct sg_cuckoo cuckoo = sg_flow_table_cuckoo(table);
	const struct sg_cuckoo_bucket *bucket = &cuckoo.buckets[bucket_at];
	uint32_t entry = bucket->entries[slot];
	sg_flow_ref ref = sg_flow_ref_of_entry(entry);
	const struct sg_flow *flow = sg_flow_table_get(table, ref);
	struct sg_tuple key = *sg_flow_tuple(flow, sg_flow_ref_direction(ref));
	uint64_t hash;
	uint32_t home;

	if (sg_flow_ref_direction(ref) == SG_FLOW_TO_CLIENT ? flow->one_way
							    : flow->state == SG_FLOW_UDP_RELEASED)
		return false;
	key.hop = 0;
	sg_flow_table_hash(table, &key, 1, &hash);
	home = sg_cuckoo_primary(&cuckoo, hash);
	if (entry & SG_CUCKOO_ALTERNATE)
		home = sg_cuckoo_other(&cuckoo, home, sg_cuckoo_signature(hash));
	return flow->state != SG_FLOW_FREE && home == bucket_at &&
	       bucket->signatures[slot] == sg_cuckoo_signature(hash) &&
	       bucket->tags[slot] == sg_flow_embryo_tag(table, ref >> 1);
}

// How many entries of flows the index has, and how many of all are in their alternate; UINT32_MAX
// when one that is to stay is nobody's, or a living embryo's counts as stale.
static uint32_t count_entries(const struct sg_flow_table *table, uint32_t *ret_alternates)
{
	const struct sg_cuckoo cuckoo = sg_flow_table_cuckoo(table);
	uint32_t n = 0;

	*ret_alternates = 0;
	for (uint32_t at = 0; at < cuckoo.n_buckets; at++) {
		const struct sg_cuckoo_bucket *bucket = &cuckoo.buckets[at];

		for (unsigned slot = 0; slot < SG_CUCKOO_SLOTS; slot++) {
			bool owned, stale;

			if ((bucket->signatures[slot] == 0) != (bucket->entries[slot] == 0))
				return UINT32_MAX;
			if (bucket->entries[slot] == 0)
				continue;
			*ret_alternates += !!(bucket->entries[slot] & SG_CUCKOO_ALTERNATE);
			owned = is_entry_of(table, at, slot);
			stale = sg_cuckoo_stale(&cuckoo, bucket) >> slot & 1;
			if (owned ? stale : bucket->tags[slot] == SG_CUCKOO_UNTAGGED)
				return UINT32_MAX;
			n += owned;
		}
	}
	return n;
}

static uint32_t sum_of_overflows(const struct sg_flow_table *table)
{
	const struct sg_cuckoo cuckoo = sg_flow_table_cuckoo(table);
	uint32_t sum = 0;

	for (uint32_t at = 0; at < cuckoo.n_buckets; at++) {
		for (unsigned class = 0; class < SG_CUCKOO_CLASSES; class ++)
			sum += cuckoo.buckets[at].overflow[class];
	}
	return sum;
}

static bool is_found(const struct sg_flow_table *table, sg_flow_ref ref)
{
	struct sg_tuple key =
		*sg_flow_tuple(sg_flow_table_get(table, ref), sg_flow_ref_direction(ref));
	uint64_t hash;

	key.hop = 0;
	sg_flow_table_hash(table, &key, 1, &hash);
	return sg_flow_table_find(table, &key, hash) == ref;
}

// One entry for each direction, but for clients that were released and servers that never speak.
static uint32_t entries_due(const struct sg_flow_table *table)
{
	uint32_t entries = 2 * table->count;

	for (uint32_t record = 1; record <= table->max_flows; record++) {
		const struct sg_flow *flow = sg_flow_table_get(table, record << 1);

		entries -= flow->state == SG_FLOW_UDP_RELEASED;
		entries -= flow->state != SG_FLOW_FREE && flow->one_way;
	}
	return entries;
}

static bool is_key_of(const struct sg_flow_table *table, const struct sg_tuple *tuple,
	const struct sg_pair6 *pair)
{
	struct sg_tuple key = *tuple;

	sg_flow_table_key6(table, pair, &key);
	return sg_tuple_equal(&key, tuple);
}

static bool has_its_addresses(const struct sg_flow_table *table, uint32_t record)
{
	const struct sg_flow *flow = sg_flow_table_get(table, record << 1);
	const struct sg_flow_addresses *addresses = sg_flow_table_addresses(table, record << 1);

	if (!sg_tuple_is_ipv6(&flow->client))
		return true;
	return is_key_of(table, &flow->client, &addresses->client) &&
	       (flow->one_way || is_key_of(table, &flow->server, &addresses->server));
}

static const char *check_records(const struct sg_flow_table *table)
{
	uint32_t count = 0;
	uint32_t embryos = 0;

	for (uint32_t record = 1; record <= table->max_flows; record++) {
		const struct sg_flow *flow = sg_flow_table_get(table, record << 1);

		if (flow->state == SG_FLOW_FREE)
			continue;
		count++;
		embryos += flow->embryo;
		if (is_found(table, record << 1 | SG_FLOW_TO_BACKEND) ==
			(flow->state == SG_FLOW_UDP_RELEASED))
			return "a flow is not found under its client's tuple";
		if (!flow->one_way && !is_found(table, record << 1 | SG_FLOW_TO_CLIENT))
			return "a flow is not found under its server's tuple";
		if (!has_its_addresses(table, record))
			return "an IPv6 flow's addresses are not those of its tuples";
	}
	if (count != table->count)
		return "the count of flows is wrong";
	return embryos == table->embryos ? NULL : "the count of embryos is wrong";
}

static const char *check_queue(const struct sg_flow_table *table)
{
	const struct sg_flow_node *nodes = sg_flow_table_nodes(table);
	uint32_t embryos = 0;

	for (uint32_t at = sg_flow_node_next(&nodes[0]); at != 0 && embryos <= table->max_flows;
		at = sg_flow_node_next(&nodes[at])) {
		if (sg_flow_node_next(&nodes[sg_flow_node_prev(&nodes[at])]) != at ||
			!sg_flow_table_get(table, at << 1)->embryo)
			return "the queue of embryos is torn";
		embryos++;
	}
	return embryos == table->embryos ? NULL : "the queue of embryos has the wrong length";
}

static const char *check_free(const struct sg_flow_table *table)
{
	for (uint32_t record = 1; record <= table->max_flows; record++) {
		bool in_use = sg_flow_table_get(table, record << 1)->state != SG_FLOW_FREE;

		if (in_use == sg_flow_free_has(table, record))
			return in_use ? "a record is in use and free" : "a free record is lost";
	}
	return NULL;
}

const char *sg_flow_table_check(const struct sg_flow_table *table)
{
	uint32_t alternates;
	uint32_t entries = count_entries(table, &alternates);
	const char *problem = check_records(table);

	if (problem)
		return problem;
	if (entries == UINT32_MAX)
		return "the index has an entry that is nobody's, or takes an embryo's for stale";
	if (entries != entries_due(table))
		return "the index does not have an entry for each direction";
	if (sum_of_overflows(table) != alternates)
		return "the overflow counters do not add up";
	problem = check_queue(table);
	return problem ? problem : check_free(table);
}
