// Generations on their way to workers that pass when the test says so, on a clock that the test
// moves.
#include "control/rollout.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "control/edit.h"
#include "fixture.h"
#include "service/state_diff.h"

struct rig {
	struct fixture *fixture; // of which only the settings and the fake data plane are used
	struct sg_statistics *statistics;
	struct sg_rollout *rollout;
	uint64_t now_ms;
	struct sg_rollout_result results[64]; // in the order of their arrival
	unsigned n_results;
};

static void take_result(void *context, const struct sg_rollout_result *result)
{
	struct rig *rig = context;

	rig->results[rig->n_results++] = *result;
}

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct sg_error error;
	struct sg_state empty;

	rig->fixture = fixture_create(FIXTURE_CONFIG);
	rig->statistics = sg_statistics_create(&rig->fixture->fake.publisher);
	rig->fixture->fake.n_published = 0;
	rig->fixture->fake.n_passed = 0;
	rig->now_ms = 1000000;
	sg_state_init(&empty);
	assert_int_equal(sg_rollout_create(&rig->rollout, &rig->fixture->settings, &empty,
				 &rig->fixture->fake.publisher, NULL, rig->statistics, &error),
		0);
	sg_rollout_turn(rig->rollout, rig->now_ms);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	sg_rollout_destroy(rig->rollout);
	sg_statistics_destroy(rig->statistics);
	fixture_destroy(rig->fixture);
	free(rig);
	return 0;
}

// A candidate that has one more service, of this number, than what was committed last.
static void add_service(struct sg_state *ret_candidate, const struct rig *rig, unsigned number)
{
	char name[32], vip[32];
	struct sg_service_spec *spec;

	snprintf(name, sizeof(name), "s%u", number);
	snprintf(vip, sizeof(vip), "192.0.2.%u", number);
	assert_int_equal(sg_state_clone(ret_candidate, sg_rollout_state(rig->rollout)), 0);
	spec = sg_service_spec_create(name, "operator");
	assert_int_equal(sg_addr_parse(vip, &spec->vips[0]), 0);
	spec->n_vips = 1;
	spec->protocol = 6;
	spec->port = 80;
	assert_int_equal(sg_state_put(ret_candidate, spec), 0);
}

static int commit(struct rig *rig, struct sg_state *candidate)
{
	struct sg_error error;
	int err = sg_rollout_commit(
		rig->rollout, candidate, NULL, 0, take_result, rig, rig->now_ms, &error);

	sg_state_fini(candidate);
	return err;
}

static void commit_service(struct rig *rig, unsigned number)
{
	struct sg_state candidate;

	add_service(&candidate, rig, number);
	assert_int_equal(commit(rig, &candidate), 0);
}

static uint64_t turn(struct rig *rig)
{
	return sg_rollout_turn(rig->rollout, rig->now_ms);
}

static void a_commit_is_answered_when_all_workers_switched(void **state)
{
	struct rig *rig = *state;
	struct fake_dataplane *fake = &rig->fixture->fake;

	fake->stuck = true;
	commit_service(rig, 1);
	assert_int_equal(rig->n_results, 0); // never before it returns
	assert_true(turn(rig) <= 1000);
	assert_int_equal(rig->n_results, 0);
	fake->stuck = false;
	turn(rig);
	assert_int_equal(rig->n_results, 1);
	assert_true(rig->results[0].active);
	assert_int_equal(rig->results[0].err, 0);
	assert_int_equal(rig->results[0].generation, fake->published->generation);
	// Nothing is under way any more, so nobody needs to look.
	assert_true(turn(rig) == SG_ROLLOUT_NEVER);
}

static void a_late_worker_is_named_after_100_ms_and_the_commit_stands(void **state)
{
	struct rig *rig = *state;
	struct fake_dataplane *fake = &rig->fixture->fake;

	fake->stuck = true;
	commit_service(rig, 1);
	rig->now_ms += 99;
	turn(rig);
	assert_int_equal(rig->n_results, 0);
	rig->now_ms += 1;
	turn(rig);
	assert_int_equal(rig->n_results, 1);
	assert_false(rig->results[0].active);
	assert_int_equal(rig->results[0].err, 0);
	assert_int_equal(rig->results[0].late_worker, 1);
	assert_non_null(sg_state_find(sg_rollout_state(rig->rollout), "s1"));
	// Memory can wait longer than a person.
	for (unsigned i = 0; i < 20; i++)
		turn(rig);
	assert_true(turn(rig) >= 10000);
	fake->stuck = false;
	turn(rig);
	assert_int_equal(rig->n_results, 1);
}

