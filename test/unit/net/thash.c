// Toeplitz against DPDK's own, over random tuples of both families: what a NIC computes.
#include "net/toeplitz.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <rte_thash.h>

#include "base/random.h"

#define ROUNDS 10000

static struct sg_toeplitz toeplitz;

static void fill(void *bytes, size_t n, uint64_t *random)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)bytes)[i] = (uint8_t)(sg_random_next(random) >> 56);
}

// rte_softrss wants the input as 32-bit words in host order.
static uint32_t hash_of_dpdk(const void *bytes, unsigned n_words)
{
	uint32_t words[9];

	memcpy(words, bytes, n_words * 4);
	for (unsigned i = 0; i < n_words; i++)
		words[i] = __builtin_bswap32(words[i]);
	return rte_softrss(words, n_words, sg_toeplitz_default_key);
}

static void ipv4_is_as_in_dpdk(void **unused)
{
	uint64_t random = 1;

	(void)unused;
	for (int round = 0; round < ROUNDS; round++) {
		struct sg_tuple tuple = {0};

		fill(&tuple, 12, &random);
		assert_int_equal(sg_toeplitz_tuple4(&toeplitz, &tuple), hash_of_dpdk(&tuple, 3));
	}
}

static void ipv6_is_as_in_dpdk(void **unused)
{
	uint64_t random = 2;

	(void)unused;
	for (int round = 0; round < ROUNDS; round++) {
		struct sg_tuple tuple = {0};
		uint8_t bytes[36];

		fill(bytes, sizeof(bytes), &random);
		memcpy(&tuple.sport_be, bytes + 32, 4);
		assert_int_equal(sg_toeplitz_tuple6(&toeplitz, (const void *)bytes, &tuple),
			hash_of_dpdk(bytes, 9));
	}
}

static int setup(void **unused)
{
	(void)unused;
	sg_toeplitz_init(&toeplitz, sg_toeplitz_default_key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_is_as_in_dpdk),
		cmocka_unit_test(ipv6_is_as_in_dpdk),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
