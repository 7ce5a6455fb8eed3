// The walk over extension headers: a table of chains, and random bytes against the bounds.
#include "net/ipv6.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

struct extension {
	uint8_t proto;
	uint8_t units; // of 8 bytes behind the first
	uint8_t third; // a routing header's segments left
};

struct row {
	const char *story;
	struct extension extensions[8];
	unsigned n;
	uint8_t last;
	int cut; // bytes missing at the end
	enum sg_ipv6_way way;
	uint8_t proto;
	uint16_t offset;
};

// clang-format off
static const struct row rows[] = {
	{"TCP at once", {{0}}, 0, SG_PROTO_TCP, 0, SG_IPV6_ARRIVED, SG_PROTO_TCP, 40},
	{"nothing", {{0}}, 0, SG_PROTO_NONE, 0, SG_IPV6_ARRIVED, SG_PROTO_NONE, 40},
	{"hop-by-hop", {{0, 0, 0}}, 1, SG_PROTO_UDP, 0, SG_IPV6_ARRIVED, SG_PROTO_UDP, 48},
	{"each once", {{0, 0, 0}, {60, 1, 0}, {43, 2, 0}, {60, 0, 0}}, 4, SG_PROTO_TCP, 0, SG_IPV6_ARRIVED, SG_PROTO_TCP, 40 + 8 + 16 + 24 + 8},
	{"one too many", {{0, 0, 0}, {60, 0, 0}, {43, 0, 0}, {60, 0, 0}, {60, 0, 0}}, 5, SG_PROTO_TCP, 0, SG_IPV6_REFUSED, 60, 40 + 32},
	{"128 bytes", {{60, 15, 0}}, 1, SG_PROTO_TCP, 0, SG_IPV6_ARRIVED, SG_PROTO_TCP, 40 + 128},
	{"136 bytes", {{60, 16, 0}}, 1, SG_PROTO_TCP, 0, SG_IPV6_REFUSED, 60, 40},
	{"136 bytes in two", {{60, 7, 0}, {60, 8, 0}}, 2, SG_PROTO_TCP, 0, SG_IPV6_REFUSED, 60, 104},
	{"hop-by-hop second", {{60, 0, 0}, {0, 0, 0}}, 2, SG_PROTO_TCP, 0, SG_IPV6_REFUSED, 0, 48},
	{"on its way elsewhere", {{43, 2, 1}}, 1, SG_PROTO_TCP, 0, SG_IPV6_REFUSED, 43, 40},
	{"a fragment", {{44, 0, 0}}, 1, SG_PROTO_UDP, 0, SG_IPV6_FRAGMENT, 44, 40},
	{"a fragment with options", {{60, 0, 0}, {44, 0, 0}}, 2, SG_PROTO_UDP, 0, SG_IPV6_FRAGMENT, 44, 48},
	{"half a fragment header", {{44, 0, 0}}, 1, SG_PROTO_UDP, 1, SG_IPV6_TRUNCATED, 44, 40},
	{"half an option header", {{60, 0, 0}}, 1, SG_PROTO_UDP, 1, SG_IPV6_TRUNCATED, 60, 40},
	{"options behind the end", {{60, 3, 0}}, 1, SG_PROTO_UDP, 1, SG_IPV6_TRUNCATED, 60, 40},
	{"ESP", {{60, 0, 0}}, 1, SG_PROTO_ESP, 0, SG_IPV6_ARRIVED, SG_PROTO_ESP, 48},
};
// clang-format on

static unsigned write_chain(uint8_t *bytes, const struct row *row)
{
	struct sg_ipv6_hdr *ip = (void *)bytes;
	uint8_t *next = &ip->next;
	unsigned at = sizeof(*ip);

	for (unsigned i = 0; i < row->n; i++) {
		*next = row->extensions[i].proto;
		next = &bytes[at];
		bytes[at + 1] = row->extensions[i].units;
		bytes[at + 3] = row->extensions[i].third;
		at += (row->extensions[i].units + 1u) * 8;
	}
	*next = row->last;
	return at - (unsigned)row->cut;
}

static void each_chain_ends_where_it_should(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t bytes[1024] = {0};
		unsigned available = write_chain(bytes, &rows[i]);
		struct sg_ipv6_payload payload =
			sg_ipv6_find_payload((const void *)bytes, available);

		if (payload.way != rows[i].way || payload.proto != rows[i].proto ||
			payload.offset != rows[i].offset)
			fail_msg("%s: way %u, protocol %u at %u", rows[i].story, payload.way,
				payload.proto, payload.offset);
	}
}

// Memory that ends where the packet does: a sanitizer sees a byte too many.
static void random_chains_stay_inside(void **unused)
{
	static const uint8_t protos[] = {0, 43, 44, 60, 6, 17, 60, 60};
	uint64_t random = 5;

	(void)unused;
	for (int round = 0; round < 100000; round++) {
		unsigned available = 40 + sg_reduce((uint32_t)sg_random_next(&random), 200);
		uint8_t *bytes = malloc(available);
		struct sg_ipv6_payload payload;

		assert_non_null(bytes);
		for (unsigned i = 0; i < available; i++)
			bytes[i] = protos[sg_random_next(&random) >> 61] & (i % 3 ? 0xff : 0x3);
		bytes[6] = protos[sg_random_next(&random) >> 61];
		payload = sg_ipv6_find_payload((const void *)bytes, available);
		assert_true(payload.offset <= available);
		assert_in_range(payload.offset, 40, 40 + SG_IPV6_MAX_EXTENSION_BYTES);
		free(bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_chain_ends_where_it_should),
		cmocka_unit_test(random_chains_stay_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
