// Checks a desired state: each service alone, then services against each other. See validate.h.
//
// What is shared with a state that passed is not looked into again; it is only searched for clashes
// with what is fresh, and only when there is something fresh to clash: a new VIP, or a new backend.
#include "service/validate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/headers.h"
#include "service/endpoints.h"
#include "service/trie.h"
#include "service/validate_names.h"

#define MAX_AFFINITY_TIMEOUT_S (365 * 24 * 3600)

// A spec that the state before did not have, and what the service of its name was then (NULL: there
// was none).
struct fresh {
	const struct sg_service_spec *spec;
	const struct sg_service_spec *before;
};

struct check {
	const struct sg_state *state;
	const struct sg_state *previous; // may be NULL
	const struct sg_settings *settings;
	struct sg_error *error;
	struct fresh *fresh;
	unsigned n_fresh;
	struct sg_endpoints port_addresses; // owner: the port's settings
	struct sg_endpoints snat_addresses; // owner: the address
	struct sg_trie *cidrs4, *cidrs6;
	// What fresh services bring; owner: the spec.
	struct sg_endpoints new_vips;     // address, port, protocol
	struct sg_endpoints vip_doors;    // address, port of the same
	struct sg_endpoints new_backends; // address, port
};

static int out_of_memory(struct check *check)
{
	return sg_error_set(check->error, -ENOMEM, "out of memory");
}

// "10.0.0.2:80", "[fd00::2]:80"
struct endpoint_text {
	char text[SG_ADDR_TEXT_BYTES + 8];
};

static struct endpoint_text format_endpoint(const struct sg_addr *addr, uint16_t port)
{
	struct endpoint_text text;
	char address[SG_ADDR_TEXT_BYTES];

	snprintf(text.text, sizeof(text.text), addr->family == SG_FAMILY_IPV6 ? "[%s]:%u" : "%s:%u",
		sg_addr_format(addr, address), port);
	return text;
}

// What this version does not serve yet.
static int check_is_served(const struct sg_service_spec *spec, struct sg_error *error)
{
	if (spec->forward != SG_FORWARD_SNAT)
		return sg_error_set_at(error, -EINVAL, spec->line,
			"service '%s': this version does not serve forward \"%s\"; use \"snat\"",
			spec->name, sg_forward_name(spec->forward));
	if (spec->scheduler == SG_SCHEDULER_SH)
		return sg_error_set_at(error, -EINVAL, spec->line,
			"service '%s': this version does not serve scheduler \"sh\"; \"maglev\" also picks by the "
			"client's address and port",
			spec->name);
	if (spec->affinity != SG_AFFINITY_NONE)
		return sg_error_set_at(error, -EINVAL, spec->line,
			"service '%s': this version does not serve affinity \"%s\"; use \"none\"",
			spec->name, sg_affinity_name(spec->affinity));
	if (spec->announce == SG_ANNOUNCE_KERNEL)
		return sg_error_set_at(error, -EINVAL, spec->line,
			"service '%s': this version does not serve announce \"kernel\"; use \"always\" or \"never\"",
			spec->name);
	for (unsigned i = 0; i < spec->n_vips; i++)
		if (spec->vips[i].family == SG_FAMILY_IPV6)
			return sg_error_set_at(error, -EINVAL, spec->line,
				"service '%s': this version serves no IPv6 VIP", spec->name);
	for (unsigned i = 0; i < spec->n_backends; i++)
		if (spec->backends[i].address.family == SG_FAMILY_IPV6)
			return sg_error_set_at(error, -EINVAL,
				spec->backends[i].line ? spec->backends[i].line : spec->line,
				"service '%s': this version serves no IPv6 backend", spec->name);
	return 0;
}

static bool is_maglev_size(uint32_t size)
{
	// Those that IPVS's mh scheduler offers: a table of either is of the same size.
	static const uint32_t sizes[] = {
		251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521, 131071};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (sizes[i] == size)
			return true;
	return false;
}

