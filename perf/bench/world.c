// Builds the gateway of world.h.
#include "bench/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "flow/snat.h"
#include "net/checksum.h"
#include "net/headers.h"

static const uint8_t port_macs[2][6] = {{2, 0, 0, 0, 0x57, 0}, {2, 0, 0, 0, 0x57, 1}};

static uint32_t client_be(uint32_t flow)
{
	// An odd factor is a bijection on 30 bits; 11.0.0.0 upwards are hosts.
	return __builtin_bswap32(0x0b000000 + (flow * UINT32_C(0x9e3779b1) & 0x3fffffff));
}

static uint16_t client_port_be(uint32_t flow)
{
	return (uint16_t)(sg_mix64(flow) | 1);
}

static uint32_t vip_be(unsigned service)
{
	return __builtin_bswap32(0xcb000000 + service);
}

// The address of a number in the family of the world.
static struct sg_addr addr_of(const struct sg_world_options *options, uint32_t number_be)
{
	struct sg_addr addr = {.family = SG_FAMILY_IPV6, .bytes = {0x20, 0x01, 0x0d, 0xb8}};

	if (!options->ipv6)
		return sg_addr_from_ipv4(number_be);
	if ((uint8_t)number_be == 10)
		memcpy(addr.bytes, (const uint8_t[4]){0xfd}, 4);
	memcpy(addr.bytes + 12, &number_be, 4);
	return addr;
}

struct sg_service_spec *sg_world_service(const struct sg_world_options *options, unsigned number)
{
	char name[32];
	struct sg_service_spec *spec;

	snprintf(name, sizeof(name), "service-%u", number);
	spec = sg_service_spec_create(name, "bench");
	if (!spec)
		sg_bench_die("no memory");
	spec->vips[0] = addr_of(options, vip_be(number));
	spec->n_vips = 1;
	spec->protocol = SG_PROTO_TCP;
	spec->port = 80;
	spec->scheduler = options->scheduler;
	spec->forward = options->forward;
	spec->maglev_table_size = 1021;
	for (unsigned i = 0; i < options->backends; i++) {
		struct sg_backend_spec backend = {
			.port = options->forward >= SG_FORWARD_DSR ? 80 : 8080, .weight = 1};

		backend.address = addr_of(options,
			__builtin_bswap32(0x0a000000 + number * options->backends + i + 1));
		sg_service_spec_put_backend(spec, &backend);
	}
	return spec;
}

// For dsr the pods' network is on the link, and every backend a neighbour.
static void put_on_link(struct sg_routes *routes, const struct sg_world_options *options,
	struct sg_trie_entry *pods)
{
	uint32_t n = options->services * options->backends;

	pods->value = SG_ROUTE_VALUE(SG_ROUTE_ON_LINK, 1, 0);
	sg_index_unref(routes->neighbours4);
	routes->neighbours4 = sg_index_create(n);
	sg_index6_unref(routes->neighbours6);
	routes->neighbours6 = sg_index6_create(n);
	for (uint32_t i = 1; i <= n; i++) {
		uint32_t number_be = __builtin_bswap32(0x0a000000 + i);
		struct sg_addr addr = addr_of(options, number_be);

		if (options->ipv6)
			sg_index6_put(routes->neighbours6, addr.bytes, 1, 2);
		else
			sg_index_put(routes->neighbours4, SG_NEIGHBOUR_KEY(1, number_be), 2);
	}
}

static struct sg_routes *make_routes(const struct sg_world_options *options)
{
	struct sg_routes *routes = sg_routes_create_empty();
	struct sg_trie_entry entries[2] = {{.value = SG_ROUTE_VALUE(SG_ROUTE_HOP, 0, 1)},
		{.value = SG_ROUTE_VALUE(SG_ROUTE_HOP, 1, 2)}};

	sg_prefix_parse(options->ipv6 ? "::/0" : "0.0.0.0/0", &entries[0].prefix, NULL);
	sg_prefix_parse(options->ipv6 ? "fd00::/16" : "10.0.0.0/8", &entries[1].prefix, NULL);
	free(routes->hops);
	routes->hops = calloc(3, sizeof(routes->hops[0]));
	routes->n_hops = 3;
	routes->hops[1] =
		(struct sg_hop){.port = 0, .kind = SG_HOP_PORT, .dst_mac = {2, 1}, .src_mac = {2}};
	routes->hops[2] =
		(struct sg_hop){.port = 1, .kind = SG_HOP_PORT, .dst_mac = {2, 2}, .src_mac = {2}};
	if (options->forward == SG_FORWARD_DSR)
		put_on_link(routes, options, &entries[1]);
	sg_trie_unref(routes->ipv4);
	routes->ipv4 = sg_trie_create(entries, 2, SG_FAMILY_IPV4);
	sg_trie_unref(routes->ipv6);
	routes->ipv6 = sg_trie_create(entries, 2, SG_FAMILY_IPV6);
	return routes;
}

