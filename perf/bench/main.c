// The micro benchmarks: no NIC, no packets but those made here. perf/bench/run calls this.
//
//     bench [--quick] [--json FILE] [--only SUITE] [--flows N]
//
// Tables lie on explicit 2 MB pages when enough of them are free (root: echo 3000 >
// /proc/sys/vm/nr_hugepages), and on transparent ones otherwise, those of DPDK's peers included, so
// that nobody is measured on 4 KB pages. Run it as `nice -n -20` on a machine that does nothing
// else.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_memory.h>

#include "bench/bench.h"

#define HUGE_MB_NEEDED 6000 // by the largest suite

static const struct {
	const char *name;
	sg_bench_suite_fn *run;
} suites[] = {
	{"flow_table", sg_bench_flow_table},
	{"new_flows", sg_bench_new_flows},
	{"pipeline", sg_bench_pipeline},
};

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

static void start_eal(char *program, bool hugetlb)
{
	char prefix[32];
	char *huge[] = {program, "--lcores=0", "--no-pci", "--no-telemetry", "--in-memory",
		"--log-level=error", NULL};
	char *no_huge[] = {program, "--lcores=0", "--no-pci", "--no-telemetry", "--no-huge", "-m",
		"3500", "--file-prefix", prefix, "--log-level=error", NULL};

	snprintf(prefix, sizeof(prefix), "sgbench%d", (int)getpid());
	if (rte_eal_init(hugetlb ? 6 : 10, hugetlb ? huge : no_huge) < 0)
		sg_bench_die("DPDK's environment does not start");
	if (!hugetlb)
		rte_memseg_list_walk(ask_for_huge_pages, NULL);
}

static struct sg_bench_options parse_options(int argc, char **argv)
{
	static const struct option known[] = {
		{"quick", no_argument, NULL, 'q'},
		{"json", required_argument, NULL, 'j'},
		{"only", required_argument, NULL, 'o'},
		{"flows", required_argument, NULL, 'f'},
		{0},
	};
	struct sg_bench_options options = {0};
	int key;

	while ((key = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (key == 'q')
			options.quick = true;
		else if (key == 'j')
			options.json = optarg;
		else if (key == 'o')
			options.only = optarg;
		else if (key == 'f')
			options.flows = (uint32_t)strtoul(optarg, NULL, 10);
		else
			sg_bench_die("usage: bench [--quick] [--json FILE] [--only SUITE] "
				     "[--flows N]");
	}
	return options;
}

int main(int argc, char **argv)
{
	struct sg_bench_options options = parse_options(argc, argv);
	bool hugetlb = free_huge_mb() >= (options.quick ? HUGE_MB_NEEDED / 10 : HUGE_MB_NEEDED);
	struct sg_bench bench;

	start_eal(argv[0], hugetlb);
	sg_bench_open(&bench, &options, hugetlb);
	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
		if (!options.only ||
			strncmp(suites[i].name, options.only, strlen(options.only)) == 0)
			suites[i].run(&bench);
	}
	return sg_bench_close(&bench);
}
