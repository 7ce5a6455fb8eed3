// Services and backends as JSON: what `apply` takes and `export` prints.
//
//     {"name":"web","vip":"192.0.2.10","protocol":"tcp","port":80,"scheduler":"maglev","forward":"snat",
//      "allow":["0.0.0.0/0"],"deny":["192.0.2.0/24"],"policy_existing":"keep",
//      "affinity":"none","affinity_timeout":10800,"announce":"always",
//      "maglev_table_size":4093,"backends":[{"address":"10.0.0.2","port":8080,"weight":1,"draining":false}]}
//
// Members and defaults are those of the config file; `vip` may be an array of one IPv4 and one IPv6
// address, and
// `"allow": null` stands for everyone, as its absence does. Whatever sg_spec_to_json writes,
// sg_spec_from_json reads to an equal spec. Control thread only.
#pragma once

#include <stdbool.h>

#include <jansson.h>

#include "base/error.h"
#include "service/state.h"

// Reads `object` over what `spec` holds. `whole`: name, vip, protocol and port must be there;
// otherwise members that are absent stay as they are. Owner and line are the caller's. Errors:
// -EBADMSG with a sentence naming the service and the member, -ENOMEM; the spec is then of no use.
int sg_spec_from_json(
	struct sg_service_spec *spec, const json_t *object, bool whole, struct sg_error *error);

// NULL without memory. `draining` of a backend is written where it is true.
json_t *sg_spec_to_json(const struct sg_service_spec *spec);
json_t *sg_backend_to_json(const struct sg_backend_spec *backend);
