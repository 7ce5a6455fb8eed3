// The lock on an instance's name, see instance.h.
#include "instance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "service/limits.h"

#define DIRECTORY   "/run/stormgate"
#define PATIENCE_MS 500
#define TRIES       50

struct sg_instance {
	int fd; // holds the lock
	char path[sizeof(DIRECTORY) + SG_MAX_NAME_BYTES + 8];
};

// Whether the file that we locked is still the one at its path: its last owner removes it while
// leaving.
static bool is_current(const struct sg_instance *instance)
{
	struct stat ours, there;

	return fstat(instance->fd, &ours) == 0 && stat(instance->path, &there) == 0 &&
	       ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

// Returns 0, -EAGAIN when the file was taken away meanwhile, or what the system says.
static int lock_file(struct sg_instance *instance)
{
	if (mkdir(DIRECTORY, 0755) && errno != EEXIST)
		return -errno;
	instance->fd = open(instance->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (instance->fd < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	if (flock(instance->fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return is_current(instance) ? 0 : -EAGAIN;
}

// One that was killed holds its lock until its memory is freed, a few milliseconds longer than
// whoever killed it waits.
static int lock(struct sg_instance *instance)
{
	const struct timespec pause = {.tv_nsec = PATIENCE_MS * 1000000L / TRIES};
	unsigned tries = 0;
	int err;

	instance->fd = -1;
	while ((err = lock_file(instance)) == -EAGAIN || (err == -EBUSY && ++tries < TRIES)) {
		if (instance->fd >= 0)
			close(instance->fd);
		instance->fd = -1;
		if (err == -EBUSY)
			nanosleep(&pause, NULL);
	}
	return err;
}

static int refuse(const struct sg_instance *instance, const char *name, struct sg_error *error)
{
	char pid[16] = "";
	ssize_t length = pread(instance->fd, pid, sizeof(pid) - 1, 0);

	pid[length > 0 ? length : 0] = '\0';
	pid[strcspn(pid, "\n")] = '\0';
	return sg_error_set(error, -EBUSY,
		"an instance named \"%s\" is running already (pid %s): stop it, or give this one another "
		"dataplane.instance",
		name, *pid ? pid : "unknown");
}

static void forget(struct sg_instance *instance)
{
	if (instance->fd >= 0)
		close(instance->fd);
	free(instance);
}

int sg_instance_claim(struct sg_instance **ret_instance, const char *name, struct sg_error *error)
{
	struct sg_instance *instance = calloc(1, sizeof(*instance));
	int err;

	if (!instance)
		return sg_error_set(error, -ENOMEM, "out of memory");
	snprintf(instance->path, sizeof(instance->path), DIRECTORY "/%s.lock", name);
	err = lock(instance);
	if (err == -EBUSY) {
		refuse(instance, name, error);
	} else if (err) {
		sg_error_set(error, err, "%s cannot be locked: %s%s", instance->path,
			strerror(-err),
			err == -EACCES || err == -EPERM ? " (stormgate has to be started as root)"
							: "");
	}
	if (err) {
		forget(instance);
		return err;
	}
	// For people only; the lock is what counts.
	if (ftruncate(instance->fd, 0) == 0)
		dprintf(instance->fd, "%d\n", (int)getpid());
	*ret_instance = instance;
	return 0;
}

void sg_instance_release(struct sg_instance *instance)
{
	if (!instance)
		return;
	// While the lock is still held, so that nobody can have locked the file that goes.
	unlink(instance->path);
	rmdir(DIRECTORY);
	forget(instance);
}
