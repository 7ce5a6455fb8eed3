// What a config file's bytes say before libconfig sees them.
//
// libconfig 1.5 (Debian 12) wraps integers beyond 32 bits silently, accepts a comment that is never
// closed, opens other files at `@include`, and calls a trailing comma "syntax error". Each would
// surprise an operator, so the text is looked through once, token by token. Pure functions; `text`
// ends with a NUL.
#pragma once

#include <stdbool.h>

#include "base/error.h"

// Errors: -EINVAL with the line and a sentence, at the first thing that libconfig would misread.
int sg_config_text_check(const char *text, struct sg_error *error);

// Whether the array or list that closes on `line` has a comma before its closing bracket.
bool sg_config_text_has_trailing_comma(const char *text, int line);
