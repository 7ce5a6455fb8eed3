// What was asked for survives: restarts with and without a changed config file, corrupt files, full
// disks, and a death at every write, sync and rename.
#include "control/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "asking.h"
#include "control/file_operations.h"
#include "fields.h"

#define PORTS                                                                                       \
	"ports: ( { name = \"p0\"; device = \"net_tap0\"; addresses = [\"198.51.100.11/24\"]; } );" \
	"snat: { addresses = [\"10.0.0.100\"]; };"
#define WEB(scheduler, backend)                                                                           \
	"{ name = \"web\"; vip = \"192.0.2.10\"; protocol = \"tcp\"; port = 80; scheduler = \"" scheduler \
	"\"; backends = ( { address = \"" backend "\"; port = 8080; } ); }"
#define DNS                                                                                  \
	"{ name = \"dns\"; vip = \"192.0.2.53\"; protocol = \"udp\"; port = 53; backends = " \
	"( { address = \"10.0.0.53\"; } ); }"

static char directory[64];
static char path[PATH_MAX];
static char config[8192];

static int make_directory(void **unused)
{
	(void)unused;
	strcpy(directory, "/dev/shm/sg-keeper-XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/state", directory);
	return 0;
}

static int remove_directory(void **unused)
{
	char command[200];

	(void)unused;
	snprintf(command, sizeof(command), "chmod -R u+w %s; rm -r %s", directory, directory);
	return system(command);
}

static struct fixture *start_with(const char *settings, const char *services)
{
	snprintf(config, sizeof(config),
		PORTS "control: { state_file = \"%s\"; }; %s services: ( %s );", path, settings,
		services);
	return fixture_create(config);
}

static struct fixture *start(const char *services)
{
	return start_with("", services);
}

static void persisted(json_t *result)
{
	if (!json_is_true(json_object_get(result, "persisted")))
		fail_msg("%s", json_dumps(result, 0));
	json_decref(result);
}

#define ADD_API                                                                                    \
	"{\"name\":\"api\",\"vip\":\"192.0.2.20\",\"protocol\":\"tcp\",\"port\":443,\"backends\":" \
	"[{\"address\":\"10.0.0.9\"}]}"

// Everything that one can ask for, over three restarts.
static void all_of_it_survives_restarts(void **unused)
{
	struct fixture *fixture = start(WEB("maglev", "10.0.0.2") "," DNS);
	json_t *before, *after;

	(void)unused;
	persisted(ask(fixture, "service add", ADD_API));
	persisted(ask(fixture, "service set",
		"{\"name\":\"web\",\"scheduler\":\"wrr\",\"allow\":[\"198.51.100.0/24\"]}"));
	persisted(ask(fixture, "backend add",
		"{\"service\":\"web\",\"address\":\"10.0.0.7\",\"port\":8080,\"weight\":9}"));
	persisted(ask(fixture, "backend drain",
		"{\"service\":\"web\",\"address\":\"10.0.0.2\",\"port\":8080}"));
	persisted(ask(fixture, "service delete", "{\"name\":\"dns\"}"));
	persisted(ask(fixture, "policy set", "{\"deny\":[\"203.0.113.0/24\"]}"));
	persisted(ask(fixture, "apply",
		"{\"owner\":\"kubernetes\",\"services\":[{\"name\":\"k/one\",\"vip\":\"192.0.2.30\","
		"\"protocol\":\"tcp\",\"port\":1}]}"));
	before = ask(fixture, "service list", "{}");
	for (unsigned i = 0; i < 3; i++) {
		fixture_destroy(fixture);
		fixture = start(WEB("maglev", "10.0.0.2") "," DNS);
		after = ask(fixture, "service list", "{}");
		assert_true(json_equal(before, after));
		json_decref(after);
		after = ask(fixture, "policy show", "{}");
		assert_int_equal(json_array_size(json_object_get(after, "deny")), 1);
		json_decref(after);
	}
	// Back to what the file says: nothing is left to be kept.
	persisted(ask(fixture, "service delete", "{\"name\":\"api\"}"));
	persisted(ask(fixture, "apply", "{\"owner\":\"kubernetes\",\"services\":[]}"));
	fixture_destroy(fixture);
	fixture = start(WEB("rr", "10.0.0.2") "," DNS);
	assert_null(find(fixture, "api"));
	assert_null(find(fixture, "dns")); // its block is as it was when it was deleted
	assert_int_equal(find(fixture, "web")->scheduler, SG_SCHEDULER_RR);
	fixture_destroy(fixture);
	json_decref(before);
}

