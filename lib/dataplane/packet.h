// One packet on its way through the stages, and a burst of them. Knows no mbuf: rx.c fills it in,
// tx.c acts on it, and so can a unit test, a pcap replayer or a fuzzer.
//
// A stage reads what the stages before it wrote and adds its own fields; the first that settles a
// packet writes the verdict, and the rest pass it by.
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "flow/table.h"
#include "net/headers.h"
#include "net/tuple.h"
#include "service/drop.h"
#include "service/snapshot.h"

#define SG_BURST 32

// A buffer may be a chain of pieces: a jumbo frame in small buffers, a datagram put together from
// fragments. All headers lie in the first piece: so many bytes, or all there are.
#define SG_PKT_HEADERS 256

enum sg_verdict {
	SG_VERDICT_NONE = 0, // not settled yet
	SG_VERDICT_FORWARD,  // to `hop`; its MACs are written unless the hop is still unresolved
	SG_VERDICT_SEND, // out of `out_port` as it stands: what the kernel sends, and a client met
			 // at its own MAC
	SG_VERDICT_ANSWER,      // turned into our answer in place: back to where it came from
	SG_VERDICT_PUNT,        // to the kernel, through the twin of the port it came in on
	SG_VERDICT_PUNT_URGENT, // the same, before all others: ARP, routing protocols
	SG_VERDICT_HANDOFF,     // to the home worker, `target`
	SG_VERDICT_REASSEMBLE,  // a fragment of what is for us: it waits for the rest
	SG_VERDICT_CONSUME,     // has told us what it had to tell, and goes nowhere
	SG_VERDICT_DROP,        // lost, and `drop` says why
};

enum sg_pkt_class {
	SG_CLASS_FLOW, // IPv4 TCP or UDP: has a tuple
	SG_CLASS_ICMP, // IPv4
	SG_CLASS_IPV4, // any other IPv4, and what has a flaw
	SG_CLASS_FRAGMENT,
	SG_CLASS_ARP,
	SG_CLASS_FLOW6, // from here on IPv6: TCP or UDP, has a tuple
	SG_CLASS_ICMP6,
	SG_CLASS_FRAGMENT6,
	SG_CLASS_IPV6, // any other IPv6, and what has a flaw
};

// Set by rx.c.
#define SG_PKT_FROM_KERNEL 0x01u // read from the twin
#define SG_PKT_HANDED_OFF  0x02u // came from another worker: it is judged here, wherever its home is
#define SG_PKT_IP_GOOD     0x04u  // the device has checked the IP header's checksum
#define SG_PKT_L4_GOOD     0x08u  // the device has checked TCP's or UDP's
#define SG_PKT_TAGGED      0x10u  // the device has taken a VLAN tag off: `vlan`
#define SG_PKT_ASKS        0x20u  // handed over to be told its client's backend, see affinity.h
#define SG_PKT_TOLD        0x40u  // has come back, with `told_slot`
#define SG_PKT_STACKED     0x100u // and another one behind it
#define SG_PKT_MERGED      0x80u  // was put together from fragments, and may be sent as such

struct sg_pkt {
	uint8_t *bytes;                   // the Ethernet frame
	void *buffer;                     // what it lies in: rx.c's and tx.c's business
	const struct sg_service *service; // set by admit, for schedule
	sg_flow_ref ref;                  // set by lookup or schedule; 0: none
	uint32_t told_slot;               // with SG_PKT_TOLD: its client's backend
	uint16_t told_generation;         // and that slot's generation
	uint16_t vlan;                    // with SG_PKT_TAGGED: what the tag says
	uint32_t length;                  // bytes of the frame; parse cuts Ethernet's padding off
	uint16_t contiguous;              // bytes in the first piece of a chain; 0: no chain
	uint16_t head;                    // bytes before the frame that it may grow into
	uint16_t room;                    // bytes that the first piece may grow to
	uint16_t hop;                     // with SG_VERDICT_FORWARD
	uint16_t flags;                   // SG_PKT_
	uint16_t
		cut; // it is sent in fragments of at most so many bytes of IP; 0: of the port's MTU
	uint8_t verdict; // enum sg_verdict
	uint8_t drop;    // enum sg_drop, with SG_VERDICT_DROP; with ANSWER: lost all the same, or 0
	uint8_t flaw;    // enum sg_drop: how it will be lost if it turns out to be for us
	uint8_t class;   // enum sg_pkt_class
	uint8_t l4_offset; // from `bytes`
	uint8_t port;      // that it came in on; parse turns a device and a tag into the VLAN's
	uint8_t out_port;  // with SG_VERDICT_SEND
	uint8_t target;    // worker, with SG_VERDICT_HANDOFF
	bool stateless;    // set by admit: belongs to a flow that nobody knows, and needs none
};
static_assert(sizeof(struct sg_pkt) <= 64, "a packet's notes fit one cache line");

// Arrays beside the packets, at the same index, so that keys are hashed and found in bulk.
struct sg_burst {
	uint64_t generation; // of the snapshot that judges it
	unsigned n;
	unsigned n_misses; // packets that lookup left unsettled without a flow
	unsigned n_ipv6;   // packets of SG_CLASS_FLOW6
	struct sg_pkt pkts[SG_BURST];
	struct sg_tuple tuples[SG_BURST]; // all zero for what is neither FLOW nor FLOW6
	uint64_t hashes[SG_BURST];
};

static inline bool sg_pkt_is_ipv6(const struct sg_pkt *pkt)
{
	return pkt->class >= SG_CLASS_FLOW6;
}

// Of an IPv6 packet whose header is whole.
static inline struct sg_ipv6_hdr *sg_pkt_ip6(const struct sg_pkt *pkt)
{
	return (void *)(pkt->bytes + sizeof(struct sg_eth_hdr));
}

// Bytes from `offset` on that lie in one piece.
static inline uint32_t sg_pkt_contiguous(const struct sg_pkt *pkt, uint32_t offset)
{
	uint32_t end =
		pkt->contiguous && pkt->contiguous < pkt->length ? pkt->contiguous : pkt->length;

	return end > offset ? end - offset : 0;
}

static inline void sg_pkt_drop(struct sg_pkt *pkt, enum sg_drop drop)
{
	pkt->verdict = SG_VERDICT_DROP;
	pkt->drop = (uint8_t)drop;
}
