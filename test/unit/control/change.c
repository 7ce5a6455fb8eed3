// Large changes: what others may do meanwhile, in which order changes are made, and how they end.
#include "control/change.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "asking.h"

// A request to apply so many services, each with a backend; the caller's.
static char *apply_line(unsigned first, unsigned n)
{
	json_t *services = json_array();
	json_t *root;
	char *line, vip[20], name[20];

	for (unsigned i = first; i < first + n; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		snprintf(vip, sizeof(vip), "203.0.%u.%u", i >> 8, i & 255);
		json_array_append_new(services,
			json_pack("{s:s, s:s, s:s, s:i, s:i, s:[{s:s, s:i}]}", "name", name, "vip",
				vip, "protocol", "tcp", "port", 80, "maglev_table_size", 251,
				"backends", "address", "10.1.1.1", "port", (int)(i % 65535) + 1));
	}
	root = json_pack("{s:s, s:i, s:s, s:{s:o}}", "jsonrpc", "2.0", "id", 1, "method", "apply",
		"params", "services", services);
	line = json_dumps(root, 0);
	json_decref(root);
	return line;
}

static void send_long(struct fixture *fixture, char *line)
{
	struct sg_peer peer = {0};

	sg_command_handle_long(fixture->control, 7, &peer, line, line, strlen(line));
}

static void turn(struct fixture *fixture)
{
	sg_loop_run_once(fixture->control->loop, sg_control_turn, fixture->control, 1);
}

static void wait_for_answers(struct fixture *fixture, unsigned n)
{
	while (fixture->n_answers < n)
		sg_loop_run_once(fixture->control->loop, sg_control_turn, fixture->control, 0);
}

static const char *member(const char *answer, const char *name, char value[200])
{
	json_t *root = json_loads(answer, 0, NULL);
	json_t *error = json_object_get(root, "error");
	json_t *found = json_object_get(error ? error : json_object_get(root, "result"), name);

	if (json_is_string(found))
		snprintf(value, 200, "%s", json_string_value(found));
	else
		snprintf(value, 200, "%lld", (long long)json_integer_value(found));
	json_decref(root);
	return value;
}

static unsigned services(const struct fixture *fixture)
{
	return sg_rollout_state(fixture->control->rollout)->n_services;
}

#define STATUS "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"status\"}"
#define SET(port)                                                                                               \
	"{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"service set\",\"params\":{\"name\":\"web\",\"port\":" #port \
	"}}"

// Questions are answered at once, and say what was before.
static void questions_are_answered_meanwhile(void **state)
{
	struct fixture *fixture = *state;
	char value[200];

	send_long(fixture, apply_line(0, 500));
	fixture_send(fixture, 1, STATUS);
	assert_int_equal(fixture->n_answers, 1);
	while (!sg_change_is_in_hand(fixture->control))
		turn(fixture);
	fixture_send(fixture, 1, STATUS);
	assert_int_equal(fixture->n_answers, 2);
	assert_string_equal(member(fixture->answers[1], "services", value), "1");
	wait_for_answers(fixture, 3);
	assert_string_equal(member(fixture->answers[2], "generation", value), "2");
	assert_int_equal(services(fixture), 501);
	assert_int_equal(fixture->fake.n_published, 2);
}

