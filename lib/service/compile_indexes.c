// Builds the indexes of a snapshot anew, or shares them, see compile_indexes.h.
#include "service/compile_indexes.h"

#include <errno.h>

// How many keys an index of either family has to have room for.
struct counts {
	uint32_t ipv4, ipv6;
};

static bool has_vip6(const struct sg_service *service)
{
	static const uint8_t none[16];

	return memcmp(service->vip6, none, sizeof(none)) != 0;
}

// Every VIP that a service has, be it deleted or not.
static struct counts count_vips(const struct sg_snapshot *snapshot, const struct sg_plan *plan)
{
	struct counts counts = {0};

	for (uint32_t i = 0; i < plan->n_holdings; i++) {
		const struct sg_service *service = snapshot->services[plan->holdings[i].slot];

		counts.ipv4 += service && service->vip4_be != 0;
		counts.ipv6 += service && has_vip6(service);
	}
	return counts;
}

static int build_vips(struct sg_snapshot *snapshot, const struct sg_plan *plan)
{
	struct counts counts = count_vips(snapshot, plan);

	snapshot->vips4 = sg_index_create(counts.ipv4);
	snapshot->vips6 = sg_index6_create(counts.ipv6);
	if (!snapshot->vips4 || !snapshot->vips6)
		return -ENOMEM;
	for (uint32_t i = 0; i < plan->n_holdings; i++) {
		const struct sg_holding *holding = &plan->holdings[i];
		const struct sg_service *service = snapshot->services[holding->slot];

		if (holding->deleted)
			continue;
		if (service->vip4_be != 0)
			sg_index_put(snapshot->vips4,
				SG_VIP_KEY(service->vip4_be, service->port_be, service->protocol),
				holding->slot);
		if (has_vip6(service))
			sg_index6_put(snapshot->vips6, service->vip6,
				SG_VIP6_REST(service->port_be, service->protocol), holding->slot);
	}
	return 0;
}

static void add_address4(struct sg_index *addresses, uint32_t addr_be, uint32_t bits)
{
	uint32_t before = sg_index_find(addresses, addr_be);

	sg_index_put(addresses, addr_be, before == SG_INDEX_NONE ? bits : before | bits);
}

static void add_address6(struct sg_index6 *addresses, const uint8_t addr[16], uint32_t bits)
{
	uint32_t before = sg_index6_find(addresses, addr, 0);

	sg_index6_put(addresses, addr, 0, before == SG_INDEX_NONE ? bits : before | bits);
}

static void add_vips(struct sg_snapshot *snapshot, const struct sg_holding *holding, bool withdrawn)
{
	const struct sg_service *service = snapshot->services[holding->slot];
	uint32_t bits = SG_ADDRESS_VIP;

	if (!service || (holding->deleted && !holding->draining))
		return;
	if (holding->spec->announce == SG_ANNOUNCE_ALWAYS && !withdrawn)
		bits |= SG_ADDRESS_ANNOUNCE;
	if (service->vip4_be != 0)
		add_address4(snapshot->addresses4, service->vip4_be, bits);
	if (has_vip6(service))
		add_address6(snapshot->addresses6, service->vip6, bits);
}

static int build_addresses(struct sg_snapshot *snapshot, const struct sg_plan *plan)
{
	const struct sg_settings *settings = plan->compiler->settings;
	struct counts counts = count_vips(snapshot, plan);
	uint32_t bits = SG_ADDRESS_SNAT | SG_ADDRESS_ANNOUNCE;

	snapshot->addresses4 = sg_index_create(counts.ipv4 + settings->n_snat_addresses);
	snapshot->addresses6 = sg_index6_create(counts.ipv6 + settings->n_snat_addresses);
	if (!snapshot->addresses4 || !snapshot->addresses6)
		return -ENOMEM;
	for (uint32_t i = 0; i < plan->n_holdings; i++)
		add_vips(snapshot, &plan->holdings[i], plan->compiler->withdrawn);
	for (unsigned i = 0; i < settings->n_snat_addresses; i++) {
		const struct sg_addr *addr = &settings->snat_addresses[i];

		if (addr->family == SG_FAMILY_IPV4)
			add_address4(snapshot->addresses4, sg_addr_ipv4_be(addr), bits);
		else
			add_address6(snapshot->addresses6, addr->bytes, bits);
	}
	return 0;
}

// The service whose answers this backend sends in mode dnat; NULL for other backends.
static const struct sg_service *dnat_service(
	const struct sg_snapshot *snapshot, const struct sg_backend *backend)
{
	const struct sg_service *service;

	if (backend->life == SG_BACKEND_FREE || backend->life == SG_BACKEND_DEAD)
		return NULL;
	service = snapshot->services[backend->service_slot];
	return service && service->forward == SG_FORWARD_DNAT ? service : NULL;
}

// Each backend enters twice: with its port, and, for fragments, which have none, without.
static struct counts count_dnat(const struct sg_snapshot *snapshot)
{
	struct counts counts = {0};

