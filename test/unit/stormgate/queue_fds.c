// A port's queues and their descriptors: the kernel says on each whether its queue has a packet. In
// a network namespace of its own. Needs root.
#include "queue_fds.h"

#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <rte_ethdev.h>

#include "buffers.h"
#include "lcores.h"
#include "ports.h"

#define DEADLINE_MS 5000
#define N_PORTS     3 // on two cables, and one that is connected to nothing

static struct sg_dataplane dataplane;
static struct sg_settings settings;
static struct sg_home home;

static int set_up(void **unused)
{
	static const char *const devices[N_PORTS] = {
		"net_af_packet0,iface=near0", "net_null0,no-rx=1", "net_af_packet1,iface=near1"};
	struct sg_lcores lcores;
	struct sg_error error;

	(void)unused;
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(system("sysctl -qw net.ipv6.conf.default.disable_ipv6=1; for i in 0 1; do "
				"ip link add near$i type veth peer name far$i && "
				"ip link set near$i up && ip link set far$i up || exit 1; done"),
		0);
	sg_settings_init(&settings);
	snprintf(settings.instance, sizeof(settings.instance), "unit-%d", (int)getpid());
	settings.hugepages = false;
	settings.n_ports = dataplane.n_ports = N_PORTS;
	for (unsigned i = 0; i < N_PORTS; i++) {
		snprintf(settings.ports[i].name, sizeof(settings.ports[i].name), "p%u", i);
		snprintf(settings.ports[i].device, sizeof(settings.ports[i].device), "%s",
			devices[i]);
		settings.ports[i].mtu = 1500;
	}
	dataplane.n_workers = 1;
	assert_int_equal(sg_lcores_choose(&lcores, &settings, &error), 0);
	if (sg_eal_start(&lcores, &settings, sg_buffers_memory_mb(&settings, 1), &error))
		fail_msg("%s", error.text);
	sg_home_init(&home, sg_toeplitz_default_key, 1);
	assert_int_equal(sg_buffers_create(&dataplane, &settings, &error), 0);
	if (sg_ports_open(&dataplane, &settings, &home, &error))
		fail_msg("%s", error.text);
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	sg_ports_close(&dataplane);
	sg_buffers_destroy(&dataplane);
	sg_eal_stop();
	return 0;
}

static bool is_readable(const struct sg_port *port, int timeout_ms)
{
	struct pollfd ready = {.fd = port->rx_fds[0], .events = POLLIN};

	return poll(&ready, 1, timeout_ms) == 1 && ready.revents & POLLIN;
}

static void send_into(const char *interface)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(interface)};
	uint8_t frame[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, [12] = 0x88, 0xb5};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	assert_int_equal(sendto(fd, frame, sizeof(frame), 0, (struct sockaddr *)&to, sizeof(to)),
		sizeof(frame));
	close(fd);
}

static void take_all(const struct sg_port *port)
{
	struct rte_mbuf *mbufs[32];
	unsigned n;

	do {
		n = rte_eth_rx_burst(port->dpdk_id, 0, mbufs, 32);
		rte_pktmbuf_free_bulk(mbufs, n);
	} while (n > 0);
}

static void a_queue_is_readable_while_it_has_packets(void **unused)
{
	struct sg_port *ports = dataplane.ports;

	(void)unused;
	assert_true(ports[0].rx_fds[0] > 0 && ports[2].rx_fds[0] > 0);
	for (unsigned round = 0; round < 3; round++) {
		bool second = round % 2;

		take_all(&ports[0]);
		take_all(&ports[2]);
		assert_false(is_readable(&ports[0], 0));
		assert_false(is_readable(&ports[2], 0));
		send_into(second ? "far1" : "far0");
		assert_true(is_readable(&ports[second ? 2 : 0], DEADLINE_MS));
		assert_false(is_readable(&ports[second ? 0 : 2], 0));
	}
}

static void a_driver_without_sockets_has_none(void **unused)
{
	(void)unused;
	assert_int_equal(dataplane.ports[1].rx_fds[0], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_queue_is_readable_while_it_has_packets),
		cmocka_unit_test(a_driver_without_sockets_has_none),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "ports are tested on interfaces of their own, which needs root\n");
		return 1;
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
