// Memory, rings and lcores of the workers, see workers.h.
#include "workers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_launch.h>
#include <rte_lcore.h>

#include "base/log.h"
#include "base/region.h"
#include "dataplane/loads.h"
#include "dataplane/publish.h"
#include "dataplane/worker.h"

#define FIRST_WORKER_LCORE 1 // see lcores.h

struct sg_workers {
	struct sg_dataplane *dataplane;
	unsigned n;
	bool launched;
	const struct sg_home *home;
	struct sg_snat_pool *snat;
	struct sg_loads loads;
	struct sg_pipeline *pipelines[SG_MAX_WORKERS];
	struct sg_region counters; // of all workers and the twins' thread
	struct sg_region losses;   // likewise
	struct sg_region load_view;
	struct sg_region tunnels; // filled as routers tell of their MTUs
	struct sg_region memories[SG_MAX_WORKERS];
	struct sg_region limits[SG_MAX_WORKERS];
	struct sg_region addresses[SG_MAX_WORKERS]; // of IPv6 flows
	struct sg_worker workers[SG_MAX_WORKERS];
};

static int open_snat(
	struct sg_workers *workers, const struct sg_settings *settings, struct sg_error *error)
{
	if (settings->n_snat_addresses == 0)
		return 0;
	workers->snat = sg_snat_pool_create(workers->home, settings->snat_addresses,
		settings->n_snat_addresses, settings->snat_port_min, settings->snat_port_max,
		error);
	return workers->snat ? 0 : -EINVAL;
}

// What is counted of every flow is taken at start on 2 MB pages, and on small ones as slots are
// used. Losses by name take several times as much, of which nearly nothing is ever used: it comes
// with the losses. The last block is the twins' thread's.
static int open_counters(
	struct sg_workers *workers, const struct sg_settings *settings, struct sg_error *error)
{
	unsigned n_threads = workers->n + 1;
	int err = sg_region_open(
		&workers->counters, sg_counters_bytes(n_threads), settings->hugepages, error);

	if (err == 0)
		err = sg_region_open(&workers->losses, sg_losses_bytes(n_threads), false, error);
	for (unsigned i = 0; i < n_threads && err == 0; i++)
		sg_counters_lay_out(workers->counters.bytes, workers->losses.bytes, i,
			&workers->dataplane->counters[i]);
	return err;
}

static int open_loads(
	struct sg_workers *workers, const struct sg_settings *settings, struct sg_error *error)
{
	const size_t bytes = SG_MAX_BACKENDS * sizeof(uint32_t);
	const size_t service_bytes = SG_MAX_SERVICES * sizeof(uint32_t);
	uint8_t *at;
	int err;

	if (workers->n == 1)
		return 0;
	err = sg_region_open(&workers->load_view, (workers->n + 1) * (bytes + service_bytes),
		settings->hugepages, error);
	if (err)
		return err;
	at = workers->load_view.bytes;
	workers->loads.view = (void *)at;
	for (unsigned i = 0; i < workers->n; i++)
		workers->loads.seen[i] = (void *)(at + (i + 1) * bytes);
	at += (workers->n + 1) * bytes;
	workers->loads.service_view = (void *)at;
	for (unsigned i = 0; i < workers->n; i++)
		workers->loads.service_seen[i] = (void *)(at + (i + 1) * service_bytes);
	return 0;
}

static int open_tunnels(struct sg_workers *workers, struct sg_error *error)
{
	int err =
		sg_region_open(&workers->tunnels, SG_MAX_BACKENDS * sizeof(uint64_t), false, error);

	workers->dataplane->tunnels.notes = workers->tunnels.bytes;
	return err;
}

static struct sg_pipeline *lay_out_pipeline(
	struct sg_workers *workers, unsigned number, const struct sg_settings *settings)
{
	const struct sg_dataplane *dataplane = workers->dataplane;
	struct sg_pipeline_port ports[SG_MAX_PORTS];
	struct sg_pipeline_vlan vlans[SG_MAX_PORTS];
	unsigned n_vlans = 0;

	for (unsigned i = 0; i < dataplane->n_ports; i++) {
		memcpy(ports[i].mac, dataplane->ports[i].mac, 6);
		ports[i].mtu = dataplane->ports[i].mtu;
		if (dataplane->ports[i].vlan)
			vlans[n_vlans++] = (struct sg_pipeline_vlan){.id = dataplane->ports[i].vlan,
				.device = dataplane->ports[i].device,
				.port = (uint8_t)i};
	}
	return sg_pipeline_init(workers->memories[number].bytes,
		&(struct sg_pipeline_settings){
			.worker = number,
			.n_workers = workers->n,
			.ports = ports,
			.n_ports = dataplane->n_ports,
			.vlans = vlans,
			.n_vlans = n_vlans,
			.home = workers->home,
			.snat = workers->snat,
			.snat_port_min = settings->snat_port_min,
			.snat_port_max = settings->snat_port_max,
			.max_flows = settings->flows_per_worker,
			.addresses = workers->addresses[number].bytes,
			.limits = workers->limits[number].bytes,
			.counters = &dataplane->counters[number],
			.loads = workers->n > 1 ? &workers->loads : NULL,
			.tunnels = &dataplane->tunnels,
			.sum_chain = sg_rx_sum_chain,
		});
}

