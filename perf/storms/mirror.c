// A kernel whose routes stand still, in the place of lib/control's mirror: everything is behind one
// gateway on the port, clients and backends. Links instead of mirror.c and so of netlink.
#include "control/mirror.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct sg_mirror {
	int fd; // never readable
};

int sg_mirror_open(struct sg_mirror **ret_mirror, const struct sg_mirror_port *ports,
	unsigned n_ports, struct sg_error *error)
{
	struct sg_mirror *mirror = calloc(1, sizeof(*mirror));

	(void)ports;
	(void)n_ports;
	(void)error;
	if (!mirror)
		return -1;
	mirror->fd = eventfd(0, EFD_CLOEXEC);
	*ret_mirror = mirror;
	return 0;
}

void sg_mirror_close(struct sg_mirror *mirror)
{
	close(mirror->fd);
	free(mirror);
}

int sg_mirror_fd(const struct sg_mirror *mirror)
{
	return mirror->fd;
}

int sg_mirror_receive(struct sg_mirror *mirror, bool *ret_changed, struct sg_error *error)
{
	(void)mirror;
	(void)error;
	*ret_changed = false;
	return 0;
}

struct sg_routes *sg_mirror_build(struct sg_mirror *mirror)
{
	struct sg_routes *routes = sg_routes_create_empty();
	struct sg_trie_entry entry = {.value = SG_ROUTE_VALUE(SG_ROUTE_HOP, 0, 1)};

	(void)mirror;
	if (!routes)
		return NULL;
	sg_prefix_parse("0.0.0.0/0", &entry.prefix, NULL);
	free(routes->hops);
	routes->hops = calloc(2, sizeof(routes->hops[0]));
	routes->n_hops = 2;
	routes->hops[1] =
		(struct sg_hop){.port = 0, .kind = SG_HOP_PORT, .dst_mac = {2, 1}, .src_mac = {2}};
	sg_trie_unref(routes->ipv4);
	routes->ipv4 = sg_trie_create(&entry, 1, SG_FAMILY_IPV4);
	return routes;
}

const struct sg_mirror_elsewhere *sg_mirror_get_elsewhere(const struct sg_mirror *mirror)
{
	static const struct sg_mirror_elsewhere nowhere;

	(void)mirror;
	return &nowhere;
}

bool sg_mirror_keep(struct sg_mirror *mirror, const struct sg_addr *addresses, unsigned n)
{
	(void)mirror;
	(void)addresses;
	(void)n;
	return false;
}

void sg_mirror_use(struct sg_mirror *mirror, unsigned port, const struct sg_addr *addr)
{
	(void)mirror;
	(void)port;
	(void)addr;
}
