// The socket's file: whose it is, whether somebody serves it already, and what is left of it.
#include "control/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "server_rig.h"

static void the_file_has_the_mode_that_was_asked_for(void **state)
{
	struct rig *rig = *state;
	struct sg_error error;
	struct stat status;
	mode_t old_mask = umask(0);

	assert_int_equal(stat(rig->path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	sg_server_close(rig->server);
	// However the process is masked.
	umask(0777);
	assert_int_equal(open_server(rig, 0666, &error), 0);
	umask(old_mask);
	assert_int_equal(stat(rig->path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0666);
}

static void the_file_has_the_group_that_was_asked_for(void **state)
{
	struct rig *rig = *state;
	// Root may give it to any group, others to their own.
	gid_t gid = geteuid() == 0 ? 12345 : getegid();
	struct sg_socket_file file;
	struct sg_error error;
	struct stat status;
	char path[80];

	snprintf(path, sizeof(path), "%s/g", rig->directory);
	assert_int_equal(sg_socket_file_open(&file, path, 0620, gid, &error), 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_gid, gid);
	assert_int_equal(status.st_mode & 07777, 0620);
	sg_socket_file_close(&file);
}

static void a_live_socket_is_refused_by_its_process(void **state)
{
	struct rig *rig = *state;
	struct rig second = *rig;
	struct sg_error error;
	char expected[200];
	int fd;

	assert_int_equal(open_server(&second, 0600, &error), -EADDRINUSE);
	snprintf(expected, sizeof(expected), "process %d already serves the control socket %s",
		(int)getpid(), rig->path);
	assert_memory_equal(error.text, expected, strlen(expected));
	// The live one is as it was.
	fd = connect_client(rig);
	say(fd, "hello\n");
	expect(rig, fd, "echo hello");
	close(fd);
}

static void what_a_killed_process_left_is_taken_over(void **state)
{
	struct rig *rig = *state;
	struct sg_error error;
	int status, fd;
	pid_t child;

	sg_server_close(rig->server);
	child = fork();
	if (child == 0) {
		struct sg_socket_file file;

		// Dies as by kill -9: the file stays.
		_exit(sg_socket_file_open(
			      &file, rig->path, 0600, SG_SOCKET_FILE_NO_GROUP, &error) != 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(access(rig->path, F_OK), 0);
	assert_int_equal(try_connect(rig->path), -1);
	assert_int_equal(open_server(rig, 0600, &error), 0);
	fd = connect_client(rig);
	say(fd, "hello\n");
	expect(rig, fd, "echo hello");
	close(fd);
}

static void another_file_in_its_place_is_refused(void **state)
{
	struct rig *rig = *state;
	struct sg_error error;
	int fd;

	sg_server_close(rig->server);
	rig->server = NULL;
	fd = open(rig->path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(open_server(rig, 0600, &error), -EEXIST);
	assert_non_null(strstr(error.text, "exists and is no socket"));
	assert_int_equal(unlink(rig->path), 0);
}

static void a_missing_directory_is_made_and_removed(void **state)
{
	struct rig *rig = *state;
	struct sg_socket_file file;
	struct sg_error error;
	char path[100];

	snprintf(path, sizeof(path), "%s/run/s", rig->directory);
	assert_int_equal(
		sg_socket_file_open(&file, path, 0600, SG_SOCKET_FILE_NO_GROUP, &error), 0);
	assert_int_equal(access(path, F_OK), 0);
	sg_socket_file_close(&file);
	// tear_down finds the upper directory empty.
	snprintf(path, sizeof(path), "%s/not/there/s", rig->directory);
	assert_int_equal(
		sg_socket_file_open(&file, path, 0600, SG_SOCKET_FILE_NO_GROUP, &error), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RIG(the_file_has_the_mode_that_was_asked_for),
		WITH_RIG(the_file_has_the_group_that_was_asked_for),
		WITH_RIG(a_live_socket_is_refused_by_its_process),
		WITH_RIG(what_a_killed_process_left_is_taken_over),
		WITH_RIG(another_file_in_its_place_is_refused),
		WITH_RIG(a_missing_directory_is_made_and_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