static int check_numbers(struct check *check, const struct sg_service_spec *spec)
{
	if (spec->protocol != SG_PROTO_TCP && spec->protocol != SG_PROTO_UDP)
		return sg_error_set_at(check->error, -EINVAL, spec->line,
			"service '%s': the protocol must be \"tcp\" or \"udp\"", spec->name);
	if (spec->port == 0)
		return sg_error_set_at(check->error, -EINVAL, spec->line,
			"service '%s': the port must be from 1 to 65535", spec->name);
	if (!is_maglev_size(spec->maglev_table_size))
		return sg_error_set_at(check->error, -EINVAL, spec->line,
			"service '%s': maglev_table_size is %u; it must be one of 251, 509, 1021, 2039, 4093, 8191, "
			"16381, 32749, 65521 and 131071",
			spec->name, spec->maglev_table_size);
	if (spec->affinity_timeout_s > MAX_AFFINITY_TIMEOUT_S)
		return sg_error_set_at(check->error, -EINVAL, spec->line,
			"service '%s': affinity_timeout is %u seconds; a year, %d, is the most",
			spec->name, spec->affinity_timeout_s, MAX_AFFINITY_TIMEOUT_S);
	if (spec->n_allow > SG_MAX_SERVICE_PREFIXES)
		return sg_error_set_at(check->error, -EINVAL, spec->line,
			"service '%s' has %u allow prefixes; %d are the most", spec->name,
			spec->n_allow, SG_MAX_SERVICE_PREFIXES);
	if (spec->n_backends > SG_MAX_SERVICE_BACKENDS)
		return sg_error_set_at(check->error, -EINVAL, spec->line,
			"service '%s' has %u backends; %d are the most", spec->name,
			spec->n_backends, SG_MAX_SERVICE_BACKENDS);
	return 0;
}

static int refuse_vip(struct check *check, const struct sg_service_spec *spec,
	const struct sg_addr *vip, const char *what)
{
	char text[SG_ADDR_TEXT_BYTES];

	return sg_error_set_at(check->error, -EINVAL, spec->line, "service '%s': VIP %s %s",
		spec->name, sg_addr_format(vip, text), what);
}

static int check_vip(
	struct check *check, const struct sg_service_spec *spec, const struct sg_addr *vip)
{
	const struct sg_endpoint endpoint = {.addr = *vip};
	const struct sg_port_settings *port = sg_endpoints_find(&check->port_addresses, &endpoint);
	char what[SG_MAX_NAME_BYTES + 32];

	if (!sg_addr_is_unicast(vip))
		return refuse_vip(check, spec, vip, "can be no host's address");
	if (sg_endpoints_find(&check->snat_addresses, &endpoint))
		return refuse_vip(check, spec, vip, "is a SNAT address");
	if (!port)
		return 0;
	snprintf(what, sizeof(what), "is an address of port '%s'", port->name);
	return refuse_vip(check, spec, vip, what);
}

static int check_vips(struct check *check, const struct sg_service_spec *spec)
{
	if (spec->n_vips == 0)
		return sg_error_set_at(
			check->error, -EINVAL, spec->line, "service '%s' has no VIP", spec->name);
	if (spec->n_vips > 2 || (spec->n_vips == 2 && spec->vips[0].family == spec->vips[1].family))
		return sg_error_set_at(check->error, -EINVAL, spec->line,
			"service '%s' has two VIPs of one family: it may have one IPv4 and one IPv6 address",
			spec->name);
	for (unsigned i = 0; i < spec->n_vips; i++) {
		int err = check_vip(check, spec, &spec->vips[i]);

		if (err < 0)
			return err;
	}
	return 0;
}

// "10.0.0.0/8, 192.168.0.0/16, ...", cut where it gets long.
static void format_cidrs(const struct sg_settings *settings, char *text, size_t size)
{
	size_t used = (size_t)snprintf(
		text, size, "%s", settings->n_backend_cidrs > 0 ? "" : "none is allowed");

	for (unsigned i = 0; i < settings->n_backend_cidrs; i++) {
		char prefix[SG_PREFIX_TEXT_BYTES];

		if (used + SG_PREFIX_TEXT_BYTES + 8 > size) {
			snprintf(text + used, size - used, ", ...");
			return;
		}
		used += (size_t)snprintf(text + used, size - used, "%s%s", i > 0 ? ", " : "",
			sg_prefix_format(&settings->backend_cidrs[i], prefix));
	}
}

static int refuse_backend(struct check *check, const struct sg_service_spec *spec,
	const struct sg_backend_spec *backend, const char *what)
{
	return sg_error_set_at(check->error, -EINVAL, backend->line ? backend->line : spec->line,
		"backend %s of service '%s' %s",
		format_endpoint(&backend->address, backend->port).text, spec->name, what);
}

static bool is_inside_cidrs(const struct check *check, const struct sg_addr *address)
{
	if (!check->settings->backend_cidrs_given)
		return true;
	return sg_trie_find(address->family == SG_FAMILY_IPV6 ? check->cidrs6 : check->cidrs4,
		       address->bytes) != SG_TRIE_NONE;
}

static int refuse_outside_cidrs(struct check *check, const struct sg_service_spec *spec,
	const struct sg_backend_spec *backend)
{
	char cidrs[200], what[300];

	format_cidrs(check->settings, cidrs, sizeof(cidrs));
	snprintf(what, sizeof(what), "lies outside backend_cidrs (%s)", cidrs);
	return refuse_backend(check, spec, backend, what);
}