static void expect_field(
	struct fixture *fixture, const char *method, const char *params, const struct field *field)
{
	json_t *result = ask(fixture, method, params);
	json_t *value = json_loads(field->value, JSON_DECODE_ANY, NULL);

	if (!json_equal(json_object_get(result, field->name), value))
		fail_msg("%s: %s", field->name, json_dumps(result, 0));
	json_decref(value);
	json_decref(result);
}

// What each field was set to is there after a restart.
static void each_field_survives_a_restart(void **unused)
{
	char params[300];

	(void)unused;
	for (size_t i = 0; i < N_SERVICE_FIELDS + N_POLICY_FIELDS; i++) {
		bool of_service = i < N_SERVICE_FIELDS;
		const struct field *field =
			of_service ? &service_fields[i] : &policy_fields[i - N_SERVICE_FIELDS];
		struct fixture *fixture = start(WEB("maglev", "10.0.0.2"));

		snprintf(params, sizeof(params), "{%s\"%s\":%s}",
			of_service ? "\"name\":\"web\"," : "", field->name, field->value);
		persisted(ask(fixture, of_service ? "service set" : "policy set", params));
		fixture_destroy(fixture);
		fixture = start(WEB("maglev", "10.0.0.2"));
		if (of_service)
			expect_field(fixture, "service show", "{\"name\":\"web\"}", field);
		else
			expect_field(fixture, "policy show", "{}", field);
		fixture_destroy(fixture);
		unlink(path);
	}
}

static struct fixture *start_with_policy(const struct field *field)
{
	snprintf(config, sizeof(config),
		PORTS "control: { state_file = \"%s\"; }; policy: { %s = %s; };", path, field->name,
		field->value);
	return fixture_create(config);
}

// Each field in the file: a block is known again as the one that was edited, and a policy as well.
static void an_edit_of_a_block_with_each_field_survives(void **unused)
{
	char services[1000];
	struct fixture *fixture;

	(void)unused;
	for (size_t i = 0; i < N_SERVICE_FIELDS; i++) {
		const struct field *field = &service_fields[i];
		bool is_key = strcmp(field->name, "vip") == 0 ||
			      strcmp(field->name, "protocol") == 0 ||
			      strcmp(field->name, "port") == 0;

		if (is_key) // those stand in any block
			continue;
		snprintf(services, sizeof(services),
			"{ name = \"web\"; vip = \"192.0.2.10\"; protocol = \"tcp\"; port = 80; "
			"%s = %s; backends = ( { address = \"10.0.0.2\"; } ); }",
			field->name, field->value);
		fixture = start(services);
		persisted(ask(fixture, "backend drain",
			"{\"service\":\"web\",\"address\":\"10.0.0.2\",\"port\":80}"));
		fixture_destroy(fixture);
		fixture = start(services);
		expect_field(fixture, "service show", "{\"name\":\"web\"}", field);
		if (!find(fixture, "web")->backends[0].draining)
			fail_msg("%s: the edit is lost", field->name);
		fixture_destroy(fixture);
		unlink(path);
	}
	for (size_t i = 0; i < N_POLICY_FIELDS; i++) {
		static const struct field edit = {"deny", "[\"192.0.2.128/25\"]"};

		fixture = start_with_policy(&policy_fields[i]);
		persisted(ask(fixture, "policy set", "{\"deny\":[\"192.0.2.128/25\"]}"));
		fixture_destroy(fixture);
		fixture = start_with_policy(&policy_fields[i]);
		expect_field(fixture, "policy show", "{}", &edit);
		if (strcmp(policy_fields[i].name, "deny") != 0)
			expect_field(fixture, "policy show", "{}", &policy_fields[i]);
		fixture_destroy(fixture);
		unlink(path);
	}
}

static void rollback_survives(void **unused)
{
	struct fixture *fixture = start(WEB("maglev", "10.0.0.2"));

	(void)unused;
	persisted(ask(fixture, "service add", ADD_API));
	persisted(ask(fixture, "rollback", "{}"));
	fixture_destroy(fixture);
	fixture = start(WEB("maglev", "10.0.0.2"));
	assert_null(find(fixture, "api"));
	fixture_destroy(fixture);
}

