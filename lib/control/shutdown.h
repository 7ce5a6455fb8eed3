// The end of a life in good order: what SIGTERM does.
//
// First nobody is told any more that the VIPs are here: no ARP, no NDP, nothing announced by
// itself, so that traffic goes to another node as soon as one takes the addresses over. SNAT
// addresses are answered for to the end, for they carry what pods still have to say. What arrives
// meanwhile is served as ever, new connections, too: a client that has not noticed yet had better
// be served than refused. Then stormgate ends as soon as no established TCP connection is left (one
// of which only one side is closed counts), or when control.shutdown_timeout is over. UDP,
// connections that are only opening, and those that both sides have closed, are not waited for.
//
// Tables are looked through in slices, one a turn of the loop. Control thread only.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct sg_control;

struct sg_shutdown {
	bool begun;
	uint64_t begun_ms;
	unsigned worker; // where the look through the tables is
	uint32_t record;
	bool found; // an established one since the look began
};

// Begins, or ends it at once when it has begun already, or has no time.
void sg_control_shutdown(struct sg_control *control);
// Once a turn of the loop. Returns whether there is more to look at at once.
bool sg_shutdown_turn(struct sg_control *control, uint64_t now_ms);
