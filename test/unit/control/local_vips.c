// VIPs that are addresses of another interface, too: found when either side changes, forgotten when
// it is over, and looked for no more often than once a second.
#include "control/local_vips.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LO 1

static struct sg_mirror_elsewhere elsewhere;
static struct sg_local_vips local;

static struct sg_addr addr_of(const char *text)
{
	struct sg_addr addr;

	assert_int_equal(sg_addr_parse(text, &addr), 0);
	return addr;
}

static void kernel_has(const char *const *addresses, unsigned n)
{
	sg_mirror_elsewhere_begin(&elsewhere);
	for (unsigned i = 0; i < n; i++) {
		struct sg_addr addr = addr_of(addresses[i]);

		assert_int_equal(sg_mirror_elsewhere_add(&elsewhere, &addr, LO), 0);
	}
	sg_mirror_elsewhere_commit(&elsewhere);
}

// One VIP of each family, and a SNAT address, which is none.
static struct sg_snapshot *make_snapshot(void)
{
	static struct sg_snapshot snapshot;
	struct sg_addr vip4 = addr_of("192.0.2.10"), vip6 = addr_of("2001:db8:2::10");
	struct sg_addr snat = addr_of("10.0.0.100");

	snapshot.addresses4 = sg_index_create(2);
	snapshot.addresses6 = sg_index6_create(1);
	sg_index_put(snapshot.addresses4, sg_addr_ipv4_be(&vip4), SG_ADDRESS_VIP);
	sg_index_put(snapshot.addresses4, sg_addr_ipv4_be(&snat), SG_ADDRESS_SNAT);
	sg_index6_put(snapshot.addresses6, vip6.bytes, 0, SG_ADDRESS_VIP);
	return &snapshot;
}

static void drop_snapshot(struct sg_snapshot *snapshot)
{
	sg_index_unref(snapshot->addresses4);
	sg_index6_unref(snapshot->addresses6);
}

static int tear_down(void **unused)
{
	(void)unused;
	sg_mirror_elsewhere_fini(&elsewhere);
	local = (struct sg_local_vips){0};
	return 0;
}

static void only_vips_are_found(void **unused)
{
	static const char *const addresses[] = {
		"127.0.0.1", "10.0.0.100", "192.0.2.10", "::1", "2001:db8:2::10"};
	struct sg_snapshot *snapshot = make_snapshot();
	char text[SG_LOCAL_VIP_TEXT_SIZE];

	(void)unused;
	kernel_has(addresses, 5);
	sg_local_vips_look(&local, &elsewhere, snapshot, 1000);
	assert_int_equal(local.n, 2);
	assert_non_null(strstr(sg_local_vip_describe(&local.found[0], text), "192.0.2.10"));
	assert_non_null(strstr(text, " of lo:"));
	assert_non_null(strstr(text, "arp_ignore"));
	assert_non_null(strstr(sg_local_vip_describe(&local.found[1], text), "2001:db8:2::10"));
	assert_null(strstr(text, "arp_ignore"));
	drop_snapshot(snapshot);
}

static void what_is_over_is_forgotten(void **unused)
{
	static const char *const addresses[] = {"192.0.2.10"};
	struct sg_snapshot *snapshot = make_snapshot();

	(void)unused;
	kernel_has(addresses, 1);
	sg_local_vips_look(&local, &elsewhere, snapshot, 1000);
	assert_int_equal(local.n, 1);
	kernel_has(addresses, 0);
	sg_local_vips_look(&local, &elsewhere, snapshot, 1999);
	assert_int_equal(local.n, 1);
	sg_local_vips_look(&local, &elsewhere, snapshot, 2000);
	assert_int_equal(local.n, 0);
	drop_snapshot(snapshot);
}

static void the_same_set_is_no_change(void **unused)
{
	static const char *const addresses[] = {"127.0.0.1", "192.0.2.10"};
	unsigned epoch;

	(void)unused;
	kernel_has(addresses, 2);
	epoch = elsewhere.epoch;
	kernel_has(addresses, 2);
	assert_int_equal(elsewhere.epoch, epoch);
	kernel_has(addresses, 1);
	assert_int_not_equal(elsewhere.epoch, epoch);
}

static void many_are_counted(void **unused)
{
	struct sg_snapshot *snapshot = make_snapshot();
	const char *addresses[SG_LOCAL_VIPS + 3];

	(void)unused;
	for (unsigned i = 0; i < SG_LOCAL_VIPS + 3; i++)
		addresses[i] = "192.0.2.10";
	kernel_has(addresses, SG_LOCAL_VIPS + 3);
	sg_local_vips_look(&local, &elsewhere, snapshot, 1000);
	assert_int_equal(local.n, SG_LOCAL_VIPS);
	assert_int_equal(local.n_more, 3);
	drop_snapshot(snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(only_vips_are_found, tear_down),
		cmocka_unit_test_teardown(what_is_over_is_forgotten, tear_down),
		cmocka_unit_test_teardown(the_same_set_is_no_change, tear_down),
		cmocka_unit_test_teardown(many_are_counted, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
