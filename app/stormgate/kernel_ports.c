// The kernel's own ports, see kernel_ports.h.
#include "kernel_ports.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#define RANGE_FILE "/proc/sys/net/ipv4/ip_local_port_range"

static bool read_range(unsigned *ret_min, unsigned *ret_max)
{
	FILE *file = fopen(RANGE_FILE, "re");
	bool good;

	if (!file)
		return false; // no reason not to start
	good = fscanf(file, "%u %u", ret_min, ret_max) == 2;
	fclose(file);
	return good;
}

static bool is_a_ports(const struct sg_settings *settings, const struct sg_addr *addr)
{
	for (unsigned i = 0; i < settings->n_ports; i++) {
		const struct sg_port_settings *port = &settings->ports[i];

		for (unsigned j = 0; j < port->n_addresses; j++) {
			if (sg_addr_equal(&port->addresses[j].addr, addr))
				return true;
		}
	}
	return false;
}

int sg_kernel_ports_check(const struct sg_settings *settings, struct sg_error *error)
{
	unsigned min, max;

	if (!read_range(&min, &max) || settings->snat_port_max < min ||
		settings->snat_port_min > max)
		return 0;
	for (unsigned i = 0; i < settings->n_snat_addresses; i++) {
		const struct sg_addr *addr = &settings->snat_addresses[i];
		char text[SG_ADDR_TEXT_BYTES];

		if (is_a_ports(settings, addr))
			return sg_error_set_at(error, -EINVAL, settings->snat_line,
				"SNAT address %s is the kernel's, too, and snat.ports = [%u, %u] meets the ports "
				"that the kernel picks for itself: choose ports outside of "
				"net.ipv4.ip_local_port_range (here %u to %u)",
				sg_addr_format(addr, text), settings->snat_port_min,
				settings->snat_port_max, min, max);
	}
	return 0;
}
