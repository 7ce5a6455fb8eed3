// Indices keep their meaning: random neighbours against an array that remembers what each index
// meant.
#include "control/mirror_hops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"

static struct sg_addr addr_of(uint32_t number)
{
	return sg_addr_from_ipv4(__builtin_bswap32(0x0a000000 + number));
}

static uint32_t get_used(
	struct sg_mirror_hops *hops, uint8_t port, uint32_t number, bool *ret_reused)
{
	struct sg_addr addr = addr_of(number);
	uint32_t index = sg_mirror_hops_get(hops, port, &addr, ret_reused);

	if (index) {
		sg_mirror_hops_lift(hops, index);
		hops->hops[index].reachability = SG_MIRROR_USABLE;
		sg_mirror_hops_settle(hops, index);
	}
	return index;
}

static void forget(struct sg_mirror_hops *hops, uint32_t index)
{
	sg_mirror_hops_lift(hops, index);
	hops->hops[index].reachability = SG_MIRROR_UNKNOWN;
	sg_mirror_hops_settle(hops, index);
}

static void an_index_comes_back_to_its_neighbour(void **unused)
{
	struct sg_mirror_hops hops;
	bool reused = false;
	uint32_t first, other_port;

	(void)unused;
	assert_int_equal(sg_mirror_hops_init(&hops, 2), 0);
	first = get_used(&hops, 0, 1, &reused);
	other_port = get_used(&hops, 1, 1, &reused);
	assert_int_equal(first, 3); // behind "none" and two twins
	assert_int_not_equal(first, other_port);
	forget(&hops, first);
	assert_int_not_equal(get_used(&hops, 0, 2, &reused), first);
	assert_int_equal(get_used(&hops, 0, 1, &reused), first);
	assert_false(reused);
	sg_mirror_hops_fini(&hops);
}

static void a_full_table_says_no_and_takes_what_is_dormant(void **unused)
{
	struct sg_mirror_hops hops;
	bool reused = false;
	struct sg_addr addr = addr_of(5);
	uint32_t index;

	(void)unused;
	assert_int_equal(sg_mirror_hops_init(&hops, 1), 0);
	for (uint32_t i = 2; i < SG_MIRROR_MAX_INDICES; i++)
		assert_int_equal(get_used(&hops, 0, i, &reused), i);
	assert_int_equal(get_used(&hops, 0, SG_MIRROR_MAX_INDICES, &reused), 0);
	assert_false(reused);
	index = sg_mirror_hops_find(&hops, 0, &addr);
	forget(&hops, index);
	assert_int_equal(get_used(&hops, 0, SG_MIRROR_MAX_INDICES, &reused), index);
	assert_true(reused);
	assert_int_equal(sg_mirror_hops_find(&hops, 0, &addr), 0);
	sg_mirror_hops_fini(&hops);
}

#define N_NUMBERS 8192

static void random_neighbours_keep_what_they_were_given(void **unused)
{
	struct sg_mirror_hops hops;
	uint32_t *index_of = calloc(N_NUMBERS, sizeof(index_of[0])); // 0: not in use
	uint32_t n_dormant_max = 0;
	uint64_t random = 7;

	(void)unused;
	assert_int_equal(sg_mirror_hops_init(&hops, 1), 0);
	for (unsigned turn = 0; turn < 300000; turn++) {
		uint32_t number = sg_reduce((uint32_t)sg_random_next(&random), N_NUMBERS);
		bool reused = false;

		if (index_of[number] && turn & 1) {
			forget(&hops, index_of[number]);
			index_of[number] = 0;
		} else {
			uint32_t index = get_used(&hops, 0, number, &reused);

			assert_true(index != 0);
			assert_true(index_of[number] == 0 || index_of[number] == index);
			index_of[number] = index;
		}
		if (hops.n_dormant > n_dormant_max)
			n_dormant_max = hops.n_dormant;
	}
	for (uint32_t number = 0; number < N_NUMBERS; number++) {
		struct sg_addr addr = addr_of(number);

		if (index_of[number])
			assert_int_equal(sg_mirror_hops_find(&hops, 0, &addr), index_of[number]);
	}
	// A new neighbour takes a dormant index once there are enough of them, so indices do not
	// run away.
	assert_true(hops.n_hops <= N_NUMBERS + 2);
	assert_true(n_dormant_max > SG_MIRROR_DORMANT);
	sg_mirror_hops_fini(&hops);
	free(index_of);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_index_comes_back_to_its_neighbour),
		cmocka_unit_test(a_full_table_says_no_and_takes_what_is_dormant),
		cmocka_unit_test(random_neighbours_keep_what_they_were_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
