// The gateway's data plane in this process, between two rings: one worker, driven turn by turn on a
// CPU of its own, and the packets for it. The control thread is the real one, on another CPU.
//
// Time here is the worker's: it passes while a turn runs, and stands still while packets are made
// and counted between turns. Packets are due at a rate in that time, wait in the ring until a turn
// takes them, and their latency is from the moment they were due until the end of the turn that
// sent them. So one CPU is both, and neither disturbs the other's figures.
//
// A CPU that is lent elsewhere looks like a long turn. What the kernel knows of that (another
// thread ran, the hypervisor owns up to it as steal) is not in the thread's CPU time, which is read
// before and after each turn: in it no time passes here. What is left are interrupts, and
// gaps that the hypervisor says nothing of. So after each turn the worker reads the clock for as
// long as the turn took, and does nothing else: what becomes of those stretches is not the worker's
// doing, and what turns show beyond that is.
//
// A turn of at least SG_RIG_GAP_US, three times what two full bursts take, holds a gap as well.
// Whether there are more of them than of idle stretches that long is to be looked at; no time
// passes in it either, and what it held up is left out of the latencies, which so are of
// forwarding.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "control/publisher.h"
#include "service/settings.h"
#include "throughput/latency.h"

#define SG_RIG_GAP_US  20
#define SG_RIG_LONG_US 100

struct sg_rig;

struct sg_rig_options {
	unsigned services;
	uint32_t flows;
	unsigned control_cpu, worker_cpu;
	bool huge;
	const char *socket;
};

// Turns, or the idle stretches beside them.
struct sg_rig_spans {
	uint64_t n, ticks;                    // without `away`
	uint64_t away;                        // ticks: the CPU was elsewhere, as the kernel knows
	uint64_t raw_longest;                 // ticks, with `away`
	uint64_t longest;                     // without
	uint64_t over_gap, over_50, over_100; // us, without
};

// What a stretch of turns has shown.
struct sg_rig_figures {
	uint64_t made, forwarded;
	uint64_t lost;     // dropped by the worker
	uint64_t overrun;  // the ring to it was full
	uint64_t left_out; // held up by a gap
	struct sg_rig_spans turns, idle;
	struct sg_rig_spans adopting; // of the turns, those that began to use another generation
	uint64_t faults, preemptions; // of the worker's thread, as the kernel counts
	struct sg_latency latency;    // ticks
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
