// How one thread wakes another that sleeps because its rings were empty.
//
// The sleeper goes to bed, then looks at its rings once more, and only if they are still empty does
// it wait, until the bell's descriptor is readable or its time is over. Whoever puts something into
// one of those rings rings the bell afterwards, at once or when it suits him: that costs a fence
// and a read while the sleeper is awake, and one system call for each time that it is not. Either
// the sleeper's last look sees what was put there, or whoever put it there sees the sleeper in bed.
#pragma once

#include <stdbool.h>

#include "base/error.h"

struct sg_doorbell {
	_Alignas(64) int fd; // an eventfd; 0: not open
	bool asleep;         // set by the sleeper, taken back by him or by the first who rings
};

// Main thread. Errors: the system has no descriptor left.
int sg_doorbell_open(struct sg_doorbell *bell, struct sg_error *error);
void sg_doorbell_close(struct sg_doorbell *bell); // fine when it never was opened

// Any thread, after it has put something into a ring of the sleeper. Whether that took a system
// call.
bool sg_doorbell_ring(struct sg_doorbell *bell);

// The sleeper, around its last look and its wait. `rung`: its descriptor was readable.
void sg_doorbell_go_to_bed(struct sg_doorbell *bell);
void sg_doorbell_get_up(struct sg_doorbell *bell, bool rung);
