// The mirror against the real kernel, in a network namespace of its own. A TAP plays the twin, and
// the test plays the wire behind it: it reads the kernel's ARP and NDP questions and answers them
// as it likes.
//
// Needs root (a network namespace, a TAP); without it the program fails, since nothing would be
// tested.
#include "control/mirror.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip6.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/headers.h"

#define DEADLINE_MS 5000

struct lab {
	int tap;
	struct sg_mirror *mirror;
	struct sg_routes *routes;  // built last
	uint8_t answer_mac[6];     // who has it? this one
	uint32_t answered_be;      // ARP is answered for this address only
	struct in6_addr answered6; // and NDP for this one
};

static void run(const char *command)
{
	int status = system(command);

	if (status != 0)
		fail_msg("`%s` ended with status %d", command, status);
}

static int open_tap(const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	assert_true(fd >= 0);
	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
	return fd;
}

static int begin(void **ret_lab)
{
	struct sg_mirror_port port = {.mac = {2, 0, 0, 0, 0, 1}};
	struct lab *lab = calloc(1, sizeof(*lab));
	struct sg_error error;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	lab->tap = open_tap("twin");
	run("sysctl -qw net.ipv6.conf.twin.disable_ipv6=0 net.ipv6.conf.twin.accept_dad=0");
	run("ip link set twin address 02:00:00:00:00:01 && ip link set twin up && ip link set lo up");
	run("ip address add 10.0.0.1/24 dev twin && ip address add fd00::1/64 dev twin nodad");
	port.ifindex = (int)if_nametoindex("twin");
	assert_true(port.ifindex > 0);
	assert_int_equal(sg_mirror_open(&lab->mirror, &port, 1, &error), 0);
	lab->routes = sg_mirror_build(lab->mirror);
	*ret_lab = lab;
	return 0;
}

static int end(void **at_lab)
{
	struct lab *lab = *at_lab;

	sg_routes_unref(lab->routes);
	sg_mirror_close(lab->mirror);
	close(lab->tap);
	free(lab);
	return 0;
}

static void answer_arp(struct lab *lab, uint8_t *frame, size_t length)
{
	struct sg_eth_hdr *eth = (struct sg_eth_hdr *)frame;
	struct sg_arp_hdr *arp = (struct sg_arp_hdr *)(frame + sizeof(*eth));
	uint32_t asked_be;

	if (length < sizeof(*eth) + sizeof(*arp) || eth->ethertype_be != htons(SG_ETHERTYPE_ARP) ||
		arp->target_be != lab->answered_be || arp->operation_be != htons(SG_ARP_REQUEST))
		return;
	memcpy(eth->dst, eth->src, 6);
	memcpy(eth->src, lab->answer_mac, 6);
	asked_be = arp->target_be;
	memcpy(arp->target_mac, arp->sender_mac, 6);
	arp->target_be = arp->sender_be;
	memcpy(arp->sender_mac, lab->answer_mac, 6);
	arp->sender_be = asked_be;
	arp->operation_be = htons(SG_ARP_REPLY);
	assert_int_equal(
		write(lab->tap, frame, sizeof(*eth) + sizeof(*arp)), sizeof(*eth) + sizeof(*arp));
}

// Neighbour discovery as this test meets it: the message and one option, a link-layer address.
struct discovery {
	struct ether_header eth;
	struct ip6_hdr ip;
	struct nd_neighbor_advert message; // a solicitation has the same fields
	struct nd_opt_hdr option;
	uint8_t mac[6];
} __attribute__((packed));

