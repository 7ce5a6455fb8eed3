// TCP and UDP as stories: segments from either side, and the state and event that each has to
// bring.
#include "fixture.h"

#include "base/random.h"
#include "flow/tcp.h"

#define C         SG_FLOW_TO_BACKEND // the client speaks
#define S         SG_FLOW_TO_CLIENT  // the server speaks
#define SYN       SG_TCP_SYN
#define ACK       SG_TCP_ACK
#define FIN       SG_TCP_FIN
#define RST       SG_TCP_RST
#define MAX_STEPS 10

#define CONFIRMED SG_FLOW_EVENT_CONFIRMED
#define CLOSED    SG_FLOW_EVENT_CLOSED

struct step {
	int from; // C or S
	uint8_t flags;
	uint32_t seq, ack, payload;
	enum sg_flow_state state;
	enum sg_flow_event event;
};

#define IN_SYN         SG_FLOW_TCP_SYN
#define IN_SYN_ACK     SG_FLOW_TCP_SYN_ACK
#define IN_ESTABLISHED SG_FLOW_TCP_ESTABLISHED
#define IN_HALF_CLOSED SG_FLOW_TCP_HALF_CLOSED
#define IN_CLOSING     SG_FLOW_TCP_CLOSING
#define IN_CLOSED      SG_FLOW_TCP_CLOSED

// The client's ISN is 100, the server's 500.
#define HANDSHAKE                                              \
	{S, SYN | ACK, 500, 101, 0, IN_SYN_ACK, 0},            \
	{                                                      \
		C, ACK, 101, 501, 0, IN_ESTABLISHED, CONFIRMED \
	}

