// ICMP errors about the outer packets of mode ipip: whom they reach, and what is remembered of the
// way.
#include "dataplane/tunnel.h"
#include "modes.h"
#include "peer.h"
#include "stages.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ROUTER "10.0.0.77"

static bool is_ipv6(void)
{
	return test_family == SG_FAMILY_IPV6;
}

static uint16_t outer_bytes(void)
{
	return is_ipv6() ? 40 : 20;
}

static void open_tunnel(struct rig *rig, const struct rig_options *options, uint8_t proto)
{
	rig_open(rig, options);
	put_mode(rig, SG_FORWARD_IPIP, SG_SCHEDULER_RR, proto);
	rig_commit(rig);
}

// A packet of the client's with so many bytes of IP; of IPv4 with DF.
static void write_sent(
	struct frame *frame, const char *client, uint8_t proto, uint16_t sport, uint16_t ip_bytes)
{
	uint16_t headers = (uint16_t)(outer_bytes() + (proto == SG_PROTO_TCP ? 20 : 8));

	frame_packet(frame, port_macs[0], client_mac,
		&(struct ipv4_text){.src = client,
			.dst = VIP,
			.sport = sport,
			.dport = 80,
			.proto = proto,
			.flags = SG_TCP_SYN,
			.payload = (uint16_t)(ip_bytes - headers)});
	if (is_ipv6())
		return;
	frame_ip(frame)->fragment_be = htons(SG_IPV4_DF);
	frame_fix_checksums(frame);
}

// An error about an outer packet that was forwarded, of which it quotes so many bytes.
static void write_error(struct frame *frame, const struct frame *outer, uint8_t type, uint8_t code,
	uint32_t rest, uint16_t quote_bytes)
{
	struct sg_addr source = frame_src(outer);
	struct sg_icmp_hdr *icmp;

	frame_packet(frame, port_macs[1], pod_mac,
		&(struct ipv4_text){.proto = SG_PROTO_ICMP,
			.src = ROUTER,
			.dst = test_text(&source),
			.payload = quote_bytes});
	icmp = frame_l4(frame);
	icmp->type = type;
	icmp->code = code;
	icmp->rest_be = htonl(rest);
	memcpy(icmp + 1, outer->bytes + 14, quote_bytes);
	frame_fix_checksums(frame);
}

static void write_too_big(
	struct frame *frame, const struct frame *outer, uint32_t mtu, uint16_t quote_bytes)
{
	if (is_ipv6())
		write_error(frame, outer, SG_ICMPV6_TOO_BIG, 0, mtu, quote_bytes);
	else
		write_error(frame, outer, SG_ICMP_UNREACHABLE, SG_ICMP_CODE_FRAG_NEEDED, mtu,
			quote_bytes);
}

// A long packet of a new flow, as it has left for the pod.
static struct frame forward(struct rig *rig, struct frame *sent)
{
	write_sent(sent, CLIENT, SG_PROTO_UDP, 4000, 1400);
	expect(rig_run(rig, 0, 0, 0, sent), SG_VERDICT_FORWARD);
	assert_int_equal(rig->out.length, 14 + outer_bytes() + 1400);
	return rig->out;
}

// The client has got an error of this kind, from the VIP, that quotes so many bytes of what it has
// sent.
static void expect_error(struct rig *rig, uint8_t type, uint8_t code, uint32_t rest,
	struct frame *sent, uint16_t quote_bytes)
{
	struct sg_icmp_hdr *icmp = frame_l4(&rig->out);
	struct frame quote = {.length = (uint16_t)(14 + quote_bytes)};

