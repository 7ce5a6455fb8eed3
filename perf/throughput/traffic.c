// Making, turning round and judging packets, see traffic.h.
#include "traffic.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "base/random.h"
#include "net/checksum.h"
#include "net/headers.h"

#define FRAME_BYTES    60
#define PAYLOAD_OFFSET 54
#define MARK           0x5a
#define DRAIN_MS       50
#define LOST_US        100000
#define WINDOW         256 // handshakes under way at a time
#define TRIES          8

struct payload {
	uint32_t stamp; // or the flow's number
	uint8_t leg;
	uint8_t mark;
} __attribute__((packed, aligned(2)));

struct frame {
	struct sg_eth_hdr eth;
	struct sg_ipv4_hdr ip;
	struct sg_tcp_hdr tcp;
	struct payload payload;
};
static_assert(sizeof(struct frame) == FRAME_BYTES, "a frame without padding");
static_assert(offsetof(struct frame, payload) == PAYLOAD_OFFSET, "behind all headers");

static struct frame *frame_of(struct rte_mbuf *mbuf)
{
	return rte_pktmbuf_mtod(mbuf, struct frame *);
}

static void make_template(struct sg_traffic *traffic)
{
	struct frame frame = {
		.eth.ethertype_be = __builtin_bswap16(SG_ETHERTYPE_IPV4),
		.ip = {.version_ihl = 0x45,
			.total_length_be =
				__builtin_bswap16(FRAME_BYTES - sizeof(struct sg_eth_hdr)),
			.ttl = 64,
			.proto = SG_PROTO_TCP,
			.dst_be = traffic->options.vip_be},
		.tcp = {.dport_be = __builtin_bswap16(80),
			.seq_be = __builtin_bswap32(2),
			.ack_be = __builtin_bswap32(2),
			.offset = 5 << 4,
			.flags = SG_TCP_ACK,
			.window_be = 0xffff},
		.payload.mark = MARK,
	};
	const unsigned l4_bytes = sizeof(frame.tcp) + sizeof(frame.payload);

	memcpy(frame.eth.dst, traffic->options.gateway_mac, 6);
	memcpy(frame.eth.src, traffic->options.mac, 6);
	traffic->ip_sum = sg_checksum_add(0, &frame.ip, sizeof(frame.ip));
	traffic->tcp_sum =
		sg_checksum_add(sg_checksum_pseudo4(0, frame.ip.dst_be, SG_PROTO_TCP, l4_bytes),
			&frame.tcp, l4_bytes);
	memcpy(traffic->template, &frame, sizeof(frame));
}

void sg_traffic_init(struct sg_traffic *traffic, const struct sg_traffic_options *options,
	uint16_t port, struct rte_mempool *mempool)
{
	memset(traffic, 0, sizeof(*traffic));
	traffic->options = *options;
	traffic->port = port;
	traffic->mempool = mempool;
	traffic->random = 1;
	traffic->us = rte_get_tsc_hz() / 1000000;
	traffic->established = calloc(options->flows, 1);
	make_template(traffic);
}

// --- one packet

static uint32_t stamp_of(uint64_t tsc)
{
	return (uint32_t)(tsc >> SG_STAMP_SHIFT);
}

// Flow f's client: a host from 16.0.0.0 upwards, spread by an odd factor.
static void write_client(
	const struct sg_traffic *traffic, struct rte_mbuf *mbuf, uint32_t flow, uint32_t stamp)
{
	struct frame *frame = frame_of(mbuf);
	uint32_t src_be = __builtin_bswap32(0x10000000 + (flow * UINT32_C(0x9e3779b1) >> 3));
	uint16_t sport_be = (uint16_t)(flow * UINT32_C(0x85ebca6b) >> 16) | 0x80;

	memcpy(frame, traffic->template, FRAME_BYTES);
	frame->ip.src_be = src_be;
	frame->ip.checksum = sg_checksum_finish(traffic->ip_sum + src_be);
	frame->tcp.sport_be = sport_be;
	frame->payload.stamp = stamp;
	frame->tcp.checksum =
		sg_checksum_finish(traffic->tcp_sum + src_be + sport_be + (uint64_t)stamp);
	mbuf->data_len = FRAME_BYTES;
	mbuf->pkt_len = FRAME_BYTES;
}

static void make_syn(struct frame *frame)
{
	frame->tcp.seq_be = __builtin_bswap32(1);
	frame->tcp.ack_be = 0;
	frame->tcp.flags = SG_TCP_SYN;
	frame->payload.leg = SG_LEG_SYN;
}

