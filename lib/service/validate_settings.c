// Checks what stays as it is for the life of the process, see validate.h.
#include "service/validate.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "service/validate_names.h"

#define MIN_MTU           576  // every IPv4 host takes a packet of this size (RFC 791)
#define MIN_MTU_IPV6      1280 // every IPv6 link carries one of this size (RFC 8200)
#define MIN_FLOWS         1024
#define MAX_FLOWS         (1u << 28)
#define MAX_TIMEOUT_S     (365 * 24 * 3600)
#define MIN_SNAT_PORTS    256 // enough for each of the 128 classes in which ports are given out
#define MAX_CPU           1023
#define MAX_INTERFACE_LEN 15 // IFNAMSIZ, less the NUL

bool sg_name_is_valid(const char *name)
{
	size_t length =
		strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/-");

	return length >= 1 && length < SG_MAX_NAME_BYTES && name[length] == '\0';
}

// An instance names files and directories: its lock, its runtime directory.
static bool is_file_name(const char *name)
{
	return sg_name_is_valid(name) && !strchr(name, '/') && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0;
}

// What Linux takes for an interface's name (dev_valid_name), and nothing that a terminal would
// choke on.
static bool is_interface_name(const char *name)
{
	size_t length = strlen(name);

	if (length < 1 || length > MAX_INTERFACE_LEN || strcmp(name, ".") == 0 ||
		strcmp(name, "..") == 0)
		return false;
	for (size_t i = 0; i < length; i++)
		if (!isgraph((unsigned char)name[i]) || name[i] == '/' || name[i] == ':')
			return false;
	return true;
}

static int check_dataplane(const struct sg_settings *settings, struct sg_error *error)
{
	int line = settings->dataplane_line;

	if (!is_file_name(settings->instance))
		return sg_error_set_at(error, -EINVAL, line,
			"dataplane.instance \"%s\" is not a name: use " SG_NAME_RULE
			", without '/', and not \".\" or \"..\"",
			settings->instance);
	if (settings->flows_per_worker < MIN_FLOWS || settings->flows_per_worker > MAX_FLOWS)
		return sg_error_set_at(error, -EINVAL, line,
			"dataplane.flows_per_worker is %u; it must be from %u to %u",
			settings->flows_per_worker, MIN_FLOWS, MAX_FLOWS);
	if (settings->control_cpu < -1 || settings->control_cpu > MAX_CPU)
		return sg_error_set_at(error, -EINVAL, line,
			"dataplane.control_cpu is %d; it must be the number of a CPU, 0 to %d",
			settings->control_cpu, MAX_CPU);
	for (unsigned i = 0; i < settings->n_workers; i++)
		if (settings->workers[i] > MAX_CPU)
			return sg_error_set_at(error, -EINVAL, line,
				"dataplane.workers names CPU %u; it must be the number of a CPU, 0 to %d",
				settings->workers[i], MAX_CPU);
	return 0;
}

// The subnet's own address or its broadcast address, which no host has (RFC 1122 3.2.1.3). A /31
// has neither.
static bool is_a_subnets(const struct sg_addr *addr, unsigned length)
{
	uint32_t host_bits, host;

	if (addr->family != SG_FAMILY_IPV4 || length > 30)
		return false;
	host_bits = UINT32_MAX >> length;
	host = __builtin_bswap32(sg_addr_ipv4_be(addr)) & host_bits;
	return host == 0 || host == host_bits;
}

// The port that has the address, or NULL.
static const struct sg_port_settings *find_port_address(
	const struct sg_settings *settings, unsigned n_ports, const struct sg_addr *addr)
{
	for (unsigned i = 0; i < n_ports; i++)
		for (unsigned j = 0; j < settings->ports[i].n_addresses; j++)
			if (sg_addr_equal(&settings->ports[i].addresses[j].addr, addr))
				return &settings->ports[i];
	return NULL;
}

