// Toeplitz against the vectors of Microsoft's "Verifying the RSS hash calculation", and its
// linearity.
#include "net/toeplitz.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static struct sg_toeplitz toeplitz;

static void matches_the_microsoft_vectors(void **unused)
{
	static const struct {
		const char *src, *dst;
		uint16_t sport, dport;
		uint32_t hash;
	} rows[] = {
		{"66.9.149.187", "161.142.100.80", 2794, 1766, 0x51ccc178},
		{"199.92.111.2", "65.69.140.83", 14230, 4739, 0xc626b0ea},
		{"24.19.198.95", "12.22.207.184", 12898, 38024, 0x5c2b394a},
		{"38.27.205.30", "209.142.163.6", 48228, 2217, 0xafc7327f},
		{"153.39.163.191", "202.188.127.2", 44251, 1303, 0x10e828a2},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sg_tuple tuple = {.src_be = inet_addr(rows[i].src),
			.dst_be = inet_addr(rows[i].dst),
			.sport_be = htons(rows[i].sport),
			.dport_be = htons(rows[i].dport)};

		assert_int_equal(sg_toeplitz_tuple4(&toeplitz, &tuple), rows[i].hash);
	}
}

static void matches_the_microsoft_vectors_of_ipv6(void **unused)
{
	static const struct {
		const char *src, *dst;
		uint16_t sport, dport;
		uint32_t hash;
	} rows[] = {
		{"3ffe:2501:200:1fff::7", "3ffe:2501:200:3::1", 2794, 1766, 0x40207d3d},
		{"3ffe:501:8::260:97ff:fe40:efab", "ff02::1", 14230, 4739, 0xdde51bbf},
		{"3ffe:1900:4545:3:200:f8ff:fe21:67cf", "fe80::200:f8ff:fe21:67cf", 44251, 38024,
			0x02d1feef},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sg_tuple tuple = {
			.sport_be = htons(rows[i].sport), .dport_be = htons(rows[i].dport)};
		struct sg_pair6 pair;

		assert_int_equal(inet_pton(AF_INET6, rows[i].src, pair.src), 1);
		assert_int_equal(inet_pton(AF_INET6, rows[i].dst, pair.dst), 1);
		assert_int_equal(sg_toeplitz_tuple6(&toeplitz, &pair, &tuple), rows[i].hash);
	}
}

static void a_destination_port_adds_what_the_tuple_says(void **unused)
{
	struct sg_tuple without = {.src_be = 1, .dst_be = 2, .sport_be = 3};
	const struct sg_pair6 pair = {.src = {0x20, 1, 7}, .dst = {0xfd, 0, 3}};

	(void)unused;
	for (unsigned port = 0; port < 65536; port++) {
		struct sg_tuple with = without;

		with.dport_be = htons((uint16_t)port);
		assert_int_equal(sg_toeplitz_tuple4(&toeplitz, &with),
			sg_toeplitz_tuple4(&toeplitz, &without) ^
				sg_toeplitz_dport4(&toeplitz, (uint16_t)port));
		assert_int_equal(sg_toeplitz_tuple6(&toeplitz, &pair, &with),
			sg_toeplitz_tuple6(&toeplitz, &pair, &without) ^
				sg_toeplitz_dport6(&toeplitz, (uint16_t)port));
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
		cmocka_unit_test(matches_the_microsoft_vectors),
		cmocka_unit_test(matches_the_microsoft_vectors_of_ipv6),
		cmocka_unit_test(a_destination_port_adds_what_the_tuple_says),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
