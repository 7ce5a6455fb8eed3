// What lies before and behind the stages: chains of buffers, fragments put together and made, what
// a device or a ring loses. A worker between two ports of rings, fed and emptied by hand; after
// each story all is accounted for and no buffer is missing. Starts EAL.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_eth_ring.h>
#include <rte_ethdev.h>

#include "base/random.h"
#include "buffers.h"
#include "dataplane/worker.h"
#include "lcores.h"
#include "net/checksum.h"
#include "rig.h"

#define SLOTS     512
#define MAX_BYTES 70000

static struct sg_dataplane dataplane;
static struct sg_worker worker;
static struct rig rig;
static struct rte_ring *in[2], *out[2];
static uint64_t seed = 88172645463325252u;
static unsigned n_free; // buffers, when nobody has one

static uint32_t below(uint32_t n)
{
	return sg_reduce((uint32_t)(sg_random_next(&seed) >> 32), n);
}

// A datagram of a test, from its Ethernet header on.
struct datagram {
	uint8_t bytes[MAX_BYTES];
	uint32_t length;
};

static struct sg_ipv4_hdr *ip_of(struct datagram *datagram)
{
	return (void *)(datagram->bytes + 14);
}

static void fix_ip_checksum(struct sg_ipv4_hdr *ip)
{
	ip->checksum = 0;
	ip->checksum = sg_checksum_finish(sg_checksum_add(0, ip, (ip->version_ihl & 15) * 4u));
}

static bool checksums_hold(struct datagram *datagram)
{
	const struct sg_ipv4_hdr *ip = ip_of(datagram);
	unsigned header = (ip->version_ihl & 15) * 4u;
	uint16_t l4 = (uint16_t)(__builtin_bswap16(ip->total_length_be) - header);
	uint64_t pseudo = ip->proto == SG_PROTO_ICMP
				  ? 0
				  : sg_checksum_pseudo4(ip->src_be, ip->dst_be, ip->proto, l4);

	return datagram->length == 14 + header + l4 &&
	       sg_checksum_finish(sg_checksum_add(0, ip, header)) == 0 &&
	       sg_checksum_finish(sg_checksum_add(pseudo, (const uint8_t *)ip + header, l4)) == 0;
}

static void write_datagram(struct datagram *datagram, const char *src, const char *dst,
	uint16_t dport, uint8_t proto, uint32_t payload, unsigned port)
{
	struct sg_ipv4_hdr *ip = ip_of(datagram);
	struct sg_udp_hdr *udp = (void *)(ip + 1);
	uint16_t l4 = (uint16_t)(8 + payload);

	memset(datagram->bytes, 0, 64);
	memcpy(datagram->bytes, port_macs[port], 6);
	memcpy(datagram->bytes + 6, port == 0 ? client_mac : pod_mac, 6);
	datagram->bytes[12] = 8;
	*ip = (struct sg_ipv4_hdr){.version_ihl = 0x45,
		.total_length_be = __builtin_bswap16((uint16_t)(20 + l4)),
		.id_be = (uint16_t)sg_random_next(&seed),
		.ttl = 64,
		.proto = proto,
		.src_be = addr_be(src),
		.dst_be = addr_be(dst)};
	fix_ip_checksum(ip);
	for (uint32_t i = 0; i < payload; i++)
		datagram->bytes[42 + i] = (uint8_t)sg_random_next(&seed);
	datagram->length = 42 + payload;
	if (proto == SG_PROTO_UDP) {
		*udp = (struct sg_udp_hdr){.sport_be = __builtin_bswap16(4000),
			.dport_be = __builtin_bswap16(dport),
			.length_be = __builtin_bswap16(l4)};
		udp->checksum = sg_checksum_finish(sg_checksum_add(
			sg_checksum_pseudo4(ip->src_be, ip->dst_be, proto, l4), udp, l4));
	} else {
		struct sg_icmp_hdr *icmp = (void *)udp;

		*icmp = (struct sg_icmp_hdr){.type = SG_ICMP_ECHO, .rest_be = 7};
		icmp->checksum = sg_checksum_finish(sg_checksum_add(0, icmp, l4));
	}
}

