// Opening and closing ports, see ports.h.
#include "ports.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_packet.h>
#include <rte_ethdev.h>

#include "base/log.h"
#include "buffers.h"
#include "device.h"
#include "dpdk_log.h"
#include "queue_fds.h"

#define RSS_TYPES                                                                         \
	(RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_FRAG_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_TCP |        \
		RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_FRAG_IPV6 | \
		RTE_ETH_RSS_NONFRAG_IPV6_TCP | RTE_ETH_RSS_NONFRAG_IPV6_UDP)
#define RX_CHECKSUMS                                                    \
	(RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM | \
		RTE_ETH_RX_OFFLOAD_UDP_CKSUM)
#define MAX_KEY_BYTES 64

static uint16_t least(unsigned a, unsigned b)
{
	return (uint16_t)(a < b ? a : b);
}

// How the device is set up: what we want of it and it has.
struct plan {
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf;
	uint8_t key[MAX_KEY_BYTES];
	bool rss;
};

static bool wants_rss(const struct plan *plan, const struct sg_port *port)
{
	const struct rte_eth_dev_info *info = &plan->info;

	return port->n_rx_queues > 1 &&
	       info->flow_type_rss_offloads & RTE_ETH_RSS_NONFRAG_IPV4_TCP &&
	       info->hash_key_size >= SG_TOEPLITZ_KEY_BYTES &&
	       info->hash_key_size <= MAX_KEY_BYTES && info->reta_size >= SG_HOME_ENTRIES &&
	       info->reta_size % SG_HOME_ENTRIES == 0 &&
	       info->reta_size <= RTE_ETH_RSS_RETA_SIZE_512;
}

static void plan_rss(struct plan *plan, const struct sg_home *home)
{
	struct rte_eth_rss_conf *rss = &plan->conf.rx_adv_conf.rss_conf;

	// Of a longer key only the first bytes meet an IPv4 or IPv6 tuple.
	memcpy(plan->key, home->toeplitz.key, SG_TOEPLITZ_KEY_BYTES);
	plan->conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	rss->rss_key = plan->key;
	rss->rss_key_len = plan->info.hash_key_size;
	rss->rss_hf = RSS_TYPES & plan->info.flow_type_rss_offloads;
}

// net_af_packet claims to know no frame above 1518 bytes, but carries what its frames and the
// interface allow.
static uint16_t mtu_for_dpdk(const struct sg_port *port)
{
	return port->below ? least(port->mtu, RTE_ETHER_MTU) : port->mtu;
}

// Of a chain that the device sends. One that knows no chains gets each frame in one piece.
static uint16_t max_pieces(const struct rte_eth_dev_info *info)
{
	if (!(info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS))
		return 1;
	return info->tx_desc_lim.nb_mtu_seg_max ? info->tx_desc_lim.nb_mtu_seg_max : UINT16_MAX;
}

static void make_plan(
	struct plan *plan, struct sg_port *port, unsigned n_workers, const struct sg_home *home)
{
	const struct rte_eth_dev_info *info = &plan->info;

	port->n_rx_queues = least(n_workers, info->max_rx_queues);
	port->n_tx_queues = least(n_workers, info->max_tx_queues);
	plan->conf.rxmode.mtu = mtu_for_dpdk(port);
	plan->conf.rxmode.offloads = RX_CHECKSUMS & info->rx_offload_capa;
	plan->conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS & info->tx_offload_capa;
	port->max_pieces = max_pieces(info);
	port->rx_checksums = (plan->conf.rxmode.offloads & RX_CHECKSUMS) == RX_CHECKSUMS;
	plan->rss = wants_rss(plan, port);
	if (plan->rss)
		plan_rss(plan, home);
	plan->conf.intr_conf.lsc = *info->dev_flags & RTE_ETH_DEV_INTR_LSC ? 1 : 0;
	plan->conf.intr_conf.rmv = *info->dev_flags & RTE_ETH_DEV_INTR_RMV ? 1 : 0;
}

static int fail(const struct sg_port *port, const char *what, int err, struct sg_error *error)
{
	return sg_error_set(error, err < 0 ? err : -EIO, "port %s: the device refuses %s: %s (%s)",
		port->name, what, strerror(-err), sg_dpdk_log_reason());
}

static int set_up_queues(const struct sg_dataplane *dataplane, const struct sg_port *port,
	const struct plan *plan, struct sg_error *error)
{
	uint16_t n_rx = SG_QUEUE_DESCRIPTORS, n_tx = SG_QUEUE_DESCRIPTORS;
	struct rte_eth_rxconf rx = plan->info.default_rxconf;
	struct rte_eth_txconf tx = plan->info.default_txconf;
	int socket = rte_eth_dev_socket_id(port->dpdk_id);
	int err = rte_eth_dev_adjust_nb_rx_tx_desc(port->dpdk_id, &n_rx, &n_tx);

	if (err)
		return fail(port, "a number of descriptors", err, error);
	rx.offloads = plan->conf.rxmode.offloads;
	tx.offloads = plan->conf.txmode.offloads;
	for (uint16_t q = 0; q < port->n_rx_queues && !err; q++)
		err = rte_eth_rx_queue_setup(
			port->dpdk_id, q, n_rx, (unsigned)socket, &rx, dataplane->mempool);
	if (err)
		return fail(port, "a receive queue", err, error);
	for (uint16_t q = 0; q < port->n_tx_queues && !err; q++)
		err = rte_eth_tx_queue_setup(port->dpdk_id, q, n_tx, (unsigned)socket, &tx);
	return err ? fail(port, "a transmit queue", err, error) : 0;
}

