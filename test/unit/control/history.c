// Who changed what, and the way back, through the methods that an operator has.
#include "control/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "asking.h"
#include "control/config_service.h"
#include "fields.h"

// One member of the newest entry but `at`.
static json_t *member(json_t *history, size_t at, const char *name)
{
	return json_object_get(json_array_get(json_object_get(history, "history"), at), name);
}

static const char *text(json_t *history, size_t at, const char *name)
{
	return json_string_value(member(history, at, name));
}

static void set_weight(struct fixture *fixture, const char *backend, unsigned weight)
{
	char params[200];

	snprintf(params, sizeof(params),
		"{\"service\":\"web\",\"address\":\"%s\",\"port\":8080,\"weight\":%u}", backend,
		weight);
	done(ask(fixture, "backend set", params));
}

#define ADD_API                                                                                    \
	"{\"name\":\"api\",\"vip\":\"192.0.2.20\",\"protocol\":\"tcp\",\"port\":443,\"backends\":" \
	"[{\"address\":\"10.0.0.9\"}]}"

static void each_change_says_who_when_and_what(void **state)
{
	struct sg_peer peer = {.uid = 1001, .pid = 4711};
	struct fixture *fixture = *state;
	const char *line =
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"service.add\",\"params\":" ADD_API "}";
	json_t *history;

	sg_command_handle(fixture->control, 1, &peer, line, strlen(line));
	while (fixture->n_answers == 0)
		sg_control_turn(fixture->control);
	set_weight(fixture, "10.0.0.2", 5);
	done(ask(fixture, "backend delete",
		"{\"service\":\"web\",\"address\":\"10.0.0.3\",\"port\":8080}"));
	done(ask(fixture, "backend delete",
		"{\"service\":\"web\",\"address\":\"10.0.0.3\",\"port\":8080,\"now\":true}"));
	done(ask(fixture, "service set", "{\"name\":\"api\",\"scheduler\":\"rr\"}"));
	history = ask(fixture, "history", "{}");
	assert_int_equal(json_array_size(json_object_get(history, "history")), 6);
	assert_string_equal(text(history, 0, "summary"), "api: scheduler maglev -> rr");
	assert_string_equal(text(history, 0, "owner"), "operator");
	assert_string_equal(
		text(history, 1, "summary"), "web: connections of 10.0.0.3 port 8080 ended");
	assert_string_equal(text(history, 1, "owner"), "config");
	assert_string_equal(text(history, 2, "summary"), "web: 10.0.0.3:8080 removed");
	assert_string_equal(text(history, 3, "verb"), "backend set");
	assert_string_equal(text(history, 3, "summary"), "web: 10.0.0.2:8080 weight 1 -> 5");
	assert_string_equal(text(history, 4, "verb"), "service add");
	assert_string_equal(text(history, 4, "summary"), "api added");
	assert_int_equal(json_integer_value(member(history, 4, "uid")), 1001);
	assert_int_equal(json_integer_value(member(history, 4, "pid")), 4711);
	assert_int_equal(json_integer_value(member(history, 4, "generation")), 2);
	assert_string_equal(text(history, 5, "verb"), "start");
	assert_int_equal(strlen(text(history, 0, "time")), strlen("2026-01-01T00:00:00.000Z"));
	json_decref(history);
}

