// The `services` of a config file: blocks to specs.
//
// See config_file.h for the whole; this part stands alone because a service is also the longest
// block.
#pragma once

#include "control/config_reader.h"
#include "service/state.h"

#define SG_CONFIG_OWNER "config" // of the services that stand in the file

// A reader (config_reader.h) whose field is a `struct sg_state`: puts each block into it.
sg_config_read_fn sg_config_read_services;

extern const struct sg_config_key sg_config_service_keys[];

// Readers whose field is a `struct sg_policy_spec`.
sg_config_read_fn sg_config_read_allow;
sg_config_read_fn sg_config_read_deny;

// Reads an array or list of prefixes and calls `add` for each; shared with backend_cidrs. Errors:
// -EINVAL, or what `add` says.
int sg_config_read_prefixes(const config_setting_t *setting, unsigned max,
	int (*add)(void *context, const struct sg_prefix *prefix), void *context,
	struct sg_error *error);
