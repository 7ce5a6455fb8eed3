// From desired state to snapshot, see compiler.h: plan, build what the plan asks for, commit.
#include "service/compiler.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "service/backend_cidrs.h"
#include "service/compile_indexes.h"
#include "service/compile_service.h"
#include "service/compiler_plan.h"
#include "service/snapshot_build.h"

struct sg_compiler *sg_compiler_create(const struct sg_settings *settings)
{
	struct sg_compiler *compiler = calloc(1, sizeof(*compiler));

	if (!compiler)
		return NULL;
	compiler->settings = settings;
	compiler->holders = calloc(SG_MAX_SERVICES, sizeof(compiler->holders[0]));
	compiler->marked = malloc(SG_MAX_SERVICES * sizeof(compiler->marked[0]));
	compiler->cleared = malloc(SG_MAX_SERVICES * sizeof(compiler->cleared[0]));
	compiler->due = malloc(SG_MAX_SERVICES * sizeof(compiler->due[0]));
	compiler->member_slots =
		malloc(SG_MAX_SERVICE_BACKENDS * sizeof(compiler->member_slots[0]));
	if (!compiler->holders || !compiler->marked || !compiler->cleared || !compiler->due ||
		!compiler->member_slots ||
		sg_slots_init(&compiler->service_slots, SG_MAX_SERVICES) < 0 ||
		sg_slots_init(&compiler->backend_slots, SG_MAX_BACKENDS) < 0 ||
		sg_resting_init(&compiler->resting, SG_MAX_BACKENDS) < 0 ||
		sg_deadlines_init(&compiler->deadlines, SG_MAX_SERVICES) < 0) {
		sg_compiler_destroy(compiler);
		return NULL;
	}
	return compiler;
}

void sg_compiler_destroy(struct sg_compiler *compiler)
{
	if (!compiler)
		return;
	for (struct sg_snapshot *next; compiler->oldest; compiler->oldest = next) {
		next = compiler->oldest->next;
		sg_snapshot_free_oldest(compiler->oldest);
	}
	sg_state_fini(&compiler->state);
	for (uint32_t i = 0; i < compiler->n_holdings; i++)
		sg_service_spec_unref(compiler->holdings[i].spec);
	free(compiler->holdings);
	sg_shared_policy_unref(compiler->policy);
	for (uint32_t i = 0; i < compiler->service_slots.n_ever; i++)
		free(compiler->holders[i].members);
	sg_deadlines_fini(&compiler->deadlines);
	sg_resting_fini(&compiler->resting);
	sg_slots_fini(&compiler->backend_slots);
	sg_slots_fini(&compiler->service_slots);
	free(compiler->member_slots);
	free(compiler->due);
	free(compiler->cleared);
	free(compiler->marked);
	free(compiler->holders);
	free(compiler);
}

// What a member's slot is to flows. One that is dead stays so wherever it lies: nothing is sent to
// it any more, and its service's slot may soon be another's.
static uint8_t life_of(const struct sg_snapshot *snapshot, const struct sg_member *member)
{
	if (member->life == SG_BACKEND_DEAD || sg_snapshot_may_reach(snapshot, &member->address))
		return member->life;
	return SG_BACKEND_OUTSIDE;
}

static struct sg_backend backend_of(
	const struct sg_snapshot *snapshot, const struct sg_member *member, uint32_t service_slot)
{
	struct sg_backend backend = {
		.port_be = htons(member->port),
		.generation = member->generation,
		.weight = member->weight,
		.life = life_of(snapshot, member),
		.max_connections = member->max_connections,
		.service_slot = service_slot,
		.addr = member->address,
	};

	if (member->address.family == SG_FAMILY_IPV4)
		backend.addr4_be = sg_addr_ipv4_be(&member->address);
	return backend;
}

static int build_backends(struct sg_snapshot *snapshot, const struct sg_visit *visit)
{
	for (uint32_t i = 0; i < visit->n_members; i++) {
		struct sg_backend backend = backend_of(snapshot, &visit->members[i], visit->slot);

		sg_snapshot_route_backend(snapshot, &backend);
		if (sg_snapshot_put_backend(snapshot, visit->members[i].slot, &backend) < 0)
			return -ENOMEM;
	}
	return 0;
}

