// Finding the sockets that drivers read from, see queue_fds.h.
#include "queue_fds.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/if_packet.h>

#define MAX_SOCKETS 256 // of one port: a driver may open more queues than we use

static bool is_claimed(const struct sg_dataplane *dataplane, int fd)
{
	for (unsigned i = 0; i < dataplane->n_ports; i++)
		for (unsigned q = 0; q < dataplane->ports[i].n_rx_queues; q++)
			if (dataplane->ports[i].rx_fds[q] == fd)
				return true;
	return false;
}

static int domain_of(int fd)
{
	int domain = AF_UNSPEC;
	socklen_t length = sizeof(domain);

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length);
	return domain;
}

// A socket of AF_XDP does not say where it is bound: what no earlier port has claimed is this
// port's.
static bool is_of(const struct sg_port *port, int domain, int fd)
{
	struct sockaddr_ll address = {0};
	socklen_t length = sizeof(address);

	if (domain_of(fd) != domain)
		return false;
	if (domain != AF_PACKET)
		return true;
	return getsockname(fd, (struct sockaddr *)&address, &length) == 0 &&
	       address.sll_ifindex == (int)port->below;
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

// In the order in which they were opened, which is that of the queues.
static unsigned find_sockets(const struct sg_dataplane *dataplane, const struct sg_port *port,
	int domain, int ret_fds[MAX_SOCKETS])
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;
	unsigned n = 0;

	if (!directory)
		return 0;
	while ((entry = readdir(directory)) && n < MAX_SOCKETS) {
		int fd = atoi(entry->d_name);

		if (fd > 0 && is_of(port, domain, fd) && !is_claimed(dataplane, fd))
			ret_fds[n++] = fd;
	}
	closedir(directory);
	qsort(ret_fds, n, sizeof(ret_fds[0]), compare);
	return n;
}

void sg_queue_fds_find(struct sg_dataplane *dataplane, struct sg_port *port)
{
	int fds[MAX_SOCKETS];
	unsigned n = 0;

	if (strcmp(port->driver, "net_af_packet") == 0)
		n = find_sockets(dataplane, port, AF_PACKET, fds);
	else if (strcmp(port->driver, "net_af_xdp") == 0)
		n = find_sockets(dataplane, port, AF_XDP, fds);
	if (n < port->n_rx_queues)
		return;
	memcpy(port->rx_fds, fds, port->n_rx_queues * sizeof(fds[0]));
}
