// IP addresses as text and bytes, see addr.h.
#include "net/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sg_addr_parse(const char *text, struct sg_addr *ret_addr)
{
	struct sg_addr addr = {0};

	if (inet_pton(AF_INET, text, addr.bytes) == 1)
		addr.family = SG_FAMILY_IPV4;
	else if (inet_pton(AF_INET6, text, addr.bytes) == 1)
		addr.family = SG_FAMILY_IPV6;
	else
		return -EINVAL;
	*ret_addr = addr;
	return 0;
}

unsigned sg_family_bits(uint8_t family)
{
	return family == SG_FAMILY_IPV6 ? 128 : 32;
}

// Decimal digits only, no sign, no leading blank: strtoul alone takes all of them.
static int parse_number(const char *text, unsigned long max, unsigned long *ret_number)
{
	char *end;
	unsigned long number;

	if (text[0] < '0' || text[0] > '9' || strlen(text) > 5)
		return -EINVAL;
	number = strtoul(text, &end, 10);
	if (*end != '\0' || number > max)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

static void clear_host_bits(struct sg_addr *addr, unsigned length)
{
	for (unsigned bit = length; bit < sg_family_bits(addr->family); bit++)
		addr->bytes[bit / 8] &= (uint8_t) ~(0x80u >> (bit % 8));
}

int sg_prefix_parse(const char *text, struct sg_prefix *ret_prefix, struct sg_addr *keep_host)
{
	char head[SG_PREFIX_TEXT_BYTES];
	const char *slash = strchr(text, '/');
	size_t head_length = slash ? (size_t)(slash - text) : strlen(text);
	struct sg_addr addr;
	struct sg_prefix prefix;
	unsigned long length;

	if (head_length >= sizeof(head))
		return -EINVAL;
	memcpy(head, text, head_length);
	head[head_length] = '\0';
	if (sg_addr_parse(head, &addr) < 0)
		return -EINVAL;
	length = sg_family_bits(addr.family);
	if (slash && parse_number(slash + 1, length, &length) < 0)
		return -EINVAL;

	prefix = (struct sg_prefix){.addr = addr, .length = (uint8_t)length};
	clear_host_bits(&prefix.addr, prefix.length);
	if (!keep_host && !sg_addr_equal(&prefix.addr, &addr))
		return -EINVAL;
	if (keep_host)
		*keep_host = addr;
	*ret_prefix = prefix;
	return 0;
}

int sg_addr_port_parse(const char *text, struct sg_addr *ret_addr, uint16_t *ret_port)
{
	bool bracketed = text[0] == '[';
	const char *colon = strrchr(text, ':');
	const char *start = bracketed ? text + 1 : text;
	const char *end = bracketed && colon ? colon - 1 : colon;
	char head[SG_ADDR_TEXT_BYTES];
	struct sg_addr addr;
	unsigned long port;

	if (!colon || end < start || (size_t)(end - start) >= sizeof(head))
		return -EINVAL;
	if (bracketed && *end != ']')
		return -EINVAL;
	memcpy(head, start, (size_t)(end - start));
	head[end - start] = '\0';
	if (sg_addr_parse(head, &addr) < 0 || bracketed != (addr.family == SG_FAMILY_IPV6))
		return -EINVAL;
	if (parse_number(colon + 1, 65535, &port) < 0 || port == 0)
		return -EINVAL;
	*ret_addr = addr;
	*ret_port = (uint16_t)port;
	return 0;
}

const char *sg_addr_format(const struct sg_addr *addr, char *text)
{
	int family = addr->family == SG_FAMILY_IPV6 ? AF_INET6 : AF_INET;

	inet_ntop(family, addr->bytes, text, SG_ADDR_TEXT_BYTES);
	return text;
}

const char *sg_prefix_format(const struct sg_prefix *prefix, char *text)
{
	sg_addr_format(&prefix->addr, text);
	snprintf(text + strlen(text), 5, "/%u", prefix->length);
	return text;
}

int sg_addr_compare(const struct sg_addr *a, const struct sg_addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool sg_addr_equal(const struct sg_addr *a, const struct sg_addr *b)
{
	return sg_addr_compare(a, b) == 0;
}

bool sg_prefix_contains(const struct sg_prefix *prefix, const struct sg_addr *addr)
{
	struct sg_addr network = *addr;

	if (prefix->addr.family != addr->family)
		return false;
	clear_host_bits(&network, prefix->length);
	return sg_addr_equal(&network, &prefix->addr);
}

bool sg_addr_is_link_local6(const struct sg_addr *addr)
{
	return addr->family == SG_FAMILY_IPV6 && addr->bytes[0] == 0xfe &&
	       (addr->bytes[1] & 0xc0) == 0x80;
}

static bool is_mapped_ipv4(const struct sg_addr *addr)
{
	static const uint8_t head[12] = {[10] = 0xff, [11] = 0xff};

	return addr->family == SG_FAMILY_IPV6 && memcmp(addr->bytes, head, sizeof(head)) == 0;
}

bool sg_prefix_is_mapped_ipv4(const struct sg_prefix *prefix)
{
	return prefix->length >= 96 && is_mapped_ipv4(&prefix->addr);
}

const char *sg_addr_fault(const struct sg_addr *addr)
{
	static const uint8_t zeros[12]; // before ::, ::1 and what was once "IPv4-compatible"

	if (addr->family == SG_FAMILY_IPV4)
		return addr->bytes[0] != 0 && addr->bytes[0] != 127 && addr->bytes[0] < 224
			       ? NULL
			       : "can be no host's address";
	if (addr->bytes[0] == 0xff)
		return "is a multicast address";
	if (sg_addr_is_link_local6(addr))
		return "is a link-local address, which means nothing beyond one link";
	if (is_mapped_ipv4(addr))
		return "is an IPv4 address written as IPv6: write it as IPv4";
	return memcmp(addr->bytes, zeros, sizeof(zeros)) == 0 ? "can be no host's address" : NULL;
}

struct sg_addr sg_addr_from_ipv4(uint32_t addr_be)
{
	struct sg_addr addr = {.family = SG_FAMILY_IPV4};

	memcpy(addr.bytes, &addr_be, 4);
	return addr;
}

struct sg_addr sg_addr_from_ipv6(const uint8_t bytes[16])
{
	struct sg_addr addr = {.family = SG_FAMILY_IPV6};

	memcpy(addr.bytes, bytes, 16);
	return addr;
}

uint32_t sg_addr_ipv4_be(const struct sg_addr *addr)
{
	uint32_t addr_be;

	memcpy(&addr_be, addr->bytes, 4);
	return addr_be;
}
