// How long the control thread is busy with one thing, at 10,000 services of 10 backends each.
//
//     turns [--services N]          root: it makes a network namespace with a TAP device
//
// The control thread is the real one, with its socket, its state file, and the kernel's routes of a
// namespace of its own; workers are a fake that uses every snapshot at once. Each row is one thing
// that may come up, and tells how long it took until it was done (wall clock), and what CPU time
// the longest turn of the control thread's loop took meanwhile: nobody else is served for so long.
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "bench/bench.h"
#include "control/config_file.h"
#include "control/control.h"
#include "control/reload.h"
#include "storms/client.h"

#define OWNERS    2000
#define MAX_FLOWS 1024
#define TWIN      "sg-turns"

#define MAX_ROUNDS 20
#define SETTLE_US  100000

// --- a data plane that does as it is told

struct fake {
	struct sg_counters totals[2];
	struct sg_worker_counters counters[2];
	struct sg_flow_table *tables[1];
	uint64_t n_published; // written by the control thread
	struct sg_publisher publisher;
};

static uint64_t publish(void *dataplane, const struct sg_snapshot *snapshot)
{
	struct fake *fake = dataplane;

	(void)snapshot;
	// Sweeps go on, so that slots come back.
	fake->totals[0].sweeps += 3;
	return __atomic_add_fetch(&fake->n_published, 1, __ATOMIC_RELAXED);
}

static bool passed(void *dataplane, uint64_t token, unsigned *ret_late_worker)
{
	(void)dataplane;
	(void)token;
	(void)ret_late_worker;
	return true;
}

static bool next_wish(void *dataplane, struct sg_wish *ret_wish)
{
	(void)dataplane;
	(void)ret_wish;
	return false;
}

static uint32_t backend_flows(void *dataplane, uint32_t slot)
{
	(void)dataplane;
	(void)slot;
	return 0;
}

static void *map(size_t bytes)
{
	void *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		sg_bench_die("no memory");
	return memory;
}

static void open_fake(struct fake *fake)
{
	struct sg_hash_key key = {.words = {1, 2}};

	for (unsigned i = 0; i < 2; i++)
		fake->counters[i].totals = &fake->totals[i];
	fake->counters[0].services = map(SG_MAX_SERVICES * sizeof(struct sg_traffic));
	fake->counters[0].backends = map(SG_MAX_BACKENDS * sizeof(struct sg_traffic));
	fake->counters[0].service_losses = map(SG_MAX_SERVICES * sizeof(struct sg_losses));
	fake->counters[0].backend_losses = map(SG_MAX_BACKENDS * sizeof(struct sg_losses));
	fake->tables[0] =
		sg_flow_table_init(map(sg_flow_table_bytes(MAX_FLOWS) + 4096), MAX_FLOWS, &key);
	sg_flow_table_attach_addresses(fake->tables[0], map(sg_flow_addresses_bytes(MAX_FLOWS)));
	fake->publisher = (struct sg_publisher){.dataplane = fake,
		.n_workers = 1,
		.counters = fake->counters,
		.flows = fake->tables,
		.publish = publish,
		.passed = passed,
		.next_wish = next_wish,
		.backend_flows = backend_flows};
}

// --- the process around it

struct turns {
	struct fake fake;
	struct sg_settings settings;
	struct sg_control *control;
	struct sg_mirror *mirror;
	struct sg_client client;
	unsigned services;
	int reload_fd; // eventfd: read the file again
	char directory[32], config[64];
};

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void sh(const char *command)
{
	if (system(command) != 0)
		sg_bench_die("this fails: %s", command);
}

// Its descriptor stays open: while it is, the device has a carrier.
static int open_twin(void)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = unshare(CLONE_NEWNET) < 0 ? -1 : open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(request.ifr_name, sizeof(request.ifr_name), TWIN);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0)
		sg_bench_die("no TAP device in a namespace: %s", strerror(errno));
	return fd;
}

