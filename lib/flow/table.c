// Records and both directions of the flow table: laying out, finding, removing. See table.h.
#include "flow/table.h"
#include "flow/layout.h"

#include <string.h>

#include "base/prefetch.h"

static inline size_t align_up(size_t bytes)
{
	return (bytes + 63) & ~(size_t)63;
}

static uint32_t buckets_for(uint32_t max_flows)
{
	uint64_t entries = (uint64_t)max_flows * 2;

	return (uint32_t)(entries * 2 / SG_FLOW_ENTRIES_PER_2_BUCKETS + 1);
}

size_t sg_flow_table_bytes(uint32_t max_flows)
{
	size_t n_records = (size_t)max_flows + 1;

	return sizeof(struct sg_flow_table) +
	       buckets_for(max_flows) * sizeof(struct sg_cuckoo_bucket) +
	       n_records * sizeof(struct sg_flow) +
	       align_up(n_records * sizeof(struct sg_flow_node)) + sg_flow_free_bytes(max_flows);
}

struct sg_flow_table *sg_flow_table_init_hashed(
	void *memory, uint32_t max_flows, const struct sg_hash_key *key, enum sg_flow_hash hash)
{
	struct sg_flow_table *table = memory;

	table->key = *key;
	table->hash = hash;
	table->max_flows = max_flows;
	table->n_buckets = buckets_for(max_flows);
	table->buckets_at = sizeof(*table);
	table->records_at = table->buckets_at + table->n_buckets * sizeof(struct sg_cuckoo_bucket);
	table->nodes_at = table->records_at + ((size_t)max_flows + 1) * sizeof(struct sg_flow);
	table->free_at =
		table->nodes_at + align_up(((size_t)max_flows + 1) * sizeof(struct sg_flow_node));
	sg_flow_free_init(table);
	table->sweep_at = 1;
	return table;
}

struct sg_flow_table *sg_flow_table_init(
	void *memory, uint32_t max_flows, const struct sg_hash_key *key)
{
	bool aes = sg_hash16_bulk_best() == sg_hash16_bulk_aes;

	return sg_flow_table_init_hashed(
		memory, max_flows, key, aes ? SG_FLOW_HASH_AES : SG_FLOW_HASH_SIPHASH);
}

struct sg_flow_table *sg_flow_table_init_like(
	void *memory, uint32_t max_flows, const struct sg_flow_table *other)
{
	return sg_flow_table_init_hashed(
		memory, max_flows, &other->key, (enum sg_flow_hash)other->hash);
}

size_t sg_flow_addresses_bytes(uint32_t max_flows)
{
	return ((size_t)max_flows + 1) * sizeof(struct sg_flow_addresses);
}

void sg_flow_table_attach_addresses(struct sg_flow_table *table, void *memory)
{
	table->addresses_at = (uintptr_t)memory - (uintptr_t)table;
}

const struct sg_flow_addresses *sg_flow_table_addresses(
	const struct sg_flow_table *table, sg_flow_ref ref)
{
	return &sg_flow_table_all_addresses(table)[ref >> 1];
}

static uint64_t fingerprint_for_tests(
	const struct sg_flow_table *table, const struct sg_pair6 *pair)
{
	uint64_t words[4];

	memcpy(words, pair, sizeof(words));
	return table->hash == SG_FLOW_HASH_CONSTANT
		       ? 0
		       : words[0] ^ words[1] ^ (words[2] ^ words[3]) << 1;
}

void sg_flow_table_key6(
	const struct sg_flow_table *table, const struct sg_pair6 *pair, struct sg_tuple *tuple)
{
	uint64_t fingerprint;

	if (__builtin_expect(table->hash == SG_FLOW_HASH_AES, 1))
		fingerprint = sg_hash32_aes(&table->key, pair);
	else if (table->hash == SG_FLOW_HASH_SIPHASH)
		fingerprint = sg_hash32_portable(&table->key, pair);
	else
		fingerprint = fingerprint_for_tests(table, pair);
	memcpy(&tuple->src_be, &fingerprint, sizeof(fingerprint));
	tuple->domain |= SG_DOMAIN_IPV6;
}

