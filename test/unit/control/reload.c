// The config file read again while services run: what SIGHUP does.
#include "control/reload.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "fields.h"
#include "fixture.h"

#define PORTS                                                                                       \
	"ports: ( { name = \"p0\"; device = \"net_tap0\"; addresses = [\"198.51.100.11/24\"]; } );" \
	"snat: { addresses = [\"10.0.0.100\"]; };"
#define SERVICE(name, vip, more)                                                                   \
	"{ name = \"" name "\"; vip = \"" vip "\"; protocol = \"tcp\"; port = 80; backends = ( { " \
	"address = \"10.0.0.2\"; } ); " more "}"

static char path[64];

static void spew(const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int set_up(void **state)
{
	const char *config = PORTS "services: ( " SERVICE("web", "192.0.2.10", "") ", " SERVICE(
		"dns", "192.0.2.53", "") " );";

	strcpy(path, "/tmp/sg-reload-XXXXXX");
	close(mkstemp(path));
	spew(config);
	*state = fixture_create(config);
	return 0;
}

static int tear_down(void **state)
{
	fixture_destroy(*state);
	return unlink(path);
}

static void reload(struct fixture *fixture, const char *config)
{
	spew(config);
	sg_control_reload(fixture->control, path, 1001, 4711);
	fixture_settle(fixture);
}

static const struct sg_service_spec *find(struct fixture *fixture, const char *name)
{
	return sg_state_find(sg_rollout_state(fixture->control->rollout), name);
}

static void done(json_t *answer)
{
	assert_true(json_is_true(json_object_get(json_object_get(answer, "result"), "active")));
	json_decref(answer);
}

static void services_change_with_the_file(void **state)
{
	struct fixture *fixture = *state;
	const struct sg_service_spec *web = find(fixture, "web");
	json_t *answer, *entry;

	reload(fixture,
		PORTS "policy: { deny = [\"203.0.113.0/24\"]; }; services: ( " SERVICE(
			"new", "192.0.2.1", "") ", " SERVICE("web", "192.0.2.10", "") " );");
	assert_ptr_equal(find(fixture, "web"), web); // it is shared further on
	assert_null(find(fixture, "dns"));
	assert_string_equal(find(fixture, "new")->owner, "config");
	assert_non_null(sg_rollout_state(fixture->control->rollout)->policy);
	assert_int_equal(fixture->fake.n_published, 2);

	answer = fixture_ask(fixture, "history", "{}");
	entry = json_array_get(json_object_get(json_object_get(answer, "result"), "history"), 0);
	assert_string_equal(json_string_value(json_object_get(entry, "verb")), "reload");
	assert_int_equal(json_integer_value(json_object_get(entry, "uid")), 1001);
	assert_int_equal(json_integer_value(json_object_get(entry, "pid")), 4711);
	json_decref(answer);
	done(fixture_ask(fixture, "rollback", "{}"));
	assert_non_null(find(fixture, "dns"));
}

static void the_same_file_makes_no_generation(void **state)
{
	struct fixture *fixture = *state;

	reload(fixture, PORTS "services: ( " SERVICE("dns", "192.0.2.53", "") ",\n " SERVICE(
				"web", "192.0.2.10", "") " );");
	assert_int_equal(fixture->fake.n_published, 1);
}

// Edits of blocks that are as they were stay, and so do other owners' services.
static void edits_meet_the_new_file(void **state)
{
	struct fixture *fixture = *state;

	done(fixture_ask(fixture, "service set", "{\"name\":\"web\",\"scheduler\":\"rr\"}"));
	done(fixture_ask(fixture, "service set", "{\"name\":\"dns\",\"scheduler\":\"rr\"}"));
	done(fixture_ask(fixture, "service add",
		"{\"name\":\"api\",\"vip\":\"192.0.2.20\",\"protocol\":\"tcp\",\"port\":443}"));
	reload(fixture, PORTS "services: ( " SERVICE("web", "192.0.2.10", "") ", " SERVICE(
				"dns", "192.0.2.53", "scheduler = \"sh\"; ") " );");
	assert_int_equal(find(fixture, "web")->scheduler, SG_SCHEDULER_RR);
	assert_int_equal(find(fixture, "dns")->scheduler, SG_SCHEDULER_SH);
	assert_non_null(find(fixture, "api"));
	// Once more: the edit of dns is gone, that of web is still one.
	reload(fixture, PORTS "services: ( " SERVICE("web", "192.0.2.10", "") ", " SERVICE(
				"dns", "192.0.2.53", "") " );");
	assert_int_equal(find(fixture, "web")->scheduler, SG_SCHEDULER_RR);
	assert_int_equal(find(fixture, "dns")->scheduler, SG_SCHEDULER_MAGLEV);
	// What stands in the file now exactly as it was added belongs to the file.
	reload(fixture,
		PORTS "services: ( { name = \"api\"; vip = \"192.0.2.20\"; protocol = \"tcp\"; "
		      "port = 443; } );");
	assert_string_equal(find(fixture, "api")->owner, "config");
}

static void a_bad_file_changes_nothing(void **state)
{
	static const char *const files[] = {
		"nonsense",
		PORTS "services: ( { name = \"web\"; } );",
		PORTS "services: ( " SERVICE("a", "192.0.2.1", "") ", " SERVICE(
			"b", "192.0.2.1", "") " );",
		// An owner's name, and an owner's VIP and port.
		PORTS "services: ( " SERVICE("api", "192.0.2.77", "") " );",
		PORTS "services: ( " SERVICE("mine", "192.0.2.20", "") " );",
		// Good for itself, but not with the SNAT addresses that we were started with.
		"ports: ( { name = \"p0\"; device = \"net_tap0\"; } ); snat: { addresses = [\"10.9.9.9\"]; };"
		"services: ( " SERVICE("web", "10.0.0.100", "") " );",
	};
	struct fixture *fixture = *state;
	const struct sg_service_spec *web = find(fixture, "web"), *dns = find(fixture, "dns");
	uint64_t n_published;

	done(fixture_ask(fixture, "service add",
		"{\"name\":\"api\",\"vip\":\"192.0.2.20\",\"protocol\":\"tcp\",\"port\":80}"));
	n_published = fixture->fake.n_published;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		reload(fixture, files[i]);
		assert_ptr_equal(find(fixture, "web"), web);
		assert_ptr_equal(find(fixture, "dns"), dns);
		assert_non_null(find(fixture, "api"));
		assert_int_equal(fixture->fake.n_published, n_published);
	}
	unlink(path);
	sg_control_reload(fixture->control, path, 0, 0);
	fixture_settle(fixture);
	assert_ptr_equal(find(fixture, "web"), web);
	spew("");
}

