// Lists of flows in slices, see flow_dump.h.
#include "control/flow_dump.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/control_internal.h"
#include "control/json_reader.h"
#include "net/headers.h"

#define SLICE_RECORDS 4096

struct sg_flow_dump {
	struct sg_flow_dump *next;
	struct sg_call *call;
	uint32_t service_slot; // UINT32_MAX: all
	uint32_t left;         // flows that may still be listed
	unsigned worker;
	uint32_t record; // the next one to look at
	bool truncated;  // there are more than were asked for
	char *text;      // the list so far, JSON objects with commas between them
	size_t length, size;
	bool out_of_memory;
};

struct dump_params {
	char service[SG_MAX_NAME_BYTES];
	uint32_t limit;
};

// clang-format off
#define PARAM(field) .offset = offsetof(struct dump_params, field)
static const struct sg_json_member dump_members[] = {
	SG_JSON_MEMBER("service", sg_json_read_string, PARAM(service), .max = SG_MAX_NAME_BYTES),
	SG_JSON_MEMBER("limit", sg_json_read_u32, PARAM(limit), .min = 1, .max = SG_FLOW_DUMP_MAX_LIMIT),
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

// The slot of the service that is asked for, deleted ones that still drain included.
static int find_slot(const struct sg_control *control, const char *service, uint32_t *ret_slot,
	struct sg_error *error)
{
	*ret_slot = UINT32_MAX;
	if (!service[0])
		return 0;
	*ret_slot = sg_compiler_find_service_slot(sg_rollout_compiler(control->rollout), service);
	if (*ret_slot == UINT32_MAX)
		return sg_error_set(error, -ENOENT, "no service is named '%s'", service);
	return 0;
}

void sg_flow_dump_start(struct sg_control *control, struct sg_call *call)
{
	struct dump_params params = {.limit = SG_FLOW_DUMP_DEFAULT_LIMIT};
	struct sg_flow_dump *dump;
	struct sg_error error;
	uint32_t slot;
	int err = sg_json_read_members(
		dump_members, call->request.params, true, &params, "flows", &error);

	if (!err)
		err = find_slot(control, params.service, &slot, &error);
	if (err) {
		sg_call_refuse(call, err == -EBADMSG ? SG_REQUEST_BAD_PARAMS : SG_REQUEST_REFUSED,
			"%s", error.text);
		return;
	}
	dump = calloc(1, sizeof(*dump));
	if (!dump) {
		sg_call_refuse(call, SG_REQUEST_FAILED, "no memory is left for the list");
		return;
	}
	*dump = (struct sg_flow_dump){.next = control->flow_dumps.first,
		.call = call,
		.service_slot = slot,
		.left = params.limit,
		.record = 1};
	control->flow_dumps.first = dump;
}

static json_t *end_point(uint32_t addr_be, uint16_t port_be)
{
	struct sg_addr addr = sg_addr_from_ipv4(addr_be);
	char text[SG_ADDR_TEXT_BYTES];

	return json_sprintf("%s:%u", sg_addr_format(&addr, text), ntohs(port_be));
}

// The service's name as of now. A slot that has found another owner since shows that one's.
static const char *service_name(const struct sg_control *control, uint32_t slot)
{
	const struct sg_snapshot *snapshot = sg_rollout_snapshot(control->rollout);

	if (slot >= snapshot->n_service_slots || !snapshot->services[slot])
		return "";
	return snapshot->services[slot]->spec->name;
}

static json_t *flow_to_json(
	const struct sg_control *control, const struct sg_flow *flow, unsigned worker)
{
	uint32_t now_ticks = sg_ticks_from_ms(sg_clock_ms());
	uint32_t idle_ticks = now_ticks - flow->last_seen;

	// Written by a worker whose clock was read a moment later than ours.
	if ((int32_t)idle_ticks < 0)
		idle_ticks = 0;
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:s, s:i, s:i}", "service",
		service_name(control, flow->service_slot), "protocol",
		flow->client.proto == SG_PROTO_UDP ? "udp" : "tcp", "client",
		end_point(flow->client.src_be, flow->client.sport_be), "vip",
		end_point(flow->client.dst_be, flow->client.dport_be), "snat",
		end_point(flow->server.dst_be, flow->server.dport_be), "backend",
		end_point(flow->server.src_be, flow->server.sport_be), "state",
		flow->state < SG_FLOW_STATE_COUNT ? state_names[flow->state] : "?", "idle_s",
		(int)((uint64_t)idle_ticks * SG_TICK_MS / 1000), "worker", (int)worker);
}

