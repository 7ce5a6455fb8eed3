// Measures what a device under test forwards, over zero-copy memif: perf/throughput/run starts the
// device, this, and puts its figures into a table.
//
//     generator --socket PATH --cpu N --name NAME [--prefix NAME] [--gateway MAC]
//               [--flows N] [--seconds S]
//
// First it sends as much as goes; then 10, 50, 80 and 100 % of the rate found, and measures round
// trips. It prints one JSON object:
//
//     {"device", "flows", "mpps", "lost", "held_back_percent",
//      "loads": [{"percent", "mpps", "sent", "lost", "wrong", "behind", "p50_us", "p99_us",
//                 "p999_us", "samples", "left_out", "stalls", "stall_max_us", "silences",
//                 "silence_max_us"}]}
//
// Mpps are packets that the device has forwarded: a round trip is two. `held_back_percent` says how
// often the flood had to wait for the device: near 100, the device is what limits the rig; near 0,
// the generator is. Round trips during which the generator's own CPU was taken away are
// left out and counted.
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "base/log.h"
#include "base/option_error.h"
#include "traffic.h"

#define BUFFERS      32767
#define CACHE        512
#define ROOM         2048
#define LINK_SECONDS 20
#define WARM_SECONDS 0.5
#define OUR_MAC                     \
	{                           \
		2, 0, 0, 0, 0x67, 1 \
	}

static const unsigned percents[] = {10, 50, 80, 100};
#define N_PERCENTS (sizeof(percents) / sizeof(percents[0]))

struct options {
	const char *socket, *name, *prefix;
	int cpu;
	double seconds;
	struct sg_traffic_options traffic;
};

static void die(const char *sentence)
{
	fprintf(stderr, "generator: %s\n", sentence);
	exit(1);
}

static bool parse_mac(const char *text, uint8_t ret_mac[6])
{
	return sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &ret_mac[0], &ret_mac[1],
		       &ret_mac[2], &ret_mac[3], &ret_mac[4], &ret_mac[5]) == 6;
}

static struct options parse_options(int argc, char **argv)
{
	static const struct option known[] = {
		{"socket", required_argument, NULL, 's'},
		{"cpu", required_argument, NULL, 'c'},
		{"name", required_argument, NULL, 'n'},
		{"prefix", required_argument, NULL, 'p'},
		{"gateway", required_argument, NULL, 'g'},
		{"flows", required_argument, NULL, 'f'},
		{"seconds", required_argument, NULL, 't'},
		{0},
	};
	struct options options = {.name = "device",
		.prefix = "generator",
		.cpu = -1,
		.seconds = 5,
		.traffic = {.flows = 10000,
			.gateway_mac = {2, 0, 0, 0, 0x67, 2},
			.mac = OUR_MAC,
			.vip_be = __builtin_bswap32(0xc000020a), // 192.0.2.10
			.backend_port = 8080}};
	int key;

	sg_log_open("generator");
	opterr = 0;
	while ((key = getopt_long(argc, argv, ":", known, NULL)) != -1) {
		if (key == 's')
			options.socket = optarg;
		else if (key == 'c')
			options.cpu = atoi(optarg);
		else if (key == 'n')
			options.name = optarg;
		else if (key == 'p')
			options.prefix = optarg;
		else if (key == 'f')
			options.traffic.flows = (uint32_t)strtoul(optarg, NULL, 10);
		else if (key == 't')
			options.seconds = atof(optarg);
		else if (key == 'g' && parse_mac(optarg, options.traffic.gateway_mac))
			options.traffic.gateway = true;
		else {
			sg_option_error(argv, key, "perf/throughput/run");
			exit(2);
		}
	}
	if (!options.socket || options.cpu < 0 || options.traffic.flows == 0 ||
		options.seconds <= 0)
		die("--socket, --cpu, flows and seconds are wanted");
	return options;
}

static void start_eal(const char *program, const struct options *options)
{
	static char name[32], lcores[32], prefix[96], device[256]; // EAL keeps pointers to them
	char *arguments[] = {name, lcores, prefix, device, "--no-pci", "--no-telemetry",
		"--in-memory", "--single-file-segments", "--log-level=error", NULL};

	snprintf(name, sizeof(name), "%s", program);
	snprintf(lcores, sizeof(lcores), "--lcores=0@%d", options->cpu);
	snprintf(prefix, sizeof(prefix), "--file-prefix=%s", options->prefix);
	snprintf(device, sizeof(device),
		"--vdev=net_memif0,role=client,id=0,socket-abstract=no,socket=%s,zero-copy=yes,rsize=%u",
		options->socket, SG_TRAFFIC_RING_LOG2);
	if (rte_eal_init(sizeof(arguments) / sizeof(arguments[0]) - 1, arguments) < 0)
		die("DPDK's environment does not start: are there 2 MB pages?");
}

