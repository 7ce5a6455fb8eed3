// CPUs and EAL: which CPU does what, and DPDK's environment started accordingly.
//
// EAL's main lcore (0) is the control thread, on the control CPU; lcores 1 to n_workers are the
// workers. CPUs may repeat; then, and whenever a worker shares the control CPU, workers sleep
// between packets (adaptive polling), or they would starve each other. Main thread only.
//
// DPDK keeps no file of ours: without hugepages its memory is anonymous, with hugepages it is
// in-memory; its runtime directory, named after the instance, is removed at the end, after a failed
// start, and before a start when a killed instance left one.
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "service/settings.h"

struct sg_lcores {
	unsigned control_cpu;
	unsigned n_workers;
	unsigned worker_cpus[SG_MAX_WORKERS]; // by worker; worker w is EAL's lcore w + 1
	bool adaptive;
};

// Decides from the settings and the process's affinity mask, and warns where CPUs are shared. The
// defaults: the first CPU that no worker has is for control, and one other CPU for one worker.
// Errors: -EINVAL when a CPU is named on which this process may not run.
int sg_lcores_choose(
	struct sg_lcores *ret_lcores, const struct sg_settings *settings, struct sg_error *error);

// Where the kernel shares CPUs between sessions first and threads second (autogroup), a worker that
// sleeps a lot is a light member of a light group: it can wait a second for its turn beside any
// shell's busy loop. A stormgate that leads a session of its own, as under systemd, raises that
// session. Best effort: says nothing when the kernel has no such groups.
void sg_lcores_raise_session(void);

// Starts EAL with `memory_mb` of memory. The caller becomes lcore 0 and is bound to the control
// CPU. Once a process; after a failure too, the process can only end.
int sg_eal_start(const struct sg_lcores *lcores, const struct sg_settings *settings,
	unsigned memory_mb, struct sg_error *error);
// After all ports are closed. Fine to call when the start failed.
void sg_eal_stop(void);
