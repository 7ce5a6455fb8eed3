// The embryos' queue of the flow table: oldest first, left from any place. See table.h and
// layout.h.
//
// A doubly linked list rather than a ring, although a ring would take half the memory: those who
// are confirmed leave holes in a ring, holes have to be squeezed out, and then an embryo's age is
// no longer its place.
//
// Each embryo belongs to the epoch in which it joined, of which a table sees 16 while as many
// embryos come as it has records. Its two entries in the index carry that epoch, so that an embryo
// that makes room for a younger one can leave them behind: they are stale as soon as no embryo of
// their epoch is left (cuckoo.h). What is confirmed has its entries marked to stay. This halves
// what a flood costs: of the four buckets that it would touch for each embryo, two remain.
#include "flow/layout.h"

#include "base/prefetch.h"

// Epochs that living embryos may span; the rest is what tells stale entries from others. Where one
// embryo has long outlived its time, the last epoch lasts until it is gone.
#define EPOCHS_A_TABLE 32
#define MAX_SPAN       (SG_CUCKOO_EPOCHS * 3 / 4)

static void set_next(struct sg_flow_node *node, uint32_t record)
{
	node->next = (node->next & ~SG_FLOW_NODE_RECORD) | record;
}

static void set_prev(struct sg_flow_node *node, uint32_t record)
{
	node->prev = (node->prev & ~SG_FLOW_NODE_RECORD) | record;
}

void sg_flow_embryo_begin(struct sg_flow_table *table)
{
	uint8_t span = (uint8_t)(table->epoch - table->oldest_epoch) % SG_CUCKOO_EPOCHS;

	if (table->epoch_left > 0 || span >= MAX_SPAN)
		return;
	table->epoch = (table->epoch + 1) % SG_CUCKOO_EPOCHS;
	table->epoch_left = table->max_flows / EPOCHS_A_TABLE + 1;
	if (table->embryos == 0)
		table->oldest_epoch = table->epoch;
}

uint8_t sg_flow_embryo_tag(const struct sg_flow_table *table, uint32_t record)
{
	const struct sg_flow *flow = &sg_flow_table_records(table)[record];

	// What a client's backend is may live for hours in the queue: its entries stay.
	if (!flow->embryo || flow->state == SG_FLOW_AFFINITY)
		return SG_CUCKOO_UNTAGGED;
	return sg_cuckoo_tag(sg_flow_node_epoch(&sg_flow_table_nodes(table)[record]));
}

void sg_flow_embryo_join(struct sg_flow_table *table, uint32_t record)
{
	struct sg_flow_node *nodes = sg_flow_table_nodes(table);
	uint32_t youngest = sg_flow_node_prev(&nodes[0]);

	nodes[record].prev = (uint32_t)table->epoch << 28 | youngest;
	nodes[record].next = (uint32_t)(table->epoch >> 4) << 28;
	set_next(&nodes[youngest], record);
	set_prev(&nodes[0], record);
	table->epoch_left -= table->epoch_left > 0;
	table->embryos++;
}

// As many in one epoch: it may get longer by one burst.
void sg_flow_embryo_join_bulk(struct sg_flow_table *table, const uint32_t *records, unsigned n)
{
	struct sg_flow_node *nodes = sg_flow_table_nodes(table);
	uint32_t low = (uint32_t)table->epoch << 28, high = (uint32_t)(table->epoch >> 4) << 28;
	uint32_t youngest = sg_flow_node_prev(&nodes[0]);

	if (n == 0)
		return;
	set_next(&nodes[youngest], records[0]);
	for (unsigned i = 0; i < n; i++) {
		nodes[records[i]].prev = low | youngest;
		nodes[records[i]].next = high | (i + 1 < n ? records[i + 1] : 0);
		youngest = records[i];
	}
	set_prev(&nodes[0], youngest);
	table->epoch_left -= table->epoch_left < n ? table->epoch_left : n;
	table->embryos += n;
}

void sg_flow_embryo_leave(struct sg_flow_table *table, uint32_t record)
{
	struct sg_flow_node *nodes = sg_flow_table_nodes(table);
	uint32_t older = sg_flow_node_prev(&nodes[record]);
	uint32_t younger = sg_flow_node_next(&nodes[record]);

	set_next(&nodes[older], younger);
	set_prev(&nodes[younger], older);
	table->embryos--;
	if (older == 0)
		table->oldest_epoch =
			younger == 0 ? table->epoch : sg_flow_node_epoch(&nodes[younger]);
}

// What established flows leave free, at most 1/2 and at least 1/8 of the table.
static uint32_t share(const struct sg_flow_table *table)
{
	uint32_t established = table->count - table->embryos;
	uint32_t left = table->max_flows - established;
	uint32_t most = table->max_flows / 2;
	uint32_t least = table->max_flows / 8;

	if (left > most)
		return most;
	return left < least ? least : left;
}

