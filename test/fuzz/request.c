// Any bytes on the control socket: each line gets exactly one answer of one line, and the control
// thread lives on.
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "fixture.h"
#include "target.h"

#define MAX_TURNS 16 // of the loop, until a request is answered

static void check_answer(const char *text)
{
	json_t *answer = json_loads(text, 0, NULL);

	assert(answer && !strchr(text, '\n'));
	assert(json_object_get(answer, "id"));
	assert(!json_object_get(answer, "result") != !json_object_get(answer, "error"));
	json_decref(answer);
}

static void send_line(struct fixture *fixture, const char *line)
{
	fixture_send(fixture, 1, line);
	for (unsigned turn = 0; turn < MAX_TURNS && fixture->n_answers == 0;) {
		bool is_helped = fixture_is_helped(fixture);

		fixture->control->next_tick_ms = 0; // as if the time had come
		sg_loop_run_once(
			fixture->control->loop, sg_control_turn, fixture->control, !is_helped);
		turn += !is_helped;
	}
	assert(fixture->n_answers == 1);
	check_answer(fixture->answers[0]);
	fixture_forget_answers(fixture);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fixture *fixture = fixture_create(FIXTURE_CONFIG);
	char *text = strndup((const char *)bytes, size);
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n")))
		send_line(fixture, line);
	free(text);
	fixture_destroy(fixture);
	return 0;
}