// clang-format off
static const struct {
	const char *story;
	struct step steps[MAX_STEPS]; // ends with a step without flags
} stories[] = {
	{"three-way handshake", {HANDSHAKE}},
	{"handshake whose last ACK carries data", {
		{S, SYN | ACK, 500, 101, 0, IN_SYN_ACK, 0},
		{C, ACK, 101, 501, 20, IN_ESTABLISHED, CONFIRMED}}},
	{"the server's ISN is the highest number", {
		{S, SYN | ACK, UINT32_MAX, 101, 0, IN_SYN_ACK, 0},
		{C, ACK, 101, 0, 0, IN_ESTABLISHED, CONFIRMED}}},
	{"SYN retransmitted before and after the answer", {
		{C, SYN, 100, 0, 0, IN_SYN, 0},
		{S, SYN | ACK, 500, 101, 0, IN_SYN_ACK, 0},
		{C, SYN, 100, 0, 0, IN_SYN_ACK, 0},
		{S, SYN | ACK, 500, 101, 0, IN_SYN_ACK, 0},
		{C, ACK, 101, 501, 0, IN_ESTABLISHED, CONFIRMED},
		{C, SYN, 100, 0, 0, IN_ESTABLISHED, 0}}},
	{"SYN + ACK with another ISN (SYN cookies): the last one counts", {
		{S, SYN | ACK, 500, 101, 0, IN_SYN_ACK, 0},
		{S, SYN | ACK, 900, 101, 0, IN_SYN_ACK, 0},
		{C, ACK, 101, 501, 0, IN_SYN_ACK, 0},
		{C, ACK, 101, 901, 0, IN_ESTABLISHED, CONFIRMED}}},
	{"a new attempt from the same port before the first got anywhere", {
		{S, SYN | ACK, 500, 101, 0, IN_SYN_ACK, 0},
		{C, SYN, 7000, 0, 0, IN_SYN, 0},
		{S, SYN | ACK, 500, 101, 0, IN_SYN, 0},
		{S, SYN | ACK, 600, 7001, 0, IN_SYN_ACK, 0},
		{C, ACK, 7001, 601, 0, IN_ESTABLISHED, CONFIRMED}}},
	{"blind SYN + ACK from the server's side", {
		{S, SYN | ACK, 500, 0, 0, IN_SYN, 0},
		{S, SYN | ACK, 500, 100, 0, IN_SYN, 0},
		{S, SYN | ACK, 500, 102, 0, IN_SYN, 0},
		{C, ACK, 101, 501, 0, IN_SYN, 0}}},
	{"blind SYN + ACK and ACK from the client's side", {
		{C, SYN | ACK, 100, 501, 0, IN_SYN, 0},
		{C, ACK, 101, 501, 0, IN_SYN, 0},
		{S, SYN | ACK, 500, 101, 0, IN_SYN_ACK, 0},
		{C, SYN | ACK, 100, 500, 0, IN_SYN_ACK, 0},
		{C, ACK, 101, 500, 0, IN_SYN_ACK, 0},
		{C, ACK, 101, 502, 0, IN_SYN_ACK, 0},
		{C, ACK, 101, 0, 0, IN_SYN_ACK, 0},
		{C, FIN | ACK, 101, 77, 0, IN_SYN_ACK, 0}}},
	{"data without ACK confirms nothing", {
		{C, 0x08, 101, 501, 9, IN_SYN, 0},
		{S, SYN | ACK, 500, 101, 0, IN_SYN_ACK, 0},
		{C, 0x08, 101, 501, 9, IN_SYN_ACK, 0},
		{C, FIN, 101, 501, 9, IN_SYN_ACK, 0}}},
	{"the server's data does not confirm", {
		{S, SYN | ACK, 500, 101, 0, IN_SYN_ACK, 0},
		{S, ACK, 501, 101, 50, IN_SYN_ACK, 0},
		{S, FIN | ACK, 551, 101, 0, IN_SYN_ACK, 0},
		{C, ACK, 101, 501, 0, IN_ESTABLISHED, CONFIRMED}}},
	{"simultaneous open", {
		{S, SYN, 500, 0, 0, IN_SYN_ACK, 0},
		{S, SYN | ACK, 500, 101, 0, IN_SYN_ACK, 0},
		{C, SYN | ACK, 100, 501, 0, IN_ESTABLISHED, CONFIRMED}}},
	{"a forged SYN from the server's side does not spoil the real answer", {
		{S, SYN, 9999, 0, 0, IN_SYN_ACK, 0},
		{S, SYN | ACK, 500, 101, 0, IN_SYN_ACK, 0},
		{S, SYN, 9999, 0, 0, IN_SYN_ACK, 0},
		{C, ACK, 101, 501, 0, IN_ESTABLISHED, CONFIRMED}}},
	{"client closes first", {HANDSHAKE,
		{C, FIN | ACK, 101, 501, 0, IN_HALF_CLOSED, 0},
		{S, ACK, 501, 102, 0, IN_HALF_CLOSED, 0},
		{S, FIN | ACK, 501, 102, 0, IN_CLOSING, 0},
		{C, ACK, 102, 502, 0, IN_CLOSED, CLOSED},
		{C, ACK, 102, 502, 0, IN_CLOSED, 0}}},
	{"server closes first, three segments, data with the FIN", {HANDSHAKE,
		{S, FIN | ACK, 501, 101, 1000, IN_HALF_CLOSED, 0},
		{C, FIN | ACK, 101, 1502, 30, IN_CLOSING, 0},
		{S, ACK, 1502, 132, 0, IN_CLOSED, CLOSED}}},
	{"half closed: the other side goes on for long", {HANDSHAKE,
		{C, FIN | ACK, 101, 501, 0, IN_HALF_CLOSED, 0},
		{S, ACK, 501, 102, 1400, IN_HALF_CLOSED, 0},
		{C, ACK, 102, 1901, 0, IN_HALF_CLOSED, 0},
		{S, ACK, 1901, 102, 1400, IN_HALF_CLOSED, 0},
		{S, FIN | ACK, 3301, 102, 0, IN_CLOSING, 0},
		{C, ACK, 102, 3301, 0, IN_CLOSING, 0}, // the data, not yet the FIN
		{C, ACK, 102, 3302, 0, IN_CLOSED, CLOSED}}},
	{"simultaneous close", {HANDSHAKE,
		{C, FIN | ACK, 101, 501, 0, IN_HALF_CLOSED, 0},
		{S, FIN | ACK, 501, 101, 0, IN_CLOSING, 0},
		{C, ACK, 102, 502, 0, IN_CLOSING, 0},
		{S, ACK, 502, 102, 0, IN_CLOSED, CLOSED}}},
	{"simultaneous close, the other order", {HANDSHAKE,
		{S, FIN | ACK, 501, 101, 0, IN_HALF_CLOSED, 0},
		{C, FIN | ACK, 101, 501, 0, IN_CLOSING, 0},
		{S, ACK, 502, 102, 0, IN_CLOSING, 0},
		{C, ACK, 102, 502, 0, IN_CLOSED, CLOSED}}},
	{"both FINs retransmitted", {HANDSHAKE,
		{C, FIN | ACK, 101, 501, 0, IN_HALF_CLOSED, 0},
		{C, FIN | ACK, 101, 501, 0, IN_HALF_CLOSED, 0},
		{S, FIN | ACK, 501, 102, 0, IN_CLOSING, 0},
		{S, FIN | ACK, 501, 102, 0, IN_CLOSING, 0},
		{C, ACK, 102, 502, 0, IN_CLOSED, CLOSED}}},
	{"a forged FIN is overruled by the real one", {HANDSHAKE,
		{C, FIN | ACK, 99999, 501, 0, IN_HALF_CLOSED, 0},
		{C, FIN | ACK, 101, 501, 0, IN_HALF_CLOSED, 0},
		{S, FIN | ACK, 501, 102, 0, IN_CLOSING, 0},
		{C, ACK, 102, 502, 0, IN_CLOSED, CLOSED}}},
	{"FIN with the segment that confirms", {
		{S, SYN | ACK, 500, 101, 0, IN_SYN_ACK, 0},
		{C, FIN | ACK, 101, 501, 4, IN_HALF_CLOSED, CONFIRMED},
		{S, FIN | ACK, 501, 106, 0, IN_CLOSING, 0},
		{C, ACK, 106, 502, 0, IN_CLOSED, CLOSED}}},
	{"RST by the server that refuses", {{S, RST | ACK, 0, 101, 0, IN_CLOSED, CLOSED}}},
	{"RST by the client in SYN_ACK", {
		{S, SYN | ACK, 500, 101, 0, IN_SYN_ACK, 0},
		{C, RST, 101, 0, 0, IN_CLOSED, CLOSED},
		{C, ACK, 101, 501, 0, IN_CLOSED, 0}}},
	{"RST by the client", {HANDSHAKE, {C, RST, 400, 0, 0, IN_CLOSED, CLOSED}}},
	{"RST by the server", {HANDSHAKE,
		{S, RST, 501, 0, 0, IN_CLOSED, CLOSED}, {C, RST, 101, 0, 0, IN_CLOSED, 0}}},
	{"RST while half closed and while closing", {HANDSHAKE,
		{C, FIN | ACK, 101, 501, 0, IN_HALF_CLOSED, 0},
		{S, FIN | ACK, 501, 101, 0, IN_CLOSING, 0},
		{S, RST | ACK, 502, 102, 0, IN_CLOSED, CLOSED}}},
};
// clang-format on

