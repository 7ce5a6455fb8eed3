// rtnetlink messages, built by hand, against the facts that they are; and cut short or bent,
// against -EINVAL.
#include "control/mirror_parse.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <cmocka.h>

#include "base/random.h"
#include "service/routes.h"

#define TWIN0     7
#define TWIN1     8
#define OTHER     2
#define MAX_BYTES 1024

static const struct sg_mirror_port ports[] = {
	{TWIN0, {2, 0, 0, 0, 0, 1}}, {TWIN1, {2, 0, 0, 0, 0, 2}}};
static _Alignas(struct nlmsghdr) char space[MAX_BYTES];

static struct nlmsghdr *begin(uint16_t type, const void *head, size_t head_bytes)
{
	struct nlmsghdr *message;

	memset(space, 0, sizeof(space));
	message = mnl_nlmsg_put_header(space);
	message->nlmsg_type = type;
	memcpy(mnl_nlmsg_put_extra_header(message, head_bytes), head, head_bytes);
	return message;
}

static void put_addr(struct nlmsghdr *message, uint16_t type, const char *text)
{
	struct sg_addr addr;

	assert_int_equal(sg_addr_parse(text, &addr), 0);
	mnl_attr_put(message, type, sg_family_bits(addr.family) / 8, addr.bytes);
}

static void assert_addr(const struct sg_addr *addr, const char *expected)
{
	char text[SG_ADDR_TEXT_BYTES];

	assert_string_equal(sg_addr_format(addr, text), expected);
}

static struct nlmsghdr *begin_route(uint8_t type, const char *prefix, uint8_t length)
{
	struct rtmsg head = {.rtm_family = prefix && strchr(prefix, ':') ? AF_INET6 : AF_INET,
		.rtm_dst_len = length,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_type = type};
	struct nlmsghdr *message = begin(RTM_NEWROUTE, &head, sizeof(head));

	if (length)
		put_addr(message, RTA_DST, prefix);
	return message;
}

static int parse_route(const struct nlmsghdr *message, struct sg_mirror_route *ret_route)
{
	return sg_mirror_parse_route(message, ports, 2, ret_route);
}

static void a_connected_route_is_on_link(void **unused)
{
	struct nlmsghdr *message = begin_route(RTN_UNICAST, "10.0.0.0", 24);
	struct sg_mirror_route route;

	(void)unused;
	mnl_attr_put_u32(message, RTA_OIF, TWIN1);
	mnl_attr_put_u32(message, RTA_PRIORITY, 100);
	assert_int_equal(parse_route(message, &route), 0);
	assert_int_equal(route.kind, SG_ROUTE_ON_LINK);
	assert_int_equal(route.port, 1);
	assert_int_equal(route.metric, 100);
	assert_int_equal(route.prefix.length, 24);
	assert_addr(&route.prefix.addr, "10.0.0.0");
}

static void a_default_route_has_a_gateway(void **unused)
{
	struct nlmsghdr *message = begin_route(RTN_UNICAST, NULL, 0);
	struct sg_mirror_route route;

	(void)unused;
	put_addr(message, RTA_GATEWAY, "10.0.0.254");
	mnl_attr_put_u32(message, RTA_OIF, TWIN0);
	assert_int_equal(parse_route(message, &route), 0);
	assert_int_equal(route.kind, SG_ROUTE_HOP);
	assert_int_equal(route.prefix.length, 0);
	assert_addr(&route.gateway, "10.0.0.254");
}

static void an_ipv4_route_may_have_an_ipv6_gateway(void **unused)
{
	struct nlmsghdr *message = begin_route(RTN_UNICAST, "10.1.0.0", 16);
	struct {
		uint16_t family;
		uint8_t addr[16];
	} via = {AF_INET6, {0xfe, 0x80, [15] = 1}};
	struct sg_mirror_route route;

	(void)unused;
	mnl_attr_put(message, RTA_VIA, sizeof(via), &via);
	mnl_attr_put_u32(message, RTA_OIF, TWIN0);
	assert_int_equal(parse_route(message, &route), 0);
	assert_int_equal(route.kind, SG_ROUTE_HOP);
	assert_addr(&route.gateway, "fe80::1");
}

