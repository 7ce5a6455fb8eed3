// Sets pipelines up over a snapshot, see rig.h.
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../guarded.h"
#include "base/clock.h"

bool rig_drops_seen[SG_DROP_COUNT];

static struct sg_hop hop_to(const uint8_t mac[6], uint8_t port, enum sg_hop_kind kind)
{
	struct sg_hop hop = {.port = port, .kind = (uint8_t)kind};

	memcpy(hop.dst_mac, mac, 6);
	memcpy(hop.src_mac, port_macs[port % 2], 6); // a VLAN's is its device's
	return hop;
}

static struct sg_trie_entry route(const char *prefix, uint32_t value)
{
	struct sg_trie_entry entry = {.value = value};

	assert_int_equal(sg_prefix_parse(prefix, &entry.prefix, NULL), 0);
	return entry;
}

static void put_neighbour(struct sg_routes *routes, uint8_t port, const char *text, uint16_t hop)
{
	struct sg_addr addr = test_addr(text);

	if (addr.family == SG_FAMILY_IPV6)
		sg_index6_put(routes->neighbours6, addr.bytes, port, hop);
	else
		sg_index_put(
			routes->neighbours4, SG_NEIGHBOUR_KEY(port, sg_addr_ipv4_be(&addr)), hop);
}

void rig_neighbour(struct rig *rig, uint8_t port, const char *text, uint16_t hop)
{
	put_neighbour(rig->routes, port, text, hop);
}

static struct sg_routes *make_routes(void)
{
	static const uint8_t nobody[6];
	struct sg_routes *routes = sg_routes_create_empty();
	struct sg_addr address;
	const struct sg_trie_entry entries[] = {
		route("198.51.100.0/24", SG_ROUTE_VALUE(SG_ROUTE_ON_LINK, 0, 0)),
		route("203.0.113.0/24", SG_ROUTE_VALUE(SG_ROUTE_HOP, 0, HOP_GATEWAY)),
		route("10.0.0.0/24", SG_ROUTE_VALUE(SG_ROUTE_ON_LINK, 1, 0)),
		route("10.1.0.0/16", SG_ROUTE_VALUE(SG_ROUTE_HOP, 1, HOP_POD2)),
		route("198.51.100.11/32", SG_ROUTE_VALUE(SG_ROUTE_LOCAL, 0, HOP_TWIN0)),
		route("10.0.0.11/32", SG_ROUTE_VALUE(SG_ROUTE_LOCAL, 1, HOP_TWIN1)),
		route("198.18.0.0/24", SG_ROUTE_VALUE(SG_ROUTE_ON_LINK, 2, 0)),
		route("198.18.0.11/32", SG_ROUTE_VALUE(SG_ROUTE_LOCAL, 2, HOP_TWIN2)),
		route("2001:db8::198.51.100.0/120", SG_ROUTE_VALUE(SG_ROUTE_ON_LINK, 0, 0)),
		route("2001:db8::203.0.113.0/120", SG_ROUTE_VALUE(SG_ROUTE_HOP, 0, HOP_GATEWAY)),
		route("2001:db8::10.0.0.0/120", SG_ROUTE_VALUE(SG_ROUTE_ON_LINK, 1, 0)),
		route("2001:db8::10.1.0.0/112", SG_ROUTE_VALUE(SG_ROUTE_HOP, 1, HOP_POD2)),
		route("2001:db8::198.51.100.11/128", SG_ROUTE_VALUE(SG_ROUTE_LOCAL, 0, HOP_TWIN0)),
		route("2001:db8::10.0.0.11/128", SG_ROUTE_VALUE(SG_ROUTE_LOCAL, 1, HOP_TWIN1)),
		route("2001:db8::198.18.0.0/120", SG_ROUTE_VALUE(SG_ROUTE_ON_LINK, 2, 0)),
		route("2001:db8::198.18.0.11/128", SG_ROUTE_VALUE(SG_ROUTE_LOCAL, 2, HOP_TWIN2)),
		route("2001:db8::11/128", SG_ROUTE_VALUE(SG_ROUTE_LOCAL, 0, HOP_TWIN0)),
		route("2001:db8::12/128", SG_ROUTE_VALUE(SG_ROUTE_LOCAL, 1, HOP_TWIN1)),
	};

