// Methods against a data plane that only the test drives: what they answer, what they change, and
// that refused ones change nothing.
#include "control/command.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "net/headers.h"

static int set_up(void **state)
{
	*state = fixture_create(FIXTURE_CONFIG);
	return 0;
}

static int tear_down(void **state)
{
	fixture_destroy(*state);
	return 0;
}

// The result of a request that must not be refused; the caller's.
static json_t *ask(struct fixture *fixture, const char *method, const char *params)
{
	json_t *answer = fixture_ask(fixture, method, params);
	json_t *result = json_incref(json_object_get(answer, "result"));

	if (!result) {
		char *text = json_dumps(answer, JSON_ENCODE_ANY);

		fail_msg("%s %s: %s", method, params, text);
	}
	json_decref(answer);
	return result;
}

// That a request is refused with this code and a sentence that begins like this, and leaves
// everything as it was.
static void expect_refusal(struct fixture *fixture, const char *method, const char *params,
	int code, const char *sentence)
{
	uint64_t generation = sg_rollout_snapshot(fixture->control->rollout)->generation;
	json_t *before = ask(fixture, "service list", "{}");
	json_t *answer = fixture_ask(fixture, method, params);
	json_t *error = json_object_get(answer, "error");
	json_t *after;
	const char *message = json_string_value(json_object_get(error, "message"));

	if (!message || strncmp(message, sentence, strlen(sentence)) != 0)
		fail_msg("%s %s: \"%s\" and not \"%s\"", method, params, message, sentence);
	assert_int_equal(json_integer_value(json_object_get(error, "code")), code);
	after = ask(fixture, "service list", "{}");
	assert_true(json_equal(before, after));
	assert_int_equal(sg_rollout_snapshot(fixture->control->rollout)->generation, generation);
	json_decref(before);
	json_decref(after);
	json_decref(answer);
}

static void done(json_t *result)
{
	assert_true(json_is_true(json_object_get(result, "active")));
	json_decref(result);
}

static const struct sg_service_spec *find(struct fixture *fixture, const char *name)
{
	return sg_state_find(sg_rollout_state(fixture->control->rollout), name);
}

static void hello_and_status_say_who_answers(void **state)
{
	struct fixture *fixture = *state;
	json_t *result = ask(fixture, "hello", "{}");

	assert_string_equal(json_string_value(json_object_get(result, "name")), "stormgate");
	assert_int_equal(json_integer_value(json_object_get(result, "protocol")), 1);
	json_decref(result);

	fixture->fake.totals[0].flows = 3;
	fixture->fake.totals[1].flows = 4;
	result = ask(fixture, "status", "{}");
	assert_string_equal(json_string_value(json_object_get(result, "version")), SG_VERSION);
	assert_string_equal(json_string_value(json_object_get(result, "instance")), "stormgate");
	assert_int_equal(json_integer_value(json_object_get(result, "workers")), FAKE_WORKERS);
	assert_int_equal(json_integer_value(json_object_get(result, "services")), 1);
	assert_int_equal(json_integer_value(json_object_get(result, "flows")), 7);
	assert_non_null(json_object_get(result, "uptime_s"));
	assert_int_equal(json_integer_value(json_object_get(result, "generation")), 1);
	// And what one of each takes of memory.
	assert_int_equal(json_object_size(result), 12);
	json_decref(result);
}

static void unknown_methods_and_params_are_refused(void **state)
{
	expect_refusal(
		*state, "reboot", "{}", SG_REQUEST_UNKNOWN_METHOD, "there is no method \"reboot\"");
	expect_refusal(*state, "service", "{}", SG_REQUEST_UNKNOWN_METHOD, "there is no method");
	expect_refusal(
		*state, "service addx", "{}", SG_REQUEST_UNKNOWN_METHOD, "there is no method");
	expect_refusal(*state, "status", "{\"x\":1}", SG_REQUEST_BAD_PARAMS,
		"status: x is an unknown member");
	expect_refusal(*state, "service show", "{}", SG_REQUEST_BAD_PARAMS,
		"service show: name is missing");
	expect_refusal(*state, "service show", "{\"name\":\"x\"}", SG_REQUEST_REFUSED,
		"no service is named 'x'");
	expect_refusal(*state, "flows", "{\"limit\":0}", SG_REQUEST_BAD_PARAMS,
		"flows: limit must be from 1");
	expect_refusal(*state, "flows", "{\"service\":\"x\"}", SG_REQUEST_REFUSED,
		"no service is named 'x'");
}

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

