// The layout of counters, see counters.h.
#include "service/counters.h"

#include <assert.h>

#define LINE 64

static_assert(sizeof(struct sg_traffic) % LINE == 0, "a slot's counters are whole lines");

static size_t whole_lines(size_t bytes)
{
	return (bytes + LINE - 1) / LINE * LINE;
}

static const size_t services = SG_MAX_SERVICES * sizeof(struct sg_traffic);
static const size_t backends = SG_MAX_BACKENDS * sizeof(struct sg_traffic);

static size_t service_losses(void)
{
	return whole_lines(SG_MAX_SERVICES * sizeof(struct sg_losses));
}

static size_t backend_losses(void)
{
	return whole_lines(SG_MAX_BACKENDS * sizeof(struct sg_losses));
}

size_t sg_counters_bytes(unsigned n_threads)
{
	return n_threads * (whole_lines(sizeof(struct sg_counters)) + services + backends);
}

size_t sg_losses_bytes(unsigned n_threads)
{
	return n_threads * (service_losses() + backend_losses());
}

void sg_counters_lay_out(
	void *memory, void *losses, unsigned thread, struct sg_worker_counters *ret_counters)
{
	uint8_t *at = (uint8_t *)memory + sg_counters_bytes(thread);
	uint8_t *lost = (uint8_t *)losses + sg_losses_bytes(thread);

	ret_counters->totals = (void *)at;
	ret_counters->services = (void *)(at + whole_lines(sizeof(struct sg_counters)));
	ret_counters->backends = (void *)((uint8_t *)ret_counters->services + services);
	ret_counters->service_losses = (void *)lost;
	ret_counters->backend_losses = (void *)(lost + service_losses());
}