	for (uint32_t slot = 0; slot < snapshot->n_pages * SG_BACKENDS_PER_PAGE; slot++) {
		const struct sg_backend *backend;

		if (!snapshot->pages[slot / SG_BACKENDS_PER_PAGE])
			continue;
		backend = sg_snapshot_backend(snapshot, slot);
		if (!dnat_service(snapshot, backend))
			continue;
		counts.ipv4 += 2 * (backend->addr.family == SG_FAMILY_IPV4);
		counts.ipv6 += 2 * (backend->addr.family == SG_FAMILY_IPV6);
	}
	return counts;
}

static void enter_dnat(struct sg_snapshot *snapshot, bool leaving)
{
	for (uint32_t slot = 0; slot < snapshot->n_pages * SG_BACKENDS_PER_PAGE; slot++) {
		const struct sg_backend *backend;
		const struct sg_service *service;

		if (!snapshot->pages[slot / SG_BACKENDS_PER_PAGE])
			continue;
		backend = sg_snapshot_backend(snapshot, slot);
		service = dnat_service(snapshot, backend);
		if (!service || (backend->life == SG_BACKEND_REMOVED) != leaving)
			continue;
		if (backend->addr.family == SG_FAMILY_IPV4) {
			sg_index_put(snapshot->dnat4,
				SG_VIP_KEY(backend->addr4_be, backend->port_be, service->protocol),
				slot);
			sg_index_put(snapshot->dnat4, SG_VIP_KEY(backend->addr4_be, 0, 0), slot);
		} else {
			sg_index6_put(snapshot->dnat6, backend->addr.bytes,
				SG_VIP6_REST(backend->port_be, service->protocol), slot);
			sg_index6_put(snapshot->dnat6, backend->addr.bytes, 0, slot);
		}
	}
}

static bool has_dnat(const struct sg_plan *plan)
{
	for (uint32_t i = 0; i < plan->n_holdings; i++)
		if (plan->holdings[i].spec->forward == SG_FORWARD_DNAT)
			return true;
	return false;
}

// Where answers of dnat services' backends belong. A backend that is only finishing gives way to
// one that is served.
static int build_dnat(struct sg_snapshot *snapshot, const struct sg_plan *plan)
{
	struct counts counts = {0};

	if (has_dnat(plan))
		counts = count_dnat(snapshot);
	snapshot->dnat4 = sg_index_create(counts.ipv4);
	snapshot->dnat6 = sg_index6_create(counts.ipv6);
	if (!snapshot->dnat4 || !snapshot->dnat6)
		return -ENOMEM;
	if (counts.ipv4 + counts.ipv6 == 0)
		return 0;
	enter_dnat(snapshot, true);
	enter_dnat(snapshot, false);
	return 0;
}

// Whether a service that is, or was, in mode dnat is among what changes.
static bool dnat_changes(const struct sg_snapshot *previous, const struct sg_plan *plan)
{
	for (uint32_t i = 0; i < plan->n_visits; i++) {
		const struct sg_visit *visit = &plan->visits[i];
		const struct sg_service *before = visit->slot < previous->n_service_slots
							  ? previous->services[visit->slot]
							  : NULL;

		if ((visit->spec && visit->spec->forward == SG_FORWARD_DNAT) ||
			(before && before->forward == SG_FORWARD_DNAT))
			return true;
	}
	return false;
}

static void share_vips(struct sg_snapshot *snapshot, const struct sg_snapshot *previous)
{
	snapshot->vips4 = sg_index_ref(previous->vips4);
	snapshot->vips6 = sg_index6_ref(previous->vips6);
}

static void share_addresses(struct sg_snapshot *snapshot, const struct sg_snapshot *previous)
{
	snapshot->addresses4 = sg_index_ref(previous->addresses4);
	snapshot->addresses6 = sg_index6_ref(previous->addresses6);
}

static void share_dnat(struct sg_snapshot *snapshot, const struct sg_snapshot *previous)
{
	snapshot->dnat4 = sg_index_ref(previous->dnat4);
	snapshot->dnat6 = sg_index6_ref(previous->dnat6);
}

int sg_compile_indexes(struct sg_snapshot *snapshot, const struct sg_plan *plan)
{
	const struct sg_snapshot *previous = plan->compiler->current;

	if (previous && !plan->vips_changed)
		share_vips(snapshot, previous);
	else if (build_vips(snapshot, plan) < 0)
		return -ENOMEM;
	if (previous && !plan->addresses_changed && !plan->compiler->withdrawn)
		share_addresses(snapshot, previous);
	else if (build_addresses(snapshot, plan) < 0)
		return -ENOMEM;
	if (previous && !dnat_changes(previous, plan))
		share_dnat(snapshot, previous);
	else if (build_dnat(snapshot, plan) < 0)
		return -ENOMEM;
	return 0;
}
