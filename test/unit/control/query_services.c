// What is exported, and that it can be applied.
#include "control/query.h"

#include "asking.h"

// What an export is, `apply` takes and leaves everything as it is.
static void an_export_applies(void **state)
{
	struct fixture *fixture = *state;
	json_t *exported, *again;
	uint64_t n_published;
	char *params;

	done(ask(fixture, "service add",
		"{\"name\":\"full\",\"vip\":\"192.0.2.30\",\"protocol\":\"udp\",\"port\":5000,"
		"\"scheduler\":\"wlc\",\"forward\":\"snat\",\"allow\":[\"10.1.0.0/16\",\"192.0.2.7/32\"],"
		"\"affinity_timeout\":60,\"announce\":\"never\",\"maglev_table_size\":251,\"backends\":["
		"{\"address\":\"10.0.0.8\",\"port\":1,\"weight\":0},"
		"{\"address\":\"10.0.0.9\",\"weight\":65535,\"draining\":true}]}"));
	exported = ask(fixture, "export", "{\"owner\":\"operator\"}");
	assert_int_equal(json_array_size(json_object_get(exported, "other_owners")), 1);
	json_object_del(exported, "other_owners");
	params = json_dumps(exported, 0);
	n_published = fixture->fake.n_published;
	done(ask(fixture, "apply", params));
	assert_int_equal(fixture->fake.n_published, n_published);
	done(ask(fixture, "service delete", "{\"name\":\"full\"}"));
	done(ask(fixture, "apply", params));
	again = ask(fixture, "export", "{}");
	json_object_del(again, "other_owners");
	assert_true(json_equal(exported, again));
	json_decref(exported);
	json_decref(again);
	free(params);
}

static void an_export_chooses_the_only_owner(void **state)
{
	json_t *exported = ask(*state, "export", "{}");

	assert_string_equal(json_string_value(json_object_get(exported, "owner")), "config");
	assert_int_equal(json_array_size(json_object_get(exported, "services")), 1);
	json_decref(exported);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(an_export_applies),
		WITH_FIXTURE(an_export_chooses_the_only_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
