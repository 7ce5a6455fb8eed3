// A sentence for the operator beside an error number.
//
// Control code returns 0 or -Exxx. Where somebody will read about the failure, it also fills a
// `struct sg_error` that the caller owns; whoever is outermost prints it. Not for the packet path.
#pragma once

struct sg_error {
	int line; // line of the config file that the sentence is about; 0 when there is none
	char text[500];
};

// Writes the sentence (no full stop, no newline) and returns `err`, so that a failing function ends
// with `return sg_error_set(error, -EINVAL, "...")`. `err` is a negative errno; `error` may be
// NULL.
int sg_error_set(struct sg_error *error, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

// The same, and notes the line of the config file (0: unknown).
int sg_error_set_at(struct sg_error *error, int err, int line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
