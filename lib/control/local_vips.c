// Looking for VIPs among the kernel's own addresses, see local_vips.h.
#include "control/local_vips.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

#define PAUSE_MS 1000

static bool is_vip(const struct sg_snapshot *snapshot, const struct sg_addr *addr)
{
	uint32_t bits = addr->family == SG_FAMILY_IPV4
				? sg_index_find(snapshot->addresses4, sg_addr_ipv4_be(addr))
				: sg_index6_find(snapshot->addresses6, addr->bytes, 0);

	return bits != SG_INDEX_NONE && bits & SG_ADDRESS_VIP;
}

static bool was_found(const struct sg_local_vips *local, const struct sg_elsewhere_address *address)
{
	for (unsigned i = 0; i < local->n; i++)
		if (local->found[i].ifindex == address->ifindex &&
			sg_addr_equal(&local->found[i].addr, &address->addr))
			return true;
	return false;
}

const char *sg_local_vip_describe(
	const struct sg_elsewhere_address *found, char text[SG_LOCAL_VIP_TEXT_SIZE])
{
	bool ipv4 = found->addr.family == SG_FAMILY_IPV4;
	char addr[SG_ADDR_TEXT_BYTES], interface[IF_NAMESIZE];

	if (!if_indextoname((unsigned)found->ifindex, interface))
		snprintf(interface, sizeof(interface), "interface %d", found->ifindex);
	snprintf(text, SG_LOCAL_VIP_TEXT_SIZE,
		"VIP %s is also an address of %s: what this node sends to it stays in the node%s; "
		"take it from %s%s",
		sg_addr_format(&found->addr, addr), interface,
		ipv4 ? ", and other interfaces may answer ARP for it" : "", interface,
		ipv4 ? ", or set net.ipv4.conf.all.arp_ignore = 1 and arp_announce = 2 "
		       "(kube-proxy: ipvs.strictARP)"
		     : " if that is not meant");
	return text;
}

static void warn(const struct sg_local_vips *before, const struct sg_local_vips *now)
{
	char text[SG_LOCAL_VIP_TEXT_SIZE];

	for (unsigned i = 0; i < now->n; i++)
		if (!was_found(before, &now->found[i]))
			sg_log_warning("%s", sg_local_vip_describe(&now->found[i], text));
	if (now->n_more > before->n_more)
		sg_log_warning("%u more VIPs are addresses of this node's other interfaces, too",
			now->n_more);
}

void sg_local_vips_look(struct sg_local_vips *local, const struct sg_mirror_elsewhere *elsewhere,
	const struct sg_snapshot *snapshot, uint64_t now_ms)
{
	struct sg_local_vips now = {.epoch = elsewhere->epoch,
		.addresses4 = snapshot->addresses4,
		.addresses6 = snapshot->addresses6,
		.look_ms = now_ms + PAUSE_MS};

	if (local->epoch == now.epoch && local->addresses4 == now.addresses4 &&
		local->addresses6 == now.addresses6)
		return;
	if (now_ms < local->look_ms)
		return;
	for (unsigned i = 0; i < elsewhere->n; i++) {
		if (!is_vip(snapshot, &elsewhere->addresses[i].addr))
			continue;
		if (now.n == SG_LOCAL_VIPS)
			now.n_more++;
		else
			now.found[now.n++] = elsewhere->addresses[i];
	}
	warn(local, &now);
	*local = now;
}