// Entry i of the device's table belongs to the worker of entry i mod 128 of ours, through its
// queue.
static bool program_table(
	const struct sg_port *port, const struct plan *plan, const struct sg_home *home)
{
	struct rte_eth_rss_reta_entry64
		entries[RTE_ETH_RSS_RETA_SIZE_512 / RTE_ETH_RETA_GROUP_SIZE] = {0};

	for (unsigned i = 0; i < plan->info.reta_size; i++) {
		struct rte_eth_rss_reta_entry64 *group = &entries[i / RTE_ETH_RETA_GROUP_SIZE];

		group->mask |= UINT64_C(1) << i % RTE_ETH_RETA_GROUP_SIZE;
		group->reta[i % RTE_ETH_RETA_GROUP_SIZE] =
			home->reta[i & SG_HOME_MASK] % port->n_rx_queues;
	}
	return rte_eth_dev_rss_reta_update(port->dpdk_id, entries, plan->info.reta_size) == 0;
}

// An interface of the kernel below the device is the operator's: its MTU is checked, not changed.
static int check_mtu_below(const struct sg_port *port, struct sg_error *error)
{
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int failed;

	if (fd < 0 || !if_indextoname(port->below, request.ifr_name)) {
		if (fd >= 0)
			close(fd);
		return 0; // gone already: the watch will say so
	}
	failed = ioctl(fd, SIOCGIFMTU, &request);
	close(fd);
	if (failed || request.ifr_mtu >= port->mtu)
		return 0;
	return sg_error_set(error, -EINVAL,
		"port %s: interface %s has MTU %d, less than the port's %u: ip link set %s mtu %u",
		port->name, request.ifr_name, request.ifr_mtu, port->mtu, request.ifr_name,
		port->mtu);
}

static int set_mtu(const struct sg_port *port, struct sg_error *error)
{
	uint16_t now = 0;
	int err;

	if (port->below)
		return check_mtu_below(port, error);
	if (rte_eth_dev_get_mtu(port->dpdk_id, &now) == 0 && now == port->mtu)
		return 0;
	err = rte_eth_dev_set_mtu(port->dpdk_id, port->mtu);
	// A device without an MTU of its own (net_memif) carries what its buffers hold.
	return err == 0 || err == -ENOTSUP ? 0 : fail(port, "this MTU", err, error);
}

// Neighbours ask for our IPv6 addresses, and routing protocols speak, to multicast MACs. A kernel
// interface below the device may filter them in its hardware: a packet socket has it stop, for as
// long as we live.
static void take_all_multicast(struct sg_port *port)
{
	struct packet_mreq request = {
		.mr_ifindex = (int)port->below, .mr_type = PACKET_MR_ALLMULTI};
	int fd;

	rte_eth_allmulticast_enable(port->dpdk_id);
	if (!port->below)
		return;
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); // protocol 0: it receives nothing
	if (fd < 0)
		return;
	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof(request)))
		close(fd);
	else
		port->group_socket = fd;
}

static void read_mac(struct sg_port *port)
{
	struct rte_ether_addr mac;

	// A twin needs a MAC even where the device (net_null, net_ring) has none.
	if (rte_eth_macaddr_get(port->dpdk_id, &mac) || rte_is_zero_ether_addr(&mac))
		rte_eth_random_addr(mac.addr_bytes);
	memcpy(port->mac, mac.addr_bytes, sizeof(port->mac));
}

static int on_removal(uint16_t dpdk_id, enum rte_eth_event_type event, void *context, void *unused)
{
	struct sg_port *port = context;

	(void)dpdk_id;
	(void)event;
	(void)unused;
	__atomic_store_n(&port->removed, true, __ATOMIC_RELAXED);
	return 0;
}

static int start(struct sg_dataplane *dataplane, struct sg_port *port, struct plan *plan,
	const struct sg_home *home, struct sg_error *error)
{
	int err;

	sg_dpdk_log_forget(); // what went before was overcome
	err = rte_eth_dev_configure(
		port->dpdk_id, port->n_rx_queues, port->n_tx_queues, &plan->conf);
	if (err)
		return fail(port, "its configuration", err, error);
	err = set_up_queues(dataplane, port, plan, error);
	if (!err)
		err = set_mtu(port, error);
	if (err)
		return err;
	rte_eth_dev_callback_register(port->dpdk_id, RTE_ETH_EVENT_INTR_RMV, on_removal, port);
	err = rte_eth_dev_start(port->dpdk_id);
	if (err)
		return fail(port, "to start", err, error);
	port->rss = plan->rss && program_table(port, plan, home);
	take_all_multicast(port);
	read_mac(port);
	return 0;
}

