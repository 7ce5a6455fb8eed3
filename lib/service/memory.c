// A walk over a snapshot and its state, see memory.h.
#include "service/memory.h"

#include "service/compiler_plan.h"

static void count_spec(struct sg_memory *memory, const struct sg_service_spec *spec)
{
	memory->services += sizeof(*spec) + (uint64_t)(spec->policy.n_allow + spec->policy.n_deny) *
						    sizeof(spec->policy.allow[0]);
	memory->n_backends += spec->n_backends;
	memory->backends +=
		(uint64_t)spec->n_backends * (sizeof(spec->backends[0]) + sizeof(struct sg_member));
}

static void count_service(struct sg_memory *memory, const struct sg_service *service)
{
	memory->services += sizeof(*service);
	for (unsigned i = 0; i < sizeof(service->sets) / sizeof(service->sets[0]); i++) {
		const struct sg_backend_set *set = &service->sets[i];

		if (set->table)
			memory->services += (uint64_t)set->table_size * sizeof(set->table[0]);
		memory->backends += (uint64_t)set->n_backends *
				    (sizeof(set->backend_slots[0]) + sizeof(set->weights[0]));
	}
}

void sg_memory_count(struct sg_memory *ret_memory, const struct sg_snapshot *snapshot,
	const struct sg_state *state)
{
	struct sg_state_place place = {0};
	const struct sg_service_spec *spec;

	*ret_memory = (struct sg_memory){.n_services = state->n_services};
	while ((spec = sg_state_next(state, &place)))
		count_spec(ret_memory, spec);
	for (uint32_t slot = 0; slot < snapshot->n_service_slots; slot++)
		if (snapshot->services[slot])
			count_service(ret_memory, snapshot->services[slot]);
	for (uint32_t page = 0; page < snapshot->n_pages; page++)
		if (snapshot->pages[page])
			ret_memory->backends += sizeof(*snapshot->pages[page]);
	ret_memory->generation =
		sizeof(*snapshot) + snapshot->n_service_slots * sizeof(snapshot->services[0]) +
		snapshot->n_pages * sizeof(snapshot->pages[0]) +
		state->n_pages * sizeof(state->pages[0]) + sizeof(*state->pages[0]);
}
