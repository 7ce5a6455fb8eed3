// `backend drain` that waits for the last flow: how the waiting ends.
#include "control/drain_wait.h"

#include "asking.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(a_drain_waits_for_the_last_flow),
		WITH_FIXTURE(a_drain_stops_waiting_when_the_backend_is_taken_back),
		WITH_FIXTURE(a_client_that_leaves_is_not_waited_for),
		WITH_FIXTURE(whoever_waits_is_answered_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
