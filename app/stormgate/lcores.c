// CPUs and EAL, see lcores.h.
#include "lcores.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include "base/log.h"
#include "device.h"
#include "dpdk_log.h"

// Deciding.

static int first_cpu(const cpu_set_t *allowed, const struct sg_lcores *but)
{
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		bool taken = false;

		for (unsigned i = 0; i < but->n_workers; i++)
			taken |= but->worker_cpus[i] == (unsigned)cpu;
		if (CPU_ISSET(cpu, allowed) && !taken)
			return cpu;
	}
	return -1;
}

static int check_allowed(
	const cpu_set_t *allowed, unsigned cpu, const char *key, struct sg_error *error)
{
	if (cpu < CPU_SETSIZE && CPU_ISSET(cpu, allowed))
		return 0;
	return sg_error_set(
		error, -EINVAL, "%s names CPU %u, but this process may not run there", key, cpu);
}

static int choose_control(struct sg_lcores *lcores, const struct sg_settings *settings,
	const cpu_set_t *allowed, struct sg_error *error)
{
	static const struct sg_lcores nobody;
	int cpu = settings->control_cpu;

	if (cpu >= 0) {
		lcores->control_cpu = (unsigned)cpu;
		return check_allowed(allowed, lcores->control_cpu, "dataplane.control_cpu", error);
	}
	cpu = first_cpu(allowed, lcores);
	if (cpu < 0)
		cpu = first_cpu(allowed, &nobody);
	lcores->control_cpu = (unsigned)cpu;
	return 0;
}

static void choose_worker(struct sg_lcores *lcores, const cpu_set_t *allowed)
{
	struct sg_lcores control = {.n_workers = 1, .worker_cpus = {lcores->control_cpu}};
	int cpu = first_cpu(allowed, &control);

	lcores->n_workers = 1;
	lcores->worker_cpus[0] = cpu < 0 ? lcores->control_cpu : (unsigned)cpu;
}

static void find_shared(struct sg_lcores *lcores, bool chosen)
{
	bool repeated = false, with_control = false;

	for (unsigned i = 0; i < lcores->n_workers; i++) {
		with_control |= lcores->worker_cpus[i] == lcores->control_cpu;
		for (unsigned j = 0; j < i; j++)
			repeated |= lcores->worker_cpus[i] == lcores->worker_cpus[j];
	}
	if (!repeated && !with_control)
		return;
	lcores->adaptive = true;
	if (repeated)
		sg_log_warning(
			"dataplane.workers names a CPU more than once: workers share it and sleep when idle");
	if (with_control)
		sg_log_warning(
			"a worker shares CPU %u with the control thread, and sleeps when idle%s",
			lcores->control_cpu, chosen ? "" : " (this process may use no other CPU)");
}

int sg_lcores_choose(
	struct sg_lcores *ret_lcores, const struct sg_settings *settings, struct sg_error *error)
{
	struct sg_lcores lcores = {.n_workers = settings->n_workers};
	cpu_set_t allowed;
	int err;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return sg_error_set(
			error, -errno, "the process's CPUs cannot be read: %s", strerror(errno));
	for (unsigned i = 0; i < lcores.n_workers; i++) {
		lcores.worker_cpus[i] = settings->workers[i];
		err = check_allowed(&allowed, lcores.worker_cpus[i], "dataplane.workers", error);
		if (err)
			return err;
	}
	err = choose_control(&lcores, settings, &allowed, error);
	if (err)
		return err;
	if (lcores.n_workers == 0)
		choose_worker(&lcores, &allowed);
	lcores.adaptive =
		settings->poll_given ? settings->poll == SG_POLL_ADAPTIVE : !settings->hugepages;
	find_shared(&lcores, settings->n_workers > 0);
	*ret_lcores = lcores;
	return 0;
}

// Starting EAL.

#define MAX_ARGUMENTS      (16 + 2 * SG_MAX_PORTS)
#define MAX_ARGUMENT_BYTES 1024

// EAL keeps pointers into its arguments for the life of the process.
static struct {
	char texts[MAX_ARGUMENTS][MAX_ARGUMENT_BYTES];
	char *pointers[MAX_ARGUMENTS + 1];
	int n;
} arguments;

