// Making a twin, see twin_setup.h.
#include "twin_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>

#include "base/log.h"

#ifndef TUNSETCARRIER
#define TUNSETCARRIER _IOW('T', 226, int)
#endif

static int open_tap(const char *name, int *ret_fd, struct sg_error *error)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return sg_error_set(error, -errno, "twin %s: /dev/net/tun cannot be opened: %s",
			name, strerror(errno));
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (if_nametoindex(name) != 0) {
		close(fd);
		return sg_error_set(error, -EEXIST,
			"twin %s: there is an interface of that name already", name);
	}
	if (ioctl(fd, TUNSETIFF, &request)) {
		int err = -errno;

		close(fd);
		return sg_error_set(
			error, err, "twin %s cannot be created: %s", name, strerror(-err));
	}
	*ret_fd = fd;
	return 0;
}

// Sysctls.

static int write_sysctl(
	const char *directory, const char *interface, const char *key, const char *value)
{
	char path[128];
	ssize_t written;
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/%s/%s", directory, interface, key);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	written = write(fd, value, strlen(value));
	close(fd);
	return written < 0 ? -EIO : 0;
}

static int read_all_sysctl(const char *key)
{
	char path[128];
	FILE *file;
	int value = 0;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/all/%s", key);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%d", &value) != 1)
		value = 0;
	fclose(file);
	return value;
}

// The kernel sees nothing of the traffic through a next hop, so only its own questions tell it that
// a neighbour has come back with another MAC and did not say so: in about ten seconds with these
// times, in forty with the usual ones.
static void hurry_neighbours(const char *directory, const char *twin)
{
	write_sysctl(directory, twin, "base_reachable_time_ms", "5000");
	write_sysctl(directory, twin, "delay_first_probe_time", "1");
	write_sysctl(directory, twin, "retrans_time_ms", "250");
}

// For these three the kernel takes the larger of this value and that of "all".
static void set_ipv4_sysctls(const char *twin)
{
	static const struct {
		const char *key;
		int value;
	} rows[] = {{"rp_filter", 2}, {"arp_ignore", 1}, {"arp_announce", 2}};

	write_sysctl("ipv4/conf", twin, "forwarding", "0");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[12];
		int all = read_all_sysctl(rows[i].key);

		snprintf(text, sizeof(text), "%d", rows[i].value);
		if (write_sysctl("ipv4/conf", twin, rows[i].key, text))
			sg_log_warning("twin %s: net.ipv4.conf.%s.%s cannot be set to %d", twin,
				twin, rows[i].key, rows[i].value);
		if (all > rows[i].value)
			sg_log_warning("twin %s: net.ipv4.conf.all.%s = %d overrules the twin's %d",
				twin, rows[i].key, all, rows[i].value);
	}
	hurry_neighbours("ipv4/neigh", twin);
}

static bool has_ipv6(const struct sg_port_settings *settings)
{
	for (unsigned i = 0; i < settings->n_addresses; i++)
		if (settings->addresses[i].addr.family == SG_FAMILY_IPV6)
			return true;
	return false;
}

// A host that takes nothing from advertisements unless the operator switches it on, and that does
// not ask whether somebody else has its addresses: the interface below a virtual device has the
// port's MAC, and so the same link-local address. The link-local address is made from the MAC,
// since NDP needs one, and a link that goes down and comes back does not cost the others. All of it
// fails where the kernel has no IPv6, which is said when a port wants an IPv6 address.
static void set_ipv6_sysctls(const struct sg_port_settings *settings)
{
	static const struct {
		const char *key, *value;
	} rows[] = {{"accept_dad", "0"}, {"accept_ra", "0"}, {"autoconf", "0"}, {"forwarding", "0"},
		{"addr_gen_mode", "0"}, {"keep_addr_on_down", "1"}};

	// A host may have IPv6 off by default and still want it here.
	if (has_ipv6(settings))
		write_sysctl("ipv6/conf", settings->twin, "disable_ipv6", "0");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		write_sysctl("ipv6/conf", settings->twin, rows[i].key, rows[i].value);
	hurry_neighbours("ipv6/neigh", settings->twin);
}

// Netlink.

