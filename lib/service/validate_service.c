// Checks one service against the settings, see validate_service.h.
#include "service/validate_service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/headers.h"
#include "service/backend_cidrs.h"
#include "service/validate_names.h"

#define MAX_AFFINITY_TIMEOUT_S (365 * 24 * 3600)

struct sg_endpoint_text sg_endpoint_format(const struct sg_addr *addr, uint16_t port)
{
	struct sg_endpoint_text text;
	char address[SG_ADDR_TEXT_BYTES];

	snprintf(text.text, sizeof(text.text), addr->family == SG_FAMILY_IPV6 ? "[%s]:%u" : "%s:%u",
		sg_addr_format(addr, address), port);
	return text;
}

int sg_refuse_backend(struct sg_error *error, const struct sg_service_spec *spec,
	const struct sg_backend_spec *backend, const char *what)
{
	return sg_error_set_at(error, -EINVAL, backend->line ? backend->line : spec->line,
		"backend %s of service '%s' %s",
		sg_endpoint_format(&backend->address, backend->port).text, spec->name, what);
}

// What this version does not serve yet.
static int check_is_served(const struct sg_service_spec *spec, struct sg_error *error)
{
	if (spec->announce == SG_ANNOUNCE_KERNEL)
		return sg_error_set_at(error, -EINVAL, spec->line,
			"service '%s': this version does not serve announce \"kernel\"; use \"always\" or \"never\"",
			spec->name);
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

static int check_numbers(struct sg_service_check *check, const struct sg_service_spec *spec)
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
	if (spec->policy.n_allow > SG_MAX_SERVICE_PREFIXES)
		return sg_error_set_at(check->error, -EINVAL, spec->line,
			"service '%s' has %u allow prefixes; %d are the most", spec->name,
			spec->policy.n_allow, SG_MAX_SERVICE_PREFIXES);
	if (spec->policy.n_deny > SG_MAX_SERVICE_PREFIXES)
		return sg_error_set_at(check->error, -EINVAL, spec->line,
			"service '%s' has %u deny prefixes; %d are the most", spec->name,
			spec->policy.n_deny, SG_MAX_SERVICE_PREFIXES);
	if (spec->n_backends > SG_MAX_SERVICE_BACKENDS)
		return sg_error_set_at(check->error, -EINVAL, spec->line,
			"service '%s' has %u backends; %d are the most", spec->name,
			spec->n_backends, SG_MAX_SERVICE_BACKENDS);
	return 0;
}

static int refuse_vip(struct sg_service_check *check, const struct sg_service_spec *spec,
	const struct sg_addr *vip, const char *what)
{
	char text[SG_ADDR_TEXT_BYTES];

	return sg_error_set_at(check->error, -EINVAL, spec->line, "service '%s': VIP %s %s",
		spec->name, sg_addr_format(vip, text), what);
}

static int check_vip(struct sg_service_check *check, const struct sg_service_spec *spec,
	const struct sg_addr *vip)
{
	const struct sg_endpoint endpoint = {.addr = *vip};
	const struct sg_port_settings *port = sg_endpoints_find(&check->port_addresses, &endpoint);
	const char *fault = sg_addr_fault(vip);
	char what[SG_MAX_NAME_BYTES + 32];

	if (fault)
		return refuse_vip(check, spec, vip, fault);
	if (sg_endpoints_find(&check->snat_addresses, &endpoint))
		return refuse_vip(check, spec, vip, "is a SNAT address");
	if (!port)
		return 0;
	snprintf(what, sizeof(what), "is an address of port '%s'", port->name);
	return refuse_vip(check, spec, vip, what);
}

static int check_vips(struct sg_service_check *check, const struct sg_service_spec *spec)
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

static bool is_inside_cidrs(const struct sg_service_check *check, const struct sg_addr *address)
{
	if (!check->settings->backend_cidrs_given)
		return true;
	return sg_trie_find(address->family == SG_FAMILY_IPV6 ? check->cidrs6 : check->cidrs4,
		       address->bytes) != SG_TRIE_NONE;
}

