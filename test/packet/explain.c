// What is said would happen, and what then happens: 100,000 random packets in worlds that change
// meanwhile, over all modes, schedulers, policies and affinities, with known flows and without.
#include "dataplane/explain.h"
#include "rig.h"
#include "stages.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

#define N_PACKETS 100000
#define N_ROUNDS  40 // worlds
#define N_REPLIES 64 // that may come back

struct world {
	struct rig rig;
	struct sg_explainer *explainer;
	uint64_t random;
	struct ipv4_text replies[N_REPLIES];
	unsigned n_replies; // ever noted
	unsigned ends[SG_EXPLAINED_ICMP + 1];
	unsigned known;
	bool drops[SG_DROP_COUNT];
};

static unsigned pick(struct world *world, unsigned n)
{
	return (unsigned)((sg_random_next(&world->random) >> 33) % n);
}

static void add_prefix(struct world *world, struct sg_policy_spec *policy)
{
	static const char *const texts[] = {
		"203.0.113.0/24", "198.51.100.7/32", "203.0.113.64/26", "0.0.0.0/0"};
	struct sg_prefix prefix = test_prefix(texts[pick(world, 4)]);

	if (pick(world, 2))
		assert_int_equal(sg_policy_spec_add_deny(policy, &prefix), 0);
	else
		assert_int_equal(sg_policy_spec_add_allow(policy, &prefix), 0);
}

// Services at ports 80 to 87 of both protocols; some are without backends.
static void declare(struct world *world)
{
	static const char *const pods[] = {POD, POD2, "10.0.0.9", "10.0.0.11", "10.0.0.77"};

	for (uint16_t port = 80; port < 88; port++) {
		char name[16];
		// Where embryos make room for each other, limits are told as of before (explain.h).
		bool is_roomy = sg_flow_table_max(world->rig.pipelines[0]->flows) >= 100;
		struct sg_service_spec *spec;

		snprintf(name, sizeof(name), "service-%u", port);
		spec = rig_service(
			&world->rig, name, pick(world, 3) ? SG_PROTO_TCP : SG_PROTO_UDP, port);
		spec->n_backends = 0;
		spec->forward = (enum sg_forward)pick(world, SG_FORWARD_COUNT);
		spec->scheduler = (enum sg_scheduler)pick(world, SG_SCHEDULER_COUNT);
		spec->affinity = (enum sg_affinity)(pick(world, 3) == 0);
		for (unsigned n = pick(world, 6); n > 0; n--) {
			unsigned pod = pick(world, 8);

			// dnat services share no backend: its port is the service's.
			rig_backend(spec, pods[pod < 5 ? pod : pod % 2], port,
				(uint16_t)(1 + pick(world, 3)));
			if (is_roomy && (port + n) % 11 == 0)
				spec->backends[spec->n_backends - 1].max_connections = 3 + n;
		}
		if (pick(world, 3) == 0)
			add_prefix(world, &spec->policy);
		spec->policy.existing = (enum sg_existing)pick(world, 2);
		if (!is_roomy)
			continue;
		if (pick(world, 3) == 0)
			spec->limits.max_connections = 3 + pick(world, 20);
		if (pick(world, 4) == 0)
			spec->limits.max_connections_per_backend = 3 + pick(world, 10);
		if (pick(world, 4) == 0)
			spec->limits.max_connections_per_client = 2 + pick(world, 10);
		if (pick(world, 4) == 0)
			spec->limits.max_new_per_second = 3 + pick(world, 10);
		if (pick(world, 4) == 0)
			spec->limits.max_new_per_second_per_client = 1 + pick(world, 5);
	}
}

static void change(struct world *world)
{
	char name[16];
	struct sg_service_spec *spec;

	snprintf(name, sizeof(name), "service-%u", 80 + pick(world, 8));
	spec = sg_service_spec_clone(sg_state_find(&world->rig.state, name));
	assert_non_null(spec);
	switch (pick(world, 5)) {
	case 0:
		add_prefix(world, &spec->policy);
		break;
	case 1:
		if (spec->n_backends > 0)
			spec->backends[0].draining = !spec->backends[0].draining;
		break;
	case 2:
		if (spec->n_backends > 0)
			sg_service_spec_remove_backend(
				spec, &spec->backends[0].address, spec->backends[0].port);
		break;
	case 3:
		spec->scheduler = (enum sg_scheduler)pick(world, SG_SCHEDULER_COUNT);
		break;
	default:
		spec->policy.existing = (enum sg_existing)pick(world, 2);
		break;
	}
	assert_int_equal(sg_state_put(&world->rig.state, spec), 0);
	rig_commit(&world->rig);
}