	assert_non_null(routes);
	free(routes->hops);
	routes->hops = calloc(N_HOPS, sizeof(routes->hops[0]));
	routes->n_hops = N_HOPS;
	routes->hops[HOP_GATEWAY] = hop_to(gateway_mac, 0, SG_HOP_PORT);
	routes->hops[HOP_CLIENT] = hop_to(client_mac, 0, SG_HOP_PORT);
	routes->hops[HOP_POD] = hop_to(pod_mac, 1, SG_HOP_PORT);
	routes->hops[HOP_POD2] = hop_to(pod2_mac, 1, SG_HOP_PORT);
	routes->hops[HOP_UNRESOLVED_POD] = hop_to(nobody, 1, SG_HOP_UNRESOLVED);
	routes->hops[HOP_VLAN_CLIENT] = hop_to(client_mac, 2, SG_HOP_PORT);
	routes->hops[HOP_VLAN_POD] = hop_to(pod_mac, 2, SG_HOP_PORT);
	routes->hops[HOP_TWIN2] = hop_to(port_macs[0], 2, SG_HOP_TWIN);
	routes->hops[HOP_TWIN0] = hop_to(port_macs[0], 0, SG_HOP_TWIN);
	routes->hops[HOP_TWIN1] = hop_to(port_macs[1], 1, SG_HOP_TWIN);
	sg_trie_unref(routes->ipv4);
	routes->ipv4 =
		sg_trie_create(entries, sizeof(entries) / sizeof(entries[0]), SG_FAMILY_IPV4);
	sg_trie_unref(routes->ipv6);
	routes->ipv6 =
		sg_trie_create(entries, sizeof(entries) / sizeof(entries[0]), SG_FAMILY_IPV6);
	sg_index_unref(routes->neighbours4);
	routes->neighbours4 = sg_index_create(8);
	sg_index6_unref(routes->neighbours6);
	routes->neighbours6 = sg_index6_create(8);
	put_neighbour(routes, 0, "198.51.100.1", HOP_GATEWAY);
	put_neighbour(routes, 0, CLIENT, HOP_CLIENT);
	put_neighbour(routes, 1, POD, HOP_POD);
	put_neighbour(routes, 1, POD2, HOP_POD2);
	put_neighbour(routes, 1, "10.0.0.9", HOP_UNRESOLVED_POD);
	put_neighbour(routes, 2, "198.18.0.7", HOP_VLAN_CLIENT);
	put_neighbour(routes, 2, "198.18.0.8", HOP_VLAN_POD);
	address = test_addr("198.51.100.11");
	memcpy(routes->port_addr6[0], address.bytes, 16);
	address = test_addr("10.0.0.11");
	memcpy(routes->port_addr6[1], address.bytes, 16);
	address = test_addr("198.18.0.11");
	memcpy(routes->port_addr6[2], address.bytes, 16);
	routes->port_addr4_be[0] = addr_be("198.51.100.11");
	routes->port_addr4_be[2] = addr_be("198.18.0.11");
	routes->port_addr4_be[1] = addr_be("10.0.0.11");
	return routes;
}

#define SERVICE_BYTES      (SG_MAX_SERVICES * sizeof(struct sg_traffic))
#define BACKEND_BYTES      (SG_MAX_BACKENDS * sizeof(struct sg_traffic))
#define SERVICE_LOSS_BYTES (SG_MAX_SERVICES * sizeof(struct sg_losses))
#define BACKEND_LOSS_BYTES (SG_MAX_BACKENDS * sizeof(struct sg_losses))
#define NOTE_BYTES         (SG_MAX_BACKENDS * sizeof(uint64_t))

static void open_worker(struct rig *rig, unsigned worker, uint32_t max_flows)
{
	static const struct sg_pipeline_vlan vlan = {.id = RIG_VLAN, .device = 0, .port = 2};
	struct sg_pipeline_port ports[3] = {{.mtu = 1500}, {.mtu = 1500}, {.mtu = 1500}};
	struct sg_worker_counters *counters = &rig->counters[worker];

	memcpy(ports[0].mac, port_macs[0], 6);
	memcpy(ports[1].mac, port_macs[1], 6);
	memcpy(ports[2].mac, port_macs[0], 6);
	counters->totals = &rig->totals[worker];
	counters->services = guarded_map(SERVICE_BYTES);
	counters->backends = guarded_map(BACKEND_BYTES);
	counters->service_losses = guarded_map(SERVICE_LOSS_BYTES);
	counters->backend_losses = guarded_map(BACKEND_LOSS_BYTES);
	rig->memories[worker] =
		aligned_alloc(64, (sg_pipeline_bytes(max_flows) + 63) & ~(size_t)63);
	memset(rig->memories[worker], 0, sg_pipeline_bytes(max_flows));
	rig->addresses[worker] = aligned_alloc(64, sg_flow_addresses_bytes(max_flows));
	memset(rig->addresses[worker], 0, sg_flow_addresses_bytes(max_flows));
	rig->limits[worker] = calloc(1, sg_limits_bytes(max_flows));
	rig->pipelines[worker] = sg_pipeline_init(
		rig->memories[worker], &(struct sg_pipeline_settings){.worker = worker,
					       .n_workers = rig->n_workers,
					       .ports = ports,
					       .n_ports = 3,
					       .vlans = &vlan,
					       .n_vlans = 1,
					       .home = &rig->home,
					       .snat = rig->snat,
					       .snat_port_min = rig->settings.snat_port_min,
					       .snat_port_max = rig->settings.snat_port_max,
					       .max_flows = max_flows,
					       .addresses = rig->addresses[worker],
					       .limits = rig->limits[worker],
					       .tunnels = &rig->tunnels,
					       .counters = counters});
	sg_pipeline_set_time(rig->pipelines[worker], rig->now_ms);
}