static uint16_t icmp6_checksum(const struct discovery *packet)
{
	const uint8_t *addresses = (const uint8_t *)&packet->ip.ip6_src;
	const uint8_t *payload = (const uint8_t *)&packet->message;
	size_t length = sizeof(*packet) - offsetof(struct discovery, message);
	uint32_t sum = (uint32_t)length + IPPROTO_ICMPV6;

	for (size_t i = 0; i < 32; i += 2)
		sum += (uint32_t)addresses[i] << 8 | addresses[i + 1];
	for (size_t i = 0; i < length; i += 2)
		sum += (uint32_t)payload[i] << 8 | payload[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void answer_ndp(struct lab *lab, const uint8_t *frame, size_t length)
{
	struct discovery packet;

	if (length < sizeof(packet))
		return;
	memcpy(&packet, frame, sizeof(packet));
	if (packet.eth.ether_type != htons(SG_ETHERTYPE_IPV6) ||
		packet.message.nd_na_type != ND_NEIGHBOR_SOLICIT ||
		memcmp(&packet.message.nd_na_target, &lab->answered6, 16) != 0)
		return;
	memcpy(packet.eth.ether_dhost, packet.eth.ether_shost, 6);
	memcpy(packet.eth.ether_shost, lab->answer_mac, 6);
	packet.ip.ip6_dst = packet.ip.ip6_src;
	packet.ip.ip6_src = lab->answered6;
	packet.message.nd_na_type = ND_NEIGHBOR_ADVERT;
	packet.message.nd_na_flags_reserved = ND_NA_FLAG_SOLICITED | ND_NA_FLAG_OVERRIDE;
	packet.option = (struct nd_opt_hdr){ND_OPT_TARGET_LINKADDR, 1};
	memcpy(packet.mac, lab->answer_mac, 6);
	packet.message.nd_na_cksum = 0;
	packet.message.nd_na_cksum = icmp6_checksum(&packet);
	assert_int_equal(write(lab->tap, &packet, sizeof(packet)), sizeof(packet));
}

// Answers what the kernel has asked.
static void answer(struct lab *lab)
{
	uint8_t frame[2048];
	ssize_t length;

	while ((length = read(lab->tap, frame, sizeof(frame))) >= 0) {
		answer_arp(lab, frame, (size_t)length);
		answer_ndp(lab, frame, (size_t)length);
	}
}

static struct sg_route_answer find(const struct lab *lab, const char *addr)
{
	struct sg_addr parsed;

	assert_int_equal(sg_addr_parse(addr, &parsed), 0);
	if (parsed.family == SG_FAMILY_IPV6)
		return sg_routes_find6(lab->routes, parsed.bytes);
	return sg_routes_find4(lab->routes, sg_addr_ipv4_be(&parsed));
}

static const struct sg_hop *hop_to(const struct lab *lab, const char *addr)
{
	return &lab->routes->hops[find(lab, addr).hop];
}

typedef bool condition(const struct lab *lab, const void *argument);

// Lets events pass until the condition holds for the routes.
static void wait_until(struct lab *lab, condition *holds, const void *argument)
{
	uint64_t deadline_ms = sg_clock_ms() + DEADLINE_MS;

	while (!holds(lab, argument)) {
		struct pollfd fds[] = {{.fd = sg_mirror_fd(lab->mirror), .events = POLLIN},
			{.fd = lab->tap, .events = POLLIN}};
		struct sg_error error;
		bool changed;

		if (sg_clock_ms() > deadline_ms)
			fail_msg("the routes did not become as expected");
		poll(fds, 2, 100);
		answer(lab);
		assert_int_equal(sg_mirror_receive(lab->mirror, &changed, &error), 0);
		if (!changed)
			continue;
		sg_routes_unref(lab->routes);
		lab->routes = sg_mirror_build(lab->mirror);
		assert_non_null(lab->routes);
	}
}

struct expected_kind {
	const char *addr;
	enum sg_route_kind kind;
};

static bool has_kind(const struct lab *lab, const void *argument)
{
	const struct expected_kind *expected = argument;

	return find(lab, expected->addr).kind == expected->kind;
}

static void wait_kind(struct lab *lab, const char *addr, enum sg_route_kind kind)
{
	wait_until(lab, has_kind, &(struct expected_kind){addr, kind});
}

struct expected_mac {
	const char *addr;
	uint8_t mac[6];
};

static bool has_mac(const struct lab *lab, const void *argument)
{
	const struct expected_mac *expected = argument;
	const struct sg_hop *hop = hop_to(lab, expected->addr);

	return hop->kind == SG_HOP_PORT && memcmp(hop->dst_mac, expected->mac, 6) == 0;
}

static bool is_unresolved(const struct lab *lab, const void *addr)
{
	return find(lab, addr).kind == SG_ROUTE_HOP && hop_to(lab, addr)->kind == SG_HOP_UNRESOLVED;
}

static void what_was_there_is_mirrored_at_once(void **at_lab)
{
	struct lab *lab = *at_lab;

	assert_int_equal(find(lab, "10.0.0.1").kind, SG_ROUTE_LOCAL);
	assert_int_equal(find(lab, "10.0.0.9").kind, SG_ROUTE_ON_LINK);
	assert_int_equal(find(lab, "127.0.0.1").kind, SG_ROUTE_NONE);
	assert_int_equal(lab->routes->port_addr4_be[0], inet_addr("10.0.0.1"));
}

static void ipv6_that_was_there_is_mirrored_at_once(void **at_lab)
{
	struct lab *lab = *at_lab;
	struct in6_addr own;

	inet_pton(AF_INET6, "fd00::1", &own);
	assert_int_equal(find(lab, "fd00::1").kind, SG_ROUTE_LOCAL);
	assert_int_equal(find(lab, "fd00::9").kind, SG_ROUTE_ON_LINK);
	assert_int_equal(find(lab, "::1").kind, SG_ROUTE_NONE);
	assert_int_equal(find(lab, "fe80::1").kind, SG_ROUTE_NONE);
	assert_memory_equal(lab->routes->port_addr6[0], &own, 16);
}

static void ipv6_addresses_and_routes_come_and_go(void **at_lab)
{
	struct lab *lab = *at_lab;
	uint16_t generation = lab->routes->generation;

	run("ip address add 2001:db8:1::1/64 dev twin nodad");
	wait_kind(lab, "2001:db8:1::1", SG_ROUTE_LOCAL);
	wait_kind(lab, "2001:db8:1::7", SG_ROUTE_ON_LINK);
	assert_int_not_equal(lab->routes->generation, generation);
	run("ip -6 route add default via fe80::1 dev twin");
	wait_kind(lab, "2001:db8:2::1", SG_ROUTE_HOP);
	run("ip -6 route add unreachable 2001:db8:2::/48");
	wait_kind(lab, "2001:db8:2::1", SG_ROUTE_NONE);
	run("ip -6 route del unreachable 2001:db8:2::/48");
	wait_kind(lab, "2001:db8:2::1", SG_ROUTE_HOP);
	run("ip address del 2001:db8:1::1/64 dev twin");
	wait_kind(lab, "2001:db8:1::1", SG_ROUTE_HOP);
	run("ip -6 route del default");
	wait_kind(lab, "2001:db8:1::1", SG_ROUTE_NONE);
	run("ip -6 route add 2001:db8:3::/48 nexthop via fd00::fe nexthop via fd00::fd");
	wait_kind(lab, "2001:db8:3::1", SG_ROUTE_HOP);
}

static void an_ipv6_address_elsewhere_is_not_routed_to(void **at_lab)
{
	struct lab *lab = *at_lab;

	run("ip address add 2001:db8:7::1/128 dev lo");
	run("ip -6 route add default via fe80::1 dev twin");
	wait_kind(lab, "2001:db8:8::1", SG_ROUTE_HOP);
	wait_kind(lab, "2001:db8:7::1", SG_ROUTE_NONE);
}

static void addresses_and_routes_come_and_go(void **at_lab)
{
	struct lab *lab = *at_lab;
	uint16_t generation = lab->routes->generation;

	run("ip address add 10.1.0.1/24 dev twin");
	wait_kind(lab, "10.1.0.1", SG_ROUTE_LOCAL);
	wait_kind(lab, "10.1.0.7", SG_ROUTE_ON_LINK);
	assert_int_not_equal(lab->routes->generation, generation);
	run("ip route add default via 10.1.0.254");
	wait_kind(lab, "192.0.2.1", SG_ROUTE_HOP);
	run("ip route add blackhole 192.0.2.0/24");
	wait_kind(lab, "192.0.2.1", SG_ROUTE_NONE);
	run("ip route del blackhole 192.0.2.0/24");
	wait_kind(lab, "192.0.2.1", SG_ROUTE_HOP);
	// The address goes, and its subnet with it: the default route is what is left.
	run("ip address del 10.1.0.1/24 dev twin");
	wait_kind(lab, "10.1.0.1", SG_ROUTE_HOP);
	wait_kind(lab, "10.1.0.7", SG_ROUTE_HOP);
	run("ip route del default");
	wait_kind(lab, "10.1.0.7", SG_ROUTE_NONE);
}

static void a_link_that_goes_down_takes_its_routes_along(void **at_lab)
{
	struct lab *lab = *at_lab;

	run("ip link set twin down");
	wait_kind(lab, "10.0.0.9", SG_ROUTE_NONE);
	run("ip link set twin up");
	wait_kind(lab, "10.0.0.9", SG_ROUTE_ON_LINK);
}

static void routes_may_be_nexthop_objects(void **at_lab)
{
	struct lab *lab = *at_lab;

	run("ip nexthop add id 1 via 10.0.0.254 dev twin && ip route add 198.18.0.0/15 nhid 1");
	wait_kind(lab, "198.18.0.1", SG_ROUTE_HOP);
	run("ip nexthop del id 1");
	wait_kind(lab, "198.18.0.1", SG_ROUTE_NONE);
}

static void a_backend_is_resolved_and_kept_so(void **at_lab)
{
	struct lab *lab = *at_lab;
	struct expected_mac expected = {"10.0.0.7", {2, 0xaa, 0, 0, 0, 1}};
	struct sg_addr backend;
	uint16_t generation, hop;

	sg_addr_parse("10.0.0.7", &backend);
	memcpy(lab->answer_mac, expected.mac, 6);
	assert_true(sg_mirror_keep(lab->mirror, &backend, 1));
	wait_until(lab, is_unresolved, "10.0.0.7");
	lab->answered_be = inet_addr("10.0.0.7");
	wait_until(lab, has_mac, &expected);
	run("ip -d neigh show 10.0.0.7 dev twin | grep -q managed");
	generation = lab->routes->generation;
	hop = find(lab, "10.0.0.7").hop;

	// The machine moves: the kernel hears of the new MAC, and so do we, at the same index.
	expected.mac[1] = lab->answer_mac[1] = 0xbb;
	run("ip neigh change 10.0.0.7 lladdr 02:bb:00:00:00:01 nud stale dev twin");
	wait_until(lab, has_mac, &expected);
	assert_int_equal(find(lab, "10.0.0.7").hop, hop);
	assert_int_equal(lab->routes->generation, generation);

	// Somebody flushes the table: it is asked for again.
	run("ip neigh flush dev twin nud all");
	wait_until(lab, is_unresolved, "10.0.0.7");
	wait_until(lab, has_mac, &expected);
	assert_int_equal(find(lab, "10.0.0.7").hop, hop);

	assert_int_equal(
		sg_mirror_keep(lab->mirror, NULL, 0), sg_mirror_keep(lab->mirror, NULL, 0));
	run("! ip -d neigh show 10.0.0.7 dev twin | grep -q managed");
}

static void an_ipv6_backend_is_resolved_and_kept_so(void **at_lab)
{
	struct lab *lab = *at_lab;
	struct expected_mac expected = {"fd00::7", {2, 0xaa, 0, 0, 0, 1}};
	struct sg_addr backend;
	uint16_t hop;

	sg_addr_parse("fd00::7", &backend);
	memcpy(lab->answer_mac, expected.mac, 6);
	assert_true(sg_mirror_keep(lab->mirror, &backend, 1));
	wait_until(lab, is_unresolved, "fd00::7");
	inet_pton(AF_INET6, "fd00::7", &lab->answered6);
	wait_until(lab, has_mac, &expected);
	run("ip -d neigh show fd00::7 dev twin | grep -q managed");
	hop = find(lab, "fd00::7").hop;

	run("ip -6 neigh flush dev twin nud all");
	wait_until(lab, is_unresolved, "fd00::7");
	wait_until(lab, has_mac, &expected);
	assert_int_equal(find(lab, "fd00::7").hop, hop);
	sg_mirror_keep(lab->mirror, NULL, 0);
	run("! ip -d neigh show fd00::7 dev twin | grep -q managed");
}

static void an_ipv6_gateway_is_resolved_without_being_asked_for(void **at_lab)
{
	struct lab *lab = *at_lab;
	struct expected_mac expected = {"2001:db8:2::1", {2, 0xcc, 0, 0, 0, 1}};

	memcpy(lab->answer_mac, expected.mac, 6);
	inet_pton(AF_INET6, "fe80::fe", &lab->answered6);
	run("ip -6 route add default via fe80::fe dev twin");
	wait_until(lab, has_mac, &expected);
}

static void an_ipv6_client_is_resolved_when_used(void **at_lab)
{
	struct lab *lab = *at_lab;
	struct expected_mac expected = {"fd00::50", {2, 0xdd, 0, 0, 0, 1}};
	struct sg_addr addr;

	sg_addr_parse("fd00::50", &addr);
	memcpy(lab->answer_mac, expected.mac, 6);
	inet_pton(AF_INET6, "fd00::50", &lab->answered6);
	assert_int_equal(find(lab, "fd00::50").kind, SG_ROUTE_ON_LINK);
	sg_mirror_use(lab->mirror, 0, &addr);
	wait_until(lab, has_mac, &expected);
}

static void a_gateway_is_resolved_without_being_asked_for(void **at_lab)
{
	struct lab *lab = *at_lab;
	struct expected_mac expected = {"192.0.2.1", {2, 0xcc, 0, 0, 0, 1}};

	memcpy(lab->answer_mac, expected.mac, 6);
	lab->answered_be = inet_addr("10.0.0.254");
	run("ip route add default via 10.0.0.254");
	wait_until(lab, has_mac, &expected);
}

static void a_client_is_resolved_when_used(void **at_lab)
{
	struct lab *lab = *at_lab;
	struct expected_mac expected = {"10.0.0.50", {2, 0xdd, 0, 0, 0, 1}};
	struct sg_addr addr = sg_addr_from_ipv4(inet_addr("10.0.0.50"));

	memcpy(lab->answer_mac, expected.mac, 6);
	lab->answered_be = inet_addr("10.0.0.50");
	assert_int_equal(find(lab, "10.0.0.50").kind, SG_ROUTE_ON_LINK);
	sg_mirror_use(lab->mirror, 0, &addr);
	wait_until(lab, has_mac, &expected);
}

static bool has_many_neighbours(const struct lab *lab, const void *unused)
{
	(void)unused;
	return find(lab, "10.9.3.232").kind == SG_ROUTE_HOP &&
	       find(lab, "10.9.0.1").kind == SG_ROUTE_HOP;
}

// More events than the socket holds: the mirror dumps, and misses nothing.
static void an_overrun_is_made_good(void **at_lab)
{
	struct lab *lab = *at_lab;
	FILE *batch;

	run("ip address add 10.9.255.1/16 dev twin");
	batch = popen("ip -batch -", "w");
	assert_non_null(batch);
	for (unsigned turn = 0; turn < 30; turn++) {
		for (unsigned i = 1; i <= 1000; i++)
			fprintf(batch,
				"neigh replace 10.9.%u.%u lladdr 02:00:00:00:%02x:%02x nud permanent dev twin\n",
				i / 256, i % 256, turn, i % 256);
	}
	assert_int_equal(pclose(batch), 0);
	wait_until(lab, has_many_neighbours, NULL);
	assert_int_equal(hop_to(lab, "10.9.0.1")->dst_mac[4], 29);
	assert_int_equal(hop_to(lab, "10.9.3.232")->dst_mac[4], 29);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_there_is_mirrored_at_once, begin, end),
		cmocka_unit_test_setup_teardown(addresses_and_routes_come_and_go, begin, end),
		cmocka_unit_test_setup_teardown(
			a_link_that_goes_down_takes_its_routes_along, begin, end),
		cmocka_unit_test_setup_teardown(routes_may_be_nexthop_objects, begin, end),
		cmocka_unit_test_setup_teardown(a_backend_is_resolved_and_kept_so, begin, end),
		cmocka_unit_test_setup_teardown(
			a_gateway_is_resolved_without_being_asked_for, begin, end),
		cmocka_unit_test_setup_teardown(a_client_is_resolved_when_used, begin, end),
		cmocka_unit_test_setup_teardown(
			ipv6_that_was_there_is_mirrored_at_once, begin, end),
		cmocka_unit_test_setup_teardown(ipv6_addresses_and_routes_come_and_go, begin, end),
		cmocka_unit_test_setup_teardown(
			an_ipv6_address_elsewhere_is_not_routed_to, begin, end),
		cmocka_unit_test_setup_teardown(
			an_ipv6_backend_is_resolved_and_kept_so, begin, end),
		cmocka_unit_test_setup_teardown(
			an_ipv6_gateway_is_resolved_without_being_asked_for, begin, end),
		cmocka_unit_test_setup_teardown(an_ipv6_client_is_resolved_when_used, begin, end),
		cmocka_unit_test_setup_teardown(an_overrun_is_made_good, begin, end),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "the mirror is tested against the kernel, which needs root\n");
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
