// Names, specs and states: against a naive twin where they are sets, by hand where they are
// contracts.
#include "service/state.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "net/headers.h"
#include "service/state_diff.h"

static struct sg_backend_spec backend(const char *address, uint16_t port)
{
	struct sg_backend_spec spec = {.port = port, .weight = 1};

	assert_int_equal(sg_addr_parse(address, &spec.address), 0);
	return spec;
}

static void names_survive_a_round_trip(void **unused)
{
	(void)unused;
	for (int i = 0; i < SG_SCHEDULER_COUNT; i++)
		assert_int_equal(sg_scheduler_parse(sg_scheduler_name((enum sg_scheduler)i)), i);
	for (int i = 0; i < SG_FORWARD_COUNT; i++)
		assert_int_equal(sg_forward_parse(sg_forward_name((enum sg_forward)i)), i);
	for (int i = 0; i < SG_AFFINITY_COUNT; i++)
		assert_int_equal(sg_affinity_parse(sg_affinity_name((enum sg_affinity)i)), i);
	for (int i = 0; i < SG_ANNOUNCE_COUNT; i++)
		assert_int_equal(sg_announce_parse(sg_announce_name((enum sg_announce)i)), i);
	assert_int_equal(sg_protocol_parse(sg_protocol_name(SG_PROTO_TCP)), SG_PROTO_TCP);
	assert_int_equal(sg_protocol_parse(sg_protocol_name(SG_PROTO_UDP)), SG_PROTO_UDP);
	assert_int_equal(sg_scheduler_parse("RR"), -EINVAL);
	assert_int_equal(sg_forward_parse(""), -EINVAL);
	assert_int_equal(sg_protocol_parse("sctp"), -EINVAL);
}

static void a_new_spec_has_the_defaults(void **unused)
{
	struct sg_service_spec *spec = sg_service_spec_create("web", "operator");

	(void)unused;
	assert_non_null(spec);
	assert_string_equal(spec->name, "web");
	assert_string_equal(spec->owner, "operator");
	assert_int_equal(spec->protocol, SG_PROTO_TCP);
	assert_int_equal(spec->scheduler, SG_SCHEDULER_MAGLEV);
	assert_int_equal(spec->forward, SG_FORWARD_SNAT);
	assert_int_equal(spec->affinity, SG_AFFINITY_NONE);
	assert_int_equal(spec->announce, SG_ANNOUNCE_ALWAYS);
	assert_int_equal(spec->affinity_timeout_s, 10800);
	assert_int_equal(spec->maglev_table_size, 4093);
	assert_true(spec->policy.allow_everyone);
	sg_service_spec_unref(spec);
	sg_service_spec_unref(NULL);
}

static void a_name_that_is_too_long_does_not_pass_for_another(void **unused)
{
	char fits[SG_MAX_NAME_BYTES] = {0};
	char too_long[SG_MAX_NAME_BYTES + 1] = {0};
	struct sg_service_spec *spec;

	(void)unused;
	memset(fits, 'a', sizeof(fits) - 1);
	memset(too_long, 'a', sizeof(too_long) - 1);
	spec = sg_service_spec_create(fits, too_long);
	assert_non_null(spec);
	assert_string_equal(spec->name, fits);
	assert_string_not_equal(spec->owner, fits);
	assert_int_equal(spec->owner[SG_MAX_NAME_BYTES - 2], '~');
	sg_service_spec_unref(spec);
}

// Backends by number: which are there, and their weight.
enum {
	N_NUMBERS = 60
};

static struct sg_backend_spec numbered_backend(unsigned number, uint16_t weight)
{
	static const char *const addresses[] = {"10.0.0.2", "10.0.0.1", "fd00::1", "9.0.0.9"};
	struct sg_backend_spec spec =
		backend(addresses[number % 4], (uint16_t)(1 + number / 4 * 1000));

	spec.weight = weight;
	return spec;
}

static void assert_backends_sorted(const struct sg_service_spec *spec)
{
	for (unsigned i = 1; i < spec->n_backends; i++) {
		const struct sg_backend_spec *a = &spec->backends[i - 1], *b = &spec->backends[i];
		int order = sg_addr_compare(&a->address, &b->address);

		assert_true(order < 0 || (order == 0 && a->port < b->port));
	}
}

static void backends_agree_with_twin(void **unused)
{
	struct sg_service_spec *spec = sg_service_spec_create("web", "operator");
	int weights[N_NUMBERS];
	uint64_t random = 7;

	(void)unused;
	assert_non_null(spec);
	memset(weights, -1, sizeof(weights));
	for (int step = 0; step < 20000; step++) {
		unsigned number = (unsigned)(sg_random_next(&random) % N_NUMBERS);
		uint16_t weight = (uint16_t)(sg_random_next(&random) % 1000);
		struct sg_backend_spec wanted = numbered_backend(number, weight);
		struct sg_backend_spec *found =
			sg_service_spec_find_backend(spec, &wanted.address, wanted.port);

		assert_int_equal(found ? found->weight : -1, weights[number]);
		if (sg_random_next(&random) % 2) {
			assert_int_equal(sg_service_spec_put_backend(spec, &wanted), 0);
			weights[number] = weight;
		} else {
			int err =
				sg_service_spec_remove_backend(spec, &wanted.address, wanted.port);

			assert_int_equal(err, weights[number] < 0 ? -ENOENT : 0);
			weights[number] = -1;
		}
		assert_backends_sorted(spec);
	}
	sg_service_spec_unref(spec);
}