void rig_open(struct rig *rig, const struct rig_options *options)
{
	struct sg_error error;

	memset(rig, 0, sizeof(*rig));
	sg_settings_init(&rig->settings);
	rig->settings.unserved = options->unserved;
	if (options->backend_cidr) {
		rig->settings.backend_cidrs_given = true;
		rig->settings.n_backend_cidrs = 1;
		rig->settings.backend_cidrs[0] = test_prefix(options->backend_cidr);
	}
	if (options->tcp)
		rig->settings.timeouts.tcp = options->tcp;
	if (options->tcp_half_closed)
		rig->settings.timeouts.tcp_half_closed = options->tcp_half_closed;
	rig->settings.snat_addresses[0] = test_addr(SNAT);
	rig->settings.n_snat_addresses = !options->no_snat;
	if (options->snat_ports) {
		rig->settings.snat_port_min = 1024;
		rig->settings.snat_port_max = (uint16_t)(1024 + options->snat_ports - 1);
	}
	rig->now_ms = 1000000;
	rig->n_workers = options->n_workers ? options->n_workers : 1;
	rig->routes = make_routes();
	rig->compiler = sg_compiler_create(&rig->settings);
	assert_non_null(rig->compiler);
	sg_state_init(&rig->state);
	sg_home_init(&rig->home, sg_toeplitz_default_key, rig->n_workers);
	if (!options->no_snat) {
		rig->snat = sg_snat_pool_create(&rig->home, rig->settings.snat_addresses,
			rig->settings.n_snat_addresses, rig->settings.snat_port_min,
			rig->settings.snat_port_max, &error);
		assert_non_null(rig->snat);
	}
	rig->tunnels.notes = guarded_map(NOTE_BYTES);
	for (unsigned i = 0; i < rig->n_workers; i++)
		open_worker(rig, i, options->max_flows ? options->max_flows : 1024);
}

void rig_close(struct rig *rig)
{
	for (unsigned i = 0; i < rig->n_workers; i++) {
		free(rig->memories[i]);
		free(rig->addresses[i]);
		free(rig->limits[i]);
		guarded_unmap(rig->counters[i].services, SERVICE_BYTES);
		guarded_unmap(rig->counters[i].service_losses, SERVICE_LOSS_BYTES);
		guarded_unmap(rig->counters[i].backend_losses, BACKEND_LOSS_BYTES);
		guarded_unmap(rig->counters[i].backends, BACKEND_BYTES);
	}
	sg_snat_pool_destroy(rig->snat);
	guarded_unmap(rig->tunnels.notes, NOTE_BYTES);
	sg_compiler_destroy(rig->compiler);
	sg_state_fini(&rig->state);
	sg_routes_unref(rig->routes);
}

struct sg_service_spec *rig_service(
	struct rig *rig, const char *name, uint8_t protocol, uint16_t port)
{
	struct sg_service_spec *spec = sg_service_spec_create(name, "test");

	assert_non_null(spec);
	spec->vips[0] = test_addr(VIP);
	spec->n_vips = 1;
	spec->protocol = protocol;
	spec->port = port;
	spec->maglev_table_size = 251;
	rig_backend(spec, POD, 8080, 1);
	assert_int_equal(sg_state_put(&rig->state, spec), 0);
	return spec;
}

void rig_backend(struct sg_service_spec *spec, const char *address, uint16_t port, uint16_t weight)
{
	struct sg_backend_spec backend = {
		.address = test_addr(address), .port = port, .weight = weight};

	assert_int_equal(sg_service_spec_put_backend(spec, &backend), 0);
}

void rig_set_backend_cidr(struct rig *rig, const char *prefix)
{
	struct sg_shared_settings *shared =
		sg_shared_settings_create(sg_state_settings(&rig->state, &rig->settings));

	assert_non_null(shared);
	shared->settings.backend_cidrs_given = true;
	shared->settings.n_backend_cidrs = 1;
	shared->settings.backend_cidrs[0] = test_prefix(prefix);
	sg_state_set_settings(&rig->state, shared);
}

void rig_deny_all(struct rig *rig, const char *text)
{
	struct sg_shared_policy *policy = sg_shared_policy_clone(rig->state.policy);
	struct sg_prefix prefix = test_prefix(text);

	assert_non_null(policy);
	assert_int_equal(sg_policy_spec_add_deny(&policy->spec, &prefix), 0);
	sg_state_set_policy(&rig->state, policy);
}