// Whether flows that started under `before` (NULL: everyone could) are to be held against `now`.
static bool asks_again(const struct sg_policy_spec *before, const struct sg_policy_spec *now)
{
	return now->existing == SG_EXISTING_END && !sg_policy_spec_is_open(now) &&
	       !(before && sg_policy_spec_equal(before, now));
}

// Compiles a service anew. Those of its members that are not leaving are its backends, in the same
// order.
static int build_service(
	struct sg_compiler *compiler, struct sg_snapshot *snapshot, const struct sg_visit *visit)
{
	struct sg_service *service;
	uint32_t n = 0;

	for (uint32_t i = 0; i < visit->n_members; i++)
		if (visit->members[i].life <= SG_BACKEND_DRAINING)
			compiler->member_slots[n++] = visit->members[i].slot;
	assert(n == visit->spec->n_backends);
	service = sg_service_compile(visit->spec, visit->slot, compiler->member_slots,
		compiler->settings->maglev_seed, snapshot->services[visit->slot]);
	if (!service)
		return -ENOMEM;
	if (snapshot->services[visit->slot] &&
		asks_again(&snapshot->services[visit->slot]->spec->policy, &visit->spec->policy))
		snapshot->policy_epoch++;
	sg_snapshot_put_service(snapshot, visit->slot, service);
	return 0;
}

static int build_visits(struct sg_snapshot *snapshot, const struct sg_plan *plan)
{
	// A slot that was given back since is cleared before a new service may move in.
	for (uint32_t i = 0; i < plan->compiler->n_cleared; i++)
		sg_snapshot_put_service(snapshot, plan->compiler->cleared[i], NULL);
	for (uint32_t i = 0; i < plan->n_visits; i++) {
		const struct sg_visit *visit = &plan->visits[i];

		if (visit->vanishes)
			sg_snapshot_put_service(snapshot, visit->slot, NULL);
		if (build_backends(snapshot, visit) < 0)
			return -ENOMEM;
		if (visit->recompile && build_service(plan->compiler, snapshot, visit) < 0)
			return -ENOMEM;
	}
	return 0;
}

// The policy for all services, shared with the snapshot before when it says the same.
static int build_policy(struct sg_snapshot *snapshot, const struct sg_plan *plan)
{
	const struct sg_shared_policy *before = plan->compiler->policy;
	const struct sg_shared_policy *policy = plan->policy;

	if (!policy || sg_policy_spec_is_open(&policy->spec))
		return 0;
	snapshot->policy_ends = policy->spec.existing == SG_EXISTING_END;
	if (asks_again(before ? &before->spec : NULL, &policy->spec))
		snapshot->policy_epoch++;
	if (before &&
		(before == policy || sg_policy_spec_same_prefixes(&before->spec, &policy->spec)))
		snapshot->policy = sg_policy_ref(plan->compiler->current->policy);
	else
		snapshot->policy = sg_policy_compile(&policy->spec);
	return snapshot->policy ? 0 : -ENOMEM;
}

// What the settings say to workers, shared with the snapshot before when they are the same.
static int build_settings(struct sg_snapshot *snapshot, const struct sg_plan *plan)
{
	const struct sg_snapshot *previous = plan->compiler->current;

	snapshot->unserved = plan->settings->unserved;
	if (previous && !plan->settings_changed) {
		snapshot->timeouts = previous->timeouts;
		snapshot->settings_since = previous->settings_since;
		snapshot->cidrs4 = previous->cidrs4 ? sg_trie_ref(previous->cidrs4) : NULL;
		snapshot->cidrs6 = previous->cidrs6 ? sg_trie_ref(previous->cidrs6) : NULL;
		return 0;
	}
	snapshot->timeouts = plan->settings->timeouts;
	sg_timeouts_fill(&snapshot->timeouts);
	snapshot->settings_since = snapshot->generation;
	return sg_backend_cidrs_compile(plan->settings, &snapshot->cidrs4, &snapshot->cidrs6);
}

