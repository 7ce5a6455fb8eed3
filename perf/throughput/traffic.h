// The generator's packets: many clients on one side, backends that turn packets round on the other,
// both behind one port, in one thread that never blocks.
//
// A client's packet goes to the device under test, comes back for a backend (leg 0), is turned
// round in place, goes to the device again and comes back for the client (leg 1), which reads from
// it when it was sent. A device that only sends packets back (testpmd's macswap) gets the very same
// packets and the generator does the very same work for them, so that both are measured alike.
//
// Every frame is 60 bytes (64 with the check sequence): Ethernet, IPv4, TCP and six bytes of
// payload: when it was sent, or its flow's number (4), its leg (1), a mark (1).
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_mempool.h>

#include "latency.h"

#define SG_TRAFFIC_BURST   32
#define SG_TRAFFIC_PENDING 8192 // packets that the ring to the device had no room for

enum sg_traffic_leg {
	SG_LEG_TO_BACKEND = 0,
	SG_LEG_TO_CLIENT = 1,
	SG_LEG_SYN = 2, // the handshake: flow's number instead of time
	SG_LEG_SYN_ACK = 3,
	SG_LEG_ACK = 4,
	SG_LEG_COUNT
};

struct sg_traffic_options {
	uint32_t flows;
	bool gateway; // the device rewrites addresses and wants handshakes
	uint8_t gateway_mac[6];
	uint8_t mac[6];        // ours
	uint32_t vip_be;       // served at port 80
	uint16_t backend_port; // what comes for it was for a backend
};

// A rig on a shared machine is interrupted: its CPUs are taken away for milliseconds. What the
// generator sees of that is taken out of the figures. A turn of its own that began STALL_US late is
// a stall; so is silence of the device for SILENCE_US with packets under way. Round trips that
// either fell into are left out, and the rate is that of the undisturbed milliseconds.
//
// Nothing is lost for that reason: at most SG_TRAFFIC_WINDOW packets are under way, fewer than
// either ring takes, so that whoever stands still finds them afterwards.
#define SG_TRAFFIC_STALL_US   30
#define SG_TRAFFIC_SILENCE_US 200
#define SG_TRAFFIC_WINDOW     768
#define SG_TRAFFIC_RING_LOG2  10

// What one phase has seen.
struct sg_traffic_counts {
	uint64_t sent;      // taken by the ring to the device, on either leg
	uint64_t received;  // likewise
	uint64_t wrong;     // came to the wrong side
	uint64_t strays;    // not ours: ARP, RST
	uint64_t turns;     // of the loop
	uint64_t held_back; // turns that could have sent, had the device taken what was sent before
	uint64_t stalls;    // ours
	uint64_t stall_max; // ticks
	uint64_t silences;  // the device's
	uint64_t silence_max; // ticks
	uint64_t left_out;    // round trips
	uint64_t behind;      // packets that were due at the end and that the device had not taken
	uint64_t clean_ms, clean_received; // undisturbed milliseconds, and what came back in them
	struct sg_latency latency;
};

struct sg_traffic {
	struct sg_traffic_options options;
	uint16_t port; // DPDK's
	struct rte_mempool *mempool;
	uint64_t random;
	uint64_t us; // ticks
	uint8_t template[64];
	uint64_t ip_sum, tcp_sum; // of what is the same in all clients' packets
	struct sg_traffic_counts counts;
	uint8_t *established; // [flows] 1: its handshake is complete
	uint32_t n_established;

	uint64_t start_tsc;   // of the phase
	uint64_t turn_tsc;    // when the last turn began
	uint64_t heard_tsc;   // when the device last gave us a packet, or had none of ours
	uint32_t stall_stamp; // packets sent before it were under way during a stall or a silence
	uint64_t forgiven;    // packets that are not under way any more, but lost
	struct {
		uint64_t end_tsc, received; // the millisecond that runs
		bool disturbed;
	} ms;
	uint64_t next_due;    // since the start, in ticks / 2^16: when the next client sends
	uint64_t interval;    // between two, likewise; 0: as many as the ring takes
	unsigned first, last; // of `pending`, [first, last)
	struct rte_mbuf *pending[SG_TRAFFIC_PENDING];
};

#define SG_STAMP_SHIFT 4 // a stamp is the time-stamp counter without its lowest bits

void sg_traffic_init(struct sg_traffic *traffic, const struct sg_traffic_options *options,
	uint16_t port, struct rte_mempool *mempool);

// Opens all flows, each with a handshake. False when some stay unopened after several tries.
bool sg_traffic_establish(struct sg_traffic *traffic);

// Sends clients' packets for so long, `packets_per_second` of them (0: as many as go), then waits
// until nothing comes back any more. `counts` has what was seen. Returns how many packets a second
// the device forwarded while nothing disturbed.
double sg_traffic_run(struct sg_traffic *traffic, double seconds, double packets_per_second);