static void backends_are_added_changed_drained_and_deleted(void **state)
{
	struct fixture *fixture = *state;
	const struct sg_backend_spec *backend;
	struct sg_addr addr;
	uint16_t port;

	assert_int_equal(sg_addr_port_parse("10.0.0.4:80", &addr, &port), 0);
	// The port defaults to the service's, as in the config file.
	done(ask(fixture, "backend add", "{\"service\":\"web\",\"address\":\"10.0.0.4\"}"));
	backend = sg_service_spec_find_backend(find(fixture, "web"), &addr, port);
	assert_non_null(backend);
	assert_int_equal(backend->weight, 1);
	done(ask(fixture, "backend drain",
		"{\"service\":\"web\",\"address\":\"10.0.0.4\",\"port\":80}"));
	backend = sg_service_spec_find_backend(find(fixture, "web"), &addr, port);
	assert_true(backend->draining);
	assert_int_equal(backend->weight, 1); // remembered
	done(ask(fixture, "backend set",
		"{\"service\":\"web\",\"address\":\"10.0.0.4\",\"port\":80,\"weight\":0}"));
	backend = sg_service_spec_find_backend(find(fixture, "web"), &addr, port);
	assert_true(backend->draining);
	done(ask(fixture, "backend set",
		"{\"service\":\"web\",\"address\":\"10.0.0.4\",\"port\":80,\"weight\":7}"));
	backend = sg_service_spec_find_backend(find(fixture, "web"), &addr, port);
	assert_false(backend->draining);
	assert_int_equal(backend->weight, 7);
	assert_int_equal(backend->max_connections, 0);
	done(ask(fixture, "backend set",
		"{\"service\":\"web\",\"address\":\"10.0.0.4\",\"port\":80,\"max_connections\":9}"));
	backend = sg_service_spec_find_backend(find(fixture, "web"), &addr, port);
	assert_int_equal(backend->max_connections, 9);
	assert_int_equal(backend->weight, 7);
	done(ask(fixture, "backend add",
		"{\"service\":\"web\",\"address\":\"10.0.0.4\",\"port\":81,\"max_connections\":4}"));
	assert_int_equal(
		sg_service_spec_find_backend(find(fixture, "web"), &addr, 81)->max_connections, 4);
	done(ask(fixture, "backend delete",
		"{\"service\":\"web\",\"address\":\"10.0.0.4\",\"port\":80,\"now\":true}"));
	assert_null(sg_service_spec_find_backend(find(fixture, "web"), &addr, port));
}

static void draining_twice_changes_nothing_the_second_time(void **state)
{
	static const char backend[] =
		"{\"service\":\"web\",\"address\":\"10.0.0.2\",\"port\":8080}";
	struct fixture *fixture = *state;
	uint64_t n_published;

	done(ask(fixture, "backend drain", backend));
	n_published = fixture->fake.n_published;
	done(ask(fixture, "backend drain", backend));
	assert_int_equal(fixture->fake.n_published, n_published);
}