static void write_checksum(struct frame *frame)
{
	const unsigned l4_bytes = sizeof(frame->tcp) + sizeof(frame->payload);

	frame->tcp.checksum = 0;
	frame->tcp.checksum = sg_checksum_finish(
		sg_checksum_add(sg_checksum_pseudo4(frame->ip.src_be, frame->ip.dst_be,
					SG_PROTO_TCP, (uint16_t)l4_bytes),
			&frame->tcp, l4_bytes));
}

// What a host does to answer in kind: both ends change places. Sums stay as they are, but for the
// leg.
static void turn_round(struct frame *frame)
{
	struct sg_eth_hdr eth = frame->eth;
	uint64_t addresses;
	uint32_t ports;

	memcpy(frame->eth.dst, eth.src, 6);
	memcpy(frame->eth.src, eth.dst, 6);
	memcpy(&addresses, &frame->ip.src_be, 8);
	addresses = addresses << 32 | addresses >> 32;
	memcpy(&frame->ip.src_be, &addresses, 8);
	memcpy(&ports, &frame->tcp.sport_be, 4);
	ports = ports << 16 | ports >> 16;
	memcpy(&frame->tcp.sport_be, &ports, 4);
	frame->payload.leg++;
	frame->tcp.checksum = sg_checksum_apply(frame->tcp.checksum, 1);
}

// A handshake's next segment: SYN to SYN + ACK, that to ACK.
static void turn_handshake(struct frame *frame)
{
	turn_round(frame);
	frame->tcp.seq_be =
		frame->payload.leg == SG_LEG_ACK ? __builtin_bswap32(2) : __builtin_bswap32(1);
	frame->tcp.ack_be = __builtin_bswap32(2);
	frame->tcp.flags = frame->payload.leg == SG_LEG_ACK ? SG_TCP_ACK : SG_TCP_SYN | SG_TCP_ACK;
	write_checksum(frame);
}

static bool is_ours(struct rte_mbuf *mbuf)
{
	const struct frame *frame = frame_of(mbuf);

	return mbuf->data_len == FRAME_BYTES && frame->payload.mark == MARK &&
	       frame->payload.leg < SG_LEG_COUNT;
}

// Whether a packet came to the side that its leg says.
static bool is_right(const struct sg_traffic *traffic, const struct frame *frame)
{
	if (!traffic->options.gateway)
		return true;
	if (frame->payload.leg & 1)
		return frame->tcp.sport_be == __builtin_bswap16(80) &&
		       frame->ip.src_be == traffic->options.vip_be;
	return frame->tcp.dport_be == __builtin_bswap16(traffic->options.backend_port);
}

static void note_established(struct sg_traffic *traffic, uint32_t flow)
{
	if (flow >= traffic->options.flows || traffic->established[flow])
		return;
	traffic->established[flow] = 1;
	traffic->n_established++;
}

static void note_latency(struct sg_traffic *traffic, uint32_t stamp, uint32_t now)
{
	if ((int32_t)(stamp - traffic->stall_stamp) < 0)
		traffic->counts.left_out++;
	else
		sg_latency_add(&traffic->counts.latency, now - stamp);
}

// Returns whether the packet goes on to the device.
static bool receive_one(struct sg_traffic *traffic, struct rte_mbuf *mbuf, uint32_t now)
{
	struct frame *frame = frame_of(mbuf);

	if (!is_ours(mbuf)) {
		traffic->counts.strays++;
		return false;
	}
	traffic->counts.received++;
	if (!is_right(traffic, frame)) {
		traffic->counts.wrong++;
		return false;
	}
	switch (frame->payload.leg) {
	case SG_LEG_TO_BACKEND:
		turn_round(frame);
		return true;
	case SG_LEG_TO_CLIENT:
		note_latency(traffic, frame->payload.stamp, now);
		return false;
	case SG_LEG_ACK:
		note_established(traffic, frame->payload.stamp);
		return false;
	default:
		turn_handshake(frame);
		return true;
	}
}

// --- one turn

// A disturbance ends now.
static void disturb(struct sg_traffic *traffic, uint64_t tsc)
{
	traffic->stall_stamp = stamp_of(tsc);
	traffic->ms.disturbed = true;
}

