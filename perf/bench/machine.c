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

static void read_cpu_time(unsigned long long *ret_all, unsigned long long *ret_stolen)
{
	FILE *file = fopen("/proc/stat", "r");
	unsigned long long part[8] = {0}; // user nice system idle iowait irq softirq steal

	if (file && fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &part[0], &part[1],
			    &part[2], &part[3], &part[4], &part[5], &part[6], &part[7]) != 8)
		memset(part, 0, sizeof(part));
	if (file)
		fclose(file);
	*ret_all = 0;
	for (unsigned i = 0; i < 8; i++)
		*ret_all += part[i];
	*ret_stolen = part[7];
}

void sg_bench_machine_open(struct sg_bench_machine *machine)
{
	if (getloadavg(&machine->load, 1) != 1)
		machine->load = -1;
	read_cpu_time(&machine->all, &machine->stolen);
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
	unsigned long long all, stolen;

	read_cpu_time(&all, &stolen);
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
		"  \"cpus\": %ld,\n  \"tsc_mhz\": %.1f,\n  \"load_before\": %.2f,\n"
		"  \"stolen_percent\": %.2f}",
		sysconf(_SC_NPROCESSORS_ONLN), 1000.0 / bench->ns_per_tick, machine->load,
		all > machine->all
			? 100.0 * (double)(stolen - machine->stolen) / (double)(all - machine->all)
			: 0.0);
}
