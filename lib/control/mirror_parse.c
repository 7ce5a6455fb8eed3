// From rtnetlink messages to facts, see mirror_parse.h.
#include "control/mirror_parse.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/icmpv6.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

static uint8_t port_of_ifindex(const struct sg_mirror_port *ports, unsigned n_ports, int ifindex)
{
	for (unsigned i = 0; i < n_ports; i++) {
		if (ports[i].ifindex == ifindex)
			return (uint8_t)i;
	}
	return SG_MIRROR_ELSEWHERE;
}

static uint8_t family_of(uint8_t kernel_family)
{
	if (kernel_family == AF_INET)
		return SG_FAMILY_IPV4;
	return kernel_family == AF_INET6 ? SG_FAMILY_IPV6 : SG_FAMILY_NONE;
}

// The same on every link: no route leads there, and a packet's port says which is meant.
static bool is_of_a_link(const struct sg_addr *addr)
{
	return sg_addr_is_link_local6(addr) ||
	       (addr->family == SG_FAMILY_IPV6 && addr->bytes[0] == 0xff);
}

// An attribute's payload as an address of the family.
static int read_addr(const struct nlattr *attr, uint8_t family, struct sg_addr *ret_addr)
{
	size_t bytes = sg_family_bits(family) / 8;

	if (mnl_attr_get_payload_len(attr) != bytes)
		return -EINVAL;
	*ret_addr = (struct sg_addr){.family = family};
	memcpy(ret_addr->bytes, mnl_attr_get_payload(attr), bytes);
	return 0;
}

static int read_u32(const struct nlattr *attr, uint32_t *ret_value)
{
	if (mnl_attr_get_payload_len(attr) < sizeof(*ret_value))
		return -EINVAL;
	*ret_value = mnl_attr_get_u32(attr);
	return 0;
}

int sg_mirror_parse_address(const struct nlmsghdr *message, const struct sg_mirror_port *ports,
	unsigned n_ports, struct sg_mirror_address *ret_address)
{
	const struct ifaddrmsg *head = mnl_nlmsg_get_payload(message);
	struct sg_mirror_address address = {0};
	const struct nlattr *attr;
	uint32_t flags;
	uint8_t family;
	bool local = false;
	int err = 0;

	if (mnl_nlmsg_get_payload_len(message) < sizeof(*head))
		return -EINVAL;
	family = family_of(head->ifa_family);
	if (family == SG_FAMILY_NONE)
		return -ENOENT;
	flags = head->ifa_flags;
	mnl_attr_for_each(attr, message, sizeof(*head))
	{
		// On a point-to-point link IFA_ADDRESS is the other end, and IFA_LOCAL is us.
		if (mnl_attr_get_type(attr) == IFA_LOCAL) {
			err = read_addr(attr, family, &address.addr);
			local = true;
		} else if (mnl_attr_get_type(attr) == IFA_ADDRESS && !local) {
			err = read_addr(attr, family, &address.addr);
		} else if (mnl_attr_get_type(attr) == IFA_FLAGS) {
			err = read_u32(attr, &flags);
		}
		if (err)
			return err;
	}
	if (address.addr.family == SG_FAMILY_NONE)
		return -EINVAL;
	// Somebody else on the link has it: the kernel does not use it.
	if (is_of_a_link(&address.addr) || flags & IFA_F_DADFAILED)
		return -ENOENT;
	address.length = head->ifa_prefixlen;
	address.ifindex = (int)head->ifa_index;
	address.port = port_of_ifindex(ports, n_ports, address.ifindex);
	address.secondary = flags & (IFA_F_SECONDARY | IFA_F_DEPRECATED | IFA_F_TENTATIVE);
	*ret_address = address;
	return 0;
}

// What one next hop of a route says: the interface, and the gateway or none.
struct next_hop {
	int ifindex;
	unsigned flags; // RTNH_F_
	struct sg_addr gateway;
};

static int read_via(const struct nlattr *attr, struct sg_addr *ret_gateway)
{
	const struct rtvia *via = mnl_attr_get_payload(attr);
	size_t length = mnl_attr_get_payload_len(attr);
	uint8_t family;

	if (length < sizeof(*via))
		return -EINVAL;
	family = family_of((uint8_t)via->rtvia_family);
	if (family == SG_FAMILY_NONE || length - sizeof(*via) != sg_family_bits(family) / 8)
		return -EINVAL;
	*ret_gateway = (struct sg_addr){.family = family};
	memcpy(ret_gateway->bytes, via->rtvia_addr, length - sizeof(*via));
	return 0;
}

