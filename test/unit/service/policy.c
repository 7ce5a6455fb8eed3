// Policies against a search through both lists: who is denied is denied, however long the prefixes.
#include "service/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

static bool is_in(const struct sg_prefix *prefixes, unsigned n, const struct sg_addr *addr)
{
	for (unsigned i = 0; i < n; i++)
		if (sg_prefix_contains(&prefixes[i], addr))
			return true;
	return false;
}

static enum sg_policy_verdict naive(const struct sg_policy_spec *spec, const struct sg_addr *addr)
{
	if (is_in(spec->deny, spec->n_deny, addr))
		return SG_POLICY_DENIED;
	if (spec->allow_everyone || is_in(spec->allow, spec->n_allow, addr))
		return SG_POLICY_ALLOWED;
	return SG_POLICY_NOT_ALLOWED;
}

static enum sg_policy_verdict judge(const struct sg_policy *policy, const struct sg_addr *addr)
{
	if (addr->family == SG_FAMILY_IPV6)
		return sg_policy_judge6(policy, addr->bytes);
	return sg_policy_judge4(policy, sg_addr_ipv4_be(addr));
}

// Bytes take few values, so that prefixes nest and addresses hit.
static struct sg_addr random_addr(uint64_t *random)
{
	static const uint8_t bytes[] = {0, 10, 127, 128, 255};
	struct sg_addr addr = {
		.family = sg_random_next(random) % 2 ? SG_FAMILY_IPV4 : SG_FAMILY_IPV6};

	for (unsigned i = 0; i < sg_family_bits(addr.family) / 8; i++)
		addr.bytes[i] = bytes[sg_random_next(random) % sizeof(bytes)];
	return addr;
}

static struct sg_prefix random_prefix(uint64_t *random)
{
	struct sg_prefix prefix = {.addr = random_addr(random)};
	unsigned bits = sg_family_bits(prefix.addr.family);

	prefix.length = (uint8_t)(sg_random_next(random) % (bits + 1));
	for (unsigned bit = prefix.length; bit < bits; bit++)
		prefix.addr.bytes[bit / 8] &= (uint8_t) ~(0x80u >> (bit % 8));
	return prefix;
}

static void fill(struct sg_policy_spec *spec, uint64_t *random, unsigned n_most)
{
	sg_policy_spec_init(spec);
	spec->allow_everyone = sg_random_next(random) % 4 == 0;
	for (uint64_t n = spec->allow_everyone ? 0 : sg_random_next(random) % n_most; n > 0; n--) {
		struct sg_prefix prefix = random_prefix(random);

		assert_int_equal(sg_policy_spec_add_allow(spec, &prefix), 0);
	}
	for (uint64_t n = sg_random_next(random) % n_most; n > 0; n--) {
		struct sg_prefix prefix = random_prefix(random);

		assert_int_equal(sg_policy_spec_add_deny(spec, &prefix), 0);
	}
}

static void check(uint64_t *random, unsigned n_most, unsigned n_addresses)
{
	struct sg_policy_spec spec;
	struct sg_policy *policy;

	fill(&spec, random, n_most);
	policy = sg_policy_compile(&spec);
	assert_non_null(policy);
	for (unsigned i = 0; i < n_addresses; i++) {
		struct sg_addr addr = random_addr(random);

		assert_int_equal(judge(policy, &addr), naive(&spec, &addr));
	}
	// The first address of each prefix is where a wrong range shows.
	for (unsigned i = 0; i < spec.n_allow; i++)
		assert_int_equal(
			judge(policy, &spec.allow[i].addr), naive(&spec, &spec.allow[i].addr));
	for (unsigned i = 0; i < spec.n_deny; i++)
		assert_int_equal(judge(policy, &spec.deny[i].addr), SG_POLICY_DENIED);
	sg_policy_unref(policy);
	sg_policy_spec_fini(&spec);
}

static void agrees_with_twin(void **unused)
{
	uint64_t random = 5;

	(void)unused;
	for (int round = 0; round < 400; round++)
		check(&random, 8, 200);
	check(&random, 1000, 1000);
}

static void specs_are_copied_and_compared(void **unused)
{
	struct sg_policy_spec spec, copy, other;
	struct sg_prefix prefix;

	(void)unused;
	assert_int_equal(sg_prefix_parse("10.0.0.0/8", &prefix, NULL), 0);
	sg_policy_spec_init(&spec);
	assert_true(sg_policy_spec_is_open(&spec));
	assert_int_equal(sg_policy_spec_add_deny(&spec, &prefix), 0);
	assert_false(sg_policy_spec_is_open(&spec));
	assert_int_equal(sg_policy_spec_clone(&copy, &spec), 0);
	assert_true(sg_policy_spec_equal(&copy, &spec));
	copy.existing = SG_EXISTING_END;
	assert_false(sg_policy_spec_equal(&copy, &spec));
	assert_true(sg_policy_spec_same_prefixes(&copy, &spec));
	// The copy has room of its own, and grows.
	assert_int_equal(sg_policy_spec_add_deny(&copy, &prefix), 0);
	assert_false(sg_policy_spec_same_prefixes(&copy, &spec));
	sg_policy_spec_init(&other);
	assert_int_equal(sg_policy_spec_add_allow(&other, &prefix), 0);
	assert_false(other.allow_everyone);
	assert_false(sg_policy_spec_same_prefixes(&other, &spec));
	sg_policy_spec_fini(&other);
	sg_policy_spec_fini(&copy);
	sg_policy_spec_fini(&spec);
	assert_ptr_equal(sg_policy_ref(NULL), NULL);
	sg_policy_unref(NULL);
}

static void words_are_read_back(void **unused)
{
	(void)unused;
	assert_int_equal(sg_existing_parse(sg_existing_name(SG_EXISTING_KEEP)), SG_EXISTING_KEEP);
	assert_int_equal(sg_existing_parse("end"), SG_EXISTING_END);
	assert_true(sg_existing_parse("drop") < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_twin),
		cmocka_unit_test(specs_are_copied_and_compared),
		cmocka_unit_test(words_are_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
