// Waiting for the last connection, see shutdown.h.
#include "control/shutdown.h"

#include "base/clock.h"
#include "base/log.h"
#include "control/control_internal.h"

#define RECORDS_PER_TURN 16384

static bool is_established(const struct sg_control *control, unsigned worker, uint32_t record)
{
	struct sg_flow_addresses addresses;
	struct sg_flow flow;

	return sg_flow_table_read(control->publisher->flows[worker], record, &flow, &addresses) &&
	       (flow.state == SG_FLOW_TCP_ESTABLISHED || flow.state == SG_FLOW_TCP_HALF_CLOSED);
}

static uint64_t count_established(const struct sg_control *control)
{
	uint64_t n = 0;

	for (unsigned worker = 0; worker < control->publisher->n_workers; worker++) {
		uint32_t max = sg_flow_table_max(control->publisher->flows[worker]);

		for (uint32_t record = 1; record <= max; record++)
			n += is_established(control, worker, record);
	}
	return n;
}

void sg_control_shutdown(struct sg_control *control)
{
	struct sg_shutdown *shutdown = &control->shutdown;
	uint32_t timeout_s = sg_control_settings(control)->shutdown_timeout_s;

	if (shutdown->begun)
		sg_log_info("stopping at once");
	if (shutdown->begun || timeout_s == 0 || sg_statistics_flows(control->statistics) == 0) {
		sg_control_stop(control);
		return;
	}
	*shutdown = (struct sg_shutdown){.begun = true, .begun_ms = sg_clock_ms(), .record = 1};
	sg_rollout_withdraw(control->rollout);
	sg_log_info(
		"the VIPs are not answered for any more; stopping when the last established TCP "
		"connection has ended, in %u s at the latest",
		timeout_s);
}

enum look {
	LOOK_MORE,  // go on at once
	LOOK_LATER, // one is established
	LOOK_NONE,  // none was, in all tables
};

// Goes on from where it was, up to the next one that is established, and stays there while it is. A
// whole look that met one is no proof: others may have come behind its back, so there is another.
static enum look look(struct sg_control *control)
{
	struct sg_shutdown *shutdown = &control->shutdown;

	for (unsigned i = 0; i < RECORDS_PER_TURN; i++) {
		if (shutdown->worker == control->publisher->n_workers) {
			bool found = shutdown->found;

			shutdown->worker = 0;
			shutdown->found = false;
			return found ? LOOK_MORE : LOOK_NONE;
		}
		if (shutdown->record >
			sg_flow_table_max(control->publisher->flows[shutdown->worker])) {
			shutdown->worker++;
			shutdown->record = 1;
			continue;
		}
		if (is_established(control, shutdown->worker, shutdown->record)) {
			shutdown->found = true;
			return LOOK_LATER;
		}
		shutdown->record++;
	}
	return LOOK_MORE;
}

bool sg_shutdown_turn(struct sg_control *control, uint64_t now_ms)
{
	const struct sg_shutdown *shutdown = &control->shutdown;
	uint32_t timeout_s = sg_control_settings(control)->shutdown_timeout_s;
	enum look result;

	if (!shutdown->begun)
		return false;
	if (now_ms - shutdown->begun_ms >= (uint64_t)timeout_s * 1000) {
		sg_log_info("%u s are over: stopping with %llu established TCP connections",
			timeout_s, (unsigned long long)count_established(control));
		sg_control_stop(control);
		return false;
	}
	result = look(control);
	if (result == LOOK_NONE) {
		sg_log_info("no established TCP connection is left after %llu ms: stopping",
			(unsigned long long)(now_ms - shutdown->begun_ms));
		sg_control_stop(control);
	}
	return result == LOOK_MORE;
}