// Into a chain whose pieces are of `piece` bytes, or of any length with 0.
static struct rte_mbuf *to_chain(const uint8_t *bytes, uint32_t length, uint32_t piece)
{
	struct rte_mbuf *chain = NULL;

	while (length > 0) {
		struct rte_mbuf *mbuf = rte_pktmbuf_alloc(dataplane.mempool);
		uint32_t n = piece ? piece : 1 + below(1800);

		assert_non_null(mbuf);
		n = n < length ? n : length;
		memcpy(rte_pktmbuf_append(mbuf, (uint16_t)n), bytes, n);
		bytes += n;
		length -= n;
		if (chain)
			assert_int_equal(rte_pktmbuf_chain(chain, mbuf), 0);
		else
			chain = mbuf;
	}
	return chain;
}

static void receive(unsigned port, struct rte_mbuf *mbuf)
{
	assert_int_equal(rte_ring_enqueue(in[port], mbuf), 0);
}

// A turn of the worker, as worker.c does it.
static void carry(void)
{
	if (worker.burst.n == 0)
		return;
	do {
		sg_pipeline_run(worker.pipeline, rig.snapshot, &worker.burst);
		sg_tx_burst(&worker, rig.snapshot, &worker.burst);
	} while (sg_rx_whole_burst(&worker, &worker.burst) > 0);
}

static void turn(void)
{
	bool busy = true;

	while (busy) {
		busy = false;
		for (unsigned i = 0; i < worker.n_rx_queues; i++) {
			busy |= sg_rx_queue_burst(&worker, &worker.rx_queues[i], &worker.burst) > 0;
			carry();
		}
		busy |= sg_rx_inbox_burst(&worker, &worker.burst) > 0;
		carry();
	}
	sg_fragments_age(&worker.reassembly->fragments, worker.pipeline->now_ms);
	sg_tx_flush(&worker);
}

static void read_frame(struct rte_mbuf *mbuf, struct datagram *ret_datagram)
{
	const void *bytes;

	ret_datagram->length = rte_pktmbuf_pkt_len(mbuf);
	assert_true(ret_datagram->length <= MAX_BYTES);
	rte_mbuf_sanity_check(mbuf, 1);
	bytes = rte_pktmbuf_read(mbuf, 0, ret_datagram->length, ret_datagram->bytes);
	assert_non_null(bytes);
	if (bytes != ret_datagram->bytes)
		memcpy(ret_datagram->bytes, bytes, ret_datagram->length);
	rte_pktmbuf_free(mbuf);
}

// What left by a port: one frame, or the fragments of one datagram in order, put together. Returns
// how many frames it was.
static unsigned sent(unsigned port, struct datagram *ret_datagram)
{
	static struct datagram frame;
	uint16_t mtu = dataplane.ports[port].mtu;
	struct rte_mbuf *mbuf;
	uint32_t end = 0;
	unsigned n = 0;

	ret_datagram->length = 0;
	while (rte_ring_dequeue(out[port], (void **)&mbuf) == 0) {
		struct sg_ipv4_hdr *ip = ip_of(&frame);
		unsigned header;
		uint16_t word;

		assert_true(mbuf->nb_segs <= dataplane.ports[port].max_pieces);
		read_frame(mbuf, &frame);
		header = (ip->version_ihl & 15) * 4u;
		word = __builtin_bswap16(ip->fragment_be);
		assert_true(frame.length <= 14u + mtu);
		assert_int_equal(frame.length, 14 + __builtin_bswap16(ip->total_length_be));
		assert_int_equal(sg_checksum_finish(sg_checksum_add(0, ip, header)), 0);
		assert_int_equal((word & SG_IPV4_OFFSET_MASK) * 8u, end);
		if (n++ == 0) {
			*ret_datagram = frame;
		} else {
			assert_int_equal(ip->id_be, ip_of(ret_datagram)->id_be);
			assert_memory_equal(frame.bytes, ret_datagram->bytes, 14);
			memcpy(ret_datagram->bytes + ret_datagram->length,
				frame.bytes + 14 + header, frame.length - 14 - header);
			ret_datagram->length += frame.length - 14 - header;
		}
		end += frame.length - 14 - header;
		if (!(word & SG_IPV4_MORE))
			break;
	}
	if (n > 1) {
		struct sg_ipv4_hdr *ip = ip_of(ret_datagram);

		assert_int_equal(ip->fragment_be, __builtin_bswap16(SG_IPV4_MORE));
		ip->fragment_be = 0;
		ip->total_length_be = __builtin_bswap16((uint16_t)(ret_datagram->length - 14));
		fix_ip_checksum(ip);
	}
	return n;
}