// Other backend_cidrs: says anew of every backend whether it lies outside, be it one that only
// finishes.
static int judge_reach(struct sg_snapshot *snapshot, const struct sg_compiler *compiler)
{
	for (uint32_t slot = 0; slot < snapshot->n_service_slots; slot++) {
		const struct sg_holder *holder = &compiler->holders[slot];

		for (uint32_t i = 0; i < holder->n_members; i++) {
			const struct sg_member *member = &holder->members[i];
			struct sg_backend backend = *sg_snapshot_backend(snapshot, member->slot);

			backend.life = life_of(snapshot, member);
			if (sg_snapshot_put_backend(snapshot, member->slot, &backend) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

// The snapshot that the plan asks for, or NULL without memory.
static struct sg_snapshot *build(const struct sg_plan *plan, struct sg_routes *routes)
{
	const struct sg_compiler *compiler = plan->compiler;
	const struct sg_snapshot *previous = compiler->current;
	uint32_t n_pages =
		(compiler->backend_slots.n_ever + SG_BACKENDS_PER_PAGE - 1) / SG_BACKENDS_PER_PAGE;
	struct sg_snapshot *snapshot =
		sg_snapshot_derive(previous, compiler->service_slots.n_ever, n_pages);

	if (!snapshot)
		return NULL;
	snapshot->policy_epoch = previous ? previous->policy_epoch : 0;
	snapshot->routes = sg_routes_ref(routes);
	snapshot->maglev_key = (struct sg_hash_key){{compiler->settings->maglev_seed, 0}};
	if (build_settings(snapshot, plan) < 0 || build_policy(snapshot, plan) < 0)
		goto fail;
	if (plan->settings_changed && judge_reach(snapshot, compiler) < 0)
		goto fail;
	if (build_visits(snapshot, plan) < 0 || sg_compile_indexes(snapshot, plan) < 0)
		goto fail;
	if (previous && previous->routes != routes && sg_snapshot_route_backends(snapshot) < 0)
		goto fail;
	return snapshot;

fail:
	sg_snapshot_drop(snapshot);
	return NULL;
}

// An end_now counts for one compile: whatever it did not end is not in danger later.
static void forget_marks(struct sg_compiler *compiler)
{
	for (uint32_t i = 0; i < compiler->n_marked; i++) {
		struct sg_holder *holder = &compiler->holders[compiler->marked[i]];

		for (uint32_t at = 0; at < holder->n_members; at++)
			holder->members[at].end_now = false;
		holder->has_marks = false;
	}
	compiler->n_marked = 0;
}

struct sg_compilation {
	struct sg_plan plan;
	struct sg_snapshot *snapshot;
};

static int prepare(struct sg_compiler *compiler, const struct sg_state *state,
	struct sg_routes *routes, uint64_t now_ms, bool in_place,
	struct sg_compilation *ret_compilation, struct sg_error *error)
{
	struct sg_plan *plan = &ret_compilation->plan;
	int err = sg_plan_make(plan, compiler, state, now_ms, in_place, error);

	if (err < 0)
		return err;
	ret_compilation->snapshot = build(plan, routes);
	if (ret_compilation->snapshot)
		return 0;
	sg_plan_drop(plan);
	return sg_error_set(error, -ENOMEM, "out of memory");
}

static struct sg_snapshot *commit(struct sg_compiler *compiler, struct sg_compilation *compilation)
{
	struct sg_snapshot *snapshot = compilation->snapshot;

	sg_plan_commit(&compilation->plan);
	forget_marks(compiler);
	if (compiler->current)
		compiler->current->next = snapshot;
	else
		compiler->oldest = snapshot;
	compiler->current = snapshot;
	return snapshot;
}

int sg_compiler_compile(struct sg_compiler *compiler, const struct sg_state *state,
	struct sg_routes *routes, uint64_t now_ms, struct sg_snapshot **ret_snapshot,
	struct sg_error *error)
{
	struct sg_compilation compilation;
	int err = prepare(compiler, state, routes, now_ms, true, &compilation, error);

	if (err < 0) {
		forget_marks(compiler);
		return err;
	}
	*ret_snapshot = commit(compiler, &compilation);
	return 0;
}

int sg_compiler_prepare(struct sg_compiler *compiler, const struct sg_state *state,
	struct sg_routes *routes, uint64_t now_ms, struct sg_compilation **ret_compilation,
	struct sg_error *error)
{
	struct sg_compilation *compilation = malloc(sizeof(*compilation));
	int err;

	if (!compilation)
		return sg_error_set(error, -ENOMEM, "out of memory");
	err = prepare(compiler, state, routes, now_ms, false, compilation, error);
	if (err < 0)
		free(compilation);
	else
		*ret_compilation = compilation;
	return err;
}

struct sg_snapshot *sg_compiler_commit(
	struct sg_compiler *compiler, struct sg_compilation *compilation)
{
	struct sg_snapshot *snapshot = commit(compiler, compilation);

	free(compilation);
	return snapshot;
}

void sg_compiler_drop(struct sg_compiler *compiler, struct sg_compilation *compilation)
{
	if (compilation) {
		sg_snapshot_drop(compilation->snapshot);
		sg_plan_drop(&compilation->plan);
		free(compilation);
	}
	forget_marks(compiler);
}

void sg_compiler_reclaim(struct sg_compiler *compiler, struct sg_snapshot *snapshot)
{
	assert(snapshot != compiler->current);
	snapshot->given_back = true;
	while (compiler->oldest != compiler->current && compiler->oldest->given_back) {
		struct sg_snapshot *oldest = compiler->oldest;

		compiler->oldest = oldest->next;
		sg_snapshot_free_oldest(oldest);
	}
}

uint64_t sg_compiler_next_deadline_ms(const struct sg_compiler *compiler)
{
	return sg_deadlines_next(&compiler->deadlines);
}

// A deleted service's slot is given back with the last of what it held.
static void give_up_holder(struct sg_compiler *compiler, uint32_t slot)
{
	struct sg_holder *holder = &compiler->holders[slot];

	if (!holder->deleted || holder->n_members > 0 || holder->n_resting > 0)
		return;
	free(holder->members);
	*holder = (struct sg_holder){0};
	sg_slots_give(&compiler->service_slots, slot);
	compiler->has_over = true;
	compiler->cleared[compiler->n_cleared++] = slot;
}

void sg_compiler_note_sweeps(
	struct sg_compiler *compiler, const uint64_t *sweeps, unsigned n_workers)
{
	struct sg_rest rest;

	sg_resting_note_sweeps(&compiler->resting, sweeps, n_workers);
	while (sg_resting_take(&compiler->resting, &rest)) {
		sg_slots_give(&compiler->backend_slots, rest.slot);
		compiler->holders[rest.owner].n_resting--;
		give_up_holder(compiler, rest.owner);
	}
}

// The slot of a service that is in the state, or of one that is only draining when `deleted_too`.
static uint32_t find_service(
	const struct sg_compiler *compiler, const char *service, bool deleted_too)
{
	uint32_t at;

	if (!sg_holdings_search(compiler->holdings, compiler->n_holdings, service, &at))
		return UINT32_MAX;
	if (compiler->holdings[at].deleted && !deleted_too)
		return UINT32_MAX;
	return compiler->holdings[at].slot;
}

void sg_compiler_end_now(struct sg_compiler *compiler, const char *service,
	const struct sg_addr *address, uint16_t port)
{
	uint32_t slot = find_service(compiler, service, true);
	struct sg_holder *holder = slot == UINT32_MAX ? NULL : &compiler->holders[slot];
	struct sg_member *member = holder ? sg_holder_find(holder, address, port) : NULL;

	if (!member)
		return;
	member->end_now = true;
	if (!holder->has_marks)
		compiler->marked[compiler->n_marked++] = slot;
	holder->has_marks = true;
}

void sg_compiler_withdraw(struct sg_compiler *compiler)
{
	compiler->withdrawn = true;
}

uint32_t sg_compiler_find_service_slot(const struct sg_compiler *compiler, const char *service)
{
	return find_service(compiler, service, false);
}

uint32_t sg_compiler_find_backend_slot(const struct sg_compiler *compiler, const char *service,
	const struct sg_addr *address, uint16_t port)
{
	uint32_t slot = find_service(compiler, service, false);

	return slot == UINT32_MAX ? UINT32_MAX
				  : sg_compiler_find_backend_slot_of(compiler, slot, address, port);
}

uint32_t sg_compiler_find_backend_slot_of(const struct sg_compiler *compiler, uint32_t service_slot,
	const struct sg_addr *address, uint16_t port)
{
	const struct sg_member *member =
		sg_holder_find(&compiler->holders[service_slot], address, port);

	return member && member->life != SG_BACKEND_REMOVED ? member->slot : UINT32_MAX;
}

bool sg_compiler_holds(const struct sg_compiler *compiler, const char *service,
	const struct sg_addr *address, uint16_t port)
{
	uint32_t slot = find_service(compiler, service, true);

	return slot != UINT32_MAX && sg_holder_find(&compiler->holders[slot], address, port);
}