	expect_addresses(rig, VIP, CLIENT, client_mac);
	assert_int_equal(icmp->type, type);
	assert_int_equal(icmp->code, code);
	assert_int_equal(ntohl(icmp->rest_be), rest);
	assert_int_equal(rig->out.length, 14 + outer_bytes() + 8 + quote_bytes);
	memcpy(quote.bytes, sent->bytes, 14);
	memcpy(quote.bytes + 14, icmp + 1, quote_bytes);
	// The gateway was a hop, as any router would be.
	assert_int_equal(*frame_ttl(&quote), *frame_ttl(sent) - 1);
	*frame_ttl(&quote) = *frame_ttl(sent);
	if (!is_ipv6())
		frame_ip(&quote)->checksum = frame_ip(sent)->checksum;
	assert_memory_equal(quote.bytes, sent->bytes, quote.length);
}

struct kind {
	uint8_t type, code;
	uint32_t rest;
	uint8_t client_type, client_code; // 0: the client is told nothing
	uint32_t client_rest;
};

static const struct kind kinds4[] = {
	{SG_ICMP_UNREACHABLE, 4, 1300, SG_ICMP_UNREACHABLE, 4, 1280},
	{SG_ICMP_UNREACHABLE, 4, 88, SG_ICMP_UNREACHABLE, 4, 68},
	{SG_ICMP_UNREACHABLE, 0, 0, SG_ICMP_UNREACHABLE, 0, 0},
	{SG_ICMP_UNREACHABLE, 1, 0, SG_ICMP_UNREACHABLE, 1, 0},
	{SG_ICMP_UNREACHABLE, 13, 0, SG_ICMP_UNREACHABLE, 13, 0},
	// RFC 2003, 4: the client did not speak IP in IP, and its TTL is not the outer one.
	{SG_ICMP_UNREACHABLE, 2, 0, SG_ICMP_UNREACHABLE, 1, 0},
	{SG_ICMP_TIME_EXCEEDED, 0, 0, SG_ICMP_UNREACHABLE, 1, 0},
	{SG_ICMP_TIME_EXCEEDED, 1, 0, SG_ICMP_UNREACHABLE, 1, 0},
	// And these say nothing of what it has sent.
	{SG_ICMP_UNREACHABLE, 3, 0, 0, 0, 0},
	{SG_ICMP_UNREACHABLE, 5, 0, 0, 0, 0},
	{SG_ICMP_PARAMETER, 0, 8 << 24, 0, 0, 0},
	{SG_ICMP_ECHO_REPLY, 0, 0, 0, 0, 0},
};

static const struct kind kinds6[] = {
	{SG_ICMPV6_TOO_BIG, 0, 1400, SG_ICMPV6_TOO_BIG, 0, 1360},
	// Nobody is told less than any IPv6 link carries (RFC 2473, 7.1).
	{SG_ICMPV6_TOO_BIG, 0, 1300, SG_ICMPV6_TOO_BIG, 0, 1280},
	{SG_ICMPV6_UNREACHABLE, 0, 0, SG_ICMPV6_UNREACHABLE, 3, 0},
	{SG_ICMPV6_UNREACHABLE, 1, 0, SG_ICMPV6_UNREACHABLE, 3, 0},
	{SG_ICMPV6_TIME_EXCEEDED, 0, 0, SG_ICMPV6_UNREACHABLE, 3, 0},
	{SG_ICMPV6_PARAMETER, 1, 6, 0, 0, 0},
	{SG_ICMPV6_ECHO_REPLY, 0, 0, 0, 0, 0},
};

