// Every way to lose a packet, by name. This list is the only place where one is declared: the enum,
// the names in JSON and tables, and what they mean to an operator all derive from it. Each has a
// row in test/packet.
//
// The meaning says what happened and, where there is something to do, what to do about it.
#pragma once

#include <stdint.h>

// clang-format off
#define SG_DROP_LIST(X)                                                                            \
	/* parse: what the bytes are */                                                            \
	X(TRUNCATED, "truncated", "shorter than its own headers say")                              \
	X(BAD_IP_HEADER, "bad_ip_header", "IP version, header length or total length make no sense") \
	X(BAD_IP_CHECKSUM, "bad_ip_checksum", "the IPv4 header checksum is wrong")                 \
	X(BAD_L4_HEADER, "bad_l4_header", "TCP data offset or UDP length make no sense")           \
	X(BAD_L4_CHECKSUM, "bad_l4_checksum",                                                      \
		"the TCP, UDP or ICMP checksum is wrong; on a veth or a VM's port, switch the sender's " \
		"checksum offload off: ethtool -K IF tx off")                                      \
	X(BAD_ARP, "bad_arp", "not an ARP packet for IPv4 over Ethernet")                          \
	X(BAD_NDP, "bad_ndp", "a neighbour solicitation for one of our addresses that nobody on the link may send so") \
	X(BAD_ADDRESS, "bad_address",                                                              \
		"source or destination can be no host's: land attack, broadcast, multicast, zero, or our own as source") \
	X(OTHER_MAC, "other_mac", "unicast to another station's MAC (the link floods, or the port is promiscuous)") \
	X(UNKNOWN_ETHERTYPE, "unknown_ethertype", "neither IPv4, IPv6 nor ARP")                    \
	X(VLAN_TAG, "vlan_tag", "tagged with a VLAN that no port in the config file has: give it a port with `parent` and `vlan`, or keep it off the link")          \
	X(VLAN_STACKED, "vlan_stacked", "more than one VLAN tag, or a provider's (802.1ad): have the switch hand over one plain tag")       \
	X(FRAGMENT_BAD, "fragment_bad",                                                            \
		"a fragment that can be part of no datagram: empty, ending beyond 65,535 bytes, or not at a multiple of 8") \
	X(FRAGMENT_TINY, "fragment_tiny",                                                          \
		"a fragment that splits the headers: TCP's (RFC 1858), of IPv6 any (RFC 7112)")    \
	/* fragments: wait for the rest of the datagram */                                         \
	X(FRAGMENT_OVERLAP, "fragment_overlap",                                                    \
		"fragments of one datagram that overlap or contradict each other, and all that came of it") \
	X(FRAGMENT_DUPLICATE, "fragment_duplicate", "a fragment that was there already")           \
	X(FRAGMENT_TIMEOUT, "fragment_timeout", "the rest of its datagram did not come within two seconds: it is lost on the way to us") \
	X(FRAGMENT_LIMIT, "fragment_limit",                                                        \
		"a fragment that made room for others: too many datagrams, of one source or in all, were incomplete, or one came in more than 128 fragments") \
	X(EXTENSION_HEADERS, "extension_headers",                                                  \
		"IPv6 extension headers: too many, too long, out of order, or a route that goes on") \
	/* steer: whose it is */                                                                   \
	X(NOT_LOCAL, "not_local", "for no address of this node: neither VIP, SNAT address nor the kernel's") \
	X(MULTICAST, "multicast", "multicast or broadcast that no routing protocol on this node uses") \
	X(HANDOFF_FULL, "handoff_full", "the home worker's ring is full: that worker cannot keep up; add workers, or give it a CPU of its own") \
	/* admit: may it start a flow */                                                           \
	X(UNSERVED_PORT, "unserved_port", "to a VIP, but no service is declared for this protocol and port: add one (stormctl service add), or correct the sender") \
	X(UNSERVED_PROTOCOL, "unserved_protocol", "to a VIP or SNAT address with a protocol that is not served: only TCP, UDP and echo are") \
	X(NOT_ALLOWED, "not_allowed", "the source is in none of the allow prefixes, of the service (service show) or of all (policy show)")               \
	X(DENIED, "denied", "the source is in one of the deny prefixes, of the service (service show) or of all (policy show)")                           \
	X(NO_FLOW, "no_flow",                                                                      \
		"TCP that starts no connection and belongs to none (idle longer than its timeout?)") \
	X(REPLY_NO_FLOW, "reply_no_flow", "to a SNAT address, but it answers no flow that is known") \
	X(CLIENT_RATE, "client_rate", "the client's prefix begins more connections a second than max_new_per_second_per_client") \
	X(SERVICE_RATE, "service_rate", "more connections to the service begin in a second than max_new_per_second") \
	/* schedule: make a flow */                                                                \
	X(BACKEND_OUTSIDE, "backend_outside", "the backend lies outside backend_cidrs, and nothing is sent there: delete it, or widen backend_cidrs and send SIGHUP") \
	X(NO_BACKEND, "no_backend", "the service has no usable backend, and the answers' rate limit is used up: add one, or end a drain (stormctl service show)")                           \
	X(SERVICE_LIMIT, "service_limit", "the service has max_connections connections: raise it, or wait for some to end") \
	X(BACKEND_LIMIT, "backend_limit", "each backend of the service has as many connections as its own max_connections or the service's max_connections_per_backend: add backends, or raise it") \
	X(CLIENT_LIMIT, "client_limit", "the client has max_connections_per_client connections: raise it, if the client is honest") \
	X(FLOW_TABLE_FULL, "flow_table_full", "no room for a flow: raise dataplane.flows_per_worker") \
	X(SNAT_PORTS, "snat_ports", "every SNAT port towards this backend is in use: add SNAT addresses") \
	X(KEY_COLLISION, "key_collision",                                                          \
		"IPv6 with a known flow's ports and fingerprint, yet other addresses: by chance, once in ages") \
	X(LINK_LOCAL, "link_local", "an IPv6 client with a link-local address (fe80::/10), whom answers reach only in mode snat, or in dsr from his own link: give him a global one") \
	X(NO_ROUTE, "no_route", "the kernel has no route through a twin to the backend or back to the client (ip route get), or, in mode dsr, none to the backend without a router in between")                      \
	/* rewrite */                                                                              \
	X(TTL_EXCEEDED, "ttl_exceeded", "TTL 1, and the answers' rate limit is used up")           \
	X(BACKEND_GONE, "backend_gone", "the flow's backend was removed and its drain time is over") \
	X(ICMP_UNMATCHED, "icmp_unmatched", "an ICMP message that answers no known flow, or means nothing to its end")          \
	X(ANSWER_LIMIT, "answer_limit", "deserved a RST or an ICMP error, but their rate limit is used up") \
	/* tx */                                                                                   \
	X(NEXTHOP_UNRESOLVED, "nexthop_unresolved", "the next hop's MAC address did not become known in time: does it answer ARP or NDP (ip neigh)?") \
	X(TOO_BIG, "too_big", "longer than the outgoing port's MTU: raise the port's mtu, or lower the sender's")                               \
	X(TX_FULL, "tx_full", "the port's transmit queue stayed full: the link or the device is slower than what comes")                             \
	X(PORT_DOWN, "port_down", "the outgoing port is down or gone: see its link (ip link, the switch)")                             \
	X(NO_BUFFER, "no_buffer", "no packet buffer was free: something holds them; report it with `stormctl stats`")                                     \
	/* punt: hand to the kernel */                                                             \
	X(PUNT_BUDGET, "punt_budget", "more for the kernel than its budget allows: somebody floods an address of the node itself")                \
	X(PUNT_FULL, "punt_full", "the ring or the TAP towards the kernel is full")                \
	X(TWIN_FULL, "twin_full", "the kernel sends faster than the workers take it")
