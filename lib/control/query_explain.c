// `explain`: what would happen to a packet, step by step, in sentences. The data plane's dry run
// gives the reasons (service/explanation.h); here they are told.
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control/control_internal.h"
#include "control/json_reader.h"
#include "control/query.h"
#include "net/headers.h"
#include "service/explanation.h"

#define STEP_BYTES 400

struct explain_params {
	char protocol[8];
	struct sg_addr source, destination;
	uint16_t source_port, destination_port;
	char flags[16];
	char port[SG_MAX_NAME_BYTES];
};

// clang-format off
#define PARAM(field) .offset = offsetof(struct explain_params, field)
static const struct sg_json_member explain_members[] = {
	SG_JSON_MEMBER("protocol", sg_json_read_string, PARAM(protocol), .max = 8, .required = true),
	SG_JSON_MEMBER("source", sg_json_read_address, PARAM(source), .required = true),
	SG_JSON_MEMBER("source_port", sg_json_read_u16, PARAM(source_port), .min = 1, .max = 65535, .required = true),
	SG_JSON_MEMBER("destination", sg_json_read_address, PARAM(destination), .required = true),
	SG_JSON_MEMBER("destination_port", sg_json_read_u16, PARAM(destination_port), .min = 1, .max = 65535,
		.required = true),
	SG_JSON_MEMBER("flags", sg_json_read_string, PARAM(flags), .max = 16),
	SG_JSON_MEMBER("in", sg_json_read_string, PARAM(port), .max = SG_MAX_NAME_BYTES),
	SG_JSON_END,
};

static const struct {
	const char *name;
	uint8_t flags;
} flag_words[] = {
	{"syn", SG_TCP_SYN},
	{"syn-ack", SG_TCP_SYN | SG_TCP_ACK},
	{"ack", SG_TCP_ACK},
	{"fin", SG_TCP_FIN | SG_TCP_ACK},
	{"rst", SG_TCP_RST},
};
#define N_FLAG_WORDS (sizeof(flag_words) / sizeof(flag_words[0]))

static const char *const end_names[] = {
	[SG_EXPLAINED_DROPPED] = "dropped",
	[SG_EXPLAINED_FORWARDED] = "forwarded",
	[SG_EXPLAINED_HELD] = "waits",
	[SG_EXPLAINED_TO_KERNEL] = "to_kernel",
	[SG_EXPLAINED_RESET] = "reset",
	[SG_EXPLAINED_ICMP] = "icmp_error",
};
// clang-format on

// What the steps are told of.
struct tale {
	const struct sg_control *control;
	const struct sg_snapshot *snapshot;
	const struct sg_question *question;
	const struct sg_explanation *told;
	const struct sg_service *service; // NULL: none
	json_t *steps;
};

static int read_flags(
	const struct explain_params *params, struct sg_question *question, struct sg_error *error)
{
	if (!params->flags[0])
		return 0;
	if (question->protocol != SG_PROTO_TCP)
		return sg_json_refuse("explain", "flags", error, "are TCP's alone");
	for (unsigned i = 0; i < N_FLAG_WORDS; i++) {
		if (strcmp(flag_words[i].name, params->flags) == 0) {
			question->flags_given = true;
			question->tcp_flags = flag_words[i].flags;
			return 0;
		}
	}
	return sg_json_refuse("explain", "flags", error,
		"must be \"syn\", \"syn-ack\", \"ack\", \"fin\" or \"rst\", not \"%.16s\"",
		params->flags);
}

static int read_port(const struct sg_control *control, const struct explain_params *params,
	struct sg_question *question, struct sg_error *error)
{
	const struct sg_settings *settings = control->settings;

	if (!params->port[0])
		return 0;
	for (unsigned i = 0; i < settings->n_ports; i++) {
		if (strcmp(settings->ports[i].name, params->port) == 0) {
			question->port_given = true;
			question->port = (uint8_t)i;
			return 0;
		}
	}
	return sg_error_set(error, -ENOENT, "no port is named '%s'", params->port);
}

static int read_question(const struct sg_control *control, const json_t *params,
	struct sg_question *ret_question, struct sg_error *error)
{
	struct explain_params given = {0};
	int err = sg_json_read_members(explain_members, params, true, &given, "explain", error);
	int protocol;

