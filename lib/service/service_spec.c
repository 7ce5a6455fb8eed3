// One service as it is asked for, and the names of what it may be; see state.h.
#include "service/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/refs.h"
#include "net/headers.h"

static int parse_name(const char *const *names, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -EINVAL;
}

static const char *const scheduler_names[SG_SCHEDULER_COUNT] = {
	"maglev", "rr", "wrr", "lc", "wlc", "sh"};
static const char *const forward_names[SG_FORWARD_COUNT] = {"snat", "dnat", "dsr", "ipip"};
static const char *const affinity_names[SG_AFFINITY_COUNT] = {"none", "client-ip"};
static const char *const announce_names[SG_ANNOUNCE_COUNT] = {"always", "kernel", "never"};

const char *sg_scheduler_name(enum sg_scheduler scheduler)
{
	return scheduler_names[scheduler];
}

int sg_scheduler_parse(const char *name)
{
	return parse_name(scheduler_names, SG_SCHEDULER_COUNT, name);
}

const char *sg_forward_name(enum sg_forward forward)
{
	return forward_names[forward];
}

int sg_forward_parse(const char *name)
{
	return parse_name(forward_names, SG_FORWARD_COUNT, name);
}

const char *sg_affinity_name(enum sg_affinity affinity)
{
	return affinity_names[affinity];
}

int sg_affinity_parse(const char *name)
{
	return parse_name(affinity_names, SG_AFFINITY_COUNT, name);
}

const char *sg_announce_name(enum sg_announce announce)
{
	return announce_names[announce];
}

int sg_announce_parse(const char *name)
{
	return parse_name(announce_names, SG_ANNOUNCE_COUNT, name);
}

const char *sg_protocol_name(uint8_t protocol)
{
	return protocol == SG_PROTO_UDP ? "udp" : "tcp";
}

int sg_protocol_parse(const char *name)
{
	if (strcmp(name, "tcp") == 0)
		return SG_PROTO_TCP;
	if (strcmp(name, "udp") == 0)
		return SG_PROTO_UDP;
	return -EINVAL;
}

// A name that does not fit ends in '~', which no valid name has: it cannot pass for a shorter one.
static void set_name(char *ret_name, const char *name)
{
	if (snprintf(ret_name, SG_MAX_NAME_BYTES, "%s", name) >= SG_MAX_NAME_BYTES)
		ret_name[SG_MAX_NAME_BYTES - 2] = '~';
}

struct sg_service_spec *sg_service_spec_create(const char *name, const char *owner)
{
	struct sg_service_spec *spec = calloc(1, sizeof(*spec));

	if (!spec)
		return NULL;
	spec->refs = 1;
	set_name(spec->name, name);
	set_name(spec->owner, owner);
	spec->protocol = SG_PROTO_TCP;
	spec->affinity_timeout_s = SG_DEFAULT_AFFINITY_TIMEOUT_S;
	spec->maglev_table_size = SG_DEFAULT_MAGLEV_TABLE_SIZE;
	sg_policy_spec_init(&spec->policy);
	spec->limits.client_prefix = 32;
	spec->limits.client_prefix6 = 64;
	return spec;
}

// NULL for an empty array as well as without memory.
static void *copy_array(const void *array, size_t bytes)
{
	void *copy = bytes > 0 ? malloc(bytes) : NULL;

	if (copy)
		memcpy(copy, array, bytes);
	return copy;
}

struct sg_service_spec *sg_service_spec_clone(const struct sg_service_spec *spec)
{
	struct sg_service_spec *clone = copy_array(spec, sizeof(*spec));

	if (!clone)
		return NULL;
	clone->refs = 1;
	clone->backends = copy_array(spec->backends, spec->n_backends * sizeof(spec->backends[0]));
	if (sg_policy_spec_clone(&clone->policy, &spec->policy) < 0 ||
		(spec->n_backends > 0 && !clone->backends)) {
		sg_service_spec_unref(clone);
		return NULL;
	}
	return clone;
}

