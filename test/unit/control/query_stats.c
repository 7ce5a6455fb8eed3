// Figures: the account of packets, and what services and backends have counted since they came.
#include "control/query.h"

#include "asking.h"

static void the_account_closes(void **state)
{
	struct fixture *fixture = *state;
	struct sg_counters *totals = fixture->fake.totals;
	json_t *stats, *drops, *drop;
	size_t i;

	// Two packets came in: one was handed from worker 0 to 1 and forwarded, one is on its way;
	// one was dropped.
	totals[0].received = 3;
	totals[0].handed_out = 2;
	totals[0].dropped[SG_DROP_NOT_LOCAL] = 1;
	totals[1].handed_in = 1;
	totals[1].forwarded = 1;
	totals[2].generated = 4; // the twins'
	totals[2].held = 4;
	stats = ask(fixture, "stats", "{}");
	assert_int_equal(json_integer_value(json_object_get(stats, "received")), 3);
	assert_int_equal(json_integer_value(json_object_get(stats, "generated")), 4);
	assert_int_equal(json_integer_value(json_object_get(stats, "forwarded")), 1);
	assert_int_equal(json_integer_value(json_object_get(stats, "in_flight")), 5);
	assert_int_equal(json_array_size(json_object_get(stats, "workers")), FAKE_WORKERS);
	// Every name is there from the start.
	assert_int_equal(json_object_size(json_object_get(stats, "dropped")), SG_DROP_COUNT - 1);
	json_decref(stats);

	drops = ask(fixture, "drops", "{}");
	assert_int_equal(json_array_size(json_object_get(drops, "drops")), SG_DROP_COUNT - 1);
	json_array_foreach(json_object_get(drops, "drops"), i, drop)
	{
		bool ours =
			strcmp(json_string_value(json_object_get(drop, "name")), "not_local") == 0;

		assert_int_equal(json_integer_value(json_object_get(drop, "count")), ours);
		assert_true(json_string_length(json_object_get(drop, "meaning")) > 10);
	}
	json_decref(drops);
}

static json_t *stats_of(struct fixture *fixture, const char *service)
{
	json_t *stats = ask(fixture, "stats", "{}"), *found = NULL, *object;
	size_t i;

	json_array_foreach(json_object_get(stats, "services"), i, object)
	{
		if (strcmp(json_string_value(json_object_get(object, "name")), service) == 0)
			found = json_incref(object);
	}
	assert_non_null(found);
	json_decref(stats);
	return found;
}

static void counters_start_at_zero_when_a_slot_is_reused(void **state)
{
	struct fixture *fixture = *state;
	struct sg_worker_counters *counters = fixture->fake.counters;
	const struct sg_compiler *compiler = sg_rollout_compiler(fixture->control->rollout);
	uint32_t slot = sg_compiler_find_service_slot(compiler, "web");
	uint32_t backend = backend_slot(fixture, "10.0.0.2");
	json_t *web;

	counters[0].services[slot].flows_created = 5;
	counters[0].services[slot].flows_ended = 2;
	counters[0].backends[backend].packets_to_backend = 100;
	counters[1].backends[backend_slot(fixture, "10.0.0.3")].packets_to_backend = 11;
	counters[0].service_losses[slot].by_number[0][SG_SERVICE_DROP_DENIED] = 3;
	counters[1].backend_losses[backend].by_number[1][SG_SERVICE_DROP_TOO_BIG] = 4;
	web = stats_of(fixture, "web");
	assert_int_equal(figure(web, "packets_to_backend"), 111);
	assert_int_equal(figure(web, "flows"), 3);
	assert_int_equal(figure(web, "new_flows"), 5);
	assert_int_equal(figure(web, "dropped"), 7);
	assert_int_equal(figure(json_object_get(web, "dropped_to_backend"), "denied"), 3);
	assert_int_equal(figure(json_object_get(web, "dropped_to_client"), "too_big"), 4);
	assert_int_equal(json_object_size(json_object_get(web, "dropped_to_backend")), 1);
	json_decref(web);

	counters[0].services[slot].flows_ended = 5;
	done(ask(fixture, "service delete", "{\"name\":\"web\"}"));
	done(ask(fixture, "service add",
		"{\"name\":\"web\",\"vip\":\"192.0.2.10\",\"protocol\":\"tcp\",\"port\":80}"));
	web = stats_of(fixture, "web");
	assert_int_equal(figure(web, "packets_to_backend"), 0);
	assert_int_equal(figure(web, "new_flows"), 0);
	assert_int_equal(figure(web, "dropped"), 0);
	json_decref(web);
	done(ask(fixture, "backend add",
		"{\"service\":\"web\",\"address\":\"10.0.0.2\",\"port\":8080}"));
	counters[0].backends[backend_slot(fixture, "10.0.0.2")].packets_to_backend += 1;
	web = stats_of(fixture, "web");
	assert_int_equal(figure(web, "packets_to_backend"), 1);
	json_decref(web);
}

// What a backend that is gone has carried stays its service's, also when its slot is another's.
static void a_service_keeps_what_its_former_backends_counted(void **state)
{
	struct fixture *fixture = *state;
	struct sg_worker_counters *counters = fixture->fake.counters;
	uint32_t backend = backend_slot(fixture, "10.0.0.2"), later = UINT32_MAX;
	json_t *stats;

	counters[0].backends[backend].packets_to_client = 70;
	done(ask(fixture, "backend delete",
		"{\"service\":\"web\",\"address\":\"10.0.0.2\",\"port\":8080,\"now\":true}"));
	counters[0].backends[backend].packets_to_client = 75;
	// Workers sweep, and the slot is given out again.
	for (unsigned i = 0; i < 5; i++) {
		for (unsigned worker = 0; worker < FAKE_WORKERS; worker++)
			fixture->fake.totals[worker].sweeps += 2;
		done(ask(fixture, "service set",
			i % 2 ? "{\"name\":\"web\",\"scheduler\":\"rr\"}"
			      : "{\"name\":\"web\",\"scheduler\":\"maglev\"}"));
		done(ask(fixture, "service set",
			i % 2 ? "{\"name\":\"web\",\"scheduler\":\"lc\"}"
			      : "{\"name\":\"web\",\"scheduler\":\"wlc\"}"));
	}
	done(ask(fixture, "service add",
		"{\"name\":\"api\",\"vip\":\"192.0.2.11\",\"protocol\":\"tcp\",\"port\":80,"
		"\"backends\":[{\"address\":\"10.0.0.9\",\"port\":8080}]}"));
	later = sg_compiler_find_backend_slot(sg_rollout_compiler(fixture->control->rollout), "api",
		&find(fixture, "api")->backends[0].address, 8080);
	assert_int_equal(later, backend);
	counters[0].backends[backend].packets_to_client = 80;
	stats = stats_of(fixture, "web");
	assert_int_equal(figure(stats, "packets_to_client"), 75);
	json_decref(stats);
	stats = stats_of(fixture, "api");
	assert_int_equal(figure(stats, "packets_to_client"), 5);
	json_decref(stats);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(the_account_closes),
		WITH_FIXTURE(counters_start_at_zero_when_a_slot_is_reused),
		WITH_FIXTURE(a_service_keeps_what_its_former_backends_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
