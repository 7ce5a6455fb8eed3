// Facts about the machine, see machine.h.
#include "bench/machine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define MAX_FACT_BYTES 128

// The first line of a file that starts with `key`, behind the colon if it has one; "unknown" where
// there is none.
static void read_fact(const char *path, const char *key, char ret_value[MAX_FACT_BYTES])
{
	FILE *file = fopen(path, "r");
	char line[512];

	snprintf(ret_value, MAX_FACT_BYTES, "unknown");
	while (file && fgets(line, sizeof(line), file)) {
		char *colon = strchr(line, ':');

		if (strncmp(line, key, strlen(key)) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(ret_value, MAX_FACT_BYTES, "%.*s", MAX_FACT_BYTES - 1,
			colon ? colon + strspn(colon, ": \t") : line);
		break;
	}
	if (file)
		fclose(file);
}

static struct sg_bench_cpu_time read_cpu_time(void)
{
	FILE *file = fopen("/proc/stat", "r");
	unsigned long long part[8] = {0}; // user nice system idle iowait irq softirq steal
	struct sg_bench_cpu_time time = {0};

	if (file && fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &part[0], &part[1],
			    &part[2], &part[3], &part[4], &part[5], &part[6], &part[7]) != 8)
		memset(part, 0, sizeof(part));
	if (file)
		fclose(file);
	for (unsigned i = 0; i < 8; i++)
		time.all += part[i];
	time.idle = part[3] + part[4];
	time.stolen = part[7];
	return time;
}

static double percent(unsigned long long part, unsigned long long all)
{
	return all > 0 ? 100.0 * (double)part / (double)all : 0;
}

void sg_bench_machine_open(struct sg_bench_machine *machine)
{
	const struct timespec look = {.tv_nsec = 500000000};
	struct sg_bench_cpu_time before = read_cpu_time();

	nanosleep(&look, NULL);
	machine->start = read_cpu_time();
	machine->busy_percent =
		percent(machine->start.all - before.all - (machine->start.idle - before.idle),
			machine->start.all - before.all);
}

static void put(FILE *file, const char *key, size_t key_length, const char *value)
{
	fprintf(file, "  \"%.*s\": \"", (int)key_length, key);
	for (; *value; value++) {
		if (*value != '"' && *value != '\\' && (unsigned char)*value >= ' ')
			fputc(*value, file);
	}
	fputs("\",\n", file);
}

static void put_file(FILE *file, const char *name, const char *path, const char *key)
{
	char value[MAX_FACT_BYTES];

	read_fact(path, key, value);
	put(file, name, strlen(name), value);
}

static void put_date(FILE *file)
{
	time_t now = time(NULL);
	char text[32];

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
	put(file, "date", strlen("date"), text);
}

static void put_system(FILE *file)
{
	struct utsname system;

	uname(&system);
	put(file, "kernel", strlen("kernel"), system.release);
	put(file, "architecture", strlen("architecture"), system.machine);
}

void sg_bench_machine_write(
	const struct sg_bench_machine *machine, const struct sg_bench *bench, FILE *file)
{
	struct sg_bench_cpu_time now = read_cpu_time();

	fputs("{\n", file);
	put_date(file);
	put_file(file, "cpu", "/proc/cpuinfo", "model name");
	put_file(file, "memory", "/proc/meminfo", "MemTotal");
	put_file(file, "governor", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "");
	put_system(file);
	put_file(file, "hugepages_total", "/proc/meminfo", "HugePages_Total");
	put_file(file, "transparent_hugepages", "/sys/kernel/mm/transparent_hugepage/enabled", "");
	put(file, "pages", strlen("pages"), bench->hugetlb ? "hugetlb 2 MB" : "transparent 2 MB");
	put(file, "compiler", strlen("compiler"), "gcc " __VERSION__);
	put(file, "version", strlen("version"), SG_VERSION);
	for (unsigned i = 0; i < bench->options.n_facts; i++) {
		const char *fact = bench->options.facts[i];

		put(file, fact, strcspn(fact, "="), strchr(fact, '=') + 1);
	}
	fprintf(file,
		"  \"cpus\": %ld,\n  \"tsc_mhz\": %.1f,\n  \"busy_before_percent\": %.1f,\n"
		"  \"stolen_percent\": %.2f}",
		sysconf(_SC_NPROCESSORS_ONLN), 1000.0 / bench->ns_per_tick, machine->busy_percent,
		percent(now.stolen - machine->start.stolen, now.all - machine->start.all));
}