static void bad_backends_are_refused(void **state)
{
	expect_refusal(*state, "backend add", "{\"service\":\"web\",\"address\":\"192.168.0.1\"}",
		SG_REQUEST_REFUSED,
		"backend 192.168.0.1:80 of service 'web' lies outside backend_cidrs");
	expect_refusal(*state, "backend add",
		"{\"service\":\"web\",\"address\":\"10.0.0.2\",\"port\":8080}", SG_REQUEST_REFUSED,
		"service 'web' has the backend 10.0.0.2:8080 already");
	expect_refusal(*state, "backend add", "{\"service\":\"nope\",\"address\":\"10.0.0.2\"}",
		SG_REQUEST_REFUSED, "no service is named 'nope'");
	expect_refusal(*state, "backend add", "{\"service\":\"web\"}", SG_REQUEST_BAD_PARAMS,
		"backend: address is missing");
	expect_refusal(*state, "backend set",
		"{\"service\":\"web\",\"address\":\"10.0.0.9\",\"weight\":1}", SG_REQUEST_REFUSED,
		"service 'web' has no backend 10.0.0.9:80");
	expect_refusal(*state, "backend set",
		"{\"service\":\"web\",\"address\":\"10.0.0.2\",\"port\":8080}",
		SG_REQUEST_BAD_PARAMS, "backend: weight is missing, and so is max_connections");
	expect_refusal(*state, "backend drain", "{\"service\":\"web\",\"address\":\"10.0.0.9\"}",
		SG_REQUEST_REFUSED, "service 'web' has no backend");
	expect_refusal(*state, "backend delete",
		"{\"service\":\"web\",\"address\":\"fd00::1\",\"port\":1}", SG_REQUEST_REFUSED,
		"service 'web' has no backend [fd00::1]:1");
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

static uint8_t life_of(struct fixture *fixture, uint32_t slot)
{
	return sg_snapshot_backend(fixture->fake.published, slot)->life;
}

static void a_backend_that_is_leaving_is_ended_by_delete_now(void **state)
{
	static const char params[] =
		"{\"service\":\"web\",\"address\":\"10.0.0.2\",\"port\":8080,\"now\":true}";
	struct fixture *fixture = *state;
	struct sg_addr address;
	uint32_t slot;

	assert_int_equal(sg_addr_parse("10.0.0.2", &address), 0);
	slot = sg_compiler_find_backend_slot(
		sg_rollout_compiler(fixture->control->rollout), "web", &address, 8080);
	done(ask(fixture, "backend delete",
		"{\"service\":\"web\",\"address\":\"10.0.0.2\",\"port\":8080}"));
	assert_int_equal(life_of(fixture, slot), SG_BACKEND_REMOVED);
	// Without "now" there is nothing left to delete.
	expect_refusal(fixture, "backend delete",
		"{\"service\":\"web\",\"address\":\"10.0.0.2\",\"port\":8080}", SG_REQUEST_REFUSED,
		"service 'web' has no backend 10.0.0.2:8080");
	done(ask(fixture, "backend delete", params));
	assert_int_equal(life_of(fixture, slot), SG_BACKEND_DEAD);
	expect_refusal(fixture, "backend delete", params, SG_REQUEST_REFUSED,
		"service 'web' has no backend 10.0.0.2:8080");
	// The last backend of a service that was deleted itself.
	done(ask(fixture, "service delete", "{\"name\":\"web\"}"));
	done(ask(fixture, "backend delete",
		"{\"service\":\"web\",\"address\":\"10.0.0.3\",\"port\":8080,\"now\":true}"));
}

// A state of `n` services with ten backends each, of owner "operator".
static void apply_many(struct fixture *fixture, unsigned n)
{
	json_t *services = json_array();
	json_t *params;
	char *text;

	for (unsigned i = 0; i < n; i++) {
		json_t *backends = json_array();

		for (unsigned b = 0; b < 10; b++)
			json_array_append_new(backends,
				json_pack("{s:o}", "address",
					json_sprintf("10.%u.%u.%u", b + 1, i / 256, i % 256)));
		json_array_append_new(services,
			json_pack("{s:o, s:o, s:s, s:i, s:i, s:o}", "name", json_sprintf("s%u", i),
				"vip", json_sprintf("203.0.%u.%u", i / 256, i % 256), "protocol",
				"tcp", "port", 80, "maglev_table_size", 251, "backends", backends));
	}
	params = json_pack("{s:o}", "services", services);
	text = json_dumps(params, JSON_COMPACT);
	done(ask(fixture, "apply", text));
	free(text);
	json_decref(params);
}

// What may be asked of the socket that only answers questions, and that nothing can be changed
// there.
static void the_monitor_socket_changes_nothing(void **state)
{
	static const char *const questions[] = {"hello", "status", "service list", "export",
		"flows", "stats", "drops", "history", "policy show"};
	static const char *const changes[] = {"service add", "service set", "service delete",
		"backend add", "backend set", "backend drain", "backend delete", "apply", "change",
		"rollback", "policy set"};
	struct fixture *fixture = *state;
	char line[200], expected[200];

	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\"}",
			questions[i]);
		fixture_send(fixture, SG_CONTROL_MONITOR | 1, line);
		while (fixture->n_answers == 0)
			sg_control_turn(fixture->control);
		assert_non_null(strstr(fixture->answers[0], "\"result\":"));
		fixture_forget_answers(fixture);
	}
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		snprintf(line, sizeof(line),
			"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":{\"dry_run\":true}}",
			changes[i]);
		fixture_send(fixture, SG_CONTROL_MONITOR | 1, line);
		snprintf(expected, sizeof(expected),
			"\\\"%s\\\" changes something, and this socket only answers questions",
			changes[i]);
		assert_int_equal(fixture->n_answers, 1);
		assert_non_null(strstr(fixture->answers[0], expected));
		fixture_forget_answers(fixture);
	}
	assert_int_equal(fixture->fake.n_published, 1);
}

static size_t one_unsent(void *context, uint64_t connection)
{
	(void)context;
	return connection == 1;
}

// Fifty clients want all that there is; what one asks meanwhile is answered before theirs. One that
// has not read its earlier answers gets none, and holds up nobody.
static void long_answers_hold_up_nobody(void **state)
{
	static const char *const methods[] = {"stats", "export", "service list"};
	struct fixture *fixture = *state;
	size_t shortest = SIZE_MAX;
	char line[200];

	apply_many(fixture, 2000);
	fixture->control->unsent = one_unsent;
	for (unsigned i = 0; i < 50; i++) {
		snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"%s\"}", i,
			methods[i % 3]);
		fixture_send(fixture, i + 1, line);
	}
	assert_int_equal(fixture->n_answers, 0);
	sg_control_turn(fixture->control);
	fixture_send(fixture, 99, "{\"jsonrpc\":\"2.0\",\"id\":\"short\",\"method\":\"status\"}");
	assert_int_equal(fixture->n_answers, 1);
	assert_non_null(strstr(fixture->answers[0], "\"id\":\"short\""));
	while (fixture->n_answers < 50)
		sg_control_turn(fixture->control);
	assert_int_equal(sg_control_turn(fixture->control) > 0, 1);
	for (unsigned i = 1; i < 50; i++) {
		json_t *answer = json_loads(fixture->answers[i], 0, NULL);
		json_t *result = json_object_get(answer, "result");
		size_t length = strlen(fixture->answers[i]);

		assert_int_not_equal(json_integer_value(json_object_get(answer, "id")), 0);
		assert_true(json_array_size(json_object_get(result, "services")) >= 2000);
		shortest = length < shortest ? length : shortest;
		json_decref(answer);
	}
	assert_true(shortest > 500000);
	// The first has read what it had, and gets its answer.
	fixture_forget_answers(fixture);
	fixture->control->unsent = fixture_unsent;
	while (fixture->n_answers == 0)
		sg_control_turn(fixture->control);
	assert_non_null(strstr(fixture->answers[0], "\"id\":0"));
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

