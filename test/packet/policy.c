// Policies and flows that exist: what a change means for them, and what slots leave behind.
#include "base/random.h"
#include "peer.h"
#include "rig.h"
#include "stages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint32_t count(const struct rig *rig)
{
	return sg_flow_table_count(rig->pipelines[0]->flows);
}

static void deny(struct rig *rig, const char *text, enum sg_existing existing)
{
	rig_deny_all(rig, text);
	rig->state.policy->spec.existing = existing;
	rig_commit(rig);
}

// Two established connections, from CLIENT's ports 4000 and 4001.
static void open_rig(struct rig *rig, struct peer *ret_peer, struct peer *ret_other)
{
	rig_open(rig, &(struct rig_options){0});
	rig_service(rig, "web", SG_PROTO_TCP, 80);
	rig_service(rig, "dns", SG_PROTO_UDP, 53);
	rig_commit(rig);
	*ret_peer = meet(rig, SG_PROTO_TCP, 4000, 80);
	*ret_other = meet(rig, SG_PROTO_TCP, 4001, 80);
	establish(ret_peer);
	establish(ret_other);
}

void a_new_policy_keeps_flows_that_exist(void **unused)
{
	struct peer peer, other;
	struct rig rig;

	(void)unused;
	open_rig(&rig, &peer, &other);
	deny(&rig, "198.51.100.0/24", SG_EXISTING_KEEP);
	expect(client_sends(&peer, SG_TCP_ACK, 101, 501, 5), SG_VERDICT_FORWARD);
	rig_sweep(&rig);
	expect(pod_sends(&other, SG_TCP_ACK, 501, 101, 5), SG_VERDICT_FORWARD);
	assert_int_equal(count(&rig), 2);
	peer = meet(&rig, SG_PROTO_TCP, 4002, 80);
	expect_drop(client_sends(&peer, SG_TCP_SYN, 100, 0, 0), SG_DROP_DENIED);
	rig_close(&rig);
}

void a_new_policy_ends_flows_that_exist(void **unused)
{
	struct peer peer, other, udp, silent;
	struct rig rig;

	(void)unused;
	open_rig(&rig, &peer, &other);
	udp = meet(&rig, SG_PROTO_UDP, 4000, 53);
	expect(client_sends(&udp, 0, 0, 0, 10), SG_VERDICT_FORWARD);
	silent = meet(&rig, SG_PROTO_TCP, 4003, 80);
	establish(&silent);
	deny(&rig, "198.51.100.0/24", SG_EXISTING_END);
	// The next packet of either side, under the name that a new flow has.
	expect_drop(client_sends(&peer, SG_TCP_ACK, 101, 501, 5), SG_DROP_DENIED);
	expect(pod_sends(&other, SG_TCP_ACK, 501, 101, 5), SG_VERDICT_ANSWER);
	assert_int_equal(((struct sg_tcp_hdr *)frame_l4(&rig.out))->flags, SG_TCP_RST);
	expect_drop(pod_sends(&udp, 0, 0, 0, 5), SG_DROP_DENIED);
	assert_int_equal(count(&rig), 1);
	// Whoever is silent is found, and then nothing is asked any more.
	assert_true(rig.pipelines[0]->policy_epoch != rig.snapshot->policy_epoch);
	rig_sweep(&rig);
	assert_int_equal(count(&rig), 0);
	assert_true(rig.pipelines[0]->policy_epoch == rig.snapshot->policy_epoch);
	expect_drop(client_sends(&silent, SG_TCP_ACK, 101, 501, 5), SG_DROP_DENIED);
	rig_close(&rig);
}

void a_service_ends_only_its_own_flows(void **unused)
{
	struct peer peer, other, udp;
	struct sg_service_spec *spec;
	struct sg_prefix prefix;
	struct rig rig;

	(void)unused;
	open_rig(&rig, &peer, &other);
	udp = meet(&rig, SG_PROTO_UDP, 4000, 53);
	expect(client_sends(&udp, 0, 0, 0, 10), SG_VERDICT_FORWARD);
	spec = sg_service_spec_clone(sg_state_find(&rig.state, "web"));
	assert_non_null(spec);
	prefix = test_prefix("203.0.113.0/24");
	assert_int_equal(sg_policy_spec_add_allow(&spec->policy, &prefix), 0);
	spec->policy.existing = SG_EXISTING_END;
	assert_int_equal(sg_state_put(&rig.state, spec), 0);
	rig_commit(&rig);
	expect_drop(client_sends(&peer, SG_TCP_ACK, 101, 501, 5), SG_DROP_NOT_ALLOWED);
	expect(client_sends(&udp, 0, 0, 0, 10), SG_VERDICT_FORWARD);
	rig_sweep(&rig);
	assert_int_equal(count(&rig), 1);
	// A later change of something else asks nobody again.
	spec = sg_service_spec_clone(spec);
	assert_non_null(spec);
	spec->scheduler = SG_SCHEDULER_RR;
	assert_int_equal(sg_state_put(&rig.state, spec), 0);
	rig_commit(&rig);
	assert_true(rig.pipelines[0]->policy_epoch == rig.snapshot->policy_epoch);
	rig_close(&rig);
}