static void expect_accounts(void)
{
	const struct sg_counters *c = worker.counters;
	uint64_t gone = c->forwarded + c->punted + c->consumed + c->handed_out + worker.hold.n +
			worker.reassembly->fragments.n_held;

	for (unsigned i = 1; i < SG_DROP_COUNT; i++)
		gone += c->dropped[i];
	assert_int_equal(c->received + c->generated + c->handed_in, gone);
	assert_int_equal(
		rte_mempool_avail_count(dataplane.mempool) + worker.reassembly->fragments.n_held,
		n_free);
}

// Fragments of a datagram, each a chain or not, into an array.
static unsigned cut(struct datagram *datagram, uint32_t mtu, struct rte_mbuf **ret_parts)
{
	static uint8_t frame[MAX_BYTES];
	uint32_t payload = datagram->length - 34, offset = 0;
	unsigned n = 0;

	while (offset < payload) {
		uint32_t length = (mtu - 20) / 8 * 8;
		struct sg_ipv4_hdr *ip = (void *)(frame + 14);
		bool more = offset + length < payload;

		length = more ? length : payload - offset;
		memcpy(frame, datagram->bytes, 34);
		memcpy(frame + 34, datagram->bytes + 34 + offset, length);
		ip->total_length_be = __builtin_bswap16((uint16_t)(20 + length));
		ip->fragment_be =
			__builtin_bswap16((uint16_t)(offset / 8 | (more ? SG_IPV4_MORE : 0)));
		fix_ip_checksum(ip);
		ret_parts[n++] = to_chain(frame, 34 + length, below(2) ? 2000 : 0);
		offset += length;
	}
	return n;
}

static void notify_congestion(struct rte_mbuf *part)
{
	struct sg_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(part, struct sg_ipv4_hdr *, 14);

	if (rte_pktmbuf_data_len(part) < 34) // cut within its header: as one piece
		assert_int_equal(rte_pktmbuf_linearize(part), 0);
	ip->tos |= 3;
	fix_ip_checksum(ip);
}

static void shuffle(struct rte_mbuf **parts, unsigned n)
{
	for (unsigned i = n; i > 1; i--) {
		unsigned k = below(i);
		struct rte_mbuf *part = parts[i - 1];

		parts[i - 1] = parts[k];
		parts[k] = part;
	}
}

// Settings and life of it all.

static void open_port(unsigned number)
{
	struct sg_port *port = &dataplane.ports[number];
	struct rte_eth_conf conf = {0};
	char name[16];
	int id;

	snprintf(name, sizeof(name), "in%u", number);
	in[number] = rte_ring_create(name, SLOTS, SOCKET_ID_ANY, 0);
	snprintf(name, sizeof(name), "out%u", number);
	out[number] = rte_ring_create(name, SLOTS, SOCKET_ID_ANY, 0);
	snprintf(name, sizeof(name), "port%u", number);
	id = rte_eth_from_rings(name, &in[number], 1, &out[number], 1, 0);
	assert_true(id >= 0);
	assert_int_equal(rte_eth_dev_configure((uint16_t)id, 1, 1, &conf), 0);
	assert_int_equal(
		rte_eth_rx_queue_setup((uint16_t)id, 0, SLOTS, 0, NULL, dataplane.mempool), 0);
	assert_int_equal(rte_eth_tx_queue_setup((uint16_t)id, 0, SLOTS, 0, NULL), 0);
	assert_int_equal(rte_eth_dev_start((uint16_t)id), 0);
	port->dpdk_id = (uint16_t)id;
	port->number = (uint8_t)number;
	port->n_rx_queues = port->n_tx_queues = 1;
}

