// A worker between two ports of rings, fed and emptied by hand: what rx, tx and all between them
// make of buffers. Starts EAL.
//
// Services of the rig in modes snat, dnat, dsr and ipip are on the VIP's UDP ports 1 to 4, each
// with POD as its backend, on the same port. All ports have MTU 9000 at the start of a story; port
// 2 is VLAN RIG_VLAN of port 0.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/worker.h"
#include "rig.h"

#define WIRE_SLOTS     512 // frames that a port can hold in each direction
#define WIRE_MAX_BYTES 70000

// A datagram of a test, from its Ethernet header on.
struct datagram {
	uint8_t bytes[WIRE_MAX_BYTES];
	uint32_t length;
	uint16_t vlan; // that it left with; 0: none
};

extern struct sg_dataplane dataplane;
extern struct sg_worker worker;
extern struct rig rig;

// For the group, and for each story; cmocka's.
int wire_start_eal(void **unused);
int wire_stop_eal(void **unused);
int wire_open(void **unused);
int wire_close(void **unused); // also checks the accounts

uint32_t wire_below(uint32_t n); // random, the same in every run
void wire_set_mtu(unsigned port, uint16_t mtu);

// Datagrams.
struct sg_ipv4_hdr *wire_ip(struct datagram *datagram);
void wire_fix_ip_checksum(struct sg_ipv4_hdr *ip);
bool wire_checksums_hold(struct datagram *datagram);
// UDP from port 4000, or an ICMP echo, with random payload; as a client (port 0) or the pod (1)
// sends it.
void wire_write_datagram(struct datagram *datagram, const char *src, const char *dst,
	uint16_t dport, uint8_t proto, uint32_t payload, unsigned port);

// Buffers: a chain whose pieces are of `piece` bytes, or of any length with 0.
struct rte_mbuf *wire_to_chain(const uint8_t *bytes, uint32_t length, uint32_t piece);
// The fragments of a datagram, each in one piece or not. Returns how many.
unsigned wire_cut(struct datagram *datagram, uint32_t mtu, struct rte_mbuf **ret_parts);
void wire_shuffle(struct rte_mbuf **parts, unsigned n);
void wire_notify_congestion(struct rte_mbuf *part);

// In, through, out.
void wire_receive(unsigned port, struct rte_mbuf *mbuf);
void wire_turn(void);
// The next frame that left by a port, within its MTU. False: none.
bool wire_next(unsigned port, struct datagram *ret_frame);
// What left by a port: one frame, or the fragments of one datagram in order, put together. Returns
// how many frames it was. Each was within the MTU, whole, and in no more pieces than the port
// takes.
unsigned wire_sent(unsigned port, struct datagram *ret_datagram);
unsigned wire_waiting(unsigned port); // frames that left by it and were not looked at

// Every packet and every buffer is somewhere.
void wire_expect_accounts(void);
// What the mode of a service (1 to 4) makes of a client's datagram: the payload is the same, behind
// the addresses of the mode.
void wire_expect_carried(struct datagram *client, struct datagram *got, uint16_t service);