static void a_batch_is_one_generation_or_none(void **state)
{
	struct fixture *fixture = *state;
	uint64_t n_published = fixture->fake.n_published;

	done(ask(fixture, "change",
		"{\"changes\":[{\"method\":\"service add\",\"params\":{\"name\":\"a\",\"vip\":"
		"\"192.0.2.20\",\"protocol\":\"tcp\",\"port\":80}},"
		"{\"method\":\"backend.add\",\"params\":{\"service\":\"a\",\"address\":\"10.0.0.7\"}},"
		"{\"method\":\"backend drain\",\"params\":{\"service\":\"web\",\"address\":\"10.0.0.2\","
		"\"port\":8080}}]}"));
	assert_int_equal(fixture->fake.n_published, n_published + 1);
	assert_int_equal(find(fixture, "a")->n_backends, 1);
	assert_true(find(fixture, "web")->backends[0].draining);

	expect_refusal(fixture, "change",
		"{\"changes\":[{\"method\":\"service delete\",\"params\":{\"name\":\"a\"}},"
		"{\"method\":\"service delete\",\"params\":{\"name\":\"nope\"}}]}",
		SG_REQUEST_REFUSED, "changes[1]: no service is named 'nope'");
	expect_refusal(fixture, "change",
		"{\"changes\":[{\"method\":\"apply\",\"params\":{\"services\":[]}}]}",
		SG_REQUEST_BAD_PARAMS, "changes[0]: apply is no verb that changes");
	expect_refusal(fixture, "change",
		"{\"changes\":[{\"method\":\"backend drain\",\"params\":{\"service\":\"web\","
		"\"address\":\"10.0.0.3\",\"port\":8080,\"wait\":true}}]}",
		SG_REQUEST_BAD_PARAMS, "changes[0]: wait is not possible in a batch");
	expect_refusal(fixture, "change", "{\"changes\":[5]}", SG_REQUEST_BAD_PARAMS,
		"changes[0]: it must be an object");
}

// What an export is, `apply` takes and leaves everything as it is.
static void an_export_applies(void **state)
{
	struct fixture *fixture = *state;
	json_t *exported, *again;
	uint64_t n_published;
	char *params;

	done(ask(fixture, "service add",
		"{\"name\":\"full\",\"vip\":\"192.0.2.30\",\"protocol\":\"udp\",\"port\":5000,"
		"\"scheduler\":\"wlc\",\"forward\":\"snat\",\"allow\":[\"10.1.0.0/16\",\"192.0.2.7/32\"],"
		"\"affinity_timeout\":60,\"announce\":\"never\",\"maglev_table_size\":251,\"backends\":["
		"{\"address\":\"10.0.0.8\",\"port\":1,\"weight\":0},"
		"{\"address\":\"10.0.0.9\",\"weight\":65535,\"draining\":true}]}"));
	exported = ask(fixture, "export", "{\"owner\":\"operator\"}");
	assert_int_equal(json_array_size(json_object_get(exported, "other_owners")), 1);
	json_object_del(exported, "other_owners");
	params = json_dumps(exported, 0);
	n_published = fixture->fake.n_published;
	done(ask(fixture, "apply", params));
	assert_int_equal(fixture->fake.n_published, n_published);
	done(ask(fixture, "service delete", "{\"name\":\"full\"}"));
	done(ask(fixture, "apply", params));
	again = ask(fixture, "export", "{}");
	json_object_del(again, "other_owners");
	assert_true(json_equal(exported, again));
	json_decref(exported);
	json_decref(again);
	free(params);
}

static void an_export_chooses_the_only_owner(void **state)
{
	json_t *exported = ask(*state, "export", "{}");

	assert_string_equal(json_string_value(json_object_get(exported, "owner")), "config");
	assert_int_equal(json_array_size(json_object_get(exported, "services")), 1);
	json_decref(exported);
}

static json_t *stats_of(struct fixture *fixture, const char *service)
{
	json_t *stats = ask(fixture, "stats", "{}"), *found = NULL, *object;
	size_t i;

	json_array_foreach(json_object_get(stats, "services"), i, object)
	{
		if (strcmp(json_string_value(json_object_get(object, "name")), service) == 0)
			found = json_incref(object);
	}
	assert_non_null(found);
	json_decref(stats);
	return found;
}

static json_int_t figure(const json_t *object, const char *member)
{
	return json_integer_value(json_object_get(object, member));
}

static uint32_t backend_slot(struct fixture *fixture, const char *address)
{
	struct sg_addr addr;

	assert_int_equal(sg_addr_parse(address, &addr), 0);
	return sg_compiler_find_backend_slot(
		sg_rollout_compiler(fixture->control->rollout), "web", &addr, 8080);
}

