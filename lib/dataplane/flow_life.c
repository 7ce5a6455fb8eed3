// Counting flows in and out, see flow_life.h.
#include "dataplane/flow_life.h"

#include "base/prefetch.h"

static void count(struct sg_pipeline *pipeline, const struct sg_flow *flow, bool begins)
{
	struct sg_counters *totals = pipeline->counters.totals;
	struct sg_traffic *service = &pipeline->counters.services[flow->service_slot];
	struct sg_traffic *backend = &pipeline->counters.backends[flow->backend_slot];
	uint32_t *flows = &pipeline->backend_flows[flow->backend_slot];

	sg_counter_add(begins ? &totals->flows_created : &totals->flows_ended, 1);
	// What a client's backend is takes a record like a flow, but nobody's connection.
	if (flow->state == SG_FLOW_AFFINITY)
		return;
	sg_counter_add(begins ? &service->flows_created : &service->flows_ended, 1);
	sg_counter_add(begins ? &backend->flows_created : &backend->flows_ended, 1);
	__atomic_store_n(flows, begins ? *flows + 1 : *flows - 1, __ATOMIC_RELAXED);
}

void sg_flow_begin(struct sg_pipeline *pipeline, const struct sg_flow *flow)
{
	count(pipeline, flow, true);
}

static void uncount_client(
	struct sg_pipeline *pipeline, const struct sg_flow *flow, sg_flow_ref ref)
{
	if (sg_tuple_is_ipv6(&flow->client))
		sg_limits_count(pipeline, flow,
			sg_flow_table_addresses(pipeline->flows, ref)->client.src, 16, false);
	else
		sg_limits_count(pipeline, flow, (const uint8_t *)&flow->client.src_be, 4, false);
}

static void count_out(struct sg_pipeline *pipeline, const sg_flow_ref *refs, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		sg_prefetch(sg_flow_table_get(pipeline->flows, refs[i]));
	for (unsigned i = 0; i < n; i++) {
		const struct sg_flow *flow = sg_flow_table_get(pipeline->flows, refs[i]);

		count(pipeline, flow, false);
		if (__builtin_expect(flow->limited, 0))
			uncount_client(pipeline, flow, refs[i]);
	}
}

void sg_flow_end_bulk(struct sg_pipeline *pipeline, const sg_flow_ref *refs, unsigned n)
{
	count_out(pipeline, refs, n);
	sg_flow_table_remove_bulk(pipeline->flows, refs, n);
}

void sg_flow_make_room(struct sg_pipeline *pipeline, unsigned n_more)
{
	uint32_t over = sg_flow_table_embryos_over(pipeline->flows, n_more);
	sg_flow_ref refs[SG_BURST];
	unsigned n;

	if (over == 0)
		return;
	n = sg_flow_table_oldest_embryos(pipeline->flows, refs, over < SG_BURST ? over : SG_BURST);
	sg_counter_add(&pipeline->counters.totals->embryos_recycled, n);
	count_out(pipeline, refs, n);
	sg_flow_table_recycle_bulk(pipeline->flows, refs, n);
}

void sg_flow_release_client(struct sg_pipeline *pipeline, struct sg_pkt *pkt)
{
	// Where no answers come through us, nobody would be left to find the flow.
	if (sg_flow_table_get(pipeline->flows, pkt->ref)->one_way)
		sg_flow_end_bulk(pipeline, &pkt->ref, 1);
	else
		sg_flow_table_release_client(pipeline->flows, pkt->ref);
	pkt->ref = 0;
}
