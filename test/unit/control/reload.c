// The config file read again while services run, and the way to the end: what SIGHUP and SIGTERM
// do.
#include "control/reload.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/shutdown.h"
#include "fields.h"
#include "fixture.h"
#include "net/headers.h"

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
	sg_settings_compare(&a, &b, names, sizeof(names));
	assert_string_equal(names, "");
	b.workers[0] = 3;
	b.n_workers = 1;
	b.timeouts.tcp = 5;
	strcpy(b.ports[2].name, "x");
	strcpy(b.state_file, "/x");
	sg_settings_compare(&a, &b, names, sizeof(names));
	assert_string_equal(names, "dataplane.workers, ports, timeouts.tcp, control.state_file");
}

static sg_flow_ref add_flow(struct fixture *fixture, uint16_t port, uint8_t state)
{
	struct sg_flow *flow;
	struct sg_flow new = {
		.client = {.src_be = htonl(0xc6336407),
			.dst_be = htonl(0xc000020a),
			.sport_be = htons(port),
			.dport_be = htons(80),
			.proto = SG_PROTO_TCP},
		.server = {.src_be = htonl(0x0a000002),
			.dst_be = htonl(0x0a000064),
			.sport_be = htons(80),
			.dport_be = htons(port),
			.proto = SG_PROTO_TCP},
		.state = state,
	};
	struct sg_flow_table *table = fixture->fake.tables[1];
	struct sg_tuple keys[2] = {new.client, new.server};
	uint64_t hashes[2];
	sg_flow_ref ref;

	sg_flow_table_hash(table, keys, 2, hashes);
	ref = sg_flow_table_insert(table, &new, hashes[0], hashes[1]);
	assert_true(ref != 0);
	flow = sg_flow_table_get(fixture->fake.tables[1], ref);
	flow->state = state;
	fixture->fake.totals[1].flows++;
	return ref;
}

static bool is_announced(struct fixture *fixture)
{
	uint32_t vip = sg_snapshot_address4(fixture->fake.published, htonl(0xc000020a));
	uint32_t snat = sg_snapshot_address4(fixture->fake.published, htonl(0x0a000064));

	assert_true(vip & SG_ADDRESS_VIP);
	assert_true(snat & SG_ADDRESS_ANNOUNCE);
	return vip & SG_ADDRESS_ANNOUNCE;
}

static bool has_stopped(struct fixture *fixture, unsigned turns)
{
	for (unsigned i = 0; i < turns && !sg_loop_is_stopped(fixture->control->loop); i++)
		sg_control_turn(fixture->control);
	return sg_loop_is_stopped(fixture->control->loop);
}

// First nobody is told of the VIPs any more; then established connections are waited for, and no
// others.
static void the_end_waits_for_established_connections(void **state)
{
	struct fixture *fixture = *state;
	sg_flow_ref ref;

	add_flow(fixture, 1001, SG_FLOW_TCP_SYN);
	add_flow(fixture, 1002, SG_FLOW_TCP_CLOSED);
	ref = add_flow(fixture, 1003, SG_FLOW_TCP_ESTABLISHED);
	assert_true(is_announced(fixture));
	sg_control_shutdown(fixture->control);
	assert_false(has_stopped(fixture, 50));
	while (is_announced(fixture))
		sg_control_turn(fixture->control);
	// What is changed meanwhile announces nothing either.
	done(fixture_ask(fixture, "service set", "{\"name\":\"web\",\"scheduler\":\"rr\"}"));
	assert_false(is_announced(fixture));
	sg_flow_table_get(fixture->fake.tables[1], ref)->state = SG_FLOW_TCP_HALF_CLOSED;
	assert_false(has_stopped(fixture, 50));
	sg_flow_table_get(fixture->fake.tables[1], ref)->state = SG_FLOW_TCP_CLOSING;
	assert_true(has_stopped(fixture, 50));
}

static void the_end_has_a_deadline_and_can_be_hurried(void **state)
{
	struct fixture *fixture = *state;

	add_flow(fixture, 1003, SG_FLOW_TCP_ESTABLISHED);
	sg_control_shutdown(fixture->control);
	assert_false(has_stopped(fixture, 50));
	fixture->control->shutdown.begun_ms -= 5000;
	assert_true(has_stopped(fixture, 1));
}

