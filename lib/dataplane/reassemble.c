// Joining fragments, see reassemble.h.
#include "dataplane/reassemble.h"

#include <string.h>

#include "dataplane/answer.h"
#include "dataplane/worker.h"
#include "net/addr.h"
#include "net/checksum.h"
#include "net/headers.h"
#include "net/ipv6.h"

#define ECN_MASK      3
#define ECN_CONGESTED 3
#define MAX_DATAGRAM  65535

static void drop(void *context, void *buffer, enum sg_drop reason)
{
	sg_tx_drop(context, buffer, reason);
}

// A datagram that began in this turn is not late in it: there is room for all.
static void note_late(void *context, void *buffer)
{
	struct sg_reassembly *reassembly = ((struct sg_worker *)context)->reassembly;

	reassembly->late[reassembly->n_late++] = buffer;
}

void sg_reassembly_init(struct sg_reassembly *reassembly, struct sg_worker *worker)
{
	reassembly->n_whole = 0;
	reassembly->n_late = 0;
	sg_fragments_init(&reassembly->fragments, drop, note_late, worker);
}

static uint8_t *ip_of(const struct rte_mbuf *mbuf)
{
	return rte_pktmbuf_mtod_offset(mbuf, uint8_t *, sizeof(struct sg_eth_hdr));
}

static bool is_ipv6(const struct rte_mbuf *mbuf)
{
	return *ip_of(mbuf) >> 4 == 6;
}

// Of IPv6: from the header to the fragment header, which parse has found there.
static unsigned fragment_offset6(const struct rte_mbuf *mbuf)
{
	return sg_ipv6_find_payload((const void *)ip_of(mbuf),
		rte_pktmbuf_data_len(mbuf) - (unsigned)sizeof(struct sg_eth_hdr))
		.offset;
}

// Bytes of IP before the fragment's payload; of IPv6's those that stay in the datagram.
static unsigned header_bytes(const struct rte_mbuf *mbuf)
{
	const struct sg_ipv4_hdr *ip = (const void *)ip_of(mbuf);

	return is_ipv6(mbuf) ? fragment_offset6(mbuf) : (ip->version_ihl & 15) * 4u;
}

static unsigned payload_offset(const struct rte_mbuf *mbuf)
{
	return sizeof(struct sg_eth_hdr) + header_bytes(mbuf) +
	       (is_ipv6(mbuf) ? sizeof(struct sg_fragment_hdr) : 0);
}

static struct sg_fragment read_ipv4(struct rte_mbuf *mbuf, struct sg_fragment_key *ret_key)
{
	const struct sg_ipv4_hdr *ip = (const void *)ip_of(mbuf);
	uint16_t word = __builtin_bswap16(ip->fragment_be);

	ret_key->family = SG_FAMILY_IPV4;
	ret_key->id = ip->id_be;
	ret_key->proto = ip->proto;
	memcpy(ret_key->src, &ip->src_be, 4);
	memcpy(ret_key->dst, &ip->dst_be, 4);
	return (struct sg_fragment){.offset = (uint16_t)((word & SG_IPV4_OFFSET_MASK) * 8),
		.more = word & SG_IPV4_MORE};
}

static struct sg_fragment read_ipv6(struct rte_mbuf *mbuf, struct sg_fragment_key *ret_key)
{
	const struct sg_ipv6_hdr *ip = (const void *)ip_of(mbuf);
	const struct sg_fragment_hdr *header =
		(const void *)((const uint8_t *)ip + fragment_offset6(mbuf));
	uint16_t word = __builtin_bswap16(header->offset_be);

	ret_key->family = SG_FAMILY_IPV6;
	ret_key->id = header->id_be;
	memcpy(ret_key->src, &ip->pair, 32);
	return (struct sg_fragment){
		.offset = word & SG_FRAGMENT_OFFSET_MASK, .more = word & SG_FRAGMENT_MORE};
}

static struct sg_fragment read_fragment(struct rte_mbuf *mbuf, struct sg_fragment_key *ret_key)
{
	struct sg_fragment fragment =
		is_ipv6(mbuf) ? read_ipv6(mbuf, ret_key) : read_ipv4(mbuf, ret_key);