// A block that has changed wins over what was changed through the socket; one that has not, does
// not.
static void a_changed_block_wins(void **unused)
{
	struct fixture *fixture = start(WEB("maglev", "10.0.0.2") "," DNS);

	(void)unused;
	persisted(ask(fixture, "service set", "{\"name\":\"web\",\"port\":81}"));
	persisted(ask(fixture, "service set", "{\"name\":\"dns\",\"port\":54}"));
	fixture_destroy(fixture);
	// The order of blocks and the lines that they stand in are no change.
	fixture = start(DNS ", \n\n" WEB("maglev", "10.0.0.3"));
	assert_int_equal(find(fixture, "web")->port, 80);
	assert_int_equal(find(fixture, "dns")->port, 54);
	fixture_destroy(fixture);
	// What was dropped stays so, when the block is again as it was.
	fixture = start(WEB("maglev", "10.0.0.2") "," DNS);
	assert_int_equal(find(fixture, "web")->port, 80);
	fixture_destroy(fixture);
	fixture = start(WEB("maglev", "10.0.0.2"));
	assert_null(find(fixture, "dns"));
	fixture_destroy(fixture);
}

// What cannot be any more, because the file has taken its place, is left out alone.
static void conflicts_with_the_file_cost_only_themselves(void **unused)
{
	struct fixture *fixture = start(WEB("maglev", "10.0.0.2"));
	char params[300];

	(void)unused;
	for (unsigned i = 0; i < 20; i++) {
		snprintf(params, sizeof(params),
			"{\"name\":\"s%u\",\"vip\":\"192.0.2.%u\",\"protocol\":\"udp\",\"port\":53}",
			i, 40 + i);
		persisted(ask(fixture, "service add", params));
	}
	fixture_destroy(fixture);
	fixture = start(WEB("maglev",
		"10.0.0.2") "," DNS
			    ", { name = \"s3\"; vip = \"192.0.2.99\"; protocol = \"tcp\"; port = 1; }");
	assert_null(find(fixture, "s13")); // the VIP and port of dns
	assert_string_equal(find(fixture, "s3")->owner, "config");
	for (unsigned i = 0; i < 20; i++) {
		snprintf(params, sizeof(params), "s%u", i);
		if (i != 13)
			assert_non_null(find(fixture, params));
	}
	fixture_destroy(fixture);
}

static bool has_backend(struct fixture *fixture, const char *service, const char *address)
{
	const struct sg_service_spec *spec = find(fixture, service);
	struct sg_addr addr;

	assert_int_equal(sg_addr_parse(address, &addr), 0);
	return spec && sg_service_spec_find_backend(spec, &addr, 8080);
}

// The file's backend_cidrs were narrowed while stormgate was down. Each service that does not fit
// is left out whole, and the others are there; what was left out is not lost with the next write.
static void backends_outside_cost_their_service_its_changes(void **unused)
{
	static const char cidrs[] = "backend_cidrs = [\"10.0.0.0/16\"];";
	struct fixture *fixture = start(WEB("maglev", "10.0.0.2") "," DNS);
	char kept[PATH_MAX + 16];

	(void)unused;
	persisted(ask(fixture, "service add", ADD_API));
	persisted(ask(fixture, "service add",
		"{\"name\":\"far\",\"vip\":\"192.0.2.30\",\"protocol\":\"tcp\",\"port\":8080,"
		"\"backends\":[{\"address\":\"10.0.0.9\"},{\"address\":\"10.1.0.9\"}]}"));
	persisted(ask(fixture, "backend add",
		"{\"service\":\"web\",\"address\":\"10.1.0.2\",\"port\":8080}"));
	persisted(ask(fixture, "service set", "{\"name\":\"web\",\"scheduler\":\"rr\"}"));
	persisted(ask(fixture, "service set", "{\"name\":\"dns\",\"port\":54}"));
	persisted(ask(fixture, "policy set", "{\"deny\":[\"203.0.113.0/24\"]}"));
	fixture_destroy(fixture);
	snprintf(kept, sizeof(kept), "%s.refused", path);
	for (unsigned i = 0; i < 2; i++) {
		fixture = start_with(cidrs, WEB("maglev", "10.0.0.2") "," DNS);
		assert_null(find(fixture, "far"));
		assert_false(has_backend(fixture, "web", "10.1.0.2"));
		assert_true(has_backend(fixture, "web", "10.0.0.2"));
		assert_int_equal(find(fixture, "web")->scheduler, SG_SCHEDULER_MAGLEV);
		assert_non_null(find(fixture, "api"));
		assert_int_equal(find(fixture, "dns")->port, 54);
		assert_non_null(sg_rollout_state(fixture->control->rollout)->policy);
		persisted(ask(fixture, "service set", "{\"name\":\"dns\",\"port\":54}"));
		fixture_destroy(fixture);
		// The second start finds nothing to leave out.
		assert_int_equal(access(kept, F_OK), 0);
	}
	snprintf(kept, sizeof(kept), "%s.refused.1", path);
	assert_int_not_equal(access(kept, F_OK), 0);
	// Whoever wants it back widens the prefixes and takes the kept file.
	snprintf(kept, sizeof(kept), "%s.refused", path);
	assert_int_equal(rename(kept, path), 0);
	fixture = start(WEB("maglev", "10.0.0.2") "," DNS);
	assert_true(has_backend(fixture, "web", "10.1.0.2"));
	assert_true(has_backend(fixture, "far", "10.1.0.9"));
	assert_int_equal(find(fixture, "web")->scheduler, SG_SCHEDULER_RR);
	fixture_destroy(fixture);
}

