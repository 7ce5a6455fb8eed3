// Waiting fragments against a naive twin that remembers every byte; and what is refused, by name.
#include "dataplane/fragments.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

#define MAX_BUFFERS 300000

static struct sg_fragments fragments;
static struct sg_fragment all[SG_FRAGMENTS_PER_DATAGRAM];
static uint8_t fates[MAX_BUFFERS]; // enum sg_drop by buffer; 0xff: part of a whole; 0xfe: late
static unsigned n_late;
static uintptr_t n_buffers;
static unsigned drops[SG_DROP_COUNT];

static void on_drop(void *context, void *buffer, enum sg_drop drop)
{
	(void)context;
	assert_in_range((uintptr_t)buffer, 1, n_buffers);
	assert_int_equal(fates[(uintptr_t)buffer], 0); // nothing is lost twice
	fates[(uintptr_t)buffer] = (uint8_t)drop;
	drops[drop]++;
}

// The first fragment of what is too late; it is no drop yet, but its buffer is not ours any more.
static void on_late(void *context, void *buffer)
{
	(void)context;
	assert_in_range((uintptr_t)buffer, 1, n_buffers);
	assert_int_equal(fates[(uintptr_t)buffer], 0);
	fates[(uintptr_t)buffer] = 0xfe;
	n_late++;
}

static int set_up(void **unused)
{
	(void)unused;
	sg_fragments_init(&fragments, on_drop, on_late, NULL);
	memset(fates, 0, sizeof(fates));
	memset(drops, 0, sizeof(drops));
	n_buffers = 0;
	n_late = 0;
	return 0;
}

static struct sg_fragment_key key_of(uint32_t source, uint32_t id)
{
	struct sg_fragment_key key = {.id = id, .proto = 17, .family = 4};

	memcpy(key.src, &source, 4);
	return key;
}

// Returns how many the datagram has that this completes, after a look at their order.
static unsigned put(
	uint64_t now_ms, uint32_t source, uint32_t id, uint32_t offset, uint32_t length, bool more)
{
	struct sg_fragment_key key = key_of(source, id);
	struct sg_fragment fragment = {.buffer = (void *)++n_buffers,
		.offset = (uint16_t)offset,
		.length = (uint16_t)length,
		.more = more};
	unsigned n = sg_fragments_put(&fragments, now_ms, &key, &fragment, all);
	uint32_t end = 0;

	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(all[i].offset, end);
		assert_int_equal(all[i].more, i + 1 < n);
		end += all[i].length;
		assert_int_equal(fates[(uintptr_t)all[i].buffer], 0);
		fates[(uintptr_t)all[i].buffer] = 0xff;
	}
	return n;
}

static enum sg_drop fate(void)
{
	return fates[n_buffers];
}

