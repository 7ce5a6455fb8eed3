// IPv6 fragments, put together and made, before and behind the stages: as transmit.c, whose program
// runs them.
#include "transmit_ipv6.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "net/checksum.h"
#include "wire.h"

#define BEFORE_UDP 54 // Ethernet and IPv6
#define OPTIONS    8  // of a destination options header, where there is one

int wire_open_ipv6(void **unused)
{
	test_family = SG_FAMILY_IPV6;
	return wire_open(unused);
}

int wire_close_ipv6(void **unused)
{
	int result = wire_close(unused);

	test_family = SG_FAMILY_IPV4;
	return result;
}

static struct sg_ipv6_hdr *ip6_of(struct datagram *datagram)
{
	return (void *)(datagram->bytes + 14);
}

static uint16_t udp_sum(struct datagram *datagram, unsigned at)
{
	uint16_t length = (uint16_t)(datagram->length - at);

	return sg_checksum_finish(
		sg_checksum_add(sg_checksum_pseudo6(&ip6_of(datagram)->pair, SG_PROTO_UDP, length),
			datagram->bytes + at, length));
}

// UDP of a client to the VIP, behind options if there are any.
static void write(struct datagram *datagram, uint16_t service, uint32_t payload, unsigned options)
{
	static const uint8_t nothing[OPTIONS] = {SG_PROTO_UDP, 0, 1, 4};
	struct sg_addr src = test_addr(CLIENT), dst = test_addr(VIP);
	struct sg_ipv6_hdr *ip = ip6_of(datagram);
	struct sg_udp_hdr *udp = (void *)(datagram->bytes + BEFORE_UDP + options);
	uint16_t l4 = (uint16_t)(sizeof(*udp) + payload);

	memcpy(datagram->bytes, port_macs[0], 6);
	memcpy(datagram->bytes + 6, client_mac, 6);
	memcpy(datagram->bytes + 12, "\x86\xdd", 2);
	*ip = (struct sg_ipv6_hdr){.version_class_label_be = __builtin_bswap32(0x60200000), // ECT
		.payload_length_be = __builtin_bswap16((uint16_t)(options + l4)),
		.next = options ? SG_PROTO_DESTINATION : SG_PROTO_UDP,
		.hop_limit = 64};
	memcpy(ip->pair.src, src.bytes, 16);
	memcpy(ip->pair.dst, dst.bytes, 16);
	memcpy(ip + 1, nothing, options);
	*udp = (struct sg_udp_hdr){.sport_be = __builtin_bswap16(4000),
		.dport_be = __builtin_bswap16(service),
		.length_be = __builtin_bswap16(l4)};
	for (uint32_t i = 0; i < payload; i++)
		((uint8_t *)(udp + 1))[i] = (uint8_t)wire_below(256);
	datagram->length = BEFORE_UDP + options + l4;
	udp->checksum = udp_sum(datagram, BEFORE_UDP + options);
}

// Its fragments, behind the headers that stay in each: IPv6's and, if they come first, options.
static unsigned cut(struct datagram *datagram, unsigned kept, uint32_t mtu, uint32_t id,
	struct rte_mbuf **ret_parts)
{
	static uint8_t frame[WIRE_MAX_BYTES];
	uint32_t before = BEFORE_UDP + kept, payload = datagram->length - before, offset = 0;
	struct sg_fragment_hdr *header = (void *)(frame + before);
	struct sg_ipv6_hdr *ip = (void *)(frame + 14);
	unsigned n = 0;

	while (offset < payload) {
		uint32_t length = (mtu - (before - 14) - 8) / 8 * 8;
		bool more = offset + length < payload;

		length = more ? length : payload - offset;
		memcpy(frame, datagram->bytes, before);
		*header = (struct sg_fragment_hdr){.next = kept ? SG_PROTO_UDP : ip->next,
			.offset_be = __builtin_bswap16((uint16_t)(offset | more)),
			.id_be = id};
		*(kept ? frame + BEFORE_UDP : &ip->next) = SG_PROTO_FRAGMENT;
		ip->payload_length_be = __builtin_bswap16((uint16_t)(kept + 8 + length));
		memcpy(header + 1, datagram->bytes + before + offset, length);
		ret_parts[n++] =
			wire_to_chain(frame, before + 8 + length, wire_below(2) ? 2000 : 0);
		offset += length;
	}
	return n;
}

static uint32_t longest_sent; // bytes of the longest frame that `sent` has seen

