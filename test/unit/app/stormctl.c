// stormctl as a program: each row is a command line with its exit status and what it prints.
#include "stormctl_rig.h"

static void verbs_do_what_they_say(void **state)
{
	struct rig *rig = *state;

	expect(rig, "status", 0, "instance          stormgate", "");
	expect(rig, "service list", 0,
		"web   config  192.0.2.10  tcp         80  maglev     snat            2", "");
	expect(rig, "service add dns --vip 192.0.2.53 --protocol udp --port 53 --scheduler rr", 0,
		"is active on all workers", "");
	expect(rig, "service show dns", 0, "scheduler          rr", "");
	expect(rig, "service set dns --allow 10.0.0.0/8,192.0.2.0/24", 0, "1 changed", "");
	expect(rig, "service show dns", 0, "allow              10.0.0.0/8,192.0.2.0/24", "");
	expect(rig, "service set dns --allow everyone", 0, "", "");
	expect(rig, "service set dns --deny 192.0.2.0/25,fd00::/8", 0, "1 changed", "");
	expect(rig, "service show dns", 0, "deny               192.0.2.0/25,fd00::/8", "");
	expect(rig, "service set dns --deny everyone", 0, "1 changed", "");
	expect(rig, "service show dns", 0, "deny               0.0.0.0/0,::/0", "");
	expect(rig, "service set dns --deny nobody", 0, "1 changed", "");
	expect(rig, "policy show", 0, "allow     everyone\ndeny      nobody\nexisting  keep\n", "");
	expect(rig, "policy set --deny 203.0.113.0/24,198.51.100.66", 0, "the policy is changed",
		"");
	expect(rig, "policy show", 0, "deny      203.0.113.0/24,198.51.100.66/32\n", "");
	expect(rig, "policy set --allow nobody", 0, "the policy is changed", "");
	expect(rig, "policy show", 0, "allow     nobody\ndeny      203.0.113.0/24", "");
	expect(rig, "policy set --deny nobody --allow everyone --existing end", 0,
		"the policy is changed", "");
	expect(rig, "backend add dns 10.0.0.7:53 --weight 3", 0, "active", "");
	expect(rig, "backend set dns 10.0.0.7:53 --weight 4 --max-connections 70", 0, "active", "");
	expect(rig, "backend drain dns 10.0.0.7:53", 0, "active", "");
	expect(rig, "service show dns", 0, "10.0.0.7:53       4  yes                    70", "");
	expect(rig, "backend drain dns 10.0.0.7:53 --wait", 0, "drained: no flow is left", "");
	expect(rig, "backend delete dns 10.0.0.7:53 --now", 0, "active", "");
	expect(rig, "service delete dns", 0, "1 removed", "");
	expect(rig, "flows --limit 5", 0, "SERVICE", "");
	expect(rig, "stats", 0, "RECEIVED", "");
	expect(rig, "drops", 0, "NAME", "no packet was dropped");
}

static void history_and_rollback_undo_what_was_done(void **state)
{
	struct rig *rig = *state;
	char path[64];
	FILE *file;

	expect(rig, "rollback", 1, "", "nothing has been changed");
	expect(rig, "service set web --scheduler rr --dry-run", 0,
		"~ service web of owner config\n    scheduler maglev -> rr\n", "");
	expect(rig, "backend delete web 10.0.0.2:8080 --dry-run", 0,
		"    - backend 10.0.0.2:8080 weight 1\n", "");
	expect(rig, "history", 0, "started with 1 services", "");
	expect(rig, "service delete web --dry-run", 0,
		"would add 0 services, change 0, remove 1\n- service web of owner config\n"
		"    - backend 10.0.0.2:8080 weight 1\n",
		"");
	expect(rig, "service set web --scheduler rr", 0, "1 changed", "");
	snprintf(path, sizeof(path), "%s/changes", rig->directory);
	file = fopen(path, "we");
	fputs("{\"changes\":[{\"method\":\"service delete\",\"params\":{\"name\":\"web\"}},"
	      "{\"method\":\"policy set\",\"params\":{\"deny\":[\"10.0.0.0/8\"]}}]}",
		file);
	fclose(file);
	expect(rig, "change -f - <changes", 0, "0 services added, 0 changed, 1 removed", "");
	expect(rig, "history", 0, "service set  config  web: scheduler maglev -> rr", "");
	expect(rig, "history 3", 0, "~ policy\n    deny - -> [\"10.0.0.0/8\"]\n", "");
	expect(rig, "history 3 -o json", 0, "\"difference\": [", "");
	expect(rig, "history 77", 1, "", "does not have generation 77");
	expect(rig, "history three", 2, "", "GENERATION is a number");
	expect(rig, "rollback --dry-run", 0, "+ service web of owner config\n", "");
	expect(rig, "rollback", 0, "generation 4 is active", "");
	expect(rig, "service show web", 0, "scheduler          rr", "");
	expect(rig, "rollback 1", 0, "generation 5 is active", "");
	expect(rig, "service show web", 0, "scheduler          maglev", "");
}