// A large change whose way to the workers took long: nobody is late before he was given it.
static void a_large_commit_waits_from_when_workers_have_it(void **state)
{
	struct rig *rig = *state;
	struct fake_dataplane *fake = &rig->fixture->fake;
	struct sg_state candidate;
	struct sg_error error;

	fake->stuck = true;
	add_service(&candidate, rig, 1);
	assert_true(sg_rollout_hold(rig->rollout));
	sg_rollout_begin(rig->rollout, &candidate, NULL, 0, rig->now_ms);
	sg_rollout_prepare(rig->rollout);
	assert_int_equal(sg_rollout_conclude(rig->rollout, take_result, rig, &error), 0);
	rig->now_ms += 500;
	turn(rig);
	turn(rig);
	assert_int_equal(rig->n_results, 0);
	rig->now_ms += SG_ROLLOUT_ANSWER_MS - 1;
	turn(rig);
	assert_int_equal(rig->n_results, 0);
	rig->now_ms += 1;
	turn(rig);
	assert_int_equal(rig->n_results, 1);
	assert_false(rig->results[0].active);
	assert_int_equal(rig->results[0].late_worker, 1);
}

static void looks_grow_rarer(void **state)
{
	struct rig *rig = *state;
	uint64_t last = 0;

	rig->fixture->fake.stuck = true;
	commit_service(rig, 1);
	for (unsigned i = 0; i < 20; i++) {
		uint64_t delay = turn(rig);

		assert_true(delay > 0 && delay >= last && delay <= 1000);
		last = delay;
	}
	assert_int_equal(last, 1000);
}

static void beyond_eight_in_flight_commits_become_one_generation(void **state)
{
	struct rig *rig = *state;
	struct fake_dataplane *fake = &rig->fixture->fake;
	uint64_t first = fake->published->generation;

	fake->stuck = true;
	for (unsigned i = 1; i <= 20; i++)
		commit_service(rig, i);
	turn(rig);
	assert_int_equal(fake->n_published, 1 + SG_ROLLOUT_MAX_IN_FLIGHT);
	// Every commit sees those before it, published or not.
	assert_int_equal(sg_rollout_state(rig->rollout)->n_services, 20);
	fake->stuck = false;
	turn(rig); // those in flight have passed; the pending one is published
	assert_int_equal(rig->n_results, SG_ROLLOUT_MAX_IN_FLIGHT);
	assert_int_equal(fake->n_published, 2 + SG_ROLLOUT_MAX_IN_FLIGHT);
	turn(rig);
	assert_int_equal(rig->n_results, 20);
	for (unsigned i = 0; i < 20; i++) {
		assert_true(rig->results[i].active);
		assert_true(rig->results[i].generation <= first + SG_ROLLOUT_MAX_IN_FLIGHT + 1);
	}
	assert_int_equal(sg_rollout_snapshot(rig->rollout)->generation,
		first + SG_ROLLOUT_MAX_IN_FLIGHT + 1);
	for (unsigned i = 1; i <= 20; i++) {
		char name[32];

		snprintf(name, sizeof(name), "s%u", i);
		assert_non_null(sg_state_find(sg_rollout_state(rig->rollout), name));
	}
}

static void a_pending_commit_is_answered_late_when_nothing_passes(void **state)
{
	struct rig *rig = *state;
	struct fake_dataplane *fake = &rig->fixture->fake;
	uint64_t first = fake->published->generation;

	fake->stuck = true;
	for (unsigned i = 1; i <= 10; i++)
		commit_service(rig, i);
	rig->now_ms += SG_ROLLOUT_ANSWER_MS;
	turn(rig);
	assert_int_equal(rig->n_results, 10);
	for (unsigned i = 0; i < 10; i++)
		assert_false(rig->results[i].active);
	// Answers come in any order; the newest generation is the one to be compiled.
	for (unsigned i = 0; i < 10; i++)
		assert_true(rig->results[i].generation > first &&
			    rig->results[i].generation <= first + SG_ROLLOUT_MAX_IN_FLIGHT + 1);
}

