// admit: decides whether a miss may start a flow: a declared service, an allowed source, a first
// segment.
#include "dataplane/pipeline.h"

#include "dataplane/answer.h"
#include "dataplane/loss.h"
#include "dataplane/source.h"
#include "net/headers.h"

// What is asked of a packet's own addresses. `is_ipv6` is a constant wherever this is called, so
// that each family asks about itself alone.
static inline enum sg_drop judge_source(const struct sg_snapshot *snapshot,
	const struct sg_service *service, const struct sg_pkt *pkt, const struct sg_tuple *tuple,
	const bool is_ipv6)
{
	return is_ipv6 ? sg_source_judge6(
				 snapshot->policy, service->policy, sg_pkt_ip6(pkt)->pair.src)
		       : sg_source_judge4(snapshot->policy, service->policy, tuple->src_be);
}

static inline const struct sg_service *find_service(const struct sg_snapshot *snapshot,
	const struct sg_pkt *pkt, const struct sg_tuple *tuple, const bool is_ipv6)
{
	return is_ipv6 ? sg_snapshot_find_service6(
				 snapshot, sg_pkt_ip6(pkt)->pair.dst, tuple->dport_be, tuple->proto)
		       : sg_snapshot_find_service4(
				 snapshot, tuple->dst_be, tuple->dport_be, tuple->proto);
}

// SG_ADDRESS_ bits of where it is sent to.
static inline uint32_t find_address(const struct sg_snapshot *snapshot, const struct sg_pkt *pkt,
	const struct sg_tuple *tuple, const bool is_ipv6)
{
	return is_ipv6 ? sg_snapshot_address6(snapshot, sg_pkt_ip6(pkt)->pair.dst)
		       : sg_snapshot_address4(snapshot, tuple->dst_be);
}

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

// On a dry run: what was found at the door, and what the policies said.
static void note(
	struct sg_explanation *trace, const struct sg_service *service, enum sg_drop refused)
{
	trace->asked_service = true;
	trace->service_slot = service ? service->slot : UINT32_MAX;
	trace->refused = refused;
}

static inline __attribute__((always_inline)) void admit(struct sg_pipeline *pipeline,
	const struct sg_snapshot *snapshot, struct sg_pkt *pkt, const struct sg_tuple *tuple,
	const bool is_ipv6)
{
	const struct sg_service *service = find_service(snapshot, pkt, tuple, is_ipv6);
	enum sg_drop refused;

	if (!service) {
		if (pipeline->trace)
			note(pipeline->trace, NULL, SG_DROP_NONE);
		if (!(find_address(snapshot, pkt, tuple, is_ipv6) & SG_ADDRESS_VIP))
			return refuse_stray(pipeline, pkt, tuple->proto, SG_DROP_REPLY_NO_FLOW);
		if (snapshot->unserved == SG_UNSERVED_REJECT)
			return sg_answer_refusal(
				pipeline, pkt, tuple->proto, SG_DROP_UNSERVED_PORT);
		return sg_pkt_drop(pkt, SG_DROP_UNSERVED_PORT);
	}
	refused = judge_source(snapshot, service, pkt, tuple, is_ipv6);
	if (pipeline->trace)
		note(pipeline->trace, service, refused);
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
	// On its way to ask for its client's backend, and back, it has been counted already.
	if (__builtin_expect(service->limited, 0) && !(pkt->flags & (SG_PKT_ASKS | SG_PKT_TOLD))) {
		refused = sg_limits_rate(pipeline, service,
			is_ipv6 ? sg_pkt_ip6(pkt)->pair.src : (const uint8_t *)&tuple->src_be,
			is_ipv6 ? 16 : 4);
		if (refused) {
			sg_pkt_drop(pkt, refused);
			return sg_loss_of_service(pipeline, service->slot, pkt);
		}
	}
	pkt->service = service;
}

static __attribute__((noinline)) void admit6(struct sg_pipeline *pipeline,
	const struct sg_snapshot *snapshot, struct sg_pkt *pkt, const struct sg_tuple *tuple)
{
	admit(pipeline, snapshot, pkt, tuple, true);
}

void sg_stage_admit(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_burst *burst)
{
	for (unsigned i = 0; i < burst->n; i++) {
		struct sg_pkt *pkt = &burst->pkts[i];

		if (pkt->verdict || pkt->ref)
			continue;
		if (__builtin_expect(sg_pkt_is_ipv6(pkt), 0))
			admit6(pipeline, snapshot, pkt, &burst->tuples[i]);
		else
			admit(pipeline, snapshot, pkt, &burst->tuples[i], false);
	}
}
