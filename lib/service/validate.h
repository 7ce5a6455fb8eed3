// One check for every door: the config file, the socket and the controller all end here.
//
// Nothing on the machine is looked at, so `--check` says what a start would say as far as the file
// decides. The first problem ends the check, and its sentence names the item: the port, the
// service, the backend. Control thread only.
#pragma once

#include "service/settings.h"
#include "service/state.h"

// Checks the settings alone: names, numbers, ports, twins, SNAT addresses and ports against each
// other. Errors: -EINVAL with a sentence naming the item, and its line where there is one.
int sg_validate_settings(const struct sg_settings *settings, struct sg_error *error);

// Checks a whole state against settings that passed, and within itself:
//
// * a service: names, numbers within their limits, what this version serves, one VIP of a family;
// * its VIPs: unicast, neither a port's address nor a SNAT address;
// * its backends: unicast, of a family of the VIPs, inside backend_cidrs, not a SNAT address, and
//   for `snat` with a SNAT address of their family;
// * services against each other: no two with one VIP, protocol and port; no backend that is the
//   address and port of a VIP (of either protocol); no two dnat services with one backend.
//
// `previous` (may be NULL) is a state that passed: specs shared with it are not looked into again,
// but for their backends where `state` has other shared settings, which may only differ in what may
// change while stormgate runs. A changed backend among 10,000 services costs about what reading one
// array costs; a new VIP is compared with every backend. Errors: -EINVAL with the first problem's
// sentence, and its line where there is one; -ENOMEM.
int sg_validate_state(const struct sg_state *state, const struct sg_state *previous,
	const struct sg_settings *settings, struct sg_error *error);

// What is allowed but probably not meant. `line` is 0 when there is none; `text` is a sentence as
// in sg_error, and gone after the call.
typedef void sg_validate_warning_fn(void *context, int line, const char *text);

// CPUs that several workers share, backend_cidrs absent.
void sg_validate_settings_warnings(
	const struct sg_settings *settings, sg_validate_warning_fn *warn, void *context);
// A Maglev table that is small for its backends. Only specs that `previous` (may be NULL) does not
// have.
void sg_validate_state_warnings(const struct sg_state *state, const struct sg_state *previous,
	sg_validate_warning_fn *warn, void *context);