static void counters_start_at_zero_when_a_slot_is_reused(void **state)
{
	struct fixture *fixture = *state;
	struct sg_worker_counters *counters = fixture->fake.counters;
	const struct sg_compiler *compiler = sg_rollout_compiler(fixture->control->rollout);
	uint32_t slot = sg_compiler_find_service_slot(compiler, "web");
	uint32_t backend = backend_slot(fixture, "10.0.0.2");
	json_t *web;

	counters[0].services[slot].flows_created = 5;
	counters[0].services[slot].flows_ended = 2;
	counters[0].backends[backend].packets_to_backend = 100;
	counters[1].backends[backend_slot(fixture, "10.0.0.3")].packets_to_backend = 11;
	counters[0].service_losses[slot].by_number[0][SG_SERVICE_DROP_DENIED] = 3;
	counters[1].backend_losses[backend].by_number[1][SG_SERVICE_DROP_TOO_BIG] = 4;
	web = stats_of(fixture, "web");
	assert_int_equal(figure(web, "packets_to_backend"), 111);
	assert_int_equal(figure(web, "flows"), 3);
	assert_int_equal(figure(web, "new_flows"), 5);
	assert_int_equal(figure(web, "dropped"), 7);
	assert_int_equal(figure(json_object_get(web, "dropped_to_backend"), "denied"), 3);
	assert_int_equal(figure(json_object_get(web, "dropped_to_client"), "too_big"), 4);
	assert_int_equal(json_object_size(json_object_get(web, "dropped_to_backend")), 1);
	json_decref(web);

	counters[0].services[slot].flows_ended = 5;
	done(ask(fixture, "service delete", "{\"name\":\"web\"}"));
	done(ask(fixture, "service add",
		"{\"name\":\"web\",\"vip\":\"192.0.2.10\",\"protocol\":\"tcp\",\"port\":80}"));
	web = stats_of(fixture, "web");
	assert_int_equal(figure(web, "packets_to_backend"), 0);
	assert_int_equal(figure(web, "new_flows"), 0);
	assert_int_equal(figure(web, "dropped"), 0);
	json_decref(web);
	done(ask(fixture, "backend add",
		"{\"service\":\"web\",\"address\":\"10.0.0.2\",\"port\":8080}"));
	counters[0].backends[backend_slot(fixture, "10.0.0.2")].packets_to_backend += 1;
	web = stats_of(fixture, "web");
	assert_int_equal(figure(web, "packets_to_backend"), 1);
	json_decref(web);
}

// What a backend that is gone has carried stays its service's, also when its slot is another's.
static void a_service_keeps_what_its_former_backends_counted(void **state)
{
	struct fixture *fixture = *state;
	struct sg_worker_counters *counters = fixture->fake.counters;
	uint32_t backend = backend_slot(fixture, "10.0.0.2"), later = UINT32_MAX;
	json_t *stats;

	counters[0].backends[backend].packets_to_client = 70;
	done(ask(fixture, "backend delete",
		"{\"service\":\"web\",\"address\":\"10.0.0.2\",\"port\":8080,\"now\":true}"));
	counters[0].backends[backend].packets_to_client = 75;
	// Workers sweep, and the slot is given out again.
	for (unsigned i = 0; i < 5; i++) {
		for (unsigned worker = 0; worker < FAKE_WORKERS; worker++)
			fixture->fake.totals[worker].sweeps += 2;
		done(ask(fixture, "service set",
			i % 2 ? "{\"name\":\"web\",\"scheduler\":\"rr\"}"
			      : "{\"name\":\"web\",\"scheduler\":\"maglev\"}"));
		done(ask(fixture, "service set",
			i % 2 ? "{\"name\":\"web\",\"scheduler\":\"lc\"}"
			      : "{\"name\":\"web\",\"scheduler\":\"wlc\"}"));
	}
	done(ask(fixture, "service add",
		"{\"name\":\"api\",\"vip\":\"192.0.2.11\",\"protocol\":\"tcp\",\"port\":80,"
		"\"backends\":[{\"address\":\"10.0.0.9\",\"port\":8080}]}"));
	later = sg_compiler_find_backend_slot(sg_rollout_compiler(fixture->control->rollout), "api",
		&find(fixture, "api")->backends[0].address, 8080);
	assert_int_equal(later, backend);
	counters[0].backends[backend].packets_to_client = 80;
	stats = stats_of(fixture, "web");
	assert_int_equal(figure(stats, "packets_to_client"), 75);
	json_decref(stats);
	stats = stats_of(fixture, "api");
	assert_int_equal(figure(stats, "packets_to_client"), 5);
	json_decref(stats);
}

static const char *step_of(const json_t *told, const char *name)
{
	size_t i;
	json_t *step;

	json_array_foreach(json_object_get(told, "steps"), i, step)
	{
		if (strcmp(json_string_value(json_object_get(step, "step")), name) == 0)
			return json_string_value(json_object_get(step, "what"));
	}
	return "";
}