static int start_eal(void **unused)
{
	static struct sg_settings settings;
	struct sg_lcores lcores = {.n_workers = 1};
	struct sg_error error = {0};

	(void)unused;
	sg_settings_init(&settings);
	settings.hugepages = false;
	settings.n_ports = 2;
	settings.ports[0].mtu = settings.ports[1].mtu = 9000;
	snprintf(settings.instance, sizeof(settings.instance), "transmit-%d", (int)getpid());
	if (sg_eal_start(&lcores, &settings, sg_buffers_memory_mb(&settings, 1), &error))
		fail_msg("%s", error.text);
	dataplane.n_ports = 2;
	dataplane.n_workers = 1;
	assert_int_equal(sg_buffers_create(&dataplane, &settings, &error), 0);
	n_free = rte_mempool_avail_count(dataplane.mempool);
	for (unsigned i = 0; i < 2; i++)
		open_port(i);
	return 0;
}

static int stop_eal(void **unused)
{
	(void)unused;
	for (unsigned i = 0; i < 2; i++) {
		rte_eth_dev_stop(dataplane.ports[i].dpdk_id);
		rte_eth_dev_close(dataplane.ports[i].dpdk_id);
	}
	sg_buffers_destroy(&dataplane);
	sg_eal_stop();
	return 0;
}

static void add_service(const char *name, uint16_t port, enum sg_forward forward)
{
	struct sg_service_spec *spec = rig_service(&rig, name, SG_PROTO_UDP, port);

	spec->forward = forward;
	spec->backends[0].port = port;
}

static int open_worker(void **unused)
{
	(void)unused;
	rig_open(&rig, &(struct rig_options){0});
	add_service("snat", 1, SG_FORWARD_SNAT);
	add_service("dnat", 2, SG_FORWARD_DNAT);
	add_service("dsr", 3, SG_FORWARD_DSR);
	add_service("ipip", 4, SG_FORWARD_IPIP);
	rig_commit(&rig);
	memset(&worker, 0, sizeof(worker));
	worker.dataplane = &dataplane;
	worker.pipeline = rig.pipelines[0];
	worker.pipeline->sum_chain = sg_rx_sum_chain;
	worker.counters = &rig.totals[0];
	worker.reassembly = malloc(sizeof(*worker.reassembly));
	sg_reassembly_init(worker.reassembly, &worker);
	for (unsigned i = 0; i < 2; i++) {
		dataplane.ports[i].up = true;
		dataplane.ports[i].max_pieces = UINT16_MAX;
		dataplane.ports[i].mtu = worker.pipeline->ports[i].mtu = 9000;
	}
	sg_worker_assign_queues(&worker, &dataplane);
	return 0;
}

static int close_worker(void **unused)
{
	(void)unused;
	sg_fragments_clear(&worker.reassembly->fragments);
	expect_accounts();
	free(worker.reassembly);
	rig_close(&rig);
	return 0;
}

static void set_mtu(unsigned port, uint16_t mtu)
{
	dataplane.ports[port].mtu = worker.pipeline->ports[port].mtu = mtu;
}

// What a mode makes of a datagram of a client for port 1 to 4: the payload is the same, and behind
// the addresses of the mode.
static void expect_carried(struct datagram *client, struct datagram *got, uint16_t service)
{
	static const char *const dst[] = {POD, POD, VIP, POD};
	struct sg_ipv4_hdr *ip = ip_of(got);

	assert_int_equal(ip->dst_be, addr_be(dst[service - 1]));
	assert_int_equal(ip->src_be, service == 1   ? addr_be(SNAT)
				     : service == 4 ? addr_be(SNAT)
						    : addr_be(CLIENT));
	if (service == 4) { // the inner packet, in the frame
		assert_int_equal(ip->proto, SG_PROTO_IPIP);
		memmove(got->bytes + 14, got->bytes + 34, got->length - 34);
		got->length -= 20;
	}
	assert_true(checksums_hold(got));
	assert_int_equal(ip->ttl, 63);
	assert_int_equal(got->length, client->length);
	assert_memory_equal(got->bytes + 42, client->bytes + 42, client->length - 42);
	assert_memory_equal(got->bytes, pod_mac, 6);
}

// The stories.

