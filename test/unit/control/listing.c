// Long answers: their turn comes after short ones.
#include "control/listing.h"

#include "asking.h"

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

static size_t one_unsent(void *context, uint64_t connection)
{
	(void)context;
	return connection == 1;
}

static unsigned id_of(const char *answer)
{
	unsigned id;

	assert_int_equal(sscanf(answer, "{\"jsonrpc\":\"2.0\",\"id\":%u,", &id), 1);
	return id;
}

// That a long answer has at least so many services. Returns the text of its result.
static const char *expect_services(const char *text, unsigned n)
{
	json_t *answer = json_loads(text, 0, NULL);
	json_t *services = json_object_get(json_object_get(answer, "result"), "services");

	assert_true(json_array_size(services) >= n);
	assert_true(strlen(text) > 500000);
	json_decref(answer);
	return strstr(text, "\"result\":");
}

// Fifty clients want all that there is; what one asks meanwhile is answered before theirs. One that
// has not read its earlier answers gets none, and holds up nobody.
static void long_answers_hold_up_nobody(void **state)
{
	static const char *const methods[] = {"stats", "export", "service list"};
	struct fixture *fixture = *state;
	const char *results[3] = {NULL};
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
		unsigned id = id_of(fixture->answers[i]);
		const char *result = strstr(fixture->answers[i], "\"result\":");

		assert_true(id > 0 && id < 50 && result);
		if (results[id % 3])
			assert_string_equal(result, results[id % 3]);
		else
			results[id % 3] = expect_services(fixture->answers[i], 2000);
	}
	// The first has read what it had, and gets its answer.
	fixture_forget_answers(fixture);
	fixture->control->unsent = fixture_unsent;
	while (fixture->n_answers == 0)
		sg_control_turn(fixture->control);
	assert_non_null(strstr(fixture->answers[0], "\"id\":0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(long_answers_hold_up_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
