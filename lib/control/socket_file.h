// The socket's place in the file system: made safely, taken over safely, taken away.
//
// The socket is bound and listens under a name of its own ("PATH~", created with mode 0600), gets
// its group and mode there, and is renamed to PATH: whoever sees PATH can connect, and at no moment
// has it wider rights than configured. The rename also replaces what a killed stormgate left
// behind. A live one is found by connecting to it. Called by the control thread.
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

#define SG_SOCKET_FILE_NO_GROUP ((gid_t)-1) // leave the group as it is

struct sg_socket_file {
	int fd; // listening, non-blocking
	char path[108];
	dev_t device; // which file is ours, at the end
	ino_t inode;
	bool made_directory; // the last directory of the path is ours, too
};

// Errors: -EADDRINUSE (a live process listens there: the sentence has its pid), -EEXIST (a file
// that is no socket), -ENAMETOOLONG (over 106 bytes), or what the system gives. Nothing is left
// behind then.
int sg_socket_file_open(struct sg_socket_file *ret_file, const char *path, mode_t mode, gid_t gid,
	struct sg_error *error);
// Removes the socket unless somebody else's has taken its place.
void sg_socket_file_close(struct sg_socket_file *file);
