// Both ends of a flow, see peer.h.
#include "peer.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct peer meet(struct rig *rig, uint8_t proto, uint16_t sport, uint16_t dport)
{
	return (struct peer){.rig = rig,
		.client = {
			.src = CLIENT, .dst = VIP, .sport = sport, .dport = dport, .proto = proto}};
}

void peer_note_forwarded(struct peer *peer)
{
	const struct sg_tcp_hdr *ports = frame_l4(&peer->rig->out);
	struct sg_addr src = frame_src(&peer->rig->out), dst = frame_dst(&peer->rig->out);

	peer->pod = (struct ipv4_text){.src = test_text(&dst),
		.dst = test_text(&src),
		.proto = peer->client.proto,
		.sport = ntohs(ports->dport_be),
		.dport = ntohs(ports->sport_be)};
}

const struct sg_pkt *client_sends(
	struct peer *peer, uint8_t flags, uint32_t seq, uint32_t ack, uint16_t payload)
{
	struct frame frame;
	const struct sg_pkt *pkt;

	peer->client.flags = flags;
	peer->client.seq = seq;
	peer->client.ack = ack;
	peer->client.payload = payload;
	frame_packet(&frame, port_macs[0], client_mac, &peer->client);
	pkt = rig_run(peer->rig, 0, 0, 0, &frame);
	if (pkt->verdict == SG_VERDICT_FORWARD)
		peer_note_forwarded(peer);
	return pkt;
}

const struct sg_pkt *pod_sends(
	struct peer *peer, uint8_t flags, uint32_t seq, uint32_t ack, uint16_t payload)
{
	struct frame frame;

	peer->pod.flags = flags;
	peer->pod.seq = seq;
	peer->pod.ack = ack;
	peer->pod.payload = payload;
	frame_packet(&frame, port_macs[1], pod_mac, &peer->pod);
	return rig_run(peer->rig, 0, 1, 0, &frame);
}

void expect(const struct sg_pkt *pkt, enum sg_verdict verdict)
{
	if (pkt->verdict != verdict)
		fail_msg("verdict %d, expected %d; drop %s", pkt->verdict, verdict,
			pkt->verdict == SG_VERDICT_DROP ? sg_drop_name(pkt->drop) : "-");
}

void expect_drop(const struct sg_pkt *pkt, enum sg_drop drop)
{
	expect(pkt, SG_VERDICT_DROP);
	assert_string_equal(sg_drop_name(pkt->drop), sg_drop_name(drop));
}

void establish(struct peer *peer)
{
	expect(client_sends(peer, SG_TCP_SYN, 100, 0, 0), SG_VERDICT_FORWARD);
	expect(pod_sends(peer, SG_TCP_SYN | SG_TCP_ACK, 500, 101, 0), SG_VERDICT_FORWARD);
	expect(client_sends(peer, SG_TCP_ACK, 101, 501, 0), SG_VERDICT_FORWARD);
}

void close_both_sides(struct peer *peer)
{
	expect(client_sends(peer, SG_TCP_FIN | SG_TCP_ACK, 101, 501, 0), SG_VERDICT_FORWARD);
	expect(pod_sends(peer, SG_TCP_FIN | SG_TCP_ACK, 501, 102, 0), SG_VERDICT_FORWARD);
	expect(client_sends(peer, SG_TCP_ACK, 102, 502, 0), SG_VERDICT_FORWARD);
}

void expect_src(struct rig *rig, const char *src)
{
	struct sg_addr addr = frame_src(&rig->out);

	assert_true(test_addr_is(&addr, src));
}

void expect_dst(struct rig *rig, const char *dst)
{
	struct sg_addr addr = frame_dst(&rig->out);

	assert_true(test_addr_is(&addr, dst));
}

void expect_addresses(struct rig *rig, const char *src, const char *dst, const uint8_t dst_mac[6])
{
	expect_src(rig, src);
	expect_dst(rig, dst);
	assert_memory_equal(rig->out.bytes, dst_mac, 6);
	assert_true(frame_checksums_hold(rig->out.bytes, rig->out.length));
	assert_int_equal(*frame_ttl(&rig->out), 63);
}