static void append(struct sg_flow_dump *dump, json_t *object)
{
	char text[1024];
	size_t n = object ? json_dumpb(object, text, sizeof(text), JSON_COMPACT) : 0;

	json_decref(object);
	if (dump->length + n + 2 > dump->size) {
		size_t size = dump->size ? 2 * dump->size : 65536;
		char *larger = realloc(dump->text, size);

		if (larger) {
			dump->text = larger;
			dump->size = size;
		} else {
			dump->out_of_memory = true;
		}
	}
	if (n == 0 || n > sizeof(text) || dump->out_of_memory) {
		dump->out_of_memory = true;
		return;
	}
	if (dump->length)
		dump->text[dump->length++] = ',';
	memcpy(dump->text + dump->length, text, n);
	dump->length += n;
	dump->text[dump->length] = '\0';
}

static bool is_over(const struct sg_control *control, const struct sg_flow_dump *dump)
{
	return dump->out_of_memory || dump->truncated ||
	       dump->worker >= control->publisher->n_workers;
}

static void look_at(
	struct sg_control *control, struct sg_flow_dump *dump, const struct sg_flow *flow)
{
	if (flow->state == SG_FLOW_AFFINITY)
		return;
	if (dump->service_slot != UINT32_MAX && flow->service_slot != dump->service_slot)
		return;
	if (dump->left == 0) {
		dump->truncated = true;
		return;
	}
	dump->left--;
	append(dump, flow_to_json(control, flow, dump->worker));
}

static void read_slice(struct sg_control *control, struct sg_flow_dump *dump)
{
	for (unsigned i = 0; i < SLICE_RECORDS && !is_over(control, dump); i++) {
		const struct sg_flow_table *table = control->publisher->flows[dump->worker];
		struct sg_flow flow;
		struct sg_flow_addresses addresses;

		if (dump->record > sg_flow_table_max(table)) {
			dump->worker++;
			dump->record = 1;
		} else if (sg_flow_table_read(table, dump->record++, &flow, &addresses)) {
			look_at(control, dump, &flow);
		}
	}
}

// The dump is out of the list already.
static void finish(struct sg_flow_dump *dump)
{
	char *result = NULL;

	if (dump->out_of_memory) {
		sg_call_refuse(dump->call, SG_REQUEST_FAILED, "no memory is left for the list");
	} else {
		if (asprintf(&result, "{\"flows\":[%s],\"more\":%s}", dump->text ? dump->text : "",
			    dump->truncated ? "true" : "false") < 0)
			result = NULL;
		sg_call_return_text(dump->call, result);
	}
	free(result);
	free(dump->text);
	free(dump);
}

// An answer may close a connection, and that takes dumps out of the list: so each is unlinked
// before it is answered, and the walk begins anew.
static struct sg_flow_dump *take_over(struct sg_control *control)
{
	for (struct sg_flow_dump **link = &control->flow_dumps.first; *link;
		link = &(*link)->next) {
		struct sg_flow_dump *dump = *link;

		if (is_over(control, dump)) {
			*link = dump->next;
			return dump;
		}
	}
	return NULL;
}

bool sg_flow_dump_turn(struct sg_control *control)
{
	struct sg_flow_dump *dump;

	for (dump = control->flow_dumps.first; dump; dump = dump->next)
		read_slice(control, dump);
	while ((dump = take_over(control)))
		finish(dump);
	return control->flow_dumps.first != NULL;
}

static struct sg_flow_dump *take_of(struct sg_control *control, uint64_t connection)
{
	for (struct sg_flow_dump **link = &control->flow_dumps.first; *link;
		link = &(*link)->next) {
		struct sg_flow_dump *dump = *link;

		if (!connection || dump->call->connection == connection) {
			*link = dump->next;
			return dump;
		}
	}
	return NULL;
}

static void refuse_all_of(struct sg_control *control, uint64_t connection, const char *sentence)
{
	struct sg_flow_dump *dump;

	while ((dump = take_of(control, connection))) {
		sg_call_refuse(dump->call, SG_REQUEST_REFUSED, "%s", sentence);
		free(dump->text);
		free(dump);
	}
}

void sg_flow_dump_forget(struct sg_control *control, uint64_t connection)
{
	refuse_all_of(control, connection, "the connection is closed");
}

void sg_flow_dump_cancel(struct sg_control *control)
{
	refuse_all_of(control, 0, "stormgate is stopping");
}