static int open_worker(struct sg_workers *workers, unsigned number,
	const struct sg_settings *settings, bool adaptive, struct sg_error *error)
{
	struct sg_worker *worker = &workers->workers[number];
	int err = sg_region_open(&workers->memories[number],
		sg_pipeline_bytes(settings->flows_per_worker), settings->hugepages, error);

	// Filled as IPv6 flows come: pages that are reserved at once would be lost without them.
	if (err == 0)
		err = sg_region_open(&workers->addresses[number],
			sg_flow_addresses_bytes(settings->flows_per_worker), false, error);
	// And these as clients of services with limits come.
	if (err == 0)
		err = sg_region_open(&workers->limits[number],
			sg_limits_bytes(settings->flows_per_worker), false, error);
	if (err)
		return err;
	workers->pipelines[number] = lay_out_pipeline(workers, number, settings);
	worker->number = number;
	worker->adaptive = adaptive;
	worker->dataplane = workers->dataplane;
	worker->pipeline = workers->pipelines[number];
	worker->counters = workers->dataplane->counters[number].totals;
	workers->dataplane->workers[number] = worker;
	sg_worker_assign_queues(worker, workers->dataplane);
	worker->reassembly = malloc(sizeof(*worker->reassembly));
	if (!worker->reassembly)
		return sg_error_set(error, -ENOMEM, "no memory for waiting fragments");
	sg_reassembly_init(worker->reassembly, worker);
	return 0;
}

static void say_who_cannot_wake(const struct sg_dataplane *dataplane)
{
	for (unsigned i = 0; i < dataplane->n_ports; i++) {
		const struct sg_port *port = &dataplane->ports[i];

		if (!port->vlan && port->rx_fds[0] == 0)
			sg_log_info("port %s: %s cannot wake a worker, so that idle ones look "
				    "5,000 times a second and take some percent of their CPU",
				port->name, port->driver);
	}
}

static int open_all(struct sg_workers *workers, const struct sg_settings *settings,
	const struct sg_lcores *lcores, struct sg_error *error)
{
	int err;

	workers->dataplane->publish = sg_publish_create(workers->n, error);
	if (!workers->dataplane->publish)
		return -ENOMEM;
	err = open_snat(workers, settings, error);
	if (err == 0)
		err = open_counters(workers, settings, error);
	if (err == 0)
		err = open_loads(workers, settings, error);
	if (err == 0)
		err = open_tunnels(workers, error);
	for (unsigned i = 0; i < workers->n && err == 0; i++)
		err = open_worker(workers, i, settings, lcores->adaptive, error);
	if (err == 0 && lcores->adaptive)
		say_who_cannot_wake(workers->dataplane);
	return err;
}

int sg_workers_open(struct sg_workers **ret_workers, struct sg_dataplane *dataplane,
	const struct sg_settings *settings, const struct sg_lcores *lcores,
	const struct sg_home *home, struct sg_error *error)
{
	struct sg_workers *workers = aligned_alloc(64, (sizeof(*workers) + 63) & ~(size_t)63);
	int err;

	if (!workers)
		return sg_error_set(error, -ENOMEM, "no memory for %u workers", lcores->n_workers);
	memset(workers, 0, sizeof(*workers));
	workers->dataplane = dataplane;
	workers->n = lcores->n_workers;
	workers->home = home;
	err = open_all(workers, settings, lcores, error);
	if (err) {
		sg_workers_close(workers);
		return err;
	}
	*ret_workers = workers;
	return 0;
}

void sg_workers_close(struct sg_workers *workers)
{
	if (!workers)
		return;
	for (unsigned i = 0; i < workers->n; i++) {
		sg_region_close(&workers->memories[i]);
		sg_region_close(&workers->limits[i]);
		sg_region_close(&workers->addresses[i]);
		free(workers->workers[i].reassembly);
	}
	sg_region_close(&workers->tunnels);
	sg_region_close(&workers->load_view);
	sg_region_close(&workers->losses);
	sg_region_close(&workers->counters);
	sg_snat_pool_destroy(workers->snat);
	sg_publish_destroy(workers->dataplane->publish);
	free(workers);
}

void sg_workers_launch(struct sg_workers *workers)
{
	for (unsigned i = 0; i < workers->n; i++)
		rte_eal_remote_launch(sg_worker_run, &workers->workers[i], FIRST_WORKER_LCORE + i);
	workers->launched = true;
}

void sg_workers_stop(struct sg_workers *workers)
{
	if (!workers || !workers->launched)
		return;
	for (unsigned i = 0; i < workers->n; i++)
		sg_worker_stop(&workers->workers[i]);
	rte_eal_mp_wait_lcore();
	workers->launched = false;
}

bool sg_workers_share_loads(const struct sg_workers *workers)
{
	return workers->n > 1;
}

void sg_workers_refresh_loads(struct sg_workers *workers)
{
	// Control is the one who frees snapshots, so the current one stays while it looks.
	const struct sg_snapshot *snapshot = sg_publish_get(workers->dataplane->publish);

	if (snapshot)
		sg_loads_refresh(&workers->loads, workers->pipelines, workers->n, snapshot);
}
