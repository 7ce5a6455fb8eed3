// The set of kept addresses against a naive one, under random changes of a state.
#include "control/kept_addresses.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

#define N_HOSTS    200
#define N_SERVICES 8

static struct sg_addr host(unsigned number)
{
	return (struct sg_addr){.family = SG_FAMILY_IPV4, .bytes = {10, 0, 0, (uint8_t)number}};
}

// A service with some hosts as backends, which are also marked as seen.
static struct sg_service_spec *random_service(unsigned number, uint64_t *random, bool seen[N_HOSTS])
{
	char name[8] = {'s', (char)('0' + number), '\0'};
	struct sg_service_spec *spec = sg_service_spec_create(name, "o");
	unsigned n = sg_reduce((uint32_t)sg_random_next(random), 6);

	for (unsigned i = 0; i < n; i++) {
		unsigned at = sg_reduce((uint32_t)sg_random_next(random), N_HOSTS);
		struct sg_backend_spec backend = {.address = host(at), .port = 80, .weight = 1};

		assert_int_equal(sg_service_spec_put_backend(spec, &backend), 0);
		seen[at] = true;
	}
	return spec;
}

static void expect_exactly(const struct sg_kept_addresses *kept, const bool seen[N_HOSTS])
{
	unsigned n = 0;

	for (unsigned i = 0; i < N_HOSTS; i++) {
		struct sg_addr addr = host(i);

		if (!seen[i])
			continue;
		assert_true(n < kept->n);
		assert_true(sg_addr_equal(&kept->addresses[n], &addr));
		n++;
	}
	assert_int_equal(n, kept->n);
}

static void it_grows_by_what_changes_bring(void **unused)
{
	struct sg_kept_addresses kept = {0};
	struct sg_state before, after;
	bool seen[N_HOSTS] = {false};
	uint64_t random = 7;

	(void)unused;
	sg_state_init(&before);
	for (unsigned round = 0; round < 500; round++) {
		unsigned number = sg_reduce((uint32_t)sg_random_next(&random), N_SERVICES);
		unsigned n = kept.n;
		bool added;

		assert_int_equal(sg_state_clone(&after, &before), 0);
		assert_int_equal(sg_state_put(&after, random_service(number, &random, seen)), 0);
		added = sg_kept_addresses_add(&kept, &before, &after);
		assert_int_equal(added, kept.n > n);
		expect_exactly(&kept, seen);
		sg_state_fini(&before);
		before = after;
	}
	sg_state_fini(&before);
	sg_kept_addresses_fini(&kept);
}

static void it_shrinks_to_what_may_have_flows(void **unused)
{
	struct sg_backend_page *page = calloc(1, sizeof(*page));
	struct sg_backend_page *pages[3] = {NULL, page, NULL};
	struct sg_snapshot snapshot = {.pages = pages, .n_pages = 3};
	struct sg_kept_addresses kept = {0};
	struct sg_state empty, full;
	bool seen[N_HOSTS] = {false};
	uint64_t random = 9;

	(void)unused;
	sg_state_init(&empty);
	sg_state_init(&full);
	for (unsigned i = 0; i < N_SERVICES; i++)
		assert_int_equal(sg_state_put(&full, random_service(i, &random, seen)), 0);
	sg_kept_addresses_add(&kept, &empty, &full);

	// Of five, one is free and one is dead; one is there twice.
	memset(seen, 0, sizeof(seen));
	for (unsigned i = 0; i < 5; i++) {
		page->backends[i].addr = host(i + 1);
		page->backends[i].life = (uint8_t)i; // FREE, ACTIVE, DRAINING, REMOVED, DEAD
		seen[i + 1] = i != SG_BACKEND_FREE && i != SG_BACKEND_DEAD;
	}
	page->backends[255] = page->backends[1];
	assert_true(sg_kept_addresses_shrink(&kept, &snapshot));
	expect_exactly(&kept, seen);
	assert_false(sg_kept_addresses_shrink(&kept, &snapshot));
	sg_kept_addresses_fini(&kept);
	sg_state_fini(&full);
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_grows_by_what_changes_bring),
		cmocka_unit_test(it_shrinks_to_what_may_have_flows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