static struct sg_prefix prefix_of(const char *address, unsigned length)
{
	struct sg_prefix prefix = {.addr = test_addr(address), .length = (uint8_t)length};

	if (test_family == SG_FAMILY_IPV6)
		prefix.length = (uint8_t)(prefix.length + 96);
	return prefix;
}

// Of clients 198.51.100.0 to .63 only .0 to .31 may use port 80, all but .24 to .55 port 81, and
// all port 82; .16 to .19 none of them; and port 83 is nobody's.
static enum sg_drop judge_by_hand(unsigned host, unsigned port)
{
	if (port == 83)
		return SG_DROP_UNSERVED_PORT;
	if (host >= 16 && host < 20)
		return SG_DROP_DENIED;
	if (port == 80)
		return host < 32 ? SG_DROP_NONE : SG_DROP_NOT_ALLOWED;
	return port == 81 && host >= 24 && host < 56 ? SG_DROP_DENIED : SG_DROP_NONE;
}

void each_source_of_a_burst_is_judged_for_itself(void **unused)
{
	struct sg_service_spec *web, *api;
	struct sg_prefix prefix;
	struct rig rig;
	uint64_t random = 5;

	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	web = rig_service(&rig, "web", SG_PROTO_TCP, 80);
	prefix = prefix_of("198.51.100.0", 27);
	assert_int_equal(sg_policy_spec_add_allow(&web->policy, &prefix), 0);
	api = rig_service(&rig, "api", SG_PROTO_TCP, 81);
	prefix = prefix_of("198.51.100.24", 29);
	assert_int_equal(sg_policy_spec_add_deny(&api->policy, &prefix), 0);
	prefix = prefix_of("198.51.100.32", 28);
	assert_int_equal(sg_policy_spec_add_deny(&api->policy, &prefix), 0);
	prefix = prefix_of("198.51.100.48", 29);
	assert_int_equal(sg_policy_spec_add_deny(&api->policy, &prefix), 0);
	rig_service(&rig, "any", SG_PROTO_TCP, 82);
	rig_deny_all(&rig, "192.0.2.99/32");
	prefix = prefix_of("198.51.100.16", 30);
	assert_int_equal(sg_policy_spec_add_deny(&rig.state.policy->spec, &prefix), 0);
	rig_commit(&rig);
	for (unsigned round = 0; round < 20; round++) {
		struct frame frames[SG_BURST];
		enum sg_drop drops[SG_BURST];

		rig.burst.n = SG_BURST;
		for (unsigned i = 0; i < SG_BURST; i++) {
			unsigned host = (unsigned)(sg_random_next(&random) % 64);
			unsigned port = 80 + (unsigned)(sg_random_next(&random) % 4);
			char src[16];

			host = host == 11 ? 12 : host; // which is the node itself
			snprintf(src, sizeof(src), "198.51.100.%u", host);
			drops[i] = judge_by_hand(host, port);
			frame_packet(&frames[i], port_macs[0], client_mac,
				&(struct ipv4_text){.src = src,
					.dst = VIP,
					.sport = (uint16_t)(4000 + round * SG_BURST + i),
					.dport = (uint16_t)port,
					.proto = SG_PROTO_TCP,
					.flags = SG_TCP_SYN});
			rig.burst.pkts[i] = (struct sg_pkt){.bytes = frames[i].bytes,
				.length = frames[i].length,
				.room = FRAME_ROOM};
		}
		sg_pipeline_run(rig.pipelines[0], rig.snapshot, &rig.burst);
		for (unsigned i = 0; i < SG_BURST; i++)
			if (drops[i])
				expect_drop(&rig.burst.pkts[i], drops[i]);
			else
				expect(&rig.burst.pkts[i], SG_VERDICT_FORWARD);
	}
	rig_close(&rig);
}

