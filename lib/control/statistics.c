// Sums and baselines, see statistics.h.
#include "control/statistics.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

// struct sg_traffic as an array: every field is a counter.
#define N_TRAFFIC (sizeof(struct sg_traffic) / sizeof(sg_counter))
#define AT(field) (offsetof(struct sg_traffic, field) / sizeof(sg_counter))

struct baseline {
	uint64_t counters[N_TRAFFIC];
};

// Two large arrays by slot, of which the kernel fills the pages that are used.
struct sg_statistics {
	const struct sg_publisher *publisher;
	struct baseline *services;
	struct baseline *backends;
};

struct sg_statistics *sg_statistics_create(const struct sg_publisher *publisher)
{
	struct sg_statistics *statistics = calloc(1, sizeof(*statistics));

	if (!statistics)
		return NULL;
	statistics->publisher = publisher;
	statistics->services = calloc(SG_MAX_SERVICES, sizeof(struct baseline));
	statistics->backends = calloc(SG_MAX_BACKENDS, sizeof(struct baseline));
	if (!statistics->services || !statistics->backends) {
		sg_statistics_destroy(statistics);
		return NULL;
	}
	return statistics;
}

void sg_statistics_destroy(struct sg_statistics *statistics)
{
	if (!statistics)
		return;
	free(statistics->services);
	free(statistics->backends);
	free(statistics);
}

// Sums one slot over all threads. Threads without such an array (the twins') count none.
static struct baseline sum_slot(
	const struct sg_statistics *statistics, uint32_t slot, bool is_service)
{
	const struct sg_publisher *publisher = statistics->publisher;
	struct baseline sum = {0};

	for (unsigned thread = 0; thread <= publisher->n_workers; thread++) {
		const struct sg_worker_counters *counters = &publisher->counters[thread];
		const struct sg_traffic *traffic =
			is_service ? counters->services : counters->backends;
		const sg_counter *slot_counters;

		if (!traffic)
			continue;
		slot_counters = (const sg_counter *)(traffic + slot);
		for (unsigned i = 0; i < N_TRAFFIC; i++)
			sum.counters[i] += sg_counter_read(&slot_counters[i]);
	}
	return sum;
}

void sg_statistics_begin_service(struct sg_statistics *statistics, uint32_t slot)
{
	statistics->services[slot] = sum_slot(statistics, slot, true);
}

void sg_statistics_begin_backend(struct sg_statistics *statistics, uint32_t slot)
{
	statistics->backends[slot] = sum_slot(statistics, slot, false);
}

static void fill_traffic(struct sg_statistics_traffic *ret_traffic, const struct baseline *now,
	const struct baseline *baseline)
{
	uint64_t since[N_TRAFFIC];
	uint64_t created = now->counters[AT(flows_created)];
	uint64_t ended = now->counters[AT(flows_ended)];

	for (unsigned i = 0; i < N_TRAFFIC; i++)
		since[i] = now->counters[i] - baseline->counters[i];
	*ret_traffic = (struct sg_statistics_traffic){
		// The two were read one after the other, while workers count.
		.flows = created > ended ? created - ended : 0,
		.new_flows = since[AT(flows_created)],
		.packets_to_backend = since[AT(packets_to_backend)],
		.bytes_to_backend = since[AT(bytes_to_backend)],
		.packets_to_client = since[AT(packets_to_client)],
		.bytes_to_client = since[AT(bytes_to_client)],
		.dropped = since[AT(dropped)],
	};
}

void sg_statistics_service(const struct sg_statistics *statistics, uint32_t slot,
	struct sg_statistics_traffic *ret_traffic)
{
	struct baseline now = sum_slot(statistics, slot, true);

	fill_traffic(ret_traffic, &now, &statistics->services[slot]);
}

void sg_statistics_backend(const struct sg_statistics *statistics, uint32_t slot,
	struct sg_statistics_traffic *ret_traffic)
{
	struct baseline now = sum_slot(statistics, slot, false);

	fill_traffic(ret_traffic, &now, &statistics->backends[slot]);
}

void sg_statistics_thread(const struct sg_statistics *statistics, unsigned thread,
	struct sg_statistics_packets *ret_packets)
{
	const struct sg_counters *counters = statistics->publisher->counters[thread].totals;

	*ret_packets = (struct sg_statistics_packets){
		.received = sg_counter_read(&counters->received),
		.generated = sg_counter_read(&counters->generated),
		.forwarded = sg_counter_read(&counters->forwarded),
		.punted = sg_counter_read(&counters->punted),
		.consumed = sg_counter_read(&counters->consumed),
		.handed_in = sg_counter_read(&counters->handed_in),
		.handed_out = sg_counter_read(&counters->handed_out),
		.in_flight = sg_counter_read(&counters->held),
	};
	for (unsigned drop = 1; drop < SG_DROP_COUNT; drop++)
		ret_packets->dropped[drop] = sg_counter_read(&counters->dropped[drop]);
}

void sg_statistics_all(
	const struct sg_statistics *statistics, struct sg_statistics_packets *ret_packets)
{
	struct sg_statistics_packets all = {0}, one;

	for (unsigned thread = 0; thread <= statistics->publisher->n_workers; thread++) {
		sg_statistics_thread(statistics, thread, &one);
		all.received += one.received;
		all.generated += one.generated;
		all.forwarded += one.forwarded;
		all.punted += one.punted;
		all.consumed += one.consumed;
		all.handed_in += one.handed_in;
		all.handed_out += one.handed_out;
		all.in_flight += one.in_flight;
		for (unsigned drop = 1; drop < SG_DROP_COUNT; drop++)
			all.dropped[drop] += one.dropped[drop];
	}
	// Packets in a ring between two threads. Read at different moments while packets flow, so
	// never below 0.
	if (all.handed_out > all.handed_in)
		all.in_flight += all.handed_out - all.handed_in;
	*ret_packets = all;
}

uint64_t sg_statistics_flows(const struct sg_statistics *statistics)
{
	uint64_t flows = 0;

	for (unsigned worker = 0; worker < statistics->publisher->n_workers; worker++)
		flows += sg_counter_read(&statistics->publisher->counters[worker].totals->flows);
	return flows;
}