static int check_port_addresses(const struct sg_settings *settings,
	const struct sg_port_settings *port, struct sg_error *error)
{
	unsigned number = (unsigned)(port - settings->ports);
	char text[SG_ADDR_TEXT_BYTES];

	for (unsigned i = 0; i < port->n_addresses; i++) {
		const struct sg_addr *addr = &port->addresses[i].addr;
		const struct sg_port_settings *other = find_port_address(settings, number, addr);

		sg_addr_format(addr, text);
		if (sg_addr_fault(addr))
			return sg_error_set_at(error, -EINVAL, port->line, "port '%s': %s %s",
				port->name, text, sg_addr_fault(addr));
		if (addr->family == SG_FAMILY_IPV6 && port->mtu < MIN_MTU_IPV6)
			return sg_error_set_at(error, -EINVAL, port->line,
				"port '%s': mtu is %u, but a port with an IPv6 address (%s) needs %d",
				port->name, port->mtu, text, MIN_MTU_IPV6);
		if (port->addresses[i].length == 0 ||
			port->addresses[i].length > sg_family_bits(addr->family))
			return sg_error_set_at(error, -EINVAL, port->line,
				"port '%s': the prefix length of %s must be from 1 to %u",
				port->name, text, sg_family_bits(addr->family));
		if (is_a_subnets(addr, port->addresses[i].length))
			return sg_error_set_at(error, -EINVAL, port->line,
				"port '%s': %s/%u is the subnet's own address or its broadcast "
				"address, no host's",
				port->name, text, port->addresses[i].length);
		if (other)
			return sg_error_set_at(error, -EINVAL, port->line,
				"port '%s': port '%s' already has the address %s", port->name,
				other->name, text);
		for (unsigned j = 0; j < i; j++)
			if (sg_addr_equal(&port->addresses[j].addr, addr))
				return sg_error_set_at(error, -EINVAL, port->line,
					"port '%s' has the address %s twice", port->name, text);
	}
	return 0;
}

// The interface that a virtual device sits on, as far as it says so. Returns its length.
static size_t find_interface(const char *device, const char **ret_interface)
{
	const char *at = strstr(device, ",iface=");

	*ret_interface = at ? at + strlen(",iface=") : device;
	return at ? strcspn(*ret_interface, ",") : 0;
}

static bool share_interface(const char *a, const char *b)
{
	const char *interface_a, *interface_b;
	size_t length_a = find_interface(a, &interface_a);
	size_t length_b = find_interface(b, &interface_b);

	return length_a > 0 && length_a == length_b &&
	       memcmp(interface_a, interface_b, length_a) == 0;
}

static int check_against_earlier_ports(const struct sg_settings *settings,
	const struct sg_port_settings *port, struct sg_error *error)
{
	for (const struct sg_port_settings *other = settings->ports; other < port; other++) {
		if (strcmp(other->name, port->name) == 0)
			return sg_error_set_at(
				error, -EINVAL, port->line, "two ports are named '%s'", port->name);
		if (port->vlan && other->vlan == port->vlan && other->parent == port->parent)
			return sg_error_set_at(error, -EINVAL, port->line,
				"ports '%s' and '%s' are the same VLAN %u of port '%s'",
				other->name, port->name, port->vlan, port->parent_name);
		if (port->device[0] && strcmp(other->device, port->device) == 0)
			return sg_error_set_at(error, -EINVAL, port->line,
				"ports '%s' and '%s' have the same device \"%s\"", other->name,
				port->name, port->device);
		if (share_interface(other->device, port->device))
			return sg_error_set_at(error, -EINVAL, port->line,
				"ports '%s' and '%s' sit on the same interface (\"%s\", \"%s\")",
				other->name, port->name, other->device, port->device);
		if (strcmp(other->twin, port->twin) == 0)
			return sg_error_set_at(error, -EINVAL, port->line,
				"ports '%s' and '%s' have the same twin \"%s\"", other->name,
				port->name, port->twin);
	}
	return 0;
}

// A device, or a VLAN of one.
static int check_what_it_is(const struct sg_settings *settings, const struct sg_port_settings *port,
	struct sg_error *error)
{
	const struct sg_port_settings *parent = &settings->ports[port->parent];

