// Choosing SNAT ports, see snat.h.
#include "flow/snat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/random.h"
#include "flow/tcp.h"

#define GROUP       4           // candidates whose buckets are asked for together
#define PER_ADDRESS 32          // candidates before the next address's turn
#define ROUNDS      8           // of proposals for those of a burst whose port will not do
#define PICKY       3           // of them that pass over what is free and does not fit
#define GOLDEN      2654435769u // 2^32 times the golden section

// Ports, host order, by class.
struct classes {
	uint32_t starts[SG_HOME_ENTRIES + 1]; // into `ports`
	uint16_t *ports;
};

struct sg_snat_pool {
	const struct sg_home *home;
	uint32_t n_addresses4;
	uint32_t n_addresses6;
	uint32_t *addresses_be; // IPv4
	uint8_t (*addresses6)[16];
	uint32_t port_min;
	uint32_t n_ports;
	struct classes classes4, classes6;
	// The entries of the table of homes that are a worker's: entries[starts[w]] to
	// entries[starts[w + 1] - 1].
	uint8_t entries[SG_HOME_ENTRIES];
	uint8_t starts[UINT8_MAX + 2];
};
static_assert(SG_HOME_ENTRIES <= UINT8_MAX, "numbers of entries are 8 bits");

// Ports that would do, all of them equally well.
struct span {
	const uint16_t *ports; // NULL: they follow `first`
	uint32_t first;
	uint32_t n;
};

static inline uint16_t port_be_of(struct span span, uint32_t at)
{
	return __builtin_bswap16(span.ports ? span.ports[at] : (uint16_t)(span.first + at));
}

struct group {
	struct sg_tuple tuples[GROUP];
	uint64_t hashes[GROUP];
	sg_flow_ref refs[GROUP];
};

static unsigned class_of4(const struct sg_home *home, uint16_t port)
{
	return sg_toeplitz_dport4(&home->toeplitz, port) & SG_HOME_MASK;
}

static unsigned class_of6(const struct sg_home *home, uint16_t port)
{
	return sg_toeplitz_dport6(&home->toeplitz, port) & SG_HOME_MASK;
}

// Counting sort by class.
static void sort_ports(const struct sg_snat_pool *pool, uint16_t port_min,
	unsigned (*class_of)(const struct sg_home *home, uint16_t port), struct classes *classes)
{
	uint32_t next[SG_HOME_ENTRIES + 1] = {0};

	for (uint32_t i = 0; i < pool->n_ports; i++)
		next[class_of(pool->home, (uint16_t)(port_min + i)) + 1]++;
	for (unsigned i = 0; i < SG_HOME_ENTRIES; i++)
		next[i + 1] += next[i];
	memcpy(classes->starts, next, sizeof(next));
	for (uint32_t i = 0; i < pool->n_ports; i++) {
		uint16_t port = (uint16_t)(port_min + i);

		classes->ports[next[class_of(pool->home, port)]++] = port;
	}
}

static void sort_entries(struct sg_snat_pool *pool)
{
	unsigned n = 0;

	for (unsigned worker = 0; worker <= UINT8_MAX; worker++) {
		pool->starts[worker] = (uint8_t)n;
		for (unsigned entry = 0; entry < SG_HOME_ENTRIES; entry++) {
			if (pool->home->reta[entry] == worker)
				pool->entries[n++] = (uint8_t)entry;
		}
	}
	pool->starts[UINT8_MAX + 1] = (uint8_t)n;
}

static unsigned n_entries_of(const struct sg_snat_pool *pool, unsigned worker)
{
	return pool->starts[worker + 1] - pool->starts[worker];
}

static bool has_empty_class(const struct classes *classes)
{
	for (unsigned i = 0; i < SG_HOME_ENTRIES; i++) {
		if (classes->starts[i] == classes->starts[i + 1])
			return true;
	}
	return false;
}

static int check_classes(const struct sg_snat_pool *pool, uint16_t port_min, struct sg_error *error)
{
	if (n_entries_of(pool, pool->home->reta[0]) == SG_HOME_ENTRIES)
		return 0;
	if ((pool->n_addresses4 > 0 && has_empty_class(&pool->classes4)) ||
		(pool->n_addresses6 > 0 && has_empty_class(&pool->classes6)))
		return sg_error_set(error, -EINVAL,
			"SNAT ports %u to %u are too few for several workers: some of the 128 classes of "
			"ports that tell replies' homes apart would be empty; give it a wider snat.ports",
			port_min, port_min + pool->n_ports - 1);
	return 0;
}