static void a_packet_is_explained(void **state)
{
	struct fixture *fixture = *state;
	struct sg_explanation *told = &fixture->fake.explanation;
	const struct sg_compiler *compiler = sg_rollout_compiler(fixture->control->rollout);
	json_t *result;

	*told = (struct sg_explanation){.end = SG_EXPLAINED_FORWARDED,
		.worker = 1,
		.asked_service = true,
		.service_slot = sg_compiler_find_service_slot(compiler, "web"),
		.choice = SG_CHOICE_SCHEDULER,
		.scheduler = SG_SCHEDULER_LC,
		.n_candidates = 2,
		.least_flows = 7,
		.backend_slot = backend_slot(fixture, "10.0.0.2"),
		.rewritten = true,
		.src = {.family = SG_FAMILY_IPV4, .bytes = {10, 0, 0, 100}},
		.dst = {.family = SG_FAMILY_IPV4, .bytes = {10, 0, 0, 2}},
		.sport = 1234,
		.dport = 8080,
		.next_mac = {2, 0, 0, 0, 0, 9}};
	result = ask(fixture, "explain",
		"{\"protocol\":\"tcp\",\"source\":\"198.51.100.7\",\"source_port\":40000,"
		"\"destination\":\"192.0.2.10\",\"destination_port\":80,\"flags\":\"ack\",\"in\":\"p0\"}");
	assert_int_equal(fixture->fake.question.sport, 40000);
	assert_int_equal(fixture->fake.question.dport, 80);
	assert_int_equal(fixture->fake.question.tcp_flags, SG_TCP_ACK);
	assert_true(json_is_true(json_object_get(result, "forwarded")));
	assert_string_equal(json_string_value(json_object_get(result, "service")), "web");
	assert_string_equal(json_string_value(json_object_get(result, "backend")), "10.0.0.2:8080");
	assert_string_equal(json_string_value(json_object_get(result, "port")), "p0");
	assert_string_equal(step_of(result, "worker"),
		"worker 0 gets it and hands it to worker 1, where its flow lives");
	assert_string_equal(step_of(result, "choice"),
		"lc, among 2 backends: none has fewer connections (it has 7, as worker 1 sees it)");
	assert_string_equal(step_of(result, "backend"), "10.0.0.2:8080, weight 1, active");
	assert_string_equal(step_of(result, "rewrite"),
		"from 10.0.0.100:1234 to 10.0.0.2:8080; the SNAT port may be another when it is sent");
	assert_string_equal(step_of(result, "next hop"), "02:00:00:00:00:09");
	json_decref(result);

	// Refused by a policy: the prefix that says so is named.
	done(ask(fixture, "policy set", "{\"deny\":[\"203.0.113.0/24\",\"198.51.100.0/25\"]}"));
	*told = (struct sg_explanation){.end = SG_EXPLAINED_DROPPED,
		.drop = SG_DROP_DENIED,
		.asked_service = true,
		.service_slot = told->service_slot,
		.refused = SG_DROP_DENIED,
		.backend_slot = UINT32_MAX};
	result = ask(fixture, "explain",
		"{\"protocol\":\"udp\",\"source\":\"198.51.100.7\",\"source_port\":40000,"
		"\"destination\":\"192.0.2.10\",\"destination_port\":80}");
	assert_true(json_is_false(json_object_get(result, "forwarded")));
	assert_string_equal(json_string_value(json_object_get(result, "drop")), "denied");
	assert_true(json_is_null(json_object_get(result, "backend")));
	assert_string_equal(step_of(result, "policy"),
		"denied: 198.51.100.0/25 is in deny of the policy for all services");
	assert_non_null(strstr(step_of(result, "end"), "dropped as denied: "));
	json_decref(result);

	expect_refusal(fixture, "explain", "{\"protocol\":\"tcp\"}", SG_REQUEST_BAD_PARAMS,
		"explain: source is missing");
	expect_refusal(fixture, "explain",
		"{\"protocol\":\"icmp\",\"source\":\"198.51.100.7\",\"source_port\":1,"
		"\"destination\":\"192.0.2.10\",\"destination_port\":80}",
		SG_REQUEST_BAD_PARAMS, "explain: protocol must be \"tcp\" or \"udp\"");
	expect_refusal(fixture, "explain",
		"{\"protocol\":\"tcp\",\"source\":\"2001:db8::1\",\"source_port\":1,"
		"\"destination\":\"192.0.2.10\",\"destination_port\":80}",
		SG_REQUEST_BAD_PARAMS, "explain: destination must be of the source's family");
	expect_refusal(fixture, "explain",
		"{\"protocol\":\"tcp\",\"source\":\"198.51.100.7\",\"source_port\":1,"
		"\"destination\":\"192.0.2.10\",\"destination_port\":80,\"in\":\"p9\"}",
		SG_REQUEST_REFUSED, "no port is named 'p9'");
}

static void the_account_closes(void **state)
{
	struct fixture *fixture = *state;
	struct sg_counters *totals = fixture->fake.totals;
	json_t *stats, *drops, *drop;
	size_t i;

	// Two packets came in: one was handed from worker 0 to 1 and forwarded, one is on its way;
	// one was dropped.
	totals[0].received = 3;
	totals[0].handed_out = 2;
	totals[0].dropped[SG_DROP_NOT_LOCAL] = 1;
	totals[1].handed_in = 1;
	totals[1].forwarded = 1;
	totals[2].generated = 4; // the twins'
	totals[2].held = 4;
	stats = ask(fixture, "stats", "{}");
	assert_int_equal(json_integer_value(json_object_get(stats, "received")), 3);
	assert_int_equal(json_integer_value(json_object_get(stats, "generated")), 4);
	assert_int_equal(json_integer_value(json_object_get(stats, "forwarded")), 1);
	assert_int_equal(json_integer_value(json_object_get(stats, "in_flight")), 5);
	assert_int_equal(json_array_size(json_object_get(stats, "workers")), FAKE_WORKERS);
	// Every name is there from the start.
	assert_int_equal(json_object_size(json_object_get(stats, "dropped")), SG_DROP_COUNT - 1);
	json_decref(stats);

	drops = ask(fixture, "drops", "{}");
	assert_int_equal(json_array_size(json_object_get(drops, "drops")), SG_DROP_COUNT - 1);
	json_array_foreach(json_object_get(drops, "drops"), i, drop)
	{
		bool ours =
			strcmp(json_string_value(json_object_get(drop, "name")), "not_local") == 0;

		assert_int_equal(json_integer_value(json_object_get(drop, "count")), ours);
		assert_true(json_string_length(json_object_get(drop, "meaning")) > 10);
	}
	json_decref(drops);
}

