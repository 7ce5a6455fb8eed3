// Homes: wherever a packet arrives, it is settled by the one worker that has its flow; and a NIC
// that spreads packets by their hash brings nearly all of them there by itself.
#include "peer.h"
#include "stages.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

// --- a NIC with eight queues ------------------------------------------------------------------

#define N_QUEUES 8

// What the hardware computes: for each bit of the input that is set, the 32 bits of the key that
// begin there. Bit by bit, from the frame alone.
static uint32_t rss_hash(const uint8_t *input, unsigned length)
{
	uint32_t hash = 0;

	for (unsigned bit = 0; bit < length * 8; bit++) {
		uint64_t window = 0;

		if (!(input[bit / 8] >> (7 - bit % 8) & 1))
			continue;
		for (unsigned i = 0; i < 5; i++)
			window = window << 8 | sg_toeplitz_default_key[bit / 8 + i];
		hash ^= (uint32_t)(window >> (8 - bit % 8));
	}
	return hash;
}

static unsigned queue_of(struct frame *frame)
{
	unsigned bytes = frame_is_ipv6(frame) ? 32 : 8; // two addresses
	uint8_t input[36];

	memcpy(input,
		frame_is_ipv6(frame) ? frame_ip6(frame)->pair.src
				     : (uint8_t *)&frame_ip(frame)->src_be,
		bytes);
	memcpy(input + bytes, frame_l4(frame), 4);
	return rss_hash(input, bytes + 4) % 128 % N_QUEUES;
}

struct arrivals {
	unsigned n, handed_over;
};

// A packet comes to the queue that its hash says, and from there perhaps to another worker.
static void arrive(struct rig *rig, uint8_t port, struct frame *frame, struct arrivals *arrivals)
{
	unsigned worker, hops;

	expect(rig_deliver(rig, queue_of(frame), port, frame, &worker, &hops), SG_VERDICT_FORWARD);
	arrivals->n++;
	arrivals->handed_over += hops > 0;
}

void rss_brings_replies_home(void **unused)
{
	enum {
		N_CONNECTIONS = 20000
	};
	struct arrivals queries = {0}, replies = {0};
	struct rig rig;
	uint64_t random = 17;
	unsigned flows = 0;

	(void)unused;
	rig_open(&rig, &(struct rig_options){.n_workers = N_QUEUES, .max_flows = 8192});
	rig_backend(rig_service(&rig, "web", SG_PROTO_TCP, 80), POD2, 8080, 1);
	rig_backend(rig_service(&rig, "dns", SG_PROTO_UDP, 53), POD2, 8080, 1);
	rig_commit(&rig);
	for (unsigned i = 0; i < N_CONNECTIONS; i++) {
		bool is_tcp = i % 2;
		uint64_t r = sg_random_next(&random);
		char client[16];
		struct peer peer = meet(&rig, is_tcp ? SG_PROTO_TCP : SG_PROTO_UDP,
			(uint16_t)(1024 + i), is_tcp ? 80 : 53);
		struct frame frame;

		snprintf(client, sizeof(client), "203.0.113.%u", (unsigned)(2 + r % 250));
		peer.client.src = client;
		peer.client.flags = SG_TCP_SYN;
		frame_packet(&frame, port_macs[0], gateway_mac, &peer.client);
		arrive(&rig, 0, &frame, &queries);
		peer_note_forwarded(&peer);
		peer.pod.flags = SG_TCP_SYN | SG_TCP_ACK;
		peer.pod.ack = 1;
		frame_packet(&frame, port_macs[1], pod_mac, &peer.pod);
		arrive(&rig, 1, &frame, &replies);
	}
	assert_int_equal(queries.n, N_CONNECTIONS);
	assert_int_equal(queries.handed_over, 0);
	assert_int_equal(replies.n, N_CONNECTIONS);
	// 99.9 % is the promise.
	assert_true(replies.handed_over * 1000 <= replies.n);
	for (unsigned i = 0; i < N_QUEUES; i++) {
		unsigned here = sg_flow_table_count(rig.pipelines[i]->flows);

		assert_in_range(here, N_CONNECTIONS / N_QUEUES / 2, N_CONNECTIONS / N_QUEUES * 2);
		flows += here;
	}
	assert_int_equal(flows, N_CONNECTIONS);
	rig_close(&rig);
}

// --- any queue --------------------------------------------------------------------------------

#define N_WORKERS     4
#define N_CONNECTIONS 40

// One row of the table of homes: a mode, with or without affinity.
struct world {
	struct rig rig;
	enum sg_forward forward;
	bool affinity;
	unsigned next_queue; // packets arrive everywhere in turns
	unsigned home;       // of the flow that is being looked at
};

