// Start-up as a table of steps; the way down is the table upside down. See gateway.h.
#include "gateway.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/log.h"
#include "control/control.h"
#include "control/mirror.h"
#include "control/reload.h"
#include "control/shutdown.h"
#include "dataplane/dataplane.h"
#include "dataplane/pipeline.h"

#include "bridge.h"
#include "buffers.h"
#include "guard.h"
#include "instance.h"
#include "lcores.h"
#include "ports.h"
#include "twin.h"
#include "workers.h"

struct gateway {
	const char *config; // the file that settings and state come from
	const struct sg_settings *settings;
	struct sg_state *state;
	struct sg_instance *instance;
	struct sg_lcores lcores;
	struct sg_guard *guard;
	struct sg_home home;
	struct sg_dataplane dataplane;
	struct sg_workers *workers;
	struct sg_twins *twins;
	struct sg_mirror *mirror;
	struct sg_bridge bridge;
	struct sg_publisher publisher;
	struct sg_control *control;
	int signals; // signalfd
	int loads;   // timerfd; -1 with one worker
};

// Signals are read from a descriptor by the control thread; every thread started later inherits the
// mask.
static int start_signals(struct gateway *gateway, struct sg_error *error)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	gateway->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (gateway->signals < 0)
		return sg_error_set(
			error, -errno, "signals cannot be watched: %s", strerror(errno));
	return 0;
}

static void stop_signals(struct gateway *gateway)
{
	close(gateway->signals);
}

static int start_instance(struct gateway *gateway, struct sg_error *error)
{
	return sg_instance_claim(&gateway->instance, gateway->settings->instance, error);
}

static void stop_instance(struct gateway *gateway)
{
	sg_instance_release(gateway->instance);
}

static int start_eal(struct gateway *gateway, struct sg_error *error)
{
	int err = sg_lcores_choose(&gateway->lcores, gateway->settings, error);

	if (err)
		return err;
	gateway->dataplane.n_workers = gateway->lcores.n_workers;
	gateway->dataplane.n_ports = gateway->settings->n_ports;
	sg_home_init(&gateway->home, sg_toeplitz_default_key, gateway->lcores.n_workers);
	sg_lcores_raise_session();
	err = sg_eal_start(&gateway->lcores, gateway->settings,
		sg_buffers_memory_mb(gateway->settings, gateway->lcores.n_workers), error);
	if (err)
		sg_eal_stop();
	return err;
}

static void stop_eal(struct gateway *gateway)
{
	(void)gateway;
	sg_eal_stop();
}

static int start_guard(struct gateway *gateway, struct sg_error *error)
{
	return sg_guard_open(&gateway->guard, gateway->settings, error);
}

static void stop_guard(struct gateway *gateway)
{
	sg_guard_close(gateway->guard);
}

static int start_buffers(struct gateway *gateway, struct sg_error *error)
{
	int err = sg_buffers_create(&gateway->dataplane, gateway->settings, error);

	if (err)
		sg_buffers_destroy(&gateway->dataplane);
	return err;
}

static void stop_buffers(struct gateway *gateway)
{
	sg_buffers_destroy(&gateway->dataplane);
}

static int start_ports(struct gateway *gateway, struct sg_error *error)
{
	int err = sg_ports_open(&gateway->dataplane, gateway->settings, &gateway->home, error);

	if (err)
		sg_ports_close(&gateway->dataplane);
	return err;
}

static void stop_ports(struct gateway *gateway)
{
	sg_ports_close(&gateway->dataplane);
}

static int open_workers(struct gateway *gateway, struct sg_error *error)
{
	return sg_workers_open(&gateway->workers, &gateway->dataplane, gateway->settings,
		&gateway->lcores, &gateway->home, error);
}

static void close_workers(struct gateway *gateway)
{
	sg_workers_close(gateway->workers);
}

static int open_twins(struct gateway *gateway, struct sg_error *error)
{
	return sg_twins_open(&gateway->twins, &gateway->dataplane, gateway->settings, error);
}

static void close_twins(struct gateway *gateway)
{
	sg_twins_close(gateway->twins);
}

static int start_mirror(struct gateway *gateway, struct sg_error *error)
{
	struct sg_mirror_port ports[SG_MAX_PORTS];

	for (unsigned i = 0; i < gateway->dataplane.n_ports; i++) {
		ports[i].ifindex = sg_twins_ifindex(gateway->twins, i);
		memcpy(ports[i].mac, gateway->dataplane.ports[i].mac, 6);
	}
	return sg_mirror_open(&gateway->mirror, ports, gateway->dataplane.n_ports, error);
}

static void stop_mirror(struct gateway *gateway)
{
	sg_mirror_close(gateway->mirror);
}

static int start_control(struct gateway *gateway, struct sg_error *error)
{
	int err;

	sg_bridge_init(&gateway->bridge, &gateway->dataplane, &gateway->publisher);
	err = sg_control_create(&gateway->control, gateway->settings, gateway->state,
		&gateway->publisher, gateway->mirror, error);
	if (err)
		return err;
	gateway->state = NULL; // control's from here on
	err = sg_control_first_publish(gateway->control, error);
	if (err)
		sg_control_destroy(gateway->control);
	return err;
}

