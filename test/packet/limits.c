// Limits of connections and of new ones: exact with one worker, each under its own name; with
// several as close as allowance.h says.
#include "peer.h"
#include "rig.h"
#include "stages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../guarded.h"
#include "base/random.h"
#include "dataplane/loads.h"

static struct sg_service_spec *open_rig(struct rig *rig, unsigned n_workers)
{
	rig_open(rig, &(struct rig_options){.n_workers = n_workers});
	return rig_service(rig, "web", SG_PROTO_TCP, 80);
}

// A SYN from a client's port that arrives at any worker, and what becomes of it: SG_DROP_NONE when
// it is forwarded.
static enum sg_drop connect_from(struct rig *rig, const char *client, uint16_t sport)
{
	struct ipv4_text syn = {.src = client,
		.dst = VIP,
		.sport = sport,
		.dport = 80,
		.proto = SG_PROTO_TCP,
		.flags = SG_TCP_SYN,
		.seq = 100};
	const struct sg_pkt *pkt;
	struct frame frame;
	unsigned home, hops;

	frame_packet(&frame, port_macs[0], client_mac, &syn);
	pkt = rig_deliver(rig, sport % rig->n_workers, 0, &frame, &home, &hops);
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

// The service's limit is that of the backends that have none of their own; a new one counts from
// the next connection on.
void a_backend_has_a_limit_of_its_own(void **unused)
{
	struct sg_service_spec *spec;
	struct sg_addr pod;
	struct rig rig;
	unsigned taken = 0;

	(void)unused;
	spec = open_rig(&rig, 1);
	spec->limits.max_connections_per_backend = 5;
	rig_backend(spec, POD2, 8080, 1);
	pod = spec->backends[0].address;
	spec->backends[1].max_connections = 8;
	rig_commit(&rig);
	while (connect_from(&rig, CLIENT, (uint16_t)(4000 + taken)) == SG_DROP_NONE)
		taken++;
	assert_int_equal(taken, 5 + 8);
	assert_int_equal(connect_from(&rig, CLIENT, 5000), SG_DROP_BACKEND_LIMIT);
	assert_int_equal(rig.pipelines[0]->backend_flows[0], 5);
	assert_int_equal(rig.pipelines[0]->backend_flows[1], 8);
	// Less than it has: nobody is sent away, and nobody else comes.
	spec = sg_service_spec_clone(spec);
	assert_non_null(spec);
	spec->limits.max_connections_per_backend = 0;
	sg_service_spec_find_backend(spec, &pod, 8080)->max_connections = 3;
	spec->backends[1].max_connections = 9;
	assert_int_equal(sg_state_put(&rig.state, spec), 0);
	rig_commit(&rig);
	assert_int_equal(connect_from(&rig, CLIENT, 5000), SG_DROP_NONE);
	assert_int_equal(connect_from(&rig, CLIENT, 5001), SG_DROP_BACKEND_LIMIT);
	assert_int_equal(connect_from(&rig, CLIENT, 4000), SG_DROP_NONE); // a known one
	assert_int_equal(rig.pipelines[0]->backend_flows[0], 5);
	assert_int_equal(rig.pipelines[0]->backend_flows[1], 9);
	// Without either there is none.
	spec = sg_service_spec_clone(spec);
	assert_non_null(spec);
	spec->backends[0].max_connections = spec->backends[1].max_connections = 0;
	assert_int_equal(sg_state_put(&rig.state, spec), 0);
	rig_commit(&rig);
	for (uint16_t port = 6000; port < 6050; port++)
		assert_int_equal(connect_from(&rig, CLIENT, port), SG_DROP_NONE);
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

// --- several workers --------------------------------------------------------------------------

#define N_ATTEMPTS 600

static const unsigned worker_counts[] = {2, 3, 4, 8};

// Workers that know of each other what was summed last, as control does it.
struct crowd {
	struct rig rig;
	struct sg_loads loads;
	uint16_t next_port;
	uint64_t random;
};

#define BACKENDS_BYTES (SG_MAX_BACKENDS * sizeof(uint32_t))
#define SERVICES_BYTES (SG_MAX_SERVICES * sizeof(uint32_t))

static struct sg_service_spec *open_crowd(struct crowd *crowd, unsigned n_workers)
{
	struct sg_service_spec *spec;

	*crowd = (struct crowd){.next_port = 2000, .random = n_workers};
	spec = open_rig(&crowd->rig, n_workers);
	crowd->loads.view = guarded_map(BACKENDS_BYTES);
	crowd->loads.service_view = guarded_map(SERVICES_BYTES);
	for (unsigned i = 0; i < n_workers; i++) {
		crowd->loads.seen[i] = guarded_map(BACKENDS_BYTES);
		crowd->loads.service_seen[i] = guarded_map(SERVICES_BYTES);
		crowd->rig.pipelines[i]->loads = &crowd->loads;
	}
	return spec;
}

static void close_crowd(struct crowd *crowd)
{
	for (unsigned i = 0; i < crowd->rig.n_workers; i++) {
		guarded_unmap(crowd->loads.seen[i], BACKENDS_BYTES);
		guarded_unmap(crowd->loads.service_seen[i], SERVICES_BYTES);
	}
	guarded_unmap(crowd->loads.view, BACKENDS_BYTES);
	guarded_unmap(crowd->loads.service_view, SERVICES_BYTES);
	rig_close(&crowd->rig);
}

static void sum_up(struct crowd *crowd)
{
	sg_loads_refresh(
		&crowd->loads, crowd->rig.pipelines, crowd->rig.n_workers, crowd->rig.snapshot);
}

static unsigned count_flows(const struct crowd *crowd)
{
	unsigned n = 0;

	for (unsigned i = 0; i < crowd->rig.n_workers; i++)
		n += sg_flow_table_count(crowd->rig.pipelines[i]->flows);
	return n;
}

static unsigned count_of_backend(const struct crowd *crowd, uint32_t slot)
{
	unsigned n = 0;

	for (unsigned i = 0; i < crowd->rig.n_workers; i++)
		n += crowd->rig.pipelines[i]->backend_flows[slot];
	return n;
}

// The next port of a client tries to begin a connection at whichever worker its hash says: whether
// it may. Whoever may not is lost as `refused`.
static bool attempt(struct crowd *crowd, const char *client, enum sg_drop refused)
{
	enum sg_drop drop = connect_from(&crowd->rig, client, crowd->next_port++);

	if (drop != SG_DROP_NONE)
		assert_int_equal(drop, refused);
	return drop == SG_DROP_NONE;
}

// Lets what there is end: 40 seconds are too long for an embryo.
static void all_end(struct crowd *crowd)
{
	rig_pass_ms(&crowd->rig, 40000);
	rig_sweep(&crowd->rig);
	assert_int_equal(count_flows(crowd), 0);
	sum_up(crowd);
}

// However rarely the workers' counts are summed, no more than workers - 1 too many begin; and when
// they are, the limit is reached.
void workers_keep_a_services_limit_together(void **unused)
{
	static const unsigned limits[] = {1, 7, 50};

	(void)unused;
	for (size_t i = 0; i < 4 * 3; i++) {
		unsigned n_workers = worker_counts[i % 4], limit = limits[i / 4];
		struct crowd crowd;

		open_crowd(&crowd, n_workers)->limits.max_connections = limit;
		rig_commit(&crowd.rig);
		for (unsigned round = 0; round < 3; round++) {
			for (unsigned n = 0; n < N_ATTEMPTS; n++) {
				attempt(&crowd, n % 2 ? CLIENT : "203.0.113.9",
					SG_DROP_SERVICE_LIMIT);
				assert_true(count_flows(&crowd) <= limit + n_workers - 1);
				if (sg_random_next(&crowd.random) % (1 + limit) == 0)
					sum_up(&crowd);
			}
			assert_true(count_flows(&crowd) >= limit);
			all_end(&crowd);
		}
		close_crowd(&crowd);
	}
}

void workers_keep_a_backends_limit_together(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < 4; i++) {
		unsigned n_workers = worker_counts[i], limit = 20;
		struct sg_service_spec *spec;
		struct crowd crowd;

		spec = open_crowd(&crowd, n_workers);
		// One of them has the limit from its service, the other its own.
		spec->limits.max_connections_per_backend = limit;
		rig_backend(spec, POD2, 8080, 1);
		spec->backends[1].max_connections = limit;
		if (i % 2)
			spec->limits.max_connections_per_backend = 2 * limit;
		spec->backends[0].max_connections = i % 2 ? limit : 0;
		rig_commit(&crowd.rig);
		for (unsigned n = 0; n < N_ATTEMPTS; n++) {
			attempt(&crowd, CLIENT, SG_DROP_BACKEND_LIMIT);
			for (uint32_t slot = 0; slot < 2; slot++)
				assert_true(
					count_of_backend(&crowd, slot) <= limit + n_workers - 1);
			if (sg_random_next(&crowd.random) % 10 == 0)
				sum_up(&crowd);
		}
		assert_true(count_of_backend(&crowd, 0) >= limit);
		assert_true(count_of_backend(&crowd, 1) >= limit);
		close_crowd(&crowd);
	}
}

// Each worker gives a client its share, rounded up, and gives it again when connections have ended.
void workers_share_a_clients_limit(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < 4; i++) {
		unsigned n_workers = worker_counts[i], limit = 10;
		unsigned share = (limit + n_workers - 1) / n_workers;
		struct crowd crowd;

		open_crowd(&crowd, n_workers)->limits.max_connections_per_client = limit;
		rig_commit(&crowd.rig);
		for (unsigned round = 0; round < 2; round++) {
			unsigned own = 0, others = 0;

			for (unsigned n = 0; n < N_ATTEMPTS; n++) {
				own += attempt(&crowd, CLIENT, SG_DROP_CLIENT_LIMIT);
				others += attempt(&crowd, "203.0.113.9", SG_DROP_CLIENT_LIMIT);
			}
			assert_int_equal(own, share * n_workers);
			assert_int_equal(others, share * n_workers);
			all_end(&crowd);
		}
		close_crowd(&crowd);
	}
}

// Each worker saves up whole tokens of its part of a second's worth.
void workers_share_a_rate(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < 4; i++) {
		unsigned n_workers = worker_counts[i], rate = 25, begun = 0;
		struct crowd crowd;

		open_crowd(&crowd, n_workers)->limits.max_new_per_second = rate;
		rig_commit(&crowd.rig);
		for (unsigned n = 0; n < N_ATTEMPTS; n++)
			begun += attempt(&crowd, CLIENT, SG_DROP_SERVICE_RATE);
		assert_int_equal(begun, rate / n_workers * n_workers);
		// While every worker is asked all the time, ten seconds bring ten seconds' worth.
		for (unsigned n = begun = 0; n < 10000; n += 5) {
			rig_pass_ms(&crowd.rig, 5);
			for (unsigned k = 0; k < 4; k++)
				begun += attempt(&crowd, CLIENT, SG_DROP_SERVICE_RATE);
		}
		assert_in_range(begun, 10 * rate - n_workers, 10 * rate + n_workers);
		close_crowd(&crowd);
	}
}