static void write_config(const struct turns *turns, unsigned weight)
{
	FILE *file = fopen(turns->config, "we");

	if (!file)
		sg_bench_die("%s cannot be written", turns->config);
	fprintf(file,
		"ports: ( { name = \"p0\"; device = \"net_tap0\"; } );\n"
		"snat: { addresses = [\"10.255.255.9\"]; };\ntimeouts: { drain = 1; };\n"
		"control: { socket = \"%s/sock\"; state_file = \"%s/state\"; };\nservices: (",
		turns->directory, turns->directory);
	for (unsigned i = 0; weight && i < turns->services; i++) {
		fprintf(file,
			"%s\n{ name = \"s-%u\"; vip = \"203.%u.%u.%u\"; protocol = \"tcp\"; port = 80; "
			"maglev_table_size = 1021; backends = (",
			i ? "," : "", i, i >> 16, i >> 8 & 255, i & 255);
		for (unsigned j = 0; j < SG_CLIENT_BACKENDS; j++) {
			uint32_t number = i * SG_CLIENT_BACKENDS + j + 1;

			fprintf(file, "%s{ address = \"10.%u.%u.%u\"; port = 8080; weight = %u; }",
				j ? ", " : "", number >> 16, number >> 8 & 255, number & 255,
				j ? 1 : weight);
		}
		fputs("); }", file);
	}
	fputs(");\n", file);
	if (fclose(file) != 0)
		sg_bench_die("%s cannot be written", turns->config);
}

static void on_reload(void *context, int fd, uint32_t events)
{
	struct turns *turns = context;
	uint64_t count;

	(void)events;
	if (read(fd, &count, sizeof(count)) == sizeof(count))
		sg_control_reload(turns->control, turns->config, 0, 0);
}

static void *serve(void *context)
{
	struct turns *turns = context;
	struct sg_error error = {0};

	if (sg_control_run(turns->control, &error) < 0)
		sg_bench_die("%s", error.text);
	return NULL;
}

static void open_control(struct turns *turns)
{
	struct sg_mirror_port port = {.ifindex = (int)if_nametoindex(TWIN), .mac = {2}};
	struct sg_error error = {0};
	struct sg_state state;
	pthread_t thread;

	write_config(turns, 0);
	open_fake(&turns->fake);
	if (sg_config_file_read(turns->config, &turns->settings, &state, &error) < 0 ||
		sg_mirror_open(&turns->mirror, &port, 1, &error) < 0 ||
		sg_control_create(&turns->control, &turns->settings, &state, &turns->fake.publisher,
			turns->mirror, &error) < 0 ||
		sg_control_first_publish(turns->control, &error) < 0 ||
		sg_control_add_fd(turns->control, turns->reload_fd, on_reload, turns, &error) < 0 ||
		sg_control_open_socket(turns->control, &error) < 0)
		sg_bench_die("%s", error.text);
	if (pthread_create(&thread, NULL, serve, turns) != 0)
		sg_bench_die("no thread is to be had");
}

// --- what may come up

static void wait_published(const struct turns *turns, uint64_t than)
{
	while (__atomic_load_n(&turns->fake.n_published, __ATOMIC_RELAXED) <= than)
		usleep(200);
}

static uint64_t published(const struct turns *turns)
{
	return __atomic_load_n(&turns->fake.n_published, __ATOMIC_RELAXED);
}

static void apply_all(struct turns *turns, unsigned round)
{
	sg_client_apply(&turns->client, 1 + round);
}

static void change_one(struct turns *turns, unsigned round)
{
	(void)round;
	sg_client_change(&turns->client, 1);
}

// As it waits for the counting of what there is.
static void ask_status(struct turns *turns, unsigned round)
{
	(void)round;
	sg_client_change(&turns->client, 1);
	sg_client_ask(&turns->client, "status", "");
}

static void roll_back(struct turns *turns, unsigned round)
{
	(void)round;
	sg_client_ask(&turns->client, "rollback", "");
}

static void list_all(struct turns *turns, unsigned round)
{
	(void)round;
	sg_client_ask(&turns->client, "stats", "");
}

static void read_file(struct turns *turns, unsigned round)
{
	uint64_t before = published(turns), one = 1;

	write_config(turns, 101 + round);
	if (write(turns->reload_fd, &one, sizeof(one)) < 0)
		sg_bench_die("an eventfd does not take a number");
	wait_published(turns, before);
}

static void change_route(struct turns *turns, unsigned round)
{
	uint64_t before = published(turns);
	char command[200];

	snprintf(command, sizeof(command),
		"ip route replace 10.0.0.0/8 via 10.255.255.%u dev " TWIN, 4 - round % 2);
	sh(command);
	wait_published(turns, before);
}