static void stop_control(struct gateway *gateway)
{
	sg_control_destroy(gateway->control);
	sg_bridge_fini(&gateway->bridge);
}

static int start_twins(struct gateway *gateway, struct sg_error *error)
{
	return sg_twins_start(gateway->twins, error);
}

static void stop_twins(struct gateway *gateway)
{
	sg_twins_stop(gateway->twins);
}

static int start_workers(struct gateway *gateway, struct sg_error *error)
{
	(void)error;
	sg_workers_launch(gateway->workers);
	return 0;
}

static void stop_workers(struct gateway *gateway)
{
	sg_workers_stop(gateway->workers);
}

static void on_signal(void *context, int fd, uint32_t events)
{
	struct gateway *gateway = context;
	struct signalfd_siginfo info;

	(void)events;
	while (read(fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP) {
			sg_control_reload(gateway->control, gateway->config, info.ssi_uid,
				(pid_t)info.ssi_pid);
			continue;
		}
		sg_log_info("%s: stopping", strsignal((int)info.ssi_signo));
		sg_control_shutdown(gateway->control);
	}
}

static void on_loads(void *context, int fd, uint32_t events)
{
	struct gateway *gateway = context;
	uint64_t expirations;

	(void)events;
	if (read(fd, &expirations, sizeof(expirations)) == sizeof(expirations))
		sg_workers_refresh_loads(gateway->workers);
}

static int watch_loads(struct gateway *gateway, struct sg_error *error)
{
	const struct itimerspec every_ms = {
		.it_interval.tv_nsec = 1000000, .it_value.tv_nsec = 1000000};

	gateway->loads = -1;
	if (!sg_workers_share_loads(gateway->workers))
		return 0;
	gateway->loads = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (gateway->loads < 0)
		return sg_error_set(error, -errno, "no timer is to be had: %s", strerror(errno));
	timerfd_settime(gateway->loads, 0, &every_ms, NULL);
	return sg_control_add_fd(gateway->control, gateway->loads, on_loads, gateway, error);
}

static void stop_watching(struct gateway *gateway)
{
	sg_control_remove_fd(gateway->control, gateway->signals);
	if (gateway->loads < 0)
		return;
	sg_control_remove_fd(gateway->control, gateway->loads);
	close(gateway->loads);
}

static int start_watching(struct gateway *gateway, struct sg_error *error)
{
	int err = sg_control_add_fd(gateway->control, gateway->signals, on_signal, gateway, error);

	if (err == 0)
		err = watch_loads(gateway, error);
	return err;
}

static int start_socket(struct gateway *gateway, struct sg_error *error)
{
	return sg_control_open_socket(gateway->control, error);
}

static void stop_nothing(struct gateway *gateway)
{
	(void)gateway;
}

// A step that fails has taken back what it did itself.
static const struct {
	int (*start)(struct gateway *gateway, struct sg_error *error);
	void (*stop)(struct gateway *gateway);
} steps[] = {
	{start_signals, stop_signals}, {start_instance, stop_instance}, {start_eal, stop_eal},
	{start_guard, stop_guard}, {start_buffers, stop_buffers}, {start_ports, stop_ports},
	{open_workers, close_workers}, {open_twins, close_twins}, {start_mirror, stop_mirror},
	{start_control, stop_control}, {start_twins, stop_twins}, {start_workers, stop_workers},
	{start_watching, stop_watching},
	{start_socket, stop_nothing}, // the socket is control's to close
};

#define N_STEPS (sizeof(steps) / sizeof(steps[0]))

static void log_start(const struct gateway *gateway)
{
	const struct sg_settings *settings = gateway->settings;
	unsigned n = gateway->lcores.n_workers;

	if (!settings->state_file[0])
		sg_log_info(
			"control.state_file is not set: what is changed through the socket ends "
			"with this process");
	sg_log_info("forwarding: %u ports, %u workers", settings->n_ports, n);
	sg_log_info("memory: %u MB for packets; %zu MB for each worker's %u flows (%.0f bytes a "
		    "flow), taken %s",
		sg_buffers_memory_mb(settings, n),
		sg_pipeline_bytes(settings->flows_per_worker) >> 20, settings->flows_per_worker,
		(double)sg_flow_table_bytes(settings->flows_per_worker) /
			settings->flows_per_worker,
		settings->hugepages ? "at once" : "as flows come");
}

int sg_gateway_run(const char *config, const struct sg_settings *settings, struct sg_state *state,
	struct sg_error *error)
{
	static struct gateway gateway;
	size_t started = 0;
	int err = 0;

	gateway = (struct gateway){.config = config, .settings = settings, .state = state};
	while (started < N_STEPS && (err = steps[started].start(&gateway, error)) == 0)
		started++;
	if (err == 0) {
		log_start(&gateway);
		err = sg_control_run(gateway.control, error);
	}
	while (started > 0)
		steps[--started].stop(&gateway);
	if (gateway.state)
		sg_state_fini(gateway.state);
	return err;
}
