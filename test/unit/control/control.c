// A turn of the control thread, and what it owes to those who wait.
#include "control/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

#define MOST_TURNS 10 // from a request that was read to its answer, when workers are quick

#define SET(weight)                                                            \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"backend set\",\"params\":" \
	"{\"service\":\"web\",\"address\":\"10.0.0.2\",\"port\":8080,\"weight\":" weight "}}\n"

struct rig {
	char directory[32];
	struct fixture *fixture;
	int fd; // of a client
};

static void dispatch(struct rig *rig)
{
	sg_loop_run_once(rig->fixture->control->loop, NULL, NULL, 1);
}

// A control thread with a real socket, and a client that it has accepted.
static int open_rig(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct sg_control *control;
	struct sg_error error;
	char config[1500];

	strcpy(rig->directory, "/tmp/sg-control-XXXXXX");
	assert_non_null(mkdtemp(rig->directory));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", rig->directory);
	snprintf(config, sizeof(config), "control: { socket = \"%s\"; };" FIXTURE_CONFIG,
		address.sun_path);
	rig->fixture = fixture_create(config);
	control = rig->fixture->control;
	assert_int_equal(sg_control_open_socket(control, &error), 0);
	control->answer = rig->fixture->answer_socket;
	control->unsent = rig->fixture->unsent_of_socket;
	control->answer_context = control;
	rig->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(rig->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	dispatch(rig);
	*state = rig;
	return 0;
}

static int close_rig(void **state)
{
	struct rig *rig = *state;

	close(rig->fd);
	fixture_destroy(rig->fixture);
	rmdir(rig->directory);
	free(rig);
	return 0;
}

// Asks, and takes turns until the answer is there, none of which may want to sleep before.
static void ask_without_sleep(struct rig *rig, const char *line)
{
	char answer[1000];

	assert_int_equal(send(rig->fd, line, strlen(line), 0), strlen(line));
	dispatch(rig);
	for (unsigned turn = 0; turn < MOST_TURNS; turn++) {
		uint64_t delay_us = sg_control_turn(rig->fixture->control);
		ssize_t n = recv(rig->fd, answer, sizeof(answer) - 1, MSG_DONTWAIT);

		if (n > 0) {
			answer[n] = '\0';
			assert_non_null(strstr(answer, "\"active\":true"));
			return;
		}
		assert_int_equal(delay_us, 0);
	}
	fail_msg("no answer came");
}

// Workers have switched when the thread first looks: it has to look at once, and not when its next
// tick is due.
static void a_change_waits_for_no_tick(void **state)
{
	ask_without_sleep(*state, SET("2"));
	ask_without_sleep(*state, SET("3"));
}

static void a_change_that_changes_nothing_waits_for_no_tick(void **state)
{
	ask_without_sleep(*state, SET("4"));
	ask_without_sleep(*state, SET("4"));
}

// Whoever waits for nothing gets nothing: the thread sleeps.
static void an_idle_thread_sleeps(void **state)
{
	struct rig *rig = *state;

	ask_without_sleep(rig, SET("5"));
	sg_control_turn(rig->fixture->control);
	assert_true(sg_control_turn(rig->fixture->control) > 0);
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, open_rig, close_rig)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RIG(a_change_waits_for_no_tick),
		WITH_RIG(a_change_that_changes_nothing_waits_for_no_tick),
		WITH_RIG(an_idle_thread_sleeps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
