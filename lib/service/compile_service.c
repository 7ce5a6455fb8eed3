// Compiles one service: its usable backends, its scheduler's table, its policy. See
// compile_service.h.
#include "service/compile_service.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "service/maglev.h"
#include "service/wrr.h"

static unsigned count_usable(const struct sg_service_spec *spec)
{
	unsigned n = 0;

	for (unsigned i = 0; i < spec->n_backends; i++)
		n += sg_backend_spec_is_usable(&spec->backends[i]);
	return n;
}

// The service with its arrays of backends behind it, in one block.
static struct sg_service *allocate(unsigned n_usable)
{
	return calloc(
		1, sizeof(struct sg_service) + n_usable * (sizeof(uint32_t) + sizeof(uint16_t)));
}

static bool is_usable_in(const struct sg_backend_spec *backend, enum sg_family family)
{
	return backend->address.family == family && sg_backend_spec_is_usable(backend);
}

// Writes the usable backends of a family to where the arrays of `set` point.
static void fill_set(struct sg_backend_set *set, const struct sg_service_spec *spec,
	const uint32_t *backend_slots, enum sg_family family)
{
	uint32_t *slots = (uint32_t *)set->backend_slots;
	uint16_t *weights = (uint16_t *)set->weights;

	for (unsigned i = 0; i < spec->n_backends; i++) {
		if (!is_usable_in(&spec->backends[i], family))
			continue;
		slots[set->n_backends] = backend_slots[i];
		weights[set->n_backends++] = spec->backends[i].weight;
		set->total_weight += spec->backends[i].weight;
	}
}

static void fill_sets(struct sg_service *service, const struct sg_service_spec *spec,
	const uint32_t *backend_slots, unsigned n_usable)
{
	struct sg_backend_set *set4 = &service->sets[SG_SET_IPV4];
	struct sg_backend_set *set6 = &service->sets[SG_SET_IPV6];

	set4->backend_slots = (uint32_t *)(service + 1);
	set4->weights = (uint16_t *)(set4->backend_slots + n_usable);
	fill_set(set4, spec, backend_slots, SG_FAMILY_IPV4);
	set6->backend_slots = set4->backend_slots + set4->n_backends;
	set6->weights = set4->weights + set4->n_backends;
	fill_set(set6, spec, backend_slots, SG_FAMILY_IPV6);
}

static int make_maglev(struct sg_backend_set *set, const struct sg_service_spec *spec,
	enum sg_family family, uint64_t seed)
{
	uint32_t size = spec->maglev_table_size;
	uint16_t *table = malloc(size * sizeof(*table));
	struct sg_maglev_backend *backends = malloc(set->n_backends * sizeof(*backends));
	unsigned n = 0;
	int err = -1;

	if (table && backends) {
		for (unsigned i = 0; i < spec->n_backends; i++)
			if (is_usable_in(&spec->backends[i], family))
				backends[n++] = (struct sg_maglev_backend){
					.addr = spec->backends[i].address,
					.port = spec->backends[i].port,
					.weight = spec->backends[i].weight};
		err = sg_maglev_build(backends, n, seed, table, size);
	}
	free(backends);
	set->table = table;
	set->table_size = size;
	return err;
}

static int make_table(struct sg_backend_set *set, const struct sg_service_spec *spec,
	enum sg_family family, uint64_t seed)
{
	uint16_t *sequence;

	if (set->n_backends == 0)
		return 0;
	// sh reads the same table, by the client's address alone.
	if (spec->scheduler == SG_SCHEDULER_MAGLEV || spec->scheduler == SG_SCHEDULER_SH)
		return make_maglev(set, spec, family, seed);
	if (spec->scheduler != SG_SCHEDULER_WRR)
		return 0;
	if (sg_wrr_build(set->weights, set->n_backends, &sequence, &set->table_size) < 0)
		return -1;
	set->table = sequence;
	return 0;
}

static int make_tables(struct sg_service *service, uint64_t seed)
{
	if (make_table(&service->sets[SG_SET_IPV4], service->spec, SG_FAMILY_IPV4, seed) < 0)
		return -1;
	return make_table(&service->sets[SG_SET_IPV6], service->spec, SG_FAMILY_IPV6, seed);
}

static int make_policy(struct sg_service *service, const struct sg_service *previous)
{
	const struct sg_policy_spec *spec = &service->spec->policy;

	if (sg_policy_spec_is_open(spec))
		return 0;
	if (previous && sg_policy_spec_same_prefixes(&previous->spec->policy, spec))
		service->policy = sg_policy_ref(previous->policy);
	else
		service->policy = sg_policy_compile(spec);
	return service->policy ? 0 : -1;
}

static bool is_limited(const struct sg_service_spec *spec)
{
	const struct sg_limits *limits = &spec->limits;

	for (unsigned i = 0; i < spec->n_backends; i++)
		if (spec->backends[i].max_connections)
			return true;
	return limits->max_connections || limits->max_connections_per_backend ||
	       limits->max_connections_per_client || limits->max_new_per_second ||
	       limits->max_new_per_second_per_client;
}

struct sg_service *sg_service_compile(struct sg_service_spec *spec, uint32_t slot,
	const uint32_t *backend_slots, uint64_t seed, const struct sg_service *previous)
{
	unsigned n_usable = count_usable(spec);
	struct sg_service *service = allocate(n_usable);

	if (!service)
		return NULL;
	service->slot = slot;
	service->protocol = spec->protocol;
	service->scheduler = (uint8_t)spec->scheduler;
	service->forward = (uint8_t)spec->forward;
	service->affinity = (uint8_t)spec->affinity;
	service->affinity_timeout_s = spec->affinity_timeout_s > 0 ? spec->affinity_timeout_s
								   : SG_DEFAULT_AFFINITY_TIMEOUT_S;
	service->limits = spec->limits;
	service->limited = is_limited(spec);
	service->existing = (uint8_t)spec->policy.existing;
	service->port_be = htons(spec->port);
	for (unsigned i = 0; i < spec->n_vips; i++)
		if (spec->vips[i].family == SG_FAMILY_IPV4)
			service->vip4_be = sg_addr_ipv4_be(&spec->vips[i]);
		else
			memcpy(service->vip6, spec->vips[i].bytes, sizeof(service->vip6));
	service->spec = sg_service_spec_ref(spec);
	fill_sets(service, spec, backend_slots, n_usable);
	if (make_tables(service, seed) < 0 || make_policy(service, previous) < 0) {
		sg_service_free(service);
		return NULL;
	}
	return service;
}

void sg_service_free(struct sg_service *service)
{
	if (!service)
		return;
	for (unsigned i = 0; i < SG_SET_COUNT; i++)
		free((void *)service->sets[i].table);
	sg_policy_unref(service->policy);
	sg_service_spec_unref(service->spec);
	free(service);
}