void an_error_about_an_outer_packet_reaches_the_client(void **unused)
{
	static const uint8_t protocols[] = {SG_PROTO_TCP, SG_PROTO_UDP};
	const struct kind *kinds = is_ipv6() ? kinds6 : kinds4;
	size_t n =
		is_ipv6() ? sizeof(kinds6) / sizeof(kinds6[0]) : sizeof(kinds4) / sizeof(kinds4[0]);

	(void)unused;
	for (size_t i = 0; i < 2 * n; i++) {
		const struct kind *kind = &kinds[i / 2];
		// The least that names the client, and what routers quote.
		uint16_t quotes[] = {(uint16_t)(outer_bytes() + 8), is_ipv6() ? 1192 : 528};
		struct rig rig;
		struct frame sent, outer, error;

		open_tunnel(&rig, &(struct rig_options){0}, protocols[i % 2]);
		write_sent(&sent, CLIENT, protocols[i % 2], 4000, 1450);
		expect(rig_run(&rig, 0, 0, 0, &sent), SG_VERDICT_FORWARD);
		outer = rig.out;
		for (size_t q = 0; q < 2; q++) {
			write_error(&error, &outer, kind->type, kind->code, kind->rest,
				(uint16_t)(outer_bytes() + quotes[q]));
			if (kind->client_type == 0) {
				expect_drop(rig_run(&rig, 0, 1, 0, &error), SG_DROP_ICMP_UNMATCHED);
				continue;
			}
			expect(rig_run(&rig, 0, 1, 0, &error), SG_VERDICT_FORWARD);
			expect_error(&rig, kind->client_type, kind->client_code, kind->client_rest,
				&sent, quotes[q]);
		}
		rig_close(&rig);
	}
}

// Each row spoils what is otherwise believed.
void a_forged_error_about_an_outer_packet_is_dropped(void **unused)
{
	enum {
		LEAST_MTU,
		NO_REASON,
		OTHER_PORT,
		OTHER_SOURCE,
		OTHER_RECEIVER,
		OTHER_VIP,
		OTHER_PROTOCOL,
		OTHER_VERSION,
		LATER_FRAGMENT,
		OTHER_LENGTH,
		N_FLAWS
	};
	struct rig rig;
	struct frame sent, outer, error;
	struct sg_wish wish;

	(void)unused;
	open_tunnel(&rig, &(struct rig_options){0}, SG_PROTO_UDP);
	outer = forward(&rig, &sent);
	for (int flaw = 0; flaw < N_FLAWS; flaw++) {
		struct frame quoted = outer;
		uint8_t *ip = quoted.bytes + 14, *inner = ip + outer_bytes();
		uint32_t mtu = 1300;

		if (flaw == LEAST_MTU)
			mtu = is_ipv6() ? 1279 : 87;
		else if (flaw == NO_REASON)
			mtu = 1400u + outer_bytes();
		else if (flaw == OTHER_PORT)
			inner[outer_bytes() + 1] ^= 1;
		else if (flaw == OTHER_SOURCE)
			ip[is_ipv6() ? 23 : 15] ^= 1;
		else if (flaw == OTHER_RECEIVER)
			ip[is_ipv6() ? 39 : 19] ^= 1;
		else if (flaw == OTHER_VIP)
			inner[is_ipv6() ? 39 : 19] ^= 1;
		else if (flaw == OTHER_PROTOCOL)
			ip[is_ipv6() ? 6 : 9] = 47;
		else if (flaw == OTHER_VERSION)
			ip[0] ^= 0x20;
		else if (flaw == LATER_FRAGMENT && is_ipv6())
			frame_insert_extensions(
				&quoted, SG_PROTO_FRAGMENT, (const uint8_t[8]){0, 0, 0, 64}, 8);
		else if (flaw == LATER_FRAGMENT)
			frame_ip(&quoted)->fragment_be |= htons(9);
		else if (flaw == OTHER_LENGTH && !is_ipv6())
			inner[3]++;
		else
			continue; // an IPv6 router quotes as much as fits, whatever it says
		write_too_big(&error, &quoted, mtu, is_ipv6() ? 1192 : 528);
		if (flaw == OTHER_SOURCE) {
			// It comes to the address that has sent the packet, whatever it quotes.
			write_too_big(&error, &outer, mtu, 528);
			memcpy((uint8_t *)frame_l4(&error) + 8, quoted.bytes + 14, 528);
			frame_fix_checksums(&error);
		}
		expect_drop(rig_run(&rig, 0, 1, 0, &error), SG_DROP_ICMP_UNMATCHED);
		assert_false(sg_wishes_take(rig.pipelines[0]->wishes, &wish));
	}
	// And no answer to an error whose time has come.
	write_too_big(&error, &outer, 1300, 528);
	*frame_ttl(&error) = 1;
	frame_fix_checksums(&error);
	expect_drop(rig_run(&rig, 0, 1, 0, &error), SG_DROP_TTL_EXCEEDED);
	rig_close(&rig);
}

