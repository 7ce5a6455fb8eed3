// Tables of results, see print.h.
#include "print.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "table.h"

static json_int_t integer(const json_t *object, const char *member)
{
	return json_integer_value(json_object_get(object, member));
}

// Two columns: the names of members and their values.
static void print_members(const json_t *object, const char *const *members)
{
	struct table table;

	table_init(&table, "NAME VALUE");
	for (; *members; members++) {
		if (!json_object_get(object, *members))
			continue;
		table_text(&table, *members);
		table_member(&table, object, *members);
	}
	table_print(&table);
}

void print_json(const json_t *result)
{
	json_dumpf(result, stdout, JSON_INDENT(2));
	putchar('\n');
}

// What apply takes; that other owners have services, too, is no part of it.
void print_export(const json_t *result)
{
	json_t *params = json_copy((json_t *)result);
	size_t i;
	json_t *owner;

	json_array_foreach(json_object_get(result, "other_owners"), i, owner)
		sg_log_info("owner %s has services, too: export --owner %s prints them",
			json_string_value(owner), json_string_value(owner));
	json_object_del(params, "other_owners");
	print_json(params);
	json_decref(params);
}

void print_status(const json_t *result)
{
	static const char *const members[] = {"version", "instance", "generation", "uptime_s",
		"workers", "services", "flows", "service_bytes", "backend_bytes",
		"generation_bytes", "resident_bytes", "longest_turn_us", "state_file", "persisted", NULL};

	size_t i;
	json_t *warning;

	print_members(result, members);
	json_array_foreach(json_object_get(result, "warnings"), i, warning)
		sg_log_warning("%s", json_string_value(warning));
}

void print_services(const json_t *result)
{
	static const char *const columns[] = {
		"name", "owner", "vip", "protocol", "port", "scheduler", "forward", NULL};
	struct table table;
	size_t i;
	json_t *service;

	table_init(&table, "NAME OWNER VIP PROTOCOL #PORT SCHEDULER FORWARD #BACKENDS");
	json_array_foreach(json_object_get(result, "services"), i, service)
	{
		for (const char *const *column = columns; *column; column++)
			table_member(&table, service, *column);
		table_number(&table, json_array_size(json_object_get(service, "backends")));
	}
	table_print(&table);
}

void print_service(const json_t *result)
{
	static const char *const members[] = {"name", "owner", "vip", "protocol", "port",
		"scheduler", "forward", "allow", "deny", "policy_existing", "max_connections",
		"max_connections_per_backend", "max_connections_per_client", "max_new_per_second",
		"max_new_per_second_per_client", "client_prefix", "client_prefix6", "affinity",
		"affinity_timeout", "announce", "maglev_table_size", NULL};
	struct table table;
	size_t i;
	json_t *backend;

	print_members(result, members);
	putchar('\n');
	table_init(&table, "BACKEND #WEIGHT DRAINING #MAX_CONNECTIONS");
	json_array_foreach(json_object_get(result, "backends"), i, backend)
	{
		table_end_point(&table, backend);
		table_member(&table, backend, "weight");
		table_text(&table, json_object_get(backend, "draining") ? "yes" : "no");
		if (json_object_get(backend, "max_connections"))
			table_member(&table, backend, "max_connections");
		else
			table_text(&table, "-");
	}
	table_print(&table);
}

void print_policy(const json_t *result)
{
	static const char *const members[] = {"allow", "deny", "existing", NULL};
	struct table table;

	table_init(&table, "NAME VALUE");
	for (const char *const *member = members; *member; member++) {
		const json_t *value = json_object_get(result, *member);

		table_text(&table, *member);
		if (json_is_null(value))
			table_text(&table, "everyone");
		else if (json_is_array(value) && json_array_size(value) == 0)
			table_text(&table, "nobody");
		else
			table_member(&table, result, *member);
	}
	table_print(&table);
}

void print_change(const json_t *result)
{
	const json_t *services = json_object_get(result, "services");
	json_int_t generation = integer(result, "generation");
	bool dry_run = json_is_true(json_object_get(result, "dry_run"));
	size_t i;
	json_t *warning;

	json_array_foreach(json_object_get(result, "warnings"), i, warning)
		sg_log_warning("%s", json_string_value(warning));
	printf(dry_run ? "would add %d services, change %d, remove %d\n"
		       : "%d services added, %d changed, %d removed\n",
		(int)integer(services, "added"), (int)integer(services, "changed"),
		(int)integer(services, "removed"));
	if (json_is_true(json_object_get(result, "policy")))
		printf(dry_run ? "would change the policy\n" : "the policy is changed\n");
	print_difference(result);
	if (json_is_false(json_object_get(result, "persisted")))
		sg_log_warning("the change would not survive a restart: the state file cannot be "
			       "written (see stormgate's log)");
	if (dry_run)
		printf("nothing was changed: generation %d stays\n", (int)generation);
	else if (json_is_true(json_object_get(result, "active")))
		printf("generation %d is active on all workers\n", (int)generation);
	else
		sg_log_warning(
			"generation %d stands, but worker %d does not use it yet: its CPU is busy "
			"with something else",
			(int)generation, (int)integer(result, "late_worker"));
}

void print_drained(const json_t *result)
{
	if (json_object_get(result, "flows"))
		printf("drained: no flow is left\n");
	else
		print_change(result);
}

