// admit: decides whether a miss may start a flow: a declared service, an allowed source, a first
// segment.
//
// Where policies have a say the packets wait, so that all sources are asked about together.
#include "dataplane/pipeline.h"

#include "dataplane/answer.h"
#include "dataplane/loss.h"
#include "dataplane/source.h"
#include "net/headers.h"

static_assert(SG_BURST <= SG_MAX_SOURCES, "a burst's sources are asked about together");

// What is asked of a packet's own addresses. `is_ipv6` is a constant wherever this is called, so
// that each family asks about itself alone.
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

// What only a backend sends: where none may be, nobody is told.
static void refuse_reply(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	struct sg_pkt *pkt, uint8_t protocol)
{
	if (sg_source_may_be_reached(snapshot, pkt))
		refuse_stray(pipeline, pkt, protocol, SG_DROP_REPLY_NO_FLOW);
	else
		sg_pkt_drop(pkt, SG_DROP_REPLY_NO_FLOW);
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
	enum sg_drop refused, const bool is_ipv6)
{
	const struct sg_service *service = pkt->service;

	if (!service) {
		if (pipeline->trace)
			note(pipeline->trace, NULL, SG_DROP_NONE);
		if (!(find_address(snapshot, pkt, tuple, is_ipv6) & SG_ADDRESS_VIP))
			return refuse_reply(pipeline, snapshot, pkt, tuple->proto);
		if (snapshot->unserved == SG_UNSERVED_REJECT)
			return sg_answer_refusal(
				pipeline, pkt, tuple->proto, SG_DROP_UNSERVED_PORT);
		return sg_pkt_drop(pkt, SG_DROP_UNSERVED_PORT);
	}
	if (pipeline->trace)
		note(pipeline->trace, service, refused);
	if (refused) {
		sg_pkt_drop(pkt, refused);
		return sg_loss_of_service(pipeline, service->slot, pkt);
	}
	if (tuple->proto == SG_PROTO_TCP && !starts_connection(pkt)) {
		if (sg_service_is_stateless(service)) {
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
}

static __attribute__((noinline)) void admit6(struct sg_pipeline *pipeline,
	const struct sg_snapshot *snapshot, struct sg_pkt *pkt, const struct sg_tuple *tuple,
	enum sg_drop refused)
{
	admit(pipeline, snapshot, pkt, tuple, refused, true);
}

// The packets of a burst whose sources some policy says something of.
struct asked {
	unsigned n;
	uint8_t at[SG_BURST]; // in the burst
	struct sg_source sources[SG_BURST];
};

// Finds the packet's service, and lets it in at once unless its source is to be asked about.
static inline __attribute__((always_inline)) void meet(struct sg_pipeline *pipeline,
	const struct sg_snapshot *snapshot, struct sg_burst *burst, unsigned at,
	struct asked *asked, const bool is_ipv6)
{
	struct sg_pkt *pkt = &burst->pkts[at];
	const struct sg_tuple *tuple = &burst->tuples[at];
	const struct sg_service *service = find_service(snapshot, pkt, tuple, is_ipv6);

	pkt->service = service;
	if (!service || (!snapshot->policy && !service->policy))
		return admit(pipeline, snapshot, pkt, tuple, SG_DROP_NONE, is_ipv6);
	asked->at[asked->n] = (uint8_t)at;
	asked->sources[asked->n++] = (struct sg_source){
		.own = service->policy,
		.addr = is_ipv6 ? sg_pkt_ip6(pkt)->pair.src : (const uint8_t *)&tuple->src_be,
		.is_ipv6 = is_ipv6,
	};
}

static __attribute__((noinline)) void meet6(struct sg_pipeline *pipeline,
	const struct sg_snapshot *snapshot, struct sg_burst *burst, unsigned at,
	struct asked *asked)
{
	meet(pipeline, snapshot, burst, at, asked, true);
}

static __attribute__((noinline)) void admit_asked(struct sg_pipeline *pipeline,
	const struct sg_snapshot *snapshot, struct sg_burst *burst, const struct asked *asked)
{
	uint8_t drops[SG_BURST];

	sg_source_judge_bulk(snapshot->policy, asked->sources, asked->n, drops);
	for (unsigned i = 0; i < asked->n; i++) {
		struct sg_pkt *pkt = &burst->pkts[asked->at[i]];
		const struct sg_tuple *tuple = &burst->tuples[asked->at[i]];

		if (__builtin_expect(sg_pkt_is_ipv6(pkt), 0))
			admit6(pipeline, snapshot, pkt, tuple, (enum sg_drop)drops[i]);
		else
			admit(pipeline, snapshot, pkt, tuple, (enum sg_drop)drops[i], false);
	}
}

void sg_stage_admit(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_burst *burst)
{
	struct asked asked;

	asked.n = 0;
	for (unsigned i = 0; i < burst->n; i++) {
		const struct sg_pkt *pkt = &burst->pkts[i];

		if (pkt->verdict || pkt->ref)
			continue;
		if (__builtin_expect(sg_pkt_is_ipv6(pkt), 0))
			meet6(pipeline, snapshot, burst, i, &asked);
		else
			meet(pipeline, snapshot, burst, i, &asked, false);
	}
	if (asked.n > 0)
		admit_asked(pipeline, snapshot, burst, &asked);
}
