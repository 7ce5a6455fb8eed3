// Indices of next hops, see mirror_hops.h.
#include "control/mirror_hops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define N_HEADS 65536

int sg_mirror_hops_init(struct sg_mirror_hops *hops, unsigned n_ports)
{
	*hops = (struct sg_mirror_hops){
		.n_hops = n_ports + 1, .first = n_ports + 1, .hand = n_ports + 1};
	hops->hops = calloc(SG_MIRROR_MAX_INDICES, sizeof(hops->hops[0]));
	hops->heads = calloc(N_HEADS, sizeof(hops->heads[0]));
	if (hops->hops && hops->heads)
		return 0;
	sg_mirror_hops_fini(hops);
	return -ENOMEM;
}

void sg_mirror_hops_fini(struct sg_mirror_hops *hops)
{
	free(hops->hops);
	free(hops->heads);
	*hops = (struct sg_mirror_hops){0};
}

// Neighbours are on our own links; whoever can choose their addresses can do worse than make them
// collide.
static uint32_t *head_of(
	const struct sg_mirror_hops *hops, uint8_t port, const struct sg_addr *addr)
{
	uint64_t words[2];

	memcpy(words, addr->bytes, sizeof(words));
	return &hops->heads[sg_mix64(sg_mix64(words[0] ^ (uint64_t)port << 56) ^ words[1]) %
			    N_HEADS];
}

uint32_t sg_mirror_hops_find(
	const struct sg_mirror_hops *hops, uint8_t port, const struct sg_addr *addr)
{
	uint32_t index = *head_of(hops, port, addr);

	while (index &&
		(hops->hops[index].port != port || !sg_addr_equal(&hops->hops[index].addr, addr)))
		index = hops->hops[index].next;
	return index;
}

static bool is_dormant(const struct sg_mirror_hop *hop)
{
	return hop->reachability == SG_MIRROR_UNKNOWN && !sg_mirror_hop_wanted(hop) && !hop->marked;
}

void sg_mirror_hops_lift(struct sg_mirror_hops *hops, uint32_t index)
{
	hops->n_dormant -= is_dormant(&hops->hops[index]);
}

void sg_mirror_hops_settle(struct sg_mirror_hops *hops, uint32_t index)
{
	hops->n_dormant += is_dormant(&hops->hops[index]);
}

static void unlink_hop(struct sg_mirror_hops *hops, uint32_t index)
{
	struct sg_mirror_hop *hop = &hops->hops[index];
	uint32_t *at = head_of(hops, hop->port, &hop->addr);

	while (*at != index)
		at = &hops->hops[*at].next;
	*at = hop->next;
}

// Goes round, so that the index taken is one that nobody has taken for long.
static uint32_t take_dormant(struct sg_mirror_hops *hops)
{
	for (;;) {
		uint32_t index = hops->hand++;

		if (hops->hand == hops->n_hops)
			hops->hand = hops->first;
		if (!is_dormant(&hops->hops[index]))
			continue;
		hops->n_dormant--;
		unlink_hop(hops, index);
		return index;
	}
}

uint32_t sg_mirror_hops_get(
	struct sg_mirror_hops *hops, uint8_t port, const struct sg_addr *addr, bool *ret_reused)
{
	uint32_t index = sg_mirror_hops_find(hops, port, addr);
	uint32_t *head;

	if (index)
		return index;
	if (hops->n_dormant >= SG_MIRROR_DORMANT ||
		(hops->n_hops == SG_MIRROR_MAX_INDICES && hops->n_dormant)) {
		index = take_dormant(hops);
		*ret_reused = true;
	} else if (hops->n_hops < SG_MIRROR_MAX_INDICES) {
		index = hops->n_hops++;
	} else {
		return 0;
	}
	head = head_of(hops, port, addr);
	hops->hops[index] = (struct sg_mirror_hop){.addr = *addr, .port = port, .next = *head};
	*head = index;
	hops->n_dormant++;
	return index;
}