static void hash_for_tests(const struct sg_flow_table *table, const struct sg_tuple *tuples,
	unsigned n, uint64_t *ret_hashes)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t halves[2];

		memcpy(halves, &tuples[i], 16);
		ret_hashes[i] = table->hash == SG_FLOW_HASH_CONSTANT ? 0 : halves[0] ^ halves[1];
	}
}

void sg_flow_table_hash(const struct sg_flow_table *table, const struct sg_tuple *tuples,
	unsigned n, uint64_t *ret_hashes)
{
	if (__builtin_expect(table->hash == SG_FLOW_HASH_AES, 1))
		sg_hash16_bulk_aes(&table->key, tuples, n, ret_hashes);
	else if (table->hash == SG_FLOW_HASH_SIPHASH)
		sg_hash16_bulk_portable(&table->key, tuples, n, ret_hashes);
	else
		hash_for_tests(table, tuples, n, ret_hashes);
}

struct sg_flow *sg_flow_table_get(const struct sg_flow_table *table, sg_flow_ref ref)
{
	return &sg_flow_table_records(table)[ref >> 1];
}

static inline bool is_tuple_of(
	const struct sg_flow *records, sg_flow_ref ref, const struct sg_tuple *tuple)
{
	return sg_tuple_equal(sg_flow_tuple(&records[ref >> 1], sg_flow_ref_direction(ref)), tuple);
}

// Compares every entry of a bucket that has the signature. 0: it is none of them.
static sg_flow_ref find_in_bucket(const struct sg_flow *records,
	const struct sg_cuckoo_bucket *bucket, uint16_t signature, const struct sg_tuple *tuple)
{
	unsigned mask = sg_cuckoo_match(bucket, signature);

	for (; mask; mask &= mask - 1) {
		sg_flow_ref ref = sg_flow_ref_of_entry(bucket->entries[__builtin_ctz(mask)]);

		if (is_tuple_of(records, ref, tuple))
			return ref;
	}
	return 0;
}

sg_flow_ref sg_flow_table_find(
	const struct sg_flow_table *table, const struct sg_tuple *tuple, uint64_t hash)
{
	const struct sg_cuckoo cuckoo = sg_flow_table_cuckoo(table);
	const struct sg_flow *records = sg_flow_table_records(table);
	uint16_t signature = sg_cuckoo_signature(hash);
	uint32_t primary = sg_cuckoo_primary(&cuckoo, hash);
	uint32_t other;
	sg_flow_ref ref = find_in_bucket(records, &cuckoo.buckets[primary], signature, tuple);

	if (ref || *sg_cuckoo_overflow(&cuckoo.buckets[primary], signature) == 0)
		return ref;
	other = sg_cuckoo_other(&cuckoo, primary, signature);
	return find_in_bucket(records, &cuckoo.buckets[other], signature, tuple);
}

void sg_flow_table_prefetch(const struct sg_flow_table *table, const uint64_t *hashes, unsigned n)
{
	const struct sg_cuckoo cuckoo = sg_flow_table_cuckoo(table);

	for (unsigned i = 0; i < n; i++)
		sg_prefetch(&cuckoo.buckets[sg_cuckoo_primary(&cuckoo, hashes[i])]);
}

uint64_t sg_flow_table_fits_bulk(
	const struct sg_flow_table *table, const uint64_t *hashes, unsigned n)
{
	const struct sg_cuckoo cuckoo = sg_flow_table_cuckoo(table);
	uint64_t fits = 0;

	for (unsigned i = 0; i < n; i++)
		sg_prefetch_write(&cuckoo.buckets[sg_cuckoo_primary(&cuckoo, hashes[i])]);
	for (unsigned i = 0; i < n; i++)
		fits |= (uint64_t)sg_cuckoo_fits(&cuckoo, hashes[i]) << i;
	return fits;
}

// The first entry of a bucket that has the signature, as a ref; 0: none. The record is asked for
// either way (record 0 is always cached), so that there is no branch that half the packets
// mispredict.
static inline sg_flow_ref take_candidate(
	const struct sg_flow *records, const struct sg_cuckoo_bucket *bucket, uint16_t signature)
{
	unsigned mask = sg_cuckoo_match(bucket, signature);
	unsigned slot =
		(unsigned)__builtin_ctz(mask | 1u << SG_CUCKOO_SLOTS) & (SG_CUCKOO_SLOTS - 1);
	sg_flow_ref ref = mask ? sg_flow_ref_of_entry(bucket->entries[slot]) : 0;

	sg_prefetch_write(&records[ref >> 1]);
	return ref;
}

