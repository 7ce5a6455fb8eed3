// The state file against crashes, flipped bits, cut ends and full disks.
#include "control/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/file_operations.h"

static char directory[64];
static char path[PATH_MAX];

static int set_up(void **unused)
{
	(void)unused;
	strcpy(directory, "/dev/shm/sg-state-XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/state", directory);
	return 0;
}

static int tear_down(void **unused)
{
	char command[100];

	(void)unused;
	snprintf(command, sizeof(command), "rm -r %s", directory);
	return system(command);
}

// Lines joined with commas.
struct lines {
	char text[4096];
};

static int take_line(void *context, const char *line, size_t length, struct sg_error *error)
{
	struct lines *lines = context;
	size_t used = strlen(lines->text);

	(void)error;
	snprintf(lines->text + used, sizeof(lines->text) - used, "%.*s,", (int)length, line);
	return 0;
}

// Opens and closes; returns what opening gave.
static int load(struct lines *ret_lines, struct sg_error *ret_error)
{
	struct sg_state_file file;
	int err;

	ret_lines->text[0] = '\0';
	err = sg_state_file_open(&file, path, take_line, ret_lines, ret_error);
	sg_state_file_close(&file);
	return err;
}

static void expect_lines(const char *text)
{
	struct lines lines;
	struct sg_error error;

	if (load(&lines, &error) != 0)
		fail_msg("%s", error.text);
	assert_string_equal(lines.text, text);
}

static int replace(struct sg_state_file *file, const char *lines)
{
	struct sg_text text = {0};
	struct sg_error error;
	int err;

	sg_text_append_string(&text, lines);
	err = sg_state_file_replace(file, &text, &error);
	sg_text_clear(&text);
	return err;
}

static int append(struct sg_state_file *file, const char *lines)
{
	struct sg_text text = {0};
	struct sg_error error;
	int err;

	sg_text_append_string(&text, lines);
	err = sg_state_file_append(file, &text, &error);
	sg_text_clear(&text);
	return err;
}

static void lines_come_back(void **unused)
{
	struct lines lines = {""};
	struct sg_state_file file;
	struct sg_error error;

	(void)unused;
	expect_lines(""); // no file at all
	assert_int_equal(sg_state_file_open(&file, path, take_line, &lines, &error), 0);
	assert_int_equal(file.fd, -1);
	assert_int_equal(replace(&file, "one\ntwo\n"), 0);
	assert_int_equal(append(&file, "three\n"), 0);
	assert_int_equal(append(&file, ""), 0);
	assert_int_equal(append(&file, "four\nfive\n"), 0);
	sg_state_file_close(&file);
	expect_lines("one,two,three,four,five,");
	assert_int_equal(sg_state_file_open(&file, path, take_line, &lines, &error), 0);
	assert_int_equal(append(&file, "six\n"), 0);
	sg_state_file_close(&file);
	expect_lines("one,two,three,four,five,six,");
	assert_int_equal(sg_state_file_open(&file, path, take_line, &lines, &error), 0);
	assert_int_equal(replace(&file, ""), 0);
	sg_state_file_close(&file);
	expect_lines("");
}

static size_t slurp(char *bytes, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, bytes, size);

	close(fd);
	assert_true(n > 0);
	return (size_t)n;
}

static void spew(const char *bytes, size_t length)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, bytes, length), (ssize_t)length);
	close(fd);
}

static void make_sample(void)
{
	struct lines lines = {""};
	struct sg_state_file file;
	struct sg_error error;

	assert_int_equal(sg_state_file_open(&file, path, take_line, &lines, &error), 0);
	assert_int_equal(replace(&file, "{\"one\":1}\n{\"two\":2}\n"), 0);
	assert_int_equal(append(&file, "{\"three\":3}\n"), 0);
	sg_state_file_close(&file);
}

