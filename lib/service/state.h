// The desired state: what the operator asked for, whole, whoever asked (config file, stormctl,
// Kubernetes).
//
// A service is an immutable `struct sg_service_spec` with a reference count; a state is a sorted
// list of pages of references, which are shared as well. An edit clones the state (some pointers to
// pages), replaces the specs that it touches, and with them their pages; it is validated, and
// committed or thrown away as a whole. So a change costs what it changes, and an old state is kept
// for the price of the pages that no newer one has.
//
// A state belongs to one thread. Its pages and specs may be in the states of several at a time, and
// are only read then (base/refs.h).
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "net/addr.h"
#include "service/limits.h"
#include "service/policy.h"
#include "service/settings.h"

enum sg_scheduler {
	SG_SCHEDULER_MAGLEV,
	SG_SCHEDULER_RR,
	SG_SCHEDULER_WRR,
	SG_SCHEDULER_LC,
	SG_SCHEDULER_WLC,
	SG_SCHEDULER_SH,
	SG_SCHEDULER_COUNT,
};

enum sg_forward {
	SG_FORWARD_SNAT,
	SG_FORWARD_DNAT,
	SG_FORWARD_DSR,
	SG_FORWARD_IPIP,
	SG_FORWARD_COUNT,
};

enum sg_affinity {
	SG_AFFINITY_NONE,
	SG_AFFINITY_CLIENT_IP,
	SG_AFFINITY_COUNT,
};

enum sg_announce {
	SG_ANNOUNCE_ALWAYS,
	SG_ANNOUNCE_KERNEL,
	SG_ANNOUNCE_NEVER,
	SG_ANNOUNCE_COUNT,
};

// Names as they stand in the config file and in JSON. `parse` returns the value or -EINVAL.
const char *sg_scheduler_name(enum sg_scheduler scheduler);
int sg_scheduler_parse(const char *name);
const char *sg_forward_name(enum sg_forward forward);
int sg_forward_parse(const char *name);
const char *sg_affinity_name(enum sg_affinity affinity);
int sg_affinity_parse(const char *name);
const char *sg_announce_name(enum sg_announce announce);
int sg_announce_parse(const char *name);
const char *sg_protocol_name(uint8_t protocol); // "tcp", "udp"
int sg_protocol_parse(const char *name);

#define SG_DEFAULT_AFFINITY_TIMEOUT_S 10800
#define SG_DEFAULT_MAGLEV_TABLE_SIZE  4093

struct sg_backend_spec {
	struct sg_addr address;
	uint16_t port; // host order
	uint16_t weight;
	bool draining;            // no new flows; the weight is remembered
	uint32_t max_connections; // 0: its service's max_connections_per_backend
	int line;                 // of the config file; 0 when it came through the socket
};

// 0: no limit.
struct sg_limits {
	uint32_t max_connections;
	uint32_t max_connections_per_backend;
	uint32_t max_connections_per_client; // address
	uint32_t max_new_per_second;
	uint32_t max_new_per_second_per_client; // prefix, of so many bits:
	uint32_t client_prefix, client_prefix6;
};

struct sg_service_spec {
	unsigned refs; // base/refs.h
	char name[SG_MAX_NAME_BYTES];
	char owner[SG_MAX_NAME_BYTES];
	struct sg_addr vips[2]; // one, or one IPv4 and one IPv6
	unsigned n_vips;
	uint8_t protocol; // SG_PROTO_TCP, SG_PROTO_UDP
	uint16_t port;    // host order
	enum sg_scheduler scheduler;
	enum sg_forward forward;
	enum sg_affinity affinity;
	enum sg_announce announce;
	uint32_t affinity_timeout_s; // 0: SG_DEFAULT_AFFINITY_TIMEOUT_S
	uint32_t maglev_table_size;
	struct sg_policy_spec policy; // its own; the state has one for all
	struct sg_limits limits;
	struct sg_backend_spec *backends; // sorted by address, then port
	unsigned n_backends;
	int line;
};

