// When addresses are announced: each once a walk, so many a millisecond, and when the walks come.
#include "dataplane/announce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define N_ADDRESSES 50

struct rig {
	struct sg_snapshot snapshot;
	struct sg_announcer announcer;
	uint64_t now_ms;
};

static int set_up(void **state)
{
	static struct rig rig;

	memset(&rig, 0, sizeof(rig));
	rig.now_ms = 1000000;
	rig.snapshot.addresses4 = sg_index_create(2 * N_ADDRESSES);
	// Every second address is not ours to announce.
	for (uint32_t i = 1; i <= 2 * N_ADDRESSES; i++)
		sg_index_put(rig.snapshot.addresses4, i, i % 2 ? SG_ADDRESS_ANNOUNCE : 0);
	*state = &rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	sg_index_unref(rig->snapshot.addresses4);
	return 0;
}

// Lets `ms` pass. Returns how many addresses were announced, and how often the first of them was.
static unsigned pass(struct rig *rig, unsigned ms, unsigned *ret_first)
{
	unsigned n = 0, first = 0;

	for (unsigned i = 0; i < ms; i++, rig->now_ms++) {
		unsigned this_ms = 0;
		uint32_t addr;

		while ((addr = sg_announcer_next(&rig->announcer, &rig->snapshot, rig->now_ms)) !=
			0) {
			assert_int_equal(addr % 2, 1);
			first += addr == 1;
			this_ms++;
		}
		assert_true(this_ms <= SG_ANNOUNCE_PER_MS);
		n += this_ms;
	}
	if (ret_first)
		*ret_first = first;
	return n;
}

static void walks_come_after_1_2_4_seconds_up_to_a_minute(void **state)
{
	static const unsigned seconds[] = {1, 2, 4, 8, 16, 32, 60, 60};
	struct rig *rig = *state;
	unsigned first;

	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		assert_int_equal(pass(rig, seconds[i] * 1000, &first), N_ADDRESSES);
		assert_int_equal(first, 1);
	}
}

static void a_link_that_comes_up_begins_anew(void **state)
{
	struct rig *rig = *state;

	sg_announcer_see_links(&rig->announcer, 1);
	assert_int_equal(pass(rig, 60000, NULL), 6 * N_ADDRESSES);
	sg_announcer_see_links(&rig->announcer, 1);
	assert_int_equal(pass(rig, 2000, NULL), 0);
	sg_announcer_see_links(&rig->announcer, 0); // down: nobody to tell
	assert_int_equal(pass(rig, 1000, NULL), 0);
	sg_announcer_see_links(&rig->announcer, 2);
	assert_int_equal(pass(rig, 1000, NULL), N_ADDRESSES);
	assert_int_equal(pass(rig, 2000, NULL), N_ADDRESSES);
}

static void other_addresses_begin_anew(void **state)
{
	struct rig *rig = *state;
	struct sg_index *before = rig->snapshot.addresses4;

	assert_int_equal(pass(rig, 60000, NULL), 6 * N_ADDRESSES);
	rig->snapshot.addresses4 = sg_index_create(1);
	sg_index_put(rig->snapshot.addresses4, 7, SG_ADDRESS_ANNOUNCE);
	assert_int_equal(pass(rig, 1000, NULL), 1);
	sg_index_unref(before);
}

// The walk that is under way reaches its end; the one that the flapping calls for comes behind it.
static void a_link_that_flaps_ends_no_walk(void **state)
{
	struct rig *rig = *state;
	unsigned n = 0, first = 0, more;

	for (unsigned i = 0; i < 10; i++) {
		sg_announcer_see_links(&rig->announcer, i % 2);
		n += pass(rig, 1, &more);
		first += more;
	}
	assert_int_equal(n, 10 * SG_ANNOUNCE_PER_MS);
	n += pass(rig, 100, &more);
	assert_int_equal(n, 2 * N_ADDRESSES);
	assert_int_equal(first + more, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(walks_come_after_1_2_4_seconds_up_to_a_minute),
		TEST(a_link_that_comes_up_begins_anew),
		TEST(other_addresses_begin_anew),
		TEST(a_link_that_flaps_ends_no_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