// Three passes, each asking for the lines that the next one reads: buckets, alternate buckets of
// the few that need them, records.
void sg_flow_table_find_bulk(const struct sg_flow_table *table, const struct sg_tuple *tuples,
	const uint64_t *hashes, unsigned n, sg_flow_ref *ret_refs)
{
	const struct sg_cuckoo cuckoo = sg_flow_table_cuckoo(table);
	const struct sg_flow *records = sg_flow_table_records(table);
	uint32_t at[SG_FLOW_MAX_BURST];
	uint8_t away[SG_FLOW_MAX_BURST]; // keys to be looked for in their alternate bucket
	unsigned n_away = 0;

	for (unsigned i = 0; i < n; i++) {
		at[i] = sg_cuckoo_primary(&cuckoo, hashes[i]);
		sg_prefetch(&cuckoo.buckets[at[i]]);
	}
	for (unsigned i = 0; i < n; i++) {
		struct sg_cuckoo_bucket *bucket = &cuckoo.buckets[at[i]];
		uint16_t signature = sg_cuckoo_signature(hashes[i]);

		ret_refs[i] = take_candidate(records, bucket, signature);
		away[n_away] = (uint8_t)i;
		n_away += ret_refs[i] == 0 && *sg_cuckoo_overflow(bucket, signature) != 0;
	}
	for (unsigned k = 0; k < n_away; k++) {
		unsigned i = away[k];

		at[i] = sg_cuckoo_other(&cuckoo, at[i], sg_cuckoo_signature(hashes[i]));
		sg_prefetch(&cuckoo.buckets[at[i]]);
	}
	for (unsigned k = 0; k < n_away; k++) {
		unsigned i = away[k];

		ret_refs[i] = take_candidate(
			records, &cuckoo.buckets[at[i]], sg_cuckoo_signature(hashes[i]));
	}
	for (unsigned i = 0; i < n; i++) {
		// Another key with the same signature: 1 of 8,000 look-ups, so it may start over.
		if (ret_refs[i] &&
			__builtin_expect(!is_tuple_of(records, ret_refs[i], &tuples[i]), 0))
			ret_refs[i] = sg_flow_table_find(table, &tuples[i], hashes[i]);
	}
}

void sg_flow_table_give_record(struct sg_flow_table *table, uint32_t record)
{
	struct sg_flow *flow = &sg_flow_table_records(table)[record];

	// Alone, without touching `life`: a reader that copies before, during or after sees the old
	// flow or a free record.
	__atomic_store_n(&flow->state, SG_FLOW_FREE, __ATOMIC_RELAXED);
	// What has been left behind in the index may still lead here: it finds no packet's tuple.
	flow->client.proto = 0;
	flow->server.proto = 0;
	sg_flow_free_give(table, record);
	table->count--;
}

// Words of a record, in which it is copied under the eyes of its writer (insert.c).
#define N_WORDS (sizeof(struct sg_flow) / 8)
static_assert(sizeof(struct sg_flow_addresses) / 8 == N_WORDS, "addresses are as many");

static inline void read_words(void *to, const void *from, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t word = __atomic_load_n((const uint64_t *)from + i, __ATOMIC_RELAXED);

		memcpy((uint8_t *)to + 8 * i, &word, 8);
	}
}

static void remove_hashed(struct sg_flow_table *table, uint32_t record, const uint64_t hashes[2])
{
	const struct sg_cuckoo cuckoo = sg_flow_table_cuckoo(table);
	const struct sg_flow *flow = &sg_flow_table_records(table)[record];
	sg_flow_ref ref = record << 1;

	if (flow->state == SG_FLOW_FREE)
		return;
	if (flow->state != SG_FLOW_UDP_RELEASED)
		sg_cuckoo_remove(
			&cuckoo, hashes[0], sg_flow_entry_of_ref(ref | SG_FLOW_TO_BACKEND));
	if (!flow->one_way)
		sg_cuckoo_remove(&cuckoo, hashes[1], sg_flow_entry_of_ref(ref | SG_FLOW_TO_CLIENT));
	if (flow->embryo)
		sg_flow_embryo_leave(table, record);
	sg_flow_table_give_record(table, record);
}

