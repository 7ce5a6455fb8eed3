// Life and death of the mirrored routes, see routes.h. What is in them is control's business.
#include "service/routes.h"

#include <stdlib.h>

#include "base/refs.h"

struct sg_routes *sg_routes_create_empty(void)
{
	struct sg_routes *routes = calloc(1, sizeof(*routes));

	if (!routes)
		return NULL;
	routes->refs = 1;
	routes->generation = 1;
	routes->n_hops = 1;
	routes->hops = calloc(1, sizeof(routes->hops[0]));
	routes->ipv4 = sg_trie_create(NULL, 0, SG_FAMILY_IPV4);
	routes->ipv6 = sg_trie_create(NULL, 0, SG_FAMILY_IPV6);
	routes->neighbours4 = sg_index_create(0);
	routes->neighbours6 = sg_index6_create(0);
	if (!routes->hops || !routes->ipv4 || !routes->ipv6 || !routes->neighbours4 ||
		!routes->neighbours6) {
		sg_routes_unref(routes);
		return NULL;
	}
	return routes;
}

struct sg_routes *sg_routes_ref(struct sg_routes *routes)
{
	sg_refs_take(&routes->refs);
	return routes;
}

void sg_routes_unref(struct sg_routes *routes)
{
	if (!routes || !sg_refs_drop(&routes->refs))
		return;
	sg_index_unref(routes->neighbours4);
	sg_index6_unref(routes->neighbours6);
	sg_trie_unref(routes->ipv4);
	sg_trie_unref(routes->ipv6);
	free(routes->hops);
	free(routes);
}