static void routes_to_nowhere_lead_nowhere(void **unused)
{
	static const uint8_t types[] = {RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT, RTN_THROW};
	struct sg_mirror_route route;

	(void)unused;
	for (size_t i = 0; i < sizeof(types); i++) {
		assert_int_equal(parse_route(begin_route(types[i], "10.2.0.0", 16), &route), 0);
		assert_int_equal(route.kind, SG_ROUTE_NONE);
	}
}

static void a_route_through_another_interface_is_none_of_ours(void **unused)
{
	struct nlmsghdr *message = begin_route(RTN_UNICAST, "10.3.0.0", 16);
	struct sg_mirror_route route;

	(void)unused;
	mnl_attr_put_u32(message, RTA_OIF, OTHER);
	assert_int_equal(parse_route(message, &route), 0);
	assert_int_equal(route.kind, SG_ROUTE_NONE);
}

static void other_tables_are_not_followed(void **unused)
{
	struct nlmsghdr *message = begin_route(RTN_UNICAST, "10.4.0.0", 16);
	struct rtmsg *head = mnl_nlmsg_get_payload(message);
	struct sg_mirror_route route;

	(void)unused;
	mnl_attr_put_u32(message, RTA_OIF, TWIN0);
	head->rtm_table = RT_TABLE_LOCAL;
	assert_int_equal(parse_route(message, &route), -ENOENT);
	head->rtm_table = RT_TABLE_MAIN;
	head->rtm_flags = RTM_F_CLONED;
	assert_int_equal(parse_route(message, &route), -ENOENT);
	head->rtm_flags = 0;
	head->rtm_tos = 0x10;
	assert_int_equal(parse_route(message, &route), -ENOENT);
	head->rtm_tos = 0;
	mnl_attr_put_u32(message, RTA_TABLE, 1000); // counts more than the byte in the head
	assert_int_equal(parse_route(message, &route), -ENOENT);
}

static void an_ipv6_route_may_have_a_link_local_gateway(void **unused)
{
	static const struct {
		int preference; // RFC 4191; -1: none said
		uint8_t rank;
	} rows[] = {{-1, 1}, {0, 1}, {1, 0}, {2, 1}, {3, 2}, {77, 1}};
	struct sg_mirror_route route;

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct nlmsghdr *message = begin_route(RTN_UNICAST, "2001:db8::", 32);

		put_addr(message, RTA_GATEWAY, "fe80::1");
		mnl_attr_put_u32(message, RTA_OIF, TWIN1);
		mnl_attr_put_u32(message, RTA_PRIORITY, 1024);
		if (rows[i].preference >= 0)
			mnl_attr_put_u8(message, RTA_PREF, (uint8_t)rows[i].preference);
		assert_int_equal(parse_route(message, &route), 0);
		assert_int_equal(route.kind, SG_ROUTE_HOP);
		assert_int_equal(route.port, 1);
		assert_int_equal(route.metric, 1024);
		assert_int_equal(route.rank, rows[i].rank);
		assert_int_equal(route.prefix.length, 32);
		assert_addr(&route.prefix.addr, "2001:db8::");
		assert_addr(&route.gateway, "fe80::1");
	}
}

// Every link has these: where they lead, only a packet's port says.
static void what_every_link_has_is_no_route(void **unused)
{
	struct nlmsghdr *message = begin_route(RTN_UNICAST, "fe80::", 64);
	struct sg_mirror_route route;

	(void)unused;
	mnl_attr_put_u32(message, RTA_OIF, TWIN0);
	assert_int_equal(parse_route(message, &route), -ENOENT);
	message = begin_route(RTN_UNICAST, "ff00::", 8);
	mnl_attr_put_u32(message, RTA_OIF, TWIN0);
	assert_int_equal(parse_route(message, &route), -ENOENT);
}

struct hop_row {
	int ifindex;
	uint8_t flags;
	const char *gateway;
};

static void put_multipath(struct nlmsghdr *message, const struct hop_row *rows, unsigned n)
{
	struct nlattr *nest = mnl_attr_nest_start(message, RTA_MULTIPATH);

	for (unsigned i = 0; i < n; i++) {
		struct rtnexthop *hop = mnl_nlmsg_get_payload_tail(message);
		uint32_t before = message->nlmsg_len;

		message->nlmsg_len += sizeof(*hop);
		if (rows[i].gateway)
			put_addr(message, RTA_GATEWAY, rows[i].gateway);
		*hop = (struct rtnexthop){.rtnh_len = (uint16_t)(message->nlmsg_len - before),
			.rtnh_flags = rows[i].flags,
			.rtnh_ifindex = rows[i].ifindex};
	}
	mnl_attr_nest_end(message, nest);
}

