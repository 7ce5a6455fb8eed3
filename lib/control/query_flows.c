// `flows`: a list of what is in the workers' tables, see query.h.
//
// Tables are read from the control thread while workers write them: a record is copied if it held
// still (flow/table.h), so a list is not of one instant, and misses a flow now and then, never
// shows half of one. It is written in steps (listing.h).
#include <arpa/inet.h>
#include <errno.h>

#include "base/clock.h"
#include "control/control_internal.h"
#include "control/json_reader.h"
#include "control/query.h"
#include "net/headers.h"
#include "service/validate_service.h"

#define DEFAULT_LIMIT    100
#define MAX_LIMIT        100000 // about 25 MB of text
#define RECORDS_PER_STEP 512
#define FLOWS_PER_STEP   16

struct dump_params {
	char service[SG_MAX_NAME_BYTES];
	uint32_t limit;
};

// clang-format off
#define PARAM(field) .offset = offsetof(struct dump_params, field)
static const struct sg_json_member dump_members[] = {
	SG_JSON_MEMBER("service", sg_json_read_string, PARAM(service), .max = SG_MAX_NAME_BYTES),
	SG_JSON_MEMBER("limit", sg_json_read_u32, PARAM(limit), .min = 1, .max = MAX_LIMIT),
	SG_JSON_END,
};

static const char *const state_names[SG_FLOW_STATE_COUNT] = {
	[SG_FLOW_FREE] = "free",
	[SG_FLOW_TCP_SYN] = "syn",
	[SG_FLOW_TCP_SYN_ACK] = "syn_ack",
	[SG_FLOW_TCP_ESTABLISHED] = "established",
	[SG_FLOW_TCP_HALF_CLOSED] = "half_closed",
	[SG_FLOW_TCP_CLOSING] = "closing",
	[SG_FLOW_TCP_CLOSED] = "closed",
	[SG_FLOW_UDP_NEW] = "new",
	[SG_FLOW_UDP_REPLIED] = "replied",
	[SG_FLOW_UDP] = "udp",
	[SG_FLOW_UDP_RELEASED] = "released",
};
// clang-format on

const char *sg_flow_state_name(uint8_t state)
{
	return state < SG_FLOW_STATE_COUNT && state_names[state] ? state_names[state] : "?";
}

// The slot of the service that is asked for, deleted ones that still drain included.
static int find_slot(const struct sg_control *control, const char *service, uint32_t *ret_slot,
	struct sg_error *error)
{
	*ret_slot = UINT32_MAX;
	if (!service[0])
		return 0;
	*ret_slot = sg_compiler_find_service_slot(sg_rollout_compiler(control->rollout), service);
	if (*ret_slot == UINT32_MAX)
		return sg_error_set(
			error, -ENOENT, "no service is named '%s'; see \"service list\"", service);
	return 0;
}

static json_t *end_point(const struct sg_addr *addr, uint16_t port_be)
{
	return json_string(sg_endpoint_format(addr, ntohs(port_be)).text);
}

// The addresses of both directions, of whatever family the flow is.
struct flow_ends {
	struct sg_addr client, vip, backend, local;
};

static struct flow_ends ends_of(
	const struct sg_flow *flow, const struct sg_flow_addresses *addresses)
{
	if (sg_tuple_is_ipv6(&flow->client))
		return (struct flow_ends){
			.client = sg_addr_from_ipv6(addresses->client.src),
			.vip = sg_addr_from_ipv6(addresses->client.dst),
			.backend = sg_addr_from_ipv6(addresses->server.src),
			.local = sg_addr_from_ipv6(addresses->server.dst),
		};
	return (struct flow_ends){
		.client = sg_addr_from_ipv4(flow->client.src_be),
		.vip = sg_addr_from_ipv4(flow->client.dst_be),
		.backend = sg_addr_from_ipv4(flow->server.src_be),
		.local = sg_addr_from_ipv4(flow->server.dst_be),
	};
}

