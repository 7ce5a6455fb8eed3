// The guard against the real kernel, in a network namespace of its own. A TAP plays the interface
// below a port and the test plays the wire: it asks for the interface's address by ARP. Unguarded,
// the kernel answers; guarded, only the packet socket sees the question. Needs root.
#include "guard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>

#include <cmocka.h>

#include "net/headers.h"

#define DEADLINE_MS 5000

struct frame {
	struct sg_eth_hdr eth;
	struct sg_arp_hdr arp;
};

static int tap = -1;
static int packet_socket = -1;
static struct sg_settings settings;

static int run(const char *command)
{
	return system(command);
}

static int set_up(void **unused)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};

	(void)unused;
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	assert_true(tap >= 0);
	strcpy(request.ifr_name, "below");
	assert_int_equal(ioctl(tap, TUNSETIFF, &request), 0);
	assert_int_equal(run("sysctl -qw net.ipv6.conf.below.disable_ipv6=1"), 0);
	assert_int_equal(run("ip address add 10.0.0.1/24 dev below && ip link set below up"), 0);
	// As net_af_packet does. A socket for one protocol only would sit behind the ingress hook.
	packet_socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	address.sll_ifindex = (int)if_nametoindex("below");
	assert_int_equal(bind(packet_socket, (struct sockaddr *)&address, sizeof(address)), 0);
	sg_settings_init(&settings);
	strcpy(settings.instance, "unit.guard");
	strcpy(settings.ports[0].device, "net_af_packet0,iface=below");
	settings.ports[0].mtu = 1500;
	settings.n_ports = 1;
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	close(packet_socket);
	close(tap);
	return 0;
}

// Sends a question into the interface, waits until the packet socket has it, and tells whether the
// kernel has answered. The kernel answers while it takes the frame in, so by then an answer would
// be in the TAP's queue.
static bool kernel_answers(void)
{
	struct frame frame = {
		.eth = {.dst = {255, 255, 255, 255, 255, 255},
			.src = {2, 0, 0, 0, 0, 9},
			.ethertype_be = htons(SG_ETHERTYPE_ARP)},
		.arp = {.hardware_be = htons(1),
			.protocol_be = htons(SG_ETHERTYPE_IPV4),
			.hardware_length = 6,
			.protocol_length = 4,
			.operation_be = htons(SG_ARP_REQUEST),
			.sender_mac = {2, 0, 0, 0, 0, 9},
			.sender_be = inet_addr("10.0.0.9"),
			.target_be = inet_addr("10.0.0.1")},
	};
	struct pollfd seen = {.fd = packet_socket, .events = POLLIN};
	bool answered = false;
	struct frame got;

	assert_int_equal(write(tap, &frame, sizeof(frame)), sizeof(frame));
	do {
		assert_int_equal(poll(&seen, 1, DEADLINE_MS), 1);
		assert_true(recv(packet_socket, &got, sizeof(got), 0) > 0);
	} while (memcmp(&got, &frame, sizeof(got)) != 0);
	while (read(tap, &got, sizeof(got)) > 0) {
		if (got.eth.ethertype_be == htons(SG_ETHERTYPE_ARP) &&
			got.arp.operation_be == htons(SG_ARP_REPLY))
			answered = true;
	}
	return answered;
}

static void the_kernel_is_silent_while_guarded(void **unused)
{
	struct sg_guard *guard;
	struct sg_error error;

	(void)unused;
	assert_true(kernel_answers());
	assert_int_equal(sg_guard_open(&guard, &settings, &error), 0);
	assert_non_null(guard);
	assert_false(kernel_answers());
	// Nobody's reload of the firewall takes it away.
	run("nft flush ruleset");
	assert_false(kernel_answers());
	sg_guard_close(guard);
	assert_true(kernel_answers());
	assert_int_equal(run("! nft list tables | grep -q stormgate"), 0);
}

static void a_killed_instance_leaves_no_table(void **unused)
{
	int ready[2];
	char byte;
	pid_t pid;

	(void)unused;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		struct sg_guard *guard;

		prctl(PR_SET_PDEATHSIG, SIGKILL); // a failing test leaves nobody behind
		if (sg_guard_open(&guard, &settings, NULL) == 0 && write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_false(kernel_answers());
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(kernel_answers());
}

static void a_table_that_was_left_is_replaced(void **unused)
{
	struct sg_guard *guard;
	struct sg_error error;

	(void)unused;
	assert_int_equal(
		run("nft add table netdev stormgate_unit_2eguard && "
		    "nft add chain netdev stormgate_unit_2eguard other '{ type filter hook ingress device below "
		    "priority 0; policy drop; }'"),
		0);
	assert_int_equal(sg_guard_open(&guard, &settings, &error), 0);
	assert_int_equal(run("! nft list table netdev stormgate_unit_2eguard | grep -q other"), 0);
	sg_guard_close(guard);
	assert_true(kernel_answers());
}

// "unit.guard" and "unit-guard" are two instances.
static void instances_of_similar_names_have_two_tables(void **unused)
{
	struct sg_settings other = settings;
	struct sg_guard *guard, *other_guard;
	struct sg_error error;

	(void)unused;
	strcpy(other.instance, "unit-guard");
	assert_int_equal(sg_guard_open(&guard, &settings, &error), 0);
	assert_int_equal(sg_guard_open(&other_guard, &other, &error), 0);
	assert_int_equal(run("test $(nft list tables | wc -l) = 2"), 0);
	sg_guard_close(other_guard);
	assert_int_equal(run("test $(nft list tables | wc -l) = 1"), 0);
	assert_false(kernel_answers());
	sg_guard_close(guard);
}

static void merging_is_switched_off_and_on_again(void **unused)
{
	struct sg_guard *guard;
	struct sg_error error;

	(void)unused;
	assert_int_equal(run("ethtool -K below gro on"), 0);
	assert_int_equal(sg_guard_open(&guard, &settings, &error), 0);
	assert_int_equal(run("ethtool -k below | grep -q '^generic-receive-offload: off'"), 0);
	sg_guard_close(guard);
	assert_int_equal(run("ethtool -k below | grep -q '^generic-receive-offload: on'"), 0);
}

static void other_devices_need_no_guard(void **unused)
{
	struct sg_settings other = settings;
	struct sg_guard *guard = (void *)1;
	struct sg_error error;

	(void)unused;
	strcpy(other.ports[0].device, "net_null0");
	assert_int_equal(sg_guard_open(&guard, &other, &error), 0);
	assert_null(guard);
	sg_guard_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			the_kernel_is_silent_while_guarded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_killed_instance_leaves_no_table, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_table_that_was_left_is_replaced, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			instances_of_similar_names_have_two_tables, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			merging_is_switched_off_and_on_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_devices_need_no_guard, set_up, tear_down),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "the guard is tested against the kernel, which needs root\n");
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
