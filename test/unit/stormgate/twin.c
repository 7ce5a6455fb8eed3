// The whole edge in one process: EAL, a port that is connected to nothing, its twin, and the test
// as the only worker. What is punted must come out of the kernel's interface, what the kernel sends
// must come to the worker, and every packet must be accounted for. In a network namespace of its
// own. Needs root.
#include "twin.h"

#include <arpa/inet.h>
#include <errno.h>
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

#include <cmocka.h>

#include "base/clock.h"
#include "buffers.h"
#include "dataplane/worker.h"
#include "lcores.h"
#include "net/checksum.h"
#include "net/headers.h"
#include "ports.h"

#define DEADLINE_MS 5000
#define UDP_PORT    5353

static struct sg_dataplane dataplane;
static struct sg_settings settings;
static struct sg_counters counters[2];
static struct sg_home home;
static struct sg_twins *twins;
static struct sg_worker worker; // only looked at: it is idle

static int set_up(void **unused)
{
	struct sg_port_settings *port = &settings.ports[0];
	struct sg_lcores lcores;
	struct sg_error error;

	(void)unused;
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	// As hosts have it that want no IPv6, or no addresses that they have not chosen.
	assert_int_equal(system("sysctl -qw net.ipv6.conf.default.disable_ipv6=1 "
				"net.ipv6.conf.default.addr_gen_mode=1"),
		0);
	sg_settings_init(&settings);
	snprintf(settings.instance, sizeof(settings.instance), "unit-%d", (int)getpid());
	settings.hugepages = false;
	strcpy(port->name, "p0");
	strcpy(port->device, "net_null0,no-rx=1");
	strcpy(port->twin, "sg-p0");
	port->mtu = 1400;
	assert_int_equal(sg_addr_parse("10.0.0.1", &port->addresses[0].addr), 0);
	port->addresses[0].length = 24;
	assert_int_equal(sg_addr_parse("fd00::1", &port->addresses[1].addr), 0);
	port->addresses[1].length = 64;
	port->n_addresses = 2;
	settings.n_ports = 1;

	dataplane.n_ports = dataplane.n_workers = 1;
	dataplane.workers[0] = &worker;
	dataplane.counters[0].totals = &counters[0];
	dataplane.counters[1].totals = &counters[1];
	assert_int_equal(sg_lcores_choose(&lcores, &settings, &error), 0);
	if (sg_eal_start(&lcores, &settings, sg_buffers_memory_mb(&settings, 1), &error))
		fail_msg("%s", error.text);
	sg_home_init(&home, sg_toeplitz_default_key, 1);
	assert_int_equal(sg_buffers_create(&dataplane, &settings, &error), 0);
	if (sg_ports_open(&dataplane, &settings, &home, &error))
		fail_msg("%s", error.text);
	if (sg_twins_open(&twins, &dataplane, &settings, &error))
		fail_msg("%s", error.text);
	assert_int_equal(sg_twins_start(twins, &error), 0);
	return 0;
}

static int tear_down(void **unused)
{
	struct rte_mbuf *mbuf;

	(void)unused;
	sg_twins_stop(twins);
	sg_twins_close(twins);
	while (rte_ring_dequeue(dataplane.inboxes[0], (void **)&mbuf) == 0)
		rte_pktmbuf_free(mbuf);
	sg_ports_close(&dataplane);
	assert_int_equal(rte_mempool_in_use_count(dataplane.mempool), 0);
	sg_buffers_destroy(&dataplane);
	sg_eal_stop();
	assert_int_equal(if_nametoindex("sg-p0"), 0);
	return 0;
}

static uint64_t count(const sg_counter *counter)
{
	return sg_counter_read(counter);
}

static void wait_for(const sg_counter *counter, uint64_t value)
{
	uint64_t deadline_ms = sg_clock_ms() + DEADLINE_MS;

	while (count(counter) < value) {
		if (sg_clock_ms() > deadline_ms)
			fail_msg("a counter stayed at %lu, below %lu", count(counter), value);
		sched_yield();
	}
}

static bool sysctl_is(const char *path, int expected)
{
	FILE *file = fopen(path, "re");
	int value = -1;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%d", &value), 1);
	fclose(file);
	return value == expected;
}