static void refusals_exit_with_1(void **state)
{
	struct rig *rig = *state;

	expect(rig, "service show nope", 1, "", "stormctl: error: no service is named 'nope'");
	expect(rig, "backend add web 192.168.0.1:80", 1, "", "lies outside backend_cidrs");
	expect(rig, "service add x --vip 192.0.2.10 --protocol tcp --port 80", 1, "",
		"has the VIP");
	expect(rig, "service add x --vip nonsense --protocol tcp --port 80", 1, "",
		"vip must be an IPv4 or IPv6 address");
	expect(rig, "backend set web 10.0.0.2:8080 --weight 70000", 1, "",
		"weight must be from 0 to 65535");
}

static void a_wrong_command_line_exits_with_2(void **state)
{
	struct rig *rig = *state;

	expect(rig, "", 2, "", "See stormctl --help");
	expect(rig, "reboot", 2, "", "there is no verb \"reboot\"");
	expect(rig, "service", 2, "", "stormctl service add NAME");
	expect(rig, "service frobnicate", 2, "", "needs one of the verbs above");
	expect(rig, "service add", 2, "", "\"service add\" needs --vip A");
	expect(rig, "service show", 2, "", "\"service show\" needs NAME");
	expect(rig, "service show a b", 2, "", "has no place for \"b\"");
	expect(rig, "status --weight 5", 2, "", "\"status\" has no option --weight");
	expect(rig, "status --nonsense", 2, "",
		"stormctl: error: there is no option --nonsense: see stormctl --help\n");
	expect(rig, "status -Zx", 2, "", "there is no option -Z:");
	expect(rig, "status -o", 2, "", "-o wants a value:");
	expect(rig, "service add web --vip", 2, "", "--vip wants a value:");
	expect(rig, "status --dry-run=yes", 2, "", "--dry-run takes no value:");
	expect(rig, "backend set web 10.0.0.2:8080 --weight five", 2, "",
		"--weight takes a number, not \"five\"");
	expect(rig, "backend add web 10.0.0.2", 2, "", "is no ADDR:PORT");
	expect(rig, "-o xml status", 2, "", "-o takes table or json");
	expect(rig, "apply", 2, "", "needs --file FILE");
}

static void without_a_daemon_it_exits_with_3(void **state)
{
	struct rig *rig = *state;

	expect(rig, "-s nowhere status", 3, "", "no stormgate serves nowhere");
	stop_serving(rig);
	expect(rig, "status", 3, "", "no stormgate serves s: start it");
}

static void help_and_version_need_no_daemon(void **state)
{
	struct rig *rig = *state;

	expect(rig, "-s nowhere --help", 0, "backend drain", "");
	expect(rig, "--version", 0, "stormctl " SG_VERSION, "");
	expect(rig, "backend drain --help", 0, "stormctl backend drain SERVICE ADDR:PORT [--wait]",
		"");
	expect(rig, "service --help", 0,
		"stormctl service add NAME --vip A --protocol tcp|udp --port N", "");
	expect(rig, "apply -h", 0, "stormctl apply --file FILE [--owner O] [--dry-run]", "");
	expect(rig, "help", 0, "backend drain", "");
	expect(rig, "help backend drain", 0, "stormctl backend drain SERVICE ADDR:PORT [--wait]",
		"");
	expect(rig, "help backend", 0, "stormctl backend drain SERVICE ADDR:PORT [--wait]", "");
	expect(rig, "help frobnicate", 2, "", "there is no verb \"frobnicate\"");
}

static void an_answer_that_cannot_be_written_is_noticed(void **state)
{
	static const char *const lines[] = {"stats", "stats -o json", "stats --watch",
		"service list", "export", "--help", "help", "--version"};
	struct rig *rig = *state;
	char line[100];

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(line, sizeof(line), "%s >/dev/full", lines[i]);
		expect(rig, line, 1, "", "could not be written to stdout");
	}
	expect(rig, "status >&-", 1, "", "could not be written to stdout: Bad file descriptor");
	expect(rig, "service show nope >/dev/full", 1, "", "no service is named 'nope'");
	expect(rig, "service delete web >/dev/full", 1, "", "what was asked for is done");
	expect(rig, "service list", 0, "NAME", "");
	assert_null(strstr(rig->out, "web"));
}

static void json_is_for_programs(void **state)
{
	// Options may stand before and after the verb.
	static const char *const lines[] = {"-o json status", "status -o json",
		"service list -o json", "service show web -o json", "-ojson stats",
		"drops --output json", "flows --output=json",
		"backend drain web 10.0.0.2:8080 -o json"};
	struct rig *rig = *state;
	json_t *object;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		json_decref(run_json(rig, lines[i]));
	object = run_json(rig, "stats -o json");
	assert_non_null(json_object_get(json_object_get(object, "dropped"), "unserved_port"));
	json_decref(object);
}