	fragment.buffer = mbuf;
	fragment.length = (uint16_t)(rte_pktmbuf_pkt_len(mbuf) - payload_offset(mbuf));
	return fragment;
}

// The byte that holds the ECN bits, and where in it.
static uint8_t *ecn_of(const struct rte_mbuf *mbuf, unsigned *ret_shift)
{
	*ret_shift = is_ipv6(mbuf) ? 4 : 0;
	return ip_of(mbuf) + 1;
}

// Congestion that any fragment has met has been met (RFC 3168, 5.3).
static void join_ecn(const struct sg_fragment *all, unsigned n)
{
	unsigned shift;
	uint8_t *first = ecn_of(all[0].buffer, &shift);

	if (!(*first >> shift & ECN_MASK))
		return;
	for (unsigned i = 1; i < n; i++) {
		if ((*ecn_of(all[i].buffer, &shift) >> shift & ECN_MASK) == ECN_CONGESTED)
			*first |= (uint8_t)(ECN_CONGESTED << shift);
	}
}

// The first fragment's header becomes the datagram's. Its sender has shown that fragments suit him:
// DF of fragments, rare as it is, ends here.
static void finish_ipv4(struct rte_mbuf *whole, uint32_t payload)
{
	struct sg_ipv4_hdr *ip = (void *)ip_of(whole);

	ip->total_length_be = __builtin_bswap16((uint16_t)(header_bytes(whole) + payload));
	ip->fragment_be = 0;
	ip->checksum = 0;
	ip->checksum = sg_checksum_finish(sg_checksum_add(0, ip, header_bytes(whole)));
}

// Where the header before the fragment header says that it follows.
static uint8_t *next_before(struct sg_ipv6_hdr *ip, unsigned fragment_offset)
{
	uint8_t *next = &ip->next;
	unsigned offset = sizeof(*ip);

	while (offset < fragment_offset) {
		next = (uint8_t *)ip + offset;
		offset += (next[1] + 1u) * 8;
	}
	return next;
}

// The same of IPv6, and the fragment header is cut out.
static void finish_ipv6(struct rte_mbuf *whole, uint32_t payload)
{
	struct sg_ipv6_hdr *ip = (void *)ip_of(whole);
	unsigned offset = fragment_offset6(whole);
	const struct sg_fragment_hdr *header = (const void *)((const uint8_t *)ip + offset);
	uint8_t *frame = rte_pktmbuf_mtod(whole, uint8_t *);

	ip->payload_length_be = __builtin_bswap16((uint16_t)(offset - sizeof(*ip) + payload));
	*next_before(ip, offset) = header->next;
	memmove(frame + sizeof(*header), frame, sizeof(struct sg_eth_hdr) + offset);
	rte_pktmbuf_adj(whole, sizeof(*header));
}

// Hangs a fragment's payload behind what is there. Returns the new last piece.
static struct rte_mbuf *append(struct rte_mbuf *whole, struct rte_mbuf *last, struct rte_mbuf *mbuf)
{
	unsigned before = payload_offset(mbuf);

	whole->pkt_len += mbuf->pkt_len - before;
	whole->nb_segs = (uint16_t)(whole->nb_segs + mbuf->nb_segs);
	rte_pktmbuf_adj(mbuf, (uint16_t)before);
	last->next = mbuf;
	return rte_pktmbuf_lastseg(mbuf);
}

// What IPv6's sender cuts is as long as the way lets it be, as far as he knows, and no router cuts
// it again: fragments of ours that were longer than his longest would not arrive, and what he is
// told then would change nothing. 0: as the port says, also where they cannot be made
// (refragment.c).
static uint16_t longest(const struct sg_fragment *all, unsigned n)
{
	uint32_t most = SG_IPV6_MIN_MTU;

	if (!is_ipv6(all[0].buffer) || header_bytes(all[0].buffer) > sizeof(struct sg_ipv6_hdr))
		return 0;
	for (unsigned i = 0; i < n; i++) {
		uint32_t bytes = rte_pktmbuf_pkt_len((struct rte_mbuf *)all[i].buffer) -
				 (uint32_t)sizeof(struct sg_eth_hdr);

		most = bytes > most ? bytes : most;
	}
	return (uint16_t)most;
}

