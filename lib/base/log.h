// One line to stderr, for the operator. Control threads only: the packet path never logs, it
// counts.
//
// Lines look like `stormgate: warning: sentence`, without a time: systemd and every terminal
// multiplexer add their own.
#pragma once

// Names the program in front of every line; the string must outlive the process. Default
// "stormgate".
void sg_log_open(const char *program);

void sg_log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void sg_log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void sg_log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
