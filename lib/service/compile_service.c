// Compiles one service: its usable backends, its scheduler's table, its allow trie. See
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
	struct sg_service *service =
		calloc(1, sizeof(*service) + n_usable * (sizeof(uint32_t) + sizeof(uint16_t)));

	if (!service)
		return NULL;
	service->refs = 1;
	service->n_backends = (uint16_t)n_usable;
	service->backend_slots = (uint32_t *)(service + 1);
	service->weights = (uint16_t *)(service->backend_slots + n_usable);
	return service;
}

static void fill_backends(struct sg_service *service, const struct sg_service_spec *spec,
	const uint32_t *backend_slots)
{
	uint32_t *slots = (uint32_t *)service->backend_slots;
	uint16_t *weights = (uint16_t *)service->weights;
	unsigned n = 0;

	for (unsigned i = 0; i < spec->n_backends; i++) {
		if (!sg_backend_spec_is_usable(&spec->backends[i]))
			continue;
		slots[n] = backend_slots[i];
		weights[n++] = spec->backends[i].weight;
		service->total_weight += spec->backends[i].weight;
	}
}

static int make_maglev(struct sg_service *service, uint64_t seed)
{
	const struct sg_service_spec *spec = service->spec;
	uint32_t size = spec->maglev_table_size;
	uint16_t *table = malloc(size * sizeof(*table));
	struct sg_maglev_backend *backends = malloc(service->n_backends * sizeof(*backends));
	unsigned n = 0;
	int err = -1;

	if (table && backends) {
		for (unsigned i = 0; i < spec->n_backends; i++)
			if (sg_backend_spec_is_usable(&spec->backends[i]))
				backends[n++] = (struct sg_maglev_backend){
					.addr = spec->backends[i].address,
					.port = spec->backends[i].port,
					.weight = spec->backends[i].weight};
		err = sg_maglev_build(backends, n, seed, table, size);
	}
	free(backends);
	service->table = table;
	service->table_size = size;
	return err;
}

static int make_table(struct sg_service *service, uint64_t seed)
{
	uint16_t *sequence;

	if (service->n_backends == 0)
		return 0;
	// sh reads the same table, by the client's address alone.
	if (service->scheduler == SG_SCHEDULER_MAGLEV || service->scheduler == SG_SCHEDULER_SH)
		return make_maglev(service, seed);
	if (service->scheduler != SG_SCHEDULER_WRR)
		return 0;
	if (sg_wrr_build(service->weights, service->n_backends, &sequence, &service->table_size) <
		0)
		return -1;
	service->table = sequence;
	return 0;
}

static bool allow_equal(const struct sg_service_spec *a, const struct sg_service_spec *b)
{
	if (a->allow_everyone != b->allow_everyone || a->n_allow != b->n_allow)
		return false;
	for (unsigned i = 0; i < a->n_allow; i++)
		if (a->allow[i].length != b->allow[i].length ||
			!sg_addr_equal(&a->allow[i].addr, &b->allow[i].addr))
			return false;
	return true;
}

static int make_allow(struct sg_service *service, const struct sg_service *previous)
{
	const struct sg_service_spec *spec = service->spec;
	struct sg_trie_entry *entries;

	service->allow_everyone = spec->allow_everyone;
	if (spec->allow_everyone)
		return 0;
	if (previous && allow_equal(previous->spec, spec)) {
		service->allow4 = sg_trie_ref(previous->allow4);
		return 0;
	}
	entries = malloc((spec->n_allow + 1) * sizeof(*entries));
	if (!entries)
		return -1;
	for (unsigned i = 0; i < spec->n_allow; i++)
		entries[i] = (struct sg_trie_entry){.prefix = spec->allow[i], .value = 1};
	service->allow4 = sg_trie_create(entries, spec->n_allow, SG_FAMILY_IPV4);
	free(entries);
	return service->allow4 ? 0 : -1;
}

struct sg_service *sg_service_compile(struct sg_service_spec *spec, uint32_t slot,
	const uint32_t *backend_slots, uint64_t seed, const struct sg_service *previous)
{
	struct sg_service *service = allocate(count_usable(spec));

	if (!service)
		return NULL;
	service->slot = slot;
	service->protocol = spec->protocol;
	service->scheduler = (uint8_t)spec->scheduler;
	service->forward = (uint8_t)spec->forward;
	service->affinity = (uint8_t)spec->affinity;
	service->affinity_timeout_s = spec->affinity_timeout_s > 0 ? spec->affinity_timeout_s
								   : SG_DEFAULT_AFFINITY_TIMEOUT_S;
	service->port_be = htons(spec->port);
	for (unsigned i = 0; i < spec->n_vips; i++)
		if (spec->vips[i].family == SG_FAMILY_IPV4)
			service->vip4_be = sg_addr_ipv4_be(&spec->vips[i]);
	service->spec = sg_service_spec_ref(spec);
	fill_backends(service, spec, backend_slots);
	if (make_table(service, seed) < 0 || make_allow(service, previous) < 0) {
		sg_service_unref(service);
		return NULL;
	}
	return service;
}

struct sg_service *sg_service_ref(struct sg_service *service)
{
	service->refs++;
	return service;
}

void sg_service_unref(struct sg_service *service)
{
	if (!service || --service->refs > 0)
		return;
	free((void *)service->table);
	sg_trie_unref(service->allow4);
	sg_service_spec_unref(service->spec);
	free(service);
}
