// The set of endpoints against an array that is searched.
#include "service/endpoints.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"

enum {
	MAX = 600
};

// Few addresses, ports and protocols, so that endpoints differ in one of them only.
static struct sg_endpoint numbered(unsigned number)
{
	struct sg_endpoint endpoint = {.addr.family = number % 2 ? SG_FAMILY_IPV4 : SG_FAMILY_IPV6,
		.port = (uint16_t)(number / 2 % 10),
		.protocol = (uint8_t)(number / 20 % 3)};

	endpoint.addr.bytes[0] = 10;
	endpoint.addr.bytes[number % 2 ? 3 : 15] = (uint8_t)(number / 60);
	return endpoint;
}

static void agrees_with_twin(void **unused)
{
	const void *twin[MAX] = {0};
	struct sg_endpoints endpoints = {0};
	uint64_t random = 4;
	unsigned n = 0;
	int owners[5];

	(void)unused;
	for (int step = 0; step < 20000; step++) {
		unsigned number = (unsigned)(sg_random_next(&random) % MAX);
		struct sg_endpoint endpoint = numbered(number);
		const void *owner = &owners[sg_random_next(&random) % 5];

		assert_ptr_equal(sg_endpoints_find(&endpoints, &endpoint), twin[number]);
		if (sg_random_next(&random) % 20)
			continue;
		assert_int_equal(sg_endpoints_add(&endpoints, &endpoint, owner), 0);
		n += twin[number] == NULL;
		twin[number] = twin[number] ? twin[number] : owner;
		assert_int_equal(endpoints.n, n);
	}
	sg_endpoints_fini(&endpoints);
	assert_null(sg_endpoints_find(&endpoints, &(struct sg_endpoint){0}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_twin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