static void a_corrupt_file_is_set_aside(void **unused)
{
	struct fixture *fixture = start(WEB("maglev", "10.0.0.2"));
	char aside[PATH_MAX + 16];
	FILE *file;

	(void)unused;
	persisted(ask(fixture, "service add", ADD_API));
	fixture_destroy(fixture);
	file = fopen(path, "r+e");
	fseek(file, 300, SEEK_SET);
	fputc('#', file);
	fclose(file);
	fixture = start(WEB("maglev", "10.0.0.2"));
	assert_null(find(fixture, "api"));
	assert_non_null(find(fixture, "web"));
	snprintf(aside, sizeof(aside), "%s.corrupt", path);
	assert_int_equal(access(aside, F_OK), 0);
	persisted(ask(fixture, "service add", ADD_API));
	fixture_destroy(fixture);
	fixture = start(WEB("maglev", "10.0.0.2"));
	assert_non_null(find(fixture, "api"));
	fixture_destroy(fixture);
}

// Somebody takes the file away: the next change finds out, and puts all of it there again.
static void a_file_that_was_removed_comes_back(void **unused)
{
	struct fixture *fixture = start(WEB("maglev", "10.0.0.2"));

	(void)unused;
	persisted(ask(fixture, "service add", ADD_API));
	assert_int_equal(unlink(path), 0);
	persisted(ask(fixture, "service set", "{\"name\":\"web\",\"port\":81}"));
	fixture_destroy(fixture);
	fixture = start(WEB("maglev", "10.0.0.2"));
	assert_non_null(find(fixture, "api"));
	assert_int_equal(find(fixture, "web")->port, 81);
	fixture_destroy(fixture);
}

static struct sg_file_operations real;
static bool full;

static ssize_t full_write(int fd, const void *bytes, size_t length, off_t offset)
{
	if (full)
		errno = ENOSPC;
	return full ? -1 : real.write(fd, bytes, length, offset);
}

// A disk that refuses stops nobody, and is told; what it missed is written when it takes it again.
static void a_full_disk_is_told_and_stops_nothing(void **unused)
{
	struct fixture *fixture;
	json_t *result;

	(void)unused;
	real = sg_file_operations;
	sg_file_operations.write = full_write;
	fixture = start(WEB("maglev", "10.0.0.2"));
	persisted(ask(fixture, "service set", "{\"name\":\"web\",\"port\":81}"));
	full = true;
	result = ask(fixture, "service add", ADD_API);
	assert_true(json_is_true(json_object_get(result, "active")));
	assert_true(json_is_false(json_object_get(result, "persisted")));
	json_decref(result);
	result = ask(fixture, "status", "{}");
	assert_true(json_is_false(json_object_get(result, "persisted")));
	json_decref(result);
	full = false;
	do {
		sg_loop_run_once(fixture->control->loop, sg_control_turn, fixture->control, 0);
		result = ask(fixture, "status", "{}");
		full = !json_is_true(json_object_get(result, "persisted"));
		json_decref(result);
		if (full)
			full = false;
		else
			break;
	} while (true);
	fixture_destroy(fixture);
	fixture = start(WEB("maglev", "10.0.0.2"));
	assert_non_null(find(fixture, "api"));
	assert_int_equal(find(fixture, "web")->port, 81);
	fixture_destroy(fixture);
	sg_file_operations = real;
}

static int read_only_open(const char *name, int flags, mode_t mode)
{
	if ((flags & O_ACCMODE) == O_RDONLY)
		return real.open(name, flags, mode);
	errno = EROFS;
	return -1;
}

