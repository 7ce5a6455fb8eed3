// One service for itself: the part of validation that needs no other service. See validate.h for
// the rules.
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "service/endpoints.h"
#include "service/settings.h"
#include "service/state.h"
#include "service/trie.h"

// The settings, laid out for the check of many services.
struct sg_service_check {
	const struct sg_settings *settings;
	struct sg_error *error;
	struct sg_endpoints port_addresses; // owner: the port's settings
	struct sg_endpoints snat_addresses; // owner: the address
	struct sg_trie *cidrs4, *cidrs6;    // of backend_cidrs; NULL when they are absent
};

// Returns 0 or -ENOMEM. Settings and error must outlive the check.
int sg_service_check_init(struct sg_service_check *ret_check, const struct sg_settings *settings,
	struct sg_error *error);
void sg_service_check_fini(struct sg_service_check *check);

// Returns 0, or -EINVAL with a sentence.
int sg_service_check_run(struct sg_service_check *check, const struct sg_service_spec *spec);
// Only whether its backends lie inside backend_cidrs, which may have changed since it passed.
int sg_service_check_cidrs(struct sg_service_check *check, const struct sg_service_spec *spec);

// "backend ADDRESS:PORT of service 'NAME' WHAT". Returns -EINVAL.
int sg_refuse_backend(struct sg_error *error, const struct sg_service_spec *spec,
	const struct sg_backend_spec *backend, const char *what);

// "10.0.0.2:80", "[fd00::2]:80"
struct sg_endpoint_text {
	char text[SG_ADDR_TEXT_BYTES + 8];
};

struct sg_endpoint_text sg_endpoint_format(const struct sg_addr *addr, uint16_t port);