static void order_does_not_matter(void **unused)
{
	static const uint8_t orders[6][3] = {
		{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	static const uint32_t lengths[3] = {800, 800, 7};

	(void)unused;
	for (unsigned i = 0; i < 6; i++) {
		for (unsigned k = 0; k < 3; k++) {
			unsigned at = orders[i][k];

			assert_int_equal(
				put(1000, 1, i, at * 800, lengths[at], at < 2), k == 2 ? 3 : 0);
		}
	}
	assert_int_equal(fragments.n_held, 0);
	assert_int_equal(fragments.n_datagrams, 0);
}

static void a_duplicate_is_lost_alone(void **unused)
{
	(void)unused;
	assert_int_equal(put(1000, 1, 1, 0, 800, true), 0);
	assert_int_equal(put(1000, 1, 1, 0, 800, true), 0);
	assert_int_equal(fate(), SG_DROP_FRAGMENT_DUPLICATE);
	assert_int_equal(put(1000, 1, 1, 800, 9, false), 2);
}

static void what_overlaps_or_contradicts_is_refused_with_all_the_rest(void **unused)
{
	static const struct {
		const char *story;
		struct {
			uint32_t offset, length;
			bool more;
		} parts[2], bad;
	} rows[] = {
		{"into the one before", {{0, 800, true}, {1600, 8, true}}, {792, 16, true}},
		{"into the one behind", {{800, 800, true}, {2400, 8, true}}, {0, 808, true}},
		{"around it", {{800, 80, true}, {2400, 8, true}}, {0, 1600, true}},
		{"inside it", {{0, 800, true}, {2400, 8, true}}, {80, 80, true}},
		{"the same place, shorter", {{0, 800, true}, {2400, 8, true}}, {0, 80, true}},
		{"the same, but said to be the last", {{0, 800, true}, {2400, 8, true}},
			{2400, 8, false}},
		{"a second end", {{0, 800, true}, {1600, 8, false}}, {2400, 8, false}},
		{"beyond the end", {{0, 800, true}, {1600, 8, false}}, {2400, 8, true}},
		{"up to the end, with more to follow", {{0, 800, true}, {1600, 8, false}},
			{1584, 24, true}},
		{"an end before what is there", {{0, 800, true}, {1600, 8, true}}, {800, 8, false}},
	};

	(void)unused;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		set_up(NULL);
		for (unsigned k = 0; k < 2; k++)
			assert_int_equal(put(1000, 1, 1, rows[i].parts[k].offset,
						 rows[i].parts[k].length, rows[i].parts[k].more),
				0);
		put(1000, 1, 1, rows[i].bad.offset, rows[i].bad.length, rows[i].bad.more);
		if (drops[SG_DROP_FRAGMENT_OVERLAP] != 3)
			fail_msg("%s: %u lost", rows[i].story, drops[SG_DROP_FRAGMENT_OVERLAP]);
		// What would have made it whole does not any more, until its time is over.
		put(2999, 1, 1, 4000, 8, true);
		assert_int_equal(fate(), SG_DROP_FRAGMENT_OVERLAP);
		assert_int_equal(fragments.n_held, 0);
		put(3000, 1, 1, 4000, 8, true);
		assert_int_equal(fate(), SG_DROP_NONE);
	}
}

static void a_datagram_has_its_time(void **unused)
{
	(void)unused;
	put(1000, 1, 1, 0, 800, true);
	put(1500, 1, 2, 0, 800, true);
	put(2999, 1, 1, 800, 800, true);
	sg_fragments_age(&fragments, 2999);
	assert_int_equal(drops[SG_DROP_FRAGMENT_TIMEOUT], 0);
	sg_fragments_age(&fragments, 3000);
	assert_int_equal(drops[SG_DROP_FRAGMENT_TIMEOUT], 1);
	assert_int_equal(fates[1], 0xfe);
	assert_int_equal(put(3499, 1, 2, 800, 1, false), 2);
	// The rest comes too late: it begins a datagram that will never be whole.
	put(3499, 1, 1, 1600, 1, false);
	sg_fragments_age(&fragments, 5499);
	assert_int_equal(drops[SG_DROP_FRAGMENT_TIMEOUT], 2);
	assert_int_equal(n_late, 1); // its first fragment has not come
	// Nor is anybody told at the end, or of what was refused.
	put(6000, 1, 3, 0, 800, true);
	put(6000, 1, 4, 0, 800, true);
	put(6000, 1, 4, 0, 808, true);
	sg_fragments_age(&fragments, 7000);
	sg_fragments_clear(&fragments);
	assert_int_equal(n_late, 1);
	assert_int_equal(fragments.n_held, 0);
}

static void keys_that_differ_anywhere_are_other_datagrams(void **unused)
{
	struct sg_fragment fragment = {.buffer = (void *)1, .length = 8, .more = true};
	struct sg_fragment_key key = key_of(1, 1);

	(void)unused;
	n_buffers = 1;
	for (unsigned i = 0; i < sizeof(key) - 1; i++) {
		uint8_t *byte = (uint8_t *)&key + i;

		*byte ^= 0x40;
		assert_int_equal(sg_fragments_put(&fragments, 1, &key, &fragment, all), 0);
		*byte ^= 0x40;
		assert_int_equal(fragments.n_datagrams, i + 1);
	}
}

// A source that sends nothing but halves loses its own oldest, and nobody else's.
static void a_source_has_its_share(void **unused)
{
	const unsigned share = SG_FRAGMENTS_DATAGRAMS / SG_FRAGMENTS_SHARE;

	(void)unused;
	for (uint32_t i = 0; i < 10; i++)
		put(1000, 2, i, 0, 8, true);
	for (uint32_t i = 0; i < 2 * share; i++)
		put(1000, 1, i, 0, 8, true);
	assert_int_equal(drops[SG_DROP_FRAGMENT_LIMIT], share);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(put(1000, 2, i, 8, 8, false), 2);
	// Its younger half is there.
	assert_int_equal(put(1000, 1, 2 * share - 1, 8, 8, false), 2);
	assert_int_equal(put(1000, 1, 0, 8, 8, false), 0);
}

static void many_fragments_are_within_the_share_too(void **unused)
{
	(void)unused;
	for (uint32_t id = 0; id < 40; id++)
		for (uint32_t i = 0; i < 100; i++)
			put(1000, 1, id, i * 8, 8, true);
	assert_true(fragments.n_held <= SG_FRAGMENTS_HELD / SG_FRAGMENTS_SHARE);
	// The last datagram is never the victim of its own.
	assert_int_equal(put(1000, 1, 39, 800, 8, false), 101);
}

static void a_datagram_has_only_so_many_fragments(void **unused)
{
	(void)unused;
	for (uint32_t i = 0; i < SG_FRAGMENTS_PER_DATAGRAM; i++)
		put(1000, 1, 1, i * 8, 8, true);
	assert_int_equal(drops[SG_DROP_FRAGMENT_LIMIT], 0);
	put(1000, 1, 1, SG_FRAGMENTS_PER_DATAGRAM * 8, 8, false);
	assert_int_equal(drops[SG_DROP_FRAGMENT_LIMIT], SG_FRAGMENTS_PER_DATAGRAM + 1);
}

// Made-up sources take the place of the oldest, and never more memory than there is.
static void a_flood_takes_the_place_of_the_oldest(void **unused)
{
	(void)unused;
	put(1000, 0, 0, 0, 8, true);
	for (uint32_t i = 1; i <= 5000; i++) {
		put(1000, i, i, 0, 8, true);
		assert_true(fragments.n_held <= SG_FRAGMENTS_HELD);
		assert_true(fragments.n_datagrams <= SG_FRAGMENTS_DATAGRAMS);
		// One whole datagram after the other passes all the same.
		assert_int_equal(put(1000, 6000, i, 8, 8, false), 0);
		assert_int_equal(put(1000, 6000, i, 0, 8, true), 2);
	}
	assert_int_equal(fates[1], SG_DROP_FRAGMENT_LIMIT);
}

// The naive twin: for each datagram who has which byte, and no hurry.

#define TWINS      24
#define TWIN_BYTES 512

struct twin {
	bool open, refused;
	uint64_t until_ms;
	unsigned n, total;
	uintptr_t bytes[TWIN_BYTES]; // buffer
	struct {
		uint32_t offset, length;
		bool more;
	} parts[TWIN_BYTES / 8];
};

static enum sg_drop twin_put(struct twin *twin, uint64_t now_ms, uint32_t offset, uint32_t length,
	bool more, bool *ret_whole)
{
	*ret_whole = false;
	if (twin->open && now_ms >= twin->until_ms)
		twin->open = false;
	if (!twin->open)
		*twin = (struct twin){.open = true, .until_ms = now_ms + SG_FRAGMENTS_MS};
	if (twin->refused)
		return SG_DROP_FRAGMENT_OVERLAP;
	for (unsigned i = 0; i < twin->n; i++) {
		if (twin->parts[i].offset == offset && twin->parts[i].length == length &&
			twin->parts[i].more == more)
			return SG_DROP_FRAGMENT_DUPLICATE;
	}
	for (unsigned i = 0; i < TWIN_BYTES; i++) {
		bool taken = twin->bytes[i];

		if ((taken && i >= offset && i < offset + length) ||
			(taken && !more && i >= offset + length))
			twin->refused = true;
	}
	if (twin->total && (!more || offset + length >= twin->total))
		twin->refused = true;
	if (twin->refused)
		return SG_DROP_FRAGMENT_OVERLAP;
	for (unsigned i = offset; i < offset + length; i++)
		twin->bytes[i] = n_buffers + 1;
	twin->parts[twin->n].offset = offset;
	twin->parts[twin->n].length = length;
	twin->parts[twin->n++].more = more;
	if (!more)
		twin->total = offset + length;
	*ret_whole = twin->total;
	for (unsigned i = 0; i < twin->total; i++)
		*ret_whole = *ret_whole && twin->bytes[i];
	if (*ret_whole)
		twin->open = false;
	return SG_DROP_NONE;
}

static void it_does_what_the_naive_twin_does(void **unused)
{
	static struct twin twins[TWINS];
	uint64_t random = 88172645463325252u;
	uint64_t now_ms = 1000;
	unsigned n_whole = 0;

	(void)unused;
	memset(twins, 0, sizeof(twins));
	for (unsigned i = 0; i < MAX_BUFFERS - 1; i++) {
		uint32_t which = (uint32_t)(sg_random_next(&random) >> 32) % TWINS;
		// Mostly slices of a grid, so that datagrams do become whole.
		uint32_t slice = (uint32_t)(sg_random_next(&random) >> 32) % 4;
		bool odd = sg_random_next(&random) % 16 == 0;
		uint32_t length =
			odd ? 8 * (1 + (uint32_t)(sg_random_next(&random) >> 40) % 24) : 128;
		uint32_t offset =
			odd ? 8 * ((uint32_t)(sg_random_next(&random) >> 40) % 40) : slice * 128;
		bool more = slice != 3;
		unsigned n_before = twins[which].n;
		enum sg_drop want;
		bool whole;
		unsigned n;

		now_ms += sg_random_next(&random) % 32 == 0 ? sg_random_next(&random) % 900 : 0;
		if (!twins[which].open || now_ms >= twins[which].until_ms)
			n_before = 0;
		want = twin_put(&twins[which], now_ms, offset, length, more, &whole);
		n = put(now_ms, which * 77, 5, offset, length, more);
		assert_int_equal(n, whole ? n_before + 1 : 0);
		assert_int_equal(fate(), whole ? 0xff : want);
		n_whole += whole;
	}
	assert_true(n_whole > 1000);
	sg_fragments_clear(&fragments);
	assert_int_equal(fragments.n_held, 0);
	// Each went somewhere.
	for (uintptr_t i = 1; i <= n_buffers; i++)
		assert_int_not_equal(fates[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(order_does_not_matter, set_up),
		cmocka_unit_test_setup(a_duplicate_is_lost_alone, set_up),
		cmocka_unit_test_setup(
			what_overlaps_or_contradicts_is_refused_with_all_the_rest, set_up),
		cmocka_unit_test_setup(a_datagram_has_its_time, set_up),
		cmocka_unit_test_setup(keys_that_differ_anywhere_are_other_datagrams, set_up),
		cmocka_unit_test_setup(a_source_has_its_share, set_up),
		cmocka_unit_test_setup(many_fragments_are_within_the_share_too, set_up),
		cmocka_unit_test_setup(a_datagram_has_only_so_many_fragments, set_up),
		cmocka_unit_test_setup(a_flood_takes_the_place_of_the_oldest, set_up),
		cmocka_unit_test_setup(it_does_what_the_naive_twin_does, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