// What left by a port, put together. Returns how many frames it was.
static unsigned sent(unsigned port, struct datagram *ret_datagram)
{
	static struct datagram frame;
	const struct sg_fragment_hdr *header = (const void *)(frame.bytes + BEFORE_UDP);
	uint32_t end = 0, id_be = 0;
	unsigned n = 0;

	longest_sent = 0;
	while (wire_next(port, &frame)) {
		const struct sg_ipv6_hdr *ip = ip6_of(&frame);

		longest_sent = RTE_MAX(longest_sent, frame.length);
		assert_int_equal(frame.length, 54 + __builtin_bswap16(ip->payload_length_be));
		if (n++ == 0)
			*ret_datagram = frame;
		if (ip->next != SG_PROTO_FRAGMENT)
			return n;
		assert_int_equal(
			__builtin_bswap16(header->offset_be) & SG_FRAGMENT_OFFSET_MASK, end);
		id_be = n == 1 ? header->id_be : id_be;
		assert_int_equal(header->id_be, id_be);
		assert_memory_equal(frame.bytes, ret_datagram->bytes, 18);
		memcpy(ret_datagram->bytes + BEFORE_UDP + end, header + 1, frame.length - 62);
		end += frame.length - 62;
		if (__builtin_bswap16(header->offset_be) & SG_FRAGMENT_MORE)
			continue;
		ip6_of(ret_datagram)->next = header->next;
		ret_datagram->length = BEFORE_UDP + end;
		return n;
	}
	assert_int_equal(end, 0); // the last is missing
	return n;
}

// As wire_expect_carried.
static void expect_carried(
	struct datagram *client, struct datagram *got, uint16_t service, unsigned options)
{
	static const char *const dst[] = {POD, POD, VIP, POD};
	struct sg_addr to = test_addr(dst[service - 1]);
	struct sg_addr from = test_addr(service == 1 || service == 4 ? SNAT : CLIENT);
	struct sg_ipv6_hdr *ip = ip6_of(got);
	unsigned at = BEFORE_UDP + options;

	assert_memory_equal(ip->pair.src, from.bytes, 16);
	assert_memory_equal(ip->pair.dst, to.bytes, 16);
	if (service == 4) { // the inner packet, in the frame
		assert_int_equal(ip->next, SG_PROTO_IPV6);
		memmove(got->bytes + 14, got->bytes + 54, got->length - 54);
		got->length -= 40;
	}
	assert_int_equal(got->length, client->length);
	assert_int_equal(ip->hop_limit, 63);
	assert_int_equal(ip->next, ip6_of(client)->next);
	assert_int_equal(__builtin_bswap16(ip->payload_length_be),
		service == 4 ? client->length - 54 : __builtin_bswap16(ip->payload_length_be));
	assert_int_equal(udp_sum(got, at), 0);
	assert_memory_equal(got->bytes + at + 8, client->bytes + at + 8, client->length - at - 8);
	assert_memory_equal(got->bytes, pod_mac, 6);
}

void ipv6_fragments_are_joined_and_made_in_every_mode(void **unused)
{
	static const uint16_t mtus[] = {1280, 1400, 1500, 9000};
	static struct datagram client, got;
	struct rte_mbuf *parts[SG_FRAGMENTS_PER_DATAGRAM];

	(void)unused;
	for (unsigned i = 0; i < 400; i++) {
		uint16_t service = (uint16_t)(1 + i % 4);
		unsigned options =
			i / 4 % 3 ? OPTIONS : 0; // none, behind the fragment header, before
		unsigned kept = i / 4 % 3 == 2 ? OPTIONS : 0;
		uint32_t payload = i % 16 < 4 ? 9000 : 1600 + wire_below(65535 - 56 - 1600);
		uint64_t generated = worker.counters->generated;
		uint64_t consumed = worker.counters->consumed;
		uint16_t mtu = mtus[wire_below(3)];
		unsigned n, n_sent;

		wire_set_mtu(1, mtus[wire_below(4)]);
		write(&client, service, payload, options);
		n = cut(&client, kept, mtu, i, parts);
		wire_shuffle(parts, n);
		for (unsigned k = 0; k < n; k++)
			wire_receive(0, parts[k]);
		wire_turn();
		n_sent = sent(1, &got);
		assert_true(n_sent > 0);
		assert_int_equal(worker.counters->consumed - consumed, n - 1);
		assert_int_equal(worker.counters->generated - generated, n_sent - 1);
		expect_carried(&client, &got, service, options);
		// The way behind the port may be no wider than the one before it was.
		if (kept == 0)
			assert_true(longest_sent <= 14u + mtu);
		wire_expect_accounts();
	}
}

