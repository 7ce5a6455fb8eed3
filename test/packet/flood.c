// Floods: what they must not take from those who are served, see "Floods" in the flow table's
// essay.
//
// An attacker sends from addresses that he does not have; pods answer everybody. Meanwhile honest
// clients connect, with a round trip shorter than the time that an embryo has: the embryos' share
// of the table over the flood's rate.
#include "rig.h"
#include "stages.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum {
	MAX_FLOWS = 32768,
	N_ESTABLISHED = 10000,
	N_HONEST = 2000,
	EMBRYOS = MAX_FLOWS / 2, // their share: established flows leave more free
	ROUND_TRIP =
		EMBRYOS / 2, // counted in packets of the flood: half the time that an embryo has
	FLOOD_PER_HONEST = 10,
};

#define POD_ISN 500

struct attack {
	const char *story;
	uint8_t proto;
	bool acks_blindly; // follows each SYN with an ACK of a number that he guesses
};

static struct rig rig;

static struct ipv4_text honest_text(unsigned number, uint8_t proto)
{
	return (struct ipv4_text){.src = CLIENT,
		.dst = VIP,
		.sport = (uint16_t)(10000 + number),
		.dport = 80,
		.proto = proto};
}

static bool run_text(uint8_t port, const uint8_t *station, const struct ipv4_text *text)
{
	struct frame frame;

	frame_packet(&frame, port_macs[port], station, text);
	return rig_run(&rig, 0, port, 0, &frame)->verdict == SG_VERDICT_FORWARD;
}

// The pod's answer to what has just been forwarded to it.
static struct ipv4_text pod_answer(uint8_t proto)
{
	const struct sg_tcp_hdr *ports = frame_l4(&rig.out);

	return (struct ipv4_text){.src = POD,
		.dst = SNAT,
		.sport = 8080,
		.dport = ntohs(ports->sport_be),
		.proto = proto,
		.flags = SG_TCP_SYN | SG_TCP_ACK,
		.seq = POD_ISN,
		.ack = 101};
}

// The two halves of an honest handshake: up to the pod's answer, and what the client sends after a
// round trip.
static void begin_honest(unsigned number, uint8_t proto)
{
	struct ipv4_text text = honest_text(number, proto), answer;

	text.flags = SG_TCP_SYN;
	text.seq = 100;
	assert_true(run_text(0, client_mac, &text));
	answer = pod_answer(proto);
	assert_true(run_text(1, pod_mac, &answer));
}

static bool finish_honest(unsigned number, uint8_t proto)
{
	struct ipv4_text text = honest_text(number, proto);
	uint64_t created = rig.totals[0].flows_created;

	text.flags = SG_TCP_ACK;
	text.seq = 101;
	text.ack = POD_ISN + 1;
	// A datagram over a recycled flow would start another one: that is not the same connection.
	return run_text(0, client_mac, &text) && rig.totals[0].flows_created == created;
}

static void send_flood(const struct attack *attack, unsigned number)
{
	char src[INET_ADDRSTRLEN];
	struct ipv4_text text = {.src = src,
		.dst = VIP,
		.sport = (uint16_t)(1024 + number % 60000),
		.dport = 80,
		.proto = attack->proto,
		.flags = SG_TCP_SYN,
		.seq = 100};
	struct ipv4_text answer;

	snprintf(src, sizeof(src), "203.0.113.%u", 1 + number / 60000 % 250);
	assert_true(run_text(0, gateway_mac, &text));
	answer = pod_answer(attack->proto);
	run_text(1, pod_mac, &answer);
	if (!attack->acks_blindly)
		return;
	text.flags = SG_TCP_ACK;
	text.seq = 101;
	text.ack = number * 2654435761u;
	run_text(0, gateway_mac, &text);
}

static void run_attack(const struct attack *attack)
{
	unsigned flood = 0, completed = 0, begun = 0;
	const unsigned delay =
		ROUND_TRIP / FLOOD_PER_HONEST; // honest beginnings until one is finished

	rig_open(&rig, &(struct rig_options){.max_flows = MAX_FLOWS});
	rig_service(&rig, "flooded", attack->proto, 80);
	rig_commit(&rig);
	for (unsigned i = 0; i < N_ESTABLISHED; i++) {
		begin_honest(i, attack->proto);
		assert_true(finish_honest(i, attack->proto));
	}
	for (unsigned i = 0; i < MAX_FLOWS; i++)
		send_flood(attack, flood++);

	// Honest clients come at their own pace, and finish a round trip later.
	for (unsigned i = 0; i < N_HONEST + delay; i++) {
		for (unsigned k = 0; k < FLOOD_PER_HONEST; k++)
			send_flood(attack, flood++);
		if (begun < N_HONEST)
			begin_honest(N_ESTABLISHED + begun++, attack->proto);
		if (i >= delay)
			completed += finish_honest(N_ESTABLISHED + i - delay, attack->proto);
	}
	print_message(
		"# %s: %u of %u honest handshakes completed\n", attack->story, completed, N_HONEST);
	assert_true(completed >= N_HONEST * 99 / 100);
	for (unsigned i = 0; i < N_ESTABLISHED; i++)
		assert_true(finish_honest(i, attack->proto));
	rig_close(&rig);
}

void floods_take_nothing_from_those_who_are_served(void **unused)
{
	static const struct attack attacks[] = {
		{"SYN flood", SG_PROTO_TCP, false},
		{"blind SYN + ACK flood", SG_PROTO_TCP, true},
		{"spoofed UDP flood", SG_PROTO_UDP, false},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++)
		run_attack(&attacks[i]);
}