void print_explanation(const json_t *result)
{
	struct table table;
	size_t i;
	json_t *step;

	table_init(&table, "STEP WHAT");
	json_array_foreach(json_object_get(result, "steps"), i, step)
	{
		table_member(&table, step, "step");
		table_member(&table, step, "what");
	}
	table_print(&table);
}

void print_flows(const json_t *result)
{
	static const char *const columns[] = {"service", "protocol", "client", "vip", "snat",
		"backend", "state", "idle_s", "worker", NULL};
	struct table table;
	size_t i;
	json_t *flow;

	table_init(&table, "SERVICE PROTOCOL CLIENT VIP SNAT BACKEND STATE #IDLE_S #WORKER");
	json_array_foreach(json_object_get(result, "flows"), i, flow)
	{
		for (const char *const *column = columns; *column; column++)
			table_member(&table, flow, *column);
	}
	table_print(&table);
	if (json_is_true(json_object_get(result, "more")))
		sg_log_info(
			"there are more: --limit N lists up to N, --service NAME only one service's");
}

static void print_packets(const json_t *stats)
{
	static const char *const columns[] = {
		"received", "generated", "forwarded", "punted", "consumed", "in_flight", NULL};
	struct table table;
	const char *name;
	json_t *value;
	json_int_t dropped = 0;

	json_object_foreach(json_object_get(stats, "dropped"), name, value) dropped +=
		json_integer_value(value);
	table_init(&table, "#RECEIVED #GENERATED #FORWARDED #PUNTED #CONSUMED #IN_FLIGHT #DROPPED");
	for (const char *const *column = columns; *column; column++)
		table_member(&table, stats, *column);
	table_number(&table, (uint64_t)dropped);
	table_print(&table);
}

static void print_workers(const json_t *workers)
{
	static const char *const columns[] = {"worker", "generation", "flows", "new_flows",
		"received", "forwarded", "handed_in", "handed_out", "stolen_gaps", NULL};
	struct table table;
	size_t i;
	json_t *worker;

	table_init(&table, "#WORKER #GENERATION #FLOWS #NEW_FLOWS #RECEIVED #FORWARDED #HANDED_IN "
			   "#HANDED_OUT #STOLEN_GAPS");
	json_array_foreach(workers, i, worker)
	{
		for (const char *const *column = columns; *column; column++)
			table_member(&table, worker, *column);
	}
	table_print(&table);
}

static void add_traffic(struct table *table, const json_t *object)
{
	static const char *const columns[] = {"flows", "new_flows", "packets_to_backend",
		"bytes_to_backend", "packets_to_client", "bytes_to_client", "dropped", NULL};

	for (const char *const *column = columns; *column; column++)
		table_member(table, object, *column);
}

static void print_traffic(const json_t *services)
{
	struct table table;
	size_t i, j;
	json_t *service, *backend;

	table_init(&table, "SERVICE BACKEND #FLOWS #NEW_FLOWS #PACKETS_IN #BYTES_IN #PACKETS_OUT "
			   "#BYTES_OUT #DROPPED");
	json_array_foreach(services, i, service)
	{
		table_member(&table, service, "name");
		table_text(&table, "all");
		add_traffic(&table, service);
		json_array_foreach(json_object_get(service, "backends"), j, backend)
		{
			table_member(&table, service, "name");
			table_end_point(&table, backend);
			add_traffic(&table, backend);
		}
	}
	table_print(&table);
}

static void add_losses(struct table *table, const json_t *service, const json_t *backend)
{
	static const char *const members[] = {"dropped_to_backend", "dropped_to_client", NULL};
	static const char *const ways[] = {"to backend", "to client"};

	for (unsigned i = 0; members[i]; i++) {
		const char *name;
		json_t *count;

		json_object_foreach(
			json_object_get(backend ? backend : service, members[i]), name, count)
		{
			table_member(table, service, "name");
			if (backend)
				table_end_point(table, backend);
			else
				table_text(table, "all");
			table_text(table, ways[i]);
			table_text(table, name);
			table_number(table, (uint64_t)json_integer_value(count));
		}
	}
}

// What was lost, and by whom.
static void print_losses(const json_t *services)
{
	struct table table;
	size_t i, j;
	json_t *service, *backend;

	table_init(&table, "SERVICE BACKEND DIRECTION DROP #COUNT");
	json_array_foreach(services, i, service)
	{
		add_losses(&table, service, NULL);
		json_array_foreach(json_object_get(service, "backends"), j, backend)
			add_losses(&table, service, backend);
	}
	table_print(&table);
}

void print_stats(const json_t *result)
{
	print_packets(result);
	putchar('\n');
	print_workers(json_object_get(result, "workers"));
	putchar('\n');
	print_traffic(json_object_get(result, "services"));
	putchar('\n');
	print_losses(json_object_get(result, "services"));
}

void print_drops(const json_t *result)
{
	struct table table;
	size_t i;
	json_t *drop;
	bool any = false;

	table_init(&table, "NAME #COUNT MEANING");
	json_array_foreach(json_object_get(result, "drops"), i, drop)
	{
		if (integer(drop, "count") == 0)
			continue;
		any = true;
		table_member(&table, drop, "name");
		table_member(&table, drop, "count");
		table_member(&table, drop, "meaning");
	}
	table_print(&table);
	if (!any)
		sg_log_info("no packet was dropped");
}
