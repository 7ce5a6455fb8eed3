// Rings, buffers and a worker by hand, see wire.h.
#include "wire.h"

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
#include "lcores.h"
#include "net/checksum.h"

struct sg_dataplane dataplane;
struct sg_worker worker;
struct rig rig;
static struct rte_ring *in[2], *out[2];
static uint64_t seed = 88172645463325252u;
static unsigned n_free; // buffers, when nobody has one

uint32_t wire_below(uint32_t n)
{
	return sg_reduce((uint32_t)(sg_random_next(&seed) >> 32), n);
}

struct sg_ipv4_hdr *wire_ip(struct datagram *datagram)
{
	return (void *)(datagram->bytes + 14);
}

void wire_fix_ip_checksum(struct sg_ipv4_hdr *ip)
{
	ip->checksum = 0;
	ip->checksum = sg_checksum_finish(sg_checksum_add(0, ip, (ip->version_ihl & 15) * 4u));
}

bool wire_checksums_hold(struct datagram *datagram)
{
	const struct sg_ipv4_hdr *ip = wire_ip(datagram);
	unsigned header = (ip->version_ihl & 15) * 4u;
	uint16_t l4 = (uint16_t)(__builtin_bswap16(ip->total_length_be) - header);
	uint64_t pseudo = ip->proto == SG_PROTO_ICMP
				  ? 0
				  : sg_checksum_pseudo4(ip->src_be, ip->dst_be, ip->proto, l4);

	return datagram->length == 14 + header + l4 &&
	       sg_checksum_finish(sg_checksum_add(0, ip, header)) == 0 &&
	       sg_checksum_finish(sg_checksum_add(pseudo, (const uint8_t *)ip + header, l4)) == 0;
}