static void expect_corrupt(const char *what, size_t at)
{
	struct lines lines;
	struct sg_error error = {0};
	int err = load(&lines, &error);

	if (err != -EBADMSG || !error.text[0] || lines.text[0])
		fail_msg("%s %zu: %d, \"%s\", lines \"%s\"", what, at, err, error.text, lines.text);
}

// Wherever a bit flips, and wherever it is cut off, nothing of it is believed.
static void damage_is_noticed_and_nothing_is_loaded(void **unused)
{
	char bytes[1024], damaged[1024];
	size_t length;

	(void)unused;
	make_sample();
	length = slurp(bytes, sizeof(bytes));
	for (size_t bit = 0; bit < 8 * length; bit++) {
		memcpy(damaged, bytes, length);
		damaged[bit / 8] ^= (char)(1 << bit % 8);
		spew(damaged, length);
		expect_corrupt("bit", bit);
	}
	for (size_t cut = 0; cut < length; cut++) {
		spew(bytes, cut);
		expect_corrupt("cut", cut);
	}
	spew("", 0);
	expect_corrupt("empty", 0);
	// Bytes behind what counts are those of a write that nobody was told about.
	memcpy(bytes + length, "{\"fo", 5);
	spew(bytes, length + 5);
	expect_lines("{\"one\":1},{\"two\":2},{\"three\":3},");
}

static void a_corrupt_file_is_set_aside_and_none_overwritten(void **unused)
{
	char aside[PATH_MAX], expected[PATH_MAX];

	(void)unused;
	for (unsigned i = 0; i < 3; i++) {
		spew("junk", 4);
		assert_int_equal(sg_state_file_set_aside(path, aside), 0);
		snprintf(expected, sizeof(expected), i ? "%s/state.corrupt.%u" : "%s/state.corrupt",
			directory, i);
		assert_string_equal(aside, expected);
		assert_int_equal(access(aside, F_OK), 0);
		assert_int_not_equal(access(path, F_OK), 0);
	}
}

static void a_file_of_another_process_or_kind_is_refused(void **unused)
{
	struct lines lines = {""};
	struct sg_state_file file, other;
	struct sg_error error;

	(void)unused;
	make_sample();
	assert_int_equal(sg_state_file_open(&file, path, take_line, &lines, &error), 0);
	assert_int_equal(sg_state_file_open(&other, path, take_line, &lines, &error), -EBUSY);
	assert_non_null(strstr(error.text, "is in use by another process"));
	// It stays locked when it is replaced.
	assert_int_equal(replace(&file, "new\n"), 0);
	assert_int_equal(sg_state_file_open(&other, path, take_line, &lines, &error), -EBUSY);
	sg_state_file_close(&file);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(sg_state_file_open(&file, path, take_line, &lines, &error), -EINVAL);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(sg_state_file_open(&file, path, take_line, &lines, &error), -EINVAL);
	assert_int_equal(unlink(path), 0);
}

// A system that ends the process, or fails, at its n-th call: before it, after it, or in the middle
// of a write.
enum mishap {
	DIE_BEFORE,
	DIE_HALFWAY,
	DIE_AFTER,
	FAIL,
	MISHAPS,
};

static struct sg_file_operations real;
static enum mishap mishap;
static int calls_left;

static bool strikes(void)
{
	return --calls_left == 0;
}

static int strike_before(void)
{
	if (mishap == DIE_BEFORE || mishap == DIE_HALFWAY)
		_exit(77);
	if (mishap == FAIL)
		errno = ENOSPC;
	return mishap == FAIL ? -1 : 0;
}

static int odd_open(const char *name, int flags, mode_t mode)
{
	bool now = strikes();
	int fd = now && strike_before() < 0 ? -1 : real.open(name, flags, mode);

	if (now && mishap == DIE_AFTER)
		_exit(77);
	return fd;
}

