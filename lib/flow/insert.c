// Entering flows into the table: one at a time, and all that a burst starts. See table.h.
#include "flow/layout.h"

#include <string.h>

// Words of a record, in which it is copied under the eyes of readers.
#define N_WORDS (sizeof(struct sg_flow) / 8)
static_assert(sizeof(struct sg_flow_addresses) / 8 == N_WORDS, "addresses are as many");
#define LIFE_WORD (offsetof(struct sg_flow, life) / 8)

// Entries that wait for a line of memory, or for others to make room.
struct late {
	unsigned n;
	uint64_t hashes[2 * SG_FLOW_MAX_NEWCOMERS];
	sg_flow_ref refs[2 * SG_FLOW_MAX_NEWCOMERS];
	uint8_t of[2 * SG_FLOW_MAX_NEWCOMERS]; // the newcomer's number
};
static_assert(2 * SG_FLOW_MAX_NEWCOMERS <= SG_CUCKOO_MAX_ROOMS, "all are asked for together");

static inline uint64_t load_word(const struct sg_flow *flow, unsigned i)
{
	uint64_t word;

	memcpy(&word, (const uint8_t *)flow + 8 * i, 8);
	return word;
}

// The word that has `life` in it, with another life.
static inline uint64_t give_life(uint64_t word, uint16_t life)
{
	memcpy((uint8_t *)&word + offsetof(struct sg_flow, life) % 8, &life, sizeof(life));
	return word;
}

static inline void write_words(void *to, const void *from, unsigned n)
{
	uint64_t *words = to;

#pragma GCC unroll 8
	for (unsigned i = 0; i < n; i++) {
		uint64_t word;

		memcpy(&word, (const uint8_t *)from + 8 * i, 8);
		__atomic_store_n(&words[i], word, __ATOMIC_RELAXED);
	}
}

// Fills a record, and the line of addresses beside it where there are any, as a sequence lock:
// `life` is odd while the words change.
static inline __attribute__((always_inline)) void write_record(struct sg_flow_table *table,
	uint32_t number, const struct sg_flow *flow, const struct sg_flow_addresses *addresses,
	bool embryo)
{
	struct sg_flow *record = &sg_flow_table_records(table)[number];
	uint64_t *words = (uint64_t *)record;
	uint16_t life = (uint16_t)(record->life | 1);

	__atomic_store_n(&record->life, life, __ATOMIC_RELAXED);
	// Odd before any word: partner of the acquire fence in sg_flow_table_read.
	__atomic_thread_fence(__ATOMIC_RELEASE);
#pragma GCC unroll 8
	for (unsigned i = 0; i < N_WORDS; i++) {
		uint64_t word = load_word(flow, i);

		if (i == LIFE_WORD)
			word = give_life(word, life);
		__atomic_store_n(&words[i], word, __ATOMIC_RELAXED);
	}
	if (addresses)
		write_words(&sg_flow_table_all_addresses(table)[number], addresses, N_WORDS);
	record->embryo = embryo;
	// What has been left behind in the index must not find a note for a tuple.
	record->server.proto = flow->one_way ? 0 : flow->server.proto;
	// Every word before even: partner of the acquire load in sg_flow_table_read.
	__atomic_store_n(&record->life, (uint16_t)(life + 1), __ATOMIC_RELEASE);
}

// What the entries of a flow in a state are tagged with. What a client's backend is may live for
// hours in the queue: its entries stay.
static inline uint8_t tag_for(const struct sg_flow_table *table, uint8_t state)
{
	return sg_flow_state_is_embryo(state) && state != SG_FLOW_AFFINITY
		       ? sg_cuckoo_tag(table->epoch)
		       : SG_CUCKOO_UNTAGGED;
}

static inline __attribute__((always_inline)) sg_flow_ref insert(struct sg_flow_table *table,
	const struct sg_flow *flow, const struct sg_flow_addresses *addresses, uint64_t client_hash,
	uint64_t server_hash)
{
	uint32_t record = sg_flow_free_next(table);
	sg_flow_ref ref = record << 1;
	bool embryo = sg_flow_state_is_embryo(flow->state);
	struct sg_cuckoo cuckoo;
	uint8_t tag;

	if (record == 0)
		return 0;
	if (embryo)
		sg_flow_embryo_begin(table);
	cuckoo = sg_flow_table_cuckoo(table);
	tag = tag_for(table, flow->state);
	if (!sg_cuckoo_insert(
		    &cuckoo, client_hash, sg_flow_entry_of_ref(ref | SG_FLOW_TO_BACKEND), tag))
		return 0;
	if (!flow->one_way && !sg_cuckoo_insert(&cuckoo, server_hash,
				      sg_flow_entry_of_ref(ref | SG_FLOW_TO_CLIENT), tag)) {
		sg_cuckoo_remove(
			&cuckoo, client_hash, sg_flow_entry_of_ref(ref | SG_FLOW_TO_BACKEND));
		return 0;
	}
	sg_flow_free_take(table);
	table->count++;
	write_record(table, record, flow, addresses, embryo);
	if (embryo)
		sg_flow_embryo_join(table, record);
	return ref;
}

