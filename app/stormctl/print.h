// Results on stdout, one function a kind of result; all but the first are for people.
#pragma once

#include <jansson.h>

typedef void print_fn(const json_t *result);

print_fn print_json; // the result as it is
print_fn print_export;
print_fn print_status;
print_fn print_services;
print_fn print_service;
print_fn print_policy;
print_fn print_change; // what became of a change
print_fn print_drained;
print_fn print_difference; // what a change would do, or has done
print_fn print_history;
print_fn print_explanation;
print_fn print_flows;
print_fn print_stats;
print_fn print_drops;
