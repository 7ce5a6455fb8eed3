// Services as JSON: whatever is written is read to an equal service, and what is not a service is
// refused.
#include "control/spec_json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "control/policy_json.h"

static unsigned pick(uint64_t *random, unsigned n)
{
	return sg_reduce((uint32_t)(sg_random_next(random) >> 16), n);
}

static struct sg_addr random_address(uint64_t *random, enum sg_family family)
{
	struct sg_addr addr = {.family = (uint8_t)family};
	uint64_t bits[2] = {sg_random_next(random), sg_random_next(random)};

	memcpy(addr.bytes, bits, sg_family_bits(addr.family) / 8);
	return addr;
}

static struct sg_service_spec *random_spec(uint64_t *random)
{
	static const uint32_t sizes[] = {251, 4093, 131071};
	struct sg_service_spec *spec = sg_service_spec_create("name/with.all_of-it", "owner");
	unsigned n;

	spec->n_vips = 1 + pick(random, 2);
	spec->vips[0] = random_address(random, SG_FAMILY_IPV4);
	if (spec->n_vips == 2)
		spec->vips[1] = random_address(random, SG_FAMILY_IPV6);
	spec->protocol = pick(random, 2) ? 6 : 17;
	spec->port = (uint16_t)(1 + pick(random, 65535));
	spec->scheduler = (enum sg_scheduler)pick(random, SG_SCHEDULER_COUNT);
	spec->forward = (enum sg_forward)pick(random, SG_FORWARD_COUNT);
	spec->affinity = (enum sg_affinity)pick(random, SG_AFFINITY_COUNT);
	spec->announce = (enum sg_announce)pick(random, SG_ANNOUNCE_COUNT);
	spec->affinity_timeout_s = 1 + pick(random, 604800);
	spec->maglev_table_size = sizes[pick(random, 3)];
	spec->policy.allow_everyone = pick(random, 2);
	for (n = spec->policy.allow_everyone ? 0 : pick(random, 5); n > 0; n--) {
		struct sg_prefix prefix = {
			.addr = random_address(random, SG_FAMILY_IPV4), .length = 32};

		assert_int_equal(sg_policy_spec_add_allow(&spec->policy, &prefix), 0);
	}
	spec->policy.existing = (enum sg_existing)pick(random, SG_EXISTING_COUNT);
	spec->limits = (struct sg_limits){.max_connections = pick(random, 3),
		.max_connections_per_backend = pick(random, 3),
		.max_connections_per_client = pick(random, 3),
		.max_new_per_second = pick(random, 3),
		.max_new_per_second_per_client = pick(random, 3),
		.client_prefix = 1 + pick(random, 32),
		.client_prefix6 = 1 + pick(random, 128)};
	for (n = pick(random, 3); n > 0; n--) {
		struct sg_prefix prefix = {
			.addr = random_address(random, SG_FAMILY_IPV6), .length = 128};

		assert_int_equal(sg_policy_spec_add_deny(&spec->policy, &prefix), 0);
	}
	for (n = pick(random, 10); n > 0; n--) {
		struct sg_backend_spec backend = {
			.address = random_address(
				random, pick(random, 2) ? SG_FAMILY_IPV4 : SG_FAMILY_IPV6),
			.port = (uint16_t)(1 + pick(random, 65535)),
			.weight = (uint16_t)pick(random, 65536),
			.draining = pick(random, 2),
			.max_connections = pick(random, 3)};

		assert_int_equal(sg_service_spec_put_backend(spec, &backend), 0);
	}
	return spec;
}

static void what_is_written_is_read_again(void **unused)
{
	uint64_t random = 1;

	(void)unused;
	for (unsigned i = 0; i < 1000; i++) {
		struct sg_service_spec *spec = random_spec(&random);
		struct sg_service_spec *copy = sg_service_spec_create("", "owner");
		struct sg_error error = {0};
		json_t *object = sg_spec_to_json(spec);
		char *text = json_dumps(object, 0);
		json_t *again = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

		if (sg_spec_from_json(copy, again, true, &error) != 0)
			fail_msg("%s: %s", text, error.text);
		if (!sg_service_spec_equal(spec, copy))
			fail_msg("%s", text);
		json_decref(object);
		json_decref(again);
		free(text);
		sg_service_spec_unref(spec);
		sg_service_spec_unref(copy);
	}
}