static void a_second_signal_ends_it_at_once(void **state)
{
	struct fixture *fixture = *state;

	add_flow(fixture, 1003, SG_FLOW_TCP_ESTABLISHED);
	sg_control_shutdown(fixture->control);
	assert_false(has_stopped(fixture, 50));
	sg_control_shutdown(fixture->control);
	assert_true(has_stopped(fixture, 0));
}

static void without_time_or_flows_it_ends_at_once(void **state)
{
	struct fixture *fixture = *state;

	sg_control_shutdown(fixture->control);
	assert_true(has_stopped(fixture, 0));
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

#define NEEDS_RESTART                                                                               \
	"these settings are other than those that stormgate was started with, and need a restart: " \
	"backend_cidrs\n"
#define WITH_CIDRS(cidrs, backend)                                                                       \
	PORTS "timeouts: { drain = 1; }; backend_cidrs = [" cidrs                                        \
	      "]; services: ( { name = \"web\"; "                                                        \
	      "vip = \"192.0.2.10\"; protocol = \"tcp\"; port = 80; backends = ( { address = \"" backend \
	      "\"; } ); } );"

// backend_cidrs hold for the life of the process, for what the file says as for what comes through
// the socket, and the log says so.
static void other_backend_cidrs_need_a_restart(void **unused)
{
	struct fixture *fixture;
	const char *text;
	uint64_t n_published;
	json_t *answer;

	(void)unused;
	strcpy(path, "/tmp/sg-reload-XXXXXX");
	close(mkstemp(path));
	fixture = fixture_create(WITH_CIDRS("\"10.0.0.0/8\"", "10.0.0.2"));
	text = log_of_reload(fixture, WITH_CIDRS("\"10.0.0.0/8\"", "10.0.0.3"));
	expect_logged(text, "need a restart", false);
	assert_non_null(find(fixture, "web"));

	// Wider: the service is taken, what lies in them is not, wherever it comes from.
	text = log_of_reload(fixture, WITH_CIDRS("\"10.0.0.0/8\", \"172.16.0.0/12\"", "10.0.0.4"));
	expect_logged(text, NEEDS_RESTART, true);
	expect_logged(text, "is read again: 0 services added, 1 changed, 0 removed", true);
	answer = fixture_ask(fixture, "backend add",
		"{\"service\":\"web\",\"address\":\"172.16.0.1\",\"port\":80}");
	assert_non_null(strstr(
		json_string_value(json_object_get(json_object_get(answer, "error"), "message")),
		"lies outside backend_cidrs (10.0.0.0/8)"));
	json_decref(answer);
	n_published = fixture->fake.n_published;
	text = log_of_reload(
		fixture, WITH_CIDRS("\"10.0.0.0/8\", \"172.16.0.0/12\"", "172.16.0.1"));
	expect_logged(text, NEEDS_RESTART, true);
	expect_logged(text,
		"172.16.0.1:80 of service 'web' lies outside backend_cidrs (10.0.0.0/8)", true);
	expect_logged(text, "is refused, and everything stays as it was", true);
	assert_int_equal(fixture->fake.n_published, n_published);

	// Narrower: a file that does not fit itself is refused; otherwise they hold from the
	// restart on.
	text = log_of_reload(fixture, WITH_CIDRS("\"10.1.0.0/16\"", "10.0.0.4"));
	expect_logged(text, "10.0.0.4:80 of service 'web' lies outside backend_cidrs (10.1.0.0/16)",
		true);
	expect_logged(text, "is refused, and everything stays as it was", true);
	text = log_of_reload(fixture, WITH_CIDRS("\"10.1.0.0/16\"", "10.1.0.4"));
	expect_logged(text, NEEDS_RESTART, true);
	done(fixture_ask(fixture, "backend add",
		"{\"service\":\"web\",\"address\":\"10.0.0.9\",\"port\":80}"));
	fixture_destroy(fixture);
	unlink(path);
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
		cmocka_unit_test(other_backend_cidrs_need_a_restart),
		WITH_FIXTURE(the_end_waits_for_established_connections),
		WITH_FIXTURE(the_end_has_a_deadline_and_can_be_hurried),
		WITH_FIXTURE(a_second_signal_ends_it_at_once),
		WITH_FIXTURE(without_time_or_flows_it_ends_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
