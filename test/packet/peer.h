// A client and the pod that its flow reached: both ends of a connection, one packet after the
// other.
#pragma once

#include "rig.h"

struct peer {
	struct rig *rig;
	struct ipv4_text client; // as the client sends, towards the VIP on port 0
	struct ipv4_text pod;    // as the pod answers; known once a packet was forwarded to it
};

struct peer meet(struct rig *rig, uint8_t proto, uint16_t sport, uint16_t dport);
// After the client's packet was forwarded: whoever got it answers to whom it came from.
void peer_note_forwarded(struct peer *peer);
const struct sg_pkt *client_sends(
	struct peer *peer, uint8_t flags, uint32_t seq, uint32_t ack, uint16_t payload);
const struct sg_pkt *pod_sends(
	struct peer *peer, uint8_t flags, uint32_t seq, uint32_t ack, uint16_t payload);
// Handshake with the client's ISN 100 and the server's 500; and the end of a connection on which
// nothing was sent.
void establish(struct peer *peer);
void close_both_sides(struct peer *peer);

void expect(const struct sg_pkt *pkt, enum sg_verdict verdict);
void expect_drop(const struct sg_pkt *pkt, enum sg_drop drop);
// Of the packet that was run last: addresses, next hop, right checksums, and a TTL of one less than
// frames start with.
void expect_src(struct rig *rig, const char *src);
void expect_dst(struct rig *rig, const char *dst);
void expect_addresses(struct rig *rig, const char *src, const char *dst, const uint8_t dst_mac[6]);
