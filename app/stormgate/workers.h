// The workers of this process: their memory, their rings and their lcores. Main thread only.
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "dataplane/dataplane.h"
#include "net/toeplitz.h"
#include "service/settings.h"

#include "lcores.h"

struct sg_workers;

// Allocates everything that workers use while they run: counters, pipelines, the published pointer.
// After buffers and ports: fills in the rest of `dataplane`. `home` must outlive the workers.
// Errors: -ENOMEM, -EINVAL (SNAT ports that do not do for so many workers).
int sg_workers_open(struct sg_workers **ret_workers, struct sg_dataplane *dataplane,
	const struct sg_settings *settings, const struct sg_lcores *lcores,
	const struct sg_home *home, struct sg_error *error);
void sg_workers_close(struct sg_workers *workers); // NULL is fine

// After the first snapshot is published.
void sg_workers_launch(struct sg_workers *workers);
// Returns when every worker has left its loop. Not launched, or NULL, is fine.
void sg_workers_stop(struct sg_workers *workers);

// Sums up what lc and wlc look at (dataplane/loads.h); due every millisecond while there is more
// than one worker.
bool sg_workers_share_loads(const struct sg_workers *workers);
void sg_workers_refresh_loads(struct sg_workers *workers);