void an_error_about_an_outer_packet_finds_its_flows_home(void **unused)
{
	enum {
		N_WORKERS = 4
	};
	struct rig rig;

	(void)unused;
	open_tunnel(&rig, &(struct rig_options){.n_workers = N_WORKERS}, SG_PROTO_UDP);
	for (uint16_t sport = 2000; sport < 2050; sport++) {
		struct frame sent, outer, error;
		unsigned home, error_home, hops;

		write_sent(&sent, CLIENT, SG_PROTO_UDP, sport, 1400);
		expect(rig_deliver(&rig, sport % N_WORKERS, 0, &sent, &home, &hops),
			SG_VERDICT_FORWARD);
		outer = rig.out;
		write_too_big(&error, &outer, 1300, 528);
		for (unsigned at = 0; at < N_WORKERS; at++) {
			expect(rig_deliver(&rig, at, 1, &error, &error_home, &hops),
				SG_VERDICT_FORWARD);
			assert_int_equal(error_home, home);
			assert_int_equal(hops, at != home);
			expect_src(&rig, VIP);
		}
		// Nobody knows the next port: its home finds nothing.
		sent.bytes[14 + outer_bytes() + 1]++;
	}
	rig_close(&rig);
}

// The next of the client's packets that is too long now.
static void expect_told(struct rig *rig, unsigned worker, uint16_t sport, uint16_t mtu)
{
	struct frame sent;
	struct sg_icmp_hdr *icmp;

	write_sent(&sent, CLIENT, SG_PROTO_UDP, sport, (uint16_t)(mtu + 4));
	expect(rig_run(rig, worker, 0, SG_PKT_HANDED_OFF, &sent), SG_VERDICT_ANSWER);
	icmp = frame_l4(&rig->out);
	assert_true(frame_checksums_hold(rig->out.bytes, rig->out.length));
	expect_dst(rig, CLIENT);
	assert_int_equal(icmp->type, is_ipv6() ? SG_ICMPV6_TOO_BIG : SG_ICMP_UNREACHABLE);
	assert_int_equal(ntohl(icmp->rest_be), mtu);
	write_sent(&sent, CLIENT, SG_PROTO_UDP, sport, mtu);
	expect(rig_run(rig, worker, 0, SG_PKT_HANDED_OFF, &sent), SG_VERDICT_FORWARD);
}

void an_mtu_is_remembered_by_all_workers(void **unused)
{
	struct rig rig;
	struct frame sent, outer, error;

	(void)unused;
	open_tunnel(&rig, &(struct rig_options){.n_workers = 4}, SG_PROTO_UDP);
	write_sent(&sent, CLIENT, SG_PROTO_UDP, 4000, 1400);
	expect(rig_run(&rig, 0, 0, SG_PKT_HANDED_OFF, &sent), SG_VERDICT_FORWARD);
	outer = rig.out;
	write_too_big(&error, &outer, 1380, 528);
	expect(rig_run(&rig, 0, 1, 0, &error), SG_VERDICT_FORWARD);
	rig_grant(&rig);
	for (unsigned worker = 0; worker < 4; worker++)
		expect_told(&rig, worker, 4001, (uint16_t)(1380 - outer_bytes()));
	// A larger one changes nothing, a smaller one does.
	write_too_big(&error, &outer, 1390, 528);
	expect(rig_run(&rig, 0, 1, 0, &error), SG_VERDICT_FORWARD);
	rig_grant(&rig);
	expect_told(&rig, 1, 4001, (uint16_t)(1380 - outer_bytes()));
	write_too_big(&error, &outer, 1350, 528);
	expect(rig_run(&rig, 0, 1, 0, &error), SG_VERDICT_FORWARD);
	rig_grant(&rig);
	expect_told(&rig, 1, 4001, (uint16_t)(1350 - outer_bytes()));
	// It is forgotten in time; then the way is asked again.
	rig_pass_ms(&rig, (SG_TUNNEL_SECONDS - 1) * 1000);
	expect_told(&rig, 1, 4001, (uint16_t)(1350 - outer_bytes()));
	rig_pass_ms(&rig, 2000);
	expect(rig_run(&rig, 1, 0, SG_PKT_HANDED_OFF, &sent), SG_VERDICT_FORWARD);
	rig_close(&rig);
}

