// Medians of slices and of rounds, see series.h.
#include "series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool sg_series_is_full(const struct sg_series *series)
{
	return series->n == SG_SERIES_SLICES;
}

void sg_series_add(struct sg_series *series, const struct sg_rig_figures *slice)
{
	const struct sg_latency *latency = &slice->latency;
	unsigned i = series->n;

	if (sg_series_is_full(series))
		return;
	sg_rig_add(&series->all, slice);
	series->p50_us[i] = sg_rig_us(sg_latency_quantile(latency, 0.5));
	series->p99_us[i] = sg_rig_us(sg_latency_quantile(latency, 0.99));
	series->p999_us[i] = sg_rig_us(sg_latency_quantile(latency, 0.999));
	series->longest_us[i] = sg_rig_us((double)slice->turns.longest);
	series->n++;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double sg_series_quantile(const double *values, unsigned n, double share)
{
	static double sorted[SG_SERIES_SLICES];

	if (n == 0)
		return 0;
	memcpy(sorted, values, n * sizeof(values[0]));
	qsort(sorted, n, sizeof(sorted[0]), compare);
	return sorted[(unsigned)(share * (n - 1) + 0.5)];
}

static double end_round(struct sg_series *series)
{
	unsigned n = series->n - series->round;
	double median = sg_series_quantile(series->p99_us + series->round, n, 0.5);

	series->round = series->n;
	return median;
}

void sg_ratios_add(struct sg_ratios *ratios, struct sg_series *quiet, struct sg_series *stormed)
{
	double before = end_round(quiet), with = end_round(stormed);

	if (before > 0 && with > 0 && ratios->n < SG_SERIES_ROUNDS)
		ratios->values[ratios->n++] = with / before;
}

struct sg_interval sg_ratios_judge(const struct sg_ratios *ratios)
{
	const double *values = ratios->values;
	unsigned n = ratios->n;
	// The median's rank is binomial: so far from the middle it lies in 95 of 100 cases.
	double aside = n > 0 ? 0.98 / sqrt(n) : 0;

	return (struct sg_interval){.median = sg_series_quantile(values, n, 0.5),
		.low = sg_series_quantile(values, n, fmax(0, 0.5 - aside)),
		.high = sg_series_quantile(values, n, fmin(1, 0.5 + aside)),
		.lower_quartile = sg_series_quantile(values, n, 0.25),
		.upper_quartile = sg_series_quantile(values, n, 0.75)};
}