static void the_first_usable_of_several_next_hops_counts(void **unused)
{
	static const struct hop_row rows[] = {{OTHER, 0, "172.16.0.1"},
		{TWIN0, RTNH_F_LINKDOWN, "10.0.0.1"}, {TWIN1, RTNH_F_DEAD, "10.0.0.2"},
		{TWIN1, 0, "10.0.0.3"}, {TWIN0, 0, "10.0.0.4"}};
	struct nlmsghdr *message = begin_route(RTN_UNICAST, "10.5.0.0", 16);
	struct sg_mirror_route route;

	(void)unused;
	put_multipath(message, rows, 5);
	assert_int_equal(parse_route(message, &route), 0);
	assert_int_equal(route.kind, SG_ROUTE_HOP);
	assert_int_equal(route.port, 1);
	assert_addr(&route.gateway, "10.0.0.3");

	message = begin_route(RTN_UNICAST, "10.5.0.0", 16);
	put_multipath(message, rows, 3);
	assert_int_equal(parse_route(message, &route), 0);
	assert_int_equal(route.kind, SG_ROUTE_NONE);
}

static void next_hops_that_overlap_are_refused(void **unused)
{
	static const uint16_t lengths[] = {0, 4, 7, 200, UINT16_MAX};
	struct sg_mirror_route route;

	(void)unused;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		static const struct hop_row row = {TWIN0, 0, NULL};
		struct nlmsghdr *message = begin_route(RTN_UNICAST, "10.5.0.0", 16);
		struct nlattr *attr;

		put_multipath(message, &row, 1);
		mnl_attr_for_each(attr, message, sizeof(struct rtmsg))
		{
			if (mnl_attr_get_type(attr) == RTA_MULTIPATH)
				((struct rtnexthop *)mnl_attr_get_payload(attr))->rtnh_len =
					lengths[i];
		}
		assert_int_equal(parse_route(message, &route), -EINVAL);
	}
}

static void addresses_are_told_by_interface_and_rank(void **unused)
{
	struct ifaddrmsg head = {.ifa_family = AF_INET, .ifa_prefixlen = 24, .ifa_index = TWIN0};
	struct nlmsghdr *message = begin(RTM_NEWADDR, &head, sizeof(head));
	struct sg_mirror_address address;

	(void)unused;
	put_addr(message, IFA_ADDRESS, "10.0.0.1"); // the peer, as a point-to-point link has it
	put_addr(message, IFA_LOCAL, "10.0.0.2");
	assert_int_equal(sg_mirror_parse_address(message, ports, 2, &address), 0);
	assert_addr(&address.addr, "10.0.0.2");
	assert_int_equal(address.port, 0);
	assert_int_equal(address.length, 24);
	assert_false(address.secondary);
	mnl_attr_put_u32(message, IFA_FLAGS, 0x01);
	((struct ifaddrmsg *)mnl_nlmsg_get_payload(message))->ifa_index = OTHER;
	assert_int_equal(sg_mirror_parse_address(message, ports, 2, &address), 0);
	assert_int_equal(address.port, SG_MIRROR_ELSEWHERE);
	assert_true(address.secondary);
}

static void ipv6_addresses_are_told_by_their_state(void **unused)
{
	static const struct {
		const char *addr;
		uint32_t flags;
		int result;
		bool secondary;
	} rows[] = {
		{"2001:db8::1", IFA_F_PERMANENT, 0, false},
		{"2001:db8::1", 0, 0, false},
		{"2001:db8::1", IFA_F_TEMPORARY, 0, true},
		{"2001:db8::1", IFA_F_TENTATIVE, 0, true},
		{"2001:db8::1", IFA_F_DEPRECATED, 0, true},
		{"2001:db8::1", IFA_F_DADFAILED | IFA_F_TENTATIVE, -ENOENT, false},
		{"fe80::1", IFA_F_PERMANENT, -ENOENT, false},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ifaddrmsg head = {
			.ifa_family = AF_INET6, .ifa_prefixlen = 64, .ifa_index = TWIN1};
		struct nlmsghdr *message = begin(RTM_NEWADDR, &head, sizeof(head));
		struct sg_mirror_address address;

		put_addr(message, IFA_ADDRESS, rows[i].addr);
		mnl_attr_put_u32(message, IFA_FLAGS, rows[i].flags);
		assert_int_equal(
			sg_mirror_parse_address(message, ports, 2, &address), rows[i].result);
		if (rows[i].result < 0)
			continue;
		assert_addr(&address.addr, rows[i].addr);
		assert_int_equal(address.port, 1);
		assert_int_equal(address.secondary, rows[i].secondary);
	}
}