void a_quote_too_short_for_a_client_is_remembered(void **unused)
{
	// RFC 792's 64 bits, and all but the last of the ports.
	uint16_t quotes[] = {8, (uint16_t)(outer_bytes() + 7)};

	(void)unused;
	for (size_t i = 0; i < 2; i++) {
		struct rig rig;
		struct frame sent, outer, error;

		open_tunnel(&rig, &(struct rig_options){0}, SG_PROTO_UDP);
		outer = forward(&rig, &sent);
		write_too_big(&error, &outer, 1380, (uint16_t)(outer_bytes() + quotes[i]));
		expect(rig_run(&rig, 0, 1, 0, &error), SG_VERDICT_CONSUME);
		rig_grant(&rig);
		expect_told(&rig, 0, 4000, (uint16_t)(1380 - outer_bytes()));
		// What is about no MTU could only be told to a client.
		write_error(&error, &outer, is_ipv6() ? SG_ICMPV6_UNREACHABLE : SG_ICMP_UNREACHABLE,
			1, 0, (uint16_t)(outer_bytes() + quotes[i]));
		expect_drop(rig_run(&rig, 0, 1, 0, &error), SG_DROP_ICMP_UNMATCHED);
		rig_close(&rig);
	}
}

void a_new_tenant_of_a_slot_has_a_way_of_its_own(void **unused)
{
	struct sg_addr pod = test_addr(POD), pod2 = test_addr(POD2);
	struct sg_service_spec *spec;
	struct rig rig;
	struct frame sent, outer, error;

	(void)unused;
	open_tunnel(&rig, &(struct rig_options){0}, SG_PROTO_UDP);
	spec = sg_service_spec_clone(sg_state_find(&rig.state, "web"));
	rig_backend(spec, POD2, 80, 0);
	assert_int_equal(sg_state_put(&rig.state, spec), 0);
	rig_commit(&rig);
	outer = forward(&rig, &sent);
	write_too_big(&error, &outer, 1380, (uint16_t)(outer_bytes() + 8));
	expect(rig_run(&rig, 0, 1, 0, &error), SG_VERDICT_CONSUME);
	rig_grant(&rig);
	expect_told(&rig, 0, 4001, (uint16_t)(1380 - outer_bytes()));
	// To the other backend there is another way.
	spec = sg_service_spec_clone(sg_state_find(&rig.state, "web"));
	assert_int_equal(sg_service_spec_remove_backend(spec, &pod, 80), 0);
	assert_int_equal(sg_service_spec_remove_backend(spec, &pod2, 80), 0);
	rig_backend(spec, POD2, 80, 1);
	assert_int_equal(sg_state_put(&rig.state, spec), 0);
	rig_commit(&rig);
	write_sent(&sent, CLIENT, SG_PROTO_UDP, 4002, 1400);
	expect(rig_run(&rig, 0, 0, 0, &sent), SG_VERDICT_FORWARD);
	rig_close(&rig);
}