// One after the other, each upon what the one before has made, and each a generation of its own.
static void changes_wait_in_their_order(void **state)
{
	struct fixture *fixture = *state;
	char value[200], *apply = apply_line(0, 300);

	send_long(fixture, apply_line(0, 500));
	while (!sg_change_is_in_hand(fixture->control))
		turn(fixture);
	fixture_send(fixture, 1, SET(81));
	fixture_send(fixture, 2, apply);
	fixture_send(fixture, 3, SET(82));
	assert_int_equal(fixture->n_answers, 0);
	assert_int_equal(services(fixture), 1);
	wait_for_answers(fixture, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_string_not_equal(member(fixture->answers[i], "generation", value), "0");
	assert_int_equal(services(fixture), 301);
	assert_int_equal(
		sg_state_find(sg_rollout_state(fixture->control->rollout), "web")->port, 82);
	assert_int_equal(sg_history_size(fixture->control->history), 5);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(sg_history_get(fixture->control->history, i)->serial, 5 - i);
	free(apply);
}

static void routes_and_reloads_wait_as_well(void **state)
{
	struct fixture *fixture = *state;

	send_long(fixture, apply_line(0, 500));
	while (!sg_change_is_in_hand(fixture->control))
		turn(fixture);
	sg_rollout_withdraw(fixture->control->rollout);
	sg_control_reload(fixture->control, "/nowhere/to/be/found", 0, 0);
	assert_true(fixture->control->reload.due);
	wait_for_answers(fixture, 1);
	for (unsigned i = 0; i < 1000 && fixture->fake.n_published < 3; i++)
		sg_loop_run_once(fixture->control->loop, sg_control_turn, fixture->control, 0);
	assert_int_equal(fixture->fake.n_published, 3);
	assert_false(fixture->control->reload.due);
	assert_int_equal(services(fixture), 501);
}

// What is refused by the helper has never been, and what comes next is made.
static void a_refused_one_leaves_no_trace(void **state)
{
	struct fixture *fixture = *state;
	char value[200], *line = apply_line(0, 500), *clash = strstr(line, "203.0.0.9\"");

	memcpy(clash, "203.0.0.8", 9);
	send_long(fixture, line);
	wait_for_answers(fixture, 1);
	member(fixture->answers[0], "message", value);
	assert_non_null(strstr(value, "has the VIP, protocol and port of service"));
	assert_int_equal(services(fixture), 1);
	assert_int_equal(fixture->fake.n_published, 1);
	assert_int_equal(sg_history_size(fixture->control->history), 1);
	fixture_send(fixture, 1, SET(81));
	wait_for_answers(fixture, 2);
	assert_string_equal(member(fixture->answers[1], "generation", value), "2");
}

// More than there are slots for, while those before are draining: only the compiler knows.
static void one_that_does_not_compile_leaves_no_trace(void **state)
{
	struct fixture *fixture = *state;
	char value[200];

	send_long(fixture, apply_line(0, 8500));
	wait_for_answers(fixture, 1);
	send_long(fixture, apply_line(8500, 8500));
	wait_for_answers(fixture, 2);
	member(fixture->answers[1], "message", value);
	assert_non_null(strstr(value, "no service slot is free for"));
	assert_int_equal(services(fixture), 8501);
	assert_int_equal(fixture->fake.n_published, 2);
	assert_int_equal(sg_history_size(fixture->control->history), 2);
	fixture_send(fixture, 1, SET(81));
	wait_for_answers(fixture, 3);
	assert_string_equal(member(fixture->answers[2], "generation", value), "3");
}

// A worker that does not come along holds up no change for longer than its answer may take.
static void a_late_worker_does_not_stop_them(void **state)
{
	struct fixture *fixture = *state;

	fixture->fake.stuck = true;
	for (unsigned i = 0; i < 2 * SG_ROLLOUT_MAX_IN_FLIGHT; i++)
		fixture_send(fixture, 1, i % 2 ? SET(81) : SET(82));
	send_long(fixture, apply_line(0, 50));
	wait_for_answers(fixture, 2 * SG_ROLLOUT_MAX_IN_FLIGHT + 1);
	assert_non_null(strstr(fixture->answers[fixture->n_answers - 1], "\"active\":false"));
	assert_int_equal(services(fixture), 51);
	fixture->fake.stuck = false;
}

static void bad_lines_are_refused(void **state)
{
	struct fixture *fixture = *state;
	size_t size = 10 << 20;
	char *brackets = malloc(size + 1), *garbage = malloc(size + 1);
	char value[200];

	memset(garbage, 'x', size);
	memset(brackets, '{', size);
	garbage[size] = brackets[size] = '\0';
	send_long(fixture, garbage);
	wait_for_answers(fixture, 1);
	assert_string_equal(member(fixture->answers[0], "code", value), "-32700");
	send_long(fixture, brackets);
	wait_for_answers(fixture, 2);
	member(fixture->answers[1], "message", value);
	assert_string_equal(value, "the line has too many values: they would take over 320 MB");
	send_long(fixture, strdup("{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"reboot\"}"));
	wait_for_answers(fixture, 3);
	assert_string_equal(member(fixture->answers[2], "code", value), "-32601");
}

// Stormgate may stop at any moment: whoever waits is told, and nothing is left.
static void all_are_answered_when_it_stops(void **unused)
{
	(void)unused;
	for (unsigned turns = 0; turns < 25; turns++) {
		struct fixture *fixture = fixture_create(FIXTURE_CONFIG);

		send_long(fixture, apply_line(0, 100));
		for (unsigned i = 0; i < turns; i++)
			turn(fixture);
		fixture_send(fixture, 1, SET(81));
		fixture_send(fixture, 2, "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"rollback\"}");
		sg_control_destroy(fixture->control);
		assert_int_equal(fixture->n_answers, 3);
		fixture->control = NULL;
		fixture_destroy(fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(questions_are_answered_meanwhile),
		WITH_FIXTURE(changes_wait_in_their_order),
		WITH_FIXTURE(routes_and_reloads_wait_as_well),
		WITH_FIXTURE(a_refused_one_leaves_no_trace),
		WITH_FIXTURE(one_that_does_not_compile_leaves_no_trace),
		WITH_FIXTURE(a_late_worker_does_not_stop_them),
		WITH_FIXTURE(bad_lines_are_refused),
		cmocka_unit_test(all_are_answered_when_it_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
