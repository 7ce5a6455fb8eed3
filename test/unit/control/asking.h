// What an operator asks through the socket: requests to the fixture that must be answered, or
// refused without a trace.
//
// Included by the tests of methods, a file for each noun of theirs.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

static inline int set_up(void **state)
{
	*state = fixture_create(FIXTURE_CONFIG);
	return 0;
}

static inline int tear_down(void **state)
{
	fixture_destroy(*state);
	return 0;
}

// The result of a request that must not be refused; the caller's.
static inline json_t *ask(struct fixture *fixture, const char *method, const char *params)
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
static inline void expect_refusal(struct fixture *fixture, const char *method, const char *params,
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

static inline void done(json_t *result)
{
	assert_true(json_is_true(json_object_get(result, "active")));
	json_decref(result);
}

static inline const struct sg_service_spec *find(struct fixture *fixture, const char *name)
{
	return sg_state_find(sg_rollout_state(fixture->control->rollout), name);
}

// Of the service "web", port 8080.
static inline uint32_t backend_slot(struct fixture *fixture, const char *address)
{
	struct sg_addr addr;

	assert_int_equal(sg_addr_parse(address, &addr), 0);
	return sg_compiler_find_backend_slot(
		sg_rollout_compiler(fixture->control->rollout), "web", &addr, 8080);
}

static inline json_int_t figure(const json_t *object, const char *member)
{
	return json_integer_value(json_object_get(object, member));
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