static struct sg_service_spec *full_spec(void)
{
	struct sg_service_spec *spec = sg_service_spec_create("web", "operator");
	struct sg_backend_spec backends[] = {backend("10.0.0.2", 80), backend("10.0.0.3", 80)};
	struct sg_prefix prefix;

	assert_non_null(spec);
	assert_int_equal(sg_addr_parse("192.0.2.10", &spec->vips[0]), 0);
	spec->n_vips = 1;
	spec->port = 80;
	for (int i = 0; i < 2; i++)
		assert_int_equal(sg_service_spec_put_backend(spec, &backends[i]), 0);
	assert_int_equal(sg_prefix_parse("198.51.100.0/24", &prefix, NULL), 0);
	assert_int_equal(sg_policy_spec_add_allow(&spec->policy, &prefix), 0);
	assert_false(spec->policy.allow_everyone);
	return spec;
}

// Each edit makes a spec that differs from the original, and from it alone.
static void edit(struct sg_service_spec *spec, int which)
{
	struct sg_backend_spec third = backend("10.0.0.4", 80);

	switch (which) {
	case 0:
		strcpy(spec->name, "other");
		break;
	case 1:
		strcpy(spec->owner, "other");
		break;
	case 2:
		spec->vips[0].bytes[3]++;
		break;
	case 3:
		spec->vips[spec->n_vips++] = third.address;
		break;
	case 4:
		spec->protocol = SG_PROTO_UDP;
		break;
	case 5:
		spec->port++;
		break;
	case 6:
		spec->scheduler = SG_SCHEDULER_WLC;
		break;
	case 7:
		spec->forward = SG_FORWARD_DSR;
		break;
	case 8:
		spec->affinity = SG_AFFINITY_CLIENT_IP;
		break;
	case 9:
		spec->announce = SG_ANNOUNCE_NEVER;
		break;
	case 10:
		spec->affinity_timeout_s++;
		break;
	case 11:
		spec->maglev_table_size = 251;
		break;
	case 12:
		spec->policy.allow_everyone = true;
		break;
	case 13:
		spec->policy.allow[0].length++;
		break;
	case 14:
		spec->policy.n_allow = 0;
		break;
	case 15:
		spec->backends[1].weight++;
		break;
	case 16:
		spec->backends[1].draining = true;
		break;
	case 17:
		spec->backends[1].port++;
		break;
	case 18:
		assert_int_equal(sg_service_spec_put_backend(spec, &third), 0);
		break;
	case 19:
		assert_int_equal(sg_policy_spec_add_deny(&spec->policy, &spec->policy.allow[0]), 0);
		break;
	case 20:
		spec->policy.existing = SG_EXISTING_END;
		break;
	case 21:
		spec->limits.max_connections = 1;
		break;
	case 22:
		spec->limits.max_connections_per_backend = 1;
		break;
	case 23:
		spec->limits.max_connections_per_client = 1;
		break;
	case 24:
		spec->limits.max_new_per_second = 1;
		break;
	case 25:
		spec->limits.max_new_per_second_per_client = 1;
		break;
	case 26:
		spec->limits.client_prefix = 24;
		break;
	case 27:
		spec->limits.client_prefix6 = 56;
		break;
	default:
		fail();
	}
}

static void equality_sees_every_difference(void **unused)
{
	struct sg_service_spec *spec = full_spec();

	(void)unused;
	for (int which = 0; which <= 27; which++) {
		struct sg_service_spec *other = sg_service_spec_clone(spec);

		assert_non_null(other);
		other->line = 7;
		other->backends[0].line = 8;
		assert_true(sg_service_spec_equal(spec, other));
		edit(other, which);
		assert_false(sg_service_spec_equal(spec, other));
		assert_false(sg_service_spec_equal(other, spec));
		sg_service_spec_unref(other);
	}
	sg_service_spec_unref(spec);
}

enum {
	N_SERVICES = 5 * SG_STATE_PAGE_SERVICES
};

static struct sg_service_spec *numbered_service(unsigned number, const char *owner)
{
	struct sg_service_spec *spec;
	char name[SG_MAX_NAME_BYTES];

	snprintf(name, sizeof(name), "s%u", number);
	spec = sg_service_spec_create(name, owner);
	assert_non_null(spec);
	return spec;
}

static void assert_state_is(const struct sg_state *state, struct sg_service_spec *const *twin)
{
	const struct sg_service_spec *before = NULL, *spec;
	struct sg_state_place place = {0};
	unsigned n = 0;

	for (unsigned i = 0; i < N_SERVICES; i++) {
		char name[SG_MAX_NAME_BYTES];

		snprintf(name, sizeof(name), "s%u", i);
		assert_ptr_equal(sg_state_find(state, name), twin[i]);
		n += twin[i] != NULL;
	}
	assert_int_equal(state->n_services, n);
	while ((spec = sg_state_next(state, &place))) {
		assert_true(!before || strcmp(before->name, spec->name) < 0);
		before = spec;
		n--;
	}
	assert_int_equal(n, 0);
}