void rig_commit(struct rig *rig)
{
	struct sg_snapshot *before = rig->snapshot;
	struct sg_error error = {0};
	int err = sg_compiler_compile(
		rig->compiler, &rig->state, rig->routes, rig->now_ms, &rig->snapshot, &error);

	if (err)
		fail_msg("compile: %s", error.text);
	if (before)
		sg_compiler_reclaim(rig->compiler, before);
}

// `note` is what the packet brings along.
static const struct sg_pkt *run_pkt(
	struct rig *rig, unsigned worker, const struct frame *frame, const struct sg_pkt *note)
{
	struct sg_burst *burst = &rig->burst;

	rig->out = *frame;
	memcpy(rig->buffer + RIG_HEAD, frame->bytes, sizeof(frame->bytes));
	burst->n = 1;
	burst->pkts[0] = (struct sg_pkt){.bytes = rig->buffer + RIG_HEAD,
		.length = frame->length,
		.head = RIG_HEAD,
		.room = FRAME_ROOM,
		.port = note->port,
		.told_slot = note->told_slot,
		.told_generation = note->told_generation,
		.flags = note->flags};
	sg_pipeline_run(rig->pipelines[worker], rig->snapshot, burst);
	rig->out.length = burst->pkts[0].length;
	memcpy(rig->out.bytes, burst->pkts[0].bytes, rig->out.length);
	if (burst->pkts[0].verdict == SG_VERDICT_DROP)
		rig_drops_seen[burst->pkts[0].drop] = true;
	return &burst->pkts[0];
}

const struct sg_pkt *rig_run(
	struct rig *rig, unsigned worker, uint8_t port, uint16_t flags, const struct frame *frame)
{
	return run_pkt(rig, worker, frame, &(struct sg_pkt){.port = port, .flags = flags});
}

const struct sg_pkt *rig_deliver(struct rig *rig, unsigned worker, uint8_t port,
	const struct frame *frame, unsigned *ret_worker, unsigned *ret_hops)
{
	return rig_deliver_flagged(rig, worker, port, 0, frame, ret_worker, ret_hops);
}

const struct sg_pkt *rig_deliver_flagged(struct rig *rig, unsigned worker, uint8_t port,
	uint16_t flags, const struct frame *frame, unsigned *ret_worker, unsigned *ret_hops)
{
	const struct sg_pkt *pkt = rig_run(rig, worker, port, flags, frame);

	*ret_hops = 0;
	while (pkt->verdict == SG_VERDICT_HANDOFF) {
		struct sg_pkt note = *pkt;

		assert_int_not_equal(note.target, worker);
		assert_true(++*ret_hops <= 3);
		assert_memory_equal(rig->out.bytes, frame->bytes, frame->length);
		note.flags = (uint16_t)(flags | SG_PKT_HANDED_OFF |
					(note.flags & (SG_PKT_ASKS | SG_PKT_TOLD)));
		worker = note.target;
		pkt = run_pkt(rig, worker, frame, &note);
	}
	*ret_worker = worker;
	return pkt;
}

unsigned rig_home(const struct rig *rig, struct frame *frame)
{
	struct sg_tuple tuple = {0};

	memcpy(&tuple.sport_be, frame_l4(frame), 4);
	if (frame_is_ipv6(frame))
		return sg_home_of_tuple6(&rig->home, &frame_ip6(frame)->pair, &tuple);
	memcpy(&tuple.src_be, &frame_ip(frame)->src_be, 8);
	return sg_home_of_tuple4(&rig->home, &tuple);
}

void rig_grant(struct rig *rig)
{
	struct sg_wish wish;

	for (unsigned i = 0; i < rig->n_workers; i++) {
		while (sg_wishes_take(rig->pipelines[i]->wishes, &wish)) {
			if (wish.mtu)
				sg_tunnels_note(&rig->tunnels, rig->snapshot, &wish.addr, wish.mtu,
					sg_ticks_from_ms(rig->now_ms));
		}
	}
}

void rig_pass_ms(struct rig *rig, uint64_t ms)
{
	rig->now_ms += ms;
	for (unsigned i = 0; i < rig->n_workers; i++)
		sg_pipeline_set_time(rig->pipelines[i], rig->now_ms);
}

void rig_sweep(struct rig *rig)
{
	for (unsigned i = 0; i < rig->n_workers; i++) {
		uint64_t target = rig->totals[i].sweeps + 2;

		while (rig->totals[i].sweeps < target) {
			// Time is what the sweep's share of records is counted by.
			rig->pipelines[i]->swept_ms = 0;
			sg_pipeline_sweep(rig->pipelines[i], rig->snapshot);
		}
	}
}