// Packets of one flow in one burst: the first ends it, the rest is lost at the door.
void a_flow_that_ends_in_a_burst_is_gone_for_the_rest(void **unused)
{
	struct peer peer, other;
	struct frame frames[3];
	struct rig rig;

	(void)unused;
	open_rig(&rig, &peer, &other);
	deny(&rig, "198.51.100.7/32", SG_EXISTING_END);
	peer.client.flags = SG_TCP_ACK;
	rig.burst.n = 3;
	for (unsigned i = 0; i < rig.burst.n; i++) {
		frame_packet(&frames[i], port_macs[0], client_mac, &peer.client);
		rig.burst.pkts[i] = (struct sg_pkt){
			.bytes = frames[i].bytes, .length = frames[i].length, .room = FRAME_ROOM};
	}
	sg_pipeline_run(rig.pipelines[0], rig.snapshot, &rig.burst);
	for (unsigned i = 0; i < rig.burst.n; i++)
		expect_drop(&rig.burst.pkts[i], SG_DROP_DENIED);
	assert_int_equal(count(&rig), 1);
	rig_close(&rig);
}

// Without a flow there is nothing that exists: the policy of now counts, in both directions.
void packets_without_a_flow_pass_the_policy(void **unused)
{
	struct sg_service_spec *spec;
	struct rig rig;
	struct peer peer = meet(&rig, SG_PROTO_TCP, 4000, 80);

	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	spec = rig_service(&rig, "web", SG_PROTO_TCP, 80);
	spec->forward = SG_FORWARD_DNAT;
	rig_commit(&rig);
	expect(client_sends(&peer, SG_TCP_ACK, 101, 501, 5), SG_VERDICT_FORWARD);
	assert_int_equal(count(&rig), 0);
	expect(pod_sends(&peer, SG_TCP_ACK, 501, 101, 5), SG_VERDICT_FORWARD);
	deny(&rig, "198.51.100.0/24", SG_EXISTING_KEEP);
	expect_drop(client_sends(&peer, SG_TCP_ACK, 101, 501, 5), SG_DROP_DENIED);
	expect_drop(pod_sends(&peer, SG_TCP_ACK, 501, 101, 5), SG_DROP_DENIED);
	rig_close(&rig);
}

// A backend dies and its slot is given to another, while a flow of the first is only silent.
void a_slots_flows_are_its_tenants(void **unused)
{
	const struct sg_addr pod = test_addr(POD);
	const uint64_t sweeps[] = {100, 102, 104};
	struct sg_service_spec *spec;
	struct peer peer, other;
	struct rig rig;
	uint32_t slot;

	(void)unused;
	open_rig(&rig, &peer, &other);
	slot = sg_compiler_find_backend_slot(rig.compiler, "web", &pod, 8080);
	assert_int_equal(rig.pipelines[0]->backend_flows[slot], 2);
	sg_compiler_end_now(rig.compiler, "web", &pod, 8080);
	assert_int_equal(sg_state_remove(&rig.state, "web"), 0);
	rig_commit(&rig);
	for (unsigned i = 0; i < 3; i++)
		sg_compiler_note_sweeps(rig.compiler, &sweeps[i], 1);
	spec = rig_service(&rig, "api", SG_PROTO_TCP, 80);
	spec->backends[0].address = test_addr(POD2);
	rig_commit(&rig);
	assert_int_equal(sg_compiler_find_backend_slot(
				 rig.compiler, "api", &spec->backends[0].address, 8080),
		slot);
	rig_sweep(&rig);
	assert_int_equal(count(&rig), 0);
	assert_int_equal(rig.pipelines[0]->backend_flows[slot], 0);
	rig_close(&rig);
}

// The state is compiled without having been validated: whatever lets such a backend through,
// nothing leaves for it.
void nothing_leaves_for_a_backend_outside(void **unused)
{
	(void)unused;
	for (unsigned mode = 0; mode < SG_FORWARD_COUNT; mode++) {
		struct sg_service_spec *spec;
		struct rig rig;
		struct peer peer = meet(&rig, SG_PROTO_TCP, 4000, 80);

		rig_open(&rig, &(struct rig_options){.backend_cidr = "10.0.0.2/32"});
		spec = rig_service(&rig, "web", SG_PROTO_TCP, 80);
		spec->forward = (enum sg_forward)mode;
		spec->backends[0].address = test_addr(POD2);
		rig_commit(&rig);
		expect_drop(client_sends(&peer, SG_TCP_SYN, 100, 0, 0), SG_DROP_BACKEND_OUTSIDE);
		if (mode != SG_FORWARD_SNAT)
			expect_drop(client_sends(&peer, SG_TCP_ACK, 101, 501, 5),
				SG_DROP_BACKEND_OUTSIDE);
		assert_int_equal(count(&rig), 0);
		assert_int_equal(
			rig.counters[0]
				.backend_losses[0]
				.by_number[SG_FLOW_TO_BACKEND][SG_SERVICE_DROP_BACKEND_OUTSIDE],
			1 + (mode != SG_FORWARD_SNAT));
		rig_close(&rig);
	}
}

