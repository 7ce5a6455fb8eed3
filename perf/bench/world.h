// A gateway without a NIC for the pipeline's benchmarks: a configuration of so many services and
// backends, compiled, and one worker's pipeline over it, filled with so many flows.
//
// Everything is reached through a gateway on either side (clients 0.0.0.0/0, pods 10.0.0.0/8), as
// on a routed pod network. Service s has the VIP 203.0.x.y, TCP port 80; backend b of it
// is 10.x.y.b. A flow is a number, as in subject.h. Over IPv6 each address is the one of the same
// number in 2001:db8::/96, and pods' in fd00::/96.
#pragma once

#include "bench/bench.h"
#include "dataplane/pipeline.h"
#include "dataplane/tunnel.h"
#include "service/compiler.h"
#include "service/state.h"

#define SG_WORLD_HEAD_BYTES  64  // before a frame, for ipip's outer header
#define SG_WORLD_FRAME_BYTES 128 // a frame has 64 with padding, over IPv6 74

struct sg_world_options {
	unsigned services;
	unsigned backends;  // of each
	uint32_t max_flows; // the table's capacity
	uint32_t snat_addresses;
	enum sg_scheduler scheduler;
	enum sg_forward forward; // dsr, ipip: clients' packets are all there is
	bool ipv6;
	bool no_worker; // no pipeline: whoever asks for it makes workers of his own
};

struct sg_world {
	struct sg_bench *bench;
	struct sg_world_options options;
	struct sg_settings settings;
	struct sg_state state;
	struct sg_compiler *compiler;
	struct sg_routes *routes;
	struct sg_snapshot *snapshot;
	struct sg_home home;
	struct sg_snat_pool *snat;
	struct sg_counters totals;
	struct sg_worker_counters counters;
	struct sg_pipeline *pipeline;
	struct sg_tunnels tunnels;
	void *memory;
	void *addresses; // of IPv6 flows
	uint64_t now_ms;
	struct sg_tuple *replies;     // [n_flows] by flow: the tuple of its backend's packets
	struct sg_pair6 *reply_pairs; // [n_flows] their addresses, over IPv6
	uint32_t n_flows;
	bool unchecked; // IPv4: checksums are right, but no device vouches for them
	struct sg_burst burst;
	_Alignas(64) uint8_t frames[SG_BENCH_BURST][SG_WORLD_HEAD_BYTES + SG_WORLD_FRAME_BYTES];
};

void sg_world_open(
	struct sg_world *world, struct sg_bench *bench, const struct sg_world_options *options);
void sg_world_close(struct sg_world *world);

// Service `number` as the desired state has it; the caller's reference.
struct sg_service_spec *sg_world_service(const struct sg_world_options *options, unsigned number);

// Makes flows 0 to n - 1, each established.
void sg_world_fill(struct sg_world *world, uint32_t n);

// Puts a packet into place `at` of the burst: a flow's client sending (a SYN, or a plain segment),
// or its backend. `frame` has SG_WORLD_HEAD_BYTES and SG_WORLD_FRAME_BYTES, and keeps the packet's
// bytes behind its head.
void sg_world_client(struct sg_world *world, unsigned at, uint8_t *frame, uint32_t flow, bool syn);
void sg_world_backend(struct sg_world *world, unsigned at, uint8_t *frame, uint32_t flow);

// Makes the flows of the burst that was run established, as if their handshakes had come.
void sg_world_confirm_burst(struct sg_world *world);
void sg_world_pass_ms(struct sg_world *world, uint64_t ms);
