// The micro benchmarks: no NIC, no packets but those made here. perf/bench/run builds and calls
// this.
//
//     bench [--quick] [--no-huge] [--json FILE] [--only SUITE] [--flows N] [--workers N]
//           [--fact KEY=VALUE]...
//     bench [--quick] --pages    prints how many 2 MB pages it wants
//
// Tables lie on reserved 2 MB pages when enough of them are free, and on transparent ones
// otherwise, those of DPDK's peers included, so that nobody is measured on 4 KB pages.
#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_memory.h>

#include "base/log.h"
#include "base/option_error.h"
#include "bench/bench.h"

#define HUGE_MB_NEEDED       6000 // by the largest suite
#define HUGE_MB_NEEDED_QUICK 600

static const struct {
	const char *name;
	sg_bench_suite_fn *run;
} suites[] = {
	{"flow_table", sg_bench_flow_table},
	{"new_flows", sg_bench_new_flows},
	{"pipeline", sg_bench_pipeline},
	{"policy", sg_bench_policy},
	{"scale", sg_bench_scale},
	{"snapshot", sg_bench_snapshot},
};
#define N_SUITES (sizeof(suites) / sizeof(suites[0]))

static unsigned huge_mb_needed(const struct sg_bench_options *options)
{
	if (options->only && strcmp(options->only, "scale") == 0)
		return sg_bench_scale_mb(options);
	return options->quick ? HUGE_MB_NEEDED_QUICK : HUGE_MB_NEEDED;
}

static unsigned free_huge_mb(void)
{
	FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");
	unsigned pages = 0;

	if (file && fscanf(file, "%u", &pages) != 1)
		pages = 0;
	if (file)
		fclose(file);
	return pages * 2;
}

static int ask_for_huge_pages(const struct rte_memseg_list *list, void *unused)
{
	(void)unused;
	madvise(list->base_va, list->len, MADV_HUGEPAGE);
	return 0;
}

// The last CPU but `taken` that this process may use, or -1. The first one tends to have the
// interrupts.
static int choose_cpu(int taken)
{
	cpu_set_t allowed;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return -1;
	for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--) {
		if (cpu != taken && CPU_ISSET(cpu, &allowed))
			return cpu;
	}
	return -1;
}

static void start_eal(char *program, int cpu, bool hugetlb, bool quick)
{
	static char prefix[32], lcores[32]; // EAL keeps pointers to its arguments
	char *huge[] = {program, lcores, "--no-pci", "--no-telemetry", "--in-memory",
		"--log-level=error", NULL};
	char *no_huge[] = {program, lcores, "--no-pci", "--no-telemetry", "--no-huge",
		"--no-shconf", "-m", quick ? "700" : "3500", "--file-prefix", prefix,
		"--log-level=error", NULL};

	snprintf(lcores, sizeof(lcores), "--lcores=0@%d", cpu);
	snprintf(prefix, sizeof(prefix), "sgbench%d", (int)getpid());
	if (rte_eal_init(hugetlb ? 6 : 11, hugetlb ? huge : no_huge) < 0)
		sg_bench_die("DPDK's environment does not start");
	if (!hugetlb)
		rte_memseg_list_walk(ask_for_huge_pages, NULL);
}

// DPDK leaves its directory of this process behind.
static void stop_eal(void)
{
	char path[256];
	struct dirent *entry;
	DIR *directory;

	snprintf(path, sizeof(path), "%s", rte_eal_get_runtime_dir());
	rte_eal_cleanup();
	directory = opendir(path);
	if (!directory)
		return;
	while ((entry = readdir(directory))) {
		if (entry->d_type != DT_DIR)
			unlinkat(dirfd(directory), entry->d_name, 0);
	}
	closedir(directory);
	rmdir(path);
}

static void check_suite(const char *wanted)
{
	for (size_t i = 0; i < N_SUITES; i++) {
		if (strncmp(suites[i].name, wanted, strlen(wanted)) == 0)
			return;
	}
	fprintf(stderr, "bench: there is no suite %s, but these:", wanted);
	for (size_t i = 0; i < N_SUITES; i++)
		fprintf(stderr, " %s", suites[i].name);
	fputc('\n', stderr);
	exit(2);
}

static void add_fact(struct sg_bench_options *options, const char *fact)
{
	if (!strchr(fact, '=') || options->n_facts == SG_BENCH_MAX_FACTS)
		sg_bench_die("--fact takes KEY=VALUE, at most %d times", SG_BENCH_MAX_FACTS);
	options->facts[options->n_facts++] = fact;
}

static struct sg_bench_options parse_options(int argc, char **argv)
{
	static const struct option known[] = {
		{"quick", no_argument, NULL, 'q'},
		{"no-huge", no_argument, NULL, 'n'},
		{"json", required_argument, NULL, 'j'},
		{"only", required_argument, NULL, 'o'},
		{"flows", required_argument, NULL, 'f'},
		{"workers", required_argument, NULL, 'w'},
		{"fact", required_argument, NULL, 'F'},
		{"pages", no_argument, NULL, 'p'},
		{0},
	};
	struct sg_bench_options options = {0};
	bool pages = false;
	int key;

	sg_log_open("bench");
	opterr = 0;
	while ((key = getopt_long(argc, argv, ":", known, NULL)) != -1) {
		if (key == 'q')
			options.quick = true;
		else if (key == 'n')
			options.no_huge = true;
		else if (key == 'F')
			add_fact(&options, optarg);
		else if (key == 'j')
			options.json = optarg;
		else if (key == 'o')
			options.only = optarg;
		else if (key == 'f')
			options.flows = (uint32_t)strtoul(optarg, NULL, 10);
		else if (key == 'w')
			options.workers = (unsigned)strtoul(optarg, NULL, 10);
		else if (key == 'p')
			pages = true;
		else {
			sg_option_error(argv, key, "perf/bench/run");
			exit(2);
		}
	}
	if (pages) {
		printf("%u\n", huge_mb_needed(&options) / 2);
		exit(0);
	}
	if (options.only)
		check_suite(options.only);
	return options;
}

int main(int argc, char **argv)
{
	struct sg_bench_options options = parse_options(argc, argv);
	bool hugetlb = !options.no_huge && free_huge_mb() >= huge_mb_needed(&options);
	int cpu = choose_cpu(-1);
	int spare_cpu = choose_cpu(cpu);
	struct sg_bench bench;
	cpu_set_t cpus;
	int status;

	if (cpu < 0)
		sg_bench_die("no CPU is allowed to this process");
	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		sg_bench_die("the CPUs of this process are not to be known");
	start_eal(argv[0], cpu, hugetlb, options.quick);
	sg_bench_open(&bench, &options, hugetlb);
	bench.spare_cpu = spare_cpu;
	bench.cpus = cpus;
	for (size_t i = 0; i < N_SUITES; i++) {
		if (!options.only ||
			strncmp(suites[i].name, options.only, strlen(options.only)) == 0)
			suites[i].run(&bench);
	}
	status = sg_bench_close(&bench);
	stop_eal();
	return status;
}
