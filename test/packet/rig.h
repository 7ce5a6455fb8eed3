// The whole of load balancing without EAL: one or several pipelines over a snapshot, fed with
// frames.
//
//     clients 198.51.100.0/24 --- port 0 --- stormgate --- port 1 --- pods 10.0.0.0/24
//     203.0.113.0/24 behind .1    .11                      .11        .2, .3; .9 is unresolved
//                                                                     10.1.0.0/16 behind .3
//
// Port 2 is VLAN 100 of port 0: 198.18.0.0/24, .11 is the kernel's, .7 a known client, .8 a pod.
//
// In the family of the test (frames.h). VIP 192.0.2.10, SNAT address 10.0.0.100. Client
// 198.51.100.7 is a known neighbour, 198.51.100.8 is not.
#pragma once

#include "dataplane/pipeline.h"
#include "dataplane/tunnel.h"
#include "frames.h"
#include "service/compiler.h"
#include "service/state.h"

#define VIP    "192.0.2.10"
#define SNAT   "10.0.0.100"
#define CLIENT "198.51.100.7"
#define POD    "10.0.0.2"
#define POD2   "10.0.0.3"

enum {
	HOP_GATEWAY = 1,
	HOP_CLIENT,
	HOP_POD,
	HOP_POD2,
	HOP_UNRESOLVED_POD,
	HOP_TWIN0,
	HOP_TWIN1,
	HOP_VLAN_CLIENT,
	HOP_VLAN_POD,
	HOP_TWIN2,
	N_HOPS,
};

#define RIG_VLAN        100
#define RIG_MAX_WORKERS 8
#define RIG_HEAD        128 // bytes before a frame, as in a packet's buffer

// Every reason that any run has dropped a packet for.
extern bool rig_drops_seen[SG_DROP_COUNT];

struct rig {
	struct sg_settings settings;
	struct sg_state state;
	struct sg_compiler *compiler;
	struct sg_routes *routes;
	struct sg_snapshot *snapshot;
	struct sg_home home;
	struct sg_snat_pool *snat;
	struct sg_tunnels tunnels;
	unsigned n_workers;
	struct sg_counters totals[RIG_MAX_WORKERS];
	struct sg_worker_counters counters[RIG_MAX_WORKERS];
	struct sg_pipeline *pipelines[RIG_MAX_WORKERS];
	void *memories[RIG_MAX_WORKERS], *addresses[RIG_MAX_WORKERS], *limits[RIG_MAX_WORKERS];
	uint64_t now_ms;
	struct sg_burst burst; // of the last run
	uint8_t buffer[RIG_HEAD + FRAME_ROOM];
	struct frame out; // bytes of the last packet run alone, out of the buffer
};

struct rig_options {
	unsigned n_workers;  // 0: 1
	uint32_t max_flows;  // 0: 1024
	uint16_t snat_ports; // 0: all from 1024
	bool no_snat;        // no SNAT address
	enum sg_unserved unserved;
	const char *backend_cidr;      // NULL: backends may lie anywhere
	uint32_t tcp, tcp_half_closed; // timeouts in seconds; 0: the default
};

void rig_open(struct rig *rig, const struct rig_options *options);
void rig_close(struct rig *rig);

// Puts a service with one backend, POD:8080, into the state; edit the returned spec before
// rig_commit.
struct sg_service_spec *rig_service(
	struct rig *rig, const char *name, uint8_t protocol, uint16_t port);
void rig_backend(struct sg_service_spec *spec, const char *address, uint16_t port, uint16_t weight);
// Backends may lie in this prefix only, from the next commit on.
void rig_set_backend_cidr(struct rig *rig, const char *prefix);
// Denies a prefix at all services.
void rig_deny_all(struct rig *rig, const char *prefix);
// Compiles the state; the snapshot before is reclaimed.
void rig_commit(struct rig *rig);

// A neighbour behind a port, at one of the hops above.
void rig_neighbour(struct rig *rig, uint8_t port, const char *text, uint16_t hop);

// Runs one frame that came in on a port through a worker's pipeline. The result is
// rig->burst.pkts[0] and rig->out.
const struct sg_pkt *rig_run(
	struct rig *rig, unsigned worker, uint8_t port, uint16_t flags, const struct frame *frame);
// The same, and then from worker to worker as the rings would carry it, to where it is settled. At
// most three times: to the flow's home, to that of its client's affinity, and back. `ret_worker`:
// who settled it.
const struct sg_pkt *rig_deliver(struct rig *rig, unsigned worker, uint8_t port,
	const struct frame *frame, unsigned *ret_worker, unsigned *ret_hops);
// The worker that a frame's addresses and ports belong to.
unsigned rig_home(const struct rig *rig, struct frame *frame);
const struct sg_pkt *rig_deliver_flagged(struct rig *rig, unsigned worker, uint8_t port,
	uint16_t flags, const struct frame *frame, unsigned *ret_worker, unsigned *ret_hops);
// Does what workers have asked control for, as far as it is about tunnels.
void rig_grant(struct rig *rig);
void rig_pass_ms(struct rig *rig, uint64_t ms);
// Lets the ageing sweep pass every record of every worker.
void rig_sweep(struct rig *rig);
