// Flows that are in no table, see stateless.h.
#include "dataplane/stateless.h"

#include <string.h>

#include "dataplane/pick.h"
#include "dataplane/rewrite.h"
#include "dataplane/source.h"

static const struct sg_service *find_service(const struct sg_snapshot *snapshot,
	const struct sg_tuple *client, const struct sg_pair6 *pair)
{
	return pair ? sg_snapshot_find_service6(
			      snapshot, pair->dst, client->dport_be, client->proto)
		    : sg_snapshot_find_service4(
			      snapshot, client->dst_be, client->dport_be, client->proto);
}

static bool may_use(const struct sg_snapshot *snapshot, const struct sg_service *service,
	const struct sg_tuple *client, const struct sg_pair6 *pair)
{
	enum sg_drop refused =
		pair ? sg_source_judge6(snapshot->policy, service->policy, pair->src)
		     : sg_source_judge4(snapshot->policy, service->policy, client->src_be);

	return refused == SG_DROP_NONE;
}

bool sg_stateless_flow(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot,
	const struct sg_tuple *client, const struct sg_pair6 *pair, struct sg_flow *ret_flow,
	struct sg_flow_addresses *ret_addresses)
{
	const struct sg_service *service = find_service(snapshot, client, pair);
	struct sg_tuple key = *client;
	const struct sg_backend *backend;
	uint32_t slot;

	if (!service || !sg_service_is_stateless(service) ||
		!may_use(snapshot, service, client, pair))
		return false;
	if (pair)
		sg_flow_table_key6(pipeline->flows, pair, &key);
	slot = sg_pick_backend(pipeline, snapshot, service, &key, pair);
	if (slot == SG_PICK_NONE)
		return false;
	backend = sg_snapshot_backend(snapshot, slot);
	if (!sg_snapshot_may_reach(snapshot, &backend->addr))
		return false;
	*ret_flow = (struct sg_flow){
		.client = key,
		.server = {.src_be = backend->addr4_be,
			.dst_be = client->src_be,
			.sport_be = backend->port_be,
			.dport_be = client->sport_be,
			.proto = client->proto,
			.domain = pipeline->domains[backend->route_port]},
		.backend_slot = slot,
		.service_slot = service->slot,
		.backend_generation = backend->generation,
		.mode = service->forward,
		.one_way = service->forward >= SG_FORWARD_DSR,
	};
	if (!pair) {
		sg_rewrite_note_deltas(ret_flow);
		return true;
	}
	ret_addresses->client = *pair;
	memcpy(ret_addresses->server.src, backend->addr.bytes, 16);
	memcpy(ret_addresses->server.dst, pair->src, 16);
	sg_rewrite_note_deltas6(ret_flow, ret_addresses);
	return true;
}
