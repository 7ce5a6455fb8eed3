// What the state file asks of the system, in one table, so that a test can make any of it fail, or
// end the process in the middle of it. Nobody else changes the table.
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct sg_file_operations {
	int (*open)(const char *path, int flags, mode_t mode);
	ssize_t (*write)(int fd, const void *bytes, size_t length, off_t offset);
	int (*sync)(int fd); // data, and what is needed to find it again
	int (*rename)(const char *from, const char *to);
};

extern struct sg_file_operations sg_file_operations;
