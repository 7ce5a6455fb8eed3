// Where control meets the data plane: the data plane's side of control/publisher.h.
#pragma once

#include "control/publisher.h"
#include "dataplane/dataplane.h"
#include "dataplane/explain.h"

struct sg_bridge {
	struct sg_dataplane *dataplane;
	struct sg_flow_table *flows[SG_MAX_WORKERS];
	struct sg_pipeline *pipelines[SG_MAX_WORKERS];
	struct sg_explainer *explainer; // NULL until something was to be explained
	unsigned next_wisher;           // wishes are taken from one worker after the other
};

// Says in `ret_publisher` what control needs, in terms of `dataplane`; both it and `bridge` must
// outlive the publisher. After the workers are open.
void sg_bridge_init(struct sg_bridge *bridge, struct sg_dataplane *dataplane,
	struct sg_publisher *ret_publisher);
void sg_bridge_fini(struct sg_bridge *bridge);
