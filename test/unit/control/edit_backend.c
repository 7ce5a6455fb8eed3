// Backends by their methods: added, changed, drained and deleted.
#include "control/edit.h"

#include "asking.h"

static void backends_are_added_changed_drained_and_deleted(void **state)
{
	struct fixture *fixture = *state;
	const struct sg_backend_spec *backend;
	struct sg_addr addr;
	uint16_t port;

	assert_int_equal(sg_addr_port_parse("10.0.0.4:80", &addr, &port), 0);
	// The port defaults to the service's, as in the config file.
	done(ask(fixture, "backend add", "{\"service\":\"web\",\"address\":\"10.0.0.4\"}"));
	backend = sg_service_spec_find_backend(find(fixture, "web"), &addr, port);
	assert_non_null(backend);
	assert_int_equal(backend->weight, 1);
	done(ask(fixture, "backend drain",
		"{\"service\":\"web\",\"address\":\"10.0.0.4\",\"port\":80}"));
	backend = sg_service_spec_find_backend(find(fixture, "web"), &addr, port);
	assert_true(backend->draining);
	assert_int_equal(backend->weight, 1); // remembered
	done(ask(fixture, "backend set",
		"{\"service\":\"web\",\"address\":\"10.0.0.4\",\"port\":80,\"weight\":0}"));
	backend = sg_service_spec_find_backend(find(fixture, "web"), &addr, port);
	assert_true(backend->draining);
	done(ask(fixture, "backend set",
		"{\"service\":\"web\",\"address\":\"10.0.0.4\",\"port\":80,\"weight\":7}"));
	backend = sg_service_spec_find_backend(find(fixture, "web"), &addr, port);
	assert_false(backend->draining);
	assert_int_equal(backend->weight, 7);
	assert_int_equal(backend->max_connections, 0);
	done(ask(fixture, "backend set",
		"{\"service\":\"web\",\"address\":\"10.0.0.4\",\"port\":80,\"max_connections\":9}"));
	backend = sg_service_spec_find_backend(find(fixture, "web"), &addr, port);
	assert_int_equal(backend->max_connections, 9);
	assert_int_equal(backend->weight, 7);
	done(ask(fixture, "backend add",
		"{\"service\":\"web\",\"address\":\"10.0.0.4\",\"port\":81,\"max_connections\":4}"));
	assert_int_equal(
		sg_service_spec_find_backend(find(fixture, "web"), &addr, 81)->max_connections, 4);
	done(ask(fixture, "backend delete",
		"{\"service\":\"web\",\"address\":\"10.0.0.4\",\"port\":80,\"now\":true}"));
	assert_null(sg_service_spec_find_backend(find(fixture, "web"), &addr, port));
}

static void draining_twice_changes_nothing_the_second_time(void **state)
{
	static const char backend[] =
		"{\"service\":\"web\",\"address\":\"10.0.0.2\",\"port\":8080}";
	struct fixture *fixture = *state;
	uint64_t n_published;

	done(ask(fixture, "backend drain", backend));
	n_published = fixture->fake.n_published;
	done(ask(fixture, "backend drain", backend));
	assert_int_equal(fixture->fake.n_published, n_published);
}

static void bad_backends_are_refused(void **state)
{
	expect_refusal(*state, "backend add", "{\"service\":\"web\",\"address\":\"192.168.0.1\"}",
		SG_REQUEST_REFUSED,
		"backend 192.168.0.1:80 of service 'web' (of owner 'config') lies outside backend_cidrs");
	expect_refusal(*state, "backend add",
		"{\"service\":\"web\",\"address\":\"10.0.0.2\",\"port\":8080}", SG_REQUEST_REFUSED,
		"service 'web' has the backend 10.0.0.2:8080 already");
	expect_refusal(*state, "backend add", "{\"service\":\"nope\",\"address\":\"10.0.0.2\"}",
		SG_REQUEST_REFUSED, "no service is named 'nope'");
	expect_refusal(*state, "backend add", "{\"service\":\"web\"}", SG_REQUEST_BAD_PARAMS,
		"backend: address is missing");
	expect_refusal(*state, "backend set",
		"{\"service\":\"web\",\"address\":\"10.0.0.9\",\"weight\":1}", SG_REQUEST_REFUSED,
		"service 'web' has no backend 10.0.0.9:80");
	expect_refusal(*state, "backend set",
		"{\"service\":\"web\",\"address\":\"10.0.0.2\",\"port\":8080}",
		SG_REQUEST_BAD_PARAMS, "backend: weight is missing, and so is max_connections");
	expect_refusal(*state, "backend drain", "{\"service\":\"web\",\"address\":\"10.0.0.9\"}",
		SG_REQUEST_REFUSED, "service 'web' has no backend");
	expect_refusal(*state, "backend delete",
		"{\"service\":\"web\",\"address\":\"fd00::1\",\"port\":1}", SG_REQUEST_REFUSED,
		"service 'web' has no backend [fd00::1]:1");
}

static uint8_t life_of(struct fixture *fixture, uint32_t slot)
{
	return sg_snapshot_backend(fixture->fake.published, slot)->life;
}

static void a_backend_that_is_leaving_is_ended_by_delete_now(void **state)
{
	static const char params[] =
		"{\"service\":\"web\",\"address\":\"10.0.0.2\",\"port\":8080,\"now\":true}";
	struct fixture *fixture = *state;
	uint32_t slot = backend_slot(fixture, "10.0.0.2");

	done(ask(fixture, "backend delete",
		"{\"service\":\"web\",\"address\":\"10.0.0.2\",\"port\":8080}"));
	assert_int_equal(life_of(fixture, slot), SG_BACKEND_REMOVED);
	// Without "now" there is nothing left to delete.
	expect_refusal(fixture, "backend delete",
		"{\"service\":\"web\",\"address\":\"10.0.0.2\",\"port\":8080}", SG_REQUEST_REFUSED,
		"service 'web' has no backend 10.0.0.2:8080");
	done(ask(fixture, "backend delete", params));
	assert_int_equal(life_of(fixture, slot), SG_BACKEND_DEAD);
	expect_refusal(fixture, "backend delete", params, SG_REQUEST_REFUSED,
		"service 'web' has no backend 10.0.0.2:8080");
	// The last backend of a service that was deleted itself.
	done(ask(fixture, "service delete", "{\"name\":\"web\"}"));
	done(ask(fixture, "backend delete",
		"{\"service\":\"web\",\"address\":\"10.0.0.3\",\"port\":8080,\"now\":true}"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(backends_are_added_changed_drained_and_deleted),
		WITH_FIXTURE(draining_twice_changes_nothing_the_second_time),
		WITH_FIXTURE(bad_backends_are_refused),
		WITH_FIXTURE(a_backend_that_is_leaving_is_ended_by_delete_now),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
