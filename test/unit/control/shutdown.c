// The way to the end: what SIGTERM does.
#include "control/shutdown.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "net/headers.h"

static int set_up(void **state)
{
	*state = fixture_create(
		"ports: ( { name = \"p0\"; device = \"net_tap0\"; addresses = [\"198.51.100.11/24\"]; } );"
		"snat: { addresses = [\"10.0.0.100\"]; };"
		"services: ( { name = \"web\"; vip = \"192.0.2.10\"; protocol = \"tcp\"; port = 80; "
		"backends = ( { address = \"10.0.0.2\"; } ); } );");
	return 0;
}

static int tear_down(void **state)
{
	fixture_destroy(*state);
	return 0;
}

static void done(json_t *answer)
{
	assert_true(json_is_true(json_object_get(json_object_get(answer, "result"), "active")));
	json_decref(answer);
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

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(the_end_waits_for_established_connections),
		WITH_FIXTURE(the_end_has_a_deadline_and_can_be_hurried),
		WITH_FIXTURE(a_second_signal_ends_it_at_once),
		WITH_FIXTURE(without_time_or_flows_it_ends_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