static void the_twin_is_as_the_design_has_it(void **unused)
{
	char command[200];
	const uint8_t *mac = dataplane.ports[0].mac;

	(void)unused;
	assert_int_equal(sg_twins_ifindex(twins, 0), if_nametoindex("sg-p0"));
	snprintf(command, sizeof(command),
		"ip link show sg-p0 | grep -q %02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
		mac[2], mac[3], mac[4], mac[5]);
	assert_int_equal(system(command), 0);
	assert_int_equal(system("ip link show sg-p0 | grep -q 'UP.* mtu 1400'"), 0);
	assert_int_equal(system("ip address show sg-p0 | grep -q '10.0.0.1/24 brd 10.0.0.255'"), 0);
	assert_int_equal(system("ip address show sg-p0 | grep -q 'fd00::1/64 .*nodad'"), 0);
	assert_int_not_equal(system("ip -6 address show sg-p0 | grep -q tentative"), 0);
	assert_true(sysctl_is("/proc/sys/net/ipv4/conf/sg-p0/forwarding", 0));
	assert_true(sysctl_is("/proc/sys/net/ipv4/conf/sg-p0/rp_filter", 2));
	assert_true(sysctl_is("/proc/sys/net/ipv4/conf/sg-p0/arp_ignore", 1));
	assert_true(sysctl_is("/proc/sys/net/ipv4/conf/sg-p0/arp_announce", 2));
	assert_true(sysctl_is("/proc/sys/net/ipv4/neigh/sg-p0/base_reachable_time_ms", 5000));
	assert_true(sysctl_is("/proc/sys/net/ipv6/conf/sg-p0/disable_ipv6", 0));
	assert_true(sysctl_is("/proc/sys/net/ipv6/conf/sg-p0/accept_ra", 0));
	assert_true(sysctl_is("/proc/sys/net/ipv6/conf/sg-p0/forwarding", 0));
	assert_true(sysctl_is("/proc/sys/net/ipv6/conf/sg-p0/accept_dad", 0));
	assert_true(sysctl_is("/proc/sys/net/ipv6/neigh/sg-p0/base_reachable_time_ms", 5000));
}

// NDP needs a link-local address, whatever the host makes of new interfaces; and one that follows
// from the MAC is the same after a restart.
static void the_twin_has_a_link_local_address_of_its_mac(void **unused)
{
	const uint8_t *mac = dataplane.ports[0].mac;
	struct in6_addr addr = {.s6_addr = {0xfe, 0x80, [8] = mac[0] ^ 2, mac[1], mac[2], 0xff,
					0xfe, mac[3], mac[4], mac[5]}};
	char text[INET6_ADDRSTRLEN], command[200];

	(void)unused;
	inet_ntop(AF_INET6, &addr, text, sizeof(text));
	snprintf(command, sizeof(command),
		"ip -6 address show sg-p0 scope link | grep -q 'inet6 %s/64'", text);
	assert_int_equal(system(command), 0);
	// Down and up again, and the addresses are still there.
	assert_int_equal(system("ip link set sg-p0 down && ip link set sg-p0 up"), 0);
	assert_int_equal(system("ip address show sg-p0 | grep -q 'fd00::1/64'"), 0);
}

// A UDP datagram from 10.0.0.9 to the twin's address, as it would come in from the wire.
static struct rte_mbuf *make_datagram(uint32_t number)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(dataplane.mempool);
	size_t ip_bytes = sizeof(struct sg_ipv4_hdr) + sizeof(struct sg_udp_hdr) + sizeof(number);
	struct sg_eth_hdr *eth;
	struct sg_ipv4_hdr *ip;
	struct sg_udp_hdr *udp;

	assert_non_null(mbuf);
	eth = (struct sg_eth_hdr *)rte_pktmbuf_append(mbuf, (uint16_t)(sizeof(*eth) + ip_bytes));
	ip = (struct sg_ipv4_hdr *)(eth + 1);
	udp = (struct sg_udp_hdr *)(ip + 1);
	memset(eth, 0, sizeof(*eth) + ip_bytes);
	memcpy(eth->dst, dataplane.ports[0].mac, 6);
	eth->src[0] = 2;
	eth->ethertype_be = htons(SG_ETHERTYPE_IPV4);
	ip->version_ihl = 0x45;
	ip->total_length_be = htons((uint16_t)ip_bytes);
	ip->ttl = 64;
	ip->proto = SG_PROTO_UDP;
	ip->src_be = inet_addr("10.0.0.9");
	ip->dst_be = inet_addr("10.0.0.1");
	ip->checksum = sg_checksum_finish(sg_checksum_add(0, ip, sizeof(*ip)));
	udp->sport_be = udp->dport_be = htons(UDP_PORT);
	udp->length_be = htons(sizeof(*udp) + sizeof(number));
	memcpy(udp + 1, &number, sizeof(number));
	return mbuf;
}

