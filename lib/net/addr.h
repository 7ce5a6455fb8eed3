// IP addresses and prefixes of either family, as text and as bytes.
//
// For configuration and control: the packet path works on the raw 32 or 128 bits of its own family.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sg_family {
	SG_FAMILY_NONE = 0,
	SG_FAMILY_IPV4 = 4,
	SG_FAMILY_IPV6 = 6,
};

// Unused bytes are zero, so that two equal addresses are equal bytes (memcmp, hashing).
struct sg_addr {
	uint8_t bytes[16]; // network order; IPv4 in the first four
	uint8_t family;    // enum sg_family
	uint8_t zero[3];
};

struct sg_prefix {
	struct sg_addr addr; // bits behind the prefix are zero
	uint8_t length;      // bits
};

#define SG_ADDR_TEXT_BYTES   46 // longest IPv6 text with its NUL
#define SG_PREFIX_TEXT_BYTES 50

// Text to address, of either family. Returns 0 or -EINVAL.
int sg_addr_parse(const char *text, struct sg_addr *ret_addr);
// "10.0.0.0/8", "fd00::/8", or an address alone (a prefix of its full length). Host bits that are
// set are refused
// (-EINVAL) unless `keep_host` is given, which then receives the address as written. May be NULL.
int sg_prefix_parse(const char *text, struct sg_prefix *ret_prefix, struct sg_addr *keep_host);

// "10.0.0.2:80" or "[fd00::2]:80". Returns 0 or -EINVAL; the port is in host order, 1 to 65535.
int sg_addr_port_parse(const char *text, struct sg_addr *ret_addr, uint16_t *ret_port);

// Address to text. `text` has SG_ADDR_TEXT_BYTES; returns `text`.
const char *sg_addr_format(const struct sg_addr *addr, char *text);
const char *sg_prefix_format(const struct sg_prefix *prefix, char *text);

bool sg_addr_equal(const struct sg_addr *a, const struct sg_addr *b);
int sg_addr_compare(const struct sg_addr *a, const struct sg_addr *b); // as memcmp: family first
bool sg_prefix_contains(const struct sg_prefix *prefix, const struct sg_addr *addr);

// What speaks against the address of a VIP, a backend or a port, as words to put behind it ("is a
// multicast address"); NULL: nothing. Refused are 0.0.0.0/8, loopback, multicast, broadcast, ::,
// link-local IPv6 (it means nothing without an interface) and IPv4 written as IPv6.
const char *sg_addr_fault(const struct sg_addr *addr);
bool sg_addr_is_link_local6(const struct sg_addr *addr);       // fe80::/10
bool sg_prefix_is_mapped_ipv4(const struct sg_prefix *prefix); // inside ::ffff:0:0/96

unsigned sg_family_bits(uint8_t family); // 32 or 128

struct sg_addr sg_addr_from_ipv4(uint32_t addr_be);
struct sg_addr sg_addr_from_ipv6(const uint8_t bytes[16]);
uint32_t sg_addr_ipv4_be(const struct sg_addr *addr);