// clang-format on

enum sg_drop {
	SG_DROP_NONE = 0,
#define SG_DROP_ENUM(symbol, name, meaning) SG_DROP_##symbol,
	SG_DROP_LIST(SG_DROP_ENUM)
#undef SG_DROP_ENUM
	SG_DROP_COUNT, // one more than the last reason
};

// What the stages can lose of a packet that is known to be a service's: what is counted for each
// service and each backend. Drops behind the stages (a full transmit queue, a port that is down)
// are the port's.
// clang-format off
#define SG_SERVICE_DROP_LIST(X)                                                                    \
	X(BAD_ADDRESS) X(NOT_ALLOWED) X(DENIED) X(NO_FLOW) X(REPLY_NO_FLOW) X(CLIENT_RATE) X(SERVICE_RATE)        \
	X(SERVICE_LIMIT) X(BACKEND_LIMIT) X(CLIENT_LIMIT) X(NO_BACKEND) X(BACKEND_OUTSIDE)         \
	X(FLOW_TABLE_FULL) X(SNAT_PORTS) X(LINK_LOCAL) X(NO_ROUTE) X(TTL_EXCEEDED)               \
	X(BACKEND_GONE) X(ANSWER_LIMIT) X(NEXTHOP_UNRESOLVED) X(TOO_BIG) X(NO_BUFFER)
// clang-format on

enum sg_service_drop {
	SG_SERVICE_DROP_NONE = 0, // no service's
#define SG_SERVICE_DROP_ENUM(symbol) SG_SERVICE_DROP_##symbol,
	SG_SERVICE_DROP_LIST(SG_SERVICE_DROP_ENUM)
#undef SG_SERVICE_DROP_ENUM
	SG_SERVICE_DROP_COUNT,
};

// From one to the other.
extern const uint8_t sg_service_drop_numbers[SG_DROP_COUNT];         // enum sg_service_drop
extern const uint8_t sg_service_drop_reasons[SG_SERVICE_DROP_COUNT]; // enum sg_drop

// `drop` is from 1 to SG_DROP_COUNT - 1.
const char *sg_drop_name(enum sg_drop drop);
const char *sg_drop_meaning(enum sg_drop drop);
