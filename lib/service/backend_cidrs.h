// The prefixes that backends may lie in, as tries: asked when a change is validated, and again by
// workers before a packet leaves for a backend.
#pragma once

#include "service/settings.h"
#include "service/trie.h"

// NULL for both where settings name no prefixes at all (no limit). Each with one reference. Returns
// 0 or -ENOMEM.
int sg_backend_cidrs_compile(
	const struct sg_settings *settings, struct sg_trie **ret_ipv4, struct sg_trie **ret_ipv6);
