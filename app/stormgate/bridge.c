// The data plane as control sees it, see bridge.h.
#include "bridge.h"

#include <errno.h>

#include "base/clock.h"
#include "dataplane/publish.h"
#include "dataplane/worker.h"

static uint64_t publish(void *context, const struct sg_snapshot *snapshot)
{
	const struct sg_bridge *bridge = context;

	return sg_publish_set(bridge->dataplane->publish, snapshot);
}

static bool passed(void *context, uint64_t token, unsigned *ret_late_worker)
{
	const struct sg_bridge *bridge = context;

	return sg_publish_passed(bridge->dataplane->publish, token, ret_late_worker);
}

static bool next_wish(void *context, struct sg_wish *ret_wish)
{
	struct sg_bridge *bridge = context;
	unsigned n = bridge->dataplane->n_workers;

	for (unsigned tried = 0; tried < n; tried++) {
		struct sg_worker *worker = bridge->dataplane->workers[bridge->next_wisher];

		if (sg_wishes_take(worker->pipeline->wishes, ret_wish))
			return true;
		bridge->next_wisher = (bridge->next_wisher + 1) % n;
	}
	return false;
}

static void note_mtu(void *context, const struct sg_addr *addr, uint16_t mtu)
{
	struct sg_bridge *bridge = context;
	const struct sg_snapshot *snapshot = sg_publish_get(bridge->dataplane->publish);

	sg_tunnels_note(
		&bridge->dataplane->tunnels, snapshot, addr, mtu, sg_ticks_from_ms(sg_clock_ms()));
}

static uint32_t backend_flows(void *context, uint32_t slot)
{
	const struct sg_bridge *bridge = context;
	uint32_t sum = 0;

	for (unsigned i = 0; i < bridge->dataplane->n_workers; i++)
		sum += __atomic_load_n(
			&bridge->dataplane->workers[i]->pipeline->backend_flows[slot],
			__ATOMIC_RELAXED);
	return sum;
}

static int explain(void *context, const struct sg_snapshot *snapshot,
	const struct sg_question *question, struct sg_explanation *ret_explanation,
	struct sg_error *error)
{
	struct sg_bridge *bridge = context;

	if (!bridge->explainer)
		bridge->explainer =
			sg_explainer_create(bridge->pipelines, bridge->dataplane->n_workers, error);
	if (!bridge->explainer)
		return -ENOMEM;
	sg_explain(bridge->explainer, snapshot, question, ret_explanation);
	return 0;
}

void sg_bridge_init(struct sg_bridge *bridge, struct sg_dataplane *dataplane,
	struct sg_publisher *ret_publisher)
{
	*bridge = (struct sg_bridge){.dataplane = dataplane};
	for (unsigned i = 0; i < dataplane->n_workers; i++)
		bridge->pipelines[i] = dataplane->workers[i]->pipeline;
	for (unsigned i = 0; i < dataplane->n_workers; i++)
		bridge->flows[i] = bridge->pipelines[i]->flows;
	*ret_publisher = (struct sg_publisher){
		.dataplane = bridge,
		.n_workers = dataplane->n_workers,
		.counters = dataplane->counters,
		.flows = bridge->flows,
		.publish = publish,
		.passed = passed,
		.next_wish = next_wish,
		.note_mtu = note_mtu,
		.backend_flows = backend_flows,
		.explain = explain,
	};
}

void sg_bridge_fini(struct sg_bridge *bridge)
{
	sg_explainer_destroy(bridge->explainer);
	bridge->explainer = NULL;
}