// The SNAT address may be one that the kernel has too, and its ports outside snat.ports are then
// the kernel's.
static bool is_snat_endpoint(struct check *check, const struct sg_backend_spec *backend)
{
	const struct sg_endpoint endpoint = {.addr = backend->address};

	if (!sg_endpoints_find(&check->snat_addresses, &endpoint))
		return false;
	return !sg_endpoints_find(&check->port_addresses, &endpoint) ||
	       (backend->port >= check->settings->snat_port_min &&
		       backend->port <= check->settings->snat_port_max);
}

static bool has_snat_address(const struct sg_settings *settings, uint8_t family)
{
	for (unsigned i = 0; i < settings->n_snat_addresses; i++)
		if (settings->snat_addresses[i].family == family)
			return true;
	return false;
}

static bool has_vip_of_family(const struct sg_service_spec *spec, uint8_t family)
{
	for (unsigned i = 0; i < spec->n_vips; i++)
		if (spec->vips[i].family == family)
			return true;
	return false;
}

static int check_backend(struct check *check, const struct sg_service_spec *spec,
	const struct sg_backend_spec *backend)
{
	bool ipv6 = backend->address.family == SG_FAMILY_IPV6;

	if (backend->port == 0)
		return refuse_backend(check, spec, backend, "needs a port from 1 to 65535");
	if (!sg_addr_is_unicast(&backend->address))
		return refuse_backend(check, spec, backend, "can be no host's address");
	if (is_snat_endpoint(check, backend))
		return refuse_backend(check, spec, backend, "is a SNAT address of this gateway");
	if (!has_vip_of_family(spec, backend->address.family))
		return refuse_backend(check, spec, backend,
			ipv6 ? "is IPv6, but the service has no IPv6 VIP"
			     : "is IPv4, but the service has no IPv4 VIP");
	if (spec->forward == SG_FORWARD_SNAT &&
		!has_snat_address(check->settings, backend->address.family))
		return refuse_backend(check, spec, backend,
			ipv6 ? "needs an IPv6 SNAT address: add one to snat.addresses"
			     : "needs an IPv4 SNAT address: add one to snat.addresses");
	if (!is_inside_cidrs(check, &backend->address))
		return refuse_outside_cidrs(check, spec, backend);
	return 0;
}

static int check_service(struct check *check, const struct sg_service_spec *spec)
{
	int err;

	if (!sg_name_is_valid(spec->name))
		return sg_error_set_at(check->error, -EINVAL, spec->line,
			"\"%s\" is not a service's name: use " SG_NAME_RULE, spec->name);
	if (!sg_name_is_valid(spec->owner))
		return sg_error_set_at(check->error, -EINVAL, spec->line,
			"service '%s': \"%s\" is not an owner's name: use " SG_NAME_RULE,
			spec->name, spec->owner);
	err = check_numbers(check, spec);
	if (err == 0)
		err = check_is_served(spec, check->error);
	if (err == 0)
		err = check_vips(check, spec);
	for (unsigned i = 0; i < spec->n_backends && err == 0; i++)
		err = check_backend(check, spec, &spec->backends[i]);
	return err;
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
		format_endpoint(vip, later->port).text, sg_protocol_name(later->protocol));
}

static int refuse_vip_as_backend(struct check *check, const struct sg_service_spec *spec,
	const struct sg_backend_spec *backend, const struct sg_service_spec *vip_owner)
{
	char what[200];

	snprintf(what, sizeof(what),
		"is the VIP and port of service '%s': a service cannot be a backend",
		vip_owner->name);
	return refuse_backend(check, spec, backend, what);
}

