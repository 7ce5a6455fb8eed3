// Ageing: a look at a few records a turn, in the order of memory, so that the hardware prefetches
// them. See table.h.
#include "flow/layout.h"

static inline bool is_over(
	const struct sg_flow *flow, uint32_t now_ticks, const struct sg_flow_timeouts *timeouts)
{
	int32_t idle = (int32_t)(now_ticks - flow->last_seen);

	uint32_t most =
		flow->state == SG_FLOW_AFFINITY ? flow->sequence : timeouts->ticks[flow->state];

	// A flow may have been seen after `now_ticks` was read: then idle is below 0.
	return flow->state != SG_FLOW_FREE && idle >= 0 && (uint32_t)idle > most;
}

unsigned sg_flow_table_sweep(struct sg_flow_table *table, uint32_t n_records, uint32_t now_ticks,
	const struct sg_flow_timeouts *timeouts, sg_flow_ref *ret_refs, unsigned max,
	unsigned *ret_wrapped)
{
	const struct sg_flow *records = sg_flow_table_records(table);
	uint32_t n_used = table->first_unused - 1; // now or once: behind them is nothing to see
	unsigned n = 0;

	*ret_wrapped = n_used == 0;
	for (uint32_t looked = 0; looked < n_records && looked < n_used && n < max; looked++) {
		if (is_over(&records[table->sweep_at], now_ticks, timeouts))
			ret_refs[n++] = table->sweep_at << 1;
		if (++table->sweep_at > n_used) {
			table->sweep_at = 1;
			(*ret_wrapped)++;
		}
	}
	return n;
}

uint32_t sg_flow_table_sweep_at(const struct sg_flow_table *table)
{
	return table->sweep_at;
}

uint32_t sg_flow_table_used(const struct sg_flow_table *table)
{
	return table->first_unused - 1;
}