static void random_text(struct world *world, struct ipv4_text *text)
{
	static const char *const sources[] = {CLIENT, "203.0.113.9", "203.0.113.70", "198.51.100.8",
		"8.8.8.8", POD, "198.51.100.11"};
	static const char *const targets[] = {VIP, VIP, VIP, VIP, SNAT, POD, "198.51.100.11"};
	static const uint8_t flags[] = {SG_TCP_SYN, SG_TCP_SYN, SG_TCP_ACK, SG_TCP_ACK | SG_TCP_FIN,
		SG_TCP_RST, SG_TCP_SYN | SG_TCP_ACK};

	if (world->n_replies > 0 && pick(world, 3) == 0) {
		*text = world->replies[pick(
			world, world->n_replies < N_REPLIES ? world->n_replies : N_REPLIES)];
	} else {
		*text = (struct ipv4_text){.src = sources[pick(world, 7)],
			.dst = targets[pick(world, 7)],
			.sport = (uint16_t)(4000 + pick(world, 40)),
			.dport = (uint16_t)(79 + pick(world, 10)),
			.proto = pick(world, 3) ? SG_PROTO_TCP : SG_PROTO_UDP};
	}
	text->flags = text->proto == SG_PROTO_TCP ? flags[pick(world, 6)] : 0;
}

// The next hop's answer to what was forwarded.
static void note_reply(struct world *world)
{
	struct sg_addr src = frame_src(&world->rig.out), dst = frame_dst(&world->rig.out);
	const struct sg_tcp_hdr *ports = frame_l4(&world->rig.out);
	unsigned at = world->n_replies++ % N_REPLIES;

	world->replies[at] = (struct ipv4_text){.src = test_text(&dst),
		.dst = test_text(&src),
		.sport = ntohs(ports->dport_be),
		.dport = ntohs(ports->sport_be),
		.proto = frame_proto(&world->rig.out)};
}

static struct sg_question question_of(const struct ipv4_text *text, uint8_t port)
{
	const struct sg_question question = {.protocol = text->proto,
		.sport = text->sport,
		.dport = text->dport,
		.flags_given = true,
		.tcp_flags = text->flags,
		.port_given = true,
		.port = port,
		.src = test_addr(text->src),
		.dst = test_addr(text->dst)};

	return question;
}

static void compare(struct world *world, const struct sg_explanation *said, unsigned worker,
	const struct ipv4_text *text)
{
	const struct sg_pkt *pkt = &world->rig.burst.pkts[0];
	const struct sg_hop *hop = &world->rig.routes->hops[pkt->hop];
	struct sg_addr src, dst;
	bool is_sent = pkt->verdict == SG_VERDICT_FORWARD || pkt->verdict == SG_VERDICT_SEND;
	bool was_to_be_sent = said->end == SG_EXPLAINED_FORWARDED || said->end == SG_EXPLAINED_HELD;

	if (is_sent != was_to_be_sent ||
		(pkt->verdict == SG_VERDICT_DROP) != (said->end == SG_EXPLAINED_DROPPED) ||
		(pkt->verdict == SG_VERDICT_ANSWER) !=
			(said->end == SG_EXPLAINED_RESET || said->end == SG_EXPLAINED_ICMP) ||
		(pkt->verdict == SG_VERDICT_DROP && pkt->drop != said->drop))
		fail_msg(
			"%s:%u to %s:%u proto %u flags %x: said end %d drop %s, but verdict %d drop %s",
			text->src, text->sport, text->dst, text->dport, text->proto, text->flags,
			said->end, said->drop ? sg_drop_name(said->drop) : "-", pkt->verdict,
			pkt->verdict == SG_VERDICT_DROP ? sg_drop_name(pkt->drop) : "-");
	world->ends[said->end]++;
	world->drops[said->drop] = true;
	world->known += said->known;
	if (!is_sent)
		return;
	// What the kernel sends as it is goes out by whoever it reaches.
	if (pkt->verdict != SG_VERDICT_SEND || pkt->ref)
		assert_int_equal(said->worker, worker);
	assert_int_equal(
		said->out_port, pkt->verdict == SG_VERDICT_SEND ? pkt->out_port : hop->port);
	assert_int_equal(said->learned, pkt->verdict == SG_VERDICT_SEND && pkt->ref);
	if (memcmp(said->next_mac, pkt->bytes, 6) != 0)
		fail_msg("%s:%u to %s:%u proto %u flags %x: another next hop, verdict %d hop %u",
			text->src, text->sport, text->dst, text->dport, text->proto, text->flags,
			pkt->verdict, pkt->hop);
	src = frame_src(&world->rig.out);
	dst = frame_dst(&world->rig.out);
	assert_true(sg_addr_equal(&said->src, &src));
	assert_true(sg_addr_equal(&said->dst, &dst));
	if (pkt->ref)
		assert_int_equal(said->backend_slot,
			sg_flow_table_get(world->rig.pipelines[worker]->flows, pkt->ref)
				->backend_slot);
	if (!said->encapsulated && !(pkt->flags & SG_PKT_FROM_KERNEL))
		note_reply(world);
}