uint32_t sg_flow_table_embryos_over(const struct sg_flow_table *table, uint32_t n_more)
{
	uint32_t most = share(table);
	uint64_t embryos = (uint64_t)table->embryos + n_more;
	uint64_t flows = (uint64_t)table->count + n_more;
	uint64_t over = embryos > most ? embryos - most : 0;

	if (flows > table->max_flows && flows - table->max_flows > over)
		over = flows - table->max_flows;
	return over < table->embryos ? (uint32_t)over : table->embryos;
}

bool sg_flow_table_embryos_full(const struct sg_flow_table *table)
{
	return table->embryos >= share(table) || table->count == table->max_flows;
}

unsigned sg_flow_table_oldest_embryos(
	const struct sg_flow_table *table, sg_flow_ref *ret_refs, unsigned max)
{
	const struct sg_flow_node *nodes = sg_flow_table_nodes(table);
	uint32_t at = sg_flow_node_next(&nodes[0]);
	unsigned n = 0;

	for (; n < max && at != 0; at = sg_flow_node_next(&nodes[at]))
		ret_refs[n++] = at << 1;
	// The next burst's oldest are those behind them.
	for (unsigned ahead = 0; ahead < n && at != 0; ahead++, at = sg_flow_node_next(&nodes[at]))
		sg_prefetch_write(&sg_flow_table_records(table)[at]);
	return n;
}

sg_flow_ref sg_flow_table_oldest_embryo(struct sg_flow_table *table)
{
	const struct sg_flow_node *nodes = sg_flow_table_nodes(table);
	uint32_t oldest = sg_flow_node_next(&nodes[0]);

	// The one behind it is the next to be asked for.
	sg_prefetch_write(&sg_flow_table_records(table)[sg_flow_node_next(&nodes[oldest])]);
	return oldest << 1;
}

// Marks the entries of embryos to stay, and takes them off the queue.
static void confirm_burst(struct sg_flow_table *table, const sg_flow_ref *refs, unsigned n)
{
	const struct sg_cuckoo cuckoo = sg_flow_table_cuckoo(table);
	uint64_t hashes[2 * SG_FLOW_HASH_RECORDS];

	sg_flow_table_hash_records(table, refs, n, hashes);
	for (unsigned i = 0; i < n; i++) {
		struct sg_flow *flow = sg_flow_table_get(table, refs[i]);
		sg_flow_ref ref = refs[i] & ~1u;

		if (flow->state == SG_FLOW_FREE || !flow->embryo)
			continue;
		sg_cuckoo_untag(
			&cuckoo, hashes[2 * i], sg_flow_entry_of_ref(ref | SG_FLOW_TO_BACKEND));
		if (!flow->one_way)
			sg_cuckoo_untag(&cuckoo, hashes[2 * i + 1],
				sg_flow_entry_of_ref(ref | SG_FLOW_TO_CLIENT));
		flow->embryo = 0;
		sg_flow_embryo_leave(table, ref >> 1);
	}
}

void sg_flow_table_confirm_bulk(struct sg_flow_table *table, const sg_flow_ref *refs, unsigned n)
{
	for (unsigned at = 0; at < n; at += SG_FLOW_HASH_RECORDS)
		confirm_burst(table, refs + at,
			n - at < SG_FLOW_HASH_RECORDS ? n - at : SG_FLOW_HASH_RECORDS);
}

void sg_flow_table_confirm(struct sg_flow_table *table, sg_flow_ref ref)
{
	confirm_burst(table, &ref, 1);
}

static bool has_affinity(const struct sg_flow_table *table, const sg_flow_ref *refs, unsigned n)
{
	bool found = false;

	for (unsigned i = 0; i < n; i++)
		found |= sg_flow_table_get(table, refs[i])->state == SG_FLOW_AFFINITY;
	return found;
}

void sg_flow_table_recycle_bulk(struct sg_flow_table *table, const sg_flow_ref *refs, unsigned n)
{
	struct sg_flow_node *nodes = sg_flow_table_nodes(table);
	uint32_t oldest; // of those that stay

	if (n == 0)
		return;
	// Entries that are not tagged cannot be left behind.
	if (__builtin_expect(has_affinity(table, refs, n), 0))
		return sg_flow_table_remove_bulk(table, refs, n);
	oldest = sg_flow_node_next(&nodes[refs[n - 1] >> 1]);
	set_next(&nodes[0], oldest);
	set_prev(&nodes[oldest], 0);
	table->embryos -= n;
	table->oldest_epoch = oldest == 0 ? table->epoch : sg_flow_node_epoch(&nodes[oldest]);
	for (unsigned i = 0; i < n; i++)
		sg_flow_table_give_record(table, refs[i] >> 1);
}

uint32_t sg_flow_table_embryos(const struct sg_flow_table *table)
{
	return table->embryos;
}

void sg_flow_table_renew_embryo(struct sg_flow_table *table, sg_flow_ref ref)
{
	if (sg_flow_table_get(table, ref)->state != SG_FLOW_AFFINITY)
		return;
	sg_flow_embryo_leave(table, ref >> 1);
	sg_flow_embryo_join(table, ref >> 1);
}
