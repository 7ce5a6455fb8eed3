// The packet's walk from end to end, and the memory that one worker needs for it.
#include "dataplane/pipeline.h"

#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "dataplane/flow_life.h"
#include "dataplane/recheck.h"

#define ANSWERS_PER_SECOND      10000
#define TUNNEL_NOTES_PER_SECOND 100
#define TUNNEL_NOTES_BURST      32
#define PUNTS_PER_SECOND        50000
#define URGENT_PUNTS_PER_SECOND 20000
#define LIMITER_BURST           1024

void sg_pipeline_run(
	struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot, struct sg_burst *burst)
{
	burst->generation = snapshot->generation;
	sg_stage_parse(pipeline, burst);
	sg_stage_lookup(pipeline, snapshot, burst);
	// fast path: a burst of known flows has nothing to decide.
	if (burst->n_misses > 0) {
		sg_stage_steer(pipeline, snapshot, burst);
		sg_stage_admit(pipeline, snapshot, burst);
		sg_stage_schedule(pipeline, snapshot, burst);
	}
	sg_stage_rewrite(pipeline, snapshot, burst);
}

static size_t align(size_t bytes)
{
	return (bytes + 63) & ~(size_t)63;
}

size_t sg_pipeline_bytes(uint32_t max_flows)
{
	return align(sizeof(struct sg_pipeline)) + align(sizeof(struct sg_wishes)) +
	       align(SG_MAX_BACKENDS * sizeof(uint32_t)) +
	       align(SG_MAX_SERVICES * SG_SET_COUNT * sizeof(uint32_t)) +
	       align(SG_LEARNED_ENTRIES * sizeof(struct sg_learned_client)) +
	       align(sg_flow_table_bytes(max_flows));
}

static void *take(uint8_t **at, size_t bytes)
{
	void *taken = *at;

	*at += align(bytes);
	return taken;
}