static void what_was_refused_or_only_tried_is_no_change(void **state)
{
	struct fixture *fixture = *state;
	json_t *result, *difference;
	char *shown;

	expect_refusal(fixture, "service add",
		"{\"name\":\"api\",\"vip\":\"192.0.2.10\",\"protocol\":\"tcp\",\"port\":80}",
		SG_REQUEST_REFUSED, "service 'web' (of owner 'config') has the VIP");
	result = ask(fixture, "backend set",
		"{\"service\":\"web\",\"address\":\"10.0.0.2\",\"port\":8080,\"weight\":7,\"dry_run\":true}");
	difference = json_object_get(result, "difference");
	shown = json_dumps(difference, JSON_COMPACT);
	assert_string_equal(shown,
		"[{\"service\":\"web\",\"owner\":\"config\",\"action\":\"changed\",\"members\":{},\"backends\":"
		"[{\"backend\":\"10.0.0.2:8080\",\"action\":\"changed\","
		"\"before\":{\"address\":\"10.0.0.2\",\"port\":8080,\"weight\":1},"
		"\"after\":{\"address\":\"10.0.0.2\",\"port\":8080,\"weight\":7}}]}]");
	free(shown);
	assert_int_equal(json_integer_value(json_object_get(result, "generation")), 1);
	json_decref(result);
	expect_refusal(fixture, "rollback", "{}", SG_REQUEST_REFUSED, "nothing has been changed");
	// A dry run without a difference is no failure.
	result = ask(fixture, "service set", "{\"name\":\"web\",\"dry_run\":true}");
	assert_int_equal(json_array_size(json_object_get(result, "difference")), 0);
	json_decref(result);
	expect_refusal(fixture, "service set", "{\"name\":\"web\",\"dry_run\":1}",
		SG_REQUEST_BAD_PARAMS, "service set: dry_run must be true or false");
	result = ask(fixture, "history", "{}");
	assert_int_equal(json_array_size(json_object_get(result, "history")), 1);
	json_decref(result);
}