static void change_backend(struct rig *rig, const char *name, const char *address)
{
	struct sg_service_spec *spec = sg_service_spec_clone(sg_state_find(&rig->state, name));

	assert_non_null(spec);
	spec->backends[0].address = test_addr(address);
	assert_int_equal(sg_state_put(&rig->state, spec), 0);
}

static uint64_t lost_outside(const struct rig *rig, enum sg_flow_direction direction)
{
	uint64_t n = 0;

	for (unsigned slot = 0; slot < 2; slot++)
		n += rig->counters[0]
			     .backend_losses[slot]
			     .by_number[direction][SG_SERVICE_DROP_BACKEND_OUTSIDE];
	return n;
}

// Other backend_cidrs end what exists: a backend that was to finish its connections may not, and is
// not even told.
void other_prefixes_end_flows_to_a_backend_outside(void **unused)
{
	(void)unused;
	for (unsigned mode = 0; mode <= SG_FORWARD_DNAT; mode++) {
		struct peer peer, receiver, idle, udp;
		const struct sg_pkt *pkt;
		struct rig rig;

		rig_open(&rig, &(struct rig_options){.backend_cidr = "10.0.0.2/31"});
		rig_service(&rig, "web", SG_PROTO_TCP, 80)->forward = (enum sg_forward)mode;
		rig_service(&rig, "dns", SG_PROTO_UDP, 53)->forward = (enum sg_forward)mode;
		change_backend(&rig, "web", POD2);
		change_backend(&rig, "dns", POD2);
		rig_commit(&rig);
		peer = meet(&rig, SG_PROTO_TCP, 4000, 80);
		receiver = meet(&rig, SG_PROTO_TCP, 4001, 80);
		idle = meet(&rig, SG_PROTO_TCP, 4002, 80);
		udp = meet(&rig, SG_PROTO_UDP, 4003, 53);
		establish(&peer);
		establish(&receiver);
		establish(&idle);
		expect(client_sends(&udp, 0, 0, 0, 10), SG_VERDICT_FORWARD);

		change_backend(&rig, "web", POD);
		change_backend(&rig, "dns", POD);
		rig_commit(&rig);
		expect(client_sends(&peer, SG_TCP_ACK, 101, 501, 5), SG_VERDICT_FORWARD);
		expect(pod_sends(&udp, 0, 0, 0, 5), SG_VERDICT_FORWARD);
		rig_set_backend_cidr(&rig, "10.0.0.2/32");
		rig_commit(&rig);

		// It is lost, and its sender told.
		pkt = client_sends(&peer, SG_TCP_ACK, 106, 501, 5);
		expect(pkt, SG_VERDICT_ANSWER);
		assert_int_equal(pkt->drop, SG_DROP_BACKEND_OUTSIDE);
		assert_int_equal(((struct sg_tcp_hdr *)frame_l4(&rig.out))->flags, SG_TCP_RST);
		// A client that only receives is told by what the backend sends.
		expect(pod_sends(&receiver, SG_TCP_ACK, 501, 101, 5), SG_VERDICT_FORWARD);
		assert_int_equal(
			((struct sg_tcp_hdr *)frame_l4(&rig.out))->flags, SG_TCP_RST | SG_TCP_ACK);
		expect_src(&rig, VIP);
		expect_drop(pod_sends(&receiver, SG_TCP_ACK, 501, 101, 5), SG_DROP_BACKEND_OUTSIDE);
		expect_drop(pod_sends(&receiver, SG_TCP_ACK, 501, 101, 5),
			mode == SG_FORWARD_SNAT ? SG_DROP_REPLY_NO_FLOW : SG_DROP_BACKEND_OUTSIDE);
		expect_drop(pod_sends(&udp, 0, 0, 0, 5), SG_DROP_BACKEND_OUTSIDE);
		assert_int_equal(lost_outside(&rig, SG_FLOW_TO_BACKEND), 1);
		assert_int_equal(
			lost_outside(&rig, SG_FLOW_TO_CLIENT), 2 + (mode == SG_FORWARD_DNAT));
		// Whoever starts anew reaches the backend that is left.
		udp = meet(&rig, SG_PROTO_UDP, 4003, 53);
		expect(client_sends(&udp, 0, 0, 0, 10), SG_VERDICT_FORWARD);
		expect_dst(&rig, POD);
		// Wider again: what was not heard of meanwhile has not ended.
		rig_set_backend_cidr(&rig, "10.0.0.2/31");
		rig_commit(&rig);
		expect(client_sends(&idle, SG_TCP_ACK, 101, 501, 5), SG_VERDICT_FORWARD);
		expect_dst(&rig, POD2);
		rig_close(&rig);
	}
}

