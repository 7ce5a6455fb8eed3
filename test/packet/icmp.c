// ICMP errors about flows, from either side.
#include "peer.h"
#include "stages.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MTU_BE __builtin_bswap32(1280)

// An error from `router` about the packet in `quoted`, of which it quotes so many bytes.
static void write_error(struct frame *frame, uint8_t port, const char *router, uint8_t type,
	uint8_t code, const struct frame *quoted, uint16_t quote_bytes)
{
	struct sg_addr sender = frame_src(quoted);
	struct ipv4_text text = {.proto = SG_PROTO_ICMP,
		.icmp_type = type,
		.icmp_code = code,
		.src = router,
		.payload = quote_bytes};

	text.dst = test_text(&sender);
	frame_packet(frame, port_macs[port], port ? pod_mac : client_mac, &text);
	((struct sg_icmp_hdr *)frame_l4(frame))->rest_be = MTU_BE;
	memcpy((uint8_t *)frame_l4(frame) + 8, quoted->bytes + 14, quote_bytes);
	frame_fix_checksums(frame);
}

static struct frame quote_of(const struct frame *error)
{
	uint16_t headers = (uint16_t)(frame_ip_bytes(error) + 8);
	struct frame quote = {.length = (uint16_t)(error->length - headers)};

	memcpy(quote.bytes, error->bytes, 14);
	memcpy(quote.bytes + 14, error->bytes + 14 + headers, (size_t)(quote.length - 14));
	return quote;
}

// The quote is what `sent` was, but for the TTL on the way.
static void expect_quote(struct frame *error, struct frame *sent)
{
	struct frame quote = quote_of(error);

	assert_int_equal(((const struct sg_icmp_hdr *)frame_l4(error))->rest_be, MTU_BE);
	// The gateway was a hop: TTL and sum differ from the sender's as any router's would.
	*frame_ttl(&quote) = *frame_ttl(sent);
	if (!frame_is_ipv6(&quote))
		frame_ip(&quote)->checksum = frame_ip(sent)->checksum;
	assert_memory_equal(quote.bytes + 14, sent->bytes + 14, (size_t)(quote.length - 14));
}

// The quoted header's own sum, where it has one, holds when it is right for the TTL that it has.
static void expect_quoted_sum(const struct frame *error)
{
	struct frame quote = quote_of(error);
	struct frame fixed = quote;

	if (frame_is_ipv6(&quote))
		return;
	frame_ip(&fixed)->checksum = 0;
	frame_fix_checksums(&fixed);
	assert_int_equal(frame_ip(&quote)->checksum, frame_ip(&fixed)->checksum);
}

// A header and so many bytes behind it.
static uint16_t with_header(unsigned bytes)
{
	return (uint16_t)(bytes + (test_family == SG_FAMILY_IPV6 ? 40 : 20));
}

static void frame_of_client(struct peer *peer, struct frame *ret_frame)
{
	frame_packet(ret_frame, port_macs[0], client_mac, &peer->client);
}

static void frame_of_pod(struct peer *peer, struct frame *ret_frame)
{
	frame_packet(ret_frame, port_macs[1], pod_mac, &peer->pod);
}

static void open_flow(struct rig *rig, struct peer *peer, uint8_t proto)
{
	rig_open(rig, &(struct rig_options){0});
	rig_service(rig, "web", proto, 80);
	rig_commit(rig);
	*peer = meet(rig, proto, 4000, 80);
	if (proto == SG_PROTO_TCP)
		establish(peer);
	expect(client_sends(peer, SG_TCP_ACK, 101, 501, 600), SG_VERDICT_FORWARD);
}

void an_error_from_behind_reaches_the_client(void **unused)
{
	static const uint8_t types[] = {
		SG_ICMP_UNREACHABLE, SG_ICMP_TIME_EXCEEDED, SG_ICMP_PARAMETER};
	static const uint8_t protocols[] = {SG_PROTO_TCP, SG_PROTO_UDP};

	(void)unused;
	for (size_t i = 0; i < sizeof(types) * sizeof(protocols); i++) {
		// 64 bits behind the header; a whole TCP header; everything that fits.
		static const uint16_t quotes[] = {8, 20, 528};
		struct frame sent, forwarded, error;
		struct peer peer;
		struct rig rig;

		open_flow(&rig, &peer, protocols[i / sizeof(types)]);
		frame_of_client(&peer, &sent);
		forwarded = rig.out;
		for (size_t q = 0; q < sizeof(quotes) / sizeof(quotes[0]); q++) {
			write_error(&error, 1, "10.0.0.77", types[i % sizeof(types)],
				SG_ICMP_CODE_FRAG_NEEDED, &forwarded, with_header(quotes[q]));
			expect(rig_run(&rig, 0, 1, 0, &error), SG_VERDICT_FORWARD);
			expect_addresses(&rig, VIP, CLIENT, client_mac);
			expect_quoted_sum(&rig.out);
			expect_quote(&rig.out, &sent);
		}
		rig_close(&rig);
	}
}

