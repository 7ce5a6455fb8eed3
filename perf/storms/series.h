// Slices of one kind, and what two kinds of them have to do with each other.
//
// A machine whose CPUs are lent elsewhere changes its speed from one second to the next, so figures
// of quiet and of stormy slices that are not neighbours do not compare. Those of one round do: its
// ratio is the median p99 of its stormy slices by that of its quiet ones, which lie on both sides.
// The median of the rounds' ratios is the result, and how sure it is says its interval: where the
// true median lies with 95 % certainty, whatever the distribution (order statistics).
#pragma once

#include "rig.h"

#define SG_SERIES_SLICES 20000
#define SG_SERIES_ROUNDS 2000

struct sg_series {
	struct sg_rig_figures all;
	unsigned n;
	unsigned round; // where the slices of this round begin
	double p50_us[SG_SERIES_SLICES], p99_us[SG_SERIES_SLICES], p999_us[SG_SERIES_SLICES];
	double longest_us[SG_SERIES_SLICES];
};

struct sg_ratios {
	unsigned n;
	double values[SG_SERIES_ROUNDS];
};

struct sg_interval {
	double median, low, high; // 95 %
	double lower_quartile, upper_quartile;
};

bool sg_series_is_full(const struct sg_series *series);
void sg_series_add(struct sg_series *series, const struct sg_rig_figures *slice);

// Of a round that is over.
void sg_ratios_add(struct sg_ratios *ratios, struct sg_series *quiet, struct sg_series *stormed);
struct sg_interval sg_ratios_judge(const struct sg_ratios *ratios);

// Of `n` values, at most SG_SERIES_SLICES, the one at `share`: 0 the smallest, 0.5 the median.
double sg_series_quantile(const double *values, unsigned n, double share);
