// Checks a desired state: each service alone, then services against each other. See validate.h.
//
// What is shared with a state that passed is not looked into again; it is only searched for clashes
// with what is fresh, and only when there is something fresh to clash: a new VIP, or a new backend.
#include "service/validate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prefetch.h"
#include "service/endpoints.h"
#include "service/state_diff.h"
#include "service/validate_service.h"

// A spec that the state before did not have, and what the service of its name was then (NULL: there
// was none).
struct fresh {
	const struct sg_service_spec *spec;
	const struct sg_service_spec *before;
};

struct check {
	const struct sg_state *state;
	const struct sg_state *previous; // may be NULL
	struct sg_error *error;
	struct fresh *fresh;
	unsigned n_fresh, max_fresh;
	// What fresh services bring; owner: the spec.
	struct sg_endpoints new_vips;     // address, port, protocol
	struct sg_endpoints vip_doors;    // address, port of the same
	struct sg_endpoints new_backends; // address, port
	struct sg_endpoints new_dnats;    // address, port, protocol of dnat services' backends
};

static int out_of_memory(struct check *check)
{
	return sg_error_set(check->error, -ENOMEM, "out of memory");
}

static struct sg_endpoint vip_endpoint(
	const struct sg_service_spec *spec, unsigned i, bool with_protocol)
{
	return (struct sg_endpoint){.addr = spec->vips[i],
		.port = spec->port,
		.protocol = with_protocol ? spec->protocol : 0};
}

static bool had_vip(
	const struct sg_service_spec *before, const struct sg_service_spec *spec, unsigned i)
{
	if (!before || before->port != spec->port || before->protocol != spec->protocol)
		return false;
	for (unsigned j = 0; j < before->n_vips; j++)
		if (sg_addr_equal(&before->vips[j], &spec->vips[i]))
			return true;
	return false;
}

static int refuse_same_vip(struct check *check, const struct sg_service_spec *a,
	const struct sg_service_spec *b, const struct sg_addr *vip)
{
	const struct sg_service_spec *later = b->line >= a->line ? b : a;
	const struct sg_service_spec *earlier = later == a ? b : a;

	return sg_error_set_at(check->error, -EINVAL, later->line,
		"service '%s' (of owner '%s') has the VIP, protocol and port of service '%s' (of owner '%s'): %s %s",
		later->name, later->owner, earlier->name, earlier->owner,
		sg_endpoint_format(vip, later->port).text, sg_protocol_name(later->protocol));
}

static int refuse_vip_as_backend(struct check *check, const struct sg_service_spec *spec,
	const struct sg_backend_spec *backend, const struct sg_service_spec *vip_owner)
{
	char what[200];

	snprintf(what, sizeof(what),
		"is the VIP and port of service '%s': a service cannot be a backend",
		vip_owner->name);
	return sg_refuse_backend(check->error, spec, backend, what);
}

static bool has_old_vips(const struct check *check)
{
	return check->previous && check->previous->n_services > 0;
}

// An answer in mode dnat is known by its source alone.
static int refuse_shared_dnat(struct check *check, const struct sg_service_spec *spec,
	const struct sg_backend_spec *backend, const struct sg_service_spec *other)
{
	char what[200];

	snprintf(what, sizeof(what),
		"is a backend of service '%s' too: two dnat services cannot share one, their answers would "
		"look the same",
		other->name);
	return sg_refuse_backend(check->error, spec, backend, what);
}

static struct sg_endpoint dnat_endpoint(
	const struct sg_service_spec *spec, const struct sg_backend_spec *backend)
{
	return (struct sg_endpoint){
		.addr = backend->address, .port = backend->port, .protocol = spec->protocol};
}

static int enter_dnats(struct check *check, const struct sg_service_spec *spec)
{
	for (unsigned i = 0; spec->forward == SG_FORWARD_DNAT && i < spec->n_backends; i++) {
		struct sg_endpoint endpoint = dnat_endpoint(spec, &spec->backends[i]);
		const struct sg_service_spec *other =
			sg_endpoints_find(&check->new_dnats, &endpoint);

		if (other)
			return refuse_shared_dnat(check, spec, &spec->backends[i], other);
		if (sg_endpoints_add(&check->new_dnats, &endpoint, spec) < 0)
			return out_of_memory(check);
	}
	return 0;
}

// Searches for a dnat service's backends among those of fresh ones.
static int check_dnat_clashes(struct check *check, const struct sg_service_spec *spec)
{
	for (unsigned i = 0; spec->forward == SG_FORWARD_DNAT && i < spec->n_backends; i++) {
		struct sg_endpoint endpoint = dnat_endpoint(spec, &spec->backends[i]);
		const struct sg_service_spec *other =
			sg_endpoints_find(&check->new_dnats, &endpoint);

		if (other && other != spec)
			return refuse_shared_dnat(check, other,
				sg_service_spec_find_backend(other, &endpoint.addr, endpoint.port),
				spec);
	}
	return 0;
}

