// The trie against a search through all prefixes for the longest that contains an address.
#include "service/trie.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

static uint32_t naive_find(
	const struct sg_trie_entry *entries, unsigned n, const struct sg_addr *addr)
{
	uint32_t value = SG_TRIE_NONE;
	int longest = -1;

	for (unsigned i = 0; i < n; i++)
		if (sg_prefix_contains(&entries[i].prefix, addr) &&
			(int)entries[i].prefix.length >= longest) {
			longest = entries[i].prefix.length;
			value = entries[i].value;
		}
	return value;
}

// Each byte takes one of a few values, so that prefixes nest and addresses hit.
static struct sg_addr random_addr(uint64_t *random, enum sg_family family)
{
	static const uint8_t bytes[] = {0, 1, 10, 127, 128, 192, 255};
	struct sg_addr addr = {.family = (uint8_t)family};

	for (unsigned i = 0; i < sg_family_bits(addr.family) / 8; i++)
		addr.bytes[i] = bytes[sg_random_next(random) % sizeof(bytes)];
	return addr;
}

static struct sg_prefix random_prefix(uint64_t *random, enum sg_family family)
{
	struct sg_addr addr = random_addr(random, family);
	unsigned bits = sg_family_bits(addr.family);
	struct sg_prefix prefix = {
		.addr = addr, .length = (uint8_t)(sg_random_next(random) % (bits + 1))};

	for (unsigned bit = prefix.length; bit < bits; bit++)
		prefix.addr.bytes[bit / 8] &= (uint8_t) ~(0x80u >> (bit % 8));
	return prefix;
}

static void assert_agrees(const struct sg_trie *trie, const struct sg_trie_entry *entries,
	unsigned n, const struct sg_addr *addr)
{
	assert_int_equal(sg_trie_find(trie, addr->bytes), naive_find(entries, n, addr));
}

// Spread over all addresses, of 8 bits to `max_length`.
static struct sg_trie_entry *wide_entries(
	uint64_t *random, unsigned n, enum sg_family family, unsigned max_length)
{
	struct sg_trie_entry *entries = calloc(n + 1, sizeof(*entries));

	assert_non_null(entries);
	for (unsigned i = 0; i < n; i++) {
		struct sg_prefix *prefix = &entries[i].prefix;
		uint64_t bytes[2] = {sg_random_next(random), sg_random_next(random)};

		prefix->addr.family = (uint8_t)family;
		prefix->length = (uint8_t)(8 + sg_random_next(random) % (max_length - 7));
		memcpy(prefix->addr.bytes, bytes, sg_family_bits(family) / 8);
		for (unsigned bit = prefix->length; bit < sg_family_bits(family); bit++)
			prefix->addr.bytes[bit / 8] &= (uint8_t) ~(0x80u >> (bit % 8));
		entries[i].value = (uint32_t)(sg_random_next(random) % 5);
	}
	return entries;
}

// The addresses just outside of a prefix and at both its ends are where a wrong range shows.
static void assert_agrees_at_edges(const struct sg_trie *trie, const struct sg_trie_entry *entries,
	unsigned n, const struct sg_prefix *prefix)
{
	unsigned bits = sg_family_bits(prefix->addr.family);
	struct sg_addr last = prefix->addr;
	struct sg_addr outside = prefix->addr;

	assert_agrees(trie, entries, n, &prefix->addr);
	for (unsigned bit = prefix->length; bit < bits; bit++)
		last.bytes[bit / 8] |= (uint8_t)(0x80u >> (bit % 8));
	assert_agrees(trie, entries, n, &last);
	if (prefix->length > 0) {
		unsigned bit = prefix->length - 1u;

		outside.bytes[bit / 8] ^= (uint8_t)(0x80u >> (bit % 8));
		assert_agrees(trie, entries, n, &outside);
	}
}