static void insert_flow(struct fixture *fixture, unsigned worker, uint16_t client_port)
{
	struct sg_flow_table *table = fixture->fake.tables[worker];
	struct sg_flow flow = {.state = SG_FLOW_TCP_ESTABLISHED};
	uint64_t hashes[2];

	flow.client = (struct sg_tuple){.src_be = htonl(0xc6336407),
		.dst_be = htonl(0xc000020a),
		.sport_be = htons(client_port),
		.dport_be = htons(80),
		.proto = 6};
	flow.server = (struct sg_tuple){.src_be = htonl(0x0a000002),
		.dst_be = htonl(0x0a000064),
		.sport_be = htons(8080),
		.dport_be = htons(client_port),
		.proto = 6};
	sg_flow_table_hash(table, &flow.client, 1, &hashes[0]);
	sg_flow_table_hash(table, &flow.server, 1, &hashes[1]);
	assert_true(sg_flow_table_insert(table, &flow, hashes[0], hashes[1]) != 0);
}

static void flows_are_listed_up_to_the_limit(void **state)
{
	struct fixture *fixture = *state;
	json_t *result, *flow;

	for (unsigned i = 0; i < 150; i++)
		insert_flow(fixture, i % FAKE_WORKERS, (uint16_t)(40000 + i));
	result = ask(fixture, "flows", "{}");
	assert_int_equal(json_array_size(json_object_get(result, "flows")), 100);
	assert_true(json_is_true(json_object_get(result, "more")));
	flow = json_array_get(json_object_get(result, "flows"), 0);
	assert_string_equal(json_string_value(json_object_get(flow, "service")), "web");
	assert_string_equal(json_string_value(json_object_get(flow, "vip")), "192.0.2.10:80");
	assert_string_equal(json_string_value(json_object_get(flow, "backend")), "10.0.0.2:8080");
	assert_string_equal(json_string_value(json_object_get(flow, "state")), "established");
	json_decref(result);

	result = ask(fixture, "flows", "{\"limit\":100000,\"service\":\"web\"}");
	assert_int_equal(json_array_size(json_object_get(result, "flows")), 150);
	assert_true(json_is_false(json_object_get(result, "more")));
	json_decref(result);
	result = ask(fixture, "flows", "{\"limit\":150}");
	assert_true(json_is_false(json_object_get(result, "more")));
	json_decref(result);
}

static void insert_flow6(struct fixture *fixture)
{
	struct sg_flow_table *table = fixture->fake.tables[0];
	struct sg_flow flow = {.state = SG_FLOW_UDP};
	struct sg_flow_addresses addresses;
	uint64_t hashes[2];

	inet_pton(AF_INET6, "2001:db8::7", addresses.client.src);
	inet_pton(AF_INET6, "2001:db8:1::10", addresses.client.dst);
	inet_pton(AF_INET6, "fd00::2", addresses.server.src);
	inet_pton(AF_INET6, "fd00::100", addresses.server.dst);
	flow.client = (struct sg_tuple){
		.sport_be = htons(40000), .dport_be = htons(53), .proto = IPPROTO_UDP};
	flow.server = (struct sg_tuple){
		.sport_be = htons(5353), .dport_be = htons(1024), .proto = IPPROTO_UDP};
	sg_flow_table_key6(table, &addresses.client, &flow.client);
	sg_flow_table_key6(table, &addresses.server, &flow.server);
	sg_flow_table_hash(table, &flow.client, 1, &hashes[0]);
	sg_flow_table_hash(table, &flow.server, 1, &hashes[1]);
	assert_true(sg_flow_table_insert6(table, &flow, &addresses, hashes[0], hashes[1]) != 0);
}

static void expect_member(const json_t *object, const char *name, const char *value)
{
	assert_string_equal(json_string_value(json_object_get(object, name)), value);
}

static void an_ipv6_flow_is_listed_with_its_addresses(void **state)
{
	struct fixture *fixture = *state;
	json_t *result, *flow;

	insert_flow6(fixture);
	result = ask(fixture, "flows", "{}");
	assert_int_equal(json_array_size(json_object_get(result, "flows")), 1);
	flow = json_array_get(json_object_get(result, "flows"), 0);
	expect_member(flow, "protocol", "udp");
	expect_member(flow, "client", "[2001:db8::7]:40000");
	expect_member(flow, "vip", "[2001:db8:1::10]:53");
	expect_member(flow, "backend", "[fd00::2]:5353");
	expect_member(flow, "snat", "[fd00::100]:1024");
	json_decref(result);
}