static int take_addresses(struct sg_snat_pool *pool, const struct sg_addr *addresses, unsigned n)
{
	pool->addresses_be = calloc(n, sizeof(pool->addresses_be[0]));
	pool->addresses6 = calloc(n, sizeof(pool->addresses6[0]));
	if (!pool->addresses_be || !pool->addresses6)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		if (addresses[i].family == SG_FAMILY_IPV4)
			pool->addresses_be[pool->n_addresses4++] = sg_addr_ipv4_be(&addresses[i]);
		else
			memcpy(pool->addresses6[pool->n_addresses6++], addresses[i].bytes, 16);
	}
	return 0;
}

struct sg_snat_pool *sg_snat_pool_create(const struct sg_home *home,
	const struct sg_addr *addresses, unsigned n, uint16_t port_min, uint16_t port_max,
	struct sg_error *error)
{
	struct sg_snat_pool *pool;

	if (n == 0 || port_min == 0 || port_min > port_max) {
		sg_error_set(error, -EINVAL,
			"SNAT needs an address and a range of ports from 1 upwards");
		return NULL;
	}
	pool = calloc(1, sizeof(*pool));
	if (!pool)
		goto no_memory;
	pool->home = home;
	pool->port_min = port_min;
	pool->n_ports = (uint32_t)port_max - port_min + 1;
	pool->classes4.ports = calloc(pool->n_ports, sizeof(pool->classes4.ports[0]));
	pool->classes6.ports = calloc(pool->n_ports, sizeof(pool->classes6.ports[0]));
	if (!pool->classes4.ports || !pool->classes6.ports ||
		take_addresses(pool, addresses, n) != 0)
		goto no_memory;
	sort_ports(pool, port_min, class_of4, &pool->classes4);
	sort_ports(pool, port_min, class_of6, &pool->classes6);
	sort_entries(pool);
	if (check_classes(pool, port_min, error) == 0)
		return pool;
	sg_snat_pool_destroy(pool);
	return NULL;

no_memory:
	sg_error_set(error, -ENOMEM, "no memory for the SNAT ports");
	sg_snat_pool_destroy(pool);
	return NULL;
}

bool sg_snat_pool_has(const struct sg_snat_pool *pool, enum sg_family family)
{
	return (family == SG_FAMILY_IPV6 ? pool->n_addresses6 : pool->n_addresses4) > 0;
}

uint32_t sg_snat_pool_address4(const struct sg_snat_pool *pool, uint32_t number)
{
	return pool->addresses_be[sg_reduce(number, pool->n_addresses4)];
}

const uint8_t *sg_snat_pool_address6(const struct sg_snat_pool *pool, uint32_t number)
{
	return pool->addresses6[sg_reduce(number, pool->n_addresses6)];
}

void sg_snat_pool_destroy(struct sg_snat_pool *pool)
{
	if (!pool)
		return;
	free(pool->addresses_be);
	free(pool->addresses6);
	free(pool->classes4.ports);
	free(pool->classes6.ports);
	free(pool);
}

// Cuts the first digit, one of `n`, off a number that is read as a fraction of 2^32.
static uint32_t take_digit(uint32_t *fraction, uint32_t n)
{
	uint64_t product = (uint64_t)*fraction * n;

	*fraction = (uint32_t)product;
	return (uint32_t)(product >> 32);
}

// Ports whose replies come home to `worker`, given a reply whose port is 0. The rest of the reply
// adds `base` to the hash; of the worker's entries `fraction` picks one, and base ^ class = entry.
static struct span pick_span(const struct sg_snat_pool *pool, unsigned worker,
	const struct sg_tuple *reply, const struct sg_pair6 *pair, uint32_t *fraction)
{
	bool is_ipv6 = sg_tuple_is_ipv6(reply);
	const struct classes *classes = is_ipv6 ? &pool->classes6 : &pool->classes4;
	unsigned n = n_entries_of(pool, worker);
	unsigned class;
	uint32_t base;

	if (n == SG_HOME_ENTRIES)
		return (struct span){.first = pool->port_min, .n = pool->n_ports};
	base = is_ipv6 ? sg_toeplitz_tuple6(&pool->home->toeplitz, pair, reply)
		       : sg_toeplitz_tuple4(&pool->home->toeplitz, reply);
	class = (base ^ pool->entries[pool->starts[worker] + take_digit(fraction, n)]) &
		SG_HOME_MASK;
	return (struct span){.ports = classes->ports + classes->starts[class],
		.n = classes->starts[class + 1] - classes->starts[class]};
}

