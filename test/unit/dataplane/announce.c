// When addresses are announced: each once a walk, so many a millisecond, and when the walks come.
#include "dataplane/announce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "net/checksum.h"
#include "net/headers.h"

#define N_ADDRESSES 50 // of both families, half each

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
	rig.snapshot.addresses4 = sg_index_create(N_ADDRESSES);
	rig.snapshot.addresses6 = sg_index6_create(N_ADDRESSES);
	// Every second address is not ours to announce.
	for (uint8_t i = 1; i <= N_ADDRESSES; i++) {
		const uint8_t addr[16] = {0x20, [15] = i};

		sg_index_put(rig.snapshot.addresses4, i, i % 2 ? SG_ADDRESS_ANNOUNCE : 0);
		sg_index6_put(rig.snapshot.addresses6, addr, 0, i % 2 ? SG_ADDRESS_ANNOUNCE : 0);
	}
	*state = &rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	sg_index_unref(rig->snapshot.addresses4);
	sg_index6_unref(rig->snapshot.addresses6);
	return 0;
}

// Lets `ms` pass. Returns how many addresses were announced, and how often one of IPv6 was.
static unsigned pass(struct rig *rig, unsigned ms, unsigned *ret_first)
{
	unsigned n = 0, first = 0;

	for (unsigned i = 0; i < ms; i++, rig->now_ms++) {
		unsigned this_ms = 0;
		struct sg_addr addr;

		while (sg_announcer_next(&rig->announcer, &rig->snapshot, rig->now_ms, &addr)) {
			bool is_ipv6 = addr.family == SG_FAMILY_IPV6;
			// The IPv4 addresses here are numbers as they lie in memory.
			uint8_t number = addr.bytes[is_ipv6 ? 15 : 0];

			assert_int_equal(number % 2, 1);
			first += is_ipv6 && number == 1;
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
	struct sg_index6 *before6;

	assert_int_equal(pass(rig, 60000, NULL), 6 * N_ADDRESSES);
	rig->snapshot.addresses4 = sg_index_create(1);
	sg_index_put(rig->snapshot.addresses4, 7, SG_ADDRESS_ANNOUNCE);
	assert_int_equal(pass(rig, 1000, NULL), 1 + N_ADDRESSES / 2);
	sg_index_unref(before);
	before6 = rig->snapshot.addresses6;
	rig->snapshot.addresses6 = sg_index6_create(0);
	assert_int_equal(pass(rig, 1000, NULL), 1);
	sg_index6_unref(before6);
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

static void an_advertisement_is_one(void **state)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 9};
	static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
	const struct sg_addr addr = {.family = SG_FAMILY_IPV6, .bytes = {0x20, 1, [15] = 7}};
	uint8_t frame[SG_ANNOUNCE_FRAME_BYTES];
	const struct sg_ipv6_hdr *ip = (const void *)(frame + 14);
	const struct sg_ndp_hdr *ndp = (const void *)(ip + 1);

	(void)state;
	assert_int_equal(sg_announce_write(frame, mac, &addr), 86);
	assert_memory_equal(frame, all_nodes_mac, 6);
	assert_memory_equal(frame + 6, mac, 6);
	assert_int_equal(ip->hop_limit, 255);
	assert_int_equal(ip->next, SG_PROTO_ICMPV6);
	assert_memory_equal(ip->pair.src, addr.bytes, 16);
	assert_int_equal(ip->pair.dst[0] << 8 | ip->pair.dst[1], 0xff02);
	assert_int_equal(ndp->icmp.type, 136);
	assert_int_equal(__builtin_bswap32(ndp->icmp.rest_be), 0x20000000);
	assert_memory_equal(ndp->target, addr.bytes, 16);
	assert_memory_equal(ndp->mac, mac, 6);
	assert_int_equal(sg_checksum_finish(
				 sg_checksum_add(sg_checksum_pseudo6(&ip->pair, 58, 32), ndp, 32)),
		0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(walks_come_after_1_2_4_seconds_up_to_a_minute),
		TEST(a_link_that_comes_up_begins_anew),
		TEST(other_addresses_begin_anew),
		TEST(a_link_that_flaps_ends_no_walk),
		TEST(an_advertisement_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