#define DRAIN_AND_WAIT                                                                        \
	"{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"backend drain\",\"params\":{\"service\":" \
	"\"web\",\"address\":\"10.0.0.2\",\"port\":8080,\"wait\":true}}"

static void turn(struct fixture *fixture)
{
	fixture->control->next_tick_ms = 0; // as if the time had come
	sg_control_turn(fixture->control);
}

static void a_drain_waits_for_the_last_flow(void **state)
{
	struct fixture *fixture = *state;

	fixture->fake.backend_flows = 2;
	fixture_send(fixture, 5, DRAIN_AND_WAIT);
	for (unsigned i = 0; i < 10; i++)
		turn(fixture);
	assert_int_equal(fixture->n_answers, 0);
	fixture->fake.backend_flows = 0;
	turn(fixture);
	assert_int_equal(fixture->n_answers, 1);
	assert_non_null(strstr(fixture->answers[0], "\"id\":9,\"result\":{\"generation\":2,"));
	assert_non_null(strstr(fixture->answers[0], "\"flows\":0"));
}

static void a_drain_stops_waiting_when_the_backend_is_taken_back(void **state)
{
	struct fixture *fixture = *state;

	fixture->fake.backend_flows = 2;
	fixture_send(fixture, 5, DRAIN_AND_WAIT);
	turn(fixture);
	fixture_send(fixture, 6,
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"backend set\",\"params\":{\"service\":"
		"\"web\",\"address\":\"10.0.0.2\",\"port\":8080,\"weight\":1}}");
	turn(fixture);
	turn(fixture);
	assert_int_equal(fixture->n_answers, 2);
	assert_true(strstr(fixture->answers[0], "taken back into service") ||
		    strstr(fixture->answers[1], "taken back into service"));
}

static void a_client_that_leaves_is_not_waited_for(void **state)
{
	struct fixture *fixture = *state;

	fixture->fake.backend_flows = 2;
	fixture_send(fixture, 5, DRAIN_AND_WAIT);
	turn(fixture);
	assert_non_null(fixture->control->drain_waits.first);
	sg_drain_wait_forget(fixture->control, 5);
	assert_null(fixture->control->drain_waits.first);
}

static void whoever_waits_is_answered_at_the_end(void **state)
{
	struct fixture *fixture = *state;

	fixture->fake.backend_flows = 2;
	fixture->fake.stuck = true;
	fixture_send(fixture, 5, DRAIN_AND_WAIT);
	fixture_send(fixture, 6, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"flows\"}");
	sg_control_destroy(fixture->control);
	fixture->control = NULL;
	assert_int_equal(fixture->n_answers, 2);
	assert_non_null(strstr(fixture->answers[0], "stormgate is stopping"));
	assert_non_null(strstr(fixture->answers[1], "stormgate is stopping"));
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(hello_and_status_say_who_answers),
		WITH_FIXTURE(unknown_methods_and_params_are_refused),
		WITH_FIXTURE(services_are_added_changed_and_deleted),
		WITH_FIXTURE(the_policy_for_all_is_set_and_shown),
		WITH_FIXTURE(bad_services_are_refused),
		WITH_FIXTURE(backends_are_added_changed_drained_and_deleted),
		WITH_FIXTURE(draining_twice_changes_nothing_the_second_time),
		WITH_FIXTURE(bad_backends_are_refused),
		WITH_FIXTURE(apply_is_the_whole_state_of_one_owner),
		WITH_FIXTURE(what_changes_nothing_makes_no_generation),
		WITH_FIXTURE(a_backend_that_is_leaving_is_ended_by_delete_now),
		WITH_FIXTURE(the_monitor_socket_changes_nothing),
		WITH_FIXTURE(long_answers_hold_up_nobody),
		WITH_FIXTURE(a_dry_run_changes_nothing),
		WITH_FIXTURE(an_apply_with_one_mistake_changes_nothing),
		WITH_FIXTURE(what_is_odd_is_said_and_done),
		WITH_FIXTURE(a_batch_is_one_generation_or_none),
		WITH_FIXTURE(an_export_applies),
		WITH_FIXTURE(an_export_chooses_the_only_owner),
		WITH_FIXTURE(counters_start_at_zero_when_a_slot_is_reused),
		WITH_FIXTURE(a_service_keeps_what_its_former_backends_counted),
		WITH_FIXTURE(a_packet_is_explained),
		WITH_FIXTURE(the_account_closes),
		WITH_FIXTURE(flows_are_listed_up_to_the_limit),
		WITH_FIXTURE(an_ipv6_flow_is_listed_with_its_addresses),
		WITH_FIXTURE(a_drain_waits_for_the_last_flow),
		WITH_FIXTURE(a_drain_stops_waiting_when_the_backend_is_taken_back),
		WITH_FIXTURE(a_client_that_leaves_is_not_waited_for),
		WITH_FIXTURE(whoever_waits_is_answered_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
