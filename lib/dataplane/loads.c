// Adds the workers' counts of flows up, see loads.h.
#include "dataplane/loads.h"

#include "dataplane/pipeline.h"

static void refresh_backend(struct sg_loads *loads, struct sg_pipeline *const *pipelines,
	unsigned n_workers, uint32_t slot)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < n_workers; i++) {
		uint32_t own =
			__atomic_load_n(&pipelines[i]->backend_flows[slot], __ATOMIC_RELAXED);

		__atomic_store_n(&loads->seen[i][slot], own, __ATOMIC_RELAXED);
		sum += own;
	}
	__atomic_store_n(&loads->view[slot], sum, __ATOMIC_RELAXED);
}

static void refresh_service(struct sg_loads *loads, struct sg_pipeline *const *pipelines,
	unsigned n_workers, uint32_t slot)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < n_workers; i++) {
		const struct sg_traffic *traffic = &pipelines[i]->counters.services[slot];
		uint32_t own = (uint32_t)(sg_counter_read(&traffic->flows_created) -
					  sg_counter_read(&traffic->flows_ended));

		__atomic_store_n(&loads->service_seen[i][slot], own, __ATOMIC_RELAXED);
		sum += own;
	}
	__atomic_store_n(&loads->service_view[slot], sum, __ATOMIC_RELAXED);
}

static void refresh_set(struct sg_loads *loads, struct sg_pipeline *const *pipelines,
	unsigned n_workers, const struct sg_backend_set *set)
{
	for (uint32_t i = 0; i < set->n_backends; i++)
		refresh_backend(loads, pipelines, n_workers, set->backend_slots[i]);
}

void sg_loads_refresh(struct sg_loads *loads, struct sg_pipeline *const *pipelines,
	unsigned n_workers, const struct sg_snapshot *snapshot)
{
	for (uint32_t i = 0; i < snapshot->n_service_slots; i++) {
		const struct sg_service *service = snapshot->services[i];

		if (!service ||
			(service->scheduler != SG_SCHEDULER_LC &&
				service->scheduler != SG_SCHEDULER_WLC && !service->limited))
			continue;
		if (service->limited)
			refresh_service(loads, pipelines, n_workers, i);
		refresh_set(loads, pipelines, n_workers, &service->sets[SG_SET_IPV4]);
		refresh_set(loads, pipelines, n_workers, &service->sets[SG_SET_IPV6]);
	}
}
