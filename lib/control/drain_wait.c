// Waiting for a backend's last flow, see drain_wait.h.
#include "control/drain_wait.h"

#include <stdlib.h>

#include "control/control_internal.h"

struct sg_drain_wait {
	struct sg_drain_wait *next;
	struct sg_call *call;
	struct sg_backend_name name;
};

void sg_drain_wait_add(
	struct sg_control *control, struct sg_call *call, const struct sg_backend_name *name)
{
	struct sg_drain_wait *wait = calloc(1, sizeof(*wait));

	if (!wait) {
		sg_call_refuse(call, SG_REQUEST_FAILED, "no memory is left to wait");
		return;
	}
	*wait = (struct sg_drain_wait){
		.next = control->drain_waits.first, .call = call, .name = *name};
	control->drain_waits.first = wait;
}

static const struct sg_backend_spec *find_backend(
	const struct sg_control *control, const struct sg_backend_name *name)
{
	const struct sg_service_spec *spec =
		sg_state_find(sg_rollout_state(control->rollout), name->service);

	return spec ? sg_service_spec_find_backend(spec, &name->address, name->port) : NULL;
}

enum verdict {
	VERDICT_WAIT,
	VERDICT_GONE,    // the flows are
	VERDICT_DELETED, // the backend is
	VERDICT_REVIVED,
};

static enum verdict look(const struct sg_control *control, const struct sg_backend_name *name)
{
	const struct sg_backend_spec *backend = find_backend(control, name);
	const struct sg_publisher *publisher = control->publisher;
	uint32_t slot;

	if (!backend)
		return VERDICT_DELETED;
	if (!backend->draining)
		return VERDICT_REVIVED;
	slot = sg_compiler_find_backend_slot(
		sg_rollout_compiler(control->rollout), name->service, &name->address, name->port);
	if (slot != UINT32_MAX && publisher->backend_flows(publisher->dataplane, slot) > 0)
		return VERDICT_WAIT;
	return VERDICT_GONE;
}

static void end(struct sg_control *control, struct sg_drain_wait *wait, enum verdict verdict)
{
	struct sg_call *call = wait->call;

	free(wait);
	if (verdict == VERDICT_GONE)
		sg_call_return(
			call, json_pack("{s:I, s:b, s:i}", "generation",
				      (json_int_t)sg_rollout_snapshot(control->rollout)->generation,
				      "active", 1, "flows", 0));
	else
		sg_call_refuse(call, SG_REQUEST_REFUSED,
			"the backend was %s while it was waited for",
			verdict == VERDICT_DELETED ? "deleted" : "taken back into service");
}

// An answer may close a connection, and that takes waits out of the list: so each is unlinked
// before it is answered, and the walk begins anew behind it.
static struct sg_drain_wait *take_ended(struct sg_control *control, enum verdict *ret_verdict)
{
	for (struct sg_drain_wait **link = &control->drain_waits.first; *link;
		link = &(*link)->next) {
		struct sg_drain_wait *wait = *link;

		*ret_verdict = look(control, &wait->name);
		if (*ret_verdict != VERDICT_WAIT) {
			*link = wait->next;
			return wait;
		}
	}
	return NULL;
}

bool sg_drain_wait_turn(struct sg_control *control)
{
	struct sg_drain_wait *wait;
	enum verdict verdict;

	while ((wait = take_ended(control, &verdict)))
		end(control, wait, verdict);
	return control->drain_waits.first != NULL;
}

// The first wait of a connection, or of all when `connection` is 0.
static struct sg_drain_wait *take_of(struct sg_control *control, uint64_t connection)
{
	for (struct sg_drain_wait **link = &control->drain_waits.first; *link;
		link = &(*link)->next) {
		struct sg_drain_wait *wait = *link;

		if (!connection || wait->call->connection == connection) {
			*link = wait->next;
			return wait;
		}
	}
	return NULL;
}

static void refuse_all_of(struct sg_control *control, uint64_t connection, const char *sentence)
{
	struct sg_drain_wait *wait;

	while ((wait = take_of(control, connection))) {
		sg_call_refuse(wait->call, SG_REQUEST_REFUSED, "%s", sentence);
		free(wait);
	}
}

void sg_drain_wait_forget(struct sg_control *control, uint64_t connection)
{
	refuse_all_of(control, connection, "the connection is closed");
}

void sg_drain_wait_cancel(struct sg_control *control)
{
	refuse_all_of(control, 0, "stormgate is stopping");
}
