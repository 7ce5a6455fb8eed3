// From IPVS: what `ipvsadm -S -n` prints, as the services that `apply` takes.
//
// The text may be anything at all; whatever cannot be said in stormgate's words is refused by line,
// never left out silently. A service is called after what it serves, "tcp-192.0.2.10-80", so that
// the same rules always make the same names; services are sorted by name, backends stay in order.
//
//     -m                      dnat, or snat with `masquerade_all`
//     -g, -i                  dsr, ipip
//     -s rr wrr lc wlc sh mh  the same; mh is maglev
//     -p N                    affinity to the client's address for N seconds
//     -w 0                    a draining backend
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

struct ipvsadm_report {
	// What is wrong with a line, counted from 1.
	void (*refuse)(void *context, unsigned line, const char *sentence);
	void *context;
};

// Returns an array of services, the caller's, or NULL when no memory is left. A service with a
// refused line is not among them; without a call of report->refuse, all are.
json_t *ipvsadm_import(
	const char *text, size_t length, bool masquerade_all, const struct ipvsadm_report *report);
