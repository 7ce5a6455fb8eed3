// One compiler with its state, its clock and the snapshot that was compiled last.
//
// Included by the tests of the compiler.
#pragma once

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/headers.h"
#include "service/compiler.h"

#define DRAIN_MS 30000

// What a test works with: one compiler, its state, its clock, and the snapshot compiled last.
struct rig {
	struct sg_settings settings;
	struct sg_compiler *compiler;
	struct sg_routes *routes;
	struct sg_state state;
	struct sg_snapshot *snapshot;
	uint64_t now_ms;
	uint64_t sweeps[2];
};

static inline struct sg_addr addr_of(const char *text)
{
	struct sg_addr addr;

	assert_int_equal(sg_addr_parse(text, &addr), 0);
	return addr;
}

static inline uint32_t ipv4_be(const char *text)
{
	struct sg_addr addr = addr_of(text);

	return sg_addr_ipv4_be(&addr);
}

static inline void setup(struct rig *rig)
{
	*rig = (struct rig){.now_ms = 1000000};
	sg_settings_init(&rig->settings);
	rig->settings.maglev_seed = 42;
	rig->settings.snat_addresses[0] = addr_of("10.0.0.100");
	rig->settings.n_snat_addresses = 1;
	rig->compiler = sg_compiler_create(&rig->settings);
	rig->routes = sg_routes_create_empty();
	assert_non_null(rig->compiler);
	assert_non_null(rig->routes);
	sg_state_init(&rig->state);
}

static inline void teardown(struct rig *rig)
{
	sg_state_fini(&rig->state);
	sg_routes_unref(rig->routes);
	sg_compiler_destroy(rig->compiler);
}

// Compiles, and returns the snapshot that was current before, which the caller reclaims.
static inline struct sg_snapshot *compile_keeping(struct rig *rig)
{
	struct sg_snapshot *before = rig->snapshot;
	struct sg_error error;

	assert_int_equal(sg_compiler_compile(rig->compiler, &rig->state, rig->routes, rig->now_ms,
				 &rig->snapshot, &error),
		0);
	return before;
}

static inline void compile(struct rig *rig)
{
	struct sg_snapshot *before = compile_keeping(rig);

	if (before)
		sg_compiler_reclaim(rig->compiler, before);
}

static inline void sweep(struct rig *rig, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		rig->sweeps[0]++;
		rig->sweeps[1]++;
		sg_compiler_note_sweeps(rig->compiler, rig->sweeps, 2);
	}
}

static inline struct sg_service_spec *make_service(const char *name, const char *vip, uint16_t port)
{
	struct sg_service_spec *spec = sg_service_spec_create(name, "operator");

	assert_non_null(spec);
	spec->vips[0] = addr_of(vip);
	spec->n_vips = 1;
	spec->port = port;
	spec->maglev_table_size = 251;
	return spec;
}

static inline void add_backend(struct sg_service_spec *spec, const char *address, uint16_t weight)
{
	struct sg_backend_spec backend = {
		.address = addr_of(address), .port = 80, .weight = weight};

	assert_int_equal(sg_service_spec_put_backend(spec, &backend), 0);
}

static inline void put(struct rig *rig, struct sg_service_spec *spec)
{
	assert_int_equal(sg_state_put(&rig->state, spec), 0);
}

// A service "web" at 192.0.2.10:80 with the backends 10.0.0.1 to 10.0.0.n, in the place of the one
// before.
static inline void put_web(struct rig *rig, unsigned n)
{
	struct sg_service_spec *spec = make_service("web", "192.0.2.10", 80);

	for (unsigned i = 1; i <= n; i++) {
		char text[SG_ADDR_TEXT_BYTES];

		snprintf(text, sizeof(text), "10.0.0.%u", i);
		add_backend(spec, text, 1);
	}
	put(rig, spec);
}

static inline uint32_t slot_of(const struct rig *rig, const char *service, const char *address)
{
	struct sg_addr addr = addr_of(address);

	return sg_compiler_find_backend_slot(rig->compiler, service, &addr, 80);
}

static inline unsigned life_of(const struct rig *rig, uint32_t slot)
{
	uint32_t word = sg_snapshot_backend_word(rig->snapshot, slot);
	const struct sg_backend *backend = sg_snapshot_backend(rig->snapshot, slot);

	assert_int_equal(word, SG_BACKEND_WORD(backend->generation, backend->life));
	return word & 0xff;
}

static inline const struct sg_service *service_at(
	const struct rig *rig, const char *vip, uint16_t port)
{
	return sg_snapshot_find_service4(rig->snapshot, ipv4_be(vip), htons(port), SG_PROTO_TCP);
}