// The attributes that a single-hop route and an entry of a multipath route have in common.
static int read_hop_attr(const struct nlattr *attr, uint8_t family, struct next_hop *hop)
{
	if (mnl_attr_get_type(attr) == RTA_GATEWAY)
		return read_addr(attr, family, &hop->gateway);
	if (mnl_attr_get_type(attr) == RTA_VIA)
		return read_via(attr, &hop->gateway);
	return 0;
}

// Takes the hop for the route, unless one was taken before or this one cannot be used.
static void take_hop(struct sg_mirror_route *route, const struct next_hop *hop,
	const struct sg_mirror_port *ports, unsigned n_ports)
{
	uint8_t port = port_of_ifindex(ports, n_ports, hop->ifindex);

	if (route->kind != SG_ROUTE_NONE || port == SG_MIRROR_ELSEWHERE)
		return;
	if (hop->flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN))
		return;
	route->kind = hop->gateway.family == SG_FAMILY_NONE ? SG_ROUTE_ON_LINK : SG_ROUTE_HOP;
	route->port = port;
	route->gateway = hop->gateway;
}

static int read_multipath_hop(const struct rtnexthop *at, uint8_t family, struct next_hop *ret_hop)
{
	const struct nlattr *first = (const struct nlattr *)(at + 1);
	const struct nlattr *attr;

	*ret_hop = (struct next_hop){.ifindex = at->rtnh_ifindex, .flags = at->rtnh_flags};
	mnl_attr_for_each_payload(first, at->rtnh_len - sizeof(*at))
	{
		int err = read_hop_attr(attr, family, ret_hop);

		if (err)
			return err;
	}
	return 0;
}

static int read_multipath(const struct nlattr *attr, uint8_t family, struct sg_mirror_route *route,
	const struct sg_mirror_port *ports, unsigned n_ports)
{
	const char *at = mnl_attr_get_payload(attr);
	size_t left = mnl_attr_get_payload_len(attr);

	while (left > 0) {
		const struct rtnexthop *entry = (const struct rtnexthop *)at;
		struct next_hop hop;
		size_t step;
		int err;

		if (left < sizeof(*entry) || entry->rtnh_len < sizeof(*entry) ||
			entry->rtnh_len > left)
			return -EINVAL;
		err = read_multipath_hop(entry, family, &hop);
		if (err)
			return err;
		take_hop(route, &hop, ports, n_ports);
		step = RTNH_ALIGN((size_t)entry->rtnh_len);
		if (step >= left)
			break;
		left -= step;
		at += step;
	}
	return 0;
}

// The attributes of a route, as far as they matter here.
struct route_attrs {
	const struct nlattr *multipath;
	struct next_hop hop;
	uint32_t table;
};

// RFC 4191 2.1: two bits, of which 2 is to be taken for medium.
static uint8_t rank_of(const struct nlattr *preference)
{
	if (mnl_attr_get_payload_len(preference) != 1)
		return 1;
	switch (mnl_attr_get_u8(preference)) {
	case ICMPV6_ROUTER_PREF_HIGH:
		return 0;
	case ICMPV6_ROUTER_PREF_LOW:
		return 2;
	default:
		return 1;
	}
}

static int read_route_attrs(const struct nlmsghdr *message, uint8_t family,
	struct sg_mirror_route *route, struct route_attrs *attrs)
{
	const struct nlattr *attr;
	uint32_t ifindex;
	int err = 0;

	mnl_attr_for_each(attr, message, sizeof(struct rtmsg))
	{
		switch (mnl_attr_get_type(attr)) {
		case RTA_DST:
			err = read_addr(attr, family, &route->prefix.addr);
			break;
		case RTA_TABLE:
			err = read_u32(attr, &attrs->table);
			break;
		case RTA_PRIORITY:
			err = read_u32(attr, &route->metric);
			break;
		case RTA_OIF:
			err = read_u32(attr, &ifindex);
			if (!err)
				attrs->hop.ifindex = (int)ifindex;
			break;
		case RTA_PREF:
			route->rank = rank_of(attr);
			break;
		case RTA_MULTIPATH:
			attrs->multipath = attr;
			break;
		default:
			err = read_hop_attr(attr, family, &attrs->hop);
		}
		if (err)
			return err;
	}
	return 0;
}

