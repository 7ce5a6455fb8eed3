// A hundred thousand changes leave no trace in memory.
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

#define CHANGES  120000
#define WARM_UP  20000
#define MAX_MORE 262144 // bytes

static void change(struct fixture *fixture, const char *method, const char *params)
{
	json_t *answer = fixture_ask(fixture, method, params);

	if (!json_object_get(answer, "result"))
		fail_msg("%s %s: %s", method, params, json_dumps(answer, 0));
	json_decref(answer);
}

// Each round of six changes ends where it began.
static void change_round(struct fixture *fixture, unsigned round)
{
	char params[300];

	snprintf(params, sizeof(params),
		"{\"name\":\"s%u\",\"vip\":\"192.0.2.%u\",\"protocol\":\"tcp\",\"port\":80,\"maglev_table_size\":251,"
		"\"backends\":[{\"address\":\"10.0.1.1\"},{\"address\":\"10.0.1.2\"}]}",
		round % 50, 20 + round % 50);
	change(fixture, "service add", params);
	snprintf(params, sizeof(params),
		"{\"service\":\"s%u\",\"address\":\"10.0.1.1\",\"weight\":%u}", round % 50,
		2 + round % 7);
	change(fixture, "backend set", params);
	snprintf(params, sizeof(params),
		"{\"service\":\"s%u\",\"address\":\"10.0.1.1\",\"now\":true}", round % 50);
	change(fixture, "backend delete", params);
	snprintf(params, sizeof(params),
		"{\"service\":\"s%u\",\"address\":\"10.0.1.2\",\"now\":true}", round % 50);
	change(fixture, "backend delete", params);
	snprintf(params, sizeof(params), "{\"name\":\"s%u\"}", round % 50);
	change(fixture, "service delete", params);
	change(fixture, "policy set",
		round % 2 ? "{\"deny\":[\"203.0.113.0/24\"]}" : "{\"deny\":[]}");
	// Slots are given out again when workers have swept their tables.
	for (unsigned i = 0; i < FAKE_WORKERS; i++)
		fixture->fake.totals[i].sweeps += 2;
}

static void memory_does_not_grow(void **unused)
{
	struct fixture *fixture = fixture_create(FIXTURE_CONFIG);
	size_t before = 0, after;
	json_t *answer;

	(void)unused;
	for (unsigned i = 0; i < CHANGES / 6; i++) {
		if (i == WARM_UP / 6)
			before = mallinfo2().uordblks;
		change_round(fixture, i);
	}
	after = mallinfo2().uordblks;
	if (after > before + MAX_MORE)
		fail_msg("%zu bytes after %d changes, and %zu after %d", before, WARM_UP, after,
			CHANGES);
	answer = fixture_ask(fixture, "status", "{}");
	assert_true(json_integer_value(json_object_get(
			    json_object_get(answer, "result"), "backend_bytes")) > 0);
	json_decref(answer);
	fixture_destroy(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(memory_does_not_grow)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