// RFC 6946: it waits for nobody, and does not meet the fragments of its name.
void a_fragment_that_is_everything_is_a_datagram(void **unused)
{
	static struct datagram client, got;
	struct rte_mbuf *parts[SG_FRAGMENTS_PER_DATAGRAM];

	(void)unused;
	for (uint16_t service = 1; service <= 4; service++) {
		write(&client, service, 500, 0);
		assert_int_equal(cut(&client, 0, 1500, 5, parts), 1);
		wire_receive(0, parts[0]);
		wire_turn();
		assert_int_equal(sent(1, &got), 1);
		expect_carried(&client, &got, service, 0);
	}
}

void ipv6_that_came_whole_is_never_cut(void **unused)
{
	static struct datagram client, got;

	(void)unused;
	wire_set_mtu(1, 1400);
	for (uint16_t service = 1; service <= 4; service++) {
		const struct sg_icmp_hdr *icmp = (const void *)(got.bytes + BEFORE_UDP);

		write(&client, service, 5000, 0);
		wire_receive(0, wire_to_chain(client.bytes, client.length, 0));
		wire_turn();
		assert_int_equal(sent(1, &got), 0);
		assert_int_equal(sent(0, &got), 1);
		assert_int_equal(icmp->type, SG_ICMPV6_TOO_BIG);
		assert_int_equal(__builtin_bswap32(icmp->rest_be), service == 4 ? 1360 : 1400);
		assert_true(got.length <= 14 + SG_IPV6_MIN_MTU);
	}
}

// RFC 5722: also what comes later.
void overlapping_ipv6_fragments_give_the_datagram_up(void **unused)
{
	static struct datagram client, got;
	struct rte_mbuf *parts[SG_FRAGMENTS_PER_DATAGRAM], *others[SG_FRAGMENTS_PER_DATAGRAM];
	unsigned n, n_others;

	(void)unused;
	write(&client, 1, 4000, 0);
	n = cut(&client, 0, 1400, 5, parts);
	n_others = cut(&client, 0, 1280, 5, others);
	// The second of others begins within the first and ends within the second.
	wire_receive(0, parts[1]);
	wire_receive(0, others[1]);
	for (unsigned k = 0; k < n; k++)
		if (k != 1)
			wire_receive(0, parts[k]);
	wire_turn();
	assert_int_equal(sent(1, &got), 0);
	assert_int_equal(worker.counters->dropped[SG_DROP_FRAGMENT_OVERLAP], n + 1);
	for (unsigned k = 0; k < n_others; k++)
		if (k != 1)
			rte_pktmbuf_free(others[k]);
}

// RFC 4443, 3.3: about the first fragment, as much of it as fits into 1,280 bytes.
void ipv6_that_never_becomes_whole_is_told(void **unused)
{
	static struct datagram client, got, first;
	struct rte_mbuf *parts[SG_FRAGMENTS_PER_DATAGRAM];
	const struct sg_icmp_hdr *icmp = (const void *)(got.bytes + BEFORE_UDP);
	unsigned n;

	(void)unused;
	for (unsigned missing = 0; missing < 3; missing++) {
		write(&client, 1, 4000, 0);
		n = cut(&client, 0, 1400, 5, parts);
		assert_int_equal(n, 3);
		first.length = parts[0]->pkt_len;
		memcpy(first.bytes, rte_pktmbuf_read(parts[0], 0, first.length, first.bytes),
			first.length);
		for (unsigned k = 0; k < n; k++) {
			if (k == missing)
				rte_pktmbuf_free(parts[k]);
			else
				wire_receive(0, parts[k]);
		}
		wire_turn();
		rig_pass_ms(&rig, SG_FRAGMENTS_MS);
		wire_turn();
		assert_int_equal(sent(0, &got), missing != 0);
		if (missing == 0)
			continue;
		assert_int_equal(icmp->type, SG_ICMPV6_TIME_EXCEEDED);
		assert_int_equal(icmp->code, 1);
		assert_int_equal(got.length, 14 + SG_IPV6_MIN_MTU);
		assert_true(frame_checksums_hold(got.bytes, (uint16_t)got.length));
		assert_memory_equal(ip6_of(&got)->pair.src, ip6_of(&client)->pair.dst, 16);
		assert_memory_equal(ip6_of(&got)->pair.dst, ip6_of(&client)->pair.src, 16);
		assert_memory_equal(icmp + 1, first.bytes + 14, SG_IPV6_MIN_MTU - 48);
	}
}

void an_ipv6_chain_is_forwarded_however_it_is_cut(void **unused)
{
	static const uint32_t pieces[] = {0, 13, 14, 33, 53, 54, 61, 62, 63, 255, 256, 257, 1999};
	static struct datagram client, got;

	(void)unused;
	for (unsigned i = 0; i < 200; i++) {
		uint16_t service = (uint16_t)(1 + i % 4);
		unsigned options = i % 3 ? 0 : OPTIONS;

		write(&client, service, wire_below(8900), options);
		wire_receive(0, wire_to_chain(client.bytes, client.length, pieces[i % 13]));
		wire_turn();
		assert_int_equal(sent(1, &got), 1);
		expect_carried(&client, &got, service, options);
		wire_expect_accounts();
	}
}