static void an_export_is_what_apply_takes(void **state)
{
	struct rig *rig = *state;
	json_t *object;

	expect(rig, "export > exported", 0, "", "");
	expect(rig, "apply -f exported", 0, "0 changed", "");
	expect(rig, "apply -f - < exported", 0, "0 changed", "");
	expect(rig, "apply -f exported --owner config --dry-run", 0, "would add 0", "");
	expect(rig, "apply -f exported --owner operator", 1, "",
		"--owner operator differs from the file's owner config");
	expect(rig, "service add dns --vip 192.0.2.53 --protocol udp --port 53", 0, "", "");
	object = run_json(rig, "export");
	assert_string_equal(json_string_value(json_object_get(object, "owner")), "operator");
	assert_null(json_object_get(object, "other_owners"));
	assert_non_null(strstr(rig->err, "owner config has services, too"));
	json_decref(object);
	object = run_json(rig, "export --owner config");
	assert_string_equal(json_string_value(json_object_get(object, "owner")), "config");
	json_decref(object);
}

// In the fixture's world: backends in 10.0.0.0/8, SNAT addresses.
static void rules_of_ipvs_are_imported(void **state)
{
	struct rig *rig = *state;

	expect(rig,
		"--version; printf '%s\n' '-A -t 192.0.2.20:80 -s wlc -p 60' "
		"'-a -t 192.0.2.20:80 -r 10.0.0.20:8080 -m -w 2' '-A -f 1 -s rr' > rules",
		0, "", "");
	expect(rig, "import ipvsadm -f rules", 1, "",
		"rules:3: a service by firewall mark has no counterpart");
	assert_string_equal(rig->out, "");
	expect(rig, "import ipvsadm -f rules", 1, "", "nothing is imported");
	expect(rig, "import ipvsadm --skip <rules >imported", 0, "", "-:3: a service by");
	expect(rig, "apply -f imported --owner lvs --dry-run", 0, "would add 1 services", "");
	expect(rig, "import ipvsadm --skip --owner lvs --apply --dry-run <rules", 0,
		"would add 1 services", "");
	expect(rig, "service show tcp-192.0.2.20-80", 1, "", "no service is named");
	expect(rig, "import ipvsadm --skip --owner lvs --apply --masquerade-all <rules", 0,
		"1 services added", "");
	expect(rig, "service show tcp-192.0.2.20-80", 0, "snat", "");
	expect(rig, "import ipvsadm --skip --owner lvs --apply -f rules -o json", 0,
		"\"changed\": 1", "");
	expect(rig, "service show tcp-192.0.2.20-80", 0, "dnat", "");
	expect(rig, "import ipvsadm -f missing", 1, "", "missing: No such file or directory");
	expect(rig, "import ipvsadm -f .", 1, "", "Is a directory");
	// As behind a pipe whose ipvsadm has failed.
	expect(rig, "import ipvsadm --apply --owner lvs </dev/null", 1, "", "-: there is no service");
	expect(rig, "import ipvsadm --dry-run </dev/null", 2, "", "give both");
	expect(rig, "import", 2, "", "stormctl import ipvsadm");
}

static void a_bad_file_is_refused_before_anything_is_sent(void **state)
{
	struct rig *rig = *state;

	expect(rig, "apply -f missing", 1, "", "missing: No such file or directory");
	expect(rig, "apply -f .", 1, "", ".: Is a directory");
	expect(rig, "--version; printf '{\\n \"services\": ]' > bad; printf '[]' > array", 0, "",
		"");
	expect(rig, "apply -f bad", 1, "", "bad:2:");
	expect(rig, "apply -f - < /dev/null", 1, "", "-:");
	expect(rig, "apply -f array", 1, "", "it must hold one object");
}

static void watching_ends_when_nobody_reads(void **state)
{
	struct rig *rig = *state;

	// `head` closes the pipe after the first line.
	expect(rig, "stats --watch | head -n 1", 0, "RECEIVED", "");
	expect(rig, "stats --watch -o json | head -n 1", 0, "{", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RIG(verbs_do_what_they_say),
		WITH_RIG(history_and_rollback_undo_what_was_done),
		WITH_RIG(refusals_exit_with_1),
		WITH_RIG(a_wrong_command_line_exits_with_2),
		WITH_RIG(without_a_daemon_it_exits_with_3),
		WITH_RIG(help_and_version_need_no_daemon),
		WITH_RIG(an_answer_that_cannot_be_written_is_noticed),
		WITH_RIG(json_is_for_programs),
		WITH_RIG(an_export_is_what_apply_takes),
		WITH_RIG(rules_of_ipvs_are_imported),
		WITH_RIG(a_bad_file_is_refused_before_anything_is_sent),
		WITH_RIG(watching_ends_when_nobody_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