// Fills a group's tuples: random ports of the span, or, when the span is so small that all may be
// tried, one after the other.
static void fill_group(struct span span, unsigned tried, uint64_t random,
	const struct sg_tuple *reply, struct group *ret_group)
{
	for (unsigned i = 0; i < GROUP; i++) {
		uint32_t at = (uint32_t)((random >> (16 * i) & 0xffff) * span.n >> 16);

		if (span.n <= PER_ADDRESS)
			at = (tried + i) % span.n;
		ret_group->tuples[i] = *reply;
		ret_group->tuples[i].dport_be = port_be_of(span, at);
	}
}

// How well a candidate does, ascending.
enum worth {
	WORTH_NOTHING,
	WORTH_EMBRYO, // may be recycled
	WORTH_CLOSED, // may be replaced
	WORTH_FREE,
};

static enum worth judge(const struct sg_flow_table *table, sg_flow_ref ref, uint32_t syn_seq)
{
	const struct sg_flow *flow = ref ? sg_flow_table_get(table, ref) : NULL;

	if (!flow)
		return WORTH_FREE;
	if (sg_flow_tcp_may_reuse(flow, syn_seq))
		return WORTH_CLOSED;
	return flow->embryo ? WORTH_EMBRYO : WORTH_NOTHING;
}

// The first of the best candidates; GROUP when none will do.
static unsigned choose(
	const struct sg_flow_table *table, const struct group *group, uint32_t syn_seq)
{
	enum worth most = WORTH_NOTHING;
	unsigned best = GROUP;

	for (unsigned i = 0; i < GROUP; i++) {
		enum worth worth = judge(table, group->refs[i], syn_seq);

		if (worth > most) {
			most = worth;
			best = i;
		}
	}
	return best;
}

static bool search_address(const struct sg_snat_pool *pool, const struct sg_flow_table *table,
	unsigned worker, uint64_t *random, uint32_t syn_seq, struct sg_tuple *reply,
	const struct sg_pair6 *pair, uint64_t *ret_hash, sg_flow_ref *ret_old)
{
	struct group group;

	for (unsigned tried = 0; tried < PER_ADDRESS; tried += GROUP) {
		uint32_t fraction = (uint32_t)(sg_random_next(random) >> 32);
		struct span span = pick_span(pool, worker, reply, pair, &fraction);
		unsigned i;

		fill_group(span, tried, sg_random_next(random), reply, &group);
		sg_flow_table_hash(table, group.tuples, GROUP, group.hashes);
		sg_flow_table_find_bulk(table, group.tuples, group.hashes, GROUP, group.refs);
		i = choose(table, &group, syn_seq);
		if (i == GROUP)
			continue;
		*reply = group.tuples[i];
		*ret_hash = group.hashes[i];
		*ret_old = group.refs[i];
		return true;
	}
	return false;
}

// Gives a reply the address of a number below the pool's of its family; its port is not part of
// what is set.
static void set_address(const struct sg_snat_pool *pool, const struct sg_flow_table *table,
	uint32_t number, struct sg_tuple *reply, struct sg_pair6 *pair)
{
	if (!sg_tuple_is_ipv6(reply)) {
		reply->dst_be = pool->addresses_be[number];
		return;
	}
	memcpy(pair->dst, pool->addresses6[number], 16);
	sg_flow_table_key6(table, pair, reply);
}

static uint32_t n_addresses_of(const struct sg_snat_pool *pool, const struct sg_tuple *reply)
{
	return sg_tuple_is_ipv6(reply) ? pool->n_addresses6 : pool->n_addresses4;
}

static bool search(const struct sg_snat_pool *pool, const struct sg_flow_table *table,
	unsigned worker, uint64_t *random, uint32_t syn_seq, struct sg_tuple *reply,
	struct sg_pair6 *pair, uint64_t *ret_hash, sg_flow_ref *ret_old)
{
	uint32_t n = n_addresses_of(pool, reply);
	uint32_t at = sg_reduce((uint32_t)(sg_random_next(random) >> 32), n);

	for (uint32_t i = 0; i < n; i++) {
		reply->dport_be = 0;
		set_address(pool, table, at, reply, pair);
		if (search_address(
			    pool, table, worker, random, syn_seq, reply, pair, ret_hash, ret_old))
			return true;
		at = at + 1 == n ? 0 : at + 1;
	}
	return false;
}

void sg_snat_turns_init(struct sg_snat_turns *turns, uint64_t *random)
{
	for (unsigned i = 0; i < SG_SNAT_TURNS; i++)
		turns->next[i] = (uint32_t)(sg_random_next(random) >> 32);
}

