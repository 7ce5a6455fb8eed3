// One check for every door: the config file, the socket and the controller all end here.
#pragma once

#include "service/settings.h"
#include "service/state.h"

// Checks the settings alone: ports, twins, SNAT addresses and ports against each other.
// Errors: -EINVAL with a sentence naming the item, and its line where there is one. The file alone decides:
// looks at nothing on the machine.
int sg_validate_settings(const struct sg_settings *settings, struct sg_error *error);

// Checks a whole state against the settings and within itself: names, duplicate VIP + protocol + port (naming both
// services), VIP equal to a port's or a SNAT address, backends outside backend_cidrs, families without a SNAT address,
// limits. A backend that is a VIP is refused. `previous` (may be NULL) is a state that passed with the same
// settings: specs shared with it are not looked into again, so that a small change is cheap.
// Errors: -EINVAL with the first problem's sentence.
int sg_validate_state(const struct sg_state *state, const struct sg_state *previous,
	const struct sg_settings *settings, struct sg_error *error);
