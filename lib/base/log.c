// Lines to stderr, see log.h. Each is one write(), so that threads do not mix within a line.
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static const char *program_name = "stormgate";

void sg_log_open(const char *program)
{
	program_name = program;
}

static void write_line(const char *level, const char *format, va_list args)
{
	char line[1024];
	int head = snprintf(line, sizeof(line), "%s: %s", program_name, level);
	int body = vsnprintf(line + head, sizeof(line) - head - 1, format, args);
	int length = head + body;

	if (length > (int)sizeof(line) - 2)
		length = sizeof(line) - 2;
	line[length++] = '\n';
	// Nobody is left to tell when stderr itself fails.
	if (write(STDERR_FILENO, line, length) < 0)
		return;
}

void sg_log_info(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_line("", format, args);
	va_end(args);
}

void sg_log_warning(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_line("warning: ", format, args);
	va_end(args);
}

void sg_log_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_line("error: ", format, args);
	va_end(args);
}