static struct rte_mbuf *join(const struct sg_fragment *all, unsigned n)
{
	struct rte_mbuf *whole = all[0].buffer;
	struct rte_mbuf *last = rte_pktmbuf_lastseg(whole);
	uint32_t payload = all[n - 1].offset + (uint32_t)all[n - 1].length;

	join_ecn(all, n);
	sg_mbuf_meta(whole)->cut = longest(all, n);
	for (unsigned i = 1; i < n; i++)
		last = append(whole, last, all[i].buffer);
	if (is_ipv6(whole))
		finish_ipv6(whole, payload);
	else
		finish_ipv4(whole, payload);
	// What the device has said of the first fragment is not true of the whole.
	whole->ol_flags &= ~(RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK);
	return whole;
}

// Only the first header counts, and it may be longer than that of the last.
static bool is_too_long(const struct sg_fragment *all, unsigned n)
{
	unsigned counted = header_bytes(all[0].buffer) -
			   (is_ipv6(all[0].buffer) ? sizeof(struct sg_ipv6_hdr) : 0);

	return counted + all[n - 1].offset + all[n - 1].length > MAX_DATAGRAM;
}

void sg_reassemble(struct sg_worker *worker, const struct sg_pkt *pkt)
{
	struct sg_reassembly *reassembly = worker->reassembly;
	struct sg_fragment all[SG_FRAGMENTS_PER_DATAGRAM];
	struct sg_fragment_key key = {.domain = worker->pipeline->domains[pkt->port]};
	struct sg_fragment fragment = read_fragment(pkt->buffer, &key);
	unsigned n = 1;

	*sg_mbuf_meta(pkt->buffer) = (struct sg_mbuf_meta){
		.port = pkt->port, .from_kernel = pkt->flags & SG_PKT_FROM_KERNEL};
	// A fragment that is everything meets no others (RFC 6946).
	if (fragment.offset == 0 && !fragment.more)
		all[0] = fragment;
	else
		n = sg_fragments_put(
			&reassembly->fragments, worker->pipeline->now_ms, &key, &fragment, all);
	if (n == 0)
		return;
	if (is_too_long(all, n)) {
		for (unsigned i = 0; i < n; i++)
			sg_tx_drop(worker, all[i].buffer, SG_DROP_FRAGMENT_BAD);
		return;
	}
	reassembly->whole[reassembly->n_whole++] = join(all, n);
	sg_counter_add(&worker->counters->consumed, n - 1);
}

static void answer_late(
	struct sg_worker *worker, const struct sg_snapshot *snapshot, struct rte_mbuf *mbuf)
{
	const struct sg_mbuf_meta *meta = sg_mbuf_meta(mbuf);
	struct sg_pkt pkt;

	sg_rx_describe(&pkt, mbuf, meta->port, meta->from_kernel ? SG_PKT_FROM_KERNEL : 0);
	pkt.class = is_ipv6(mbuf) ? SG_CLASS_FRAGMENT6 : SG_CLASS_FRAGMENT;
	pkt.l4_offset = (uint8_t)(sizeof(struct sg_eth_hdr) + header_bytes(mbuf));
	sg_answer_late_fragment(worker->pipeline, snapshot, &pkt);
	if (pkt.verdict != SG_VERDICT_ANSWER)
		return sg_tx_drop(worker, mbuf, pkt.drop);
	// It is lost as the others are, and its buffer carries the message.
	sg_counter_add(&worker->counters->dropped[SG_DROP_FRAGMENT_TIMEOUT], 1);
	sg_tx_originate(worker, &pkt);
}

void sg_reassembly_turn(struct sg_worker *worker, const struct sg_snapshot *snapshot)
{
	struct sg_reassembly *reassembly = worker->reassembly;

	sg_fragments_age(&reassembly->fragments, worker->pipeline->now_ms);
	for (unsigned i = 0; i < reassembly->n_late; i++)
		answer_late(worker, snapshot, reassembly->late[i]);
	reassembly->n_late = 0;
}
