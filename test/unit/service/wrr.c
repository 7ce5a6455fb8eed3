// Weighted round robin's sequence: exact where it fits, close where it does not, and even all
// along.
#include "service/wrr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"

enum {
	MAX_N = 4096
};

static uint16_t weights[MAX_N];
static uint32_t counts[MAX_N];

static uint32_t count(unsigned n, const uint16_t *sequence, uint32_t length)
{
	for (unsigned i = 0; i < n; i++)
		counts[i] = 0;
	for (uint32_t i = 0; i < length; i++) {
		assert_true(sequence[i] < n);
		counts[sequence[i]]++;
	}
	return length;
}

static void small_weights_are_exact(void **unused)
{
	uint64_t random = 5;

	(void)unused;
	for (int round = 0; round < 200; round++) {
		unsigned n = (unsigned)(1 + sg_random_next(&random) % 20);
		uint16_t factor = (uint16_t)(1 + sg_random_next(&random) % 300);
		uint16_t *sequence;
		uint32_t length;

		for (unsigned i = 0; i < n; i++)
			weights[i] = (uint16_t)(factor * (1 + sg_random_next(&random) % 100));
		assert_int_equal(sg_wrr_build(weights, n, &sequence, &length), 0);
		count(n, sequence, length);
		for (unsigned i = 1; i < n; i++)
			assert_int_equal(
				(uint64_t)counts[i] * weights[0], (uint64_t)counts[0] * weights[i]);
		free(sequence);
	}
}

static void large_weights_are_close(void **unused)
{
	uint64_t random = 6;

	(void)unused;
	for (int round = 0; round < 50; round++) {
		unsigned n = (unsigned)(2 + sg_random_next(&random) %
						    (round % 10 == 9 ? MAX_N - 2 : 50));
		uint64_t total = 0;
		uint16_t *sequence;
		uint32_t length;

		for (unsigned i = 0; i < n; i++) {
			weights[i] = (uint16_t)(20000 + sg_random_next(&random) % 45536);
			total += weights[i];
		}
		assert_int_equal(sg_wrr_build(weights, n, &sequence, &length), 0);
		assert_true(length <= (16 * n > 4096 ? 16 * n : 4096));
		count(n, sequence, length);
		for (unsigned i = 0; i < n; i++) {
			double exact = (double)weights[i] * length / (double)total;

			assert_true(counts[i] > exact - 1 && counts[i] < exact + 1);
		}
		free(sequence);
	}
}

static void nobody_goes_without(void **unused)
{
	uint16_t *sequence;
	uint32_t length;

	(void)unused;
	for (unsigned i = 0; i < MAX_N; i++)
		weights[i] = i == 0 ? 65535 : 1;
	assert_int_equal(sg_wrr_build(weights, MAX_N, &sequence, &length), 0);
	count(MAX_N, sequence, length);
	for (unsigned i = 0; i < MAX_N; i++)
		assert_true(counts[i] >= 1);
	free(sequence);
}

// In the first k entries, each index has had its share of k, give or take one turn per index that
// competes.
static void turns_are_spread_evenly(void **unused)
{
	static const uint16_t five_one_one[] = {5, 1, 1};
	static const uint16_t wanted[] = {0, 0, 0, 1, 0, 0, 2};
	uint32_t so_far[8] = {0};
	uint64_t total = 0;
	uint16_t *sequence;
	uint32_t length;

	(void)unused;
	assert_int_equal(sg_wrr_build(five_one_one, 3, &sequence, &length), 0);
	assert_int_equal(length, 7);
	assert_memory_equal(sequence, wanted, sizeof(wanted));
	free(sequence);

	for (unsigned i = 0; i < 8; i++) {
		weights[i] = (uint16_t)(1 + i * i);
		total += weights[i];
	}
	assert_int_equal(sg_wrr_build(weights, 8, &sequence, &length), 0);
	for (uint32_t k = 0; k < length; k++) {
		so_far[sequence[k]]++;
		for (unsigned i = 0; i < 8; i++) {
			double share = (double)(k + 1) * weights[i] / (double)total;

			assert_true(so_far[i] > share - 2 && so_far[i] < share + 2);
		}
	}
	free(sequence);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_weights_are_exact),
		cmocka_unit_test(large_weights_are_close),
		cmocka_unit_test(nobody_goes_without),
		cmocka_unit_test(turns_are_spread_evenly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