static ssize_t odd_write(int fd, const void *bytes, size_t length, off_t offset)
{
	bool now = strikes();
	ssize_t n;

	// The first line is smaller than a sector, and so written as a whole or not at all.
	if (now && mishap == DIE_HALFWAY && offset > 0)
		real.write(fd, bytes, length / 2, offset);
	n = now && strike_before() < 0 ? -1 : real.write(fd, bytes, length, offset);
	if (now && mishap == DIE_AFTER)
		_exit(77);
	return n;
}

static int odd_sync(int fd)
{
	bool now = strikes();
	int result = now && strike_before() < 0 ? -1 : real.sync(fd);

	if (now && mishap == DIE_AFTER)
		_exit(77);
	return result;
}

static int odd_rename(const char *from, const char *to)
{
	bool now = strikes();
	int result = now && strike_before() < 0 ? -1 : real.rename(from, to);

	if (now && mishap == DIE_AFTER)
		_exit(77);
	return result;
}

static const char *const steps[] = {
	"1,", "1,2,", "1,2,3,", "4,", "4,5,", "4,5,6,", "4,5,6,7,", NULL};

// Writes step after step, and tells through the pipe which has been done.
static void write_steps(int done)
{
	struct lines lines = {""};
	struct sg_state_file file;
	struct sg_error error;
	char line[8];

	if (sg_state_file_open(&file, path, take_line, &lines, &error) < 0)
		_exit(1);
	sg_file_operations = (struct sg_file_operations){
		.open = odd_open, .write = odd_write, .sync = odd_sync, .rename = odd_rename};
	for (char step = 1; step <= 7; step++) {
		int err;

		snprintf(line, sizeof(line), "%d\n", step);
		err = step == 1 || step == 4 ? replace(&file, line) : append(&file, line);
		// As the keeper does: after a failure, all of it anew.
		if (err) {
			char all[64] = "";

			for (char i = step < 4 ? 1 : 4; i <= step; i++)
				snprintf(all + strlen(all), 8, "%d\n", i);
			if (replace(&file, all) < 0)
				_exit(1);
		}
		if (write(done, &step, 1) != 1)
			_exit(1);
	}
	_exit(0);
}

// Whatever happens at whichever call: what was done is there, and nothing but one step's outcome.
static void no_crash_loses_what_was_done(void **unused)
{
	unsigned n_deaths = 0;

	(void)unused;
	real = sg_file_operations;
	for (mishap = DIE_BEFORE; mishap < MISHAPS; mishap++) {
		for (int nth = 1;; nth++) {
			struct lines lines;
			struct sg_error error;
			char last = 0, step;
			int done[2], status;
			pid_t pid;

			unlink(path);
			assert_int_equal(pipe(done), 0);
			calls_left = nth;
			pid = fork();
			if (pid == 0)
				write_steps(done[1]);
			close(done[1]);
			while (read(done[0], &step, 1) == 1)
				last = step;
			close(done[0]);
			assert_int_equal(waitpid(pid, &status, 0), pid);
			assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 1);
			if (load(&lines, &error) != 0)
				fail_msg("mishap %d at call %d: %s", mishap, nth, error.text);
			if (strcmp(lines.text, last ? steps[last - 1] : "") != 0 &&
				(last == 7 || strcmp(lines.text, steps[(int)last]) != 0))
				fail_msg("mishap %d at call %d: %d was done, and there is %s",
					mishap, nth, last, lines.text);
			if (mishap != FAIL && WEXITSTATUS(status) == 0)
				break;
			if (mishap == FAIL && nth > 60)
				break;
			n_deaths += WEXITSTATUS(status) == 77;
		}
	}
	// Two replacements of six calls and five additions of four each.
	assert_true(n_deaths >= 3 * (2 * 6 + 5 * 4));
}

#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DIRECTORY(lines_come_back),
		WITH_DIRECTORY(damage_is_noticed_and_nothing_is_loaded),
		WITH_DIRECTORY(a_corrupt_file_is_set_aside_and_none_overwritten),
		WITH_DIRECTORY(a_file_of_another_process_or_kind_is_refused),
		WITH_DIRECTORY(no_crash_loses_what_was_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
