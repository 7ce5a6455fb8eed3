// Which names are good: services, owners, ports and instances. Used by the two halves of
// validation.
#pragma once

#include <stdbool.h>

#define SG_NAME_RULE "1 to 63 of the characters A-Z a-z 0-9 . _ / -"

// Letters, digits and . _ / - ; from 1 to 63 of them.
bool sg_name_is_valid(const char *name);