struct sg_service_spec *sg_service_spec_ref(struct sg_service_spec *spec)
{
	sg_refs_take(&spec->refs);
	return spec;
}

void sg_service_spec_unref(struct sg_service_spec *spec)
{
	if (!spec || !sg_refs_drop(&spec->refs))
		return;
	sg_policy_spec_fini(&spec->policy);
	free(spec->backends);
	free(spec);
}

// Where the backend is, or would have to be put. Returns whether it is there.
static bool search_backend(const struct sg_service_spec *spec, const struct sg_addr *address,
	uint16_t port, unsigned *ret_at)
{
	unsigned low = 0, high = spec->n_backends;

	while (low < high) {
		unsigned middle = (low + high) / 2;
		const struct sg_backend_spec *backend = &spec->backends[middle];
		int order = sg_addr_compare(&backend->address, address);

		if (order == 0)
			order = (int)backend->port - (int)port;
		if (order == 0) {
			*ret_at = middle;
			return true;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_at = low;
	return false;
}

int sg_service_spec_put_backend(struct sg_service_spec *spec, const struct sg_backend_spec *backend)
{
	struct sg_backend_spec *backends;
	unsigned at;

	if (search_backend(spec, &backend->address, backend->port, &at)) {
		spec->backends[at] = *backend;
		return 0;
	}
	backends = realloc(spec->backends, (spec->n_backends + 1) * sizeof(backends[0]));
	if (!backends)
		return -ENOMEM;
	memmove(&backends[at + 1], &backends[at], (spec->n_backends - at) * sizeof(backends[0]));
	backends[at] = *backend;
	spec->backends = backends;
	spec->n_backends++;
	return 0;
}

struct sg_backend_spec *sg_service_spec_find_backend(
	const struct sg_service_spec *spec, const struct sg_addr *address, uint16_t port)
{
	unsigned at;

	return search_backend(spec, address, port, &at) ? &spec->backends[at] : NULL;
}

int sg_service_spec_remove_backend(
	struct sg_service_spec *spec, const struct sg_addr *address, uint16_t port)
{
	struct sg_backend_spec *backends = spec->backends;
	unsigned at;

	if (!search_backend(spec, address, port, &at))
		return -ENOENT;
	spec->n_backends--;
	memmove(&backends[at], &backends[at + 1], (spec->n_backends - at) * sizeof(backends[0]));
	return 0;
}

static bool backends_equal(const struct sg_service_spec *a, const struct sg_service_spec *b)
{
	if (a->n_backends != b->n_backends)
		return false;
	for (unsigned i = 0; i < a->n_backends; i++) {
		const struct sg_backend_spec *x = &a->backends[i], *y = &b->backends[i];

		if (!sg_addr_equal(&x->address, &y->address) || x->port != y->port ||
			x->weight != y->weight || x->draining != y->draining ||
			x->max_connections != y->max_connections)
			return false;
	}
	return true;
}

static bool vips_equal(const struct sg_service_spec *a, const struct sg_service_spec *b)
{
	if (a->n_vips != b->n_vips)
		return false;
	for (unsigned i = 0; i < a->n_vips; i++)
		if (!sg_addr_equal(&a->vips[i], &b->vips[i]))
			return false;
	return true;
}

bool sg_service_spec_equal(const struct sg_service_spec *a, const struct sg_service_spec *b)
{
	return a == b ||
	       (strcmp(a->name, b->name) == 0 && strcmp(a->owner, b->owner) == 0 &&
		       vips_equal(a, b) && a->protocol == b->protocol && a->port == b->port &&
		       a->scheduler == b->scheduler && a->forward == b->forward &&
		       a->affinity == b->affinity && a->announce == b->announce &&
		       a->affinity_timeout_s == b->affinity_timeout_s &&
		       a->maglev_table_size == b->maglev_table_size &&
		       memcmp(&a->limits, &b->limits, sizeof(a->limits)) == 0 &&
		       sg_policy_spec_equal(&a->policy, &b->policy) && backends_equal(a, b));
}