// Of so many services; the caller's.
static char *large_file(unsigned n)
{
	size_t size = 200 + (size_t)n * 150, length;
	char *text = malloc(size);

	assert_non_null(text);
	length = (size_t)snprintf(text, size, PORTS "services: ( ");
	for (unsigned i = 0; i < n; i++)
		length += (size_t)snprintf(text + length, size - length,
			"%s{ name = \"s-%u\"; vip = \"203.0.%u.%u\"; protocol = \"tcp\"; port = 80; "
			"maglev_table_size = 251; }",
			i ? ", " : "", i, i >> 8, i & 255);
	snprintf(text + length, size - length, " );");
	return text;
}

#define STATUS "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"status\"}"
#define SET \
	"{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"service set\",\"params\":{\"name\":\"s-7\",\"port\":81}}"

// Somebody else reads and compiles it: questions are answered meanwhile, and changes wait.
static void a_large_file_holds_up_no_questions(void **state)
{
	struct fixture *fixture = *state;
	char *text = large_file(1000);

	spew(text);
	free(text);
	sg_control_reload(fixture->control, path, 0, 0);
	assert_true(sg_change_is_in_hand(fixture->control));
	fixture_send(fixture, 1, STATUS);
	assert_int_equal(fixture->n_answers, 1);
	assert_non_null(strstr(fixture->answers[0], "\"services\":2,"));
	fixture_send(fixture, 1, SET);
	assert_int_equal(fixture->n_answers, 1);
	fixture_settle(fixture);
	assert_int_equal(fixture->n_answers, 2);
	assert_non_null(strstr(fixture->answers[1], "\"result\""));
	assert_int_equal(sg_rollout_state(fixture->control->rollout)->n_services, 1000);
	assert_int_equal(find(fixture, "s-7")->port, 81);
}

