// Notes of the ways to backends, see tunnel.h.
#include "dataplane/tunnel.h"

#include "base/clock.h"

static void note(struct sg_tunnels *tunnels, uint32_t slot, const struct sg_backend *backend,
	uint16_t mtu, uint32_t now_ticks)
{
	uint16_t known = sg_tunnel_mtu(tunnels, slot, backend->generation, now_ticks);

	if (known != 0 && known <= mtu)
		return;
	__atomic_store_n(&tunnels->notes[slot],
		SG_TUNNEL_NOTE(backend->generation, mtu,
			now_ticks + sg_ticks_from_seconds(SG_TUNNEL_SECONDS)),
		__ATOMIC_RELAXED);
}

void sg_tunnels_note(struct sg_tunnels *tunnels, const struct sg_snapshot *snapshot,
	const struct sg_addr *addr, uint16_t mtu, uint32_t now_ticks)
{
	for (uint32_t page = 0; page < snapshot->n_pages; page++) {
		for (uint32_t i = 0; snapshot->pages[page] && i < SG_BACKENDS_PER_PAGE; i++) {
			const struct sg_backend *backend = &snapshot->pages[page]->backends[i];

			if (backend->life != SG_BACKEND_FREE && sg_addr_equal(&backend->addr, addr))
				note(tunnels, page * SG_BACKENDS_PER_PAGE + i, backend, mtu,
					now_ticks);
		}
	}
}
