// Lists of prefixes and the tries that they become, see policy.h.
#include "service/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/refs.h"

static const char *const existing_names[SG_EXISTING_COUNT] = {"keep", "end"};

void sg_policy_spec_init(struct sg_policy_spec *spec)
{
	*spec = (struct sg_policy_spec){.allow_everyone = true};
}

void sg_policy_spec_fini(struct sg_policy_spec *spec)
{
	free(spec->allow);
	free(spec->deny);
	sg_policy_spec_init(spec);
}

// NULL for no prefixes as well as without memory.
static struct sg_prefix *copy(const struct sg_prefix *prefixes, unsigned n)
{
	struct sg_prefix *copied = n > 0 ? malloc(n * sizeof(copied[0])) : NULL;

	if (copied)
		memcpy(copied, prefixes, n * sizeof(copied[0]));
	return copied;
}

int sg_policy_spec_clone(struct sg_policy_spec *ret_spec, const struct sg_policy_spec *spec)
{
	*ret_spec = *spec;
	ret_spec->allow = copy(spec->allow, spec->n_allow);
	ret_spec->deny = copy(spec->deny, spec->n_deny);
	if ((spec->n_allow > 0 && !ret_spec->allow) || (spec->n_deny > 0 && !ret_spec->deny))
		return -ENOMEM;
	return 0;
}

static bool prefixes_equal(
	const struct sg_prefix *a, unsigned n_a, const struct sg_prefix *b, unsigned n_b)
{
	if (n_a != n_b)
		return false;
	for (unsigned i = 0; i < n_a; i++)
		if (a[i].length != b[i].length || !sg_addr_equal(&a[i].addr, &b[i].addr))
			return false;
	return true;
}

bool sg_policy_spec_same_prefixes(const struct sg_policy_spec *a, const struct sg_policy_spec *b)
{
	return a->allow_everyone == b->allow_everyone &&
	       prefixes_equal(a->allow, a->n_allow, b->allow, b->n_allow) &&
	       prefixes_equal(a->deny, a->n_deny, b->deny, b->n_deny);
}

bool sg_policy_spec_equal(const struct sg_policy_spec *a, const struct sg_policy_spec *b)
{
	return a->existing == b->existing && sg_policy_spec_same_prefixes(a, b);
}

static int add(struct sg_prefix **prefixes, unsigned *n, const struct sg_prefix *prefix)
{
	struct sg_prefix *grown = realloc(*prefixes, (*n + 1) * sizeof(grown[0]));

	if (!grown)
		return -ENOMEM;
	*prefixes = grown;
	grown[(*n)++] = *prefix;
	return 0;
}

int sg_policy_spec_add_allow(struct sg_policy_spec *spec, const struct sg_prefix *prefix)
{
	if (add(&spec->allow, &spec->n_allow, prefix) < 0)
		return -ENOMEM;
	spec->allow_everyone = false;
	return 0;
}

int sg_policy_spec_add_deny(struct sg_policy_spec *spec, const struct sg_prefix *prefix)
{
	return add(&spec->deny, &spec->n_deny, prefix);
}

struct sg_shared_policy *sg_shared_policy_create(void)
{
	return sg_shared_policy_clone(NULL);
}

struct sg_shared_policy *sg_shared_policy_clone(const struct sg_shared_policy *policy)
{
	struct sg_shared_policy *clone = calloc(1, sizeof(*clone));

	if (!clone)
		return NULL;
	clone->refs = 1;
	sg_policy_spec_init(&clone->spec);
	if (policy && sg_policy_spec_clone(&clone->spec, &policy->spec) < 0) {
		sg_shared_policy_unref(clone);
		return NULL;
	}
	return clone;
}

struct sg_shared_policy *sg_shared_policy_ref(struct sg_shared_policy *policy)
{
	if (policy)
		sg_refs_take(&policy->refs);
	return policy;
}

void sg_shared_policy_unref(struct sg_shared_policy *policy)
{
	if (!policy || !sg_refs_drop(&policy->refs))
		return;
	sg_policy_spec_fini(&policy->spec);
	free(policy);
}

bool sg_shared_policy_equal(const struct sg_shared_policy *a, const struct sg_shared_policy *b)
{
	static const struct sg_policy_spec open = {.allow_everyone = true};

	return a == b || sg_policy_spec_equal(a ? &a->spec : &open, b ? &b->spec : &open);
}

static const struct sg_prefix *find_mapped(const struct sg_prefix *prefixes, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (sg_prefix_is_mapped_ipv4(&prefixes[i]))
			return &prefixes[i];
	return NULL;
}

