// What the data plane has counted, summed over its threads.
//
// Workers' counters only grow and outlive what they count: a slot that is given to another service
// or backend goes on from where it was. So control notes a baseline when something begins to live
// in a slot, and subtracts it here. Gauges (flows) need none: what begins in a slot begins with no
// flow.
//
// A service's packets are those of its backends, present and past: when a backend's slot is given
// to another, what it has counted is kept with its service. Control thread only.
#pragma once

#include <stdint.h>

#include "control/publisher.h"

struct sg_statistics;

// `publisher` must outlive it. NULL without memory.
struct sg_statistics *sg_statistics_create(const struct sg_publisher *publisher);
void sg_statistics_destroy(struct sg_statistics *statistics); // NULL is fine

// Something new lives in the slot: it counts from zero. Slots are those of the compiler.
void sg_statistics_begin_service(struct sg_statistics *statistics, uint32_t slot);
void sg_statistics_begin_backend(
	struct sg_statistics *statistics, uint32_t slot, uint32_t service_slot);

// Since it began; `flows`: open now.
struct sg_statistics_traffic {
	uint64_t flows;
	uint64_t new_flows;
	uint64_t packets_to_backend, bytes_to_backend;
	uint64_t packets_to_client, bytes_to_client;
	uint64_t dropped;                          // all of the following
	uint64_t losses[2][SG_SERVICE_DROP_COUNT]; // as in struct sg_losses
};

void sg_statistics_service(const struct sg_statistics *statistics, uint32_t slot,
	struct sg_statistics_traffic *ret_traffic);
void sg_statistics_backend(const struct sg_statistics *statistics, uint32_t slot,
	struct sg_statistics_traffic *ret_traffic);

// Packets of one thread or of all. received + generated + handed_in = forwarded + punted + consumed
// + dropped + handed_out + in_flight for one, and without the hand-offs for all; exactly so at
// quiescent moments.
struct sg_statistics_packets {
	uint64_t received, generated, forwarded, punted, consumed;
	uint64_t handed_in, handed_out;
	uint64_t in_flight;
	uint64_t dropped[SG_DROP_COUNT];
};

// `thread`: a worker, or n_workers for the twins'.
void sg_statistics_thread(const struct sg_statistics *statistics, unsigned thread,
	struct sg_statistics_packets *ret_packets);
void sg_statistics_all(
	const struct sg_statistics *statistics, struct sg_statistics_packets *ret_packets);
// Flows in all tables.
uint64_t sg_statistics_flows(const struct sg_statistics *statistics);
