// The packet's walk: parse -> lookup -> steer -> admit -> schedule -> rewrite, and what one worker
// keeps for it.
//
// Each stage is one function over a burst, in one file named after it. Nothing here allocates,
// locks, logs or calls the kernel. A `struct sg_pipeline` belongs to one worker; only what is
// marked so is read by another thread.
#pragma once

#include <assert.h>
#include <stdint.h>

#include "dataplane/allowance.h"
#include "dataplane/learned.h"
#include "dataplane/limiter.h"
#include "dataplane/packet.h"
#include "dataplane/wishes.h"
#include "flow/snat.h"
#include "flow/table.h"
#include "net/checksum.h"
#include "net/toeplitz.h"
#include "service/counters.h"
#include "service/explanation.h"
#include "service/limits.h"
#include "service/snapshot.h"

struct sg_pipeline_port {
	uint8_t mac[6];
	uint16_t mtu; // bytes of IP packet
};
static_assert(sizeof(struct sg_pipeline_port) == 8, "parse compares a MAC as one word");

// A VLAN of a device is a port of its own: its frames are so tagged on the wire, and nowhere else.
struct sg_pipeline_vlan {
	uint16_t id;
	uint8_t device; // a port, too
	uint8_t port;
};

// Adds bytes of a chain to a checksum's partial sum; `offset` is from `pkt->bytes`. The only thing
// that a stage asks about what lies behind a packet's first piece.
typedef uint64_t sg_sum_chain_fn(
	const struct sg_pkt *pkt, uint64_t sum, uint32_t offset, uint32_t length);

struct sg_pipeline {
	// What never changes while the worker runs.
	unsigned worker;
	unsigned n_workers;
	unsigned n_ports;
	struct sg_pipeline_port ports[SG_MAX_PORTS];
	unsigned n_vlans;
	struct sg_pipeline_vlan vlans[SG_MAX_PORTS];
	uint8_t domains[SG_MAX_PORTS]; // by port, of tuples: 0 for devices, the same for one VLAN
	const struct sg_home *home;
	const struct sg_snat_pool *snat; // NULL: no SNAT address
	bool has_snat4, has_snat6;       // an address of the family
	uint16_t snat_port_min, snat_port_max;

	// On a dry run (explain.h) the reasons are noted here; workers have NULL.
	struct sg_explanation *trace;
	// Where it is seen what is taken: `flows`, or on a dry run the worker's, which is only read
	// then.
	const struct sg_flow_table *taken;

	// The worker's own.
	struct sg_flow_table *flows;        // control reads it with sg_flow_table_read
	struct sg_worker_counters counters; // control reads them
	uint32_t *backend_flows; // [SG_MAX_BACKENDS] live flows of this worker; control reads them
	uint32_t *cursors; // [SG_MAX_SERVICES * SG_SET_COUNT] rr, wrr: where this worker stands
	struct sg_learned learned;
	struct sg_wishes *wishes;       // control reads it
	struct sg_limiter answers;      // RST and ICMP errors that we originate
	struct sg_limiter tunnel_notes; // what control is told of the ways to backends
	struct sg_limiter punts;
	struct sg_limiter urgent_punts;
	uint64_t random;
	uint64_t now_ms; // both set before each burst by sg_pipeline_set_time
	uint32_t now_ticks;
	uint64_t swept_ms;                // until when the sweep's share of records is counted
	uint32_t sweep_left;              // records due
	struct sg_flow_timeouts timeouts; // of the snapshot
	uint64_t settings_since;          // of the snapshot that they were taken from
	uint64_t policy_epoch; // of the snapshot that all flows were last held against, see
			       // recheck.h
	uint64_t rechecking;   // the epoch that they are being held against
	uint32_t recheck_at;   // the next record to look at
	struct sg_snat_turns snat_turns;
	struct sg_limit_tables limits;

