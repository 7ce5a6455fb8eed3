// SNAT ports beside those that this machine's kernel picks for itself.
#include "kernel_ports.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static unsigned kernel_min, kernel_max;
static struct sg_settings settings;

static int read_range(void **unused)
{
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	int n;

	(void)unused;
	if (!file)
		return -1;
	n = fscanf(file, "%u %u", &kernel_min, &kernel_max);
	fclose(file);
	return n == 2 && kernel_min > 1 ? 0 : -1;
}

// A port at 10.0.0.1, and SNAT at an address with those ports.
static int check(const char *snat, unsigned min, unsigned max, struct sg_error *error)
{
	sg_settings_init(&settings);
	settings.n_ports = 1;
	settings.ports[0].n_addresses = 1;
	assert_int_equal(sg_addr_parse("10.0.0.1", &settings.ports[0].addresses[0].addr), 0);
	settings.n_snat_addresses = 1;
	assert_int_equal(sg_addr_parse(snat, &settings.snat_addresses[0]), 0);
	settings.snat_port_min = (uint16_t)min;
	settings.snat_port_max = (uint16_t)max;
	settings.snat_line = 7;
	return sg_kernel_ports_check(&settings, error);
}

static void a_port_that_the_kernel_picks_is_refused(void **unused)
{
	struct sg_error error;

	(void)unused;
	assert_int_equal(check("10.0.0.1", kernel_min, kernel_max, &error), -EINVAL);
	assert_int_equal(error.line, 7);
	assert_non_null(strstr(error.text, "SNAT address 10.0.0.1 is the kernel's, too"));
	assert_int_equal(check("10.0.0.1", kernel_max, 65535, &error), -EINVAL);
	assert_int_equal(check("10.0.0.1", 1, kernel_min, &error), -EINVAL);
	assert_int_equal(check("10.0.0.1", kernel_min + 1, kernel_max - 1, &error), -EINVAL);
}

static void ports_beside_it_are_fine_and_so_is_an_address_of_its_own(void **unused)
{
	struct sg_error error;

	(void)unused;
	assert_int_equal(check("10.0.0.1", 1, kernel_min - 1, &error), 0);
	if (kernel_max < 65535)
		assert_int_equal(check("10.0.0.1", kernel_max + 1, 65535, &error), 0);
	assert_int_equal(check("10.0.0.2", 1, 65535, &error), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_port_that_the_kernel_picks_is_refused),
		cmocka_unit_test(ports_beside_it_are_fine_and_so_is_an_address_of_its_own),
	};

	return cmocka_run_group_tests(tests, read_range, NULL);
}
