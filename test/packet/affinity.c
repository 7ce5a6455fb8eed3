// Client-IP affinity: on one worker and over several.
#include "rig.h"
#include "stages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

static uint64_t random_state;

static struct sg_service_spec *edit_web(struct rig *rig)
{
	struct sg_service_spec *spec = sg_service_spec_clone(sg_state_find(&rig->state, "web"));

	assert_int_equal(sg_state_put(&rig->state, spec), 0);
	return spec;
}

// A service with POD and POD2, in turns, with affinity for 60 seconds.
static void open_rig(
	struct rig *rig, unsigned n_workers, enum sg_scheduler scheduler, uint32_t max_flows)
{
	struct sg_service_spec *spec;

	random_state = 7;
	rig_open(rig, &(struct rig_options){.n_workers = n_workers, .max_flows = max_flows});
	spec = rig_service(rig, "web", SG_PROTO_UDP, 80);
	spec->scheduler = scheduler;
	spec->affinity = SG_AFFINITY_CLIENT_IP;
	spec->affinity_timeout_s = 60;
	rig_backend(spec, POD2, 8080, 1);
	rig_commit(rig);
}

// The backend (1 or 2, 3 for any other) that a client's new flow goes to.
static unsigned backend_of(struct rig *rig, unsigned client, uint16_t sport)
{
	char src[16];
	struct ipv4_text text = {
		.src = src, .dst = VIP, .sport = sport, .dport = 80, .proto = SG_PROTO_UDP};
	struct frame frame;
	struct sg_addr to;
	unsigned worker, hops;

	snprintf(src, sizeof(src), "203.0.113.%u", client % 250 + 1);
	frame_packet(&frame, port_macs[0], gateway_mac, &text);
	worker = (unsigned)(sg_random_next(&random_state) % rig->n_workers);
	assert_int_equal(
		rig_deliver(rig, worker, 0, &frame, &worker, &hops)->verdict, SG_VERDICT_FORWARD);
	assert_int_equal(worker, rig_home(rig, &frame));
	to = frame_dst(&rig->out);
	return test_addr_is(&to, POD) ? 1 : test_addr_is(&to, POD2) ? 2 : 3;
}

void a_client_stays_with_its_backend(void **unused)
{
	static const enum sg_scheduler schedulers[] = {SG_SCHEDULER_MAGLEV, SG_SCHEDULER_RR,
		SG_SCHEDULER_WRR, SG_SCHEDULER_LC, SG_SCHEDULER_WLC, SG_SCHEDULER_SH};
	enum {
		N_CLIENTS = 100
	};

	(void)unused;
	for (size_t i = 0; i < 2 * sizeof(schedulers) / sizeof(schedulers[0]); i++) {
		struct rig rig;
		unsigned before[N_CLIENTS];
		unsigned first = 0;

		open_rig(&rig, i % 2 ? 4 : 1, schedulers[i / 2], 4096);
		for (unsigned client = 0; client < N_CLIENTS; client++) {
			before[client] = backend_of(&rig, client, 4000);
			first += before[client] == 1;
		}
		assert_in_range(first, 30, 70);
		for (uint16_t port = 4001; port < 4006; port++)
			for (unsigned client = 0; client < N_CLIENTS; client++)
				assert_int_equal(backend_of(&rig, client, port), before[client]);
		// A third backend moves nobody, the loss of one only its own.
		rig_backend(edit_web(&rig), "10.0.0.11", 8080, 1);
		rig_commit(&rig);
		for (unsigned client = 0; client < N_CLIENTS; client++)
			assert_int_equal(backend_of(&rig, client, 4010), before[client]);
		edit_web(&rig)->backends[1].draining = true; // POD2's place, behind POD's
		rig_commit(&rig);
		for (unsigned client = 0; client < N_CLIENTS; client++) {
			unsigned now = backend_of(&rig, client, 4011);

			assert_int_equal(now, before[client] == 1 ? 1 : now);
			assert_int_not_equal(now, 2);
			assert_int_equal(backend_of(&rig, client, 4012), now);
		}
		rig_close(&rig);
	}
}

void an_affinity_ends_with_its_time(void **unused)
{
	struct rig rig;

	(void)unused;
	open_rig(&rig, 1, SG_SCHEDULER_RR, 4096);
	assert_int_equal(backend_of(&rig, 0, 4000), 1);
	// Renewed by each new flow, 59 seconds after the last.
	for (uint16_t i = 1; i < 5; i++) {
		rig_pass_ms(&rig, 59000);
		rig_sweep(&rig);
		assert_int_equal(backend_of(&rig, 0, (uint16_t)(4000 + i)), 1);
	}
	// Over, and in turns it is the other's turn; whether it was swept already or not.
	rig_pass_ms(&rig, 61000);
	assert_int_equal(backend_of(&rig, 0, 5000), 2);
	rig_pass_ms(&rig, 61000);
	rig_sweep(&rig);
	assert_int_equal(sg_flow_table_count(rig.pipelines[0]->flows), 0);
	assert_int_equal(backend_of(&rig, 0, 5001), 1);
	rig_close(&rig);
}

void made_up_clients_take_only_the_embryos_share(void **unused)
{
	enum {
		MAX_FLOWS = 64
	};
	struct rig rig;

	(void)unused;
	open_rig(&rig, 1, SG_SCHEDULER_RR, MAX_FLOWS);
	for (unsigned client = 0; client < 250; client++)
		backend_of(&rig, client, 4000);
	assert_in_range(sg_flow_table_count(rig.pipelines[0]->flows), MAX_FLOWS / 4, MAX_FLOWS / 2);
	assert_int_equal(rig.totals[0].flows_created - rig.totals[0].flows_ended,
		sg_flow_table_count(rig.pipelines[0]->flows));
	rig_close(&rig);
}
