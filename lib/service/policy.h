// Who may start a flow: source prefixes that may (`allow`) and that may not (`deny`), for one
// service or for all.
//
// `deny` beats `allow`, however long their prefixes are; who is in neither may not, unless `allow`
// is absent. Both lists are compiled to one trie whose values are verdicts, so a new flow costs one
// walk, whatever their number. What is allowed to everyone compiles to nothing.
//
// A source has to pass both, the policy of its service and the one for all.
//
// A spec is a part of the desired state, a policy the compiled form of one, immutable and shared by
// all snapshots in which it is the same. Control thread only, but for sg_policy_judge*.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "net/addr.h"
#include "service/trie.h"

// What becomes of flows that exist and that a new policy would not let start.
enum sg_existing {
	SG_EXISTING_KEEP, // they go on
	SG_EXISTING_END,  // their next packet is lost, and so are they
	SG_EXISTING_COUNT,
};

struct sg_policy_spec {
	bool allow_everyone; // `allow` absent
	struct sg_prefix *allow;
	unsigned n_allow;
	struct sg_prefix *deny;
	unsigned n_deny;
	enum sg_existing existing;
};

// Everyone may; existing flows are kept.
void sg_policy_spec_init(struct sg_policy_spec *spec);
void sg_policy_spec_fini(struct sg_policy_spec *spec);
// Fills an uninitialised spec with a copy. Returns 0 or -ENOMEM; it may then be given to fini.
int sg_policy_spec_clone(struct sg_policy_spec *ret_spec, const struct sg_policy_spec *spec);
bool sg_policy_spec_equal(const struct sg_policy_spec *a, const struct sg_policy_spec *b);
// Whether both say the same of every source; what becomes of existing flows may differ.
bool sg_policy_spec_same_prefixes(const struct sg_policy_spec *a, const struct sg_policy_spec *b);
// Return 0 or -ENOMEM.
int sg_policy_spec_add_allow(struct sg_policy_spec *spec, const struct sg_prefix *prefix);
int sg_policy_spec_add_deny(struct sg_policy_spec *spec, const struct sg_prefix *prefix);
// A prefix that no packet's source is in: IPv4 written as IPv6. NULL: there is none.
const struct sg_prefix *sg_policy_spec_find_mapped(const struct sg_policy_spec *spec);
// Whether nobody is refused.
static inline bool sg_policy_spec_is_open(const struct sg_policy_spec *spec)
{
	return spec->allow_everyone && spec->n_deny == 0;
}

// The spec for all services, shared by the states in which it is the same.
struct sg_shared_policy {
	unsigned refs; // base/refs.h
	struct sg_policy_spec spec;
	int line; // of the config file; 0 when it came through the socket
};

// Everyone may; with one reference. NULL without memory.
struct sg_shared_policy *sg_shared_policy_create(void);
// A copy with one reference, free to edit until it is put into a state. `policy` may be NULL:
// everyone may. NULL without memory.
struct sg_shared_policy *sg_shared_policy_clone(const struct sg_shared_policy *policy);
struct sg_shared_policy *sg_shared_policy_ref(struct sg_shared_policy *policy); // NULL is fine
void sg_shared_policy_unref(struct sg_shared_policy *policy);                   // NULL is fine
// NULL is the same as a policy by which everyone may and existing flows are kept.
bool sg_shared_policy_equal(const struct sg_shared_policy *a, const struct sg_shared_policy *b);

enum sg_policy_verdict {
	SG_POLICY_ALLOWED,
	SG_POLICY_NOT_ALLOWED, // in no prefix of `allow`
	SG_POLICY_DENIED,      // in a prefix of `deny`
};

struct sg_policy {
	unsigned refs;               // base/refs.h
	struct sg_trie *ipv4, *ipv6; // values: enum sg_policy_verdict; every address has one
};

// With one reference. NULL without memory.
struct sg_policy *sg_policy_compile(const struct sg_policy_spec *spec);
struct sg_policy *sg_policy_ref(struct sg_policy *policy); // NULL is fine, and returned
void sg_policy_unref(struct sg_policy *policy);            // NULL is fine

// A worker, or whoever holds the snapshot.
static inline enum sg_policy_verdict sg_policy_judge4(
	const struct sg_policy *policy, uint32_t addr_be)
{
	return (enum sg_policy_verdict)sg_trie_find(policy->ipv4, &addr_be);
}

static inline enum sg_policy_verdict sg_policy_judge6(
	const struct sg_policy *policy, const uint8_t addr[16])
{
	return (enum sg_policy_verdict)sg_trie_find(policy->ipv6, addr);
}

// The name as it stands in the config file and in JSON; `parse` returns the value or -EINVAL.
const char *sg_existing_name(enum sg_existing existing);
int sg_existing_parse(const char *name);
