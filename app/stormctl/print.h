// Results for people, one function a kind of result. For programs there is -o json.
#pragma once

#include <jansson.h>

typedef void print_fn(const json_t *result);

print_fn print_status;
print_fn print_services;
print_fn print_service;
print_fn print_change; // what became of a change
print_fn print_drained;
print_fn print_flows;
print_fn print_stats;
print_fn print_drops;