// Enters what a fresh spec brings into the sets of new VIPs and new backends.
static int enter_fresh(struct check *check, const struct fresh *fresh)
{
	const struct sg_service_spec *spec = fresh->spec;
	int err = 0;

	for (unsigned i = 0; i < spec->n_vips && err == 0; i++) {
		struct sg_endpoint vip = vip_endpoint(spec, i, true),
				   door = vip_endpoint(spec, i, false);
		const struct sg_service_spec *other = sg_endpoints_find(&check->new_vips, &vip);

		if (other)
			return refuse_same_vip(check, other, spec, &spec->vips[i]);
		if (had_vip(fresh->before, spec, i))
			continue;
		err = sg_endpoints_add(&check->new_vips, &vip, spec);
		if (err == 0)
			err = sg_endpoints_add(&check->vip_doors, &door, spec);
	}
	// New backends are looked for among old VIPs only: among new VIPs, all backends are looked
	// for anyway.
	for (unsigned i = 0; has_old_vips(check) && i < spec->n_backends && err == 0; i++) {
		const struct sg_backend_spec *backend = &spec->backends[i];
		struct sg_endpoint endpoint = {.addr = backend->address, .port = backend->port};

		if (!fresh->before || !sg_service_spec_find_backend(
					      fresh->before, &backend->address, backend->port))
			err = sg_endpoints_add(&check->new_backends, &endpoint, spec);
	}
	return err < 0 ? out_of_memory(check) : enter_dnats(check, spec);
}

// Searches for a service's VIPs among the new VIPs and the new backends.
static int check_vip_clashes(struct check *check, const struct sg_service_spec *spec)
{
	for (unsigned i = 0; i < spec->n_vips; i++) {
		struct sg_endpoint vip = vip_endpoint(spec, i, true),
				   door = vip_endpoint(spec, i, false);
		const struct sg_service_spec *other = sg_endpoints_find(&check->new_vips, &vip);

		if (other && other != spec)
			return refuse_same_vip(check, spec, other, &spec->vips[i]);
		other = sg_endpoints_find(&check->new_backends, &door);
		if (other)
			return refuse_vip_as_backend(check, other,
				sg_service_spec_find_backend(other, &door.addr, door.port), spec);
	}
	return 0;
}

// Searches for a service's backends among the new VIPs.
static int check_backend_clashes(struct check *check, const struct sg_service_spec *spec)
{
	for (unsigned i = 0; i < spec->n_backends; i++) {
		const struct sg_backend_spec *backend = &spec->backends[i];
		const struct sg_endpoint endpoint = {
			.addr = backend->address, .port = backend->port};
		const struct sg_service_spec *other =
			sg_endpoints_find(&check->vip_doors, &endpoint);

		if (other)
			return refuse_vip_as_backend(check, spec, backend, other);
	}
	return 0;
}

// fast path: specs and their backends lie anywhere in memory, so what the search comes to next is
// asked for ahead: a page of a state at a time.
static void prefetch_page(const struct sg_state *state, unsigned number, bool backends)
{
	enum {
		MAX_BYTES = 512,
		LINE_BYTES = 64
	};

	for (unsigned i = 0; number < state->n_pages && i < state->pages[number]->n; i++) {
		const struct sg_service_spec *spec = state->pages[number]->services[i];
		size_t bytes = backends ? spec->n_backends * sizeof(spec->backends[0]) : 0;

		sg_prefetch(&spec->vips);
		for (size_t at = 0; at < bytes && at < MAX_BYTES; at += LINE_BYTES)
			sg_prefetch((const char *)spec->backends + at);
	}
}

// Calls `search` for every service of the state.
static int search_all(struct check *check, bool backends,
	int (*search)(struct check *check, const struct sg_service_spec *spec))
{
	const struct sg_state *state = check->state;
	int err = 0;

	for (unsigned number = 0; number < state->n_pages && err == 0; number++) {
		const struct sg_state_page *page = state->pages[number];

		// The lines of the page after the next, then those that they point to.
		prefetch_page(state, number + 2, false);
		prefetch_page(state, number + 1, backends);
		for (unsigned i = 0; i < page->n && err == 0; i++)
			err = search(check, page->services[i]);
	}
	return err;
}

static int check_clashes(struct check *check)
{
	int err = 0;

	if (check->new_vips.n > 0 || check->new_backends.n > 0)
		err = search_all(check, false, check_vip_clashes);
	if (err == 0 && check->vip_doors.n > 0)
		err = search_all(check, true, check_backend_clashes);
	if (err == 0 && check->new_dnats.n > 0)
		err = search_all(check, true, check_dnat_clashes);
	return err;
}

// Room for one more, by doubling.
static int note_fresh(struct check *check, const struct sg_service_spec *spec,
	const struct sg_service_spec *before)
{
	if (check->n_fresh == check->max_fresh) {
		unsigned max = check->max_fresh < 16 ? 16 : 2 * check->max_fresh;
		struct fresh *fresh = realloc(check->fresh, max * sizeof(fresh[0]));

		if (!fresh)
			return out_of_memory(check);
		check->fresh = fresh;
		check->max_fresh = max;
	}
	check->fresh[check->n_fresh++] = (struct fresh){.spec = spec, .before = before};
	return 0;
}