static struct sg_flow start(uint32_t isn)
{
	struct sg_flow flow = {0};

	sg_flow_tcp_open(&flow, isn);
	return flow;
}

static enum sg_flow_event play(struct sg_flow *flow, const struct step *step)
{
	return sg_flow_tcp_step(flow, step->from, step->flags, step->seq, step->ack, step->payload);
}

static void every_story_goes_as_told(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++) {
		struct sg_flow flow = start(100);
		unsigned n_confirmed = 0;

		for (unsigned n = 0; n < MAX_STEPS && stories[i].steps[n].flags; n++) {
			const struct step *step = &stories[i].steps[n];
			enum sg_flow_event event = play(&flow, step);

			if (flow.state != step->state || event != step->event)
				fail_msg("%s: step %u gave state %u and event %u", stories[i].story,
					n + 1, flow.state, event);
			n_confirmed += event == CONFIRMED;
		}
		assert_true(n_confirmed <= 1);
	}
}

// Numbers all around the circle: adding the same to every number of a story changes nothing.
static void stories_hold_wherever_the_numbers_start(void **unused)
{
	uint64_t random = 21;

	(void)unused;
	for (unsigned round = 0; round < 2000; round++) {
		size_t i = sg_reduce(
			(uint32_t)sg_random_next(&random), sizeof(stories) / sizeof(stories[0]));
		uint32_t by[2] = {
			(uint32_t)sg_random_next(&random), (uint32_t)sg_random_next(&random)};
		struct sg_flow flow = start(100 + by[C]);

		for (unsigned n = 0; n < MAX_STEPS && stories[i].steps[n].flags; n++) {
			struct step step = stories[i].steps[n];

			step.seq += by[step.from];
			step.ack += by[!step.from];
			assert_int_equal(play(&flow, &step), step.event);
			assert_int_equal(flow.state, step.state);
		}
	}
}