static void add_argument(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void add_argument(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(arguments.texts[arguments.n], MAX_ARGUMENT_BYTES, format, args);
	va_end(args);
	arguments.pointers[arguments.n] = arguments.texts[arguments.n];
	arguments.n++;
}

static void add_lcores(const struct sg_lcores *lcores)
{
	char text[MAX_ARGUMENT_BYTES];
	int length = snprintf(text, sizeof(text), "0@%u", lcores->control_cpu);

	for (unsigned i = 0; i < lcores->n_workers; i++)
		length += snprintf(text + length, sizeof(text) - (size_t)length, ",%u@%u", i + 1,
			lcores->worker_cpus[i]);
	add_argument("--lcores=%s", text);
}

static void build_arguments(
	const struct sg_lcores *lcores, const struct sg_settings *settings, unsigned memory_mb)
{
	unsigned n_pci = 0;

	add_argument("stormgate");
	add_lcores(lcores);
	add_argument("--file-prefix=%s", settings->instance);
	add_argument("--no-telemetry");
	add_argument("--log-level=warning");
	if (settings->hugepages) {
		add_argument("--in-memory");
	} else {
		add_argument("--no-huge");
		add_argument("--no-shconf");
		add_argument("-m");
		add_argument("%u", memory_mb);
	}
	for (unsigned i = 0; i < settings->n_ports; i++) {
		if (!sg_device_is_pci(settings->ports[i].device))
			continue;
		add_argument("-a");
		add_argument("%s", settings->ports[i].device);
		n_pci++;
	}
	if (n_pci == 0)
		add_argument("--no-pci");
}

static bool started;

// Free hugepages of any size, in MB.
static unsigned long free_hugepages_mb(void)
{
	static const unsigned long sizes_kb[] = {2048, 1048576};
	unsigned long sum_mb = 0;

	for (size_t i = 0; i < sizeof(sizes_kb) / sizeof(sizes_kb[0]); i++) {
		unsigned long n = 0;
		char path[100];
		FILE *file;

		snprintf(path, sizeof(path),
			"/sys/kernel/mm/hugepages/hugepages-%lukB/free_hugepages", sizes_kb[i]);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fscanf(file, "%lu", &n) == 1)
			sum_mb += n * (sizes_kb[i] / 1024);
		fclose(file);
	}
	return sum_mb;
}

// DPDK makes the directory even when it puts nothing there, and leaves it. Ends with the one above
// it, if that is empty now.
static void remove_runtime_directory(char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;

	if (!directory)
		return;
	while ((entry = readdir(directory))) {
		if (entry->d_type != DT_DIR)
			unlinkat(dirfd(directory), entry->d_name, 0);
	}
	closedir(directory);
	rmdir(path);
	*strrchr(path, '/') = '\0';
	rmdir(path);
}

static void remove_leftovers(const char *instance)
{
	char path[128];

	snprintf(path, sizeof(path), "/var/run/dpdk/%s", instance);
	remove_runtime_directory(path);
}

#define SESSION_NICE "-10"

void sg_lcores_raise_session(void)
{
	int fd;

	// Somebody else's session is not ours to raise.
	if (getsid(0) != getpid())
		return;
	fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, SESSION_NICE, strlen(SESSION_NICE)) < 0)
		sg_log_warning(
			"this session's share of the CPU cannot be raised: %s", strerror(errno));
	close(fd);
}

int sg_eal_start(const struct sg_lcores *lcores, const struct sg_settings *settings,
	unsigned memory_mb, struct sg_error *error)
{
	unsigned long free_mb = free_hugepages_mb();

	if (settings->hugepages && free_mb < memory_mb)
		return sg_error_set(error, -ENOMEM,
			"dataplane.hugepages is true, and %u MB of hugepages are needed, but %lu MB are free: "
			"echo %u > /proc/sys/vm/nr_hugepages, or set dataplane.hugepages = false",
			memory_mb, free_mb, (memory_mb + 1) / 2 + 64);
	remove_leftovers(settings->instance);
	build_arguments(lcores, settings, memory_mb);
	sg_dpdk_log_open();
	if (rte_eal_init(arguments.n, arguments.pointers) >= 0) {
		started = true;
		return 0;
	}
	sg_error_set(error, -rte_errno, "DPDK does not start: %s", sg_dpdk_log_reason());
	remove_leftovers(settings->instance);
	return rte_errno ? -rte_errno : -EIO;
}

void sg_eal_stop(void)
{
	char path[256];

	if (!started)
		return;
	started = false;
	snprintf(path, sizeof(path), "%s", rte_eal_get_runtime_dir());
	rte_eal_cleanup();
	sg_dpdk_log_close();
	if (strchr(path, '/'))
		remove_runtime_directory(path);
}
