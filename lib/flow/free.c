// Free records of the flow table: which of them the next insertion gets.
//
// First from a pocket of a few, last freed first: under a flood the record that has just been
// recycled is still cached. What does not fit there is a bit in a bitmap, from which the pocket is
// filled again, at the bottom and before it is empty, so that what comes next is known and asked
// for in time. A word in each higher level of the bitmap has a bit for each word below that is not
// 0, so finding some takes one look a level. Last come records that were never used, in the order
// of memory.
//
// A list through the free records would be as slow as its chain of misses (181 ns an insertion at 1
// M flows against 112, same machine); a stack of numbers beside them would be as fast, and costs 4
// bytes a flow that buckets make better use of.
#include "flow/layout.h"

#include "base/prefetch.h"

#define AHEAD 16 // records that are asked for before an insertion gets them
#define KEEP  48 // records that the pocket takes back; the bitmap brings up to 64 at once
static_assert(AHEAD + 64 <= SG_FLOW_POCKET && KEEP <= SG_FLOW_POCKET, "the pocket overflows");

static uint32_t words_of_level(uint32_t max_flows, unsigned level)
{
	return (max_flows >> (6 * (level + 1))) + 1;
}

size_t sg_flow_free_bytes(uint32_t max_flows)
{
	size_t n_words = 0;

	for (unsigned level = 0; level < SG_FLOW_FREE_LEVELS; level++)
		n_words += words_of_level(max_flows, level);
	return (n_words * sizeof(uint64_t) + 63) & ~(size_t)63;
}

void sg_flow_free_init(struct sg_flow_table *table)
{
	uint32_t start = 0;

	for (unsigned level = 0; level < SG_FLOW_FREE_LEVELS; level++) {
		table->free_starts[level] = start;
		start += words_of_level(table->max_flows, level);
	}
	table->first_unused = 1;
}

static inline uint64_t *word_at(const struct sg_flow_table *table, unsigned level, uint32_t at)
{
	return &sg_flow_table_free_bits(table)[table->free_starts[level] + at];
}

static void set_bit(struct sg_flow_table *table, uint32_t record)
{
	for (unsigned level = 0; level < SG_FLOW_FREE_LEVELS; level++, record >>= 6) {
		uint64_t *word = word_at(table, level, record >> 6);
		uint64_t before = *word;

		*word |= UINT64_C(1) << (record & 63);
		if (before)
			return;
	}
}

// Empties a word of level 0, and with it the bits that stand for it above.
static void clear_word(struct sg_flow_table *table, uint32_t at)
{
	*word_at(table, 0, at) = 0;
	for (unsigned level = 1; level < SG_FLOW_FREE_LEVELS; level++, at >>= 6) {
		uint64_t *word = word_at(table, level, at >> 6);

		*word &= ~(UINT64_C(1) << (at & 63));
		if (*word)
			return;
	}
}

// The place `depth` below the top of the pocket.
static inline uint32_t *pocket_at(struct sg_flow_table *table, uint32_t depth)
{
	return &table->pocket[(table->pocket_top - 1 - depth) % SG_FLOW_POCKET];
}

static void put_at_bottom(struct sg_flow_table *table, uint32_t record)
{
	*pocket_at(table, table->n_pocket++) = record;
	sg_prefetch_write(&sg_flow_table_records(table)[record]);
	sg_prefetch_write(&sg_flow_table_nodes(table)[record]);
}

// Takes all bits of some word.
static void fill_pocket(struct sg_flow_table *table)
{
	uint32_t at = 0;
	uint64_t bits;

	for (unsigned level = SG_FLOW_FREE_LEVELS - 1; level > 0; level--) {
		bits = *word_at(table, level, at);
		if (!bits)
			return;
		at = at << 6 | (uint32_t)__builtin_ctzll(bits);
	}
	for (bits = *word_at(table, 0, at); bits; bits &= bits - 1)
		put_at_bottom(table, at << 6 | (uint32_t)__builtin_ctzll(bits));
	clear_word(table, at);
}

uint32_t sg_flow_free_next(struct sg_flow_table *table)
{
	if (table->n_pocket < AHEAD)
		fill_pocket(table);
	if (table->n_pocket > 0)
		return *pocket_at(table, 0);
	return table->first_unused <= table->max_flows ? table->first_unused : 0;
}

void sg_flow_free_take(struct sg_flow_table *table)
{
	if (table->n_pocket > 0) {
		table->n_pocket--;
		table->pocket_top--;
		return;
	}
	// These follow each other in memory: the hardware sees that by itself.
	table->first_unused++;
}

void sg_flow_free_give(struct sg_flow_table *table, uint32_t record)
{
	if (table->n_pocket >= KEEP) {
		set_bit(table, record);
		return;
	}
	table->pocket_top++;
	table->n_pocket++;
	*pocket_at(table, 0) = record;
}

bool sg_flow_free_has(const struct sg_flow_table *table, uint32_t record)
{
	for (uint32_t i = 0; i < table->n_pocket; i++) {
		if (table->pocket[(table->pocket_top - 1 - i) % SG_FLOW_POCKET] == record)
			return true;
	}
	return record >= table->first_unused ||
	       *word_at(table, 0, record >> 6) >> (record & 63) & 1;
}