static void ask_and_send(struct world *world)
{
	struct sg_explanation said;
	struct sg_question question;
	struct ipv4_text text;
	struct frame frame;
	uint64_t before[RIG_MAX_WORKERS];
	unsigned worker, hops;
	uint8_t port;

	random_text(world, &text);
	port = strncmp(text.src, "10.", 3) == 0;
	question = question_of(&text, port);
	for (unsigned i = 0; i < world->rig.n_workers; i++)
		before[i] = world->rig.totals[i].flows_created;
	sg_explain(world->explainer, world->rig.snapshot, &question, &said);
	// Asking has done nothing.
	for (unsigned i = 0; i < world->rig.n_workers; i++)
		assert_true(world->rig.totals[i].flows_created == before[i]);
	assert_int_equal(said.in_port, port);
	frame_packet(&frame, port_macs[port], port ? pod_mac : client_mac, &text);
	rig_deliver_flagged(&world->rig, said.first_worker, port,
		said.from_kernel ? SG_PKT_FROM_KERNEL : 0, &frame, &worker, &hops);
	compare(world, &said, worker, &text);
}

static void visit(struct world *world, unsigned round)
{
	struct sg_error error;
	struct sg_pipeline *const *pipelines = world->rig.pipelines;

	rig_open(&world->rig, &(struct rig_options){.n_workers = 1 + round % 4,
				      .max_flows = round % 3 ? 1024 : 48,
				      .snat_ports = round % 5 ? 0 : 256});
	declare(world);
	rig_commit(&world->rig);
	world->explainer = sg_explainer_create(pipelines, world->rig.n_workers, &error);
	assert_non_null(world->explainer);
	world->n_replies = 0;
	for (unsigned i = 0; i < N_PACKETS / N_ROUNDS; i++) {
		ask_and_send(world);
		if (i % 50 == 49)
			rig_pass_ms(&world->rig, pick(world, 20000));
		if (i % 100 == 99)
			change(world);
		if (i % 300 == 299)
			rig_sweep(&world->rig);
	}
	sg_explainer_destroy(world->explainer);
	rig_close(&world->rig);
}

void what_is_said_is_what_happens(void **unused)
{
	struct world *world = calloc(1, sizeof(*world));

	(void)unused;
	assert_non_null(world);
	world->random = 77;
	for (unsigned round = 0; round < N_ROUNDS; round++)
		visit(world, round);
	// The walk has been where it wanted to go.
	for (unsigned end = 0; end <= SG_EXPLAINED_ICMP; end++)
		assert_true(world->ends[end] > 50);
	assert_true(world->known > N_PACKETS / 20);
	assert_true(world->drops[SG_DROP_DENIED]);
	assert_true(world->drops[SG_DROP_NOT_ALLOWED]);
	assert_true(world->drops[SG_DROP_NO_ROUTE]);
	for (unsigned drop = SG_DROP_SERVICE_LIMIT; drop <= SG_DROP_CLIENT_LIMIT; drop++)
		if (!world->drops[drop])
			fail_msg("%s did not happen", sg_drop_name(drop));
	assert_true(world->drops[SG_DROP_SERVICE_RATE] && world->drops[SG_DROP_CLIENT_RATE]);
	assert_true(world->drops[SG_DROP_UNSERVED_PORT]);
	free(world);
}
