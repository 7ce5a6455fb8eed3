// What a packet's addresses are found by in a snapshot: VIPs, our own addresses, backends of dnat
// services. Control thread only.
#pragma once

#include "service/compiler_plan.h"

// Fills the indexes of a snapshot whose services and backends are as the plan says. Those that
// cannot have changed are shared with the snapshot compiled before. Returns 0 or -ENOMEM.
int sg_compile_indexes(struct sg_snapshot *snapshot, const struct sg_plan *plan);