// A second signal while the first is carried out reads the file once more.
static void a_signal_meanwhile_is_not_lost(void **state)
{
	struct fixture *fixture = *state;
	char *text = large_file(500);

	spew(text);
	sg_control_reload(fixture->control, path, 0, 0);
	while (!find(fixture, "s-1"))
		sg_loop_run_once(fixture->control->loop, sg_control_turn, fixture->control, 0);
	sg_control_reload(fixture->control, path, 0, 0);
	free(text);
	text = large_file(400);
	spew(text);
	free(text);
	sg_control_reload(fixture->control, path, 0, 0);
	fixture_settle(fixture);
	assert_int_equal(sg_rollout_state(fixture->control->rollout)->n_services, 400);
}

static void a_late_worker_holds_up_no_reload(void **state)
{
	struct fixture *fixture = *state;

	fixture->fake.stuck = true;
	for (unsigned i = 0; i < 2 * SG_ROLLOUT_MAX_IN_FLIGHT; i++)
		fixture_send(fixture, 1,
			i % 2 ? "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"service set\",\"params\":"
				"{\"name\":\"web\",\"port\":81}}"
			      : "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"service set\",\"params\":"
				"{\"name\":\"web\",\"port\":82}}");
	reload(fixture, PORTS "services: ( " SERVICE("late", "192.0.2.77", "") " );");
	assert_non_null(find(fixture, "late"));
	fixture->fake.stuck = false;
}

// Whatever the helper has come to.
static void it_may_stop_at_any_moment(void **state)
{
	char *text = large_file(300);

	spew(text);
	free(text);
	for (unsigned turns = 0; turns < 20; turns++) {
		struct fixture *fixture = fixture_create(FIXTURE_CONFIG);

		sg_control_reload(fixture->control, path, 0, 0);
		for (unsigned i = 0; i < turns; i++)
			sg_loop_run_once(
				fixture->control->loop, sg_control_turn, fixture->control, 1);
		fixture_destroy(fixture);
	}
	(void)state;
}

static void settings_that_differ_are_named(void **unused)
{
	static struct sg_settings a, b;
	char names[1000];

	(void)unused;
	sg_settings_init(&a);
	sg_settings_init(&b);
	b.ports[0].line = b.dataplane_line = 7;
	sg_settings_compare(&a, &b, false, names, sizeof(names));
	assert_string_equal(names, "");
	b.workers[0] = 3;
	b.n_workers = 1;
	b.timeouts.tcp = 5;
	strcpy(b.ports[2].name, "x");
	strcpy(b.state_file, "/x");
	sg_settings_compare(&a, &b, false, names, sizeof(names));
	assert_string_equal(names, "dataplane.workers, ports, control.state_file");
	sg_settings_compare(&a, &b, true, names, sizeof(names));
	assert_string_equal(names, "timeouts.tcp");
}