static bool has_old_vips(const struct check *check)
{
	return check->previous && check->previous->n_services > 0;
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
	return err < 0 ? out_of_memory(check) : 0;
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
// asked for ahead.
static void prefetch_ahead(const struct sg_state *state, unsigned i, bool backends)
{
	enum { AHEAD = 8, MAX_BYTES = 512, LINE_BYTES = 64 };
	const struct sg_service_spec *spec;
	size_t bytes;

	if (i + 2 * AHEAD < state->n_services)
		__builtin_prefetch(&state->services[i + 2 * AHEAD]->vips);
	if (!backends || i + AHEAD >= state->n_services)
		return;
	spec = state->services[i + AHEAD];
	bytes = spec->n_backends * sizeof(spec->backends[0]);
	for (size_t at = 0; at < bytes && at < MAX_BYTES; at += LINE_BYTES)
		__builtin_prefetch((const char *)spec->backends + at);
}

static int check_clashes(struct check *check)
{
	bool search_vips = check->new_vips.n > 0 || check->new_backends.n > 0;
	bool search_backends = check->vip_doors.n > 0;
	int err = 0;

	for (unsigned i = 0; i < check->state->n_services && err == 0 && search_vips; i++) {
		prefetch_ahead(check->state, i, false);
		err = check_vip_clashes(check, check->state->services[i]);
	}
	for (unsigned i = 0; i < check->state->n_services && err == 0 && search_backends; i++) {
		prefetch_ahead(check->state, i, true);
		err = check_backend_clashes(check, check->state->services[i]);
	}
	return err;
}

// Finds the specs that `previous` does not have, side by side by name, without reading those that
// it has.
static int find_fresh(struct check *check)
{
	const struct sg_state *previous = check->previous;
	unsigned old = 0;

	check->fresh = malloc((check->state->n_services + 1) * sizeof(check->fresh[0]));
	if (!check->fresh)
		return out_of_memory(check);
	for (unsigned i = 0; i < check->state->n_services; i++) {
		const struct sg_service_spec *spec = check->state->services[i];
		int order = 1;

		while (previous && old < previous->n_services) {
			const struct sg_service_spec *before = previous->services[old];

			order = before == spec ? 0 : strcmp(before->name, spec->name);
			if (order >= 0)
				break;
			old++;
			order = 1;
		}
		if (order == 0 && previous->services[old] == spec) {
			old++;
			continue;
		}
		if (order == 0 && sg_service_spec_equal(previous->services[old], spec)) {
			old++;
			continue;
		}
		check->fresh[check->n_fresh++] = (struct fresh){
			.spec = spec, .before = order == 0 ? previous->services[old++] : NULL};
	}
	return 0;
}

static int enter_own_addresses(struct check *check)
{
	const struct sg_settings *settings = check->settings;
	int err = 0;

	for (unsigned i = 0; i < settings->n_ports && err == 0; i++)
		for (unsigned j = 0; j < settings->ports[i].n_addresses && err == 0; j++)
			err = sg_endpoints_add(&check->port_addresses,
				&(struct sg_endpoint){.addr = settings->ports[i].addresses[j].addr},
				&settings->ports[i]);
	for (unsigned i = 0; i < settings->n_snat_addresses && err == 0; i++)
		err = sg_endpoints_add(&check->snat_addresses,
			&(struct sg_endpoint){.addr = settings->snat_addresses[i]},
			&settings->snat_addresses[i]);
	return err < 0 ? out_of_memory(check) : 0;
}

static int build_cidrs(struct check *check)
{
	const struct sg_settings *settings = check->settings;
	struct sg_trie_entry *entries;

	if (!settings->backend_cidrs_given)
		return 0;
	entries = malloc((settings->n_backend_cidrs + 1) * sizeof(entries[0]));
	if (!entries)
		return out_of_memory(check);
	for (unsigned i = 0; i < settings->n_backend_cidrs; i++)
		entries[i] =
			(struct sg_trie_entry){.prefix = settings->backend_cidrs[i], .value = 1};
	check->cidrs4 = sg_trie_create(entries, settings->n_backend_cidrs, SG_FAMILY_IPV4);
	check->cidrs6 = sg_trie_create(entries, settings->n_backend_cidrs, SG_FAMILY_IPV6);
	free(entries);
	return check->cidrs4 && check->cidrs6 ? 0 : out_of_memory(check);
}

static int check_count(struct check *check)
{
	if (check->state->n_services > SG_MAX_SERVICES)
		return sg_error_set(check->error, -EINVAL, "there are %u services; %d are the most",
			check->state->n_services, SG_MAX_SERVICES);
	return 0;
}

static void free_check(struct check *check)
{
	sg_endpoints_fini(&check->new_backends);
	sg_endpoints_fini(&check->vip_doors);
	sg_endpoints_fini(&check->new_vips);
	sg_endpoints_fini(&check->snat_addresses);
	sg_endpoints_fini(&check->port_addresses);
	sg_trie_unref(check->cidrs6);
	sg_trie_unref(check->cidrs4);
	free(check->fresh);
}

int sg_validate_state(const struct sg_state *state, const struct sg_state *previous,
	const struct sg_settings *settings, struct sg_error *error)
{
	struct check check = {
		.state = state, .previous = previous, .settings = settings, .error = error};
	int err = check_count(&check);

	if (err == 0)
		err = find_fresh(&check);
	if (err == 0 && check.n_fresh > 0)
		err = enter_own_addresses(&check);
	if (err == 0 && check.n_fresh > 0)
		err = build_cidrs(&check);
	for (unsigned i = 0; i < check.n_fresh && err == 0; i++)
		err = check_service(&check, check.fresh[i].spec);
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

		if (spec->scheduler != SG_SCHEDULER_MAGLEV ||
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
