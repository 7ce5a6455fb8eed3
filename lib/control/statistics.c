// Sums and baselines, see statistics.h.
#include "control/statistics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/region.h"

// struct sg_traffic as an array: every field is a counter.
#define N_TRAFFIC (sizeof(struct sg_traffic) / sizeof(sg_counter))
#define AT(field) (offsetof(struct sg_traffic, field) / sizeof(sg_counter))

struct tally {
	uint64_t traffic[N_TRAFFIC];
	uint64_t losses[2][SG_SERVICE_DROP_COUNT];
};

// What a slot's counters showed when its tenant moved in.
struct backend_book {
	struct tally baseline;
	bool counted;            // it is in the list of `service`
	uint32_t service;        // slot
	uint32_t next, previous; // in that list, plus one; 0: none
};

struct service_book {
	struct tally baseline;
	struct tally retired; // of backends whose slots have found other tenants
	uint32_t first;       // backend, plus one
};

// Two large arrays by slot, of which the kernel fills the pages that are used.
struct sg_statistics {
	const struct sg_publisher *publisher;
	struct sg_region books; // both
	struct service_book *services;
	struct backend_book *backends;
};

struct sg_statistics *sg_statistics_create(const struct sg_publisher *publisher)
{
	struct sg_statistics *statistics = calloc(1, sizeof(*statistics));
	struct sg_error error;

	if (!statistics)
		return NULL;
	statistics->publisher = publisher;
	if (sg_region_open(&statistics->books,
		    SG_MAX_BACKENDS * sizeof(struct backend_book) +
			    SG_MAX_SERVICES * sizeof(struct service_book),
		    false, &error) != 0) {
		free(statistics);
		return NULL;
	}
	statistics->backends = statistics->books.bytes;
	statistics->services = (void *)(statistics->backends + SG_MAX_BACKENDS);
	return statistics;
}

void sg_statistics_destroy(struct sg_statistics *statistics)
{
	if (!statistics)
		return;
	sg_region_close(&statistics->books);
	free(statistics);
}

static void add_counters(
	struct tally *tally, const struct sg_traffic *traffic, const struct sg_losses *losses)
{
	const sg_counter *counters = (const sg_counter *)traffic;

	for (unsigned i = 0; i < N_TRAFFIC; i++)
		tally->traffic[i] += sg_counter_read(&counters[i]);
	for (unsigned i = 0; i < SG_SERVICE_DROP_COUNT; i++) {
		tally->losses[0][i] += sg_counter_read(&losses->by_number[0][i]);
		tally->losses[1][i] += sg_counter_read(&losses->by_number[1][i]);
	}
}

// A slot's counters over all threads. Threads without such an array (the twins') count none.
static struct tally sum_service(const struct sg_statistics *statistics, uint32_t slot)
{
	const struct sg_publisher *publisher = statistics->publisher;
	struct tally sum = {0};

	for (unsigned thread = 0; thread <= publisher->n_workers; thread++) {
		const struct sg_worker_counters *counters = &publisher->counters[thread];

		if (counters->services)
			add_counters(
				&sum, &counters->services[slot], &counters->service_losses[slot]);
	}
	return sum;
}

static struct tally sum_backend(const struct sg_statistics *statistics, uint32_t slot)
{
	const struct sg_publisher *publisher = statistics->publisher;
	struct tally sum = {0};

	for (unsigned thread = 0; thread <= publisher->n_workers; thread++) {
		const struct sg_worker_counters *counters = &publisher->counters[thread];

		if (counters->backends)
			add_counters(
				&sum, &counters->backends[slot], &counters->backend_losses[slot]);
	}
	return sum;
}

static void add(struct tally *tally, const struct tally *more)
{
	for (unsigned i = 0; i < N_TRAFFIC; i++)
		tally->traffic[i] += more->traffic[i];
	for (unsigned i = 0; i < SG_SERVICE_DROP_COUNT; i++) {
		tally->losses[0][i] += more->losses[0][i];
		tally->losses[1][i] += more->losses[1][i];
	}
}

static struct tally since(const struct tally *now, const struct tally *baseline)
{
	struct tally since = *now;