void wire_write_datagram(struct datagram *datagram, const char *src, const char *dst,
	uint16_t dport, uint8_t proto, uint32_t payload, unsigned port)
{
	struct sg_ipv4_hdr *ip = wire_ip(datagram);
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
	wire_fix_ip_checksum(ip);
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

struct rte_mbuf *wire_to_chain(const uint8_t *bytes, uint32_t length, uint32_t piece)
{
	struct rte_mbuf *chain = NULL;

	while (length > 0) {
		struct rte_mbuf *mbuf = rte_pktmbuf_alloc(dataplane.mempool);
		uint32_t n = piece ? piece : 1 + wire_below(1800);

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

void wire_receive(unsigned port, struct rte_mbuf *mbuf)
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

void wire_turn(void)
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
	sg_reassembly_turn(&worker, rig.snapshot);
	sg_tx_flush(&worker);
}

static void read_frame(struct rte_mbuf *mbuf, struct datagram *ret_datagram)
{
	const void *bytes;

	ret_datagram->length = rte_pktmbuf_pkt_len(mbuf);
	assert_true(ret_datagram->length <= WIRE_MAX_BYTES);
	rte_mbuf_sanity_check(mbuf, 1);
	bytes = rte_pktmbuf_read(mbuf, 0, ret_datagram->length, ret_datagram->bytes);
	assert_non_null(bytes);
	if (bytes != ret_datagram->bytes)
		memcpy(ret_datagram->bytes, bytes, ret_datagram->length);
	rte_pktmbuf_free(mbuf);
}

static void take_tag(struct datagram *frame)
{
	frame->vlan = 0;
	if (frame->bytes[12] != 0x81 || frame->bytes[13] != 0)
		return;
	frame->vlan = (uint16_t)(frame->bytes[14] << 8 | frame->bytes[15]);
	frame->length -= 4;
	memmove(frame->bytes + 12, frame->bytes + 16, frame->length - 12);
}

bool wire_next(unsigned port, struct datagram *ret_frame)
{
	struct rte_mbuf *mbuf;

	if (rte_ring_dequeue(out[port], (void **)&mbuf) != 0)
		return false;
	assert_true(mbuf->nb_segs <= dataplane.ports[port].max_pieces);
	read_frame(mbuf, ret_frame);
	take_tag(ret_frame);
	assert_true(ret_frame->length <= 14u + dataplane.ports[port].mtu);
	return true;
}

unsigned wire_sent(unsigned port, struct datagram *ret_datagram)
{
	static struct datagram frame;
	uint32_t end = 0;
	unsigned n = 0;

	ret_datagram->length = 0;
	while (wire_next(port, &frame)) {
		struct sg_ipv4_hdr *ip = wire_ip(&frame);
		unsigned header;
		uint16_t word;

		header = (ip->version_ihl & 15) * 4u;
		word = __builtin_bswap16(ip->fragment_be);
		assert_int_equal(frame.length, 14 + __builtin_bswap16(ip->total_length_be));
		assert_int_equal(sg_checksum_finish(sg_checksum_add(0, ip, header)), 0);
		assert_int_equal((word & SG_IPV4_OFFSET_MASK) * 8u, end);
		if (n++ == 0) {
			*ret_datagram = frame;
		} else {
			assert_int_equal(frame.vlan, ret_datagram->vlan);
			assert_int_equal(ip->id_be, wire_ip(ret_datagram)->id_be);
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
		struct sg_ipv4_hdr *ip = wire_ip(ret_datagram);

		assert_int_equal(ip->fragment_be, __builtin_bswap16(SG_IPV4_MORE));
		ip->fragment_be = 0;
		ip->total_length_be = __builtin_bswap16((uint16_t)(ret_datagram->length - 14));
		wire_fix_ip_checksum(ip);
	}
	return n;
}

unsigned wire_waiting(unsigned port)
{
	return rte_ring_count(out[port]);
}

void wire_expect_accounts(void)
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

unsigned wire_cut(struct datagram *datagram, uint32_t mtu, struct rte_mbuf **ret_parts)
{
	static uint8_t frame[WIRE_MAX_BYTES];
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
		wire_fix_ip_checksum(ip);
		ret_parts[n++] = wire_to_chain(frame, 34 + length, wire_below(2) ? 2000 : 0);
		offset += length;
	}
	return n;
}

void wire_notify_congestion(struct rte_mbuf *part)
{
	struct sg_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(part, struct sg_ipv4_hdr *, 14);

	if (rte_pktmbuf_data_len(part) < 34) // cut within its header: as one piece
		assert_int_equal(rte_pktmbuf_linearize(part), 0);
	ip->tos |= 3;
	wire_fix_ip_checksum(ip);
}

void wire_shuffle(struct rte_mbuf **parts, unsigned n)
{
	for (unsigned i = n; i > 1; i--) {
		unsigned k = wire_below(i);
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
	in[number] = rte_ring_create(name, WIRE_SLOTS, SOCKET_ID_ANY, 0);
	snprintf(name, sizeof(name), "out%u", number);
	out[number] = rte_ring_create(name, WIRE_SLOTS, SOCKET_ID_ANY, 0);
	snprintf(name, sizeof(name), "port%u", number);
	id = rte_eth_from_rings(name, &in[number], 1, &out[number], 1, 0);
	assert_true(id >= 0);
	assert_int_equal(rte_eth_dev_configure((uint16_t)id, 1, 1, &conf), 0);
	assert_int_equal(
		rte_eth_rx_queue_setup((uint16_t)id, 0, WIRE_SLOTS, 0, NULL, dataplane.mempool), 0);
	assert_int_equal(rte_eth_tx_queue_setup((uint16_t)id, 0, WIRE_SLOTS, 0, NULL), 0);
	assert_int_equal(rte_eth_dev_start((uint16_t)id), 0);
	port->dpdk_id = (uint16_t)id;
	port->number = (uint8_t)number;
	port->n_rx_queues = port->n_tx_queues = 1;
}

int wire_start_eal(void **unused)
{
	static struct sg_settings settings;
	struct sg_lcores lcores = {.n_workers = 1};
	struct sg_error error = {0};

	(void)unused;
	sg_settings_init(&settings);
	settings.hugepages = false;
	settings.n_ports = 3;
	settings.ports[0].mtu = settings.ports[1].mtu = settings.ports[2].mtu = 9000;
	settings.ports[2].vlan = RIG_VLAN;
	snprintf(settings.instance, sizeof(settings.instance), "transmit-%d", (int)getpid());
	if (sg_eal_start(&lcores, &settings, sg_buffers_memory_mb(&settings, 1), &error))
		fail_msg("%s", error.text);
	dataplane.n_ports = 3;
	dataplane.ports[2] = (struct sg_port){.number = 2, .vlan = RIG_VLAN, .device = 0};
	dataplane.n_workers = 1;
	assert_int_equal(sg_buffers_create(&dataplane, &settings, &error), 0);
	n_free = rte_mempool_avail_count(dataplane.mempool);
	for (unsigned i = 0; i < 2; i++)
		open_port(i);
	return 0;
}

int wire_stop_eal(void **unused)
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

int wire_open(void **unused)
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
	for (unsigned i = 0; i < 3; i++) {
		dataplane.ports[i].up = true;
		dataplane.ports[i].max_pieces = UINT16_MAX;
		dataplane.ports[i].mtu = worker.pipeline->ports[i].mtu = 9000;
	}
	sg_worker_assign_queues(&worker, &dataplane);
	return 0;
}

int wire_close(void **unused)
{
	(void)unused;
	sg_fragments_clear(&worker.reassembly->fragments);
	wire_expect_accounts();
	free(worker.reassembly);
	rig_close(&rig);
	return 0;
}

void wire_set_mtu(unsigned port, uint16_t mtu)
{
	dataplane.ports[port].mtu = worker.pipeline->ports[port].mtu = mtu;
}

void wire_expect_carried(struct datagram *client, struct datagram *got, uint16_t service)
{
	static const char *const dst[] = {POD, POD, VIP, POD};
	struct sg_ipv4_hdr *ip = wire_ip(got);

	assert_int_equal(ip->dst_be, addr_be(dst[service - 1]));
	assert_int_equal(ip->src_be, service == 1   ? addr_be(SNAT)
				     : service == 4 ? addr_be(SNAT)
						    : addr_be(CLIENT));
	if (service == 4) { // the inner packet, in the frame
		assert_int_equal(ip->proto, SG_PROTO_IPIP);
		memmove(got->bytes + 14, got->bytes + 34, got->length - 34);
		got->length -= 20;
	}
	assert_true(wire_checksums_hold(got));
	assert_int_equal(ip->ttl, 63);
	assert_int_equal(got->length, client->length);
	assert_memory_equal(got->bytes + 42, client->bytes + 42, client->length - 42);
	assert_memory_equal(got->bytes, pod_mac, 6);
}