static void agrees_with_twin(enum sg_family family, unsigned n, uint64_t random)
{
	struct sg_trie_entry *entries = calloc(n + 1, sizeof(*entries));
	struct sg_trie *trie;

	assert_non_null(entries);
	for (unsigned i = 0; i < n; i++) {
		// A few of the other family, which the trie must leave out.
		enum sg_family of =
			i % 17 == 16 ? (enum sg_family)(SG_FAMILY_IPV4 + SG_FAMILY_IPV6 - family)
				     : family;

		entries[i] = (struct sg_trie_entry){
			.prefix = random_prefix(&random, of), .value = (uint32_t)i};
	}
	trie = sg_trie_create(entries, n, family);
	assert_non_null(trie);
	for (unsigned i = 0; i < n; i++)
		if (entries[i].prefix.addr.family == family)
			assert_agrees_at_edges(trie, entries, n, &entries[i].prefix);
	for (unsigned i = 0; i < 2000; i++) {
		struct sg_addr addr = random_addr(&random, family);

		assert_agrees(trie, entries, n, &addr);
	}
	sg_trie_unref(trie);
	free(entries);
}

static void ipv4_agrees_with_twin(void **unused)
{
	(void)unused;
	for (unsigned n = 0; n < 12; n++)
		for (uint64_t seed = 1; seed <= 20; seed++)
			agrees_with_twin(SG_FAMILY_IPV4, n, seed);
	agrees_with_twin(SG_FAMILY_IPV4, 1000, 42);
}

static void ipv6_agrees_with_twin(void **unused)
{
	(void)unused;
	for (unsigned n = 0; n < 12; n++)
		for (uint64_t seed = 1; seed <= 20; seed++)
			agrees_with_twin(SG_FAMILY_IPV6, n, seed);
	agrees_with_twin(SG_FAMILY_IPV6, 500, 42);
}

static void of_two_equal_prefixes_the_later_counts(void **unused)
{
	struct sg_trie_entry entries[2] = {{.value = 1}, {.value = 2}};
	struct sg_trie *trie;

	(void)unused;
	for (int i = 0; i < 2; i++)
		assert_int_equal(sg_prefix_parse("10.0.0.0/8", &entries[i].prefix, NULL), 0);
	trie = sg_trie_create(entries, 2, SG_FAMILY_IPV4);
	assert_non_null(trie);
	assert_int_equal(sg_trie_find(trie, entries[0].prefix.addr.bytes), 2);
	assert_ptr_equal(sg_trie_ref(trie), trie);
	sg_trie_unref(trie);
	sg_trie_unref(trie);
	sg_trie_unref(NULL);
}

// Both families and tries with and without a table in one burst, and any number of searches.
static void many_searches_find_what_each_finds(void **unused)
{
	enum {
		N_TRIES = 6,
		N_ROUNDS = 200,
	};
	static const struct {
		enum sg_family family;
		unsigned n, max_length;
	} rows[N_TRIES] = {{SG_FAMILY_IPV4, 0, 32}, {SG_FAMILY_IPV4, 20, 32},
		{SG_FAMILY_IPV4, 9000, 32}, {SG_FAMILY_IPV6, 1, 128}, {SG_FAMILY_IPV6, 30, 64},
		{SG_FAMILY_IPV6, 3000, 128}};
	struct sg_trie_search searches[SG_TRIE_MAX_BURST];
	struct sg_addr addrs[SG_TRIE_MAX_BURST];
	struct sg_trie_entry *entries[N_TRIES];
	struct sg_trie *tries[N_TRIES];
	uint64_t random = 7;

	(void)unused;
	for (unsigned i = 0; i < N_TRIES; i++) {
		entries[i] = wide_entries(&random, rows[i].n, rows[i].family, rows[i].max_length);
		tries[i] = sg_trie_create(entries[i], rows[i].n, rows[i].family);
		assert_non_null(tries[i]);
		assert_int_equal(tries[i]->table != NULL, rows[i].n >= 3000);
	}
	for (unsigned round = 0; round < N_ROUNDS; round++) {
		unsigned n = (unsigned)(sg_random_next(&random) % (SG_TRIE_MAX_BURST + 1));

		for (unsigned i = 0; i < n; i++) {
			unsigned k = (unsigned)(sg_random_next(&random) % N_TRIES);
			uint64_t bytes[2] = {sg_random_next(&random), sg_random_next(&random)};

			memcpy(addrs[i].bytes, bytes, sizeof(bytes));
			// Half of them are in a prefix at least as far as it goes.
			if (rows[k].n > 0 && sg_random_next(&random) & 1)
				addrs[i] =
					entries[k][sg_random_next(&random) % rows[k].n].prefix.addr;
			searches[i] =
				(struct sg_trie_search){.trie = tries[k], .at = addrs[i].bytes};
		}
		sg_trie_find_bulk(searches, n);
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(
				searches[i].found, sg_trie_find(searches[i].trie, addrs[i].bytes));
	}
	for (unsigned i = 0; i < N_TRIES; i++) {
		free(entries[i]);
		sg_trie_unref(tries[i]);
	}
}

