// stormctl as a program: a control thread over a fake data plane serves a real socket, and command
// lines are run by a shell in a directory of their own.
//
// Included by the tests of app/stormctl that need a daemon.
#pragma once

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../control/fixture.h"

#define OUTPUT_BYTES 65536

struct rig {
	char directory[32];
	struct fixture *fixture;
	pthread_t thread;
	int stop_pipe[2];
	char *out, *err; // of the last run
};

static void on_stop(void *context, int fd, uint32_t events)
{
	(void)fd;
	(void)events;
	sg_control_stop(context);
}

static void *serve(void *context)
{
	struct sg_error error;

	assert_int_equal(sg_control_run(context, &error), 0);
	return NULL;
}

static struct rig *open_rig(void)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct sg_control *control;
	struct sg_error error;
	char config[1500];

	strcpy(rig->directory, "/tmp/sg-stormctl-XXXXXX");
	assert_non_null(mkdtemp(rig->directory));
	snprintf(config, sizeof(config), "control: { socket = \"%s/s\"; };" FIXTURE_CONFIG,
		rig->directory);
	rig->fixture = fixture_create(config);
	control = rig->fixture->control;
	// From here on answers go where they belong.
	assert_int_equal(sg_control_open_socket(control, &error), 0);
	control->answer = rig->fixture->answer_socket;
	control->unsent = rig->fixture->unsent_of_socket;
	control->answer_context = control;
	assert_int_equal(pipe(rig->stop_pipe), 0);
	assert_int_equal(
		sg_control_add_fd(control, rig->stop_pipe[0], on_stop, control, &error), 0);
	assert_int_equal(pthread_create(&rig->thread, NULL, serve, control), 0);
	rig->out = malloc(OUTPUT_BYTES);
	rig->err = malloc(OUTPUT_BYTES);
	return rig;
}

static void stop_serving(struct rig *rig)
{
	assert_int_equal(write(rig->stop_pipe[1], "x", 1), 1);
	assert_int_equal(pthread_join(rig->thread, NULL), 0);
	fixture_destroy(rig->fixture);
	rig->fixture = NULL;
}

static int set_up(void **state)
{
	*state = open_rig();
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	char command[100];

	if (rig->fixture)
		stop_serving(rig);
	snprintf(command, sizeof(command), "rm -r %s", rig->directory);
	assert_int_equal(system(command), 0);
	free(rig->out);
	free(rig->err);
	free(rig);
	return 0;
}

static void slurp(const struct rig *rig, const char *name, char *ret_text)
{
	char path[64];
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", rig->directory, name);
	file = fopen(path, "re");
	assert_non_null(file);
	n = fread(ret_text, 1, OUTPUT_BYTES - 1, file);
	ret_text[n] = '\0';
	fclose(file);
}

// Runs stormctl in the rig's directory, with its socket, by the shell. Returns the exit status.
static int run(struct rig *rig, const char *arguments)
{
	const char *program = getenv("SG_STORMCTL");
	char *command;
	int status;

	assert_non_null(program);
	assert_true(asprintf(&command, "cd %s && { %s -s s %s; } >out 2>err", rig->directory,
			    program, arguments) > 0);
	status = system(command);
	free(command);
	slurp(rig, "out", rig->out);
	slurp(rig, "err", rig->err);
	return WEXITSTATUS(status);
}

static void expect(
	struct rig *rig, const char *arguments, int exit_status, const char *out, const char *err)
{
	int status = run(rig, arguments);

	if (status != exit_status || !strstr(rig->out, out) || !strstr(rig->err, err))
		fail_msg(
			"stormctl %s: exit %d (not %d)\n--- out, without \"%s\"?\n%s--- err, without \"%s\"?\n%s",
			arguments, status, exit_status, out, rig->out, err, rig->err);
}

// The answer of a run as JSON; the caller's.
static json_t *run_json(struct rig *rig, const char *arguments)
{
	json_t *object;

	expect(rig, arguments, 0, "", "");
	object = json_loads(rig->out, 0, NULL);
	if (!object)
		fail_msg("stormctl %s: no JSON: %s", arguments, rig->out);
	return object;
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
