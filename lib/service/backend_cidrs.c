// Tries of backend_cidrs, see backend_cidrs.h.
#include "service/backend_cidrs.h"

#include <errno.h>
#include <stdlib.h>

int sg_backend_cidrs_compile(
	const struct sg_settings *settings, struct sg_trie **ret_ipv4, struct sg_trie **ret_ipv6)
{
	unsigned n = settings->n_backend_cidrs;
	struct sg_trie_entry *entries;

	*ret_ipv4 = *ret_ipv6 = NULL;
	if (!settings->backend_cidrs_given)
		return 0;
	entries = malloc((n + 1) * sizeof(entries[0]));
	if (!entries)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++)
		entries[i] =
			(struct sg_trie_entry){.prefix = settings->backend_cidrs[i], .value = 1};
	*ret_ipv4 = sg_trie_create(entries, n, SG_FAMILY_IPV4);
	*ret_ipv6 = sg_trie_create(entries, n, SG_FAMILY_IPV6);
	free(entries);
	if (*ret_ipv4 && *ret_ipv6)
		return 0;
	sg_trie_unref(*ret_ipv4);
	sg_trie_unref(*ret_ipv6);
	*ret_ipv4 = *ret_ipv6 = NULL;
	return -ENOMEM;
}