static int open_listener(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(UDP_PORT)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void punted_packets_reach_the_kernel(void **unused)
{
	struct sg_port *port = &dataplane.ports[0];
	int listener = open_listener();
	struct pollfd ready = {.fd = listener, .events = POLLIN};
	bool seen[8] = {false};

	(void)unused;
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(
			rte_ring_enqueue(i % 2 ? port->punt : port->punt_urgent, make_datagram(i)),
			0);
	for (unsigned i = 0; i < 8; i++) {
		uint32_t number;

		assert_int_equal(poll(&ready, 1, DEADLINE_MS), 1);
		assert_int_equal(recv(listener, &number, sizeof(number), 0), sizeof(number));
		assert_true(number < 8 && !seen[number]);
		seen[number] = true;
	}
	wait_for(&counters[1].punted, 8);
	assert_int_equal(count(&counters[1].handed_in), 8);
	close(listener);
}

static void ask_for(const char *address)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = inet_addr(address)};
	int sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(sendto(sender, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	close(sender);
}

// The worker's bed is the test's: no time ends this sleep.
static void what_the_kernel_sends_wakes_a_worker(void **unused)
{
	struct sg_doorbell *bell = &dataplane.bells[0];
	struct pollfd ready = {.fd = bell->fd, .events = POLLIN};

	(void)unused;
	sg_doorbell_go_to_bed(bell);
	ask_for("10.0.0.76");
	assert_int_equal(poll(&ready, 1, DEADLINE_MS), 1);
	sg_doorbell_get_up(bell, true);
	assert_true(rte_ring_count(dataplane.inboxes[0]) > 0);
}

static void what_the_kernel_sends_comes_to_the_worker(void **unused)
{
	uint64_t deadline_ms = sg_clock_ms() + DEADLINE_MS;
	bool asked = false;

	(void)unused;
	ask_for("10.0.0.77");
	// The kernel asks for 10.0.0.77 first; other frames of its own (IPv6) may come before.
	while (!asked) {
		struct rte_mbuf *mbuf;

		assert_true(sg_clock_ms() < deadline_ms);
		if (rte_ring_dequeue(dataplane.inboxes[0], (void **)&mbuf) != 0) {
			sched_yield();
			continue;
		}
		struct sg_eth_hdr *eth = rte_pktmbuf_mtod(mbuf, struct sg_eth_hdr *);
		struct sg_arp_hdr *arp = (struct sg_arp_hdr *)(eth + 1);

		assert_true(sg_mbuf_meta(mbuf)->from_kernel);
		assert_int_equal(sg_mbuf_meta(mbuf)->port, 0);
		assert_false(sg_mbuf_meta(mbuf)->handed_off);
		asked = eth->ethertype_be == htons(SG_ETHERTYPE_ARP) &&
			arp->target_be == inet_addr("10.0.0.77");
		rte_pktmbuf_free(mbuf);
	}
}

// More than its inbox holds: the rest is lost by name, and nothing without one.
static void a_worker_that_takes_nothing_loses_by_name(void **unused)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr.s_addr = inet_addr("10.0.0.78")};
	int sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t out, dropped;

	(void)unused;
	assert_int_equal(system("ip neigh add 10.0.0.78 lladdr 02:00:00:00:00:78 dev sg-p0"), 0);
	for (unsigned round = 0; count(&counters[1].dropped[SG_DROP_TWIN_FULL]) == 0; round++) {
		assert_true(round < 100 * SG_INBOX_SLOTS);
		sendto(sender, "x", 1, 0, (struct sockaddr *)&to, sizeof(to));
	}
	close(sender);
	sg_twins_stop(twins);
	out = count(&counters[1].handed_out);
	dropped = count(&counters[1].dropped[SG_DROP_TWIN_FULL]) +
		  count(&counters[1].dropped[SG_DROP_NO_BUFFER]);
	assert_int_equal(count(&counters[1].generated), out + dropped);
	assert_int_equal(rte_ring_count(dataplane.inboxes[0]), SG_INBOX_SLOTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_twin_is_as_the_design_has_it),
		cmocka_unit_test(the_twin_has_a_link_local_address_of_its_mac),
		cmocka_unit_test(punted_packets_reach_the_kernel),
		cmocka_unit_test(what_the_kernel_sends_wakes_a_worker),
		cmocka_unit_test(what_the_kernel_sends_comes_to_the_worker),
		cmocka_unit_test(a_worker_that_takes_nothing_loses_by_name),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "twins are tested against the kernel, which needs root\n");
		return 1;
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