static void note_stall(struct sg_traffic *traffic, uint64_t tsc)
{
	uint64_t late = traffic->turn_tsc ? tsc - traffic->turn_tsc : 0;

	traffic->turn_tsc = tsc;
	traffic->counts.turns++;
	if (late < traffic->us * SG_TRAFFIC_STALL_US)
		return;
	traffic->counts.stalls++;
	if (late > traffic->counts.stall_max)
		traffic->counts.stall_max = late;
	disturb(traffic, tsc);
	// What was due meanwhile is not owed: it is us who were not there.
	traffic->next_due += late << 16;
	traffic->heard_tsc = tsc;
}

static uint64_t under_way(const struct sg_traffic *traffic)
{
	return traffic->counts.sent - traffic->counts.received - traffic->forgiven;
}

static void note_silence(struct sg_traffic *traffic, uint64_t tsc, unsigned n_received)
{
	uint64_t silent = tsc - traffic->heard_tsc;

	if (n_received == 0 && under_way(traffic) > 0) {
		// It will not come any more, and leaves its place in the window.
		if (silent > traffic->us * LOST_US)
			traffic->forgiven += under_way(traffic);
		return;
	}
	traffic->heard_tsc = tsc;
	if (silent < traffic->us * SG_TRAFFIC_SILENCE_US)
		return;
	traffic->counts.silences++;
	if (silent > traffic->counts.silence_max)
		traffic->counts.silence_max = silent;
	disturb(traffic, tsc);
	traffic->next_due += silent << 16;
}

// The millisecond after a disturbance is one, too: full rings are emptied faster than the device
// works.
static void note_ms(struct sg_traffic *traffic, uint64_t tsc)
{
	if (tsc < traffic->ms.end_tsc)
		return;
	if (!traffic->ms.disturbed &&
		tsc < traffic->ms.end_tsc + traffic->us * SG_TRAFFIC_STALL_US) {
		traffic->counts.clean_ms++;
		traffic->counts.clean_received += traffic->counts.received - traffic->ms.received;
	}
	traffic->ms.disturbed =
		traffic->ms.disturbed && tsc - traffic->heard_tsc > traffic->us * 1000;
	traffic->ms.received = traffic->counts.received;
	traffic->ms.end_tsc = tsc + traffic->us * 1000;
}

static void receive(struct sg_traffic *traffic, uint64_t tsc)
{
	struct rte_mbuf *mbufs[SG_TRAFFIC_BURST], *done[SG_TRAFFIC_BURST];
	unsigned n, n_done = 0;

	if (traffic->last > SG_TRAFFIC_PENDING - 2 * SG_TRAFFIC_BURST)
		return;
	n = rte_eth_rx_burst(traffic->port, 0, mbufs, SG_TRAFFIC_BURST);
	note_silence(traffic, tsc, n);
	for (unsigned i = 0; i < n; i++)
		rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void *));
	for (unsigned i = 0; i < n; i++) {
		if (receive_one(traffic, mbufs[i], stamp_of(tsc)))
			traffic->pending[traffic->last++] = mbufs[i];
		else
			done[n_done++] = mbufs[i];
	}
	rte_pktmbuf_free_bulk(done, n_done);
}

// How many packets of clients are due and not made yet.
static uint64_t count_due(const struct sg_traffic *traffic, uint64_t tsc)
{
	uint64_t now = (tsc - traffic->start_tsc) << 16;

	if (traffic->interval == 0)
		return SG_TRAFFIC_BURST;
	return now < traffic->next_due ? 0 : (now - traffic->next_due) / traffic->interval + 1;
}

// Each bears the time at which it was due: what the device kept waiting before it took it counts.
static void make(struct sg_traffic *traffic, uint64_t tsc)
{
	uint64_t due = count_due(traffic, tsc);
	unsigned n = due < SG_TRAFFIC_BURST ? (unsigned)due : SG_TRAFFIC_BURST;
	struct rte_mbuf **mbufs = traffic->pending + traffic->last;

	if (n == 0)
		return;
	if (traffic->first < traffic->last || under_way(traffic) > SG_TRAFFIC_WINDOW) {
		traffic->counts.held_back++;
		return;
	}
	if (rte_pktmbuf_alloc_bulk(traffic->mempool, mbufs, n) != 0)
		return;
	for (unsigned i = 0; i < n; i++) {
		uint32_t random = (uint32_t)(sg_random_next(&traffic->random) >> 32);
		uint64_t at =
			traffic->interval ? traffic->start_tsc + (traffic->next_due >> 16) : tsc;

		write_client(
			traffic, mbufs[i], sg_reduce(random, traffic->options.flows), stamp_of(at));
		traffic->next_due += traffic->interval;
	}
	traffic->last += n;
}

