// Making and taking away the socket's file, see socket_file.h.
#include "control/socket_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 1024

static int refuse(struct sg_error *error, int err, const char *path, const char *what)
{
	return sg_error_set(
		error, err, "the control socket %s cannot be %s: %s", path, what, strerror(-err));
}

static int open_stream(struct sockaddr_un *ret_address, const char *path)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	// The caller has checked the length.
	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(ret_address->sun_path, path, strlen(path));
	return fd < 0 ? -errno : fd;
}

// Whether somebody listens at `path`. A full backlog (EAGAIN) is a live one, too.
static int refuse_live(const char *path, struct sg_error *error)
{
	struct sockaddr_un address;
	struct ucred peer = {0};
	socklen_t length = sizeof(peer);
	int fd = open_stream(&address, path);
	int err = 0;

	if (fd < 0)
		return refuse(error, fd, path, "looked at");
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
		err = sg_error_set(error, -EADDRINUSE,
			"process %d already serves the control socket %s: stop it, or give this "
			"instance its own control.socket",
			(int)peer.pid, path);
	} else if (errno == EAGAIN) {
		err = sg_error_set(error, -EADDRINUSE,
			"another process already serves the control socket %s", path);
	}
	close(fd);
	return err;
}

static int refuse_other_file(const char *path, struct sg_error *error)
{
	struct stat status;

	if (lstat(path, &status) == 0 && !S_ISSOCK(status.st_mode))
		return sg_error_set(error, -EEXIST,
			"%s exists and is no socket: remove it, or choose another control.socket",
			path);
	return 0;
}

// The directory that the socket lies in, when only that is missing (/run/stormgate after a boot).
static int make_directory(struct sg_socket_file *file, struct sg_error *error)
{
	char directory[sizeof(file->path)];
	char *slash;

	snprintf(directory, sizeof(directory), "%s", file->path);
	slash = strrchr(directory, '/');
	if (!slash || slash == directory)
		return 0;
	*slash = '\0';
	if (mkdir(directory, 0755) == 0)
		file->made_directory = true;
	else if (errno != EEXIST)
		return refuse(error, -errno, file->path, "made (its directory)");
	return 0;
}

static void remove_directory(struct sg_socket_file *file)
{
	char *slash = strrchr(file->path, '/');

	if (!file->made_directory || !slash)
		return;
	*slash = '\0';
	rmdir(file->path); // fails when others have put something there, as it should
}

static int bind_privately(int fd, const struct sockaddr_un *address)
{
	mode_t old_mask;
	int err;

	unlink(address->sun_path);
	old_mask = umask(0177);
	err = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	umask(old_mask);
	return err;
}

// From a bound name to the final one; on failure the bound name remains.
static int publish(struct sg_socket_file *file, const char *bound, mode_t mode, gid_t gid,
	struct sg_error *error)
{
	struct stat status;

	if (gid != SG_SOCKET_FILE_NO_GROUP && chown(bound, (uid_t)-1, gid) < 0)
		return refuse(error, -errno, file->path, "given to its group");
	if (chmod(bound, mode) < 0)
		return refuse(error, -errno, file->path, "given its mode");
	if (listen(file->fd, BACKLOG) < 0)
		return refuse(error, -errno, file->path, "opened");
	if (lstat(bound, &status) < 0 || rename(bound, file->path) < 0)
		return refuse(error, -errno, file->path, "put in its place");
	file->device = status.st_dev;
	file->inode = status.st_ino;
	return 0;
}

int sg_socket_file_open(struct sg_socket_file *ret_file, const char *path, mode_t mode, gid_t gid,
	struct sg_error *error)
{
	struct sg_socket_file file = {.fd = -1};
	char bound[sizeof(file.path) + 1];
	struct sockaddr_un address;
	int err;

	if (strlen(path) >= sizeof(file.path) - 1)
		return refuse(error, -ENAMETOOLONG, path, "made");
	snprintf(file.path, sizeof(file.path), "%s", path);
	snprintf(bound, sizeof(bound), "%s~", path);
	err = refuse_other_file(path, error);
	if (!err)
		err = refuse_live(path, error);
	if (!err)
		err = make_directory(&file, error);
	if (err)
		return err;

	file.fd = open_stream(&address, bound);
	err = file.fd < 0 ? file.fd : bind_privately(file.fd, &address);
	if (err) {
		refuse(error, err, path, "made");
		goto undo;
	}
	err = publish(&file, bound, mode, gid, error);
	if (err) {
		unlink(bound);
		goto undo;
	}
	*ret_file = file;
	return 0;

undo:
	if (file.fd >= 0)
		close(file.fd);
	remove_directory(&file);
	return err;
}

void sg_socket_file_close(struct sg_socket_file *file)
{
	struct stat status;

	if (file->fd < 0)
		return;
	if (lstat(file->path, &status) == 0 && status.st_dev == file->device &&
		status.st_ino == file->inode)
		unlink(file->path);
	close(file->fd);
	remove_directory(file);
	file->fd = -1;
}