// A block of which one field alone is other than before, and then a policy.
static void each_field_changes_with_the_file(void **state)
{
	static const char plain[] =
		PORTS "services: ( { name = \"web\"; vip = \"192.0.2.10\"; protocol = \"tcp\"; "
		      "port = 80; } );";
	struct fixture *fixture = *state;
	uint64_t n_published;
	char config[2000];
	json_t *answer, *object;

	for (size_t i = 0; i < N_SERVICE_FIELDS + N_POLICY_FIELDS; i++) {
		bool of_service = i < N_SERVICE_FIELDS;
		const struct field *field =
			of_service ? &service_fields[i] : &policy_fields[i - N_SERVICE_FIELDS];
		const char *name = field->name;
		bool vip = of_service && strcmp(name, "vip") == 0;
		bool protocol = of_service && strcmp(name, "protocol") == 0;
		bool port = of_service && strcmp(name, "port") == 0;

		reload(fixture, plain);
		n_published = fixture->fake.n_published;
		snprintf(config, sizeof(config),
			PORTS
			"policy: { %s%s%s%s }; services: ( { name = \"web\"; %s%s%s%s %s %s %s } );",
			of_service ? "" : name, of_service ? "" : " = ",
			of_service ? "" : field->value, of_service ? "" : ";",
			of_service ? name : "", of_service ? " = " : "",
			of_service ? field->value : "", of_service ? ";" : "",
			vip ? "" : "vip = \"192.0.2.10\";", protocol ? "" : "protocol = \"tcp\";",
			port ? "" : "port = 80;");
		reload(fixture, config);
		if (fixture->fake.n_published == n_published)
			fail_msg("%s: nothing was published", name);
		answer = of_service ? fixture_ask(fixture, "service show", "{\"name\":\"web\"}")
				    : fixture_ask(fixture, "policy show", "{}");
		object = json_loads(field->value, JSON_DECODE_ANY, NULL);
		if (!json_equal(json_object_get(json_object_get(answer, "result"), name), object))
			fail_msg("%s: %s", name, json_dumps(answer, 0));
		json_decref(object);
		json_decref(answer);
		n_published = fixture->fake.n_published;
		reload(fixture, config);
		assert_int_equal(fixture->fake.n_published, n_published);
	}
}

