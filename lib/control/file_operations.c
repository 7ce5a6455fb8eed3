// The system's own, see file_operations.h.
#include "control/file_operations.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int system_open(const char *path, int flags, mode_t mode)
{
	return open(path, flags, mode);
}

static int system_rename(const char *from, const char *to)
{
	return rename(from, to);
}

struct sg_file_operations sg_file_operations = {
	.open = system_open,
	.write = pwrite,
	.sync = fdatasync,
	.rename = system_rename,
};