static struct nlmsghdr *begin_neighbour(
	uint16_t type, uint16_t state, int ifindex, const uint8_t *mac)
{
	struct ndmsg head = {.ndm_family = AF_INET, .ndm_ifindex = ifindex, .ndm_state = state};
	struct nlmsghdr *message = begin(type, &head, sizeof(head));

	put_addr(message, NDA_DST, "10.0.0.5");
	if (mac)
		mnl_attr_put(message, NDA_LLADDR, 6, mac);
	return message;
}

static void neighbours_are_as_good_as_their_state(void **unused)
{
	static const uint8_t mac[6] = {2, 1, 1, 1, 1, 1},
			     group[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	static const struct {
		uint16_t type, state;
		const uint8_t *mac;
		enum sg_mirror_reachability expected;
	} rows[] = {
		{RTM_NEWNEIGH, NUD_REACHABLE, mac, SG_MIRROR_USABLE},
		{RTM_NEWNEIGH, NUD_DELAY, mac, SG_MIRROR_USABLE},
		{RTM_NEWNEIGH, NUD_PROBE, mac, SG_MIRROR_USABLE},
		{RTM_NEWNEIGH, NUD_STALE, mac, SG_MIRROR_STALE},
		{RTM_NEWNEIGH, NUD_PERMANENT, mac, SG_MIRROR_FIXED},
		{RTM_NEWNEIGH, NUD_NOARP, mac, SG_MIRROR_FIXED},
		{RTM_NEWNEIGH, NUD_NOARP, group, SG_MIRROR_FAILED},
		{RTM_NEWNEIGH, NUD_REACHABLE, NULL, SG_MIRROR_FAILED},
		{RTM_NEWNEIGH, NUD_INCOMPLETE, NULL, SG_MIRROR_ASKING},
		{RTM_NEWNEIGH, NUD_FAILED, NULL, SG_MIRROR_FAILED},
		{RTM_NEWNEIGH, NUD_NONE, NULL, SG_MIRROR_UNKNOWN},
		{RTM_DELNEIGH, NUD_REACHABLE, mac, SG_MIRROR_UNKNOWN},
	};
	struct sg_mirror_neighbour neighbour;

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct nlmsghdr *message =
			begin_neighbour(rows[i].type, rows[i].state, TWIN1, rows[i].mac);

		assert_int_equal(sg_mirror_parse_neighbour(message, ports, 2, &neighbour), 0);
		assert_int_equal(neighbour.reachability, rows[i].expected);
		assert_int_equal(neighbour.port, 1);
		assert_false(neighbour.managed);
	}
}