// Finds the specs that `previous` does not have, side by side by name, without reading those that
// it has.
static int find_fresh(struct check *check)
{
	static const struct sg_state nothing;
	struct sg_state_diff diff = {
		.before = check->previous ? check->previous : &nothing, .after = check->state};
	struct sg_service_spec *before, *spec;
	int err = 0;

	while (err == 0 && sg_state_diff_next(&diff, &before, &spec))
		if (spec && !(before && sg_service_spec_equal(before, spec)))
			err = note_fresh(check, spec, before);
	return err;
}

static int check_count(struct check *check)
{
	if (check->state->n_services > SG_MAX_SERVICES)
		return sg_error_set(check->error, -EINVAL, "there are %u services; %d are the most",
			check->state->n_services, SG_MAX_SERVICES);
	return 0;
}

static int check_policy(struct check *check)
{
	const struct sg_shared_policy *policy = check->state->policy;
	const struct sg_prefix *mapped;
	char text[SG_PREFIX_TEXT_BYTES];

	if (!policy)
		return 0;
	if (policy->spec.n_allow > SG_MAX_POLICY_PREFIXES ||
		policy->spec.n_deny > SG_MAX_POLICY_PREFIXES)
		return sg_error_set_at(check->error, -EINVAL, policy->line,
			"the policy has %u allow and %u deny prefixes; %d of each are the most",
			policy->spec.n_allow, policy->spec.n_deny, SG_MAX_POLICY_PREFIXES);
	mapped = sg_policy_spec_find_mapped(&policy->spec);
	if (!mapped)
		return 0;
	return sg_error_set_at(check->error, -EINVAL, policy->line,
		"the policy: %s in allow or deny is IPv4 written as IPv6: write it as IPv4",
		sg_prefix_format(mapped, text));
}

static void free_check(struct check *check)
{
	sg_endpoints_fini(&check->new_dnats);
	sg_endpoints_fini(&check->new_backends);
	sg_endpoints_fini(&check->vip_doors);
	sg_endpoints_fini(&check->new_vips);
	free(check->fresh);
}

// Whether services that passed have to be held against other settings now.
static bool has_other_settings(const struct check *check)
{
	return check->previous && check->previous->settings != check->state->settings;
}

// The services' lines are those of a file that was read before, and say nothing of this one.
static int check_cidrs(struct check *check, struct sg_service_check *service)
{
	struct sg_state_place place = {0};
	const struct sg_service_spec *spec;

	while ((spec = sg_state_next(check->state, &place))) {
		int err = sg_service_check_cidrs(service, spec);

		if (err < 0) {
			check->error->line = 0;
			return err;
		}
	}
	return 0;
}

// Looks into every fresh service, each for itself.
static int check_each(struct check *check, const struct sg_settings *settings)
{
	struct sg_service_check service;
	int err;

	if (check->n_fresh == 0 && !has_other_settings(check))
		return 0;
	err = sg_service_check_init(&service, settings, check->error);
	if (err < 0)
		return err;
	for (unsigned i = 0; i < check->n_fresh && err == 0; i++)
		err = sg_service_check_run(&service, check->fresh[i].spec);
	if (err == 0 && has_other_settings(check))
		err = check_cidrs(check, &service);
	sg_service_check_fini(&service);
	return err;
}

int sg_validate_state(const struct sg_state *state, const struct sg_state *previous,
	const struct sg_settings *settings, struct sg_error *error)
{
	struct check check = {.state = state, .previous = previous, .error = error};
	int err = check_count(&check);

	if (err == 0)
		err = check_policy(&check);
	if (err == 0)
		err = find_fresh(&check);
	if (err == 0)
		err = check_each(&check, settings);
	for (unsigned i = 0; i < check.n_fresh && err == 0; i++)
		err = enter_fresh(&check, &check.fresh[i]);
	if (err == 0)
		err = check_clashes(&check);
	free_check(&check);
	return err;
}

void sg_validate_state_warnings(const struct sg_state *state, const struct sg_state *previous,
	sg_validate_warning_fn *warn, void *context)
{
	struct check check = {.state = state, .previous = previous};

	if (find_fresh(&check) < 0)
		return;
	for (unsigned i = 0; i < check.n_fresh; i++) {
		const struct sg_service_spec *spec = check.fresh[i].spec;
		char text[300];

		if ((spec->scheduler != SG_SCHEDULER_MAGLEV &&
			    spec->scheduler != SG_SCHEDULER_SH) ||
			spec->maglev_table_size >= 100 * spec->n_backends)
			continue;
		snprintf(text, sizeof(text),
			"service '%s': a maglev_table_size of %u is small for %u backends: below 100 x backends, "
			"shares are uneven and changes move more flows",
			spec->name, spec->maglev_table_size, spec->n_backends);
		warn(context, spec->line, text);
	}
	free_check(&check);
}
