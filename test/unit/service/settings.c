// The defaults that the design promises.
#include "service/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void defaults_are_the_designs(void **unused)
{
	static struct sg_settings settings;

	(void)unused;
	memset(&settings, 0xa5, sizeof(settings));
	sg_settings_init(&settings);
	assert_string_equal(settings.instance, "stormgate");
	assert_int_equal(settings.n_workers, 0);
	assert_int_equal(settings.control_cpu, -1);
	assert_int_equal(settings.flows_per_worker, 1048576);
	assert_true(settings.hugepages);
	assert_false(settings.poll_given);
	assert_int_equal(settings.unserved, SG_UNSERVED_DROP);
	assert_int_equal(settings.n_ports, 0);
	assert_int_equal(settings.n_snat_addresses, 0);
	assert_int_equal(settings.snat_port_min, 1024);
	assert_int_equal(settings.snat_port_max, 65535);
	assert_false(settings.snat_ports_given);
	assert_string_equal(settings.socket_path, "/run/stormgate/stormgate.sock");
	assert_int_equal(settings.socket_mode, 0660);
	assert_string_equal(settings.socket_group, "");
	assert_false(settings.backend_cidrs_given);
}

static void a_timeout_of_0_is_the_default(void **unused)
{
	struct sg_timeouts timeouts = {.tcp = 7440};

	(void)unused;
	sg_timeouts_fill(&timeouts);
	assert_int_equal(timeouts.syn, 30);
	assert_int_equal(timeouts.tcp, 7440);
	assert_int_equal(timeouts.tcp_half_closed, 900);
	assert_int_equal(timeouts.tcp_fin, 10);
	assert_int_equal(timeouts.udp_new, 10);
	assert_int_equal(timeouts.udp, 300);
	assert_int_equal(timeouts.drain, 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_the_designs),
		cmocka_unit_test(a_timeout_of_0_is_the_default),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