// A spec with every default set and no VIP, port or backend. A name that is too long is cut so that
// validation refuses it. NULL without memory.
struct sg_service_spec *sg_service_spec_create(const char *name, const char *owner);
// A copy with one reference, free to edit until it is put into a state. NULL without memory.
struct sg_service_spec *sg_service_spec_clone(const struct sg_service_spec *spec);
struct sg_service_spec *sg_service_spec_ref(struct sg_service_spec *spec);
void sg_service_spec_unref(struct sg_service_spec *spec); // NULL is fine

// Adds a backend in its place, or replaces the one with the same address and port. Returns 0 or
// -ENOMEM.
int sg_service_spec_put_backend(
	struct sg_service_spec *spec, const struct sg_backend_spec *backend);
// NULL when the service has none of that address and port.
struct sg_backend_spec *sg_service_spec_find_backend(
	const struct sg_service_spec *spec, const struct sg_addr *address, uint16_t port);
// Returns 0 or -ENOENT.
int sg_service_spec_remove_backend(
	struct sg_service_spec *spec, const struct sg_addr *address, uint16_t port);
bool sg_service_spec_equal(const struct sg_service_spec *a, const struct sg_service_spec *b);

// 10,000 services are some 200 pages: as many pointers are copied for a clone, and as many as a
// page has for a change.
#define SG_STATE_PAGE_SERVICES 64

struct sg_state_page {
	unsigned refs; // base/refs.h; read only, while it is not 1
	unsigned n;    // never 0
	struct sg_service_spec *services[SG_STATE_PAGE_SERVICES]; // sorted by name, each referenced
};

struct sg_state {
	struct sg_state_page **pages; // sorted, each referenced once
	unsigned n_pages, max_pages;
	unsigned n_services;
	struct sg_shared_policy *policy; // for all services; NULL: everyone may
	// Those of the start, but for what has been changed since; NULL: nothing has. No edit
	// touches them, and there is no way back to others than the present ones.
	struct sg_shared_settings *settings;
};

void sg_state_init(struct sg_state *state);
void sg_state_fini(struct sg_state *state);
// Fills an uninitialised state with references to the same pages. Returns 0 or -ENOMEM.
int sg_state_clone(struct sg_state *ret_state, const struct sg_state *state);

// A place in the order of names; all zeros: the first. Good until a service is added or removed.
struct sg_state_place {
	unsigned page, at;
};

// The service at a place, or NULL behind the last.
static inline struct sg_service_spec *sg_state_get(
	const struct sg_state *state, struct sg_state_place place)
{
	return place.page < state->n_pages ? state->pages[place.page]->services[place.at] : NULL;
}

// The service at a place, which moves on to the next; NULL behind the last.
static inline struct sg_service_spec *sg_state_next(
	const struct sg_state *state, struct sg_state_place *place)
{
	struct sg_service_spec *spec = sg_state_get(state, *place);

	if (spec && ++place->at == state->pages[place->page]->n)
		*place = (struct sg_state_place){.page = place->page + 1};
	return spec;
}

struct sg_service_spec *sg_state_find(const struct sg_state *state, const char *name);
// Adds the spec, or replaces the one of that name; takes over the caller's reference. Returns 0 or
// -ENOMEM (the reference is then still the caller's).
int sg_state_put(struct sg_state *state, struct sg_service_spec *spec);
// Takes over the caller's reference; NULL is fine.
void sg_state_set_policy(struct sg_state *state, struct sg_shared_policy *policy);
// The same.
void sg_state_set_settings(struct sg_state *state, struct sg_shared_settings *settings);
// The settings that hold with the state.
static inline const struct sg_settings *sg_state_settings(
	const struct sg_state *state, const struct sg_settings *at_start)
{
	return state->settings ? &state->settings->settings : at_start;
}
// Returns 0, -ENOENT or -ENOMEM.
int sg_state_remove(struct sg_state *state, const char *name);
// Removes every service of an owner: what an `apply` does before it puts the new ones. Returns 0 or
// -ENOMEM, when some may be gone.
int sg_state_remove_owner(struct sg_state *state, const char *owner);