static void open_pipeline(struct sg_world *world)
{
	const struct sg_world_options *options = &world->options;
	struct sg_pipeline_port ports[2] = {{.mtu = 1500}, {.mtu = 1500}};
	struct sg_addr addresses[SG_MAX_SNAT_ADDRESSES];
	size_t bytes = sg_pipeline_bytes(options->max_flows);

	for (unsigned i = 0; i < options->snat_addresses; i++)
		addresses[i] = addr_of(options, __builtin_bswap32(0x0aff0001 + i));
	sg_home_init(&world->home, sg_toeplitz_default_key, 1);
	world->snat = sg_snat_pool_create(
		&world->home, addresses, options->snat_addresses, 1024, 65535, NULL);
	memcpy(ports[0].mac, port_macs[0], 6);
	memcpy(ports[1].mac, port_macs[1], 6);
	world->counters = (struct sg_worker_counters){.totals = &world->totals,
		.services = calloc(SG_MAX_SERVICES, sizeof(struct sg_traffic)),
		.service_losses = calloc(SG_MAX_SERVICES, sizeof(struct sg_losses)),
		.backend_losses = calloc(SG_MAX_BACKENDS, sizeof(struct sg_losses)),
		// As a worker has them, on pages as the table's.
		.backends =
			sg_bench_memory(world->bench, SG_MAX_BACKENDS * sizeof(struct sg_traffic))};
	world->memory = sg_bench_memory(world->bench, bytes);
	memset(world->memory, 0, bytes);
	world->tunnels.notes = calloc(SG_MAX_BACKENDS, sizeof(uint64_t));
	if (options->ipv6)
		world->addresses =
			sg_bench_memory(world->bench, sg_flow_addresses_bytes(options->max_flows));
	world->pipeline =
		sg_pipeline_init(world->memory, &(struct sg_pipeline_settings){.n_workers = 1,
							.ports = ports,
							.n_ports = 2,
							.home = &world->home,
							.snat = world->snat,
							.snat_port_min = 1024,
							.snat_port_max = 65535,
							.max_flows = options->max_flows,
							.addresses = world->addresses,
							.tunnels = &world->tunnels,
							.counters = &world->counters});
}

void sg_world_open(
	struct sg_world *world, struct sg_bench *bench, const struct sg_world_options *options)
{
	struct sg_error error;

	memset(world, 0, sizeof(*world));
	world->bench = bench;
	world->options = *options;
	sg_settings_init(&world->settings);
	sg_state_init(&world->state);
	for (unsigned i = 0; i < options->services; i++)
		sg_state_put(&world->state, sg_world_service(options, i));
	world->routes = make_routes(options);
	world->compiler = sg_compiler_create(&world->settings);
	if (sg_compiler_compile(
		    world->compiler, &world->state, world->routes, 0, &world->snapshot, &error) < 0)
		sg_bench_die("%s", error.text);
	world->now_ms = 1000000;
	if (options->no_worker)
		return;
	open_pipeline(world);
	sg_world_pass_ms(world, 1);
}

void sg_world_close(struct sg_world *world)
{
	sg_bench_free(world->memory);
	if (world->addresses)
		sg_bench_free(world->addresses);
	free(world->tunnels.notes);
	free(world->counters.services);
	free(world->counters.service_losses);
	free(world->counters.backend_losses);
	sg_bench_free(world->counters.backends);
	free(world->replies);
	free(world->reply_pairs);
	sg_snat_pool_destroy(world->snat);
	sg_compiler_destroy(world->compiler);
	sg_state_fini(&world->state);
	sg_routes_unref(world->routes);
}

void sg_world_pass_ms(struct sg_world *world, uint64_t ms)
{
	world->now_ms += ms;
	sg_pipeline_set_time(world->pipeline, world->now_ms);
}

static struct sg_tcp_hdr *put_ipv4(struct sg_eth_hdr *eth, const struct sg_tuple *tuple)
{
	struct sg_ipv4_hdr *ip = (void *)(eth + 1);

	eth->ethertype_be = __builtin_bswap16(SG_ETHERTYPE_IPV4);
	*ip = (struct sg_ipv4_hdr){.version_ihl = 0x45,
		.total_length_be = __builtin_bswap16(40),
		.ttl = 64,
		.proto = SG_PROTO_TCP,
		.src_be = tuple->src_be,
		.dst_be = tuple->dst_be};
	return (void *)(ip + 1);
}

static struct sg_tcp_hdr *put_ipv6(struct sg_eth_hdr *eth, const struct sg_pair6 *pair)
{
	struct sg_ipv6_hdr *ip = (void *)(eth + 1);

	eth->ethertype_be = __builtin_bswap16(SG_ETHERTYPE_IPV6);
	*ip = (struct sg_ipv6_hdr){.version_class_label_be = __builtin_bswap32(SG_IPV6_VERSION),
		.payload_length_be = __builtin_bswap16(20),
		.next = SG_PROTO_TCP,
		.hop_limit = 64,
		.pair = *pair};
	return (void *)(ip + 1);
}