static int request(struct mnl_socket *socket, struct nlmsghdr *message)
{
	char buffer[8192];
	ssize_t length;

	message->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (mnl_socket_sendto(socket, message, message->nlmsg_len) < 0)
		return -errno;
	length = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
	if (length < 0)
		return -errno;
	return mnl_cb_run(buffer, (size_t)length, 0, mnl_socket_get_portid(socket), NULL, NULL) < 0
		       ? -errno
		       : 0;
}

static int set_link(struct mnl_socket *socket, int ifindex, const struct sg_port *port)
{
	char space[256];
	struct nlmsghdr *message = mnl_nlmsg_put_header(space);
	struct ifinfomsg *head;

	message->nlmsg_type = RTM_NEWLINK;
	head = mnl_nlmsg_put_extra_header(message, sizeof(*head));
	head->ifi_index = ifindex;
	head->ifi_flags = head->ifi_change = IFF_UP;
	mnl_attr_put(message, IFLA_ADDRESS, sizeof(port->mac), port->mac);
	mnl_attr_put_u32(message, IFLA_MTU, port->mtu);
	return request(socket, message);
}

static int add_address(
	struct mnl_socket *socket, int ifindex, const struct sg_addr *addr, uint8_t length)
{
	char space[256];
	struct nlmsghdr *message = mnl_nlmsg_put_header(space);
	size_t bytes = sg_family_bits(addr->family) / 8;
	struct ifaddrmsg *head;

	message->nlmsg_type = RTM_NEWADDR;
	message->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	head = mnl_nlmsg_put_extra_header(message, sizeof(*head));
	head->ifa_family = addr->family == SG_FAMILY_IPV4 ? AF_INET : AF_INET6;
	head->ifa_prefixlen = length;
	head->ifa_index = (unsigned)ifindex;
	// accept_dad = 0 does not count where "all" says otherwise.
	if (addr->family == SG_FAMILY_IPV6)
		head->ifa_flags = IFA_F_NODAD;
	mnl_attr_put(message, IFA_LOCAL, bytes, addr->bytes);
	mnl_attr_put(message, IFA_ADDRESS, bytes, addr->bytes);
	// The subnet's broadcast address, as ifconfig and systemd-networkd set it.
	if (addr->family == SG_FAMILY_IPV4 && length < 31)
		mnl_attr_put_u32(message, IFA_BROADCAST,
			sg_addr_ipv4_be(addr) | __builtin_bswap32(UINT32_MAX >> length));
	return request(socket, message);
}

static int configure(struct mnl_socket *socket, int ifindex, const struct sg_port *port,
	const struct sg_port_settings *settings, struct sg_error *error)
{
	int err = set_link(socket, ifindex, port);

	if (err)
		return sg_error_set(error, err, "twin %s: MAC and MTU cannot be set: %s",
			settings->twin, strerror(-err));
	for (unsigned i = 0; i < settings->n_addresses; i++) {
		const struct sg_addr *addr = &settings->addresses[i].addr;
		char text[SG_ADDR_TEXT_BYTES];

		err = add_address(socket, ifindex, addr, settings->addresses[i].length);
		if (err)
			return sg_error_set(error, err, "twin %s: address %s/%u cannot be set: %s",
				settings->twin, sg_addr_format(addr, text),
				settings->addresses[i].length, strerror(-err));
	}
	return 0;
}

int sg_twin_create(const struct sg_port *port, const struct sg_port_settings *settings, int *ret_fd,
	int *ret_ifindex, struct sg_error *error)
{
	struct mnl_socket *socket;
	int fd = -1, ifindex, err;

	err = open_tap(settings->twin, &fd, error);
	if (err)
		return err;
	ifindex = (int)if_nametoindex(settings->twin);
	set_ipv4_sysctls(settings->twin);
	set_ipv6_sysctls(settings);
	socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (socket && mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) == 0)
		err = configure(socket, ifindex, port, settings, error);
	else
		err = sg_error_set(error, -errno, "twin %s: netlink cannot be used: %s",
			settings->twin, strerror(errno));
	if (socket)
		mnl_socket_close(socket);
	if (err) {
		close(fd);
		return err;
	}
	*ret_fd = fd;
	*ret_ifindex = ifindex;
	return 0;
}

void sg_twin_set_carrier(int fd, bool up)
{
	int carrier = up;

	// Refused by kernels before 4.20, and pointless there.
	if (ioctl(fd, TUNSETCARRIER, &carrier))
		return;
}