const struct sg_prefix *sg_policy_spec_find_mapped(const struct sg_policy_spec *spec)
{
	const struct sg_prefix *found = find_mapped(spec->allow, spec->n_allow);

	return found ? found : find_mapped(spec->deny, spec->n_deny);
}

// By address, a shorter prefix before a longer one: so whoever contains another comes before it.
static int compare_prefixes(const void *a, const void *b)
{
	const struct sg_prefix *x = a, *y = b;
	int order = sg_addr_compare(&x->addr, &y->addr);

	return order != 0 ? order : (int)x->length - (int)y->length;
}

static bool contains(const struct sg_prefix *outer, const struct sg_prefix *inner)
{
	return outer->length <= inner->length && sg_prefix_contains(outer, &inner->addr);
}

// Sorts prefixes and leaves out those that lie in another. Returns how many are left, none of which
// overlap.
static unsigned make_disjoint(struct sg_prefix *prefixes, unsigned n)
{
	unsigned kept = 0;

	if (n > 0) // no prefixes are NULL, which qsort must not be given
		qsort(prefixes, n, sizeof(prefixes[0]), compare_prefixes);
	for (unsigned i = 0; i < n; i++)
		if (kept == 0 || !contains(&prefixes[kept - 1], &prefixes[i]))
			prefixes[kept++] = prefixes[i];
	return kept;
}

// Whether one of the disjoint prefixes contains `inner`: it can only be the last that begins at or
// before it.
static bool is_inside(const struct sg_prefix *disjoint, unsigned n, const struct sg_prefix *inner)
{
	unsigned low = 0, high = n;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (sg_addr_compare(&disjoint[middle].addr, &inner->addr) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && contains(&disjoint[low - 1], inner);
}

static struct sg_trie_entry everything(enum sg_family family, uint32_t value)
{
	return (struct sg_trie_entry){.prefix.addr.family = (uint8_t)family, .value = value};
}

// Longest-prefix match says what is meant once no allowed prefix lies in a denied one.
static unsigned fill_entries(
	struct sg_trie_entry *entries, const struct sg_policy_spec *spec, struct sg_prefix *deny)
{
	uint32_t rest = spec->allow_everyone ? SG_POLICY_ALLOWED : SG_POLICY_NOT_ALLOWED;
	unsigned n_deny = make_disjoint(deny, spec->n_deny);
	unsigned n = 0;

	entries[n++] = everything(SG_FAMILY_IPV4, rest);
	entries[n++] = everything(SG_FAMILY_IPV6, rest);
	for (unsigned i = 0; i < spec->n_allow; i++)
		if (!is_inside(deny, n_deny, &spec->allow[i]))
			entries[n++] = (struct sg_trie_entry){
				.prefix = spec->allow[i], .value = SG_POLICY_ALLOWED};
	for (unsigned i = 0; i < n_deny; i++)
		entries[n++] = (struct sg_trie_entry){.prefix = deny[i], .value = SG_POLICY_DENIED};
	return n;
}

struct sg_policy *sg_policy_compile(const struct sg_policy_spec *spec)
{
	size_t n_most = 2 + (size_t)spec->n_allow + spec->n_deny;
	struct sg_policy *policy = calloc(1, sizeof(*policy));
	struct sg_trie_entry *entries = malloc(n_most * sizeof(entries[0]));
	struct sg_prefix *deny = copy(spec->deny, spec->n_deny);
	unsigned n;

	if (policy)
		policy->refs = 1;
	if (policy && entries && (deny || spec->n_deny == 0)) {
		n = fill_entries(entries, spec, deny);
		policy->ipv4 = sg_trie_create(entries, n, SG_FAMILY_IPV4);
		policy->ipv6 = sg_trie_create(entries, n, SG_FAMILY_IPV6);
	}
	free(deny);
	free(entries);
	if (policy && policy->ipv4 && policy->ipv6)
		return policy;
	sg_policy_unref(policy);
	return NULL;
}

struct sg_policy *sg_policy_ref(struct sg_policy *policy)
{
	if (policy)
		sg_refs_take(&policy->refs);
	return policy;
}

void sg_policy_unref(struct sg_policy *policy)
{
	if (!policy || !sg_refs_drop(&policy->refs))
		return;
	sg_trie_unref(policy->ipv4);
	sg_trie_unref(policy->ipv6);
	free(policy);
}

const char *sg_existing_name(enum sg_existing existing)
{
	return existing_names[existing];
}

int sg_existing_parse(const char *name)
{
	for (int i = 0; i < SG_EXISTING_COUNT; i++)
		if (strcmp(existing_names[i], name) == 0)
			return i;
	return -EINVAL;
}