static void write_checksums(struct sg_ipv4_hdr *ip, struct sg_tcp_hdr *tcp)
{
	uint64_t pseudo = sg_checksum_pseudo4(ip->src_be, ip->dst_be, SG_PROTO_TCP, sizeof(*tcp));

	ip->checksum = sg_checksum_finish(sg_checksum_add(0, ip, sizeof(*ip)));
	tcp->checksum = sg_checksum_finish(sg_checksum_add(pseudo, tcp, sizeof(*tcp)));
}

// A TCP segment without payload; the device vouches for its checksums, unless the world has none
// that does. `pair`: over IPv6.
static void put(struct sg_world *world, unsigned at, uint8_t *frame, uint8_t port, uint8_t flags,
	const struct sg_tuple *tuple, const struct sg_pair6 *pair)
{
	struct sg_eth_hdr *eth = (void *)(frame + SG_WORLD_HEAD_BYTES);
	struct sg_tcp_hdr *tcp;

	memcpy(eth->dst, port_macs[port], 6);
	tcp = world->options.ipv6 ? put_ipv6(eth, pair) : put_ipv4(eth, tuple);
	*tcp = (struct sg_tcp_hdr){.sport_be = tuple->sport_be,
		.dport_be = tuple->dport_be,
		.offset = 5 << 4,
		.flags = flags};
	world->burst.pkts[at] = (struct sg_pkt){.bytes = frame + SG_WORLD_HEAD_BYTES,
		.length = world->options.ipv6 ? 74 : 64,
		.head = SG_WORLD_HEAD_BYTES,
		.room = SG_WORLD_FRAME_BYTES,
		.port = port,
		.flags = SG_PKT_IP_GOOD | SG_PKT_L4_GOOD};
	if (!world->unchecked)
		return;
	write_checksums((void *)(eth + 1), tcp);
	world->burst.pkts[at].flags = 0;
}

void sg_world_client(struct sg_world *world, unsigned at, uint8_t *frame, uint32_t flow, bool syn)
{
	const struct sg_tuple tuple = {.src_be = client_be(flow),
		.dst_be = vip_be(flow % world->options.services),
		.sport_be = client_port_be(flow),
		.dport_be = __builtin_bswap16(80)};
	struct sg_pair6 pair = {.src = {0x20, 0x01, 0x0d, 0xb8}, .dst = {0x20, 0x01, 0x0d, 0xb8}};

	memcpy(pair.src + 12, &tuple.src_be, 4);
	memcpy(pair.dst + 12, &tuple.dst_be, 4);
	put(world, at, frame, 0, syn ? SG_TCP_SYN : SG_TCP_ACK, &tuple, &pair);
}

void sg_world_backend(struct sg_world *world, unsigned at, uint8_t *frame, uint32_t flow)
{
	put(world, at, frame, 1, SG_TCP_ACK, &world->replies[flow],
		world->options.ipv6 ? &world->reply_pairs[flow] : NULL);
}

void sg_world_confirm_burst(struct sg_world *world)
{
	for (unsigned i = 0; i < world->burst.n; i++) {
		sg_flow_ref ref = world->burst.pkts[i].ref;

		if (world->burst.pkts[i].verdict != SG_VERDICT_FORWARD)
			sg_bench_die("a flow was not made: %s",
				world->burst.pkts[i].drop ? sg_drop_name(world->burst.pkts[i].drop)
							  : "no drop");
		sg_flow_table_get(world->pipeline->flows, ref)->state = SG_FLOW_TCP_ESTABLISHED;
		sg_flow_table_confirm(world->pipeline->flows, ref);
	}
}

static void note_reply(struct sg_world *world, uint32_t flow, sg_flow_ref ref)
{
	const struct sg_flow_table *table = world->pipeline->flows;

	world->replies[flow] = sg_flow_table_get(table, ref)->server;
	if (world->options.ipv6)
		world->reply_pairs[flow] = sg_flow_table_addresses(table, ref)->server;
}

void sg_world_fill(struct sg_world *world, uint32_t n)
{
	world->replies = malloc((size_t)n * sizeof(world->replies[0]));
	world->n_flows = n;
	if (world->options.ipv6)
		world->reply_pairs = malloc((size_t)n * sizeof(world->reply_pairs[0]));
	if (!world->replies || (world->options.ipv6 && !world->reply_pairs))
		sg_bench_die("no memory");
	for (uint32_t flow = 0; flow < n; flow += world->burst.n) {
		world->burst.n = n - flow < SG_BENCH_BURST ? n - flow : SG_BENCH_BURST;
		for (unsigned i = 0; i < world->burst.n; i++)
			sg_world_client(world, i, world->frames[i], flow + i, true);
		sg_pipeline_run(world->pipeline, world->snapshot, &world->burst);
		sg_world_confirm_burst(world);
		for (unsigned i = 0; i < world->burst.n; i++)
			note_reply(world, flow + i, world->burst.pkts[i].ref);
	}
}