// After an error the kernel lets nobody write to the disk any more: what it holds is served.
static void a_read_only_disk_is_read(void **unused)
{
	struct fixture *fixture = start(WEB("maglev", "10.0.0.2"));
	json_t *result;

	(void)unused;
	persisted(ask(fixture, "service add", ADD_API));
	fixture_destroy(fixture);
	real = sg_file_operations;
	sg_file_operations.open = read_only_open;
	fixture = start(WEB("maglev", "10.0.0.2"));
	assert_non_null(find(fixture, "api"));
	result = ask(fixture, "service set", "{\"name\":\"web\",\"port\":81}");
	assert_true(json_is_false(json_object_get(result, "persisted")));
	json_decref(result);
	// It may be written again when stormgate ends.
	sg_file_operations = real;
	fixture_destroy(fixture);
	fixture = start(WEB("maglev", "10.0.0.2"));
	assert_non_null(find(fixture, "api"));
	assert_int_equal(find(fixture, "web")->port, 81);
	fixture_destroy(fixture);
}

static int calls_left;
static bool halfway;

static void strike(void)
{
	if (--calls_left == 0)
		_exit(77);
}

static int deadly_open(const char *name, int flags, mode_t mode)
{
	strike();
	return real.open(name, flags, mode);
}

static ssize_t deadly_write(int fd, const void *bytes, size_t length, off_t offset)
{
	// The first line is smaller than a sector, and so written as a whole or not at all.
	if (halfway && calls_left == 1 && offset > 0)
		real.write(fd, bytes, length / 2, offset);
	strike();
	return real.write(fd, bytes, length, offset);
}

static int deadly_sync(int fd)
{
	strike();
	return real.sync(fd);
}

static int deadly_rename(const char *from, const char *to)
{
	strike();
	return real.rename(from, to);
}

#define LAST_WEIGHT 9

// Sets weight after weight, several on their way at a time, and tells which has been answered.
static void change_until_death(int done)
{
	struct fixture *fixture = start(WEB("maglev", "10.0.0.2"));
	char params[200];

	for (char weight = 2; weight <= LAST_WEIGHT; weight++) {
		snprintf(params, sizeof(params),
			"{\"service\":\"web\",\"address\":\"10.0.0.2\",\"port\":8080,\"weight\":%d}",
			weight);
		persisted(ask(fixture, "backend set", params));
		if (write(done, &weight, 1) != 1)
			_exit(1);
	}
	fixture_destroy(fixture);
	_exit(0);
}

// A process that dies at any call to the system: what was answered is there after the restart.
static void no_death_loses_what_was_answered(void **unused)
{
	unsigned n_deaths = 0;

	(void)unused;
	real = sg_file_operations;
	for (int round = 0; round < 2; round++) {
		for (int nth = 1;; nth++) {
			struct fixture *fixture;
			char answered = 1, weight;
			int done[2], status;
			uint16_t kept;
			pid_t pid;

			unlink(path);
			assert_int_equal(pipe(done), 0);
			pid = fork();
			if (pid == 0) {
				calls_left = nth;
				halfway = round == 1;
				sg_file_operations = (struct sg_file_operations){
					deadly_open, deadly_write, deadly_sync, deadly_rename};
				change_until_death(done[1]);
			}
			close(done[1]);
			while (read(done[0], &weight, 1) == 1)
				answered = weight;
			close(done[0]);
			assert_int_equal(waitpid(pid, &status, 0), pid);
			assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 1);
			fixture = start(WEB("maglev", "10.0.0.2"));
			kept = find(fixture, "web")->backends[0].weight;
			fixture_destroy(fixture);
			if (kept != answered && kept != answered + 1)
				fail_msg("death at call %d: %d was answered, and %u is there", nth,
					answered, kept);
			if (WEXITSTATUS(status) == 0)
				break;
			n_deaths++;
		}
	}
	assert_true(n_deaths > 2 * 30);
}

#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DIRECTORY(all_of_it_survives_restarts),
		WITH_DIRECTORY(each_field_survives_a_restart),
		WITH_DIRECTORY(an_edit_of_a_block_with_each_field_survives),
		WITH_DIRECTORY(rollback_survives),
		WITH_DIRECTORY(a_changed_block_wins),
		WITH_DIRECTORY(conflicts_with_the_file_cost_only_themselves),
		WITH_DIRECTORY(backends_outside_cost_their_service_its_changes),
		WITH_DIRECTORY(a_corrupt_file_is_set_aside),
		WITH_DIRECTORY(a_file_that_was_removed_comes_back),
		WITH_DIRECTORY(a_full_disk_is_told_and_stops_nothing),
		WITH_DIRECTORY(a_read_only_disk_is_read),
		WITH_DIRECTORY(no_death_loses_what_was_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
