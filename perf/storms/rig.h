// The gateway's data plane in this process, between two rings: one worker, driven turn by turn on a
// CPU of its own, and the packets for it. The control thread is the real one, on another CPU.
//
// Time here is the worker's: it passes while a turn runs, and stands still while packets are made
// and counted between turns. Packets are due at a rate in that time, wait in the ring until a turn
// takes them, and their latency is from the moment they were due until the end of the turn that
// sent them. So one CPU is both, and neither disturbs the other's figures.
//
// A CPU that is lent elsewhere looks like a long turn. Of a millisecond or more it is `stolen`, as
// in the daemon; from 100 us on it is `long`, the worker's own doing or not, which only the
// comparison with quiet times can tell. In neither does time pass, and what they held up is left
// out of the latencies, so that those are of forwarding.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "control/publisher.h"
#include "service/settings.h"
#include "throughput/latency.h"

#define SG_RIG_STOLEN_US 1000
#define SG_RIG_LONG_US   100

struct sg_rig;

struct sg_rig_options {
	unsigned services;
	uint32_t flows;
	unsigned control_cpu, worker_cpu;
	bool huge;
	const char *socket;
};

// What a stretch of turns has shown.
struct sg_rig_figures {
	uint64_t made, forwarded;
	uint64_t lost;                      // dropped by the worker
	uint64_t overrun;                   // the ring to it was full
	uint64_t left_out;                  // packets held up by a stolen CPU
	uint64_t ticks;                     // of the worker's time
	uint64_t turns, long_turns, stolen; // long: and not stolen
	uint64_t longest;                   // ticks
	uint64_t faults, preemptions;       // of the worker's thread, as the kernel counts
	struct sg_latency latency;          // ticks
};

// Starts DPDK, which makes the caller lcore 0. Ends the program with a sentence if that fails.
struct sg_rig *sg_rig_create(const struct sg_rig_options *options);
void sg_rig_destroy(struct sg_rig *rig);

const struct sg_settings *sg_rig_settings(const struct sg_rig *rig);
const struct sg_publisher *sg_rig_publisher(const struct sg_rig *rig);

// Once services are published: starts the worker and makes all flows established, each with the
// first packet that its service, its backend and its record have ever seen.
void sg_rig_start(struct sg_rig *rig, struct sg_rig_figures *ret_opening);

// Turns for so long (wall clock) at so many packets a second of the worker's time; 0: as many as it
// takes. Begins at once and goes on by itself; `wait` returns when it is over. The figures
// are zero before.
void sg_rig_go(struct sg_rig *rig, double seconds, double rate, struct sg_rig_figures *figures);
bool sg_rig_is_going(const struct sg_rig *rig);
void sg_rig_wait(const struct sg_rig *rig);

// Puts what a stretch has shown to what others have.
void sg_rig_add(struct sg_rig_figures *sum, const struct sg_rig_figures *stretch);

double sg_rig_us(double ticks);