static void open_world(struct world *world, uint8_t proto)
{
	struct sg_service_spec *spec;
	struct sg_addr pod = test_addr(POD);
	uint16_t port = world->forward >= SG_FORWARD_DSR ? 80 : 8080;

	rig_open(&world->rig, &(struct rig_options){.n_workers = N_WORKERS});
	spec = rig_service(&world->rig, "web", proto, 80);
	spec->forward = world->forward;
	spec->scheduler = SG_SCHEDULER_RR; // what no table knows is not forwarded by chance
	spec->affinity = world->affinity ? SG_AFFINITY_CLIENT_IP : SG_AFFINITY_NONE;
	spec->affinity_timeout_s = 60;
	assert_int_equal(sg_service_spec_remove_backend(spec, &pod, 8080), 0);
	rig_backend(spec, POD, port, 1);
	rig_commit(&world->rig);
}

// Arrives at the next queue, and is settled at the flow's home after as few ways as there can be.
static void meets_its_flow(
	struct world *world, uint8_t port, const struct frame *frame, unsigned most_hops)
{
	unsigned queue = world->next_queue++ % N_WORKERS, worker, hops;

	expect(rig_deliver(&world->rig, queue, port, frame, &worker, &hops), SG_VERDICT_FORWARD);
	assert_int_equal(worker, world->home);
	assert_true(hops <= most_hops);
	if (most_hops == 1)
		assert_int_equal(hops, queue != world->home);
}

// An error about what was forwarded last, from a router on the way.
static void error_about_it(struct world *world, uint8_t port, const char *router)
{
	struct frame error, quoted = world->rig.out;
	struct ipv4_text text = {.proto = SG_PROTO_ICMP,
		.icmp_type = SG_ICMP_UNREACHABLE,
		.icmp_code = SG_ICMP_CODE_FRAG_NEEDED,
		.src = router,
		.payload = (uint16_t)(frame_ip_bytes(&quoted) + 8)};
	struct sg_addr sender = frame_src(&quoted);

	text.dst = test_text(&sender);
	frame_packet(&error, port_macs[port], port ? pod_mac : client_mac, &text);
	memcpy((uint8_t *)frame_l4(&error) + 8, quoted.bytes + 14, text.payload);
	frame_fix_checksums(&error);
	meets_its_flow(world, port, &error, 1);
	world->rig.out = quoted;
}

// What a pod answers in the modes in which the gateway does not see it: from the VIP to the client.
static void write_direct_answer(struct peer *peer, struct frame *ret_frame)
{
	frame_packet(ret_frame, client_mac, pod_mac,
		&(struct ipv4_text){.src = VIP,
			.dst = peer->client.src,
			.sport = peer->client.dport,
			.dport = peer->client.sport,
			.proto = peer->client.proto,
			.flags = SG_TCP_SYN | SG_TCP_ACK});
}

static void tell_connection(struct world *world, uint8_t proto, uint16_t sport)
{
	struct peer peer = meet(&world->rig, proto, sport, 80);
	struct frame frame;

	peer.client.flags = SG_TCP_SYN;
	frame_packet(&frame, port_macs[0], client_mac, &peer.client);
	world->home = rig_home(&world->rig, &frame);
	meets_its_flow(world, 0, &frame, world->affinity ? 3 : 1);
	if (world->forward == SG_FORWARD_SNAT || world->forward == SG_FORWARD_DNAT) {
		error_about_it(world, 1, "10.0.0.77");
		peer_note_forwarded(&peer);
		peer.pod.flags = SG_TCP_SYN | SG_TCP_ACK;
		peer.pod.ack = 1;
		frame_packet(&frame, port_macs[1], pod_mac, &peer.pod);
		meets_its_flow(world, 1, &frame, 1);
	} else {
		write_direct_answer(&peer, &world->rig.out);
	}
	error_about_it(world, 0, "198.51.100.1");
	// The SYN once more: now that the flow is known, affinity asks nobody.
	frame_packet(&frame, port_macs[0], client_mac, &peer.client);
	meets_its_flow(world, 0, &frame, 1);
}

void every_kind_of_packet_finds_its_flow_from_any_queue(void **unused)
{
	static const enum sg_forward forwards[] = {
		SG_FORWARD_SNAT, SG_FORWARD_DNAT, SG_FORWARD_DSR, SG_FORWARD_IPIP};
	static const uint8_t protocols[] = {SG_PROTO_TCP, SG_PROTO_UDP};

	(void)unused;
	for (unsigned row = 0; row < 16; row++) {
		struct world world = {.forward = forwards[row / 4], .affinity = row % 2};
		uint8_t proto = protocols[row / 2 % 2];
		uint64_t created = 0;

		open_world(&world, proto);
		for (uint16_t i = 0; i < N_CONNECTIONS; i++)
			tell_connection(&world, proto, (uint16_t)(4000 + i));
		// Each connection is counted by one worker, and each worker has some.
		for (unsigned i = 0; i < N_WORKERS; i++) {
			assert_true(world.rig.counters[i].services[0].flows_created > 0);
			created += world.rig.counters[i].services[0].flows_created;
		}
		assert_int_equal(created, N_CONNECTIONS);
		rig_close(&world.rig);
	}
}