static uint64_t backend_of(const struct sg_tuple *reply, const struct sg_pair6 *pair)
{
	uint64_t words[2];

	if (!sg_tuple_is_ipv6(reply))
		return (uint64_t)reply->src_be << 16 | reply->sport_be;
	memcpy(words, pair->src, sizeof(words));
	return sg_mix64(words[0] ^ reply->sport_be) ^ words[1];
}

// Gives a reply the address and the port of its backend's next turn, and its home is `worker`.
// Multiples of the golden section, cut into digits, go through all of them without a division, and
// come near none that they met lately.
static void propose_one(const struct sg_snat_pool *pool, const struct sg_flow_table *table,
	unsigned worker, uint32_t *turn, struct sg_tuple *reply, struct sg_pair6 *pair)
{
	uint32_t fraction = (*turn)++ * GOLDEN;
	struct span span;

	set_address(pool, table, take_digit(&fraction, n_addresses_of(pool, reply)), reply, pair);
	reply->dport_be = 0;
	reply->hop = 0;
	span = pick_span(pool, worker, reply, pair, &fraction);
	reply->dport_be = port_be_of(span, take_digit(&fraction, span.n));
}

static uint32_t *turn_of(
	struct sg_snat_turns *turns, const struct sg_tuple *reply, const struct sg_pair6 *pair)
{
	return &turns->next[sg_mix64(backend_of(reply, pair)) % SG_SNAT_TURNS];
}

// The replies of a burst that have no free tuple yet.
struct open {
	unsigned n;
	uint8_t at[SG_FLOW_MAX_BURST];
	struct sg_tuple tuples[SG_FLOW_MAX_BURST]; // what is proposed to each
	uint64_t hashes[SG_FLOW_MAX_BURST];
};

// Which of the proposals are free, a bit for each. Ports are plenty, so at first those are passed
// over that would not fit where they belong in the index: whoever finds the flow later reads one
// bucket, and so does whoever enters it.
static uint64_t find_free(const struct sg_flow_table *table, const struct open *open,
	unsigned round, uint64_t *ret_taken)
{
	sg_flow_ref refs[SG_FLOW_MAX_BURST];
	uint64_t taken = 0;

	*ret_taken = 0;
	if (round < PICKY)
		return sg_flow_table_fits_bulk(table, open->hashes, open->n);
	sg_flow_table_find_bulk(table, open->tuples, open->hashes, open->n, refs);
	for (unsigned k = 0; k < open->n; k++)
		taken |= (uint64_t)(refs[k] != 0) << k;
	*ret_taken = taken;
	return ~taken;
}

uint64_t sg_snat_propose(const struct sg_snat_pool *pool, const struct sg_flow_table *table,
	unsigned worker, struct sg_snat_turns *turns, struct sg_tuple *replies,
	struct sg_pair6 *pairs, unsigned n, uint64_t *ret_hashes)
{
	uint64_t found = 0;
	struct open open;

	open.n = n;
	for (unsigned i = 0; i < n; i++)
		open.at[i] = (uint8_t)i;
	for (unsigned round = 0; round < ROUNDS && open.n > 0; round++) {
		unsigned n_left = 0;
		uint64_t free, taken;

		for (unsigned k = 0; k < open.n; k++) {
			unsigned i = open.at[k];

			open.tuples[k] = replies[i];
			propose_one(pool, table, worker, turn_of(turns, &replies[i], &pairs[i]),
				&open.tuples[k], &pairs[i]);
		}
		sg_flow_table_hash(table, open.tuples, open.n, open.hashes);
		free = find_free(table, &open, round, &taken);
		for (unsigned k = 0; k < open.n; k++) {
			unsigned i = open.at[k];

			replies[i] = open.tuples[k];
			ret_hashes[i] = open.hashes[k];
			found |= (free >> k & 1) << i;
			// The turns that follow a taken one would meet its neighbours.
			if (__builtin_expect(taken >> k & 1, 0)) {
				uint32_t *turn = turn_of(turns, &replies[i], &pairs[i]);

				*turn = (uint32_t)sg_mix64(*turn);
			}
			open.at[n_left] = (uint8_t)i;
			n_left += !(free >> k & 1);
		}
		open.n = n_left;
	}
	return found;
}

bool sg_snat_settle(const struct sg_snat_pool *pool, const struct sg_flow_table *table,
	unsigned worker, uint64_t *random, uint32_t syn_seq, struct sg_tuple *reply,
	struct sg_pair6 *pair, uint64_t *hash, sg_flow_ref *ret_old)
{
	if (!sg_flow_table_find(table, reply, *hash)) {
		*ret_old = 0;
		return true;
	}
	return search(pool, table, worker, random, syn_seq, reply, pair, hash, ret_old);
}