static void policies_are_read_again(void **unused)
{
	uint64_t random = 9;
	json_t *object = sg_policy_to_json(NULL);
	struct sg_shared_policy *copy = sg_shared_policy_create();
	struct sg_error error = {0};

	(void)unused;
	assert_int_equal(sg_policy_from_json(copy, object, &error), 0);
	assert_true(sg_shared_policy_equal(copy, NULL));
	json_decref(object);
	sg_shared_policy_unref(copy);
	for (unsigned i = 0; i < 100; i++) {
		struct sg_service_spec *spec = random_spec(&random);
		struct sg_shared_policy *policy = sg_shared_policy_create();

		copy = sg_shared_policy_create();
		assert_int_equal(sg_policy_spec_clone(&policy->spec, &spec->policy), 0);
		object = sg_policy_to_json(policy);
		if (sg_policy_from_json(copy, object, &error) != 0)
			fail_msg("%s", error.text);
		assert_true(sg_shared_policy_equal(policy, copy));
		copy->spec.existing ^= 1;
		assert_false(sg_shared_policy_equal(policy, copy));
		json_decref(object);
		sg_shared_policy_unref(copy);
		sg_shared_policy_unref(policy);
		sg_service_spec_unref(spec);
	}
}

// A patch with nothing in it but the name changes nothing; one member changes that one alone.
static void a_patch_leaves_the_rest(void **unused)
{
	uint64_t random = 5;

	(void)unused;
	for (unsigned i = 0; i < 100; i++) {
		struct sg_service_spec *spec = random_spec(&random);
		struct sg_service_spec *copy = sg_service_spec_clone(spec);
		struct sg_error error;
		json_t *patch = json_pack("{s:s}", "name", spec->name);

		assert_int_equal(sg_spec_from_json(copy, patch, false, &error), 0);
		assert_true(sg_service_spec_equal(spec, copy));
		json_object_set_new(
			patch, "port", json_integer(spec->port ^ 1 ? spec->port ^ 1 : 2));
		assert_int_equal(sg_spec_from_json(copy, patch, false, &error), 0);
		assert_false(sg_service_spec_equal(spec, copy));
		copy->port = spec->port;
		assert_true(sg_service_spec_equal(spec, copy));
		json_decref(patch);
		sg_service_spec_unref(spec);
		sg_service_spec_unref(copy);
	}
}

// clang-format off
#define START "{\"name\":\"a\",\"vip\":\"192.0.2.1\",\"protocol\":\"tcp\",\"port\":80"
static const struct {
	const char *text;
	const char *sentence;
} bad[] = {
	{"5", "a service must be an object, not an integer"},
	{"{}", "service '?': name is missing"},
	{"{\"name\":5}", "service '?': name must be a string, not an integer"},
	{"{\"name\":\"\"}", "service '': name must not be empty"},
	{"{\"name\":\"a\",\"vip\":[],\"protocol\":\"tcp\",\"port\":80}", "service 'a': vip must be one address, or an array"},
	{"{\"name\":\"a\",\"vip\":[\"192.0.2.1\",5],\"protocol\":\"tcp\",\"port\":80}", "service 'a': vip must be a string, not an integer"},
	{"{\"name\":\"a\",\"vip\":\"192.0.2.1\",\"protocol\":6,\"port\":80}", "service 'a': protocol must be \"tcp\" or \"udp\", not an integer"},
	{START ",\"scheduler\":\"best\"}", "service 'a': scheduler must be \"maglev\", \"rr\""},
	{START ",\"allow\":\"10.0.0.0/8\"}", "service 'a': allow must be an array of prefixes, not a string"},
	{START ",\"allow\":[\"10.0.0.1/8\"]}", "service 'a': allow must hold prefixes"},
	{START ",\"affinity_timeout\":-1}", "service 'a': affinity_timeout must be from 0"},
	{START ",\"backends\":{}}", "service 'a': backends must be an array, not an object"},
	{START ",\"backends\":[[]]}", "service 'a': backends[0]: backend must be an object, not an array"},
	{START ",\"backends\":[{\"port\":1}]}", "service 'a': backends[0]: address is missing"},
	{START ",\"backends\":[{\"address\":\"10.0.0.1\"},{\"address\":\"10.0.0.1\",\"port\":80}]}",
		"service 'a': backends[1]: backend 10.0.0.1 port 80 stands there twice"},
	{START ",\"backends\":[{\"address\":\"10.0.0.1\",\"draining\":1}]}",
		"service 'a': backends[0]: draining must be true or false, not an integer"},
	{START ",\"owner\":\"x\"}", "service 'a': owner is an unknown member"},
};
// clang-format on

static void what_is_no_service_is_refused(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sg_service_spec *spec = sg_service_spec_create("", "owner");
		struct sg_error error = {0};
		json_t *object = json_loads(bad[i].text, JSON_DECODE_ANY, NULL);

		assert_non_null(object);
		assert_int_equal(sg_spec_from_json(spec, object, true, &error), -EBADMSG);
		if (strncmp(error.text, bad[i].sentence, strlen(bad[i].sentence)) != 0)
			fail_msg("%s: %s", bad[i].text, error.text);
		json_decref(object);
		sg_service_spec_unref(spec);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_again),
		cmocka_unit_test(policies_are_read_again),
		cmocka_unit_test(a_patch_leaves_the_rest),
		cmocka_unit_test(what_is_no_service_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