static void a_chain_is_forwarded_however_it_is_cut(void **unused)
{
	static const uint32_t pieces[] = {0, 1, 13, 14, 33, 41, 42, 60, 255, 256, 257, 1000, 1999};
	static struct datagram client, got;

	(void)unused;
	for (unsigned i = 0; i < 200; i++) {
		uint16_t service = (uint16_t)(1 + i % 4);
		// 1-byte pieces of a jumbo frame would be all the buffers there are.
		uint32_t piece = pieces[i % 13];
		uint32_t payload = below(piece == 1 ? 500 : 8900);

		write_datagram(&client, CLIENT, VIP, service, SG_PROTO_UDP, payload, 0);
		receive(0, to_chain(client.bytes, client.length, piece));
		turn();
		assert_int_equal(sent(1, &got), 1);
		expect_carried(&client, &got, service);
		expect_accounts();
	}
}

static void what_a_chain_hides_is_found(void **unused)
{
	static struct datagram client, got;

	(void)unused;
	for (unsigned i = 0; i < 100; i++) {
		write_datagram(&client, CLIENT, VIP, 1, SG_PROTO_UDP, 500 + below(8000), 0);
		client.bytes[client.length - 1 - below(400)] ^= (uint8_t)(1 + below(255));
		receive(0, to_chain(client.bytes, client.length, 0));
		turn();
		assert_int_equal(sent(1, &got), 0);
		assert_int_equal(worker.counters->dropped[SG_DROP_BAD_L4_CHECKSUM], i + 1);
	}
	// A byte short.
	write_datagram(&client, CLIENT, VIP, 1, SG_PROTO_UDP, 8000, 0);
	receive(0, to_chain(client.bytes, client.length - 1, 0));
	turn();
	assert_int_equal(worker.counters->dropped[SG_DROP_TRUNCATED], 1);
}

static void what_follows_the_packet_in_a_chain_is_cut_off(void **unused)
{
	static struct datagram client, got;

	(void)unused;
	for (unsigned i = 0; i < 100; i++) {
		write_datagram(&client, CLIENT, VIP, 1, SG_PROTO_UDP, below(2000), 0);
		receive(0, to_chain(client.bytes, client.length + below(3000), 0));
		turn();
		assert_int_equal(sent(1, &got), 1);
		expect_carried(&client, &got, 1);
	}
}

static void a_device_without_chains_gets_one_piece(void **unused)
{
	static struct datagram client, got;

	(void)unused;
	dataplane.ports[1].max_pieces = 1;
	for (unsigned i = 0; i < 100; i++) {
		uint16_t service = (uint16_t)(1 + i % 4);

		set_mtu(1, i < 50 ? 9000 : 1500);
		write_datagram(&client, CLIENT, VIP, service, SG_PROTO_UDP, below(8900), 0);
		receive(0, to_chain(client.bytes, client.length, 0));
		turn();
		sent(1, &got);
		expect_carried(&client, &got, service);
	}
}

static void fragments_are_joined_and_made_in_every_mode(void **unused)
{
	static const uint16_t mtus[] = {576, 1280, 1400, 1500, 9000};
	static struct datagram client, got;
	struct rte_mbuf *parts[SG_FRAGMENTS_PER_DATAGRAM];

	(void)unused;
	for (unsigned i = 0; i < 400; i++) {
		uint16_t service = (uint16_t)(1 + i % 4);
		uint16_t mtu = mtus[below(5)];
		uint32_t payload = i % 8 < 4 ? 9000 : 1600 + below(65535 - 48 - 1600);
		uint64_t generated = worker.counters->generated;
		uint64_t consumed = worker.counters->consumed;
		unsigned n, n_sent;

		set_mtu(1, mtus[below(5)]);
		write_datagram(&client, CLIENT, VIP, service, SG_PROTO_UDP, payload, 0);
		ip_of(&client)->tos = 2; // knows of congestion notification
		n = cut(&client, mtu, parts);
		if (i % 3 == 0) // and a router has notified one fragment (RFC 3168)
			notify_congestion(parts[below(n)]);
		shuffle(parts, n);
		for (unsigned k = 0; k < n; k++)
			receive(0, parts[k]);
		turn();
		n_sent = sent(1, &got);
		assert_int_equal(worker.counters->consumed - consumed, n - 1);
		assert_int_equal(worker.counters->generated - generated, n_sent - 1);
		expect_carried(&client, &got, service);
		assert_int_equal(ip_of(&got)->tos, i % 3 == 0 ? 3 : 2);
		expect_accounts();
	}
}