	if (err)
		return err;
	protocol = sg_protocol_parse(given.protocol);
	if (protocol < 0)
		return sg_json_refuse("explain", "protocol", error,
			"must be \"tcp\" or \"udp\", not \"%.8s\"", given.protocol);
	if (given.source.family != given.destination.family)
		return sg_json_refuse("explain", "destination", error,
			"must be of the source's family: both IPv4, or both IPv6");
	*ret_question = (struct sg_question){.protocol = (uint8_t)protocol,
		.src = given.source,
		.dst = given.destination,
		.sport = given.source_port,
		.dport = given.destination_port};
	err = read_flags(&given, ret_question, error);
	return err ? err : read_port(control, &given, ret_question, error);
}

static void step(struct tale *tale, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void step(struct tale *tale, const char *name, const char *format, ...)
{
	char text[STEP_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_array_append_new(tale->steps, json_pack("{s:s, s:s}", "step", name, "what", text));
}

struct end_point {
	char text[SG_ADDR_TEXT_BYTES + 8];
};

static struct end_point end_point(const struct sg_addr *addr, uint16_t port)
{
	struct end_point point;
	char text[SG_ADDR_TEXT_BYTES];

	snprintf(point.text, sizeof(point.text),
		addr->family == SG_FAMILY_IPV6 ? "[%s]:%u" : "%s:%u", sg_addr_format(addr, text),
		port);
	return point;
}

static const char *port_name(const struct tale *tale, uint8_t port)
{
	return port < tale->control->settings->n_ports ? tale->control->settings->ports[port].name
						       : "?";
}

static void tell_arrival(struct tale *tale)
{
	const struct sg_question *question = tale->question;
	const struct sg_explanation *told = tale->told;

	step(tale, "packet", "%s %s to %s, %s port %s", sg_protocol_name(question->protocol),
		end_point(&question->src, question->sport).text,
		end_point(&question->dst, question->dport).text,
		told->from_kernel ? "from this node itself, by the twin of" : "comes in on",
		port_name(tale, told->in_port));
	if (told->worker == told->first_worker)
		step(tale, "worker", "worker %u", told->worker);
	else
		step(tale, "worker",
			"worker %u gets it and hands it to worker %u, where its flow lives",
			told->first_worker, told->worker);
}

static void tell_flow(struct tale *tale)
{
	const struct sg_explanation *told = tale->told;

	if (told->known)
		step(tale, "flow", "known, %s; this is a packet %s",
			sg_flow_state_name(told->flow.state),
			told->direction == SG_FLOW_TO_BACKEND ? "to the backend" : "to the client");
	else if (told->asked_service && told->service_slot != UINT32_MAX)
		step(tale, "flow", "none is known");
}

// Where services may be declared. At SNAT addresses, backends answer.
static bool is_to_vip(const struct tale *tale)
{
	const struct sg_addr *dst = &tale->question->dst;
	uint32_t bits = dst->family == SG_FAMILY_IPV6
				? sg_snapshot_address6(tale->snapshot, dst->bytes)
				: sg_snapshot_address4(tale->snapshot, sg_addr_ipv4_be(dst));

	return bits & SG_ADDRESS_VIP;
}

static void tell_service(struct tale *tale)
{
	const struct sg_explanation *told = tale->told;

	if (tale->service)
		step(tale, "service", "%s", tale->service->spec->name);
	else if (told->asked_service && !is_to_vip(tale))
		step(tale, "service", "none: to a SNAT address only backends speak, in flows");
	else if (told->asked_service)
		step(tale, "service", "none is declared for %s %s",
			sg_protocol_name(tale->question->protocol),
			end_point(&tale->question->dst, tale->question->dport).text);
}

// The prefix of a list that says it, for people who want to change it.
static const struct sg_prefix *find_prefix(
	const struct sg_prefix *prefixes, unsigned n, const struct sg_addr *addr)
{
	for (unsigned i = 0; i < n; i++)
		if (sg_prefix_contains(&prefixes[i], addr))
			return &prefixes[i];
	return NULL;
}

// Whether this policy refuses the source; if so it is told.
static bool tell_refusal(struct tale *tale, const char *whose, const struct sg_policy_spec *spec)
{
	const struct sg_addr *source = &tale->question->src;
	const struct sg_prefix *denied = find_prefix(spec->deny, spec->n_deny, source);
	char text[SG_PREFIX_TEXT_BYTES];

	if (denied)
		step(tale, "policy", "denied: %s is in deny of %s", sg_prefix_format(denied, text),
			whose);
	else if (!spec->allow_everyone && !find_prefix(spec->allow, spec->n_allow, source))
		step(tale, "policy", "not allowed: the source is in no prefix of allow of %s",
			whose);
	else
		return false;
	return true;
}

static void tell_policy(struct tale *tale)
{
	const struct sg_shared_policy *all = sg_rollout_state(tale->control->rollout)->policy;
	const struct sg_explanation *told = tale->told;
	char whose[SG_MAX_NAME_BYTES + 16];

	if (!tale->service)
		return;
	if (told->known && !told->asked_service) {
		step(tale, "policy", "not asked: it was when the flow began");
		return;
	}
	if (!told->refused) {
		step(tale, "policy", "allowed");
		return;
	}
	snprintf(whose, sizeof(whose), "service %s", tale->service->spec->name);
	if (!(all && tell_refusal(tale, "the policy for all services", &all->spec)))
		tell_refusal(tale, whose, &tale->service->spec->policy);
}

static void tell_scheduler(struct tale *tale)
{
	static const char *const reasons[SG_SCHEDULER_COUNT] = {
		[SG_SCHEDULER_MAGLEV] =
			"a hash of the client's address and port, the same on all nodes",
		[SG_SCHEDULER_RR] = "it is its turn at this worker",
		[SG_SCHEDULER_WRR] = "it is its turn at this worker, by weight",
		[SG_SCHEDULER_LC] = "none has fewer connections",
		[SG_SCHEDULER_WLC] = "none has fewer connections for its weight",
		[SG_SCHEDULER_SH] = "a hash of the client's address, the same on all nodes"};
	const struct sg_explanation *told = tale->told;
	const char *name = sg_scheduler_name((enum sg_scheduler)told->scheduler);
	bool counts = told->scheduler == SG_SCHEDULER_LC || told->scheduler == SG_SCHEDULER_WLC;

	if (told->choice == SG_CHOICE_AFFINITY)
		step(tale, "choice", "affinity client-ip: the client has a backend already");
	else if (told->choice == SG_CHOICE_EMPTY)
		step(tale, "choice", "%s: the service has no usable backend of this family", name);
	else if (told->choice == SG_CHOICE_SCHEDULER && counts)
		step(tale, "choice", "%s, among %u backends: %s (it has %lu, as worker %u sees it)",
			name, told->n_candidates, reasons[told->scheduler],
			(unsigned long)told->least_flows, told->worker);
	else if (told->choice == SG_CHOICE_SCHEDULER)
		step(tale, "choice", "%s, among %u backends: %s", name, told->n_candidates,
			reasons[told->scheduler]);
}

static const char *life_name(uint8_t life)
{
	static const char *const names[] = {[SG_BACKEND_FREE] = "gone",
		[SG_BACKEND_ACTIVE] = "active",
		[SG_BACKEND_DRAINING] = "draining",
		[SG_BACKEND_REMOVED] = "removed, its flows may finish",
		[SG_BACKEND_DEAD] = "gone",
		[SG_BACKEND_OUTSIDE] = "outside of backend_cidrs"};

	return names[life];
}

static const struct sg_backend *backend_of(const struct tale *tale)
{
	uint32_t slot = tale->told->backend_slot;

	if (slot == UINT32_MAX && tale->told->known)
		slot = tale->told->flow.backend_slot;
	return slot == UINT32_MAX ? NULL : sg_snapshot_backend(tale->snapshot, slot);
}

static void tell_backend(struct tale *tale)
{
	const struct sg_backend *backend = backend_of(tale);

	char limit[40] = "";

	if (!backend)
		return;
	if (backend->max_connections > 0)
		snprintf(
			limit, sizeof(limit), ", at most %u connections", backend->max_connections);
	step(tale, "backend", "%s, weight %u, %s%s",
		end_point(&backend->addr, __builtin_bswap16(backend->port_be)).text,
		backend->weight, life_name(backend->life), limit);
}

static void tell_rewrite(struct tale *tale)
{
	const struct sg_explanation *told = tale->told;
	bool fresh = !told->known && tale->service && tale->service->forward == SG_FORWARD_SNAT;
	char src[SG_ADDR_TEXT_BYTES], dst[SG_ADDR_TEXT_BYTES];

	if (!told->rewritten)
		return;
	if (told->encapsulated)
		step(tale, "rewrite", "as it is, inside a packet from %s to %s",
			sg_addr_format(&told->src, src), sg_addr_format(&told->dst, dst));
	else if (sg_addr_equal(&told->src, &tale->question->src) &&
		 sg_addr_equal(&told->dst, &tale->question->dst))
		step(tale, "rewrite", "addresses and ports stay");
	else
		step(tale, "rewrite", "from %s to %s%s", end_point(&told->src, told->sport).text,
			end_point(&told->dst, told->dport).text,
			fresh ? "; the SNAT port may be another when it is sent" : "");
}

static void tell_way(struct tale *tale)
{
	const struct sg_explanation *told = tale->told;
	const uint8_t *mac = told->next_mac;

	if (!told->rewritten)
		return;
	if (told->end == SG_EXPLAINED_HELD)
		step(tale, "next hop", "not resolved yet: the packet waits for it, at most 100 ms");
	else
		step(tale, "next hop", "%02x:%02x:%02x:%02x:%02x:%02x%s", mac[0], mac[1], mac[2],
			mac[3], mac[4], mac[5],
			told->learned ? ", from which the client spoke" : "");
	step(tale, "port", "%s", port_name(tale, told->out_port));
}

static void tell_end(struct tale *tale)
{
	const struct sg_explanation *told = tale->told;

	switch (told->end) {
	case SG_EXPLAINED_DROPPED:
		step(tale, "end", "dropped as %s: %s", sg_drop_name(told->drop),
			sg_drop_meaning(told->drop));
		break;
	case SG_EXPLAINED_FORWARDED:
		step(tale, "end", "forwarded");
		break;
	case SG_EXPLAINED_HELD:
		step(tale, "end", "forwarded when the next hop is known, else dropped as %s: %s",
			sg_drop_name(SG_DROP_NEXTHOP_UNRESOLVED),
			sg_drop_meaning(SG_DROP_NEXTHOP_UNRESOLVED));
		break;
	case SG_EXPLAINED_TO_KERNEL:
		step(tale, "end", "to the kernel, which has this address: no service's business");
		break;
	case SG_EXPLAINED_RESET:
		step(tale, "end", "answered with RST: %s",
			told->choice == SG_CHOICE_EMPTY
				? "add a backend, or end the draining of one"
			: told->asked_service && !tale->service && is_to_vip(tale)
				? "declare a service here"
			: told->asked_service && !tale->service
				? "it answers no flow that is known (idle longer than its timeout?)"
				: "it starts no connection and belongs to none that goes on");
		break;
	case SG_EXPLAINED_ICMP:
		step(tale, "end", "answered with an ICMP error: %s",
			told->choice == SG_CHOICE_EMPTY
				? "add a backend, or end the draining of one"
				: "nobody serves this port");
		break;
	}
}

static const struct sg_service *service_of(
	const struct sg_snapshot *snapshot, const struct sg_explanation *told)
{
	uint32_t slot =
		told->known && !told->asked_service ? told->flow.service_slot : told->service_slot;

	return slot < snapshot->n_service_slots ? snapshot->services[slot] : NULL;
}

static json_t *tell(struct tale *tale)
{
	tale->steps = json_array();
	tell_arrival(tale);
	tell_flow(tale);
	tell_service(tale);
	tell_policy(tale);
	tell_scheduler(tale);
	tell_backend(tale);
	tell_rewrite(tale);
	tell_way(tale);
	tell_end(tale);
	return tale->steps;
}

static json_t *string_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

static json_t *result_of(struct tale *tale)
{
	const struct sg_explanation *told = tale->told;
	const struct sg_backend *backend = backend_of(tale);
	bool goes_on = told->end == SG_EXPLAINED_FORWARDED || told->end == SG_EXPLAINED_HELD ||
		       told->end == SG_EXPLAINED_TO_KERNEL;

	return json_pack("{s:b, s:s, s:o, s:i, s:b, s:o, s:o, s:o, s:o}", "forwarded", goes_on,
		"end", end_names[told->end], "drop",
		string_or_null(told->end == SG_EXPLAINED_DROPPED ? sg_drop_name(told->drop) : NULL),
		"worker", (int)told->worker, "known", told->known, "service",
		string_or_null(tale->service ? tale->service->spec->name : NULL), "backend",
		string_or_null(
			backend ? end_point(&backend->addr, __builtin_bswap16(backend->port_be))
					  .text
				: NULL),
		"port", string_or_null(told->rewritten ? port_name(tale, told->out_port) : NULL),
		"steps", tell(tale));
}

int sg_query_explain(const struct sg_control *control, const json_t *params, json_t **ret_result,
	struct sg_error *error)
{
	const struct sg_publisher *publisher = control->publisher;
	struct sg_question question;
	struct sg_explanation told;
	struct tale tale = {.control = control,
		.snapshot = sg_rollout_snapshot(control->rollout),
		.question = &question,
		.told = &told};
	int err = read_question(control, params, &question, error);

	if (!err)
		err = publisher->explain(
			publisher->dataplane, tale.snapshot, &question, &told, error);
	if (err)
		return err;
	tale.service = service_of(tale.snapshot, &told);
	*ret_result = result_of(&tale);
	return 0;
}
