// What explains stormctl - help, the manual page, completion - against what it does.
#include "stormctl_rig.h"

// The next verb of what `help` lists, two blanks in front and between the words and the sentence;
// NULL at the end.
static char *next_verb(char **text)
{
	char *line, *end;

	while ((line = strsep(text, "\n"))) {
		if (strncmp(line, "  ", 2) != 0 || line[2] == ' ' || line[2] == '-')
			continue;
		line += 2;
		end = strstr(line, "  ");
		if (!end)
			continue;
		*end = '\0';
		return line;
	}
	return NULL;
}

static void each_verb_has_help_with_its_usage_and_an_example(void **state)
{
	struct rig *rig = *state;
	unsigned n = 0;
	char *all, *rest, *verb;

	expect(rig, "help", 0, "", "");
	all = rest = strdup(rig->out);
	while ((verb = next_verb(&rest))) {
		char command[80], usage[80], example[80];

		snprintf(command, sizeof(command), "-s nowhere %s --help", verb);
		snprintf(usage, sizeof(usage), "\nstormctl %s", verb);
		snprintf(example, sizeof(example), "For example:\n\n    ");
		expect(rig, command, 0, usage, "");
		expect(rig, command, 0, example, "");
		snprintf(command, sizeof(command), "help %s", verb);
		expect(rig, command, 0, usage, "");
		n++;
	}
	free(all);
	assert_in_range(n, 16, 100);
}

// The manual page as text; the caller's.
static char *read_page(void)
{
	char *path, *text = calloc(1, OUTPUT_BYTES);
	FILE *file;

	assert_true(asprintf(&path, "%s/app/stormctl/stormctl.1", getenv("SG_SOURCE_ROOT")) > 0);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_true(fread(text, 1, OUTPUT_BYTES - 1, file) > 0);
	fclose(file);
	free(path);
	return text;
}

// Whether `word` stands there, and not only as a part of a longer one.
static bool has_word(const char *text, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += length) {
		char before = at == text ? ' ' : at[-1];

		if (strchr(" \n.", before) && strchr(" \n,.", at[length]))
			return true;
	}
	return false;
}

static void expect_in_page(const char *page, const char *verb, const char *what)
{
	if (!has_word(page, what))
		fail_msg("app/stormctl/stormctl.1 lacks \"%s\" (of stormctl %s)", what, verb);
}

static void expect_options_in_page(struct rig *rig, const char *page, const char *verb)
{
	char command[80], macro[80];
	char *at;

	snprintf(command, sizeof(command), "help %s", verb);
	expect(rig, command, 0, "", "");
	for (at = strstr(rig->out, "\n\n  "); at && (at = strstr(at, " --")); at++) {
		snprintf(macro, sizeof(macro), "Fl -%.*s",
			(int)strspn(at + 3, "abcdefghijklmnopqrstuvwxyz-"), at + 3);
		expect_in_page(page, verb, macro);
	}
}

static void the_manual_page_has_all_verbs_and_options(void **state)
{
	struct rig *rig = *state;
	char *page = read_page(), *all, *rest, *verb;
	unsigned n = 0, n_items = 0;

	expect(rig, "help", 0, "", "");
	all = rest = strdup(rig->out);
	while ((verb = next_verb(&rest))) {
		char item[80];

		snprintf(item, sizeof(item), ".It Cm %s", verb);
		expect_in_page(page, verb, item);
		expect_options_in_page(rig, page, verb);
		n++;
	}
	for (const char *at = page; (at = strstr(at, "\n.It Cm ")); at++)
		n_items++;
	// None stands there that the program lacks.
	assert_int_equal(n_items, n);
	free(all);
	free(page);
}

static void expect_members_in_page(const char *page, const char *command, const json_t *value)
{
	const char *name;
	json_t *member;
	size_t i;

	json_array_foreach(value, i, member) expect_members_in_page(page, command, member);
	json_object_foreach((json_t *)value, name, member)
	{
		expect_in_page(page, command, name);
		// Its members are called as the drops are, which `stormctl drops` explains.
		if (strcmp(name, "dropped") != 0)
			expect_members_in_page(page, command, member);
	}
}