static void answers_of_pods_are_joined_and_made_too(void **unused)
{
	static struct datagram client, got, answer;
	struct rte_mbuf *parts[SG_FRAGMENTS_PER_DATAGRAM];

	(void)unused;
	set_mtu(0, 1400);
	for (uint16_t service = 1; service <= 2; service++) {
		struct sg_udp_hdr *udp = (void *)(answer.bytes + 34);
		const struct sg_udp_hdr *sent_udp = (const void *)(got.bytes + 34);
		struct sg_ipv4_hdr *ip = ip_of(&answer);
		unsigned n;

		write_datagram(&client, CLIENT, VIP, service, SG_PROTO_UDP, 100, 0);
		receive(0, to_chain(client.bytes, client.length, 2000));
		turn();
		sent(1, &got);
		write_datagram(
			&answer, POD, service == 1 ? SNAT : CLIENT, 0, SG_PROTO_UDP, 9000, 1);
		udp->sport_be = sent_udp->dport_be;
		udp->dport_be = sent_udp->sport_be;
		udp->checksum = 0;
		udp->checksum = sg_checksum_finish(sg_checksum_add(
			sg_checksum_pseudo4(ip->src_be, ip->dst_be, SG_PROTO_UDP, 9008), udp,
			9008));
		n = cut(&answer, 1500, parts);
		shuffle(parts, n);
		for (unsigned k = 0; k < n; k++)
			receive(1, parts[k]);
		turn();
		assert_int_equal(sent(0, &got), 7);
		assert_true(checksums_hold(&got));
		assert_int_equal(ip_of(&got)->src_be, addr_be(VIP));
		assert_int_equal(ip_of(&got)->dst_be, addr_be(CLIENT));
		assert_memory_equal(got.bytes + 42, answer.bytes + 42, 9000);
	}
}

static void a_long_echo_comes_back_in_fragments(void **unused)
{
	static struct datagram client, got;
	struct rte_mbuf *parts[SG_FRAGMENTS_PER_DATAGRAM];
	unsigned n;

	(void)unused;
	set_mtu(0, 1500);
	write_datagram(&client, CLIENT, VIP, 0, SG_PROTO_ICMP, 20000, 0);
	n = cut(&client, 1500, parts);
	for (unsigned k = n; k > 0; k--) // the last first
		receive(0, parts[k - 1]);
	turn();
	assert_int_equal(sent(0, &got), n);
	assert_true(checksums_hold(&got));
	assert_int_equal(got.bytes[34], SG_ICMP_ECHO_REPLY);
	assert_memory_equal(got.bytes + 42, client.bytes + 42, 20000);
}

// The first header may be longer than the others': then the sum is more than a datagram can be.
static void a_datagram_beyond_64_kb_is_lost_whole(void **unused)
{
	static struct datagram client, got;
	static uint8_t first[34 + 40 + 1000];
	struct rte_mbuf *parts[SG_FRAGMENTS_PER_DATAGRAM];
	struct sg_ipv4_hdr *ip = (void *)(first + 14);
	unsigned n;

	(void)unused;
	write_datagram(&client, CLIENT, VIP, 1, SG_PROTO_UDP, 65535 - 28, 0);
	n = cut(&client, 1020, parts);
	memcpy(first, client.bytes, 34);
	memset(first + 34, 1, 40); // no operation
	memcpy(first + 74, client.bytes + 34, 1000);
	ip->version_ihl = 0x4f;
	ip->total_length_be = __builtin_bswap16(1060);
	ip->fragment_be = __builtin_bswap16(SG_IPV4_MORE);
	fix_ip_checksum(ip);
	rte_pktmbuf_free(parts[0]);
	parts[0] = to_chain(first, sizeof(first), 2000);
	for (unsigned k = 0; k < n; k++)
		receive(0, parts[k]);
	turn();
	assert_int_equal(sent(1, &got), 0);
	assert_int_equal(worker.counters->dropped[SG_DROP_FRAGMENT_BAD], n);
	// In mode ipip there is no room for the outer header.
	write_datagram(&client, CLIENT, VIP, 4, SG_PROTO_UDP, 65535 - 28, 0);
	n = cut(&client, 1500, parts);
	for (unsigned k = 0; k < n; k++)
		receive(0, parts[k]);
	turn();
	assert_int_equal(worker.counters->dropped[SG_DROP_TOO_BIG], 1);
}

