// Limits of connections and of new ones: exact with one worker, each under its own name.
#include "peer.h"
#include "rig.h"
#include "stages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct sg_service_spec *open_rig(struct rig *rig, unsigned n_workers)
{
	rig_open(rig, &(struct rig_options){.n_workers = n_workers});
	return rig_service(rig, "web", SG_PROTO_TCP, 80);
}

// A SYN from a client's port, and what becomes of it: SG_DROP_NONE when it is forwarded.
static enum sg_drop connect_from(struct rig *rig, const char *client, uint16_t sport)
{
	struct peer peer = meet(rig, SG_PROTO_TCP, sport, 80);
	const struct sg_pkt *pkt;

	peer.client.src = client;
	pkt = client_sends(&peer, SG_TCP_SYN, 100, 0, 0);
	if (pkt->verdict == SG_VERDICT_DROP)
		return (enum sg_drop)pkt->drop;
	expect(pkt, SG_VERDICT_FORWARD);
	return SG_DROP_NONE;
}

void a_service_has_so_many_connections(void **unused)
{
	struct peer peer;
	struct rig rig;

	(void)unused;
	open_rig(&rig, 1)->limits.max_connections = 3;
	rig_commit(&rig);
	peer = meet(&rig, SG_PROTO_TCP, 4000, 80);
	establish(&peer);
	assert_int_equal(connect_from(&rig, CLIENT, 4001), SG_DROP_NONE);
	assert_int_equal(connect_from(&rig, CLIENT, 4002), SG_DROP_NONE);
	assert_int_equal(connect_from(&rig, "203.0.113.9", 4003), SG_DROP_SERVICE_LIMIT);
	// Those that exist go on, and when one ends another may come.
	expect(client_sends(&peer, SG_TCP_ACK, 101, 501, 5), SG_VERDICT_FORWARD);
	close_both_sides(&peer);
	rig_pass_ms(&rig, 12000);
	rig_sweep(&rig);
	assert_int_equal(connect_from(&rig, CLIENT, 4003), SG_DROP_NONE);
	assert_int_equal(connect_from(&rig, CLIENT, 4004), SG_DROP_SERVICE_LIMIT);
	rig_close(&rig);
}

void another_backend_takes_what_one_cannot(void **unused)
{
	struct sg_service_spec *spec;
	struct rig rig;
	unsigned taken = 0;

	(void)unused;
	spec = open_rig(&rig, 1);
	spec->limits.max_connections_per_backend = 5;
	rig_backend(spec, POD2, 8080, 1);
	rig_commit(&rig);
	while (connect_from(&rig, CLIENT, (uint16_t)(4000 + taken)) == SG_DROP_NONE)
		taken++;
	assert_int_equal(taken, 10);
	assert_int_equal(connect_from(&rig, CLIENT, 5000), SG_DROP_BACKEND_LIMIT);
	assert_int_equal(rig.pipelines[0]->backend_flows[0], 5);
	assert_int_equal(rig.pipelines[0]->backend_flows[1], 5);
	rig_close(&rig);
}

// Also while limits come and go: whoever was counted is counted out, and nobody else.
void a_client_has_so_many_connections(void **unused)
{
	struct sg_service_spec *spec;
	struct rig rig;

	(void)unused;
	open_rig(&rig, 1);
	rig_commit(&rig);
	assert_int_equal(connect_from(&rig, CLIENT, 3999), SG_DROP_NONE); // not counted
	spec = sg_service_spec_clone(sg_state_find(&rig.state, "web"));
	assert_non_null(spec);
	spec->limits.max_connections_per_client = 2;
	assert_int_equal(sg_state_put(&rig.state, spec), 0);
	rig_commit(&rig);
	for (unsigned round = 0; round < 3; round++) {
		for (uint16_t port = 4000; port < 4002; port++) {
			assert_int_equal(connect_from(&rig, CLIENT, port), SG_DROP_NONE);
			assert_int_equal(connect_from(&rig, "203.0.113.9", port), SG_DROP_NONE);
		}
		assert_int_equal(connect_from(&rig, CLIENT, 4002), SG_DROP_CLIENT_LIMIT);
		assert_int_equal(connect_from(&rig, "203.0.113.9", 4002), SG_DROP_CLIENT_LIMIT);
		rig_pass_ms(&rig, 40000);
		rig_sweep(&rig);
		assert_int_equal(sg_flow_table_count(rig.pipelines[0]->flows), 0);
	}
	for (uint32_t i = 0; i <= rig.pipelines[0]->limits.mask; i++)
		assert_true(rig.pipelines[0]->limits.counts[i].key == 0);
	rig_close(&rig);
}

void so_many_connections_begin_in_a_second(void **unused)
{
	struct rig rig;
	unsigned taken = 0;

	(void)unused;
	open_rig(&rig, 1)->limits.max_new_per_second = 20;
	rig_commit(&rig);
	while (connect_from(&rig, CLIENT, (uint16_t)(4000 + taken)) == SG_DROP_NONE)
		taken++;
	assert_int_equal(taken, 20);
	assert_int_equal(connect_from(&rig, "203.0.113.9", 4000), SG_DROP_SERVICE_RATE);
	// A known connection asks nobody, and in half a second half of them may come.
	assert_int_equal(connect_from(&rig, CLIENT, 4000), SG_DROP_NONE);
	rig_pass_ms(&rig, 500);
	for (taken = 0; connect_from(&rig, CLIENT, (uint16_t)(5000 + taken)) == SG_DROP_NONE;)
		taken++;
	assert_int_equal(taken, 10);
	rig_close(&rig);
}

void a_clients_prefix_begins_so_many_in_a_second(void **unused)
{
	struct sg_service_spec *spec;
	struct rig rig;

	(void)unused;
	spec = open_rig(&rig, 1);
	spec->limits.max_new_per_second_per_client = 3;
	spec->limits.client_prefix = 24;
	spec->limits.client_prefix6 = 120;
	rig_commit(&rig);
	assert_int_equal(connect_from(&rig, "203.0.113.9", 4000), SG_DROP_NONE);
	assert_int_equal(connect_from(&rig, "203.0.113.10", 4000), SG_DROP_NONE);
	assert_int_equal(connect_from(&rig, "203.0.113.11", 4000), SG_DROP_NONE);
	assert_int_equal(connect_from(&rig, "203.0.113.12", 4000), SG_DROP_CLIENT_RATE);
	assert_int_equal(connect_from(&rig, CLIENT, 4000), SG_DROP_NONE); // of another prefix
	rig_pass_ms(&rig, 334);
	assert_int_equal(connect_from(&rig, "203.0.113.12", 4000), SG_DROP_NONE);
	assert_int_equal(connect_from(&rig, "203.0.113.12", 4001), SG_DROP_CLIENT_RATE);
	rig_close(&rig);
}