static void neighbours_tell_who_manages_them(void **unused)
{
	struct nlmsghdr *message = begin_neighbour(RTM_NEWNEIGH, NUD_INCOMPLETE, TWIN0, NULL);
	struct sg_mirror_neighbour neighbour;

	(void)unused;
	mnl_attr_put_u32(message, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
	assert_int_equal(sg_mirror_parse_neighbour(message, ports, 2, &neighbour), 0);
	assert_true(neighbour.managed);
	message = begin_neighbour(RTM_NEWNEIGH, NUD_REACHABLE, OTHER, NULL);
	assert_int_equal(sg_mirror_parse_neighbour(message, ports, 2, &neighbour), -ENOENT);
}

static void nobody_is_behind_a_multicast_address(void **unused)
{
	static const uint8_t router[6] = {2, 1, 1, 1, 1, 1}, group[6] = {0x33, 0x33, [5] = 1};
	struct ndmsg head = {.ndm_family = AF_INET6, .ndm_ifindex = TWIN0, .ndm_state = NUD_NOARP};
	struct nlmsghdr *message = begin(RTM_NEWNEIGH, &head, sizeof(head));
	struct sg_mirror_neighbour neighbour;

	(void)unused;
	put_addr(message, NDA_DST, "ff02::1");
	mnl_attr_put(message, NDA_LLADDR, sizeof(group), group);
	assert_int_equal(sg_mirror_parse_neighbour(message, ports, 2, &neighbour), -ENOENT);

	head.ndm_state = NUD_REACHABLE;
	head.ndm_flags = NTF_ROUTER;
	message = begin(RTM_NEWNEIGH, &head, sizeof(head));
	put_addr(message, NDA_DST, "fe80::1");
	mnl_attr_put(message, NDA_LLADDR, sizeof(router), router);
	assert_int_equal(sg_mirror_parse_neighbour(message, ports, 2, &neighbour), 0);
	assert_addr(&neighbour.addr, "fe80::1");
	assert_int_equal(neighbour.reachability, SG_MIRROR_USABLE);
}

// Whatever the bytes are, a parser answers and reads nothing behind them (the sanitizers watch: a
// copy of exactly the message's length is what it gets).
static void bent_messages_do_no_harm(void **unused)
{
	uint64_t random = 1;

	(void)unused;
	for (unsigned turn = 0; turn < 200000; turn++) {
		static const struct hop_row rows[] = {{TWIN0, 0, "10.0.0.1"}, {TWIN1, 0, NULL}};
		struct nlmsghdr *message = turn % 2 ? begin_route(RTN_UNICAST, "10.5.0.0", 16)
						    : begin_route(RTN_UNICAST, "2001:db8::", 32);
		struct sg_mirror_neighbour neighbour;
		struct sg_mirror_address address;
		struct sg_mirror_route route;
		uint32_t length;
		char *copy;

		mnl_attr_put_u32(message, RTA_OIF, TWIN0);
		put_multipath(message, rows, 2);
		length = sizeof(*message) + sg_reduce((uint32_t)sg_random_next(&random),
						    message->nlmsg_len - sizeof(*message) + 1);
		message->nlmsg_len = length;
		for (unsigned i = 0; i < 4 && length > sizeof(*message); i++)
			space[sizeof(*message) + sg_reduce((uint32_t)sg_random_next(&random),
							 length - sizeof(*message))] =
				(char)sg_random_next(&random);
		// libmnl takes it for granted that a message is padded to whole words, as sockets
		// give them.
		copy = malloc(MNL_ALIGN(length));
		memcpy(copy, space, MNL_ALIGN(length));
		message = (struct nlmsghdr *)copy;
		if (sg_mirror_parse_route(message, ports, 2, &route) == 0)
			assert_true(route.prefix.length <= 128);
		if (sg_mirror_parse_address(message, ports, 2, &address) == 0)
			assert_true(address.addr.family == SG_FAMILY_IPV4 ||
				    address.addr.family == SG_FAMILY_IPV6);
		if (sg_mirror_parse_neighbour(message, ports, 2, &neighbour) == 0)
			assert_true(neighbour.port < 2);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connected_route_is_on_link),
		cmocka_unit_test(a_default_route_has_a_gateway),
		cmocka_unit_test(an_ipv4_route_may_have_an_ipv6_gateway),
		cmocka_unit_test(routes_to_nowhere_lead_nowhere),
		cmocka_unit_test(a_route_through_another_interface_is_none_of_ours),
		cmocka_unit_test(other_tables_are_not_followed),
		cmocka_unit_test(an_ipv6_route_may_have_a_link_local_gateway),
		cmocka_unit_test(what_every_link_has_is_no_route),
		cmocka_unit_test(the_first_usable_of_several_next_hops_counts),
		cmocka_unit_test(next_hops_that_overlap_are_refused),
		cmocka_unit_test(addresses_are_told_by_interface_and_rank),
		cmocka_unit_test(ipv6_addresses_are_told_by_their_state),
		cmocka_unit_test(neighbours_are_as_good_as_their_state),
		cmocka_unit_test(neighbours_tell_who_manages_them),
		cmocka_unit_test(nobody_is_behind_a_multicast_address),
		cmocka_unit_test(bent_messages_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