static void a_refused_commit_leaves_no_trace(void **state)
{
	struct rig *rig = *state;
	struct fake_dataplane *fake = &rig->fixture->fake;
	struct sg_state candidate;

	commit_service(rig, 1);
	turn(rig);
	add_service(&candidate, rig, 2);
	sg_state_get(&candidate, (struct sg_state_place){.at = 1})->port = 0;
	assert_int_equal(commit(rig, &candidate), -EINVAL);
	turn(rig);
	assert_int_equal(rig->n_results, 1);
	assert_int_equal(fake->n_published, 2);
	assert_int_equal(sg_rollout_state(rig->rollout)->n_services, 1);
}

static void a_commit_of_the_same_state_is_answered_without_a_generation(void **state)
{
	struct rig *rig = *state;
	struct sg_state candidate;

	commit_service(rig, 1);
	turn(rig);
	assert_int_equal(sg_state_clone(&candidate, sg_rollout_state(rig->rollout)), 0);
	assert_int_equal(commit(rig, &candidate), 0);
	turn(rig);
	assert_int_equal(rig->n_results, 2);
	assert_true(rig->results[1].active);
	assert_int_equal(rig->results[1].generation, rig->results[0].generation);
	assert_int_equal(rig->fixture->fake.n_published, 2);
}

// A state with one service whose backends are those of the list.
static void commit_backends(struct rig *rig, const char *const *addresses)
{
	struct sg_service_spec *spec;
	struct sg_state candidate;

	sg_state_init(&candidate);
	spec = sg_service_spec_create("web", "operator");
	assert_int_equal(sg_addr_parse("192.0.2.1", &spec->vips[0]), 0);
	spec->n_vips = 1;
	spec->protocol = 6;
	spec->port = 80;
	for (; *addresses; addresses++) {
		struct sg_backend_spec backend = {.port = 80, .weight = 1};

		assert_int_equal(sg_addr_parse(*addresses, &backend.address), 0);
		assert_int_equal(sg_service_spec_put_backend(spec, &backend), 0);
	}
	assert_int_equal(sg_state_put(&candidate, spec), 0);
	assert_int_equal(commit(rig, &candidate), 0);
	turn(rig);
}

static enum sg_backend_life life_of(const struct rig *rig, uint32_t slot)
{
	return (enum sg_backend_life)sg_snapshot_backend(sg_rollout_snapshot(rig->rollout), slot)
		->life;
}

static void a_removed_backend_dies_at_its_deadline_by_itself(void **state)
{
	static const char *const two[] = {"10.0.0.2", "10.0.0.3", NULL};
	static const char *const one[] = {"10.0.0.2", NULL};
	struct rig *rig = *state;
	struct sg_addr addr;
	uint64_t generation, delay_us;
	uint32_t slot;

	assert_int_equal(sg_addr_parse("10.0.0.3", &addr), 0);
	commit_backends(rig, two);
	slot = sg_compiler_find_backend_slot(sg_rollout_compiler(rig->rollout), "web", &addr, 80);
	assert_int_equal(life_of(rig, slot), SG_BACKEND_ACTIVE);
	commit_backends(rig, one);
	assert_int_equal(life_of(rig, slot), SG_BACKEND_REMOVED);
	generation = sg_rollout_snapshot(rig->rollout)->generation;

	// The loop is told when to come back, and then it happens: timeouts.drain is 1 s here.
	delay_us = turn(rig);
	assert_true(delay_us > 0 && delay_us <= 1000000);
	rig->now_ms += delay_us / 1000 + 1;
	turn(rig);
	assert_int_equal(life_of(rig, slot), SG_BACKEND_DEAD);
	assert_int_equal(sg_rollout_snapshot(rig->rollout)->generation, generation + 1);
}