	// What all workers together have on each backend, for lc and wlc: written by control, see
	// dataplane/loads.h.
	const struct sg_loads *loads; // NULL with one worker: its own count is exact
	const struct sg_tunnels
		*tunnels; // written by control, see tunnel.h; NULL: nothing is noted
	sg_sum_chain_fn *sum_chain;
};

struct sg_pipeline_settings {
	unsigned worker;
	unsigned n_workers;
	const struct sg_pipeline_port *ports;
	unsigned n_ports;
	const struct sg_pipeline_vlan *vlans;
	unsigned n_vlans;
	const struct sg_home *home;
	const struct sg_snat_pool *snat;
	uint16_t snat_port_min, snat_port_max;
	uint32_t max_flows;
	void *addresses; // sg_flow_addresses_bytes(max_flows), zeroed: filled by IPv6 flows only
	const struct sg_worker_counters *counters;
	void *limits; // sg_limits_bytes(max_flows) of zeroed memory; NULL: no service has limits
	const struct sg_loads *loads;
	const struct sg_tunnels *tunnels; // NULL: MTUs behind the gateway are not remembered
	sg_sum_chain_fn *sum_chain;       // NULL: there are no chains
};

// Adds bytes of a packet to a checksum's partial sum, wherever they lie.
static inline uint64_t sg_pkt_sum(const struct sg_pipeline *pipeline, const struct sg_pkt *pkt,
	uint64_t sum, uint32_t offset, uint32_t length)
{
	if (__builtin_expect(pkt->contiguous == 0 || offset + length <= pkt->contiguous, 1))
		return sg_checksum_add(sum, pkt->bytes + offset, length);
	return pipeline->sum_chain(pkt, sum, offset, length);
}

// Whether an IPv6 packet has the addresses of the flow that its key names.
static inline bool sg_pkt_is_of(
	const struct sg_pipeline *pipeline, const struct sg_pkt *pkt, sg_flow_ref ref)
{
	return sg_pair6_equal(sg_flow_pair(sg_flow_table_addresses(pipeline->flows, ref),
				      sg_flow_ref_direction(ref)),
		&sg_pkt_ip6(pkt)->pair);
}

// The domain of a tuple whose packets come in on a port from this IPv6 address.
static inline uint8_t sg_pipeline_domain6(
	const struct sg_pipeline *pipeline, uint8_t port, const uint8_t src[16])
{
	return sg_is_link_local6(src) ? SG_DOMAIN_LINK | port : pipeline->domains[port];
}

// Lays out one worker's pipeline in memory of sg_pipeline_bytes(max_flows), zeroed and 64-byte
// aligned. Control thread, at start.
size_t sg_pipeline_bytes(uint32_t max_flows);
struct sg_pipeline *sg_pipeline_init(void *memory, const struct sg_pipeline_settings *settings);

// Once a turn, before its bursts. `now_ms` is sg_clock_ms().
void sg_pipeline_set_time(struct sg_pipeline *pipeline, uint64_t now_ms);

// Judges every packet of a burst: afterwards each has a verdict.
void sg_pipeline_run(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_burst *burst);

// Ages the next records of the flow table. Once a turn: at most SG_SWEEP_PER_TURN records, and no
// more than it takes to pass the whole table every SG_SWEEP_PASS_MS, which is how late a flow may
// be aged out. What a new snapshot means for flows that exist is found here as well, see recheck.h.
void sg_pipeline_sweep(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot);

#define SG_SWEEP_PER_TURN 64
#define SG_SWEEP_PASS_MS  4000

// Up to so many pages of backends, their words and counters stay in the cache by themselves.
#define SG_FEW_PAGES 4

// The stages, in order. Each header-less function has its sentence at the top of its file.
void sg_stage_parse(struct sg_pipeline *pipeline, struct sg_burst *burst);
void sg_stage_lookup(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_burst *burst);
void sg_stage_steer(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_burst *burst);
void sg_stage_admit(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_burst *burst);
void sg_stage_schedule(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_burst *burst);
void sg_stage_rewrite(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_burst *burst);