static void set_timeouts(struct sg_flow_timeouts *flow, const struct sg_timeouts *seconds)
{
	const struct {
		enum sg_flow_state state;
		uint32_t seconds;
	} rows[] = {
		{SG_FLOW_TCP_SYN, seconds->syn},
		{SG_FLOW_TCP_SYN_ACK, seconds->syn},
		{SG_FLOW_TCP_ESTABLISHED, seconds->tcp},
		{SG_FLOW_TCP_HALF_CLOSED, seconds->tcp_half_closed},
		{SG_FLOW_TCP_CLOSING, seconds->tcp_half_closed},
		{SG_FLOW_TCP_CLOSED, seconds->tcp_fin},
		{SG_FLOW_UDP_NEW, seconds->udp_new},
		{SG_FLOW_UDP_REPLIED, seconds->udp_new},
		{SG_FLOW_UDP, seconds->udp},
		{SG_FLOW_UDP_RELEASED, SG_RELEASED_SECONDS},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		flow->ticks[rows[i].state] = sg_ticks_from_seconds(rows[i].seconds);
}

// A connection may come in by one device's VLAN and go on by another's of the same number.
static void note_vlans(
	struct sg_pipeline *pipeline, const struct sg_pipeline_vlan *vlans, unsigned n_vlans)
{
	static_assert(SG_MAX_PORTS - 1 <= SG_DOMAIN_PORT, "a port's number fits a tuple's domain");
	pipeline->n_vlans = n_vlans;
	for (unsigned i = 0; i < n_vlans; i++) {
		unsigned first = 0;

		pipeline->vlans[i] = vlans[i];
		while (vlans[first].id != vlans[i].id)
			first++;
		pipeline->domains[vlans[i].port] = vlans[first].port;
	}
}

struct sg_pipeline *sg_pipeline_init(void *memory, const struct sg_pipeline_settings *settings)
{
	uint8_t *at = memory;
	struct sg_pipeline *pipeline = take(&at, sizeof(*pipeline));
	struct sg_hash_key key;

	sg_random_bytes(&key, sizeof(key));
	sg_random_bytes(&pipeline->random, sizeof(pipeline->random));
	pipeline->random |= 1;
	sg_snat_turns_init(&pipeline->snat_turns, &pipeline->random);
	pipeline->worker = settings->worker;
	pipeline->n_workers = settings->n_workers;
	pipeline->n_ports = settings->n_ports;
	memcpy(pipeline->ports, settings->ports, settings->n_ports * sizeof(settings->ports[0]));
	note_vlans(pipeline, settings->vlans, settings->n_vlans);
	pipeline->home = settings->home;
	pipeline->snat = settings->snat;
	pipeline->has_snat4 = settings->snat && sg_snat_pool_has(settings->snat, SG_FAMILY_IPV4);
	pipeline->has_snat6 = settings->snat && sg_snat_pool_has(settings->snat, SG_FAMILY_IPV6);
	pipeline->snat_port_min = settings->snat_port_min;
	pipeline->snat_port_max = settings->snat_port_max;
	pipeline->counters = *settings->counters;
	pipeline->loads = settings->loads;
	pipeline->tunnels = settings->tunnels;
	pipeline->sum_chain = settings->sum_chain;
	sg_limiter_init(&pipeline->answers, ANSWERS_PER_SECOND, LIMITER_BURST);
	sg_limiter_init(&pipeline->tunnel_notes, TUNNEL_NOTES_PER_SECOND, TUNNEL_NOTES_BURST);
	sg_limiter_init(&pipeline->punts, PUNTS_PER_SECOND, LIMITER_BURST);
	sg_limiter_init(&pipeline->urgent_punts, URGENT_PUNTS_PER_SECOND, LIMITER_BURST);

	pipeline->wishes = take(&at, sizeof(*pipeline->wishes));
	pipeline->backend_flows = take(&at, SG_MAX_BACKENDS * sizeof(uint32_t));
	pipeline->cursors = take(&at, SG_MAX_SERVICES * SG_SET_COUNT * sizeof(uint32_t));
	pipeline->learned.clients =
		take(&at, SG_LEARNED_ENTRIES * sizeof(struct sg_learned_client));
	pipeline->flows = sg_flow_table_init(at, settings->max_flows, &key);
	sg_flow_table_attach_addresses(pipeline->flows, settings->addresses);
	pipeline->taken = pipeline->flows;
	if (settings->limits)
		sg_limits_init(&pipeline->limits, settings->limits, settings->max_flows);
	return pipeline;
}

void sg_pipeline_set_time(struct sg_pipeline *pipeline, uint64_t now_ms)
{
	if (pipeline->now_ms == now_ms)
		return;
	pipeline->now_ms = now_ms;
	pipeline->now_ticks = sg_ticks_from_ms(now_ms);
	sg_limiter_fill(&pipeline->answers, now_ms);
	sg_limiter_fill(&pipeline->tunnel_notes, now_ms);
	sg_limiter_fill(&pipeline->punts, now_ms);
	sg_limiter_fill(&pipeline->urgent_punts, now_ms);
}

// How many records have come due since the last turn; what is not done today is not owed tomorrow.
static uint32_t sweep_share(struct sg_pipeline *pipeline)
{
	uint64_t elapsed_ms = pipeline->now_ms - pipeline->swept_ms;

	if (elapsed_ms > 0) {
		uint64_t due =
			elapsed_ms * sg_flow_table_max(pipeline->flows) / SG_SWEEP_PASS_MS + 1;

		pipeline->swept_ms = pipeline->now_ms;
		pipeline->sweep_left = due > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)due;
	}
	return pipeline->sweep_left < SG_SWEEP_PER_TURN ? pipeline->sweep_left : SG_SWEEP_PER_TURN;
}

static void sweep(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot)
{
	uint32_t n_records = sweep_share(pipeline);
	uint32_t first = sg_flow_table_sweep_at(pipeline->flows);
	sg_flow_ref refs[SG_SWEEP_PER_TURN];
	unsigned wrapped = 0;
	unsigned n;

	if (n_records == 0)
		return;
	if (__builtin_expect(pipeline->settings_since != snapshot->settings_since, 0)) {
		set_timeouts(&pipeline->timeouts, &snapshot->timeouts);
		pipeline->settings_since = snapshot->settings_since;
	}
	pipeline->sweep_left -= n_records;
	n = sg_flow_table_sweep(pipeline->flows, n_records, pipeline->now_ticks,
		&pipeline->timeouts, refs, SG_SWEEP_PER_TURN, &wrapped);
	sg_flow_end_bulk(pipeline, refs, n);
	sg_recheck_tenants(pipeline, snapshot, first, n_records);
	if (wrapped)
		sg_counter_add(&pipeline->counters.totals->sweeps, wrapped);
}

void sg_pipeline_sweep(struct sg_pipeline *pipeline, const struct sg_snapshot *snapshot)
{
	sweep(pipeline, snapshot);
	if (sg_recheck_is_due(pipeline, snapshot))
		sg_recheck_turn(pipeline, snapshot);
}
