// One live process for a name; a dead one's name is free. Needs root, for /run.
#include "instance.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char name[32];
static char path[64];

// A process that claims the name and then waits to be killed. Returns when it has claimed it.
static pid_t start_holder(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		struct sg_instance *instance;

		prctl(PR_SET_PDEATHSIG, SIGKILL); // a failing test leaves nobody behind
		if (sg_instance_claim(&instance, name, NULL) == 0 && write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void a_live_instance_is_refused_by_name(void **unused)
{
	struct sg_instance *instance;
	struct sg_error error;
	char pid_text[16];
	pid_t pid = start_holder();

	(void)unused;
	snprintf(pid_text, sizeof(pid_text), "pid %d", (int)pid);
	assert_int_equal(sg_instance_claim(&instance, name, &error), -EBUSY);
	assert_non_null(strstr(error.text, name));
	assert_non_null(strstr(error.text, pid_text));

	// However it ends, the name is free then, though its file is still there.
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(sg_instance_claim(&instance, name, &error), 0);
	sg_instance_release(instance);
	assert_int_not_equal(access(path, F_OK), 0);
}

// Without waiting for its end, as a supervisor does that starts it anew at once.
static void a_killed_instances_name_can_be_claimed_while_it_dies(void **unused)
{
	struct sg_instance *instance;
	struct sg_error error;

	(void)unused;
	for (unsigned i = 0; i < 20; i++) {
		pid_t pid = start_holder();

		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(sg_instance_claim(&instance, name, &error), 0);
		sg_instance_release(instance);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
}

static void a_released_name_can_be_claimed_again(void **unused)
{
	struct sg_instance *instance;
	struct sg_error error;

	(void)unused;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(sg_instance_claim(&instance, name, &error), 0);
		sg_instance_release(instance);
	}
	sg_instance_release(NULL);
}

// Claims and releases in a race: at no time do two hold the name. The holder's file in /tmp must be
// created anew by each, and is there only while the name is held.
static void racing_processes_never_hold_it_together(void **unused)
{
	char witness[64];
	int status;

	(void)unused;
	snprintf(witness, sizeof(witness), "/tmp/%s.witness", name);
	for (unsigned i = 0; i < 4; i++) {
		if (fork() > 0)
			continue;
		for (unsigned turn = 0; turn < 500; turn++) {
			struct sg_instance *instance;
			FILE *file;

			if (sg_instance_claim(&instance, name, NULL))
				continue;
			file = fopen(witness, "wx");
			if (!file)
				_exit(1);
			fclose(file);
			unlink(witness);
			sg_instance_release(instance);
		}
		_exit(0);
	}
	for (unsigned i = 0; i < 4; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_live_instance_is_refused_by_name),
		cmocka_unit_test(a_killed_instances_name_can_be_claimed_while_it_dies),
		cmocka_unit_test(a_released_name_can_be_claimed_again),
		cmocka_unit_test(racing_processes_never_hold_it_together),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "instances are locked in /run, which needs root\n");
		return 1;
	}
	snprintf(name, sizeof(name), "unit-%d", (int)getpid());
	snprintf(path, sizeof(path), "/run/stormgate/%s.lock", name);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