// What the ring has no room for waits.
static void transmit(struct sg_traffic *traffic)
{
	while (traffic->first < traffic->last) {
		unsigned sent =
			rte_eth_tx_burst(traffic->port, 0, traffic->pending + traffic->first,
				(uint16_t)(traffic->last - traffic->first));

		traffic->counts.sent += sent;
		traffic->first += sent;
		if (sent == 0)
			break;
	}
	if (traffic->first == traffic->last) {
		traffic->first = traffic->last = 0;
	} else if (traffic->last > SG_TRAFFIC_PENDING / 2) {
		memmove(traffic->pending, traffic->pending + traffic->first,
			(traffic->last - traffic->first) * sizeof(traffic->pending[0]));
		traffic->last -= traffic->first;
		traffic->first = 0;
	}
}

// Nothing comes back any more once it has been quiet for DRAIN_MS.
static void drain(struct sg_traffic *traffic)
{
	uint64_t quiet = traffic->us * 1000 * DRAIN_MS;
	uint64_t received = traffic->counts.received, since = rte_rdtsc();

	while (traffic->first < traffic->last || rte_rdtsc() - since < quiet) {
		note_stall(traffic, rte_rdtsc());
		receive(traffic, traffic->turn_tsc);
		transmit(traffic);
		if (traffic->counts.received != received)
			since = rte_rdtsc();
		else if (rte_rdtsc() - since > 20 * quiet)
			break; // the device takes nothing any more
		received = traffic->counts.received;
	}
}

static void begin(struct sg_traffic *traffic, double packets_per_second)
{
	double hz = (double)rte_get_tsc_hz();
	uint64_t now = rte_rdtsc();

	memset(&traffic->counts, 0, sizeof(traffic->counts));
	traffic->interval =
		packets_per_second > 0 ? (uint64_t)(hz * 65536 / packets_per_second) : 0;
	traffic->next_due = 0;
	traffic->forgiven = 0;
	traffic->start_tsc = traffic->turn_tsc = traffic->heard_tsc = now;
	traffic->ms.received = 0;
	traffic->ms.disturbed = true; // it has to fill first
	traffic->ms.end_tsc = now + traffic->us * 1000;
}

double sg_traffic_run(struct sg_traffic *traffic, double seconds, double packets_per_second)
{
	uint64_t end = rte_rdtsc() + (uint64_t)(seconds * (double)rte_get_tsc_hz());
	const struct sg_traffic_counts *counts = &traffic->counts;
	uint64_t received;

	begin(traffic, packets_per_second);
	while (traffic->turn_tsc < end) {
		note_stall(traffic, rte_rdtsc());
		note_ms(traffic, traffic->turn_tsc);
		receive(traffic, traffic->turn_tsc);
		make(traffic, traffic->turn_tsc);
		transmit(traffic);
	}
	received = counts->received;
	traffic->counts.behind = traffic->interval ? count_due(traffic, rte_rdtsc()) : 0;
	drain(traffic);
	// A machine that never leaves us alone for a while is measured as it is.
	if (counts->clean_ms < 10)
		return (double)received / seconds;
	return (double)counts->clean_received * 1000 / (double)counts->clean_ms;
}

// --- handshakes

static bool send_syn(struct sg_traffic *traffic, uint32_t flow)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(traffic->mempool);

	if (!mbuf)
		return false;
	write_client(traffic, mbuf, flow, flow);
	make_syn(frame_of(mbuf));
	write_checksum(frame_of(mbuf));
	traffic->pending[traffic->last++] = mbuf;
	return true;
}

bool sg_traffic_establish(struct sg_traffic *traffic)
{
	uint32_t flows = traffic->options.flows;

	for (unsigned try = 0; try < TRIES && traffic->n_established < flows; try++) {
		uint32_t opened = traffic->n_established, asked = opened, next = 0;

		while (next < flows) {
			for (; next < flows && asked < traffic->n_established + WINDOW; next++) {
				if (!traffic->established[next] && send_syn(traffic, next))
					asked++;
			}
			receive(traffic, rte_rdtsc());
			transmit(traffic);
			// A lost handshake would keep its place in the window.
			if (asked == traffic->n_established + WINDOW)
				asked -= traffic->counts.turns++ % 4096 == 0;
		}
		drain(traffic);
	}
	return traffic->n_established == flows;
}