int sg_mirror_parse_route(const struct nlmsghdr *message, const struct sg_mirror_port *ports,
	unsigned n_ports, struct sg_mirror_route *ret_route)
{
	const struct rtmsg *head = mnl_nlmsg_get_payload(message);
	struct sg_mirror_route route = {.kind = SG_ROUTE_NONE, .rank = 1};
	struct route_attrs attrs = {0};
	uint8_t family;
	int err;

	if (mnl_nlmsg_get_payload_len(message) < sizeof(*head))
		return -EINVAL;
	family = family_of(head->rtm_family);
	if (family == SG_FAMILY_NONE || head->rtm_flags & RTM_F_CLONED || head->rtm_tos)
		return -ENOENT;
	if (head->rtm_dst_len > sg_family_bits(family))
		return -EINVAL;
	route.prefix = (struct sg_prefix){.addr.family = family, .length = head->rtm_dst_len};
	attrs.table = head->rtm_table;
	attrs.hop.flags = head->rtm_flags;
	err = read_route_attrs(message, family, &route, &attrs);
	if (err)
		return err;
	if (attrs.table != RT_TABLE_MAIN || is_of_a_link(&route.prefix.addr))
		return -ENOENT;
	// Blackhole, unreachable, prohibit and throw stay SG_ROUTE_NONE: they hide shorter
	// prefixes.
	if (head->rtm_type == RTN_UNICAST && attrs.multipath)
		err = read_multipath(attrs.multipath, family, &route, ports, n_ports);
	else if (head->rtm_type == RTN_UNICAST)
		take_hop(&route, &attrs.hop, ports, n_ports);
	if (err)
		return err;
	*ret_route = route;
	return 0;
}

static enum sg_mirror_reachability reachability_of(uint16_t state)
{
	if (state & (NUD_PERMANENT | NUD_NOARP))
		return SG_MIRROR_FIXED;
	if (state & (NUD_REACHABLE | NUD_DELAY | NUD_PROBE))
		return SG_MIRROR_USABLE;
	if (state & NUD_STALE)
		return SG_MIRROR_STALE;
	if (state & NUD_FAILED)
		return SG_MIRROR_FAILED;
	return state & NUD_INCOMPLETE ? SG_MIRROR_ASKING : SG_MIRROR_UNKNOWN;
}

static int read_neighbour_attrs(const struct nlmsghdr *message, uint8_t family,
	struct sg_mirror_neighbour *neighbour, bool *ret_mac)
{
	const struct nlattr *attr;
	uint32_t flags;

	mnl_attr_for_each(attr, message, sizeof(struct ndmsg))
	{
		int err = 0;

		if (mnl_attr_get_type(attr) == NDA_DST) {
			err = read_addr(attr, family, &neighbour->addr);
		} else if (mnl_attr_get_type(attr) == NDA_FLAGS_EXT) {
			err = read_u32(attr, &flags);
			neighbour->managed = !err && flags & NTF_EXT_MANAGED;
		} else if (mnl_attr_get_type(attr) == NDA_LLADDR) {
			*ret_mac = mnl_attr_get_payload_len(attr) == sizeof(neighbour->mac);
			if (*ret_mac)
				memcpy(neighbour->mac, mnl_attr_get_payload(attr),
					sizeof(neighbour->mac));
		}
		if (err)
			return err;
	}
	return 0;
}

int sg_mirror_parse_neighbour(const struct nlmsghdr *message, const struct sg_mirror_port *ports,
	unsigned n_ports, struct sg_mirror_neighbour *ret_neighbour)
{
	const struct ndmsg *head = mnl_nlmsg_get_payload(message);
	struct sg_mirror_neighbour neighbour = {0};
	uint8_t family;
	bool has_mac = false;
	int err;

	if (mnl_nlmsg_get_payload_len(message) < sizeof(*head))
		return -EINVAL;
	family = family_of(head->ndm_family);
	neighbour.port = port_of_ifindex(ports, n_ports, head->ndm_ifindex);
	// A proxy entry is an address that we answer for, not one that answers us.
	if (family == SG_FAMILY_NONE || neighbour.port == SG_MIRROR_ELSEWHERE ||
		head->ndm_flags & NTF_PROXY)
		return -ENOENT;
	err = read_neighbour_attrs(message, family, &neighbour, &has_mac);
	if (err)
		return err;
	if (neighbour.addr.family == SG_FAMILY_NONE)
		return -EINVAL;
	// Nobody is behind a multicast address. Link-local ones stay: gateways have them.
	if (neighbour.addr.family == SG_FAMILY_IPV6 && neighbour.addr.bytes[0] == 0xff)
		return -ENOENT;
	neighbour.reachability = message->nlmsg_type == RTM_DELNEIGH
					 ? SG_MIRROR_UNKNOWN
					 : reachability_of(head->ndm_state);
	// Broadcast and multicast addresses are "neighbours" with a group MAC: nothing that we send
	// may go to many.
	if (neighbour.reachability >= SG_MIRROR_STALE && (!has_mac || neighbour.mac[0] & 1))
		neighbour.reachability = SG_MIRROR_FAILED;
	*ret_neighbour = neighbour;
	return 0;
}
