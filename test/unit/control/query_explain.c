// What is said of a packet, for what the data plane has found out about it.
#include "control/query.h"

#include "asking.h"
#include "net/headers.h"

static const char *step_of(const json_t *told, const char *name)
{
	size_t i;
	json_t *step;

	json_array_foreach(json_object_get(told, "steps"), i, step)
	{
		if (strcmp(json_string_value(json_object_get(step, "step")), name) == 0)
			return json_string_value(json_object_get(step, "what"));
	}
	return "";
}

static void a_packet_is_explained(void **state)
{
	struct fixture *fixture = *state;
	struct sg_explanation *told = &fixture->fake.explanation;
	const struct sg_compiler *compiler = sg_rollout_compiler(fixture->control->rollout);
	json_t *result;

	*told = (struct sg_explanation){.end = SG_EXPLAINED_FORWARDED,
		.worker = 1,
		.asked_service = true,
		.service_slot = sg_compiler_find_service_slot(compiler, "web"),
		.choice = SG_CHOICE_SCHEDULER,
		.scheduler = SG_SCHEDULER_LC,
		.n_candidates = 2,
		.least_flows = 7,
		.backend_slot = backend_slot(fixture, "10.0.0.2"),
		.rewritten = true,
		.src = {.family = SG_FAMILY_IPV4, .bytes = {10, 0, 0, 100}},
		.dst = {.family = SG_FAMILY_IPV4, .bytes = {10, 0, 0, 2}},
		.sport = 1234,
		.dport = 8080,
		.next_mac = {2, 0, 0, 0, 0, 9}};
	result = ask(fixture, "explain",
		"{\"protocol\":\"tcp\",\"source\":\"198.51.100.7\",\"source_port\":40000,"
		"\"destination\":\"192.0.2.10\",\"destination_port\":80,\"flags\":\"ack\",\"in\":\"p0\"}");
	assert_int_equal(fixture->fake.question.sport, 40000);
	assert_int_equal(fixture->fake.question.dport, 80);
	assert_int_equal(fixture->fake.question.tcp_flags, SG_TCP_ACK);
	assert_true(json_is_true(json_object_get(result, "forwarded")));
	assert_string_equal(json_string_value(json_object_get(result, "service")), "web");
	assert_string_equal(json_string_value(json_object_get(result, "backend")), "10.0.0.2:8080");
	assert_string_equal(json_string_value(json_object_get(result, "port")), "p0");
	assert_string_equal(step_of(result, "worker"),
		"worker 0 gets it and hands it to worker 1, where its flow lives");
	assert_string_equal(step_of(result, "choice"),
		"lc, among 2 backends: none has fewer connections (it has 7, as worker 1 sees it)");
	assert_string_equal(step_of(result, "backend"), "10.0.0.2:8080, weight 1, active");
	assert_string_equal(step_of(result, "rewrite"),
		"from 10.0.0.100:1234 to 10.0.0.2:8080; the SNAT port may be another when it is sent");
	assert_string_equal(step_of(result, "next hop"), "02:00:00:00:00:09");
	json_decref(result);

	// Refused by a policy: the prefix that says so is named.
	done(ask(fixture, "policy set", "{\"deny\":[\"203.0.113.0/24\",\"198.51.100.0/25\"]}"));
	*told = (struct sg_explanation){.end = SG_EXPLAINED_DROPPED,
		.drop = SG_DROP_DENIED,
		.asked_service = true,
		.service_slot = told->service_slot,
		.refused = SG_DROP_DENIED,
		.backend_slot = UINT32_MAX};
	result = ask(fixture, "explain",
		"{\"protocol\":\"udp\",\"source\":\"198.51.100.7\",\"source_port\":40000,"
		"\"destination\":\"192.0.2.10\",\"destination_port\":80}");
	assert_true(json_is_false(json_object_get(result, "forwarded")));
	assert_string_equal(json_string_value(json_object_get(result, "drop")), "denied");
	assert_true(json_is_null(json_object_get(result, "backend")));
	assert_string_equal(step_of(result, "policy"),
		"denied: 198.51.100.0/25 is in deny of the policy for all services");
	assert_non_null(strstr(step_of(result, "end"), "dropped as denied: "));
	json_decref(result);

	// To a SNAT address no service can be declared.
	*told = (struct sg_explanation){.end = SG_EXPLAINED_RESET,
		.asked_service = true,
		.service_slot = UINT32_MAX,
		.backend_slot = UINT32_MAX};
	result = ask(fixture, "explain",
		"{\"protocol\":\"tcp\",\"source\":\"10.0.0.2\",\"source_port\":8080,"
		"\"destination\":\"10.0.0.100\",\"destination_port\":4000}");
	assert_non_null(strstr(step_of(result, "service"), "SNAT address"));
	assert_non_null(strstr(step_of(result, "end"), "it answers no flow that is known"));
	json_decref(result);

	expect_refusal(fixture, "explain", "{\"protocol\":\"tcp\"}", SG_REQUEST_BAD_PARAMS,
		"explain: source is missing");
	expect_refusal(fixture, "explain",
		"{\"protocol\":\"icmp\",\"source\":\"198.51.100.7\",\"source_port\":1,"
		"\"destination\":\"192.0.2.10\",\"destination_port\":80}",
		SG_REQUEST_BAD_PARAMS, "explain: protocol must be \"tcp\" or \"udp\"");
	expect_refusal(fixture, "explain",
		"{\"protocol\":\"tcp\",\"source\":\"2001:db8::1\",\"source_port\":1,"
		"\"destination\":\"192.0.2.10\",\"destination_port\":80}",
		SG_REQUEST_BAD_PARAMS, "explain: destination must be of the source's family");
	expect_refusal(fixture, "explain",
		"{\"protocol\":\"tcp\",\"source\":\"198.51.100.7\",\"source_port\":1,"
		"\"destination\":\"192.0.2.10\",\"destination_port\":80,\"in\":\"p9\"}",
		SG_REQUEST_REFUSED, "no port is named 'p9'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(a_packet_is_explained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
