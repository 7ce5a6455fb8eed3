// admit: decides whether a miss may start a flow: a declared service, an allowed source, a first
// segment.
#include "dataplane/pipeline.h"

#include "dataplane/answer.h"
#include "dataplane/loss.h"
#include "dataplane/source.h"
#include "net/headers.h"

static bool starts_connection(const struct sg_pkt *pkt)
{
	const struct sg_tcp_hdr *tcp = (const void *)(pkt->bytes + pkt->l4_offset);

	return (tcp->flags & (SG_TCP_SYN | SG_TCP_ACK | SG_TCP_RST | SG_TCP_FIN)) == SG_TCP_SYN;
}

// A segment or datagram without a flow: TCP gets a RST, so that its sender recovers at once.
static void refuse_stray(
	struct sg_pipeline *pipeline, struct sg_pkt *pkt, uint8_t protocol, enum sg_drop drop)
{
	if (protocol == SG_PROTO_TCP)
		sg_answer_reset(pipeline, pkt, drop, SG_DROP_ANSWER_LIMIT);
	else
		sg_pkt_drop(pkt, drop);
}

static void admit(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, const struct sg_tuple *tuple)
{
	const struct sg_service *service =
		sg_snapshot_find_service4(snapshot, tuple->dst_be, tuple->dport_be, tuple->proto);
	enum sg_drop refused;

	if (!service) {
		if (!(sg_snapshot_address4(snapshot, tuple->dst_be) & SG_ADDRESS_VIP))
			return refuse_stray(pipeline, pkt, tuple->proto, SG_DROP_REPLY_NO_FLOW);
		if (snapshot->unserved == SG_UNSERVED_REJECT)
			return sg_answer_refusal(pipeline, pkt, SG_DROP_UNSERVED_PORT);
		return sg_pkt_drop(pkt, SG_DROP_UNSERVED_PORT);
	}
	refused = sg_source_judge4(snapshot->policy, service->policy, tuple->src_be);
	if (refused) {
		sg_pkt_drop(pkt, refused);
		return sg_loss_of_service(pipeline, service->slot, pkt);
	}
	if (tuple->proto == SG_PROTO_TCP && !starts_connection(pkt)) {
		if (sg_service_is_stateless(service)) {
			pkt->service = service;
			pkt->stateless = true;
			return;
		}
		refuse_stray(pipeline, pkt, tuple->proto, SG_DROP_NO_FLOW);
		return sg_loss_of_service(pipeline, service->slot, pkt);
	}
	pkt->service = service;
}

void sg_stage_admit(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_burst *burst)
{
	for (unsigned i = 0; i < burst->n; i++) {
		struct sg_pkt *pkt = &burst->pkts[i];

		if (pkt->verdict || pkt->ref)
			continue;
		admit(pipeline, snapshot, pkt, &burst->tuples[i]);
	}
}