static void options_go_into_the_fragments_that_need_them(void **unused)
{
	static struct datagram client, got;
	struct sg_ipv4_hdr *ip = ip_of(&client);

	(void)unused;
	set_mtu(1, 1500);
	write_datagram(&client, CLIENT, VIP, 1, SG_PROTO_UDP, 5000, 0);
	memmove(client.bytes + 42, client.bytes + 34, 5008);
	memset(client.bytes + 34, 1, 8); // no operation
	client.length += 8;
	ip->version_ihl = 0x47;
	ip->total_length_be = __builtin_bswap16((uint16_t)(client.length - 14));
	fix_ip_checksum(ip);
	receive(0, to_chain(client.bytes, client.length, 0));
	turn();
	assert_true(sent(1, &got) >= 4);
	assert_true(checksums_hold(&got));
	assert_memory_equal(got.bytes + 50, client.bytes + 50, 5000);
}

static void what_never_becomes_whole_is_lost_in_time(void **unused)
{
	static struct datagram client;
	struct rte_mbuf *parts[SG_FRAGMENTS_PER_DATAGRAM];
	unsigned n;

	(void)unused;
	write_datagram(&client, CLIENT, VIP, 1, SG_PROTO_UDP, 9000, 0);
	n = cut(&client, 1500, parts);
	rte_pktmbuf_free(parts[3]);
	for (unsigned k = 0; k < n; k++)
		if (k != 3)
			receive(0, parts[k]);
	turn();
	assert_int_equal(worker.reassembly->fragments.n_held, n - 1);
	rig_pass_ms(&rig, SG_FRAGMENTS_MS - 1);
	turn();
	assert_int_equal(worker.reassembly->fragments.n_held, n - 1);
	rig_pass_ms(&rig, 1);
	turn();
	assert_int_equal(worker.reassembly->fragments.n_held, 0);
	assert_int_equal(worker.counters->dropped[SG_DROP_FRAGMENT_TIMEOUT], n - 1);
}

static void what_a_port_cannot_take_has_a_name(void **unused)
{
	static struct datagram client, got;

	(void)unused;
	write_datagram(&client, CLIENT, VIP, 1, SG_PROTO_UDP, 100, 0);
	dataplane.ports[1].up = false;
	receive(0, to_chain(client.bytes, client.length, 2000));
	turn();
	assert_int_equal(worker.counters->dropped[SG_DROP_PORT_DOWN], 1);
	dataplane.ports[1].up = true;
	for (unsigned i = 0; i < 2 * SLOTS; i++) {
		receive(0, to_chain(client.bytes, client.length, 2000));
		if (i % 32 == 31)
			turn();
	}
	assert_int_equal(
		worker.counters->dropped[SG_DROP_TX_FULL], 2 * SLOTS - rte_ring_count(out[1]));
	while (sent(1, &got) > 0)
		;
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, open_worker, close_worker)
	const struct CMUnitTest tests[] = {
		STORY(a_chain_is_forwarded_however_it_is_cut),
		STORY(what_a_chain_hides_is_found),
		STORY(what_follows_the_packet_in_a_chain_is_cut_off),
		STORY(a_device_without_chains_gets_one_piece),
		STORY(fragments_are_joined_and_made_in_every_mode),
		STORY(answers_of_pods_are_joined_and_made_too),
		STORY(a_long_echo_comes_back_in_fragments),
		STORY(a_datagram_beyond_64_kb_is_lost_whole),
		STORY(options_go_into_the_fragments_that_need_them),
		STORY(what_never_becomes_whole_is_lost_in_time),
		STORY(what_a_port_cannot_take_has_a_name),
	};
#undef STORY

	return cmocka_run_group_tests(tests, start_eal, stop_eal);
}