static int refuse_outside_cidrs(struct sg_service_check *check, const struct sg_service_spec *spec,
	const struct sg_backend_spec *backend)
{
	char cidrs[200], what[400];

	format_cidrs(check->settings, cidrs, sizeof(cidrs));
	snprintf(what, sizeof(what), "(of owner '%s') lies outside backend_cidrs (%s)", spec->owner,
		cidrs);
	return sg_refuse_backend(check->error, spec, backend, what);
}

int sg_service_check_cidrs(struct sg_service_check *check, const struct sg_service_spec *spec)
{
	for (unsigned i = 0; i < spec->n_backends; i++)
		if (!is_inside_cidrs(check, &spec->backends[i].address))
			return refuse_outside_cidrs(check, spec, &spec->backends[i]);
	return 0;
}

// The SNAT address may be one that the kernel has too, and its ports outside snat.ports are then
// the kernel's.
static bool is_snat_endpoint(struct sg_service_check *check, const struct sg_backend_spec *backend)
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

static int check_policy(struct sg_service_check *check, const struct sg_service_spec *spec)
{
	const struct sg_prefix *mapped = sg_policy_spec_find_mapped(&spec->policy);
	char text[SG_PREFIX_TEXT_BYTES];

	if (!mapped)
		return 0;
	return sg_error_set_at(check->error, -EINVAL, spec->line,
		"service '%s': %s in allow or deny is IPv4 written as IPv6: write it as IPv4",
		spec->name, sg_prefix_format(mapped, text));
}

static int check_backend(struct sg_service_check *check, const struct sg_service_spec *spec,
	const struct sg_backend_spec *backend)
{
	bool ipv6 = backend->address.family == SG_FAMILY_IPV6;
	const char *fault = sg_addr_fault(&backend->address);

	if (backend->port == 0)
		return sg_refuse_backend(
			check->error, spec, backend, "needs a port from 1 to 65535");
	if (fault)
		return sg_refuse_backend(check->error, spec, backend, fault);
	if (is_snat_endpoint(check, backend))
		return sg_refuse_backend(
			check->error, spec, backend, "is a SNAT address of this gateway");
	if (!has_vip_of_family(spec, backend->address.family))
		return sg_refuse_backend(check->error, spec, backend,
			ipv6 ? "is IPv6, but the service has no IPv6 VIP"
			     : "is IPv4, but the service has no IPv4 VIP");
	if (spec->forward == SG_FORWARD_SNAT &&
		!has_snat_address(check->settings, backend->address.family))
		return sg_refuse_backend(check->error, spec, backend,
			ipv6 ? "needs an IPv6 SNAT address: add one to snat.addresses"
			     : "needs an IPv4 SNAT address: add one to snat.addresses");
	if (spec->forward >= SG_FORWARD_DSR && backend->port != spec->port)
		return sg_refuse_backend(check->error, spec, backend,
			"needs the service's port: dsr and ipip do not translate ports");
	if (!is_inside_cidrs(check, &backend->address))
		return refuse_outside_cidrs(check, spec, backend);
	return 0;
}

int sg_service_check_run(struct sg_service_check *check, const struct sg_service_spec *spec)
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
	if (err == 0)
		err = check_policy(check, spec);
	for (unsigned i = 0; i < spec->n_backends && err == 0; i++)
		err = check_backend(check, spec, &spec->backends[i]);
	return err;
}

static int out_of_memory(struct sg_service_check *check)
{
	return sg_error_set(check->error, -ENOMEM, "out of memory");
}

static int enter_own_addresses(struct sg_service_check *check)
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

static int build_cidrs(struct sg_service_check *check)
{
	return sg_backend_cidrs_compile(check->settings, &check->cidrs4, &check->cidrs6) < 0
		       ? out_of_memory(check)
		       : 0;
}

int sg_service_check_init(struct sg_service_check *ret_check, const struct sg_settings *settings,
	struct sg_error *error)
{
	int err;

	*ret_check = (struct sg_service_check){.settings = settings, .error = error};
	err = enter_own_addresses(ret_check);
	if (err == 0)
		err = build_cidrs(ret_check);
	if (err < 0)
		sg_service_check_fini(ret_check);
	return err;
}

void sg_service_check_fini(struct sg_service_check *check)
{
	sg_endpoints_fini(&check->snat_addresses);
	sg_endpoints_fini(&check->port_addresses);
	sg_trie_unref(check->cidrs6);
	sg_trie_unref(check->cidrs4);
}