// What the log gets from a reload, in a buffer of the callee's.
static const char *log_of_reload(struct fixture *fixture, const char *config)
{
	static char text[4096];
	FILE *file = tmpfile();
	int stderr_fd = dup(STDERR_FILENO);
	size_t n;

	assert_non_null(file);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
	reload(fixture, config);
	assert_true(dup2(stderr_fd, STDERR_FILENO) >= 0);
	close(stderr_fd);
	rewind(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	fclose(file);
	return text;
}

static void expect_logged(const char *text, const char *part, bool logged)
{
	if (!strstr(text, part) == logged)
		fail_msg("\"%s\" in the log: %s", part, text);
}

#define WITH_CIDRS(cidrs, backend)                                                            \
	PORTS "timeouts: { drain = 30; }; backend_cidrs = [" cidrs "]; services: ( { name = " \
	      "\"web\"; vip = \"192.0.2.10\"; protocol = \"tcp\"; port = 80; backends = ( { " \
	      "address = \"" backend "\"; } ); } );"

static struct fixture *open_fixture(const char *config)
{
	strcpy(path, "/tmp/sg-reload-XXXXXX");
	close(mkstemp(path));
	return fixture_create(config);
}

static void close_fixture(struct fixture *fixture)
{
	fixture_destroy(fixture);
	unlink(path);
}

static void refused(json_t *answer, const char *part)
{
	const char *message =
		json_string_value(json_object_get(json_object_get(answer, "error"), "message"));

	if (!message || !strstr(message, part))
		fail_msg("\"%s\": %s", part, json_dumps(answer, 0));
	json_decref(answer);
}

static void add_backend(struct fixture *fixture, const char *params, const char *outside)
{
	json_t *answer = fixture_ask(fixture, "backend add", params);

	if (outside)
		refused(answer, outside);
	else
		done(answer);
}

static const char *last_summary(struct fixture *fixture)
{
	return sg_history_get(fixture->control->history, 0)->summary;
}

// New prefixes hold for everybody's services, for what is added from then on, and for the way back.
static void backend_cidrs_change_with_the_file(void **unused)
{
	struct fixture *fixture = open_fixture(WITH_CIDRS("\"10.0.0.0/8\"", "10.0.0.2"));
	const struct sg_service_spec *web = find(fixture, "web");
	uint64_t n_published, wide;
	const char *text;

	(void)unused;
	add_backend(fixture, "{\"service\":\"web\",\"address\":\"172.16.0.1\",\"port\":80}",
		"backend 172.16.0.1:80 of service 'web' (of owner 'config') lies outside "
		"backend_cidrs (10.0.0.0/8)");
	// Wider.
	text = log_of_reload(fixture, WITH_CIDRS("\"10.0.0.0/8\", \"172.16.0.0/12\"", "10.0.0.2"));
	expect_logged(text,
		"is read again: 0 services added, 0 changed, 0 removed; other settings: "
		"backend_cidrs\n",
		true);
	expect_logged(text, "restart", false);
	assert_ptr_equal(find(fixture, "web"), web);
	assert_int_equal(fixture->fake.n_published, 2);
	assert_string_equal(last_summary(fixture), "settings: backend_cidrs");
	done(fixture_ask(fixture, "service add",
		"{\"name\":\"api\",\"vip\":\"192.0.2.20\",\"protocol\":\"tcp\",\"port\":80,"
		"\"backends\":[{\"address\":\"172.16.0.1\",\"port\":80}]}"));
	wide = sg_rollout_generation(fixture->control->rollout);
	// Narrower again: not while somebody's backend is there.
	n_published = fixture->fake.n_published;
	text = log_of_reload(fixture, WITH_CIDRS("\"10.0.0.0/8\"", "10.0.0.2"));
	expect_logged(text,
		": backend 172.16.0.1:80 of service 'api' (of owner 'operator') lies outside "
		"backend_cidrs (10.0.0.0/8)\n",
		true);
	expect_logged(text, "is refused, and everything stays as it was", true);
	assert_int_equal(fixture->fake.n_published, n_published);
	add_backend(fixture, "{\"service\":\"api\",\"address\":\"172.16.0.2\",\"port\":80}", NULL);
	done(fixture_ask(fixture, "service delete", "{\"name\":\"api\"}"));
	text = log_of_reload(fixture, WITH_CIDRS("\"10.0.0.0/8\"", "10.0.0.2"));
	expect_logged(text, "other settings: backend_cidrs\n", true);
	add_backend(fixture, "{\"service\":\"web\",\"address\":\"172.16.0.1\",\"port\":80}",
		"lies outside backend_cidrs (10.0.0.0/8)");
	// There is no way back to a backend outside; a way back that needs none leads nowhere else.
	refused(fixture_ask(fixture, "rollback", "{\"generation\":3}"),
		"backend 172.16.0.1:80 of service 'api' (of owner 'operator') lies outside "
		"backend_cidrs (10.0.0.0/8)");
	assert_int_equal(wide, 3);
	done(fixture_ask(fixture, "rollback", "{\"generation\":2}"));
	add_backend(fixture, "{\"service\":\"web\",\"address\":\"172.16.0.1\",\"port\":80}",
		"lies outside backend_cidrs (10.0.0.0/8)");
	// Back in the file, and then back in time.
	reload(fixture, WITH_CIDRS("\"10.0.0.0/8\", \"172.16.0.0/12\"", "10.0.0.2"));
	done(fixture_ask(fixture, "rollback", "{\"generation\":3}"));
	assert_int_equal(find(fixture, "api")->n_backends, 1);
	// None at all, and no limit.
	text = log_of_reload(fixture, WITH_CIDRS("", "10.0.0.2"));
	expect_logged(text,
		"10.0.0.2:80 of service 'web' (of owner 'config') lies outside "
		"backend_cidrs (none is allowed)",
		true);
	reload(fixture, PORTS);
	add_backend(fixture, "{\"service\":\"api\",\"address\":\"192.168.0.1\",\"port\":80}", NULL);
	close_fixture(fixture);
}

static uint32_t life_of_slot(const struct fixture *fixture, uint32_t slot)
{
	return sg_snapshot_backend_word(fixture->fake.published, slot) & 0xff;
}

// Connections of a backend that was removed may go on for a while, but not outside of the prefixes.
static void what_finishes_is_held_against_new_prefixes(void **unused)
{
	struct fixture *fixture =
		open_fixture(WITH_CIDRS("\"10.0.0.0/8\", \"172.16.0.0/12\"", "10.0.0.2"));
	struct sg_addr far;
	uint32_t slot;

	(void)unused;
	assert_int_equal(sg_addr_parse("172.16.0.1", &far), 0);
	add_backend(fixture, "{\"service\":\"web\",\"address\":\"172.16.0.1\",\"port\":80}", NULL);
	slot = sg_compiler_find_backend_slot(
		sg_rollout_compiler(fixture->control->rollout), "web", &far, 80);
	assert_int_equal(life_of_slot(fixture, slot), SG_BACKEND_ACTIVE);
	done(fixture_ask(fixture, "backend delete",
		"{\"service\":\"web\",\"address\":\"172.16.0.1\",\"port\":80}"));
	assert_int_equal(life_of_slot(fixture, slot), SG_BACKEND_REMOVED);
	reload(fixture, WITH_CIDRS("\"10.0.0.0/8\"", "10.0.0.2"));
	assert_int_equal(life_of_slot(fixture, slot), SG_BACKEND_OUTSIDE);
	assert_false(sg_snapshot_may_reach(fixture->fake.published, &far));
	assert_int_equal(life_of_slot(fixture, 0), SG_BACKEND_ACTIVE);
	// A change of something else does not forget it; nor does a reload that is refused.
	done(fixture_ask(fixture, "service set", "{\"name\":\"web\",\"scheduler\":\"rr\"}"));
	assert_int_equal(life_of_slot(fixture, slot), SG_BACKEND_OUTSIDE);
	reload(fixture, WITH_CIDRS("\"10.0.0.0/30\"", "10.0.0.9"));
	assert_int_equal(life_of_slot(fixture, slot), SG_BACKEND_OUTSIDE);
	reload(fixture, WITH_CIDRS("\"10.0.0.0/8\", \"172.16.0.0/12\"", "10.0.0.2"));
	assert_int_equal(life_of_slot(fixture, slot), SG_BACKEND_REMOVED);
	reload(fixture, WITH_CIDRS("\"10.0.0.0/8\"", "10.0.0.2"));
	done(fixture_ask(fixture, "backend delete",
		"{\"service\":\"web\",\"address\":\"172.16.0.1\",\"port\":80,\"now\":true}"));
	assert_int_equal(life_of_slot(fixture, slot), SG_BACKEND_DEAD);
	close_fixture(fixture);
}

// A change that waits for a place among those in flight is held against what waits with it.
static void new_prefixes_wait_with_the_change(void **unused)
{
	struct fixture *fixture =
		open_fixture(WITH_CIDRS("\"10.0.0.0/8\", \"172.16.0.0/12\"", "10.0.0.2"));
	static const char far[] = "{\"service\":\"web\",\"address\":\"172.16.0.1\",\"port\":80}";
	struct sg_addr addr;
	char params[100];

	(void)unused;
	assert_int_equal(sg_addr_parse("172.16.0.1", &addr), 0);
	fixture->fake.stuck = true;
	for (unsigned i = 0; i < SG_ROLLOUT_MAX_IN_FLIGHT + 2; i++) {
		snprintf(params, sizeof(params),
			"{\"service\":\"web\",\"address\":\"10.0.1.%u\",\"port\":80}", i);
		json_decref(fixture_ask(fixture, "backend add", params));
	}
	reload(fixture, WITH_CIDRS("\"10.0.0.0/8\"", "10.0.0.2"));
	assert_true(sg_snapshot_may_reach(fixture->fake.published, &addr));
	add_backend(fixture, far, "lies outside backend_cidrs (10.0.0.0/8)");
	fixture->fake.stuck = false;
	while (sg_snapshot_may_reach(fixture->fake.published, &addr))
		sg_control_turn(fixture->control);
	add_backend(fixture, far, "lies outside backend_cidrs (10.0.0.0/8)");
	assert_int_equal(find(fixture, "web")->n_backends, 1 + SG_ROLLOUT_MAX_IN_FLIGHT + 2);
	close_fixture(fixture);
}

// The other settings that may change, and one that may not.
static void some_settings_change_with_the_file(void **state)
{
	static const char config[] =
		"dataplane: { unserved = \"reject\"; maglev_seed = 5; };"
		"timeouts: { syn = 1; tcp = 2; tcp_half_closed = 3; tcp_fin = 4; udp_new = 5; "
		"udp = 6; drain = 7; };"
		"control: { shutdown_timeout = 8; };" PORTS;
	struct fixture *fixture = *state;
	const struct sg_timeouts *timeouts;
	uint64_t seed = fixture->fake.published->maglev_key.words[0];
	const char *text;

	assert_int_equal(fixture->fake.published->timeouts.tcp, 900);
	text = log_of_reload(fixture, config);
	expect_logged(text,
		"2 removed; other settings: dataplane.unserved, timeouts.syn, timeouts.tcp, "
		"timeouts.tcp_half_closed, timeouts.tcp_fin, timeouts.udp_new, timeouts.udp, "
		"timeouts.drain, control.shutdown_timeout\n",
		true);
	expect_logged(text, "need a restart: dataplane.maglev_seed\n", true);
	timeouts = &fixture->fake.published->timeouts;
	assert_int_equal(timeouts->syn, 1);
	assert_int_equal(timeouts->tcp, 2);
	assert_int_equal(timeouts->tcp_half_closed, 3);
	assert_int_equal(timeouts->tcp_fin, 4);
	assert_int_equal(timeouts->udp_new, 5);
	assert_int_equal(timeouts->udp, 6);
	assert_int_equal(timeouts->drain, 7);
	assert_int_equal(fixture->fake.published->unserved, SG_UNSERVED_REJECT);
	assert_int_equal(fixture->fake.published->maglev_key.words[0], seed);
	assert_int_equal(sg_control_settings(fixture->control)->shutdown_timeout_s, 8);
	assert_int_equal(fixture->fake.published->settings_since, 2);
	// Said again they are no change; the one that is not taken is said again.
	text = log_of_reload(fixture, config);
	expect_logged(text, "so nothing is to be done", true);
	expect_logged(text, "need a restart: dataplane.maglev_seed\n", true);
	// 0 is the default, and so is no word.
	text = log_of_reload(fixture, "timeouts: { tcp = 0; };" PORTS);
	expect_logged(text, "0 removed; other settings: dataplane.unserved, timeouts.syn, ", true);
	assert_int_equal(fixture->fake.published->timeouts.tcp, 900);
	assert_int_equal(fixture->fake.published->timeouts.syn, 30);
	assert_int_equal(fixture->fake.published->unserved, SG_UNSERVED_DROP);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(services_change_with_the_file),
		WITH_FIXTURE(the_same_file_makes_no_generation),
		WITH_FIXTURE(edits_meet_the_new_file),
		WITH_FIXTURE(a_bad_file_changes_nothing),
		WITH_FIXTURE(a_large_file_holds_up_no_questions),
		WITH_FIXTURE(a_signal_meanwhile_is_not_lost),
		WITH_FIXTURE(a_late_worker_holds_up_no_reload),
		WITH_FIXTURE(it_may_stop_at_any_moment),
		cmocka_unit_test(settings_that_differ_are_named),
		WITH_FIXTURE(each_field_changes_with_the_file),
		cmocka_unit_test(backend_cidrs_change_with_the_file),
		cmocka_unit_test(what_finishes_is_held_against_new_prefixes),
		cmocka_unit_test(new_prefixes_wait_with_the_change),
		WITH_FIXTURE(some_settings_change_with_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
