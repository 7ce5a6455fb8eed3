// Changes of an nftables map, see nft.h.
#include "nft.h"

#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <nftables/libnftables.h>

#include "bench/bench.h"

#define SAMPLES   20
#define PER_LINE  1000
#define ROW_BYTES 96

struct map {
	struct nft_ctx *nft;
	char *script;
	size_t length, size;
	bool failed;
};

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void put(struct map *map, const char *text)
{
	size_t length = strlen(text);

	if (map->length + length + 1 > map->size)
		sg_bench_die("a script for nftables is too long");
	memcpy(map->script + map->length, text, length + 1);
	map->length += length;
}

// Element `number`: a service's VIP and one of its backends' places, and where it leads.
static void put_element(struct map *map, unsigned number, unsigned version)
{
	char text[ROW_BYTES];

	snprintf(text, sizeof(text), "203.%u.%u.%u . 80 . %u : 10.%u.%u.%u . %u", number / 10 >> 16,
		number / 10 >> 8 & 255, number / 10 & 255, number % 10, number >> 16,
		number >> 8 & 255, number & 255, 8080 + version % 50000);
	put(map, text);
}

static void put_key(struct map *map, unsigned number)
{
	char text[ROW_BYTES];

	snprintf(text, sizeof(text), "203.%u.%u.%u . 80 . %u", number / 10 >> 16,
		number / 10 >> 8 & 255, number / 10 & 255, number % 10);
	put(map, text);
}

static double run(struct map *map)
{
	double start = now_ms();

	if (nft_run_cmd_from_buffer(map->nft, map->script) != 0 && !map->failed) {
		map->failed = true;
		fprintf(stderr, "nftables: %.200s\n", nft_ctx_get_error_buffer(map->nft));
	}
	map->length = 0;
	return now_ms() - start;
}

static double fill(struct map *map, unsigned elements)
{
	put(map, "add table ip storms\nadd map ip storms m { type ipv4_addr . inet_service . "
		 "inet_service : ipv4_addr . inet_service; }\n");
	for (unsigned i = 0; i < elements; i++) {
		put(map, i % PER_LINE == 0 ? "add element ip storms m { " : ", ");
		put_element(map, i, 0);
		if (i % PER_LINE == PER_LINE - 1 || i + 1 == elements)
			put(map, " }\n");
	}
	return run(map);
}

static double replace(struct map *map, unsigned elements, unsigned n, unsigned version)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned number = (version * n + i) * 7919 % elements;

		put(map, "delete element ip storms m { ");
		put_key(map, number);
		put(map, " }\nadd element ip storms m { ");
		put_element(map, number, version);
		put(map, " }\n");
	}
	return run(map);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median_ms(struct map *map, unsigned elements, unsigned n)
{
	static unsigned version;
	double samples[SAMPLES];

	for (unsigned i = 0; i < SAMPLES; i++)
		samples[i] = replace(map, elements, n, ++version);
	qsort(samples, SAMPLES, sizeof(samples[0]), compare);
	return samples[SAMPLES / 2];
}

static bool measure(unsigned elements, unsigned batch, struct sg_nft_figures *ret_figures)
{
	struct map map = {
		.size = (size_t)elements * ROW_BYTES + (size_t)batch * 4 * ROW_BYTES + 4096};
	struct sg_nft_figures figures = {.elements = elements, .batch = batch};

	// The context opens its socket at once, so the namespace comes first.
	if (unshare(CLONE_NEWNET) != 0)
		return false;
	map.script = malloc(map.size);
	map.nft = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!map.script || !map.nft)
		return false;
	nft_ctx_buffer_error(map.nft);
	figures.fill_ms = fill(&map, elements);
	figures.one_ms = median_ms(&map, elements, 1);
	figures.batch_ms = median_ms(&map, elements, batch);
	nft_ctx_free(map.nft);
	free(map.script);
	*ret_figures = figures;
	return !map.failed;
}

// In a process of its own: a namespace is not left again.
bool sg_nft_measure(unsigned elements, unsigned batch, struct sg_nft_figures *ret_figures)
{
	int ends[2], status = 1;
	bool whole;
	pid_t pid;

	if (pipe(ends) != 0)
		return false;
	pid = fork();
	if (pid == 0) {
		struct sg_nft_figures figures;
		bool done = measure(elements, batch, &figures) &&
			    write(ends[1], &figures, sizeof(figures)) == sizeof(figures);

		_exit(!done);
	}
	close(ends[1]);
	whole = pid > 0 && read(ends[0], ret_figures, sizeof(*ret_figures)) == sizeof(*ret_figures);
	close(ends[0]);
	if (pid > 0)
		waitpid(pid, &status, 0);
	return whole && status == 0;
}