	for (unsigned i = 0; i < N_TRAFFIC; i++)
		since.traffic[i] -= baseline->traffic[i];
	for (unsigned i = 0; i < SG_SERVICE_DROP_COUNT; i++) {
		since.losses[0][i] -= baseline->losses[0][i];
		since.losses[1][i] -= baseline->losses[1][i];
	}
	return since;
}

static void leave_list(struct sg_statistics *statistics, struct backend_book *book)
{
	if (book->next)
		statistics->backends[book->next - 1].previous = book->previous;
	if (book->previous)
		statistics->backends[book->previous - 1].next = book->next;
	else
		statistics->services[book->service].first = book->next;
}

static void join_list(struct sg_statistics *statistics, uint32_t slot, uint32_t service)
{
	struct backend_book *book = &statistics->backends[slot];
	struct service_book *owner = &statistics->services[service];

	book->counted = true;
	book->service = service;
	book->previous = 0;
	book->next = owner->first;
	if (owner->first)
		statistics->backends[owner->first - 1].previous = slot + 1;
	owner->first = slot + 1;
}

void sg_statistics_begin_service(struct sg_statistics *statistics, uint32_t slot)
{
	struct service_book *book = &statistics->services[slot];

	book->baseline = sum_service(statistics, slot);
	book->retired = (struct tally){0};
	// Backends that still finish what the service was before count from here on.
	for (uint32_t at = book->first; at; at = statistics->backends[at - 1].next)
		statistics->backends[at - 1].baseline = sum_backend(statistics, at - 1);
}

void sg_statistics_begin_backend(
	struct sg_statistics *statistics, uint32_t slot, uint32_t service_slot)
{
	struct backend_book *book = &statistics->backends[slot];

	// fast path: the first tenant of a slot counts from zero by itself.
	if (book->counted) {
		struct tally now = sum_backend(statistics, slot);
		struct tally done = since(&now, &book->baseline);

		add(&statistics->services[book->service].retired, &done);
		leave_list(statistics, book);
		book->baseline = now;
	}
	join_list(statistics, slot, service_slot);
}

static uint64_t sum_losses(const uint64_t losses[2][SG_SERVICE_DROP_COUNT])
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < SG_SERVICE_DROP_COUNT; i++)
		sum += losses[0][i] + losses[1][i];
	return sum;
}

// `now` are the counters themselves, since they were ever counted: open flows need no baseline.
static void fill_traffic(struct sg_statistics_traffic *ret_traffic, const struct tally *tally,
	const struct tally *flows, const struct tally *now)
{
	uint64_t created = now->traffic[AT(flows_created)];
	uint64_t ended = now->traffic[AT(flows_ended)];

	*ret_traffic = (struct sg_statistics_traffic){
		// The two were read one after the other, while workers count.
		.flows = created > ended ? created - ended : 0,
		.new_flows = flows->traffic[AT(flows_created)],
		.packets_to_backend = tally->traffic[AT(packets_to_backend)],
		.bytes_to_backend = tally->traffic[AT(bytes_to_backend)],
		.packets_to_client = tally->traffic[AT(packets_to_client)],
		.bytes_to_client = tally->traffic[AT(bytes_to_client)],
		.dropped = sum_losses(tally->losses),
	};
	memcpy(ret_traffic->losses, tally->losses, sizeof(ret_traffic->losses));
}

void sg_statistics_service(const struct sg_statistics *statistics, uint32_t slot,
	struct sg_statistics_traffic *ret_traffic)
{
	const struct service_book *book = &statistics->services[slot];
	struct tally now = sum_service(statistics, slot);
	struct tally own = since(&now, &book->baseline);
	struct tally all = own;

	add(&all, &book->retired);
	for (uint32_t at = book->first; at; at = statistics->backends[at - 1].next) {
		struct tally backend = sum_backend(statistics, at - 1);

		backend = since(&backend, &statistics->backends[at - 1].baseline);
		add(&all, &backend);
	}
	fill_traffic(ret_traffic, &all, &own, &now);
}

void sg_statistics_backend(const struct sg_statistics *statistics, uint32_t slot,
	struct sg_statistics_traffic *ret_traffic)
{
	struct tally now = sum_backend(statistics, slot);
	struct tally own = since(&now, &statistics->backends[slot].baseline);

	fill_traffic(ret_traffic, &own, &own, &now);
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
