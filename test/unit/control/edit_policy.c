// The policy for all services by its methods.
#include "control/edit.h"

#include "asking.h"
#include "net/headers.h"

static enum sg_policy_verdict judge(const struct fixture *fixture, const char *source)
{
	struct sg_addr addr;

	assert_int_equal(sg_addr_parse(source, &addr), 0);
	return sg_policy_judge4(fixture->fake.published->policy, sg_addr_ipv4_be(&addr));
}

static void the_policy_for_all_is_set_and_shown(void **state)
{
	struct fixture *fixture = *state;
	uint64_t n_published = fixture->fake.n_published;
	json_t *shown = ask(fixture, "policy show", "{}");

	assert_true(json_is_null(json_object_get(shown, "allow")));
	assert_int_equal(json_array_size(json_object_get(shown, "deny")), 0);
	json_decref(shown);
	done(ask(fixture, "policy set", "{\"deny\":[\"203.0.113.0/24\"]}"));
	assert_int_equal(fixture->fake.n_published, n_published + 1);
	assert_int_equal(judge(fixture, "203.0.113.9"), SG_POLICY_DENIED);
	// The same again is no change, and what is not given stays.
	done(ask(fixture, "policy set", "{\"deny\":[\"203.0.113.0/24\"]}"));
	assert_int_equal(fixture->fake.n_published, n_published + 1);
	done(ask(fixture, "policy set", "{\"allow\":[\"198.51.100.0/24\"]}"));
	shown = ask(fixture, "policy show", "{}");
	assert_string_equal(json_string_value(json_array_get(json_object_get(shown, "allow"), 0)),
		"198.51.100.0/24");
	assert_string_equal(json_string_value(json_array_get(json_object_get(shown, "deny"), 0)),
		"203.0.113.0/24");
	json_decref(shown);
	// An apply is about services alone.
	done(ask(fixture, "apply", "{\"services\":[]}"));
	assert_int_equal(judge(fixture, "192.0.2.9"), SG_POLICY_NOT_ALLOWED);
	done(ask(fixture, "policy set", "{\"allow\":null,\"deny\":[]}"));
	assert_null(fixture->fake.published->policy);
	expect_refusal(fixture, "policy set", "{\"deny\":[\"203.0.113.1/24\"]}",
		SG_REQUEST_BAD_PARAMS, "policy: deny must hold prefixes");
	expect_refusal(fixture, "policy set", "{\"services\":[]}", SG_REQUEST_BAD_PARAMS,
		"policy: services is an unknown member");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(the_policy_for_all_is_set_and_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