void an_error_from_the_clients_side_reaches_the_pod(void **unused)
{
	static const uint8_t protocols[] = {SG_PROTO_TCP, SG_PROTO_UDP};

	(void)unused;
	for (size_t i = 0; i < sizeof(protocols); i++) {
		struct frame sent, forwarded, error;
		struct peer peer;
		struct rig rig;

		open_flow(&rig, &peer, protocols[i]);
		expect(pod_sends(&peer, SG_TCP_ACK, 501, 701, 1400), SG_VERDICT_FORWARD);
		frame_of_pod(&peer, &sent);
		forwarded = rig.out;
		write_error(&error, 0, "198.51.100.1", SG_ICMP_UNREACHABLE,
			SG_ICMP_CODE_FRAG_NEEDED, &forwarded, with_header(28));
		expect(rig_run(&rig, 0, 0, 0, &error), SG_VERDICT_FORWARD);
		expect_addresses(&rig, SNAT, POD, pod_mac);
		expect_quoted_sum(&rig.out);
		expect_quote(&rig.out, &sent);
		rig_close(&rig);
	}
}

void an_error_keeps_no_flow_alive(void **unused)
{
	struct frame error;
	struct peer peer;
	struct rig rig;

	(void)unused;
	open_flow(&rig, &peer, SG_PROTO_UDP);
	write_error(&error, 1, POD, SG_ICMP_UNREACHABLE, SG_ICMP_CODE_PORT_UNREACHABLE, &rig.out,
		with_header(8));
	rig_pass_ms(&rig, 6000);
	expect(rig_run(&rig, 0, 1, 0, &error), SG_VERDICT_FORWARD);
	assert_int_equal(sg_flow_table_embryos(rig.pipelines[0]->flows), 1);
	rig_pass_ms(&rig, 6000);
	rig_sweep(&rig);
	assert_int_equal(sg_flow_table_count(rig.pipelines[0]->flows), 0);
	expect_drop(rig_run(&rig, 0, 1, 0, &error), SG_DROP_ICMP_UNMATCHED);
	rig_close(&rig);
}

void an_error_that_no_flow_asked_for_is_dropped(void **unused)
{
	static const uint8_t later_fragment[8] = {0, 0, 0, 64};
	struct frame forwarded, error;
	struct peer peer;
	struct rig rig;

	(void)unused;
	open_flow(&rig, &peer, SG_PROTO_TCP);
	forwarded = rig.out;
	// Too short a quote, a later fragment, another protocol, a port that no flow has, another
	// version of IP.
	for (int flaw = 0; flaw < 5; flaw++) {
		struct frame quoted = forwarded;

		if (flaw == 1 && frame_is_ipv6(&quoted))
			frame_insert_extensions(&quoted, SG_PROTO_FRAGMENT, later_fragment, 8);
		else if (flaw == 1)
			frame_ip(&quoted)->fragment_be = htons(100);
		else if (flaw == 2 && frame_is_ipv6(&quoted))
			frame_ip6(&quoted)->next = 47;
		else if (flaw == 2)
			frame_ip(&quoted)->proto = 47;
		else if (flaw == 3)
			((struct sg_tcp_hdr *)frame_l4(&quoted))->sport_be ^= 1;
		else if (flaw == 4)
			frame_ip(&quoted)->version_ihl ^= 0x20; // the other family's, 4 or 6
		write_error(&error, 1, POD, SG_ICMP_UNREACHABLE, 1, &quoted,
			with_header(flaw == 0 ? 7 : 16));
		expect_drop(rig_run(&rig, 0, 1, 0, &error), SG_DROP_ICMP_UNMATCHED);
	}
	// And no answer to an error whose time has come.
	write_error(&error, 1, POD, SG_ICMP_UNREACHABLE, 1, &forwarded, with_header(8));
	*frame_ttl(&error) = 1;
	frame_fix_checksums(&error);
	expect_drop(rig_run(&rig, 0, 1, 0, &error), SG_DROP_TTL_EXCEEDED);
	rig_close(&rig);
}