// Timeouts of the snapshot hold for flows that exist as well.
void other_timeouts_hold_for_flows_that_exist(void **unused)
{
	struct sg_shared_settings *shared;
	struct peer peer, other;
	struct rig rig;

	(void)unused;
	open_rig(&rig, &peer, &other);
	rig_pass_ms(&rig, 60000);
	rig_sweep(&rig);
	assert_int_equal(count(&rig), 2);
	expect(client_sends(&other, SG_TCP_ACK, 101, 501, 5), SG_VERDICT_FORWARD);
	shared = sg_shared_settings_create(&rig.settings);
	assert_non_null(shared);
	shared->settings.timeouts.tcp = 30;
	sg_state_set_settings(&rig.state, shared);
	rig_commit(&rig);
	rig_sweep(&rig);
	assert_int_equal(count(&rig), 1);
	expect(client_sends(&other, SG_TCP_ACK, 106, 501, 5), SG_VERDICT_FORWARD);
	rig_close(&rig);
}

// What is lost is lost by somebody: each loss stands once, by name and direction.
void losses_are_counted_for_who_has_them(void **unused)
{
	struct peer peer, other, stranger;
	const struct sg_losses *own, *backend;
	struct sg_service_spec *spec;
	struct sg_prefix prefix;
	struct rig rig;
	uint32_t slot;

	(void)unused;
	open_rig(&rig, &peer, &other);
	spec = sg_service_spec_clone(sg_state_find(&rig.state, "web"));
	assert_non_null(spec);
	prefix = test_prefix("203.0.113.0/24");
	assert_int_equal(sg_policy_spec_add_deny(&spec->policy, &prefix), 0);
	assert_int_equal(sg_state_put(&rig.state, spec), 0);
	rig_commit(&rig);
	slot = sg_compiler_find_service_slot(rig.compiler, "web");
	own = &rig.counters[0].service_losses[slot];
	backend = &rig.counters[0].backend_losses[sg_compiler_find_backend_slot(
		rig.compiler, "web", &spec->backends[0].address, 8080)];

	stranger = meet(&rig, SG_PROTO_TCP, 9, 80);
	stranger.client.src = "203.0.113.9";
	expect_drop(client_sends(&stranger, SG_TCP_SYN, 1, 0, 0), SG_DROP_DENIED);
	expect_drop(client_sends(&stranger, SG_TCP_SYN, 1, 0, 0), SG_DROP_DENIED);
	assert_int_equal(own->by_number[SG_FLOW_TO_BACKEND][SG_SERVICE_DROP_DENIED], 2);
	// A stray that is answered with RST is not lost; a RST is.
	stranger.client.src = CLIENT;
	expect(client_sends(&stranger, SG_TCP_ACK, 1, 1, 0), SG_VERDICT_ANSWER);
	expect_drop(client_sends(&stranger, SG_TCP_RST, 1, 0, 0), SG_DROP_NO_FLOW);
	assert_int_equal(own->by_number[SG_FLOW_TO_BACKEND][SG_SERVICE_DROP_NO_FLOW], 1);
	// TTL 1 in either direction, with no answers left.
	rig.pipelines[0]->answers.tokens = 0;
	peer.client.ttl = peer.pod.ttl = 1;
	expect_drop(client_sends(&peer, SG_TCP_ACK, 101, 501, 5), SG_DROP_TTL_EXCEEDED);
	expect_drop(pod_sends(&peer, SG_TCP_ACK, 501, 101, 5), SG_DROP_TTL_EXCEEDED);
	expect_drop(pod_sends(&peer, SG_TCP_ACK, 501, 101, 5), SG_DROP_TTL_EXCEEDED);
	assert_int_equal(backend->by_number[SG_FLOW_TO_BACKEND][SG_SERVICE_DROP_TTL_EXCEEDED], 1);
	assert_int_equal(backend->by_number[SG_FLOW_TO_CLIENT][SG_SERVICE_DROP_TTL_EXCEEDED], 2);
	rig_close(&rig);
}
