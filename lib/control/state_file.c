// Whole or not at all, see state_file.h.
#include "control/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "control/file_operations.h"

#define FORMAT       1
#define PATIENCE_MS  500 // a process that was killed holds its lock a little longer
#define TRIES        50
#define MAX_ASIDE    100
#define HEADER_BYTES SG_STATE_FILE_HEADER_BYTES

static const struct sg_hash_key checksum_key = {{UINT64_C(0x73746f726d676174), 0x65}};

static int refuse(struct sg_error *error, int err, const char *path, const char *what)
{
	return sg_error_set(error, err, "%s cannot be %s: %s", path, what, strerror(-err));
}

static int corrupt(struct sg_error *error, const char *what)
{
	return sg_error_set(error, -EBADMSG, "%s", what);
}

// The checksum of everything up to and including a line.
static uint64_t chain(uint64_t checksum, const char *line, size_t length)
{
	uint64_t pair[2] = {checksum, sg_siphash(&checksum_key, line, length)};

	return sg_siphash(&checksum_key, pair, sizeof(pair));
}

// A header is its own first part, the checksum of that, and blanks.
static void write_header(
	char header[HEADER_BYTES + 1], unsigned format, uint64_t bytes, uint64_t checksum)
{
	int length = snprintf(header, HEADER_BYTES,
		"{\"stormgate_state\":%u,\"bytes\":\"%016llx\",\"checksum\":\"%016llx\"", format,
		(unsigned long long)bytes, (unsigned long long)checksum);
	uint64_t own = sg_siphash(&checksum_key, header, (size_t)length);

	length += snprintf(header + length, (size_t)(HEADER_BYTES - length),
		",\"header\":\"%016llx\"}", (unsigned long long)own);
	memset(header + length, ' ', (size_t)(HEADER_BYTES - length));
	header[HEADER_BYTES - 1] = '\n';
	header[HEADER_BYTES] = '\0';
}

static int read_header(
	struct sg_state_file *file, const char *bytes, size_t length, struct sg_error *error)
{
	char expected[HEADER_BYTES + 1], header[HEADER_BYTES + 1];
	unsigned long long counted, checksum;
	unsigned format;

	if (length < HEADER_BYTES)
		return corrupt(error, "it is cut off within its first line");
	memcpy(header, bytes, HEADER_BYTES);
	header[HEADER_BYTES] = '\0';
	if (sscanf(header, "{\"stormgate_state\":%9u,\"bytes\":\"%16llx\",\"checksum\":\"%16llx\"",
		    &format, &counted, &checksum) != 3)
		return corrupt(error, "its first line is not that of a state file");
	write_header(expected, format, counted, checksum);
	if (memcmp(header, expected, HEADER_BYTES) != 0)
		return corrupt(error, "its first line is damaged");
	if (format != FORMAT)
		return sg_error_set(error, -EBADMSG,
			"it has format %u, and this version of stormgate reads format %u", format,
			FORMAT);
	if (counted > length - HEADER_BYTES)
		return corrupt(error, "it is cut off");
	file->bytes = counted;
	file->checksum = checksum;
	return 0;
}

// Calls `line` for each line of what counts, or NULL, and tells the checksum.
static int walk_lines(const char *bytes, size_t length, sg_state_file_line_fn *line, void *context,
	uint64_t *ret_checksum, struct sg_error *error)
{
	uint64_t checksum = 0;
	size_t at = 0;

	while (at < length) {
		const char *newline = memchr(bytes + at, '\n', length - at);
		size_t n = newline ? (size_t)(newline - (bytes + at)) : length - at;
		int err = line ? line(context, bytes + at, n, error) : 0;

		if (err)
			return err;
		checksum = chain(checksum, bytes + at, n);
		at += n + 1;
	}
	*ret_checksum = checksum;
	return 0;
}

int sg_state_file_parse(struct sg_state_file *file, const char *bytes, size_t length,
	sg_state_file_line_fn *line, void *context, struct sg_error *error)
{
	const char *body = bytes + HEADER_BYTES;
	uint64_t checksum = 0;
	int err = read_header(file, bytes, length, error);

	if (err)
		return err;
	if (file->bytes && body[file->bytes - 1] != '\n')
		return corrupt(error, "its last line is damaged");
	walk_lines(body, file->bytes, NULL, NULL, &checksum, error);
	if (checksum != file->checksum)
		return corrupt(error, "its content does not fit its checksum");
	file->replaced_bytes = file->bytes;
	return walk_lines(body, file->bytes, line, context, &checksum, error);
}