// The service's name as of now. A slot that has found another owner since shows that one's.
static const char *service_name(const struct sg_control *control, uint32_t slot)
{
	const struct sg_snapshot *snapshot = sg_rollout_snapshot(control->rollout);

	if (slot >= snapshot->n_service_slots || !snapshot->services[slot])
		return "";
	return snapshot->services[slot]->spec->name;
}

static json_t *flow_to_json(const struct sg_control *control, const struct sg_flow *flow,
	const struct sg_flow_addresses *addresses, unsigned worker)
{
	const struct flow_ends ends = ends_of(flow, addresses);
	uint32_t now_ticks = sg_ticks_from_ms(sg_clock_ms());
	uint32_t idle_ticks = now_ticks - flow->last_seen;

	// Written by a worker whose clock was read a moment later than ours.
	if ((int32_t)idle_ticks < 0)
		idle_ticks = 0;
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:s, s:i, s:i}", "service",
		service_name(control, flow->service_slot), "protocol",
		flow->client.proto == SG_PROTO_UDP ? "udp" : "tcp", "client",
		end_point(&ends.client, flow->client.sport_be), "vip",
		end_point(&ends.vip, flow->client.dport_be), "snat",
		end_point(&ends.local, flow->server.dport_be), "backend",
		end_point(&ends.backend, flow->server.sport_be), "state",
		sg_flow_state_name(flow->state), "idle_s",
		(int)((uint64_t)idle_ticks * SG_TICK_MS / 1000), "worker", (int)worker);
}

// Lists a record, if it is asked for. Returns whether it is listed.
static bool look_at(struct sg_control *control, struct sg_listing *listing,
	const struct sg_flow *flow, const struct sg_flow_addresses *addresses)
{
	if (flow->state == SG_FLOW_AFFINITY)
		return false;
	if (listing->slot != UINT32_MAX && flow->service_slot != listing->slot)
		return false;
	if (listing->left == 0) {
		listing->more = true;
		return false;
	}
	listing->left--;
	sg_listing_separate(listing);
	sg_text_append_json(
		&listing->text, flow_to_json(control, flow, addresses, listing->at_worker));
	return true;
}

// Some records of the table at hand. Returns whether that was the last table.
static bool read_records(struct sg_control *control, struct sg_listing *listing)
{
	unsigned n_flows = 0;

	for (unsigned i = 0; i < RECORDS_PER_STEP && n_flows < FLOWS_PER_STEP; i++) {
		const struct sg_flow_table *table;
		struct sg_flow_addresses addresses;
		struct sg_flow flow;

		if (listing->more || listing->at_worker == control->publisher->n_workers)
			return true;
		table = control->publisher->flows[listing->at_worker];
		if (listing->at_record > sg_flow_table_max(table)) {
			listing->at_worker++;
			listing->at_record = 1;
		} else if (sg_flow_table_read(table, listing->at_record++, &flow, &addresses)) {
			n_flows += look_at(control, listing, &flow, &addresses);
		}
	}
	return false;
}

static bool step_flows(struct sg_control *control, struct sg_listing *listing)
{
	if (listing->at_record == 0) {
		sg_text_append_string(&listing->text, "{\"flows\":[");
		listing->at_record = 1;
	}
	if (!read_records(control, listing))
		return false;
	sg_text_append_format(&listing->text, "],\"more\":%s}", listing->more ? "true" : "false");
	return true;
}

int sg_query_flows(struct sg_control *control, struct sg_call *call, struct sg_error *error)
{
	struct dump_params params = {.limit = DEFAULT_LIMIT};
	struct sg_listing *listing;
	uint32_t slot;
	int err = sg_json_read_members(
		dump_members, call->request.params, true, &params, "flows", error);

	if (!err)
		err = find_slot(control, params.service, &slot, error);
	if (!err)
		err = sg_listing_start(control, call, step_flows, &listing, error);
	if (err)
		return err;
	listing->slot = slot;
	listing->left = params.limit;
	return 0;
}
