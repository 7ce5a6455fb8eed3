// Addresses and prefixes from text and back, good and bad.
#include "net/addr.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void addresses_survive_a_round_trip(void **unused)
{
	static const char *const texts[] = {
		"0.0.0.0", "192.0.2.10", "255.255.255.255", "::", "2001:db8::1"};
	char text[SG_ADDR_TEXT_BYTES];
	struct sg_addr addr;

	(void)unused;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(sg_addr_parse(texts[i], &addr), 0);
		assert_string_equal(sg_addr_format(&addr, text), texts[i]);
	}
}

static void bad_addresses_are_refused(void **unused)
{
	static const char *const texts[] = {
		"", "10", "10.0.0", "10.0.0.256", "10.0.0.1 ", "::g", "1::2::3"};
	struct sg_addr addr;

	(void)unused;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(sg_addr_parse(texts[i], &addr), -EINVAL);
}

static void prefixes_parse(void **unused)
{
	static const struct {
		const char *text;
		const char *formatted; // NULL: refused
	} rows[] = {
		{"10.0.0.0/8", "10.0.0.0/8"},
		{"10.0.0.1", "10.0.0.1/32"},
		{"0.0.0.0/0", "0.0.0.0/0"},
		{"fd00::/8", "fd00::/8"},
		{"10.0.0.1/8", NULL},
		{"10.0.0.0/33", NULL},
		{"10.0.0.0/", NULL},
		{"10.0.0.0/+8", NULL},
		{"10.0.0.0/ 8", NULL},
		{"/8", NULL},
	};
	char text[SG_PREFIX_TEXT_BYTES];
	struct sg_prefix prefix;

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int err = sg_prefix_parse(rows[i].text, &prefix, NULL);

		assert_int_equal(err, rows[i].formatted ? 0 : -EINVAL);
		if (rows[i].formatted)
			assert_string_equal(sg_prefix_format(&prefix, text), rows[i].formatted);
	}
}

static void a_host_inside_its_prefix_is_kept(void **unused)
{
	struct sg_prefix prefix;
	struct sg_addr host;
	char text[SG_ADDR_TEXT_BYTES];

	(void)unused;
	assert_int_equal(sg_prefix_parse("198.51.100.11/24", &prefix, &host), 0);
	assert_string_equal(sg_addr_format(&host, text), "198.51.100.11");
	assert_string_equal(sg_addr_format(&prefix.addr, text), "198.51.100.0");
	assert_true(sg_prefix_contains(&prefix, &host));
}

static void addresses_with_ports_parse(void **unused)
{
	static const char *const bad[] = {"10.0.0.2", "10.0.0.2:", "10.0.0.2:0", "10.0.0.2:65536",
		":80", "[10.0.0.2]:80", "fd00::2:80x", "[fd00::2]80", "[fd00::2:80", "10.0.0.2:-1"};
	struct sg_addr addr;
	uint16_t port;

	(void)unused;
	assert_int_equal(sg_addr_port_parse("10.0.0.2:8080", &addr, &port), 0);
	assert_int_equal(port, 8080);
	assert_int_equal(addr.family, SG_FAMILY_IPV4);
	assert_int_equal(sg_addr_port_parse("[fd00::2]:80", &addr, &port), 0);
	assert_int_equal(addr.family, SG_FAMILY_IPV6);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(sg_addr_port_parse(bad[i], &addr, &port), -EINVAL);
}

static void hosts_addresses_are_told_from_the_rest(void **unused)
{
	static const char no_host[] = "can be no host's address";
	static const char link_local[] =
		"is a link-local address, which means nothing beyond one link";
	static const struct {
		const char *text;
		const char *fault;
	} rows[] = {{"10.0.0.1", NULL}, {"0.1.2.3", no_host}, {"127.0.0.1", no_host},
		{"224.0.0.18", no_host}, {"255.255.255.255", no_host}, {"fd00::1", NULL},
		{"2001:db8::ffff:192.0.2.1", NULL}, {"64:ff9b::192.0.2.1", NULL}, {"::", no_host},
		{"::1", no_host}, {"::192.0.2.1", no_host}, {"ff02::1", "is a multicast address"},
		{"ff0e::1", "is a multicast address"}, {"fe80::1", link_local},
		{"febf:ffff::1", link_local}, {"fec0::1", NULL}, {"fe7f::1", NULL},
		{"::ffff:192.0.2.1", "is an IPv4 address written as IPv6: write it as IPv4"}};
	struct sg_addr addr;

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(sg_addr_parse(rows[i].text, &addr), 0);
		if (rows[i].fault)
			assert_string_equal(sg_addr_fault(&addr), rows[i].fault);
		else
			assert_null(sg_addr_fault(&addr));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_survive_a_round_trip),
		cmocka_unit_test(bad_addresses_are_refused),
		cmocka_unit_test(prefixes_parse),
		cmocka_unit_test(a_host_inside_its_prefix_is_kept),
		cmocka_unit_test(addresses_with_ports_parse),
		cmocka_unit_test(hosts_addresses_are_told_from_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