	if (!port->vlan && !port->parent_name[0]) {
		if (port->device[0])
			return 0;
		return sg_error_set_at(error, -EINVAL, port->line,
			"port '%s' has no device: name a PCI address or a DPDK vdev", port->name);
	}
	if (port->device[0])
		return sg_error_set_at(error, -EINVAL, port->line,
			"port '%s': a VLAN has a `parent` and no `device` of its own", port->name);
	if (!port->vlan || !port->parent_name[0])
		return sg_error_set_at(error, -EINVAL, port->line,
			"port '%s': `vlan` and `parent` belong together: the VLAN's number, and the port "
			"whose frames have it",
			port->name);
	if (port->parent >= settings->n_ports || parent->vlan)
		return sg_error_set_at(error, -EINVAL, port->line,
			"port '%s': its parent \"%s\" is no port with a device", port->name,
			port->parent_name);
	if (port->mtu > parent->mtu)
		return sg_error_set_at(error, -EINVAL, port->line,
			"port '%s': mtu is %u, more than the %u of its parent '%s'", port->name,
			port->mtu, parent->mtu, parent->name);
	return 0;
}

static int check_port(const struct sg_settings *settings, const struct sg_port_settings *port,
	struct sg_error *error)
{
	int err;

	if (!sg_name_is_valid(port->name) || strchr(port->name, '/'))
		return sg_error_set_at(error, -EINVAL, port->line,
			"\"%s\" is not a port's name: use " SG_NAME_RULE ", without '/'",
			port->name);
	err = check_what_it_is(settings, port, error);
	if (err < 0)
		return err;
	if (!is_interface_name(port->twin))
		return sg_error_set_at(error, -EINVAL, port->line,
			"port '%s': \"%s\" cannot name its twin: an interface's name has 1 to %d characters "
			"without blanks, '/' and ':'; set `twin`",
			port->name, port->twin, MAX_INTERFACE_LEN);
	if (port->mtu < MIN_MTU)
		return sg_error_set_at(error, -EINVAL, port->line,
			"port '%s': mtu is %u; it must be at least %d", port->name, port->mtu,
			MIN_MTU);
	err = check_against_earlier_ports(settings, port, error);
	return err < 0 ? err : check_port_addresses(settings, port, error);
}

static int check_ports(const struct sg_settings *settings, struct sg_error *error)
{
	if (settings->n_ports == 0)
		return sg_error_set(
			error, -EINVAL, "no port is configured: `ports` needs at least one");
	for (unsigned i = 0; i < settings->n_ports; i++) {
		int err = check_port(settings, &settings->ports[i], error);

		if (err < 0)
			return err;
	}
	return 0;
}

static int check_snat_address(
	const struct sg_settings *settings, unsigned number, struct sg_error *error)
{
	const struct sg_addr *addr = &settings->snat_addresses[number];
	const struct sg_port_settings *port = find_port_address(settings, settings->n_ports, addr);
	char text[SG_ADDR_TEXT_BYTES];

	sg_addr_format(addr, text);
	if (sg_addr_fault(addr))
		return sg_error_set_at(error, -EINVAL, settings->snat_line, "SNAT address %s %s",
			text, sg_addr_fault(addr));
	if (port && !settings->snat_ports_given)
		return sg_error_set_at(error, -EINVAL, settings->snat_line,
			"SNAT address %s is an address of port '%s': give SNAT another address, or set "
			"snat.ports = [MIN, MAX] outside the kernel's ip_local_port_range",
			text, port->name);
	for (unsigned i = 0; i < number; i++)
		if (sg_addr_equal(&settings->snat_addresses[i], addr))
			return sg_error_set_at(error, -EINVAL, settings->snat_line,
				"SNAT address %s is given twice", text);
	return 0;
}