sg_flow_ref sg_flow_table_insert(struct sg_flow_table *table, const struct sg_flow *flow,
	uint64_t client_hash, uint64_t server_hash)
{
	return insert(table, flow, NULL, client_hash, server_hash);
}

sg_flow_ref sg_flow_table_insert6(struct sg_flow_table *table, const struct sg_flow *flow,
	const struct sg_flow_addresses *addresses, uint64_t client_hash, uint64_t server_hash)
{
	return insert(table, flow, addresses, client_hash, server_hash);
}

// fast path: an entry that fits where it belongs takes one line; the others wait.
static inline void enter(const struct sg_cuckoo *cuckoo, uint64_t hash, sg_flow_ref ref,
	uint8_t tag, unsigned of, struct late *late)
{
	if (__builtin_expect(
		    sg_cuckoo_put_at_home(cuckoo, hash, sg_flow_entry_of_ref(ref), tag), 1))
		return;
	late->hashes[late->n] = hash;
	late->refs[late->n] = ref;
	late->of[late->n++] = (uint8_t)of;
}

// Enters those that wait, as far as there is room. Returns a bit for each newcomer that found none.
static uint64_t enter_late(const struct sg_flow_table *table, const struct sg_cuckoo *cuckoo,
	const struct sg_flow_newcomer *newcomers, const struct late *late)
{
	uint64_t refused = 0;

	sg_cuckoo_prefetch_rooms(cuckoo, late->hashes, late->n);
	for (unsigned k = 0; k < late->n; k++) {
		unsigned i = late->of[k];
		uint8_t tag = tag_for(table, newcomers[i].flow->state);

		if (refused >> i & 1)
			continue;
		if (!sg_cuckoo_insert(
			    cuckoo, late->hashes[k], sg_flow_entry_of_ref(late->refs[k]), tag))
			refused |= UINT64_C(1) << i;
	}
	return refused;
}

// Takes back what was entered of a flow that did not find room for both directions.
static void give_up(struct sg_flow_table *table, const struct sg_cuckoo *cuckoo,
	struct sg_flow_newcomer *newcomer)
{
	sg_flow_ref ref = newcomer->ref;

	sg_cuckoo_remove(
		cuckoo, newcomer->client_hash, sg_flow_entry_of_ref(ref | SG_FLOW_TO_BACKEND));
	if (!newcomer->flow->one_way)
		sg_cuckoo_remove(cuckoo, newcomer->server_hash,
			sg_flow_entry_of_ref(ref | SG_FLOW_TO_CLIENT));
	sg_flow_free_give(table, ref >> 1);
	newcomer->ref = 0;
}

// Three passes: entries that fit at once, entries that do not, records.
void sg_flow_table_insert_bulk(
	struct sg_flow_table *table, struct sg_flow_newcomer *newcomers, unsigned n)
{
	uint32_t joining[SG_FLOW_MAX_NEWCOMERS];
	unsigned n_joining = 0;
	uint64_t refused = 0;
	struct sg_cuckoo cuckoo;
	struct late late;

	late.n = 0;
	sg_flow_embryo_begin(table);
	cuckoo = sg_flow_table_cuckoo(table);
	for (unsigned i = 0; i < n; i++) {
		struct sg_flow_newcomer *newcomer = &newcomers[i];
		uint32_t record = sg_flow_free_next(table);
		uint8_t tag = tag_for(table, newcomer->flow->state);

		newcomer->ref = record << 1;
		if (record == 0)
			continue;
		sg_flow_free_take(table);
		enter(&cuckoo, newcomer->client_hash, newcomer->ref | SG_FLOW_TO_BACKEND, tag, i,
			&late);
		if (!newcomer->flow->one_way)
			enter(&cuckoo, newcomer->server_hash, newcomer->ref | SG_FLOW_TO_CLIENT,
				tag, i, &late);
	}
	if (late.n > 0)
		refused = enter_late(table, &cuckoo, newcomers, &late);
	for (unsigned i = 0; i < n; i++) {
		struct sg_flow_newcomer *newcomer = &newcomers[i];
		uint32_t record = newcomer->ref >> 1;
		bool embryo = sg_flow_state_is_embryo(newcomer->flow->state);

		if (__builtin_expect(refused >> i & 1, 0))
			give_up(table, &cuckoo, newcomer);
		if (newcomer->ref == 0)
			continue;
		table->count++;
		write_record(table, record, newcomer->flow, newcomer->addresses, embryo);
		joining[n_joining] = record;
		n_joining += embryo;
	}
	sg_flow_embryo_join_bulk(table, joining, n_joining);
}