static void twin_remove_owner(struct sg_service_spec **twin, const char *owner)
{
	for (unsigned i = 0; i < N_SERVICES; i++)
		if (twin[i] && strcmp(twin[i]->owner, owner) == 0)
			twin[i] = NULL;
}

// That a walk over both comes upon every number whose spec is not the same, once.
static void assert_differences(const struct sg_state *before,
	struct sg_service_spec *const *before_twin, const struct sg_state *after,
	struct sg_service_spec *const *after_twin)
{
	struct sg_state_diff diff = {.before = before, .after = after};
	struct sg_service_spec *old, *new;
	unsigned n = 0;

	while (sg_state_diff_next(&diff, &old, &new)) {
		unsigned number = (unsigned)atoi((old ? old : new)->name + 1);

		assert_ptr_equal(old, before_twin[number]);
		assert_ptr_equal(new, after_twin[number]);
		n++;
	}
	for (unsigned i = 0; i < N_SERVICES; i++)
		n -= before_twin[i] != after_twin[i];
	assert_int_equal(n, 0);
}

static void states_agree_with_twin(void **unused)
{
	static const char *const owners[] = {"operator", "config"};
	struct sg_service_spec *twin[N_SERVICES] = {0}, *old_twin[N_SERVICES] = {0};
	struct sg_state state, old;
	uint64_t random = 3;

	(void)unused;
	sg_state_init(&state);
	sg_state_init(&old);
	for (int step = 0; step < 20000; step++) {
		unsigned number = (unsigned)(sg_random_next(&random) % N_SERVICES);
		const char *owner = owners[sg_random_next(&random) % 2];
		unsigned what = (unsigned)(sg_random_next(&random) % 1000);
		struct sg_service_spec *spec = numbered_service(number, owner);

		if (what < 600) {
			assert_int_equal(sg_state_put(&state, sg_service_spec_ref(spec)), 0);
			twin[number] = spec;
		} else if (what < 997) {
			assert_int_equal(
				sg_state_remove(&state, spec->name), twin[number] ? 0 : -ENOENT);
			twin[number] = NULL;
		} else {
			twin_remove_owner(twin, owner);
			assert_int_equal(sg_state_remove_owner(&state, owner), 0);
		}
		sg_service_spec_unref(spec);
		if (step % 50 != 0)
			continue;
		// One that shares its pages is as it was when it was cloned.
		assert_state_is(&state, twin);
		assert_state_is(&old, old_twin);
		assert_differences(&old, old_twin, &state, twin);
		sg_state_fini(&old);
		assert_int_equal(sg_state_clone(&old, &state), 0);
		assert_true(sg_state_is_same(&old, &state));
		memcpy(old_twin, twin, sizeof(twin));
	}
	sg_state_fini(&state);
	assert_int_equal(state.n_services, 0);
	sg_state_fini(&old);
}

static void a_clone_shares_pages_and_lives_on(void **unused)
{
	struct sg_service_spec *spec = full_spec();
	struct sg_state state, clone;

	(void)unused;
	sg_state_init(&state);
	assert_int_equal(sg_state_put(&state, spec), 0);
	assert_int_equal(sg_state_clone(&clone, &state), 0);
	assert_ptr_equal(sg_state_find(&clone, "web"), spec);
	assert_ptr_equal(clone.pages[0], state.pages[0]);
	assert_int_equal(spec->refs, 1);
	assert_int_equal(sg_state_put(&clone, numbered_service(1, "operator")), 0);
	assert_int_equal(spec->refs, 2);
	assert_null(sg_state_find(&state, "s1"));
	sg_state_fini(&state);
	assert_ptr_equal(sg_state_find(&clone, "web"), spec);
	assert_int_equal(spec->refs, 1);
	sg_state_fini(&clone);
}

static void an_empty_state_clones(void **unused)
{
	struct sg_state state, clone;

	(void)unused;
	sg_state_init(&state);
	assert_int_equal(sg_state_clone(&clone, &state), 0);
	assert_int_equal(clone.n_services, 0);
	assert_null(sg_state_find(&clone, "web"));
	assert_int_equal(sg_state_put(&clone, numbered_service(1, "operator")), 0);
	sg_state_fini(&clone);
	sg_state_fini(&state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_survive_a_round_trip),
		cmocka_unit_test(a_new_spec_has_the_defaults),
		cmocka_unit_test(a_name_that_is_too_long_does_not_pass_for_another),
		cmocka_unit_test(backends_agree_with_twin),
		cmocka_unit_test(equality_sees_every_difference),
		cmocka_unit_test(states_agree_with_twin),
		cmocka_unit_test(a_clone_shares_pages_and_lives_on),
		cmocka_unit_test(an_empty_state_clones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