// With a table, at the edges of prefixes of each length.
static void a_large_trie_agrees_with_twin(void **unused)
{
	enum {
		N = 8000,
		N_LOOKED_AT = 60,
	};
	static const enum sg_family families[] = {SG_FAMILY_IPV4, SG_FAMILY_IPV6};
	uint64_t random = 3;

	(void)unused;
	for (unsigned i = 0; i < 2; i++) {
		struct sg_trie_entry *entries =
			wide_entries(&random, N, families[i], sg_family_bits(families[i]));
		struct sg_trie *trie = sg_trie_create(entries, N, families[i]);

		assert_non_null(trie);
		assert_non_null(trie->table);
		for (unsigned k = 0; k < N; k += N / N_LOOKED_AT)
			assert_agrees_at_edges(trie, entries, N, &entries[k].prefix);
		sg_trie_unref(trie);
		free(entries);
	}
}

// What 10,000 neighbouring hosts need is what the header promises. Each of the 40 last nodes leads
// every byte elsewhere, since neighbours have different values.
static void memory_is_as_described(void **unused)
{
	enum {
		N = 10000
	};
	struct sg_trie_entry *entries = calloc(N, sizeof(*entries));
	struct sg_trie *trie;

	(void)unused;
	assert_non_null(entries);
	for (unsigned i = 0; i < N; i++) {
		entries[i].prefix = (struct sg_prefix){.addr.family = SG_FAMILY_IPV4, .length = 32};
		entries[i].prefix.addr.bytes[0] = 10;
		entries[i].prefix.addr.bytes[2] = (uint8_t)(i / 256);
		entries[i].prefix.addr.bytes[3] = (uint8_t)i;
		entries[i].value = i % 2;
	}
	trie = sg_trie_create(entries, N, SG_FAMILY_IPV4);
	assert_non_null(trie);
	assert_true(trie->n_nodes * 64 > 40 * 1024 && trie->n_nodes * 64 < 45 * 1024);
	assert_int_equal(sg_trie_bytes(trie), sizeof(*trie) + trie->n_nodes * 64);
	sg_trie_unref(trie);
	// All the same: each full node has one run.
	for (unsigned i = 0; i < N; i++)
		entries[i].value = 1;
	trie = sg_trie_create(entries, N, SG_FAMILY_IPV4);
	assert_non_null(trie);
	assert_true(trie->n_nodes <= 3 + 3 + 40);
	sg_trie_unref(trie);
	free(entries);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_agrees_with_twin),
		cmocka_unit_test(ipv6_agrees_with_twin),
		cmocka_unit_test(of_two_equal_prefixes_the_later_counts),
		cmocka_unit_test(many_searches_find_what_each_finds),
		cmocka_unit_test(a_large_trie_agrees_with_twin),
		cmocka_unit_test(memory_is_as_described),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
