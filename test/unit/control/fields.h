// Every member of a service and of the policy for all, each with a value that is not its default:
// what has to survive wherever services are written, read, compared and told of.
//
// A member that is new in the config file and absent here fails a test (history.c).
#pragma once

#include <stddef.h>

struct field {
	const char *name;
	const char *value; // good as JSON as well as in a config file
};

static const struct field service_fields[] = {
	{"vip", "\"192.0.2.77\""},
	{"protocol", "\"udp\""},
	{"port", "81"},
	{"scheduler", "\"wlc\""},
	{"forward", "\"dnat\""},
	{"allow", "[\"198.51.100.0/24\"]"},
	{"deny", "[\"203.0.113.0/24\",\"2001:db8::/32\"]"},
	{"policy_existing", "\"end\""},
	{"max_connections", "101"},
	{"max_connections_per_backend", "102"},
	{"max_connections_per_client", "103"},
	{"max_new_per_second", "104"},
	{"max_new_per_second_per_client", "105"},
	{"client_prefix", "24"},
	{"client_prefix6", "56"},
	{"affinity", "\"client-ip\""},
	{"affinity_timeout", "60"},
	{"announce", "\"never\""},
	{"maglev_table_size", "251"},
};

static const struct field policy_fields[] = {
	{"allow", "[\"198.51.100.0/24\"]"},
	{"deny", "[\"203.0.113.0/24\"]"},
	{"existing", "\"end\""},
};

#define N_SERVICE_FIELDS (sizeof(service_fields) / sizeof(service_fields[0]))
#define N_POLICY_FIELDS  (sizeof(policy_fields) / sizeof(policy_fields[0]))