static void a_flood_of_guesses_confirms_nothing(void **unused)
{
	uint64_t random = 5;
	struct sg_flow flow = start(100);

	(void)unused;
	assert_int_equal(sg_flow_tcp_step(&flow, S, SYN | ACK, 500, 101, 0), SG_FLOW_EVENT_NONE);
	for (unsigned i = 0; i < 1000000; i++) {
		uint64_t bits = sg_random_next(&random);
		uint32_t ack = (uint32_t)bits;
		uint8_t flags = (uint8_t)(bits >> 32 & ~(uint64_t)(RST | SYN)) | ACK;

		if (ack != 501)
			assert_int_equal(
				sg_flow_tcp_step(&flow, C, flags, (uint32_t)(bits >> 40), ack, 0),
				SG_FLOW_EVENT_NONE);
	}
	assert_int_equal(flow.state, SG_FLOW_TCP_SYN_ACK);
	assert_int_equal(sg_flow_tcp_step(&flow, C, ACK, 101, 501, 0), CONFIRMED);
}

static void the_fast_path_skips_nothing(void **unused)
{
	(void)unused;
	for (unsigned state = 1; state < SG_FLOW_STATE_COUNT; state++) {
		for (unsigned flags = 0; flags < 256; flags++) {
			struct sg_flow flow = {
				.state = (uint8_t)state, .sequence = 1, .server_sequence = 2};
			struct sg_flow before = flow;

			if (!sg_flow_tcp_is_plain(&flow, (uint8_t)flags))
				continue;
			assert_int_equal(state, SG_FLOW_TCP_ESTABLISHED);
			assert_int_equal(
				sg_flow_tcp_step(&flow, flags & 1, (uint8_t)flags, 1, 2, 3), 0);
			assert_memory_equal(&flow, &before, sizeof(flow));
		}
	}
	assert_true(sg_flow_tcp_is_plain(
		&(struct sg_flow){.state = SG_FLOW_TCP_ESTABLISHED}, ACK | 0x08));
}

// A closed flow's tuple may be used again only above the client's last number.
static void reuse_needs_a_higher_number(void **unused)
{
	static const struct {
		struct step last; // after the handshake
		bool known;
		uint32_t number;
	} rows[] = {
		{{C, RST, 4000, 0, 0, IN_CLOSED, CLOSED}, true, 4000},
		{{C, RST, UINT32_MAX, 0, 0, IN_CLOSED, CLOSED}, true, UINT32_MAX},
		{{S, RST | ACK, 501, 4000, 0, IN_CLOSED, CLOSED}, true, 4000},
		{{S, RST, 501, 4000, 0, IN_CLOSED, CLOSED}, false, 0},
	};
	const struct step handshake[] = {HANDSHAKE};

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sg_flow flow = start(100);
		uint32_t number = rows[i].number;

		play(&flow, &handshake[0]);
		play(&flow, &handshake[1]);
		assert_false(sg_flow_tcp_may_reuse(&flow, 5000));
		assert_int_equal(play(&flow, &rows[i].last), CLOSED);
		assert_false(sg_flow_tcp_may_reuse(&flow, number));
		assert_false(sg_flow_tcp_may_reuse(&flow, number - 1));
		assert_false(sg_flow_tcp_may_reuse(&flow, number - 1000000));
		assert_int_equal(sg_flow_tcp_may_reuse(&flow, number + 1), rows[i].known);
		assert_int_equal(sg_flow_tcp_may_reuse(&flow, number + 1000000), rows[i].known);
	}
}

static void reuse_after_fins_is_above_the_clients_fin(void **unused)
{
	static const struct step client_first[] = {HANDSHAKE,
		{C, FIN | ACK, 101, 501, 50, IN_HALF_CLOSED, 0},
		{S, FIN | ACK, 501, 152, 0, IN_CLOSING, 0},
		{C, ACK, 152, 502, 0, IN_CLOSED, CLOSED}};
	static const struct step server_first[] = {HANDSHAKE,
		{S, FIN | ACK, 501, 101, 0, IN_HALF_CLOSED, 0},
		{C, FIN | ACK, 101, 502, 50, IN_CLOSING, 0},
		{S, ACK, 502, 152, 0, IN_CLOSED, CLOSED}};
	const struct step *both[] = {client_first, server_first};

	(void)unused;
	for (unsigned i = 0; i < 2; i++) {
		struct sg_flow flow = start(100);

		for (unsigned n = 0; n < 5; n++)
			assert_int_equal(play(&flow, &both[i][n]), both[i][n].event);
		assert_false(sg_flow_tcp_may_reuse(&flow, 151));
		assert_false(sg_flow_tcp_may_reuse(&flow, 152));
		assert_true(sg_flow_tcp_may_reuse(&flow, 153));
	}
}

