// What would happen to a packet: a dry run of the stages in the control thread.
//
// A scratch pipeline is made to look like the worker that would judge the packet: it takes over
// that worker's settings, clock, turns, loads and limits, and gets a copy of the flow that the
// packet belongs to, if there is one. Then the stages run on it, from parse to rewrite, and note
// their reasons in pipeline->trace. What they count, learn, wish and start stays in the scratch
// pipeline. Where a choice depends on what is taken (SNAT ports, affinities, room for a flow) the
// worker's own table is asked, without writing to it.
//
// The worker goes on meanwhile: each word that is read of it is whole, but they are not of one
// instant. Where the flow table is full of embryos, the one that would make room still counts in
// the limits of its service and client. Whatever cannot be told apart from a packet that was sent
// in that moment is told right.
//
// Control thread only, which is also who frees snapshots. Nothing here sees DPDK.
#pragma once

#include "base/error.h"
#include "dataplane/pipeline.h"
#include "service/explanation.h"

struct sg_explainer;

// `pipelines` are the workers'; they must outlive it. NULL with a sentence on failure.
struct sg_explainer *sg_explainer_create(
	struct sg_pipeline *const *pipelines, unsigned n_workers, struct sg_error *error);
void sg_explainer_destroy(struct sg_explainer *explainer); // NULL is fine

void sg_explain(struct sg_explainer *explainer, const struct sg_snapshot *snapshot,
	const struct sg_question *question, struct sg_explanation *ret_explanation);