static struct rte_mempool *open_port(uint16_t port)
{
	struct rte_mempool *mempool = rte_pktmbuf_pool_create(
		"packets", BUFFERS, CACHE, 0, RTE_PKTMBUF_HEADROOM + ROOM, SOCKET_ID_ANY);
	const struct rte_eth_conf conf = {0};

	if (!mempool)
		die("no memory for packets: more 2 MB pages are needed");
	if (rte_eth_dev_configure(port, 1, 1, &conf) != 0 ||
		rte_eth_rx_queue_setup(port, 0, 1 << SG_TRAFFIC_RING_LOG2, 0, NULL, mempool) != 0 ||
		rte_eth_tx_queue_setup(port, 0, 1 << SG_TRAFFIC_RING_LOG2, 0, NULL) != 0 ||
		rte_eth_dev_start(port) != 0)
		die("memif does not start");
	return mempool;
}

static void wait_for_link(uint16_t port)
{
	struct rte_eth_link link = {0};

	for (unsigned i = 0; i < LINK_SECONDS * 100; i++) {
		rte_eth_link_get_nowait(port, &link);
		if (link.link_status == RTE_ETH_LINK_UP)
			return;
		usleep(10000);
	}
	die("the device under test does not answer on its memif socket");
}

static double microseconds(double ticks)
{
	return ticks * 1e6 / (double)rte_get_tsc_hz();
}

static double stamp_us(const struct sg_latency *latency, double share)
{
	return microseconds(sg_latency_quantile(latency, share) * (1 << SG_STAMP_SHIFT));
}

static uint64_t count_lost(const struct sg_traffic_counts *counts)
{
	return counts->sent - counts->received;
}

static void print_load(struct sg_traffic *traffic, unsigned percent, double rate, double seconds)
{
	const struct sg_traffic_counts *counts = &traffic->counts;
	double forwarded = sg_traffic_run(traffic, seconds, rate / 2 * percent / 100);

	printf("{\"percent\": %u, \"mpps\": %.3f, \"sent\": %lu, \"lost\": %lu, \"wrong\": %lu, "
	       "\"behind\": %lu, \"p50_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f, "
	       "\"samples\": %lu, \"left_out\": %lu, \"stalls\": %lu, \"stall_max_us\": %.0f, "
	       "\"silences\": %lu, \"silence_max_us\": %.0f}",
		percent, forwarded / 1e6, counts->sent, count_lost(counts), counts->wrong,
		counts->behind, stamp_us(&counts->latency, 0.5), stamp_us(&counts->latency, 0.99),
		stamp_us(&counts->latency, 0.999), counts->latency.n, counts->left_out,
		counts->stalls, microseconds((double)counts->stall_max), counts->silences,
		microseconds((double)counts->silence_max));
}

static void measure(struct sg_traffic *traffic, const struct options *options)
{
	const struct sg_traffic_counts *counts = &traffic->counts;
	double rate;

	sg_traffic_run(
		traffic, WARM_SECONDS, 0); // fills caches, and reaches all of the device's table
	rate = sg_traffic_run(traffic, options->seconds, 0);
	printf("{\"device\": \"%s\", \"flows\": %u, \"mpps\": %.3f, \"lost\": %lu, \"wrong\": %lu, "
	       "\"held_back_percent\": %.1f, \"loads\": [",
		options->name, options->traffic.flows, rate / 1e6, count_lost(counts),
		counts->wrong, 100.0 * (double)counts->held_back / (double)counts->turns);
	for (unsigned i = 0; i < N_PERCENTS; i++) {
		print_load(traffic, percents[i], rate, options->seconds);
		printf(i + 1 < N_PERCENTS ? ", " : "]}\n");
	}
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv);
	struct sg_traffic *traffic = malloc(sizeof(*traffic));
	struct rte_mempool *mempool;

	if (!traffic)
		die("no memory");
	start_eal(argv[0], &options);
	mempool = open_port(0);
	wait_for_link(0);
	sg_traffic_init(traffic, &options.traffic, 0, mempool);
	if (options.traffic.gateway && !sg_traffic_establish(traffic)) {
		fprintf(stderr, "generator: %u of %u flows were opened; strays %lu, wrong %lu\n",
			traffic->n_established, options.traffic.flows, traffic->counts.strays,
			traffic->counts.wrong);
		return 1;
	}
	measure(traffic, &options);
	fflush(stdout);
	// net_memif unmaps the rings of a peer that goes away while its own worker still polls
	// them: so the device goes first, and whoever started us ends us.
	for (;;)
		pause();
}