static int check_snat(const struct sg_settings *settings, struct sg_error *error)
{
	if (settings->snat_port_min < 1 ||
		settings->snat_port_max < settings->snat_port_min + MIN_SNAT_PORTS - 1)
		return sg_error_set_at(error, -EINVAL, settings->snat_line,
			"snat.ports is [%u, %u]; it must hold at least %d ports above 0",
			settings->snat_port_min, settings->snat_port_max, MIN_SNAT_PORTS);
	for (unsigned i = 0; i < settings->n_snat_addresses; i++) {
		int err = check_snat_address(settings, i, error);

		if (err < 0)
			return err;
	}
	return 0;
}

static int check_backend_cidrs(const struct sg_settings *settings, struct sg_error *error)
{
	char text[SG_PREFIX_TEXT_BYTES];

	for (unsigned i = 0; i < settings->n_backend_cidrs; i++)
		if (sg_prefix_is_mapped_ipv4(&settings->backend_cidrs[i]))
			return sg_error_set(error, -EINVAL,
				"backend_cidrs: %s is IPv4 written as IPv6: write it as IPv4",
				sg_prefix_format(&settings->backend_cidrs[i], text));
	return 0;
}

static int check_timeouts(const struct sg_settings *settings, struct sg_error *error)
{
	const struct {
		const char *name;
		uint32_t seconds;
	} rows[] = {
		{"syn", settings->timeouts.syn},
		{"tcp", settings->timeouts.tcp},
		{"tcp_half_closed", settings->timeouts.tcp_half_closed},
		{"tcp_fin", settings->timeouts.tcp_fin},
		{"udp_new", settings->timeouts.udp_new},
		{"udp", settings->timeouts.udp},
		{"drain", settings->timeouts.drain},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].seconds > MAX_TIMEOUT_S)
			return sg_error_set(error, -EINVAL,
				"timeouts.%s is %u seconds; a year, %d, is the most", rows[i].name,
				rows[i].seconds, MAX_TIMEOUT_S);
	return 0;
}

static int check_control(const struct sg_settings *settings, struct sg_error *error)
{
	if (settings->socket_path[0] != '/')
		return sg_error_set_at(error, -EINVAL, settings->control_line,
			"control.socket \"%s\" must be an absolute path", settings->socket_path);
	if (settings->monitor_path[0] && settings->monitor_path[0] != '/')
		return sg_error_set_at(error, -EINVAL, settings->control_line,
			"control.monitor_socket \"%s\" must be an absolute path",
			settings->monitor_path);
	if (strcmp(settings->monitor_path, settings->socket_path) == 0)
		return sg_error_set_at(error, -EINVAL, settings->control_line,
			"control.monitor_socket must be another path than control.socket, which "
			"may change everything");
	if (settings->state_file[0] && settings->state_file[0] != '/')
		return sg_error_set_at(error, -EINVAL, settings->control_line,
			"control.state_file \"%.100s\" must be an absolute path",
			settings->state_file);
	if (settings->socket_mode & ~(mode_t)0777)
		return sg_error_set_at(error, -EINVAL, settings->control_line,
			"control.mode \"%o\" must be from \"0\" to \"0777\"",
			(unsigned)settings->socket_mode);
	return 0;
}

int sg_validate_settings(const struct sg_settings *settings, struct sg_error *error)
{
	int err = check_dataplane(settings, error);

	if (err == 0)
		err = check_ports(settings, error);
	if (err == 0)
		err = check_snat(settings, error);
	if (err == 0)
		err = check_backend_cidrs(settings, error);
	if (err == 0)
		err = check_timeouts(settings, error);
	if (err == 0)
		err = check_control(settings, error);
	return err;
}

void sg_validate_settings_warnings(
	const struct sg_settings *settings, sg_validate_warning_fn *warn, void *context)
{
	char text[200];

	for (unsigned i = 0; i < settings->n_workers; i++)
		for (unsigned j = 0; j < i; j++)
			if (settings->workers[i] == settings->workers[j]) {
				snprintf(text, sizeof(text),
					"workers %u and %u share CPU %u: they take turns, and polling is adaptive",
					j, i, settings->workers[i]);
				warn(context, settings->dataplane_line, text);
				break;
			}
	if (!settings->backend_cidrs_given)
		warn(context, 0, "backend_cidrs is absent: backends may lie anywhere");
}
