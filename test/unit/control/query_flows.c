// Flows as they are listed.
#include "control/query.h"

#include <arpa/inet.h>

#include "asking.h"

static void insert_flow(struct fixture *fixture, unsigned worker, uint16_t client_port)
{
	struct sg_flow_table *table = fixture->fake.tables[worker];
	struct sg_flow flow = {.state = SG_FLOW_TCP_ESTABLISHED};
	uint64_t hashes[2];

	flow.client = (struct sg_tuple){.src_be = htonl(0xc6336407),
		.dst_be = htonl(0xc000020a),
		.sport_be = htons(client_port),
		.dport_be = htons(80),
		.proto = 6};
	flow.server = (struct sg_tuple){.src_be = htonl(0x0a000002),
		.dst_be = htonl(0x0a000064),
		.sport_be = htons(8080),
		.dport_be = htons(client_port),
		.proto = 6};
	sg_flow_table_hash(table, &flow.client, 1, &hashes[0]);
	sg_flow_table_hash(table, &flow.server, 1, &hashes[1]);
	assert_true(sg_flow_table_insert(table, &flow, hashes[0], hashes[1]) != 0);
}

static void flows_are_listed_up_to_the_limit(void **state)
{
	struct fixture *fixture = *state;
	json_t *result, *flow;

	for (unsigned i = 0; i < 150; i++)
		insert_flow(fixture, i % FAKE_WORKERS, (uint16_t)(40000 + i));
	result = ask(fixture, "flows", "{}");
	assert_int_equal(json_array_size(json_object_get(result, "flows")), 100);
	assert_true(json_is_true(json_object_get(result, "more")));
	flow = json_array_get(json_object_get(result, "flows"), 0);
	assert_string_equal(json_string_value(json_object_get(flow, "service")), "web");
	assert_string_equal(json_string_value(json_object_get(flow, "vip")), "192.0.2.10:80");
	assert_string_equal(json_string_value(json_object_get(flow, "backend")), "10.0.0.2:8080");
	assert_string_equal(json_string_value(json_object_get(flow, "state")), "established");
	json_decref(result);

	result = ask(fixture, "flows", "{\"limit\":100000,\"service\":\"web\"}");
	assert_int_equal(json_array_size(json_object_get(result, "flows")), 150);
	assert_true(json_is_false(json_object_get(result, "more")));
	json_decref(result);
	result = ask(fixture, "flows", "{\"limit\":150}");
	assert_true(json_is_false(json_object_get(result, "more")));
	json_decref(result);
}

static void insert_flow6(struct fixture *fixture)
{
	struct sg_flow_table *table = fixture->fake.tables[0];
	struct sg_flow flow = {.state = SG_FLOW_UDP};
	struct sg_flow_addresses addresses;
	uint64_t hashes[2];

	inet_pton(AF_INET6, "2001:db8::7", addresses.client.src);
	inet_pton(AF_INET6, "2001:db8:1::10", addresses.client.dst);
	inet_pton(AF_INET6, "fd00::2", addresses.server.src);
	inet_pton(AF_INET6, "fd00::100", addresses.server.dst);
	flow.client = (struct sg_tuple){
		.sport_be = htons(40000), .dport_be = htons(53), .proto = IPPROTO_UDP};
	flow.server = (struct sg_tuple){
		.sport_be = htons(5353), .dport_be = htons(1024), .proto = IPPROTO_UDP};
	sg_flow_table_key6(table, &addresses.client, &flow.client);
	sg_flow_table_key6(table, &addresses.server, &flow.server);
	sg_flow_table_hash(table, &flow.client, 1, &hashes[0]);
	sg_flow_table_hash(table, &flow.server, 1, &hashes[1]);
	assert_true(sg_flow_table_insert6(table, &flow, &addresses, hashes[0], hashes[1]) != 0);
}

static void expect_member(const json_t *object, const char *name, const char *value)
{
	assert_string_equal(json_string_value(json_object_get(object, name)), value);
}

static void an_ipv6_flow_is_listed_with_its_addresses(void **state)
{
	struct fixture *fixture = *state;
	json_t *result, *flow;

	insert_flow6(fixture);
	result = ask(fixture, "flows", "{}");
	assert_int_equal(json_array_size(json_object_get(result, "flows")), 1);
	flow = json_array_get(json_object_get(result, "flows"), 0);
	expect_member(flow, "protocol", "udp");
	expect_member(flow, "client", "[2001:db8::7]:40000");
	expect_member(flow, "vip", "[2001:db8:1::10]:53");
	expect_member(flow, "backend", "[fd00::2]:5353");
	expect_member(flow, "snat", "[fd00::100]:1024");
	json_decref(result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(flows_are_listed_up_to_the_limit),
		WITH_FIXTURE(an_ipv6_flow_is_listed_with_its_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