static void end_now_kills_at_once(void **state)
{
	static const char *const one[] = {"10.0.0.2", NULL};
	struct rig *rig = *state;
	struct sg_rollout_end end = {.service = "web", .port = 80};
	struct sg_state candidate;
	struct sg_service_spec *spec;
	struct sg_error error;
	uint32_t slot;

	assert_int_equal(sg_addr_parse("10.0.0.2", &end.address), 0);
	commit_backends(rig, one);
	slot = sg_compiler_find_backend_slot(
		sg_rollout_compiler(rig->rollout), "web", &end.address, 80);
	assert_int_equal(sg_state_clone(&candidate, sg_rollout_state(rig->rollout)), 0);
	spec = sg_service_spec_clone(sg_state_find(&candidate, "web"));
	assert_int_equal(sg_service_spec_remove_backend(spec, &end.address, 80), 0);
	assert_int_equal(sg_state_put(&candidate, spec), 0);
	assert_int_equal(sg_rollout_commit(rig->rollout, &candidate, &end, 1, take_result, rig,
				 rig->now_ms, &error),
		0);
	assert_int_equal(life_of(rig, slot), SG_BACKEND_DEAD);
}

static void the_end_answers_whoever_waits(void **state)
{
	struct rig *rig = *state;

	rig->fixture->fake.stuck = true;
	commit_service(rig, 1);
	sg_rollout_destroy(rig->rollout);
	rig->rollout = NULL;
	assert_int_equal(rig->n_results, 1);
	assert_int_equal(rig->results[0].err, -ECANCELED);
}

struct seen {
	char text[200];
};

static void note(
	void *context, const struct sg_service_spec *before, const struct sg_service_spec *after)
{
	struct seen *seen = context;

	strcat(seen->text, before && after ? "~" : before ? "-" : "+");
	strcat(seen->text, before ? before->name : after->name);
	strcat(seen->text, " ");
}

static struct sg_state state_of(const char *const *names)
{
	struct sg_state state;

	sg_state_init(&state);
	for (; *names; names++)
		assert_int_equal(sg_state_put(&state, sg_service_spec_create(*names, "o")), 0);
	return state;
}

static void states_are_compared_service_by_service(void **unused)
{
	static const char *const before_names[] = {"a", "b", "d", "e", NULL};
	static const char *const new_names[] = {"b", "c", "f", NULL};
	struct sg_state before = state_of(before_names);
	struct sg_state fresh = state_of(new_names);
	struct sg_state after;
	struct sg_state_place place = {0};
	struct sg_service_spec *spec;
	struct seen seen = {0};

	(void)unused;
	// After: a kept, b replaced, c new, d gone, e kept, f new.
	assert_int_equal(sg_state_clone(&after, &before), 0);
	assert_int_equal(sg_state_remove(&after, "d"), 0);
	while ((spec = sg_state_next(&fresh, &place)))
		assert_int_equal(sg_state_put(&after, sg_service_spec_ref(spec)), 0);
	sg_state_diff(&before, &after, note, &seen);
	assert_string_equal(seen.text, "~b +c -d +f ");
	seen.text[0] = '\0';
	sg_state_diff(&after, &before, note, &seen);
	assert_string_equal(seen.text, "~b -c +d -f ");
	assert_int_equal(sg_state_count_changes(&before, &after).added, 2);
	assert_int_equal(sg_state_count_changes(&before, &before).changed, 0);
	sg_state_fini(&before);
	sg_state_fini(&after);
	sg_state_fini(&fresh);
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RIG(a_commit_is_answered_when_all_workers_switched),
		WITH_RIG(a_late_worker_is_named_after_100_ms_and_the_commit_stands),
		WITH_RIG(a_large_commit_waits_from_when_workers_have_it),
		WITH_RIG(looks_grow_rarer),
		WITH_RIG(beyond_eight_in_flight_commits_become_one_generation),
		WITH_RIG(a_pending_commit_is_answered_late_when_nothing_passes),
		WITH_RIG(a_refused_commit_leaves_no_trace),
		WITH_RIG(a_commit_of_the_same_state_is_answered_without_a_generation),
		WITH_RIG(a_removed_backend_dies_at_its_deadline_by_itself),
		WITH_RIG(end_now_kills_at_once),
		WITH_RIG(the_end_answers_whoever_waits),
		cmocka_unit_test(states_are_compared_service_by_service),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
