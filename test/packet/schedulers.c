// Which backend gets the next flow.
#include "rig.h"
#include "stages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool goes_to_pod(const struct rig *rig)
{
	struct sg_addr to = frame_dst(&rig->out);

	return test_addr_is(&to, POD);
}

// Opens `n` flows from different ports and counts how many went to POD (the rest went to POD2).
static unsigned open_flows(struct rig *rig, unsigned n, uint16_t first_port)
{
	unsigned to_pod = 0;

	for (unsigned i = 0; i < n; i++) {
		struct ipv4_text syn = {.src = CLIENT,
			.dst = VIP,
			.sport = (uint16_t)(first_port + i),
			.dport = 80,
			.proto = SG_PROTO_TCP,
			.flags = SG_TCP_SYN};
		struct frame frame;

		frame_packet(&frame, port_macs[0], client_mac, &syn);
		assert_int_equal(rig_run(rig, 0, 0, 0, &frame)->verdict, SG_VERDICT_FORWARD);
		to_pod += goes_to_pod(rig);
	}
	return to_pod;
}

// Two backends, POD with weight 1 and POD2 with `weight2`.
static void open_rig(struct rig *rig, enum sg_scheduler scheduler, uint16_t weight2)
{
	struct sg_service_spec *spec;

	rig_open(rig, &(struct rig_options){.max_flows = 4096});
	spec = rig_service(rig, "web", SG_PROTO_TCP, 80);
	spec->scheduler = scheduler;
	rig_backend(spec, POD2, 8080, weight2);
	rig_commit(rig);
}

void rr_takes_turns(void **unused)
{
	struct rig rig;

	(void)unused;
	open_rig(&rig, SG_SCHEDULER_RR, 7);
	for (uint16_t i = 0; i < 10; i++)
		assert_int_equal(open_flows(&rig, 2, (uint16_t)(4000 + 2 * i)), 1);
	rig_close(&rig);
}

void wrr_follows_weights(void **unused)
{
	struct rig rig;

	(void)unused;
	open_rig(&rig, SG_SCHEDULER_WRR, 3);
	for (uint16_t i = 0; i < 10; i++)
		assert_int_equal(open_flows(&rig, 4, (uint16_t)(4000 + 4 * i)), 1);
	rig_close(&rig);
}

void lc_prefers_the_idle_backend(void **unused)
{
	struct rig rig;
	struct sg_service_spec *copy;

	(void)unused;
	open_rig(&rig, SG_SCHEDULER_LC, 9);
	assert_int_equal(open_flows(&rig, 100, 4000), 50);
	// A third joins and gets everything until it has as many as the others.
	copy = sg_service_spec_clone(sg_state_find(&rig.state, "web"));
	rig_backend(copy, "10.0.0.11", 8080, 1);
	assert_int_equal(sg_state_put(&rig.state, copy), 0);
	rig_commit(&rig);
	assert_int_equal(open_flows(&rig, 50, 5000), 0);
	assert_int_equal(
		rig.pipelines[0]->backend_flows[0] + rig.pipelines[0]->backend_flows[1], 100);
	assert_int_equal(open_flows(&rig, 30, 6000), 10);
	rig_close(&rig);
}

void wlc_weighs_what_it_counts(void **unused)
{
	struct rig rig;

	(void)unused;
	open_rig(&rig, SG_SCHEDULER_WLC, 3);
	assert_in_range(open_flows(&rig, 400, 4000), 98, 102);
	rig_close(&rig);
}

void maglev_is_the_same_on_every_node(void **unused)
{
	struct rig a, b;
	unsigned to_pod = 0;

	(void)unused;
	open_rig(&a, SG_SCHEDULER_MAGLEV, 1);
	open_rig(&b, SG_SCHEDULER_MAGLEV, 1);
	for (uint16_t port = 4000; port < 4400; port++) {
		unsigned there = open_flows(&a, 1, port);

		assert_int_equal(open_flows(&b, 1, port), there);
		to_pod += there;
	}
	assert_in_range(to_pod, 150, 250);
	rig_close(&a);
	rig_close(&b);
}

// The backend (1 or 2) that a client's datagram from one port goes to.
static unsigned backend_of(struct rig *rig, uint32_t client, uint16_t sport)
{
	char src[16];
	struct ipv4_text syn = {.src = src,
		.dst = VIP,
		.sport = sport,
		.dport = 80,
		.proto = SG_PROTO_TCP,
		.flags = SG_TCP_SYN};
	struct frame frame;

	snprintf(src, sizeof(src), "203.0.113.%u", client);
	frame_packet(&frame, port_macs[0], gateway_mac, &syn);
	assert_int_equal(rig_run(rig, 0, 0, 0, &frame)->verdict, SG_VERDICT_FORWARD);
	return goes_to_pod(rig) ? 1 : 2;
}

void sh_goes_by_the_clients_address(void **unused)
{
	struct rig a, b;
	unsigned to_pod = 0;

	(void)unused;
	open_rig(&a, SG_SCHEDULER_SH, 3);
	open_rig(&b, SG_SCHEDULER_SH, 3);
	for (uint32_t client = 1; client < 255; client++) {
		unsigned backend = backend_of(&a, client, 4000);

		for (uint16_t port = 4001; port < 4005; port++)
			assert_int_equal(backend_of(&a, client, port), backend);
		assert_int_equal(backend_of(&b, client, 9000), backend);
		to_pod += backend == 1;
	}
	// A quarter of the weight: 254 clients, about 63 of them.
	assert_in_range(to_pod, 40, 90);
	rig_close(&a);
	rig_close(&b);
}