void an_error_finds_its_flows_home(void **unused)
{
	enum {
		N_WORKERS = 4
	};
	struct rig rig;

	(void)unused;
	rig_open(&rig, &(struct rig_options){.n_workers = N_WORKERS});
	rig_service(&rig, "dns", SG_PROTO_UDP, 53);
	rig_commit(&rig);
	for (uint16_t sport = 2000; sport < 2100; sport++) {
		struct peer peer = meet(&rig, SG_PROTO_UDP, sport, 53);
		struct frame query, error, forwarded;
		unsigned home = 0;

		frame_of_client(&peer, &query);
		if (rig_run(&rig, 0, 0, 0, &query)->verdict == SG_VERDICT_HANDOFF) {
			home = rig.burst.pkts[0].target;
			rig_run(&rig, home, 0, SG_PKT_HANDED_OFF, &query);
		}
		expect(&rig.burst.pkts[0], SG_VERDICT_FORWARD);
		forwarded = rig.out;
		write_error(&error, 1, POD, SG_ICMP_UNREACHABLE, 3, &forwarded, with_header(8));
		for (unsigned at = 0; at < N_WORKERS; at++) {
			const struct sg_pkt *pkt = rig_run(&rig, at, 1, 0, &error);

			expect(pkt, at == home ? SG_VERDICT_FORWARD : SG_VERDICT_HANDOFF);
			if (at != home)
				assert_int_equal(pkt->target, home);
		}
	}
	rig_close(&rig);
}

// A gateway that has forgotten all flows, or never had them: its scheduler knows whose they are.
static void open_stateless(struct rig *rig, enum sg_forward forward, enum sg_scheduler scheduler)
{
	uint16_t port = forward == SG_FORWARD_DNAT ? 8080 : 80;
	struct sg_service_spec *spec;

	rig_open(rig, &(struct rig_options){0});
	spec = rig_service(rig, "web", SG_PROTO_UDP, 80);
	spec->forward = forward;
	spec->scheduler = scheduler;
	spec->backends[0].port = port;
	rig_backend(spec, POD2, port, 1);
	rig_commit(rig);
}

// Of what the backend sent for the VIP, and in mode dnat also of what it was sent.
static void expect_errors_without_a_flow(
	enum sg_forward forward, enum sg_scheduler scheduler, uint16_t sport)
{
	bool known = scheduler != SG_SCHEDULER_RR;
	struct frame answer, forwarded, error, quote;
	struct rig knows, forgot;
	struct peer peer = meet(&knows, SG_PROTO_UDP, sport, 80);
	struct sg_addr to;
	uint16_t hop;

	open_stateless(&knows, forward, scheduler);
	open_stateless(&forgot, forward, scheduler);
	expect(client_sends(&peer, 0, 0, 0, 600), SG_VERDICT_FORWARD);
	forwarded = knows.out;
	hop = knows.burst.pkts[0].hop;
	frame_packet(&answer, client_mac, port_macs[0],
		&(struct ipv4_text){.src = VIP,
			.dst = CLIENT,
			.sport = 80,
			.dport = sport,
			.proto = SG_PROTO_UDP,
			.payload = 1400});
	write_error(&error, 0, "198.51.100.1", SG_ICMP_UNREACHABLE, SG_ICMP_CODE_FRAG_NEEDED,
		&answer, with_header(28));
	rig_run(&forgot, 0, 0, 0, &error);
	if (known) {
		expect(&forgot.burst.pkts[0], SG_VERDICT_FORWARD);
		assert_int_equal(forgot.burst.pkts[0].hop, hop);
	} else {
		expect_drop(&forgot.burst.pkts[0], SG_DROP_ICMP_UNMATCHED);
	}
	if (forward == SG_FORWARD_DNAT) {
		write_error(&error, 1, "10.0.0.77", SG_ICMP_UNREACHABLE, SG_ICMP_CODE_FRAG_NEEDED,
			&forwarded, with_header(8));
		rig_run(&forgot, 0, 1, 0, &error);
		if (known) {
			expect(&forgot.burst.pkts[0], SG_VERDICT_FORWARD);
			expect_addresses(&forgot, VIP, CLIENT, client_mac);
			quote = quote_of(&forgot.out);
			to = frame_dst(&quote);
			assert_true(test_addr_is(&to, VIP));
		} else {
			expect_drop(&forgot.burst.pkts[0], SG_DROP_NOT_LOCAL);
		}
	}
	// Not of a client who may not use the service.
	rig_deny_all(&forgot, "198.51.100.0/24");
	rig_commit(&forgot);
	write_error(&error, 0, "203.0.113.1", SG_ICMP_UNREACHABLE, SG_ICMP_CODE_FRAG_NEEDED,
		&answer, with_header(28));
	expect_drop(rig_run(&forgot, 0, 0, 0, &error), SG_DROP_ICMP_UNMATCHED);
	rig_close(&knows);
	rig_close(&forgot);
}

void errors_need_no_flow_where_the_scheduler_knows(void **unused)
{
	static const enum sg_forward modes[] = {SG_FORWARD_DNAT, SG_FORWARD_DSR, SG_FORWARD_IPIP};
	static const enum sg_scheduler schedulers[] = {
		SG_SCHEDULER_MAGLEV, SG_SCHEDULER_SH, SG_SCHEDULER_RR};

	(void)unused;
	for (unsigned i = 0; i < 9; i++) {
		for (uint16_t sport = 4000; sport < 4002; sport++)
			expect_errors_without_a_flow(modes[i / 3], schedulers[i % 3], sport);
	}
}
