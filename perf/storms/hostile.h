// Clients that mean harm, and one beside them that only asks for `status`, every few milliseconds.
//
//     garbage  sends lines of 16 MB of small values, one after the other
//     halves   sends a megabyte without an end, leaves, and comes again
//     deaf     asks for `stats` as fast as it may, and never reads
//     applier  applies all services, again and again
//
// What the machine itself takes is measured beside it: the one who asks comes before every other
// thread (SCHED_FIFO), and asks in turns the control thread and an echo, which comes first as well,
// on the control thread's CPU. What both wait for is the machine's.
#pragma once

#include <stdbool.h>

struct sg_hostile_options {
	const char *socket;
	unsigned services;
	unsigned cpu; // of all clients
	unsigned control_cpu;
	unsigned seconds;
	bool with_harm;
};

// Until an answer.
struct sg_hostile_wait {
	double p50_ms, p99_ms, longest_ms;
};

struct sg_hostile_figures {
	unsigned n; // questions
	struct sg_hostile_wait status, echo;
	unsigned lines, halves, stats, applies; // of harm
};

void sg_hostile_measure(
	const struct sg_hostile_options *options, struct sg_hostile_figures *ret_figures);