static void the_difference_names_every_member_that_differs(void **state)
{
	struct fixture *fixture = *state;
	json_t *result, *web;
	char *shown;

	result = ask(fixture, "change",
		"{\"dry_run\":true,\"changes\":["
		"{\"method\":\"service add\",\"params\":" ADD_API "},"
		"{\"method\":\"service set\",\"params\":{\"name\":\"web\",\"scheduler\":\"wrr\","
		"\"allow\":[\"198.51.100.0/24\"]}},"
		"{\"method\":\"backend drain\",\"params\":{\"service\":\"web\",\"address\":\"10.0.0.3\",\"port\":8080}},"
		"{\"method\":\"backend add\",\"params\":{\"service\":\"web\",\"address\":\"10.0.0.4\",\"port\":1}},"
		"{\"method\":\"backend delete\",\"params\":{\"service\":\"web\",\"address\":\"10.0.0.2\",\"port\":8080}}]}");
	assert_int_equal(json_array_size(json_object_get(result, "difference")), 2);
	assert_string_equal(
		json_string_value(json_object_get(
			json_array_get(json_object_get(result, "difference"), 0), "action")),
		"added");
	web = json_array_get(json_object_get(result, "difference"), 1);
	shown = json_dumps(json_object_get(web, "members"), JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(shown, "{\"allow\":{\"after\":[\"198.51.100.0/24\"],\"before\":null},"
				   "\"scheduler\":{\"after\":\"wrr\",\"before\":\"maglev\"}}");
	free(shown);
	shown = json_dumps(json_object_get(web, "backends"), JSON_COMPACT);
	assert_string_equal(shown,
		"[{\"backend\":\"10.0.0.2:8080\",\"action\":\"removed\",\"before\":"
		"{\"address\":\"10.0.0.2\",\"port\":8080,\"weight\":1}},"
		"{\"backend\":\"10.0.0.3:8080\",\"action\":\"changed\",\"before\":"
		"{\"address\":\"10.0.0.3\",\"port\":8080,\"weight\":1},\"after\":"
		"{\"address\":\"10.0.0.3\",\"port\":8080,\"weight\":1,\"draining\":true}},"
		"{\"backend\":\"10.0.0.4:1\",\"action\":\"added\",\"after\":"
		"{\"address\":\"10.0.0.4\",\"port\":1,\"weight\":1}}]");
	free(shown);
	json_decref(result);
}

// The policy for all services is part of what can be tried, told and taken back.
static void the_policy_for_all_is_part_of_it(void **state)
{
	static const char params[] = "{\"deny\":[\"203.0.113.0/24\"]}";
	struct fixture *fixture = *state;
	json_t *before = ask(fixture, "policy show", "{}"), *result;

	result = ask(fixture, "policy set", "{\"deny\":[\"203.0.113.0/24\"],\"dry_run\":true}");
	assert_int_equal(json_array_size(json_object_get(result, "difference")), 1);
	json_decref(result);
	done(ask(fixture, "policy set", params));
	result = ask(fixture, "history", "{\"generation\":2}");
	assert_int_equal(strncmp(text(result, 0, "summary"), "policy deny", 11), 0);
	assert_int_equal(json_array_size(json_object_get(result, "difference")), 1);
	json_decref(result);
	done(ask(fixture, "rollback", "{}"));
	result = ask(fixture, "policy show", "{}");
	assert_true(json_equal(result, before));
	json_decref(result);
	json_decref(before);
	// Everyone and nobody look different.
	done(ask(fixture, "policy set", "{\"allow\":[]}"));
	result = ask(fixture, "history", "{\"generation\":4}");
	assert_string_equal(text(result, 0, "summary"), "policy allow absent -> []");
	json_decref(result);
}

static void every_key_of_a_service_is_among_the_fields(void **unused)
{
	const struct sg_config_key *key;

	(void)unused;
	for (key = sg_config_service_keys; key->name; key++) {
		bool found = strcmp(key->name, "name") == 0 || strcmp(key->name, "backends") == 0;

		for (size_t i = 0; i < N_SERVICE_FIELDS; i++)
			found = found || strcmp(service_fields[i].name, key->name) == 0;
		if (!found)
			fail_msg("%s is not among the fields", key->name);
	}
}

// Of a difference: one service or the policy, and of it this member alone, from "before" on.
static void expect_only(json_t *result, const struct field *field)
{
	json_t *difference = json_object_get(result, "difference");
	json_t *members = json_object_get(json_array_get(difference, 0), "members");
	json_t *member = json_object_get(members, field->name);
	json_t *value = json_loads(field->value, JSON_DECODE_ANY, NULL);

	if (json_array_size(difference) != 1 || json_object_size(members) != 1 ||
		!json_equal(json_object_get(member, "after"), value) ||
		json_equal(json_object_get(member, "before"), value))
		fail_msg("%s: %s", field->name, json_dumps(result, 0));
	json_decref(value);
}

// Tried, done, told, and taken back.
static void change_one(
	struct fixture *fixture, const char *method, const char *service, const struct field *field)
{
	char params[300];
	json_t *result;

	snprintf(params, sizeof(params), "{%s\"%s\":%s,\"dry_run\":true}", service, field->name,
		field->value);
	result = ask(fixture, method, params);
	expect_only(result, field);
	json_decref(result);
	snprintf(params, sizeof(params), "{%s\"%s\":%s}", service, field->name, field->value);
	result = ask(fixture, method, params);
	snprintf(params, sizeof(params), "{\"generation\":%u}",
		(unsigned)json_integer_value(json_object_get(result, "generation")));
	done(result);
	result = ask(fixture, "history", params);
	expect_only(result, field);
	snprintf(params, sizeof(params), "%s ", field->name);
	assert_non_null(strstr(text(result, 0, "summary"), params));
	json_decref(result);
}

static void the_difference_names_each_field(void **state)
{
	struct fixture *fixture = *state;
	json_t *before = ask(fixture, "service list", "{}"), *after;

	for (size_t i = 0; i < N_SERVICE_FIELDS; i++) {
		change_one(fixture, "service set", "\"name\":\"web\",", &service_fields[i]);
		done(ask(fixture, "rollback", "{}"));
		after = ask(fixture, "service list", "{}");
		assert_true(json_equal(before, after));
		json_decref(after);
	}
	json_decref(before);
	before = ask(fixture, "policy show", "{}");
	for (size_t i = 0; i < N_POLICY_FIELDS; i++) {
		change_one(fixture, "policy set", "", &policy_fields[i]);
		done(ask(fixture, "rollback", "{}"));
		after = ask(fixture, "policy show", "{}");
		assert_true(json_equal(before, after));
		json_decref(after);
	}
	json_decref(before);
}

// What export prints is what apply takes: nothing to do where it came from, and all of it after
// that is gone.
static void what_is_exported_can_be_applied_again(void **state)
{
	struct fixture *fixture = *state;

	for (size_t i = 0; i < N_SERVICE_FIELDS; i++) {
		json_t *exported, *again, *result;
		char params[300];
		char *applied;

		snprintf(params, sizeof(params), "{\"name\":\"web\",\"%s\":%s}",
			service_fields[i].name, service_fields[i].value);
		done(ask(fixture, "service set", params));
		exported = ask(fixture, "export", "{\"owner\":\"config\"}");
		json_object_del(exported, "other_owners"); // as stormctl does
		json_object_set_new(exported, "dry_run", json_true());
		applied = json_dumps(exported, 0);
		result = ask(fixture, "apply", applied);
		assert_int_equal(json_array_size(json_object_get(result, "difference")), 0);
		json_decref(result);
		free(applied);
		done(ask(fixture, "rollback", "{}"));
		json_object_del(exported, "dry_run");
		applied = json_dumps(exported, 0);
		done(ask(fixture, "apply", applied));
		free(applied);
		again = ask(fixture, "export", "{\"owner\":\"config\"}");
		if (!json_equal(json_object_get(exported, "services"),
			    json_object_get(again, "services")))
			fail_msg("%s: %s", service_fields[i].name, json_dumps(again, 0));
		json_decref(again);
		json_decref(exported);
		done(ask(fixture, "rollback", "{}"));
	}
}

static void rollback_covers_all_owners_and_is_a_change_itself(void **state)
{
	struct fixture *fixture = *state;
	json_t *first = ask(fixture, "service list", "{}"), *second, *now, *result;

	done(ask(fixture, "change",
		"{\"changes\":[{\"method\":\"service add\",\"params\":" ADD_API "},"
		"{\"method\":\"service delete\",\"params\":{\"name\":\"web\"}}]}"));
	second = ask(fixture, "service list", "{}");
	result = ask(fixture, "rollback", "{\"dry_run\":true}");
	assert_int_equal(json_array_size(json_object_get(result, "difference")), 2);
	json_decref(result);

	result = ask(fixture, "rollback", "{}");
	assert_int_equal(json_integer_value(json_object_get(result, "generation")), 3);
	done(result);
	now = ask(fixture, "service list", "{}");
	assert_true(json_equal(now, first));
	json_decref(now);
	// The previous generation is now the one that was rolled back.
	done(ask(fixture, "rollback", "{}"));
	now = ask(fixture, "service list", "{}");
	assert_true(json_equal(now, second));
	json_decref(now);
	// To what there is already: nothing to do.
	result = ask(fixture, "rollback", "{\"generation\":2}");
	assert_int_equal(json_integer_value(json_object_get(result, "generation")), 4);
	done(result);
	result = ask(fixture, "history", "{}");
	assert_int_equal(json_array_size(json_object_get(result, "history")), 4);
	assert_string_equal(text(result, 0, "verb"), "rollback");
	assert_string_equal(text(result, 0, "owner"), "operator,config");
	json_decref(result);
	result = ask(fixture, "history", "{\"generation\":2}");
	assert_int_equal(json_array_size(json_object_get(result, "difference")), 2);
	assert_string_equal(text(result, 0, "verb"), "change");
	json_decref(result);
	expect_refusal(fixture, "rollback", "{\"generation\":5}", SG_REQUEST_REFUSED,
		"generation 5 is no earlier one");
	expect_refusal(fixture, "rollback", "{\"generation\":0}", SG_REQUEST_REFUSED,
		"there is no way back to generation 0");
	expect_refusal(fixture, "rollback", "{\"generation\":\"2\"}", SG_REQUEST_BAD_PARAMS,
		"rollback: generation must be");
	expect_refusal(fixture, "history", "{\"generation\":9}", SG_REQUEST_REFUSED,
		"the history does not have generation 9");
	json_decref(first);
	json_decref(second);
}

// Any of the last sixteen generations, against a copy of each.
static void sixteen_generations_can_be_gone_back_to(void **state)
{
	struct fixture *fixture = *state;
	json_t *copies[301] = {ask(fixture, "service list", "{}")};
	json_int_t generations[301] = {1};
	unsigned seed = 7, n = 1;
	char params[300];
	json_t *result;

	for (unsigned i = 0; i < 300; i++) {
		json_int_t generation;

		if (n > SG_HISTORY_GENERATIONS && i % 3 == 0) {
			unsigned to = n - 1 - (unsigned)(rand_r(&seed) % 17);
			json_t *now;

			snprintf(params, sizeof(params), "{\"generation\":%u}",
				(unsigned)generations[to]);
			result = ask(fixture, "rollback", params);
			now = ask(fixture, "service list", "{}");
			assert_true(json_equal(now, copies[to]));
			json_decref(now);
		} else {
			snprintf(params, sizeof(params),
				"{\"owner\":\"o%u\",\"services\":[{\"name\":\"s%u\",\"vip\":\"192.0.3.%u\","
				"\"protocol\":\"tcp\",\"port\":%u,\"backends\":[{\"address\":\"10.0.1.%u\"}]}]}",
				i % 4, i % 4, i % 4, 1 + rand_r(&seed) % 3, 1 + rand_r(&seed) % 3);
			result = ask(fixture, "apply", params);
		}
		generation = json_integer_value(json_object_get(result, "generation"));
		json_decref(result);
		// What changed nothing is answered for the generation that has it, or for a later
		// one that drain deadlines made.
		result = ask(fixture, "history", "{}");
		if (json_integer_value(member(result, 0, "generation")) > generations[n - 1]) {
			assert_int_equal(
				json_integer_value(member(result, 0, "generation")), generation);
			generations[n] = generation;
			copies[n++] = ask(fixture, "service list", "{}");
		}
		assert_int_equal(json_array_size(json_object_get(result, "history")),
			n < SG_HISTORY_GENERATIONS ? n : SG_HISTORY_GENERATIONS);
		json_decref(result);
	}
	assert_true(n > 100);
	snprintf(params, sizeof(params), "{\"generation\":%u}", (unsigned)generations[n - 18]);
	expect_refusal(fixture, "rollback", params, SG_REQUEST_REFUSED,
		"there is no way back to generation");
	snprintf(params, sizeof(params), "{\"generation\":%u}", (unsigned)generations[n - 17]);
	done(ask(fixture, "rollback", params));
	result = ask(fixture, "service list", "{}");
	assert_true(json_equal(result, copies[n - 17]));
	json_decref(result);
	while (n > 0)
		json_decref(copies[--n]);
}

// Changes that are made faster than workers take them share a generation, and each has its entry.
static void waiting_changes_have_one_entry_each(void **state)
{
	struct fixture *fixture = *state;
	json_t *history;
	char line[300];

	fixture->fake.stuck = true;
	for (unsigned i = 0; i < 20; i++) {
		snprintf(line, sizeof(line),
			"{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"backend set\",\"params\":{\"service\":\"web\","
			"\"address\":\"10.0.0.2\",\"port\":8080,\"weight\":%u}}",
			i, i + 2);
		fixture_send(fixture, 1, line);
	}
	fixture->fake.stuck = false;
	while (fixture->n_answers < 20)
		sg_control_turn(fixture->control);
	history = ask(fixture, "history", "{}");
	assert_int_equal(json_array_size(json_object_get(history, "history")), 21);
	assert_int_equal(json_integer_value(member(history, 0, "generation")),
		json_integer_value(member(history, 5, "generation")));
	assert_string_equal(text(history, 0, "summary"), "web: 10.0.0.2:8080 weight 20 -> 21");
	json_decref(history);
	history = ask(fixture, "history", "{\"generation\":2}");
	assert_int_equal(json_array_size(json_object_get(history, "history")), 1);
	json_decref(history);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(each_change_says_who_when_and_what),
		WITH_FIXTURE(what_was_refused_or_only_tried_is_no_change),
		WITH_FIXTURE(the_difference_names_every_member_that_differs),
		WITH_FIXTURE(the_policy_for_all_is_part_of_it),
		cmocka_unit_test(every_key_of_a_service_is_among_the_fields),
		WITH_FIXTURE(the_difference_names_each_field),
		WITH_FIXTURE(what_is_exported_can_be_applied_again),
		WITH_FIXTURE(rollback_covers_all_owners_and_is_a_change_itself),
		WITH_FIXTURE(sixteen_generations_can_be_gone_back_to),
		WITH_FIXTURE(waiting_changes_have_one_entry_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
