// What each worker counts. One writer (the worker that owns the block), any number of readers.
//
// Counters are 64 bits, only grow, and are never reset: the writer uses plain stores through
// sg_counter_add, readers relaxed loads through sg_counter_read, so a reader sees each counter
// whole but not all of them at one instant. At any quiescent moment, for each block,
//
//     received + generated + handed_in =
//         forwarded + punted + consumed + dropped + handed_out + held
//
// and in the sum over all blocks (workers and the twins' thread) handed_in = handed_out.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "service/drop.h"
#include "service/limits.h"

typedef uint64_t sg_counter;

static inline void sg_counter_add(sg_counter *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static inline uint64_t sg_counter_read(const sg_counter *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

// Packets, and bytes of Ethernet frames without FCS. `to_backend` is client to backend.
struct sg_traffic {
	sg_counter packets_to_backend;
	sg_counter bytes_to_backend;
	sg_counter packets_to_client;
	sg_counter bytes_to_client;
	sg_counter flows_created;
	sg_counter flows_ended;
	sg_counter reserved[2];
};

// Lost packets by direction (0 to the backend, 1 to the client) and enum sg_service_drop.
struct sg_losses {
	sg_counter by_number[2][SG_SERVICE_DROP_COUNT];
};

struct sg_counters {
	sg_counter received;   // from a port's receive queue
	sg_counter generated;  // what we originate, what the kernel sends, what fragmenting adds
	sg_counter forwarded;  // handed to a port's transmit queue
	sg_counter punted;     // handed to the kernel
	sg_counter consumed;   // answered, or merged by reassembly
	sg_counter handed_out; // given to another thread
	sg_counter handed_in;  // taken from another thread
	uint64_t held;         // a gauge: waiting for a next hop, or for other fragments, right now
	sg_counter dropped[SG_DROP_COUNT];

	sg_counter turns; // of the worker's loop
	sg_counter flows_created;
	sg_counter flows_ended;
	sg_counter embryos_recycled;
	uint64_t flows;         // a gauge: live records in this worker's table
	uint64_t embryos;       // a gauge
	sg_counter sweeps;      // full passes of the ageing sweep over this worker's table
	sg_counter sleeps;      // adaptive polling: times the worker slept
	sg_counter stolen_gaps; // times the loop stood still for over 1 ms
	uint64_t stolen_max_us; // the longest of them
	uint64_t generation;    // of the snapshot that this worker used in its last turn
};

// The blocks of one worker, indexed by slot. They belong to two large mappings: that of the losses
// the kernel fills page by page as packets are lost, the other as slots are used, or, on 2 MB
// pages, at start.
//
// Packets and bytes are counted at the backend alone, and so is what is lost of a flow: a service's
// are the sum over its backends. So a hit touches one line of counters, of however many services
// there are. `services` counts flows, and `service_losses` what is lost before a backend is known.
struct sg_worker_counters {
	struct sg_counters *totals;
	struct sg_traffic *services; // SG_MAX_SERVICES
	struct sg_traffic *backends; // SG_MAX_BACKENDS
	struct sg_losses *service_losses;
	struct sg_losses *backend_losses;
};

// How the blocks of several threads lie in memory: each begins a cache line, so that no line has
// two writers. `memory` and `losses` are zeroed and 64-byte aligned. Control thread, at start.
size_t sg_counters_bytes(unsigned n_threads);
size_t sg_losses_bytes(unsigned n_threads);
void sg_counters_lay_out(
	void *memory, void *losses, unsigned thread, struct sg_worker_counters *ret_counters);
