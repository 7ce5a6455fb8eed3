// Link, MTU and removal of ports while they run, see ports.h.
//
// DPDK tells the link of a real NIC, and calls back when one is pulled out. A device on top of a
// kernel interface (net_af_packet, net_af_xdp) always says "up": there the interface is asked, by
// its index, since another may get its name.
#include "ports.h"

#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_ethdev.h>

#include "base/log.h"

struct link {
	bool up;
	bool gone;
	uint16_t mtu; // of the kernel interface; 0: unknown, or there is none
};

static struct link read_kernel_link(unsigned ifindex)
{
	struct ifreq request = {0};
	struct link link = {.gone = !if_indextoname(ifindex, request.ifr_name)};
	int fd;

	if (link.gone)
		return link;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return (struct link){.up = true}; // no reason to stop traffic
	link.up = ioctl(fd, SIOCGIFFLAGS, &request) == 0 && request.ifr_flags & IFF_UP &&
		  request.ifr_flags & IFF_RUNNING;
	if (ioctl(fd, SIOCGIFMTU, &request) == 0) // lo's does not fit
		link.mtu = (uint16_t)(request.ifr_mtu < SG_MAX_MTU ? request.ifr_mtu : SG_MAX_MTU);
	close(fd);
	return link;
}

static struct link read_link(const struct sg_port *port)
{
	struct rte_eth_link link;

	if (__atomic_load_n(&port->removed, __ATOMIC_RELAXED) ||
		rte_eth_dev_is_removed(port->dpdk_id))
		return (struct link){.gone = true};
	if (port->below)
		return read_kernel_link(port->below);
	if (rte_eth_link_get_nowait(port->dpdk_id, &link))
		return (struct link){.up = true};
	return (struct link){.up = link.link_status == RTE_ETH_LINK_UP};
}

// What is longer than the interface takes has left us, and is lost there.
static void note_mtu(struct sg_port *port, uint16_t mtu)
{
	bool was_short = port->below_mtu != 0 && port->below_mtu < port->mtu;
	bool is_short = mtu < port->mtu;

	if (mtu == 0)
		return;
	if (is_short && mtu != port->below_mtu)
		sg_log_warning(
			"port %s: its interface has MTU %u now: packets of more than %u bytes count as "
			"forwarded, and the kernel loses them; make the MTU %u again, or set the port's "
			"mtu in the config file and start stormgate anew",
			port->name, mtu, mtu, port->mtu);
	else if (was_short && !is_short)
		sg_log_info("port %s: its interface takes packets of %u bytes again", port->name,
			port->mtu);
	port->below_mtu = mtu;
}

void sg_ports_read_link(struct sg_port *port)
{
	struct link link = read_link(port);

	note_mtu(port, link.mtu);
	__atomic_store_n(&port->up, link.up, __ATOMIC_RELAXED);
	__atomic_store_n(&port->gone, link.gone, __ATOMIC_RELAXED);
}

static void watch_port(struct sg_port *port)
{
	bool was_up = port->up;

	sg_ports_read_link(port);
	if (port->gone)
		sg_log_error(
			"port %s: its device is gone; what should leave by it is dropped (port_down) until "
			"stormgate is started anew",
			port->name);
	else if (was_up && !port->up)
		sg_log_warning("port %s: the link is down", port->name);
	else if (!was_up && port->up)
		sg_log_info("port %s: the link is up", port->name);
}

void sg_ports_watch(struct sg_dataplane *dataplane)
{
	for (unsigned i = 0; i < dataplane->n_ports; i++) {
		struct sg_port *port = &dataplane->ports[i];

		if (port->vlan)
			__atomic_store_n(
				&port->up, dataplane->ports[port->device].up, __ATOMIC_RELAXED);
		else if (!port->gone)
			watch_port(port);
	}
}
