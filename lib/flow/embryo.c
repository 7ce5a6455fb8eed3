// The embryos' queue of the flow table: oldest first, left from any place. See table.h and
// layout.h.
//
// A doubly linked list rather than a ring, although a ring would take half the memory: those who
// are confirmed leave holes in a ring, holes have to be squeezed out, and then an embryo's age is
// no longer its place.
#include "flow/layout.h"

static void link_nodes(struct sg_flow_node *nodes, uint32_t older, uint32_t younger)
{
	nodes[older].next = younger;
	nodes[younger].prev = older;
}

void sg_flow_embryo_join(struct sg_flow_table *table, uint32_t record)
{
	struct sg_flow_node *nodes = sg_flow_table_nodes(table);

	link_nodes(nodes, nodes[0].prev, record);
	link_nodes(nodes, record, 0);
	table->embryos++;
}

void sg_flow_embryo_leave(struct sg_flow_table *table, uint32_t record)
{
	struct sg_flow_node *nodes = sg_flow_table_nodes(table);

	link_nodes(nodes, nodes[record].prev, nodes[record].next);
	table->embryos--;
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
	uint32_t at = nodes[0].next;
	unsigned n = 0;

	for (; n < max && at != 0; at = nodes[at].next) {
		__builtin_prefetch(&sg_flow_table_records(table)[at], 1);
		ret_refs[n++] = at << 1;
	}
	return n;
}

sg_flow_ref sg_flow_table_oldest_embryo(struct sg_flow_table *table)
{
	const struct sg_flow_node *nodes = sg_flow_table_nodes(table);
	uint32_t oldest = nodes[0].next;

	// The one behind it is the next to be asked for.
	__builtin_prefetch(&sg_flow_table_records(table)[nodes[oldest].next], 1);
	return oldest << 1;
}

void sg_flow_table_confirm(struct sg_flow_table *table, sg_flow_ref ref)
{
	struct sg_flow *flow = sg_flow_table_get(table, ref);

	if (!flow->embryo)
		return;
	flow->embryo = 0;
	sg_flow_embryo_leave(table, ref >> 1);
}

uint32_t sg_flow_table_embryos(const struct sg_flow_table *table)
{
	return table->embryos;
}

void sg_flow_table_renew_embryo(struct sg_flow_table *table, sg_flow_ref ref)
{
	if (!sg_flow_table_get(table, ref)->embryo)
		return;
	sg_flow_embryo_leave(table, ref >> 1);
	sg_flow_embryo_join(table, ref >> 1);
}