// No longer than those of the question: that is what the way is known to carry.
void a_long_ipv6_echo_comes_back_in_fragments(void **unused)
{
	static struct datagram client, got;
	struct rte_mbuf *parts[SG_FRAGMENTS_PER_DATAGRAM];
	struct sg_icmp_hdr *echo = (void *)(client.bytes + BEFORE_UDP);
	unsigned n;

	(void)unused;
	write(&client, 1, 20000, 0);
	ip6_of(&client)->next = SG_PROTO_ICMPV6;
	*echo = (struct sg_icmp_hdr){.type = SG_ICMPV6_ECHO, .rest_be = 7};
	echo->checksum = sg_checksum_finish(sg_checksum_add(
		sg_checksum_pseudo6(&ip6_of(&client)->pair, SG_PROTO_ICMPV6, 20008), echo, 20008));
	n = cut(&client, 0, 1400, 5, parts);
	for (unsigned k = n; k > 0; k--) // the last first
		wire_receive(0, parts[k - 1]);
	wire_turn();
	assert_int_equal(sent(0, &got), n);
	assert_true(longest_sent <= 14 + 1400);
	assert_int_equal(got.bytes[BEFORE_UDP], SG_ICMPV6_ECHO_REPLY);
	assert_memory_equal(got.bytes + BEFORE_UDP + 8, echo + 1, 20000);
	assert_int_equal(sg_checksum_finish(sg_checksum_add(
				 sg_checksum_pseudo6(&ip6_of(&got)->pair, SG_PROTO_ICMPV6, 20008),
				 got.bytes + BEFORE_UDP, 20008)),
		0);
}

static void receive_in_fragments(unsigned port, struct datagram *datagram, uint32_t mtu)
{
	struct rte_mbuf *parts[SG_FRAGMENTS_PER_DATAGRAM];
	unsigned n = cut(datagram, 0, mtu, 5, parts);

	for (unsigned k = 0; k < n; k++)
		wire_receive(port, parts[k]);
}

void ipv6_leaves_by_a_vlan_with_its_tag(void **unused)
{
	static struct datagram client, got, answer;
	struct sg_udp_hdr *udp = (void *)(answer.bytes + BEFORE_UDP);
	struct sg_addr vlan_client = test_addr("198.18.0.7");

	(void)unused;
	wire_set_mtu(2, 1400);
	for (unsigned taken_off = 0; taken_off < 2; taken_off++) {
		struct rte_mbuf *mbuf;

		write(&client, 1, 3000, 0);
		memcpy(ip6_of(&client)->pair.src, vlan_client.bytes, 16);
		((struct sg_udp_hdr *)(client.bytes + BEFORE_UDP))->checksum = 0;
		((struct sg_udp_hdr *)(client.bytes + BEFORE_UDP))->checksum =
			udp_sum(&client, BEFORE_UDP);
		if (!taken_off) {
			memmove(client.bytes + 16, client.bytes + 12, client.length - 12);
			memcpy(client.bytes + 12, (uint8_t[]){0x81, 0, 0x60, RIG_VLAN}, 4);
			client.length += 4;
		}
		mbuf = wire_to_chain(client.bytes, client.length, 0);
		if (taken_off) {
			mbuf->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
			mbuf->vlan_tci = RIG_VLAN;
		}
		wire_receive(0, mbuf);
		wire_turn();
		assert_int_equal(sent(1, &got), 1);
		assert_int_equal(got.vlan, 0);

		// The pod's answer, in fragments, to a client whose VLAN carries less.
		write(&answer, 0, 8000, 0);
		memcpy(answer.bytes, port_macs[1], 6);
		memcpy(answer.bytes + 6, pod_mac, 6);
		ip6_of(&answer)->pair = sg_pair6_reversed(&ip6_of(&got)->pair);
		memcpy(&udp->sport_be, got.bytes + BEFORE_UDP + 2, 2);
		memcpy(&udp->dport_be, got.bytes + BEFORE_UDP, 2);
		udp->checksum = 0;
		udp->checksum = udp_sum(&answer, BEFORE_UDP);
		receive_in_fragments(1, &answer, 1500);
		wire_turn();
		assert_int_equal(sent(0, &got), 6);
		assert_int_equal(got.vlan, RIG_VLAN);
		assert_true(longest_sent <= 14 + 1400);
		assert_memory_equal(got.bytes, client_mac, 6);
		assert_int_equal(udp_sum(&got, BEFORE_UDP), 0);
	}
}
