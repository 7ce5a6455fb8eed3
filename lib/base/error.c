// Sentences for the operator, see error.h.
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

static int set(struct sg_error *error, int err, int line, const char *format, va_list args)
{
	if (error) {
		error->line = line;
		vsnprintf(error->text, sizeof(error->text), format, args);
	}
	return err;
}

int sg_error_set(struct sg_error *error, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	err = set(error, err, 0, format, args);
	va_end(args);
	return err;
}

int sg_error_set_at(struct sg_error *error, int err, int line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	err = set(error, err, line, format, args);
	va_end(args);
	return err;
}