void an_error_needs_no_flow_where_the_scheduler_knows(void **unused)
{
	static const enum sg_scheduler schedulers[] = {
		SG_SCHEDULER_MAGLEV, SG_SCHEDULER_SH, SG_SCHEDULER_WRR};

	(void)unused;
	for (size_t i = 0; i < 3; i++) {
		struct rig rig, other;
		struct frame sent, outer, error;

		rig_open(&rig, &(struct rig_options){.n_workers = 2});
		put_mode(&rig, SG_FORWARD_IPIP, schedulers[i], SG_PROTO_UDP);
		rig_commit(&rig);
		outer = forward(&rig, &sent);
		// A worker that has forgotten the flow, or never had it.
		rig_open(&other, &(struct rig_options){0});
		put_mode(&other, SG_FORWARD_IPIP, schedulers[i], SG_PROTO_UDP);
		rig_commit(&other);
		write_too_big(&error, &outer, 1380, 528);
		rig_run(&other, 0, 1, 0, &error);
		if (schedulers[i] == SG_SCHEDULER_WRR) {
			expect_drop(&other.burst.pkts[0], SG_DROP_ICMP_UNMATCHED);
		} else {
			expect(&other.burst.pkts[0], SG_VERDICT_FORWARD);
			expect_addresses(&other, VIP, CLIENT, client_mac);
		}
		// Of a backend that it would not give the client, it says nothing.
		outer.bytes[14 + (is_ipv6() ? 39 : 19)]++;
		write_too_big(&error, &outer, 1380, 528);
		expect_drop(rig_run(&other, 0, 1, 0, &error), SG_DROP_ICMP_UNMATCHED);
		rig_close(&other);
		rig_close(&rig);
	}
}

void an_error_about_the_nodes_own_packet_is_the_kernels(void **unused)
{
	struct rig rig;
	struct frame sent, outer, error, quoted;
	uint8_t *vip;

	(void)unused;
	open_tunnel(&rig, &(struct rig_options){.no_snat = true}, SG_PROTO_UDP);
	outer = forward(&rig, &sent);
	expect_src(&rig, "10.0.0.11");
	write_too_big(&error, &outer, 1380, 528);
	expect(rig_run(&rig, 0, 1, 0, &error), SG_VERDICT_FORWARD);
	expect_error(&rig, is_ipv6() ? SG_ICMPV6_TOO_BIG : SG_ICMP_UNREACHABLE, is_ipv6() ? 0 : 4,
		1380u - outer_bytes(), &sent, (uint16_t)(528 - outer_bytes()));
	// The node has tunnels of its own: what is not to a VIP, or does not say.
	quoted = outer;
	vip = quoted.bytes + 14 + outer_bytes() + (is_ipv6() ? 24 : 16);
	memcpy(vip, outer.bytes + 14 + (is_ipv6() ? 24 : 16), is_ipv6() ? 16 : 4);
	write_too_big(&error, &quoted, 1380, 528);
	expect(rig_run(&rig, 0, 1, 0, &error), SG_VERDICT_PUNT);
	write_too_big(&error, &outer, 1370, (uint16_t)(outer_bytes() + 8));
	expect(rig_run(&rig, 0, 1, 0, &error), SG_VERDICT_PUNT);
	rig_grant(&rig);
	expect_told(&rig, 0, 4000, (uint16_t)(1370 - outer_bytes()));
	rig_close(&rig);
}

// A client behind a VLAN: the error comes in elsewhere.
void an_error_finds_a_client_in_a_vlan(void **unused)
{
	struct rig rig;
	struct frame sent, outer, error;

	(void)unused;
	open_tunnel(&rig, &(struct rig_options){0}, SG_PROTO_UDP);
	write_sent(&sent, "198.18.0.7", SG_PROTO_UDP, 4000, 1400);
	frame_tag(&sent, 0x8100, RIG_VLAN);
	expect(rig_run(&rig, 0, 0, 0, &sent), SG_VERDICT_FORWARD);
	outer = rig.out;
	write_too_big(&error, &outer, 1380, 528);
	expect(rig_run(&rig, 0, 1, 0, &error), SG_VERDICT_FORWARD);
	assert_int_equal(rig.burst.pkts[0].hop, HOP_VLAN_CLIENT);
	expect_addresses(&rig, VIP, "198.18.0.7", client_mac);
	rig_close(&rig);
}