void sg_flow_table_hash_records(const struct sg_flow_table *table, const sg_flow_ref *refs,
	unsigned n, uint64_t *ret_hashes)
{
	const struct sg_cuckoo cuckoo = sg_flow_table_cuckoo(table);
	const struct sg_flow *records = sg_flow_table_records(table);
	struct sg_tuple keys[2 * SG_FLOW_HASH_RECORDS];

	if (n == 0)
		return;
	for (unsigned i = 0; i < n; i++)
		sg_prefetch_write(&records[refs[i] >> 1]);
	for (unsigned i = 0; i < n; i++) {
		keys[2 * i] = records[refs[i] >> 1].client;
		keys[2 * i + 1] = records[refs[i] >> 1].server;
		keys[2 * i].hop = 0;
		keys[2 * i + 1].hop = 0;
	}
	sg_flow_table_hash(table, keys, 2 * n, ret_hashes);
	if (n > 1)
		sg_flow_table_prefetch(table, ret_hashes, 2 * n);
	for (unsigned i = 0; n > 1 && i < 2 * n; i++)
		sg_cuckoo_prefetch_entry(&cuckoo, ret_hashes[i]);
}

static void remove_burst(struct sg_flow_table *table, const sg_flow_ref *refs, unsigned n)
{
	uint64_t hashes[2 * SG_FLOW_HASH_RECORDS];

	sg_flow_table_hash_records(table, refs, n, hashes);
	for (unsigned i = 0; i < n; i++)
		remove_hashed(table, refs[i] >> 1, &hashes[2 * i]);
}

void sg_flow_table_remove(struct sg_flow_table *table, sg_flow_ref ref)
{
	remove_burst(table, &ref, 1);
}

void sg_flow_table_remove_bulk(struct sg_flow_table *table, const sg_flow_ref *refs, unsigned n)
{
	for (unsigned at = 0; at < n; at += SG_FLOW_HASH_RECORDS)
		remove_burst(table, refs + at,
			n - at < SG_FLOW_HASH_RECORDS ? n - at : SG_FLOW_HASH_RECORDS);
}

void sg_flow_table_release_client(struct sg_flow_table *table, sg_flow_ref ref)
{
	const struct sg_cuckoo cuckoo = sg_flow_table_cuckoo(table);
	uint64_t hashes[2];

	sg_flow_table_confirm(table, ref);
	sg_flow_table_hash_records(table, &ref, 1, hashes);
	sg_cuckoo_remove(
		&cuckoo, hashes[0], sg_flow_entry_of_ref((ref & ~1u) | SG_FLOW_TO_BACKEND));
	sg_flow_table_get(table, ref)->state = SG_FLOW_UDP_RELEASED;
}

uint32_t sg_flow_table_count(const struct sg_flow_table *table)
{
	return table->count;
}

uint32_t sg_flow_table_max(const struct sg_flow_table *table)
{
	return table->max_flows;
}

bool sg_flow_table_read(const struct sg_flow_table *table, uint32_t index, struct sg_flow *ret_flow,
	struct sg_flow_addresses *ret_addresses)
{
	const struct sg_flow *record = &sg_flow_table_records(table)[index];
	struct sg_flow_addresses addresses;
	struct sg_flow copy;
	uint16_t life;
	bool is_ipv6;

	// Partner of the release store that ends write_record: an even life comes with its words.
	life = __atomic_load_n(&record->life, __ATOMIC_ACQUIRE);
	if (life & 1)
		return false;
	read_words(&copy, record, N_WORDS);
	is_ipv6 = copy.state != SG_FLOW_FREE && sg_tuple_is_ipv6(&copy.client);
	if (is_ipv6)
		read_words(&addresses, &sg_flow_table_all_addresses(table)[index], N_WORDS);
	// Partner of the release fence in write_record: who has read a newer word also sees its odd
	// life.
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (__atomic_load_n(&record->life, __ATOMIC_RELAXED) != life)
		return false;
	if (copy.state == SG_FLOW_FREE)
		return false;
	*ret_flow = copy;
	if (is_ipv6)
		*ret_addresses = addresses;
	return true;
}
