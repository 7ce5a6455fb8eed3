// Services by their methods: added, changed and deleted one by one, or applied as one owner's whole
// state.
#include "control/edit.h"

#include "asking.h"

static void services_are_added_changed_and_deleted(void **state)
{
	struct fixture *fixture = *state;

	done(ask(fixture, "service add",
		"{\"name\":\"dns\",\"vip\":\"192.0.2.53\",\"protocol\":\"udp\",\"port\":53}"));
	assert_string_equal(find(fixture, "dns")->owner, "operator");
	assert_int_equal(find(fixture, "dns")->maglev_table_size, 4093);
	done(ask(fixture, "service.set",
		"{\"name\":\"dns\",\"scheduler\":\"rr\",\"allow\":[\"10.0.0.0/8\"]}"));
	assert_int_equal(find(fixture, "dns")->scheduler, SG_SCHEDULER_RR);
	assert_int_equal(find(fixture, "dns")->port, 53);
	assert_int_equal(find(fixture, "dns")->policy.n_allow, 1);
	done(ask(fixture, "service set", "{\"name\":\"dns\",\"allow\":null}"));
	assert_true(find(fixture, "dns")->policy.allow_everyone);
	done(ask(fixture, "service delete", "{\"name\":\"dns\"}"));
	assert_null(find(fixture, "dns"));
	// A verb edits the service that it names, whoever owns it.
	done(ask(fixture, "service set", "{\"name\":\"web\",\"scheduler\":\"rr\"}"));
	assert_string_equal(find(fixture, "web")->owner, "config");
}

static void bad_services_are_refused(void **state)
{
	expect_refusal(*state, "service add", "{\"name\":\"a\"}", SG_REQUEST_BAD_PARAMS,
		"service 'a': vip is missing");
	expect_refusal(*state, "service add",
		"{\"name\":\"web\",\"vip\":\"192.0.2.11\",\"protocol\":\"tcp\",\"port\":80}",
		SG_REQUEST_REFUSED, "service 'web' exists already (owner config)");
	expect_refusal(*state, "service add",
		"{\"name\":\"a\",\"vip\":\"192.0.2.11\",\"protocol\":\"tcp\",\"port\":\"80\"}",
		SG_REQUEST_BAD_PARAMS, "service 'a': port must be an integer, not a string");
	expect_refusal(*state, "service add",
		"{\"name\":\"a\",\"vip\":\"192.0.2.10\",\"protocol\":\"tcp\",\"port\":80}",
		SG_REQUEST_REFUSED, "service 'web' (of owner 'config') has the VIP");
	expect_refusal(*state, "service set", "{\"name\":\"web\",\"port\":70000}",
		SG_REQUEST_BAD_PARAMS, "service 'web': port must be from 1 to 65535, not 70000");
	expect_refusal(*state, "service set", "{\"name\":\"nope\"}", SG_REQUEST_REFUSED,
		"no service is named 'nope'");
	expect_refusal(*state, "service set", "{}", SG_REQUEST_BAD_PARAMS, "name is missing");
	expect_refusal(*state, "service set", "{\"name\":\"web\",\"maglev_table_size\":1000}",
		SG_REQUEST_REFUSED, "service 'web': maglev_table_size is 1000");
	expect_refusal(*state, "service delete", "{\"name\":\"nope\"}", SG_REQUEST_REFUSED,
		"no service is named");
}

static void what_is_odd_is_said_and_done(void **state)
{
	struct fixture *fixture = *state;
	json_t *result, *warnings;
	char params[4000];
	size_t used;

	used = (size_t)snprintf(params, sizeof(params),
		"{\"name\":\"a\",\"vip\":\"192.0.2.20\",\"protocol\":\"tcp\",\"port\":80,"
		"\"maglev_table_size\":251,\"backends\":[");
	for (unsigned i = 0; i < 40; i++)
		used += (size_t)snprintf(params + used, sizeof(params) - used,
			"%s{\"address\":\"10.0.1.%u\"}", i ? "," : "", i + 1);
	snprintf(params + used, sizeof(params) - used, "]}");
	result = ask(fixture, "service add", params);
	warnings = json_object_get(result, "warnings");
	assert_int_equal(json_array_size(warnings), 1);
	assert_non_null(
		strstr(json_string_value(json_array_get(warnings, 0)), "small for 40 backends"));
	done(result);
	result = ask(fixture, "service set", "{\"name\":\"web\",\"scheduler\":\"rr\"}");
	assert_int_equal(json_array_size(json_object_get(result, "warnings")), 0);
	done(result);
}

static void what_changes_nothing_makes_no_generation(void **state)
{
	struct fixture *fixture = *state;
	const struct sg_service_spec *web = find(fixture, "web");
	static const char *const same[][2] = {
		{"service set", "{\"name\":\"web\",\"port\":80,\"scheduler\":\"maglev\"}"},
		{"service set", "{\"name\":\"web\"}"},
		{"backend set",
			"{\"service\":\"web\",\"address\":\"10.0.0.2\",\"port\":8080,\"weight\":1}"},
		{"change",
			"{\"changes\":[{\"method\":\"backend drain\",\"params\":{\"service\":\"web\","
			"\"address\":\"10.0.0.2\",\"port\":8080}},{\"method\":\"backend set\",\"params\":"
			"{\"service\":\"web\",\"address\":\"10.0.0.2\",\"port\":8080,\"weight\":1}}]}"},
	};

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		done(ask(fixture, same[i][0], same[i][1]));
		assert_int_equal(fixture->fake.n_published, 1);
		assert_ptr_equal(find(fixture, "web"), web);
	}
}