// RFC 4884: what follows a padded quote says where it begins; both would be wrong now.
void what_follows_a_quote_is_cut_off(void **unused)
{
	struct rig rig;
	struct frame sent, outer, error;

	(void)unused;
	open_tunnel(&rig, &(struct rig_options){0}, SG_PROTO_UDP);
	outer = forward(&rig, &sent);
	write_error(&error, &outer, is_ipv6() ? SG_ICMPV6_UNREACHABLE : SG_ICMP_UNREACHABLE, 1,
		is_ipv6() ? 128 / 8 << 24 : 128 / 4 << 16, 128 + 12);
	expect(rig_run(&rig, 0, 1, 0, &error), SG_VERDICT_FORWARD);
	expect_error(&rig, is_ipv6() ? SG_ICMPV6_UNREACHABLE : SG_ICMP_UNREACHABLE,
		is_ipv6() ? 3 : 1, 0, &sent, (uint16_t)(128 - outer_bytes()));
	rig_close(&rig);
}

// Less than 1,280 bytes nobody has to send: where the way has no room for them and a header, what
// has the header leaves in fragments (RFC 2473, 7.1).
void ipv6s_least_mtu_goes_through_any_tunnel(void **unused)
{
	struct rig rig;
	struct frame sent, outer, error;

	(void)unused;
	open_tunnel(&rig, &(struct rig_options){0}, SG_PROTO_UDP);
	outer = forward(&rig, &sent);
	assert_int_equal(rig.burst.pkts[0].cut, 0);
	write_too_big(&error, &outer, 1300, 528);
	expect(rig_run(&rig, 0, 1, 0, &error), SG_VERDICT_FORWARD);
	rig_grant(&rig);
	expect_told(&rig, 0, 4000, 1280);
	assert_int_equal(rig.burst.pkts[0].cut, 1300);
	assert_int_equal(rig.out.length, 14 + 40 + 1280);
	write_sent(&sent, CLIENT, SG_PROTO_UDP, 4000, 1260);
	expect(rig_run(&rig, 0, 0, 0, &sent), SG_VERDICT_FORWARD);
	assert_int_equal(rig.burst.pkts[0].cut, 0);
	// The port itself may be so narrow.
	rig_pass_ms(&rig, SG_TUNNEL_SECONDS * 1000 + 1000);
	rig.pipelines[0]->ports[1].mtu = 1290;
	expect_told(&rig, 0, 4001, 1280);
	assert_int_equal(rig.burst.pkts[0].cut, 1290);
	rig_close(&rig);
}

void errors_about_outer_packets_have_a_budget(void **unused)
{
	struct rig rig;
	struct frame sent, outer, error;
	struct sg_wish wish;
	unsigned told = 0, wishes = 0;

	(void)unused;
	open_tunnel(&rig, &(struct rig_options){0}, SG_PROTO_UDP);
	outer = forward(&rig, &sent);
	write_too_big(&error, &outer, 1380, 528);
	while (rig_run(&rig, 0, 1, 0, &error)->verdict == SG_VERDICT_FORWARD) {
		told++;
		while (sg_wishes_take(rig.pipelines[0]->wishes, &wish))
			wishes++;
	}
	expect_drop(&rig.burst.pkts[0], SG_DROP_ANSWER_LIMIT);
	assert_int_equal(told, 1024);
	assert_int_equal(wishes, 32);
	rig_close(&rig);
}
