// Which methods there are, what may be asked of which socket, and that a batch is done whole or not
// at all.
#include "control/command.h"

#include "asking.h"

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
	assert_non_null(json_object_get(result, "longest_turn_us"));
	assert_int_equal(json_object_size(result), 13);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(hello_and_status_say_who_answers),
		WITH_FIXTURE(unknown_methods_and_params_are_refused),
		WITH_FIXTURE(the_monitor_socket_changes_nothing),
		WITH_FIXTURE(a_batch_is_one_generation_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