static void say_what_is_in_use(const struct sg_port *port, const struct sg_device *device)
{
	const char *rss = "off (one queue)";

	if (port->rss)
		rss = "on";
	else if (port->n_rx_queues > 1)
		rss = "not with our key (packets are handed over)";
	sg_log_info(
		"port %s: %s%s%s, %02x:%02x:%02x:%02x:%02x:%02x, MTU %u, %u receive and %u transmit queue%s, "
		"RSS %s, receive checksums by %s, transmit checksums by software, link %s",
		port->name, port->driver, device->interface[0] ? " on " : "", device->interface,
		port->mac[0], port->mac[1], port->mac[2], port->mac[3], port->mac[4], port->mac[5],
		port->mtu, port->n_rx_queues, port->n_tx_queues, port->n_tx_queues == 1 ? "" : "s",
		rss, port->rx_checksums ? "the device" : "software", port->up ? "up" : "down");
}

// DPDK's driver takes the rings of a peer that has ended out of memory, in a thread of its own and
// without asking: a worker in the middle of a burst of them dies, and nothing here can keep it from
// that.
static void warn_of_driver(const struct sg_port *port)
{
	if (strcmp(port->driver, "net_memif") == 0)
		sg_log_warning(
			"port %s: end stormgate before its memif peer: if the peer ends first while packets "
			"flow, DPDK's driver may end stormgate with a segmentation fault",
			port->name);
}

static int open_port(struct sg_dataplane *dataplane, unsigned number,
	const struct sg_port_settings *settings, const struct sg_home *home, struct sg_error *error)
{
	struct sg_port *port = &dataplane->ports[number];
	struct plan plan = {.rss = false};
	struct sg_device device;
	int err;

	sg_device_parse(&device, settings->device, number, settings->mtu);
	sg_dpdk_log_forget();
	err = sg_device_attach(&device, settings->name, &port->dpdk_id, error);
	if (err)
		return err;
	port->number = (uint8_t)number;
	port->mtu = settings->mtu;
	port->opened = true;
	port->below = device.interface[0] ? if_nametoindex(device.interface) : 0;
	snprintf(port->name, sizeof(port->name), "%s", settings->name);
	err = rte_eth_dev_info_get(port->dpdk_id, &plan.info);
	if (err)
		return fail(port, "to describe itself", err, error);
	snprintf(port->driver, sizeof(port->driver), "%s", plan.info.driver_name);
	make_plan(&plan, port, dataplane->n_workers, home);
	err = start(dataplane, port, &plan, home, error);
	if (err)
		return err;
	sg_queue_fds_find(dataplane, port);
	sg_ports_read_link(port);
	say_what_is_in_use(port, &device);
	warn_of_driver(port);
	return 0;
}

static void open_vlan(
	struct sg_dataplane *dataplane, unsigned number, const struct sg_port_settings *settings)
{
	struct sg_port *port = &dataplane->ports[number];
	const struct sg_port *device = &dataplane->ports[settings->parent];

	port->number = (uint8_t)number;
	port->vlan = settings->vlan;
	port->device = settings->parent;
	port->mtu = settings->mtu;
	port->max_pieces = device->max_pieces;
	port->up = device->up;
	memcpy(port->mac, device->mac, sizeof(port->mac));
	snprintf(port->name, sizeof(port->name), "%s", settings->name);
	sg_log_info("port %s: VLAN %u of port %s, MTU %u", port->name, port->vlan, device->name,
		port->mtu);
}

int sg_ports_open(struct sg_dataplane *dataplane, const struct sg_settings *settings,
	const struct sg_home *home, struct sg_error *error)
{
	for (unsigned i = 0; i < settings->n_ports; i++) {
		int err;

		if (settings->ports[i].vlan)
			continue;
		err = open_port(dataplane, i, &settings->ports[i], home, error);

		if (err)
			return err;
	}
	for (unsigned i = 0; i < settings->n_ports; i++)
		if (settings->ports[i].vlan)
			open_vlan(dataplane, i, &settings->ports[i]);
	sg_dpdk_log_speak(); // nobody is there any more to put its words into a sentence
	return 0;
}

void sg_ports_close(struct sg_dataplane *dataplane)
{
	for (unsigned i = dataplane->n_ports; i > 0; i--) {
		struct sg_port *port = &dataplane->ports[i - 1];

		if (!port->opened)
			continue;
		rte_eth_dev_callback_unregister(
			port->dpdk_id, RTE_ETH_EVENT_INTR_RMV, on_removal, port);
		rte_eth_dev_stop(port->dpdk_id);
		rte_eth_dev_close(port->dpdk_id);
		if (port->group_socket > 0)
			close(port->group_socket);
		port->group_socket = 0;
		port->opened = false;
	}
}