static void one_side_alone_confirms_and_closes(void **unused)
{
	struct sg_flow flow = {0};

	(void)unused;
	sg_flow_tcp_open(&flow, 100);
	flow.one_way = true;
	// The SYN itself, a guess, a SYN of a new attempt, what belonged to the old one.
	assert_int_equal(sg_flow_tcp_step_one_way(&flow, SG_TCP_SYN, 100, 0), SG_FLOW_EVENT_NONE);
	assert_int_equal(sg_flow_tcp_step_one_way(&flow, SG_TCP_ACK, 99, 0), SG_FLOW_EVENT_NONE);
	assert_int_equal(sg_flow_tcp_step_one_way(&flow, SG_TCP_SYN, 200, 0), SG_FLOW_EVENT_NONE);
	assert_int_equal(sg_flow_tcp_step_one_way(&flow, SG_TCP_ACK, 101, 0), SG_FLOW_EVENT_NONE);
	assert_int_equal(flow.state, SG_FLOW_TCP_SYN);
	assert_int_equal(
		sg_flow_tcp_step_one_way(&flow, SG_TCP_ACK, 201, 0), SG_FLOW_EVENT_CONFIRMED);
	assert_int_equal(flow.state, SG_FLOW_TCP_ESTABLISHED);
	assert_int_equal(sg_flow_tcp_step_one_way(&flow, SG_TCP_ACK, 300, 9), SG_FLOW_EVENT_NONE);
	assert_int_equal(sg_flow_tcp_step_one_way(&flow, SG_TCP_FIN | SG_TCP_ACK, 309, 10),
		SG_FLOW_EVENT_CLOSED);
	assert_int_equal(flow.state, SG_FLOW_TCP_CLOSED);
	assert_int_equal(sg_flow_tcp_step_one_way(&flow, SG_TCP_ACK, 320, 0), SG_FLOW_EVENT_NONE);
	assert_false(sg_flow_tcp_may_reuse(&flow, 320));
	assert_true(sg_flow_tcp_may_reuse(&flow, 321));

	sg_flow_tcp_open(&flow, 100);
	assert_int_equal(sg_flow_tcp_step_one_way(&flow, SG_TCP_RST, 101, 0), SG_FLOW_EVENT_CLOSED);

	flow = (struct sg_flow){.state = SG_FLOW_UDP_NEW, .one_way = true};
	assert_int_equal(sg_flow_udp_step_one_way(&flow), SG_FLOW_EVENT_NONE);
	assert_int_equal(sg_flow_udp_step_one_way(&flow), SG_FLOW_EVENT_CONFIRMED);
	assert_int_equal(flow.state, SG_FLOW_UDP);
	assert_int_equal(sg_flow_udp_step_one_way(&flow), SG_FLOW_EVENT_NONE);
}

static void udp_is_confirmed_when_the_client_comes_back(void **unused)
{
	static const struct {
		int from;
		enum sg_flow_state state;
		enum sg_flow_event event;
	} steps[] = {
		{C, SG_FLOW_UDP_NEW, 0},
		{C, SG_FLOW_UDP_NEW, 0},
		{S, SG_FLOW_UDP_REPLIED, 0},
		{S, SG_FLOW_UDP_REPLIED, 0},
		{C, SG_FLOW_UDP, CONFIRMED},
		{C, SG_FLOW_UDP, 0},
		{S, SG_FLOW_UDP, 0},
	};
	struct sg_flow flow = {.state = SG_FLOW_UDP_NEW};

	(void)unused;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		assert_int_equal(sg_flow_udp_step(&flow, steps[i].from), steps[i].event);
		assert_int_equal(flow.state, steps[i].state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_story_goes_as_told),
		cmocka_unit_test(stories_hold_wherever_the_numbers_start),
		cmocka_unit_test(a_flood_of_guesses_confirms_nothing),
		cmocka_unit_test(the_fast_path_skips_nothing),
		cmocka_unit_test(reuse_needs_a_higher_number),
		cmocka_unit_test(reuse_after_fins_is_above_the_clients_fin),
		cmocka_unit_test(one_side_alone_confirms_and_closes),
		cmocka_unit_test(udp_is_confirmed_when_the_client_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