static void the_manual_page_has_all_members_of_answers(void **state)
{
	static const char *const lines[] = {"status -o json", "service list -o json",
		"service show web -o json", "stats -o json", "drops -o json", "flows -o json",
		"export", "service set web --allow 10.0.0.0/8 -o json", "service show web -o json",
		"apply -f exported --dry-run -o json", "policy show -o json",
		"policy set --deny 203.0.113.0/24 -o json",
		"backend drain web 10.0.0.2:8080 --wait -o json", "service show web -o json"};
	struct rig *rig = *state;
	char *page = read_page();

	expect(rig, "export > exported", 0, "", "");
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		json_t *object = run_json(rig, lines[i]);

		expect_members_in_page(page, lines[i], object);
		json_decref(object);
	}
	free(page);
}

// What bash would offer for the line, sorted, with commas between.
static void expect_completion(struct rig *rig, const char *line, const char *wanted)
{
	const char *program = getenv("SG_STORMCTL"), *source = getenv("SG_SOURCE_ROOT");
	char *command;

	assert_true(program && source);
	assert_true(
		asprintf(&command,
			"cd %s && PATH=${SG_STORMCTL%%/*}:$PATH && line='%s' bash -euc '"
			". %s/app/stormctl/stormctl.bash; complete -p stormctl >/dev/null; "
			"compopt() { :; }; COMP_LINE=$line; COMP_POINT=${#line}; _stormctl; "
			"printf \"%%s\\n\" \"${COMPREPLY[@]}\"' 2>err | sort | paste -sd , >out",
			rig->directory, line, source) > 0);
	assert_int_equal(WEXITSTATUS(system(command)), 0);
	free(command);
	slurp(rig, "out", rig->out);
	slurp(rig, "err", rig->err);
	rig->out[strcspn(rig->out, "\n")] = '\0';
	if (strcmp(rig->out, wanted) != 0 || rig->err[0])
		fail_msg("%s\noffers %s\nnot    %s\n%s", line, rig->out, wanted, rig->err);
}

static void bash_completes_the_command_line(void **state)
{
	struct rig *rig = *state;

	expect(rig, "service add other --vip 192.0.2.11 --protocol tcp --port 80", 0, "", "");
	expect_completion(rig, "stormctl se", "service");
	expect_completion(rig, "stormctl service ", "add,delete,list,set,show");
	expect_completion(rig, "stormctl -s s -o json service s", "set,show");
	expect_completion(rig, "stormctl help backend d", "delete,drain");
	expect_completion(rig, "stormctl import ", "ipvsadm");
	expect_completion(rig, "stormctl nonsense ", "");
	expect_completion(rig, "stormctl service add x --pro", "--protocol");
	expect_completion(rig, "stormctl service add x --protocol ", "tcp,udp");
	expect_completion(rig, "stormctl service add x --scheduler w", "wlc,wrr");
	expect_completion(rig, "stormctl service add x --port ", "");
	expect_completion(rig, "stormctl backend drain --w", "--wait");
	expect_completion(rig, "stormctl -o ", "json,table");
	expect_completion(rig, "stormctl -s s service show ", "other,web");
	expect_completion(rig, "stormctl -s s service show w", "web");
	expect_completion(rig, "stormctl -s s flows --service ", "other,web");
	expect_completion(rig, "stormctl -s s backend drain web ", "10.0.0.2:8080,10.0.0.3:8080");
	expect_completion(rig, "stormctl -s s backend drain web 10.0.0.3", "10.0.0.3:8080");
	// readline replaces only what stands behind the colon.
	expect_completion(rig, "stormctl -s s backend drain web 10.0.0.3:80", "8080");
	expect_completion(rig, "stormctl -s nowhere service show ", "");
	expect_completion(rig, "stormctl apply -f ou", "out");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RIG(each_verb_has_help_with_its_usage_and_an_example),
		WITH_RIG(the_manual_page_has_all_verbs_and_options),
		WITH_RIG(the_manual_page_has_all_members_of_answers),
		WITH_RIG(bash_completes_the_command_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