static void change_mac(struct turns *turns, unsigned round)
{
	uint64_t before = published(turns);
	char command[200];

	snprintf(command, sizeof(command),
		"ip neigh replace 10.255.255.3 lladdr 02:00:00:00:00:%02x nud permanent dev " TWIN
		" && ip neigh replace 10.255.255.4 lladdr 02:00:00:00:01:%02x nud permanent dev " TWIN,
		round + 1, round + 1);
	sh(command);
	wait_published(turns, before);
}

// Every backend is deleted with its service, drains for a second, and is over.
static void delete_all(struct turns *turns, unsigned round)
{
	uint64_t before = published(turns);

	(void)round;
	sg_client_ask(&turns->client, "apply", "\"owner\":\"operator\",\"services\":[]");
	wait_published(turns, before + 1);
}

// Longer than from one look for addresses that nobody needs to the next.
static void wait_long(struct turns *turns, unsigned round)
{
	(void)turns;
	(void)round;
	sleep(11);
}

static void make_owners(struct turns *turns)
{
	char params[200];

	for (unsigned i = 0; i < OWNERS; i++) {
		snprintf(params, sizeof(params),
			"\"owner\":\"o-%u\",\"services\":[{\"name\":\"o-%u\",\"vip\":\"198.18.%u.%u\","
			"\"protocol\":\"tcp\",\"port\":80,\"maglev_table_size\":251}]",
			i, i, i >> 8, i & 255);
		sg_client_ask(&turns->client, "apply", params);
	}
}

static void export_one(struct turns *turns, unsigned round)
{
	(void)round;
	sg_client_ask(&turns->client, "export", "\"owner\":\"o-1\"");
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(struct turns *turns, const char *what, unsigned rounds,
	void (*come_up)(struct turns *turns, unsigned round))
{
	double ms[MAX_ROUNDS], longest[MAX_ROUNDS];

	for (unsigned round = 0; round < rounds; round++) {
		double start;

		usleep(SETTLE_US); // what the one before has left behind: the disk, memory
		sg_control_take_longest_turn_ns(turns->control);
		start = now_ms();
		come_up(turns, round);
		ms[round] = now_ms() - start;
		usleep(SETTLE_US);
		longest[round] = (double)sg_control_take_longest_turn_ns(turns->control) / 1e6;
	}
	qsort(ms, rounds, sizeof(ms[0]), compare);
	qsort(longest, rounds, sizeof(longest[0]), compare);
	printf("%-40s %7u %9.1f %9.2f %9.2f\n", what, rounds, ms[rounds / 2], longest[rounds / 2],
		longest[rounds - 1]);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const struct option known[] = {{"services", required_argument, NULL, 's'}, {0}};
	static struct turns turns = {.services = 10000};
	char command[80];
	int key, twin;

	sg_log_open("turns");
	while ((key = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (key != 's')
			return 2;
		turns.services = (unsigned)strtoul(optarg, NULL, 10);
	}
	twin = open_twin();
	sh("ip link set lo up && ip link set " TWIN " up && ip addr add 10.255.255.1/24 dev " TWIN
	   " && ip route add 10.0.0.0/8 via 10.255.255.3 dev " TWIN);
	strcpy(turns.directory, "/tmp/sg-turns-XXXXXX");
	if (!mkdtemp(turns.directory))
		sg_bench_die("no directory in /tmp");
	snprintf(turns.config, sizeof(turns.config), "%s/conf", turns.directory);
	turns.reload_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	open_control(&turns);
	sg_client_open(&turns.client, turns.settings.socket_path, turns.services);

	printf("%-40s %7s %9s %9s %9s\n", "", "times", "done, ms", "turn, ms", "at most");
	measure(&turns, "all services come", 1, apply_all);
	measure(&turns, "one backend changes", 20, change_one);
	measure(&turns, "one backend changes, and then status", 20, ask_status);
	measure(&turns, "all services change", 10, apply_all);
	measure(&turns, "rollback of that", 5, roll_back);
	measure(&turns, "stats of all", 3, list_all);
	measure(&turns, "a route changes", 10, change_route);
	measure(&turns, "a next hop's MAC changes", 10, change_mac);
	measure(&turns, "eleven seconds of rest", 1, wait_long);
	measure(&turns, "all services go, and have drained", 1, delete_all);
	measure(&turns, "eleven seconds of rest", 1, wait_long);
	measure(&turns, "SIGHUP, all services come or change", 5, read_file);
	make_owners(&turns);
	measure(&turns, "export beside 2,000 owners", 3, export_one);
	snprintf(command, sizeof(command), "rm -r %s", turns.directory);
	sh(command);
	close(twin);
	return 0;
}