#define APPLY_TWO                                                                  \
	"{\"owner\":\"team\",\"services\":["                                       \
	"{\"name\":\"a\",\"vip\":\"192.0.2.20\",\"protocol\":\"tcp\",\"port\":80," \
	"\"backends\":[{\"address\":\"10.0.0.9\"}]},"                              \
	"{\"name\":\"b\",\"vip\":\"192.0.2.21\",\"protocol\":\"udp\",\"port\":53}]%s}"

static void apply_is_the_whole_state_of_one_owner(void **state)
{
	struct fixture *fixture = *state;
	const struct sg_service_spec *a;
	uint64_t n_published;
	char params[600];
	json_t *result, *changes;

	snprintf(params, sizeof(params), APPLY_TWO, "");
	result = ask(fixture, "apply", params);
	changes = json_object_get(result, "services");
	assert_int_equal(json_integer_value(json_object_get(changes, "added")), 2);
	json_decref(result);
	a = find(fixture, "a");
	assert_string_equal(a->owner, "team");
	assert_int_equal(a->backends[0].port, 80);

	// Again: nothing is new, so nothing is published, and the spec is shared further on.
	n_published = fixture->fake.n_published;
	done(ask(fixture, "apply", params));
	assert_int_equal(fixture->fake.n_published, n_published);
	assert_ptr_equal(find(fixture, "a"), a);

	// Without b it is gone, and the other owner's service is not.
	done(ask(fixture, "apply",
		"{\"owner\":\"team\",\"services\":[{\"name\":\"a\",\"vip\":\"192.0.2.20\","
		"\"protocol\":\"tcp\",\"port\":80,\"backends\":[{\"address\":\"10.0.0.9\"}]}]}"));
	assert_ptr_equal(find(fixture, "a"), a);
	assert_null(find(fixture, "b"));
	assert_non_null(find(fixture, "web"));
}

static void a_dry_run_changes_nothing(void **state)
{
	struct fixture *fixture = *state;
	char params[600];
	json_t *result;

	snprintf(params, sizeof(params), APPLY_TWO, ",\"dry_run\":true");
	result = ask(fixture, "apply", params);
	assert_true(json_is_true(json_object_get(result, "dry_run")));
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(result, "services"), "added")),
		2);
	json_decref(result);
	assert_null(find(fixture, "a"));
	assert_int_equal(fixture->fake.n_published, 1);
	// It finds what is wrong all the same.
	expect_refusal(fixture, "apply",
		"{\"dry_run\":true,\"services\":[{\"name\":\"a\",\"vip\":\"192.0.2.10\","
		"\"protocol\":\"tcp\",\"port\":80}]}",
		SG_REQUEST_REFUSED, "service 'web' (of owner 'config') has the VIP");
}

static void an_apply_with_one_mistake_changes_nothing(void **state)
{
	expect_refusal(*state, "apply", "{}", SG_REQUEST_BAD_PARAMS, "apply: services is missing");
	expect_refusal(*state, "apply", "{\"services\":5}", SG_REQUEST_BAD_PARAMS,
		"apply: services must be an array");
	expect_refusal(*state, "apply", "{\"services\":[5]}", SG_REQUEST_BAD_PARAMS,
		"a service must be an object");
	expect_refusal(*state, "apply",
		"{\"services\":[{\"name\":\"a\",\"vip\":\"192.0.2.20\",\"protocol\":\"tcp\",\"port\":80},"
		"{\"name\":\"b\",\"vip\":\"192.0.2.21\",\"protocol\":\"tcp\",\"port\":80,"
		"\"backends\":[{\"address\":\"10.0.0.1\"},{\"address\":\"10.0.0.2\",\"wieght\":1}]}]}",
		SG_REQUEST_BAD_PARAMS, "service 'b': backends[1]: wieght is an unknown member");
	expect_refusal(*state, "apply",
		"{\"services\":[{\"name\":\"a\",\"vip\":\"192.0.2.20\",\"protocol\":\"tcp\",\"port\":80},"
		"{\"name\":\"a\",\"vip\":\"192.0.2.21\",\"protocol\":\"tcp\",\"port\":80}]}",
		SG_REQUEST_REFUSED, "service 'a' stands there twice");
	expect_refusal(*state, "apply",
		"{\"services\":[{\"name\":\"web\",\"vip\":\"192.0.2.20\",\"protocol\":\"tcp\",\"port\":80}]}",
		SG_REQUEST_REFUSED, "service 'web' belongs to owner config, not to operator");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(services_are_added_changed_and_deleted),
		WITH_FIXTURE(bad_services_are_refused),
		WITH_FIXTURE(what_is_odd_is_said_and_done),
		WITH_FIXTURE(what_changes_nothing_makes_no_generation),
		WITH_FIXTURE(apply_is_the_whole_state_of_one_owner),
		WITH_FIXTURE(a_dry_run_changes_nothing),
		WITH_FIXTURE(an_apply_with_one_mistake_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