// Whether the file that we locked is still the one at its path.
static bool is_current(const struct sg_state_file *file)
{
	struct stat ours, there;

	return fstat(file->fd, &ours) == 0 && stat(file->path, &there) == 0 &&
	       ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

// Where nothing may be written (a disk that is ailing), what was asked for can still be read.
static int open_file(const char *path)
{
	const int flags = O_CLOEXEC | O_NONBLOCK;
	int fd = sg_file_operations.open(path, O_RDWR | flags, 0);

	if (fd < 0 && (errno == EROFS || errno == EACCES))
		fd = sg_file_operations.open(path, O_RDONLY | flags, 0);
	return fd;
}

// Returns 0, -ENOENT, -EBUSY, -EAGAIN when the file was replaced meanwhile, or what the system
// says.
static int try_open(struct sg_state_file *file)
{
	int err = 0;

	file->fd = open_file(file->path);
	if (file->fd < 0)
		return -errno;
	if (flock(file->fd, LOCK_EX | LOCK_NB))
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
	else if (!is_current(file))
		err = -EAGAIN;
	if (!err)
		return 0;
	close(file->fd);
	file->fd = -1;
	return err;
}

static int open_locked(struct sg_state_file *file)
{
	const struct timespec pause = {.tv_nsec = PATIENCE_MS * 1000000L / TRIES};
	unsigned tries = 0;
	int err;

	while ((err = try_open(file)) == -EAGAIN || (err == -EBUSY && ++tries < TRIES))
		if (err == -EBUSY)
			nanosleep(&pause, NULL);
	return err;
}

static int slurp(int fd, char **ret_bytes, size_t *ret_length)
{
	struct stat status;
	size_t length = 0;
	char *bytes;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	if (status.st_size > SG_STATE_FILE_MAX_BYTES)
		return -EFBIG;
	bytes = malloc((size_t)status.st_size + 1);
	if (!bytes)
		return -ENOMEM;
	while (length < (size_t)status.st_size) {
		ssize_t n =
			pread(fd, bytes + length, (size_t)status.st_size - length, (off_t)length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			free(bytes);
			return -EIO;
		}
		if (n == 0)
			break;
		length += (size_t)n;
	}
	*ret_bytes = bytes;
	*ret_length = length;
	return 0;
}

static int read_file(struct sg_state_file *file, sg_state_file_line_fn *line, void *context,
	struct sg_error *error)
{
	size_t length = 0;
	char *bytes = NULL;
	int err = slurp(file->fd, &bytes, &length);

	if (err == -EINVAL)
		return sg_error_set(error, err, "%s is no regular file", file->path);
	if (err == -EFBIG)
		return corrupt(error, "it is larger than any state file");
	if (err == -EIO)
		return corrupt(error, "the disk cannot read it");
	if (err)
		return refuse(error, err, file->path, "read");
	err = sg_state_file_parse(file, bytes, length, line, context, error);
	free(bytes);
	return err;
}

int sg_state_file_open(struct sg_state_file *ret_file, const char *path,
	sg_state_file_line_fn *line, void *context, struct sg_error *error)
{
	struct sg_state_file *file = ret_file;
	int err;

	*file = (struct sg_state_file){.fd = -1};
	if (snprintf(file->path, sizeof(file->path), "%s", path) + 16 > (int)sizeof(file->path))
		return refuse(error, -ENAMETOOLONG, path, "opened");
	err = open_locked(file);
	if (err == -ENOENT)
		return 0;
	if (err == -EBUSY)
		return sg_error_set(error, err,
			"%s is in use by another process: give each instance a control.state_file of "
			"its own",
			path);
	if (err == -EISDIR)
		return sg_error_set(error, -EINVAL, "%s is no regular file", path);
	if (err)
		return refuse(error, err, path, "opened");
	err = read_file(file, line, context, error);
	if (err)
		sg_state_file_close(file);
	return err;
}

void sg_state_file_close(struct sg_state_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}

// "DIRECTORY" of "DIRECTORY/NAME".
static void directory_of(const char *path, char directory[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	int length = !slash ? 0 : slash == path ? 1 : (int)(slash - path);

	snprintf(directory, PATH_MAX, "%.*s", length ? length : 1, length ? path : ".");
}

static int sync_directory(const char *path)
{
	char directory[PATH_MAX];
	int fd, err = 0;

	directory_of(path, directory);
	fd = sg_file_operations.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (sg_file_operations.sync(fd) < 0)
		err = -errno;
	close(fd);
	return err;
}

// "PATH.KIND", or "PATH.KIND.1" ... when there are such.
static void find_free_name(const char *path, const char *kind, char ret_path[PATH_MAX])
{
	struct stat status;

	snprintf(ret_path, PATH_MAX, "%s.%s", path, kind);
	for (unsigned i = 1; i < MAX_ASIDE && lstat(ret_path, &status) == 0; i++)
		snprintf(ret_path, PATH_MAX, "%s.%s.%u", path, kind, i);
}

int sg_state_file_set_aside(const char *path, char ret_path[PATH_MAX])
{
	find_free_name(path, "corrupt", ret_path);
	return sg_file_operations.rename(path, ret_path) < 0 ? -errno : sync_directory(path);
}

int sg_state_file_copy(const char *path, char ret_path[PATH_MAX])
{
	find_free_name(path, "refused", ret_path);
	return link(path, ret_path) < 0 ? -errno : sync_directory(path);
}

static int write_all(int fd, const char *bytes, size_t length, uint64_t offset)
{
	while (length > 0) {
		ssize_t n = sg_file_operations.write(fd, bytes, length, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENOSPC;
		bytes += n;
		length -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

static int write_text(int fd, const struct sg_text *text, uint64_t offset)
{
	for (const struct sg_text_piece *piece = text->first; piece; piece = piece->next) {
		size_t length = piece->end - piece->start;
		int err = write_all(fd, piece->bytes + piece->start, length, offset);

		if (err)
			return err;
		offset += length;
	}
	return 0;
}

// The checksum with more lines; they may lie across pieces.
static int chain_text(uint64_t *checksum, const struct sg_text *text)
{
	uint64_t last = *checksum;
	char *line = NULL;
	size_t length = 0, size = 0;

	for (const struct sg_text_piece *piece = text->first; piece; piece = piece->next) {
		const char *at = piece->bytes + piece->start, *end = piece->bytes + piece->end;

		while (at < end) {
			const char *newline = memchr(at, '\n', (size_t)(end - at));
			size_t n = (size_t)((newline ? newline : end) - at);

			if (length + n > size) {
				char *larger = realloc(line, size = 2 * (length + n));

				if (!larger) {
					free(line);
					return -ENOMEM;
				}
				line = larger;
			}
			memcpy(line + length, at, n);
			length += n;
			at += n + 1;
			if (!newline)
				break;
			last = chain(last, line, length);
			length = 0;
		}
	}
	free(line);
	*checksum = last;
	return 0;
}

static int write_new(int fd, const struct sg_text *lines, uint64_t checksum)
{
	char header[HEADER_BYTES + 1];
	int err;

	// Whoever finds the path by its new name finds it locked.
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	write_header(header, FORMAT, lines->length, checksum);
	err = write_all(fd, header, HEADER_BYTES, 0);
	if (!err)
		err = write_text(fd, lines, HEADER_BYTES);
	if (!err && sg_file_operations.sync(fd) < 0)
		err = -errno;
	return err;
}

int sg_state_file_replace(
	struct sg_state_file *file, const struct sg_text *lines, struct sg_error *error)
{
	char temporary[PATH_MAX];
	uint64_t checksum = 0;
	int fd, err = lines->failed ? -ENOMEM : chain_text(&checksum, lines);

	if (err)
		return refuse(error, err, file->path, "written");
	snprintf(temporary, sizeof(temporary), "%.4080s.new", file->path);
	fd = sg_file_operations.open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return refuse(error, -errno, temporary, "written");
	err = write_new(fd, lines, checksum);
	if (!err && sg_file_operations.rename(temporary, file->path) < 0)
		err = -errno;
	if (!err)
		err = sync_directory(file->path);
	if (err) {
		close(fd);
		unlink(temporary);
		return refuse(error, err, file->path, "written");
	}
	sg_state_file_close(file);
	file->fd = fd;
	file->bytes = file->replaced_bytes = lines->length;
	file->checksum = checksum;
	return 0;
}

int sg_state_file_append(
	struct sg_state_file *file, const struct sg_text *lines, struct sg_error *error)
{
	char header[HEADER_BYTES + 1];
	uint64_t checksum = file->checksum;
	int err = lines->failed ? -ENOMEM : chain_text(&checksum, lines);

	if (!is_current(file))
		return sg_error_set(
			error, -ESTALE, "%s was taken away or replaced by somebody", file->path);
	if (!err)
		err = write_text(file->fd, lines, HEADER_BYTES + file->bytes);
	if (!err && sg_file_operations.sync(file->fd) < 0)
		err = -errno;
	write_header(header, FORMAT, file->bytes + lines->length, checksum);
	if (!err)
		err = write_all(file->fd, header, HEADER_BYTES, 0);
	if (!err && sg_file_operations.sync(file->fd) < 0)
		err = -errno;
	if (err)
		return refuse(error, err, file->path, "written");
	file->bytes += lines->length;
	file->checksum = checksum;
	return 0;
}
