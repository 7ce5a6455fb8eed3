// Compares a new state with the compiler's books and plans what changes, see compiler_plan.h.
#include "service/compiler_plan.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "service/state_diff.h"

bool sg_holdings_search(
	const struct sg_holding *holdings, uint32_t n, const char *name, uint32_t *ret_at)
{
	uint32_t low = 0, high = n;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (strcmp(holdings[middle].spec->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_at = low;
	return low < n && strcmp(holdings[low].spec->name, name) == 0;
}

static int compare_member(
	const struct sg_member *member, const struct sg_addr *address, uint16_t port)
{
	int order = sg_addr_compare(&member->address, address);

	return order != 0 ? order : (int)member->port - (int)port;
}

struct sg_member *sg_holder_find(
	const struct sg_holder *holder, const struct sg_addr *address, uint16_t port)
{
	uint32_t low = 0, high = holder->n_members;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (compare_member(&holder->members[middle], address, port) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == holder->n_members || compare_member(&holder->members[low], address, port) != 0)
		return NULL;
	return &holder->members[low];
}

static uint16_t next_generation(const struct sg_compiler *compiler, uint32_t slot)
{
	const struct sg_snapshot *current = compiler->current;
	uint16_t generation = 0;

	if (current && slot / SG_BACKENDS_PER_PAGE < current->n_pages &&
		current->pages[slot / SG_BACKENDS_PER_PAGE])
		generation = sg_snapshot_backend(current, slot)->generation;
	return generation == UINT16_MAX ? 1 : (uint16_t)(generation + 1);
}

// Weight 0 is drained: flows that exist stay, and nothing new comes.
static void want(struct sg_member *member, const struct sg_backend_spec *spec)
{
	member->weight = spec->weight;
	member->max_connections = spec->max_connections;
	member->life =
		spec->draining || spec->weight == 0 ? SG_BACKEND_DRAINING : SG_BACKEND_ACTIVE;
	member->end_now = false;
	member->deadline_ms = 0;
}

static int add_member(struct sg_plan *plan, const struct sg_backend_spec *spec,
	struct sg_member *ret_member, struct sg_error *error)
{
	struct sg_compiler *compiler = plan->compiler;
	uint32_t slot = sg_slots_take(&compiler->backend_slots);
	const struct sg_resting *resting = &compiler->resting;

	if (slot == UINT32_MAX)
		return sg_error_set(error, -ENOSPC,
			"no backend slot is free: all %d are in use, %u of them by backends that were "
			"removed a short while ago",
			SG_MAX_BACKENDS, resting->n_counting + resting->n_waiting);
	*ret_member = (struct sg_member){.address = spec->address,
		.port = spec->port,
		.slot = slot,
		.generation = next_generation(compiler, slot)};
	want(ret_member, spec);
	return 0;
}

// A member that the new state lacks: it leaves, goes on leaving, or dies.
static void leave(const struct sg_plan *plan, struct sg_member *member)
{
	if (member->end_now ||
		(member->life == SG_BACKEND_REMOVED && member->deadline_ms <= plan->now_ms)) {
		member->life = SG_BACKEND_DEAD;
	} else if (member->life != SG_BACKEND_REMOVED) {
		member->life = SG_BACKEND_REMOVED;
		member->deadline_ms = plan->now_ms + plan->drain_ms;
	}
}

// Merges the members that the holder has with the backends of `visit->spec`.
static int plan_members(struct sg_plan *plan, struct sg_visit *visit, struct sg_error *error)
{
	const struct sg_holder *holder = &plan->compiler->holders[visit->slot];
	unsigned n_wanted = visit->spec ? visit->spec->n_backends : 0;
	unsigned at_old = 0, at_wanted = 0;

	visit->members = malloc((holder->n_members + n_wanted + 1) * sizeof(visit->members[0]));
	if (!visit->members)
		return sg_error_set(error, -ENOMEM, "out of memory");
	while (at_old < holder->n_members || at_wanted < n_wanted) {
		const struct sg_member *member =
			at_old < holder->n_members ? &holder->members[at_old] : NULL;
		const struct sg_backend_spec *wanted =
			at_wanted < n_wanted ? &visit->spec->backends[at_wanted] : NULL;
		struct sg_member *next = &visit->members[visit->n_members++];
		int order;

		if (at_old == holder->n_members)
			order = 1;
		else if (!wanted)
			order = -1;
		else
			order = compare_member(member, &wanted->address, wanted->port);
		if (order > 0) {
			if (add_member(plan, wanted, next, error) < 0)
				return -ENOSPC;
			at_wanted++;
			continue;
		}
		*next = *member;
		at_old++;
		if (order < 0) {
			leave(plan, next);
		} else {
			want(next, wanted);
			at_wanted++;
		}
	}
	return 0;
}

static bool stays_alive(const struct sg_visit *visit)
{
	for (uint32_t i = 0; i < visit->n_members; i++)
		if (visit->members[i].life != SG_BACKEND_DEAD)
			return true;
	return false;
}

static struct sg_visit *add_visit(struct sg_plan *plan)
{
	if (plan->n_visits == plan->max_visits) {
		uint32_t max = plan->max_visits < 16 ? 16 : plan->max_visits * 2;
		struct sg_visit *visits = realloc(plan->visits, max * sizeof(visits[0]));

		if (!visits)
			return NULL;
		plan->visits = visits;
		plan->max_visits = max;
	}
	plan->visits[plan->n_visits] = (struct sg_visit){0};
	return &plan->visits[plan->n_visits++];
}

// Plans what becomes of one holding. `spec` is its service in the new state (NULL: none).
static int visit(struct sg_plan *plan, struct sg_holding *holding, struct sg_service_spec *spec,
	bool recompile, struct sg_error *error)
{
	struct sg_holder *holder = &plan->compiler->holders[holding->slot];
	struct sg_visit *visit = add_visit(plan);
	bool was_draining = holding->draining;
	int err;

	if (!visit)
		return sg_error_set(error, -ENOMEM, "out of memory");
	visit->spec = spec;
	visit->slot = holding->slot;
	visit->recompile = recompile;
	holder->visited = plan->compiler->n_plans;
	err = plan_members(plan, visit, error);
	if (err < 0)
		return err;
	holding->deleted = spec == NULL;
	holding->draining = holding->deleted && stays_alive(visit);
	visit->vanishes = holding->deleted && visit->n_members == 0 && holder->n_resting == 0;
	if (holding->draining != was_draining)
		plan->addresses_changed = true;
	return 0;
}

static struct sg_holding *add_holding(struct sg_plan *plan, const struct sg_holding *old)
{
	plan->holdings[plan->n_holdings] = *old;
	return &plan->holdings[plan->n_holdings++];
}

// Notes a holding that is about to be written, if it is one of the compiler's. Returns 0 or
// -ENOMEM.
static int note_undo(struct sg_plan *plan, uint32_t at, struct sg_error *error)
{
	if (!plan->in_place)
		return 0;
	if (plan->n_undos == plan->max_undos) {
		uint32_t max = plan->max_undos < 16 ? 16 : plan->max_undos * 2;
		struct sg_undo *undos = realloc(plan->undos, max * sizeof(undos[0]));

		if (!undos)
			return sg_error_set(error, -ENOMEM, "out of memory");
		plan->undos = undos;
		plan->max_undos = max;
	}
	plan->undos[plan->n_undos++] = (struct sg_undo){.at = at, .holding = plan->holdings[at]};
	return 0;
}

static void replace_spec(
	struct sg_plan *plan, struct sg_holding *holding, struct sg_service_spec *spec)
{
	plan->stale[plan->n_stale++] = holding->spec;
	plan->fresh[plan->n_fresh++] = sg_service_spec_ref(spec);
	holding->spec = spec;
}

static bool same_place(const struct sg_service_spec *a, const struct sg_service_spec *b)
{
	return a->n_vips == b->n_vips && a->protocol == b->protocol && a->port == b->port &&
	       memcmp(a->vips, b->vips, a->n_vips * sizeof(a->vips[0])) == 0;
}

// A name that has a slot and is in the new state as well.
static int plan_kept(struct sg_plan *plan, struct sg_holding *holding, struct sg_service_spec *spec,
	struct sg_error *error)
{
	const struct sg_service_spec *before = holding->spec;

	if (!holding->deleted && before == spec)
		return 0;
	replace_spec(plan, holding, spec);
	if (!holding->deleted && sg_service_spec_equal(before, spec))
		return 0;
	if (holding->deleted || !same_place(before, spec))
		plan->vips_changed = plan->addresses_changed = true;
	if (before->announce != spec->announce)
		plan->addresses_changed = true;
	return visit(plan, holding, spec, true, error);
}

static int plan_new(struct sg_plan *plan, struct sg_service_spec *spec, struct sg_error *error)
{
	struct sg_holding holding = {
		.spec = spec, .slot = sg_slots_take(&plan->compiler->service_slots)};

	if (holding.slot == UINT32_MAX)
		return sg_error_set(error, -ENOSPC,
			"no service slot is free for '%s': all %d are in use, some of them by services that "
			"were deleted a short while ago",
			spec->name, SG_MAX_SERVICES);
	plan->fresh[plan->n_fresh++] = sg_service_spec_ref(spec);
	plan->vips_changed = plan->addresses_changed = true;
	return visit(plan, add_holding(plan, &holding), spec, true, error);
}

static int plan_absent(struct sg_plan *plan, const struct sg_holding *old, struct sg_error *error)
{
	struct sg_holding *holding = add_holding(plan, old);

	if (old->deleted)
		return 0;
	plan->vips_changed = plan->addresses_changed = true;
	return visit(plan, holding, NULL, false, error);
}

// A deleted service whose slot was given back since the last compile.
static bool is_over(const struct sg_compiler *compiler, const struct sg_holding *holding)
{
	return holding->deleted && !compiler->holders[holding->slot].in_use;
}

// Walks the old holdings and the new state side by side, by name.
static int compare(struct sg_plan *plan, const struct sg_state *state, struct sg_error *error)
{
	const struct sg_compiler *compiler = plan->compiler;
	struct sg_state_place at_new = {0};
	uint32_t at_old = 0;
	int err = 0;

	while (err == 0) {
		const struct sg_holding *holding =
			at_old < compiler->n_holdings ? &compiler->holdings[at_old] : NULL;
		struct sg_service_spec *spec = sg_state_get(state, at_new);
		int order;

		if (!holding && !spec)
			break;
		if (holding && is_over(compiler, holding)) {
			plan->stale[plan->n_stale++] = holding->spec;
			at_old++;
			continue;
		}
		if (!holding)
			order = 1;
		else if (!spec)
			order = -1;
		else // fast path: what did not change is not even read
			order = holding->spec == spec ? 0 : strcmp(holding->spec->name, spec->name);
		if (order == 0)
			err = plan_kept(plan, add_holding(plan, holding), spec, error);
		else if (order < 0)
			err = plan_absent(plan, holding, error);
		else
			err = plan_new(plan, spec, error);
		at_old += order <= 0;
		if (order >= 0)
			sg_state_next(state, &at_new);
	}
	return err;
}

#define MAX_IN_PLACE 512 // services

// How many services differ between the last state and the new one, if no name comes or goes and
// they are few; UINT32_MAX otherwise.
static uint32_t count_kept(const struct sg_plan *plan, const struct sg_state *state)
{
	struct sg_state_diff diff = {.before = &plan->compiler->state, .after = state};
	struct sg_service_spec *before, *after;
	uint32_t n = 0;

	while (sg_state_diff_next(&diff, &before, &after))
		if (!before || !after || ++n > MAX_IN_PLACE)
			return UINT32_MAX;
	return n;
}

// The same as `compare` when all names stay: only those that change are looked at, and the
// compiler's holdings are written.
static int compare_in_place(
	struct sg_plan *plan, const struct sg_state *state, struct sg_error *error)
{
	struct sg_state_diff diff = {.before = &plan->compiler->state, .after = state};
	struct sg_service_spec *before, *after;
	int err = 0;

	while (err == 0 && sg_state_diff_next(&diff, &before, &after)) {
		uint32_t at;

		sg_holdings_search(plan->holdings, plan->n_holdings, after->name, &at);
		err = note_undo(plan, at, error);
		if (err == 0)
			err = plan_kept(plan, &plan->holdings[at], after, error);
	}
	return err;
}

// Plans a visit to a service that the comparison left alone, because of time or of an end_now.
static int revisit(struct sg_plan *plan, uint32_t slot, struct sg_error *error)
{
	struct sg_compiler *compiler = plan->compiler;
	struct sg_holding *holding;
	uint32_t at;

	if (compiler->holders[slot].visited == compiler->n_plans)
		return 0;
	sg_holdings_search(plan->holdings, plan->n_holdings,
		compiler->current->services[slot]->spec->name, &at);
	if (note_undo(plan, at, error) < 0)
		return -ENOMEM;
	holding = &plan->holdings[at];
	return visit(plan, holding, holding->deleted ? NULL : holding->spec, false, error);
}

static int revisit_all(struct sg_plan *plan, struct sg_error *error)
{
	struct sg_compiler *compiler = plan->compiler;
	uint32_t n_due = sg_deadlines_due(&compiler->deadlines, plan->now_ms, compiler->due);
	int err = 0;

	for (uint32_t i = 0; i < n_due && err == 0; i++)
		err = revisit(plan, compiler->due[i], error);
	for (uint32_t i = 0; i < compiler->n_marked && err == 0; i++)
		err = revisit(plan, compiler->marked[i], error);
	return err;
}

static bool allocate_references(struct sg_plan *plan, size_t max)
{
	plan->fresh = malloc((max + 1) * sizeof(plan->fresh[0]));
	plan->stale = malloc((max + 1) * sizeof(plan->stale[0]));
	return plan->fresh && plan->stale;
}

static int plan_in_place(
	struct sg_plan *plan, const struct sg_state *state, uint32_t n_kept, struct sg_error *error)
{
	plan->in_place = true;
	plan->holdings = plan->compiler->holdings;
	plan->n_holdings = plan->compiler->n_holdings;
	if (!allocate_references(plan, n_kept))
		return sg_error_set(error, -ENOMEM, "out of memory");
	return compare_in_place(plan, state, error);
}

static int plan_copy(struct sg_plan *plan, const struct sg_state *state, struct sg_error *error)
{
	size_t max = plan->compiler->n_holdings + state->n_services;

	plan->holdings = malloc((max + 1) * sizeof(plan->holdings[0]));
	if (!plan->holdings || !allocate_references(plan, max))
		return sg_error_set(error, -ENOMEM, "out of memory");
	return compare(plan, state, error);
}

int sg_plan_make(struct sg_plan *ret_plan, struct sg_compiler *compiler,
	const struct sg_state *state, uint64_t now_ms, bool may_write, struct sg_error *error)
{
	const struct sg_settings *settings = sg_state_settings(state, compiler->settings);
	struct sg_timeouts timeouts = settings->timeouts;
	struct sg_plan *plan = ret_plan;
	uint32_t n_kept = UINT32_MAX;
	int err;

	sg_timeouts_fill(&timeouts);
	*plan = (struct sg_plan){
		.compiler = compiler,
		.policy = state->policy,
		.settings = settings,
		.settings_changed = compiler->state.settings != state->settings,
		.drain_ms = (uint64_t)timeouts.drain * 1000,
		.now_ms = now_ms,
		.service_mark = sg_slots_mark(&compiler->service_slots),
		.backend_mark = sg_slots_mark(&compiler->backend_slots),
	};
	compiler->n_plans++;
	if (may_write && !compiler->has_over)
		n_kept = count_kept(plan, state);
	if (sg_state_clone(&plan->state, state) < 0)
		err = sg_error_set(error, -ENOMEM, "out of memory");
	else if (n_kept != UINT32_MAX)
		err = plan_in_place(plan, state, n_kept, error);
	else
		err = plan_copy(plan, state, error);
	if (err == 0)
		err = revisit_all(plan, error);
	if (err < 0)
		sg_plan_drop(plan);
	return err;
}

static void free_plan(struct sg_plan *plan)
{
	sg_state_fini(&plan->state);
	free(plan->undos);
	free(plan->fresh);
	free(plan->stale);
	free(plan->visits);
	*plan = (struct sg_plan){0};
}

void sg_plan_drop(struct sg_plan *plan)
{
	sg_slots_rewind(&plan->compiler->service_slots, plan->service_mark);
	sg_slots_rewind(&plan->compiler->backend_slots, plan->backend_mark);
	while (plan->n_undos > 0) {
		const struct sg_undo *undo = &plan->undos[--plan->n_undos];

		plan->holdings[undo->at] = undo->holding;
	}
	for (uint32_t i = 0; i < plan->n_fresh; i++)
		sg_service_spec_unref(plan->fresh[i]);
	for (uint32_t i = 0; i < plan->n_visits; i++)
		free(plan->visits[i].members);
	if (!plan->in_place)
		free(plan->holdings);
	free_plan(plan);
}

// Sends the dead among the visit's members to rest and closes the gaps. Returns the earliest
// deadline of the others.
static uint64_t settle_members(struct sg_compiler *compiler, struct sg_visit *visit)
{
	uint64_t earliest_ms = SG_DEADLINE_NONE;
	uint32_t n_kept = 0;

	for (uint32_t i = 0; i < visit->n_members; i++) {
		const struct sg_member *member = &visit->members[i];

		if (member->life == SG_BACKEND_DEAD) {
			sg_resting_put(&compiler->resting,
				(struct sg_rest){.slot = member->slot, .owner = visit->slot});
			compiler->holders[visit->slot].n_resting++;
			continue;
		}
		if (member->life == SG_BACKEND_REMOVED && member->deadline_ms < earliest_ms)
			earliest_ms = member->deadline_ms;
		visit->members[n_kept++] = *member;
	}
	visit->n_members = n_kept;
	return earliest_ms;
}

static void commit_visit(struct sg_compiler *compiler, struct sg_visit *visit)
{
	struct sg_holder *holder = &compiler->holders[visit->slot];

	sg_deadlines_set(&compiler->deadlines, visit->slot, settle_members(compiler, visit));
	free(holder->members);
	holder->members = visit->members;
	holder->n_members = visit->n_members;
	holder->deleted = visit->spec == NULL;
	holder->in_use = !visit->vanishes;
	if (visit->vanishes) {
		free(holder->members);
		holder->members = NULL;
		compiler->has_over = true;
		sg_slots_give(&compiler->service_slots, visit->slot);
	}
}

void sg_plan_commit(struct sg_plan *plan)
{
	struct sg_compiler *compiler = plan->compiler;

	if (!plan->in_place)
		compiler->has_over = false;
	for (uint32_t i = 0; i < plan->n_visits; i++)
		commit_visit(compiler, &plan->visits[i]);
	for (uint32_t i = 0; i < plan->n_stale; i++)
		sg_service_spec_unref(plan->stale[i]);
	if (!plan->in_place)
		free(compiler->holdings);
	compiler->holdings = plan->holdings;
	compiler->n_holdings = plan->n_holdings;
	sg_state_fini(&compiler->state);
	compiler->state = plan->state;
	sg_state_init(&plan->state);
	sg_shared_policy_ref(plan->policy);
	sg_shared_policy_unref(compiler->policy);
	compiler->policy = plan->policy;
	compiler->n_cleared = 0;
	free_plan(plan);
}
