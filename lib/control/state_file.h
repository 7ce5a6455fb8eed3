// control.state_file on the disk: lines that are all there, or a clear sentence.
//
// The file is text, a JSON object a line. The first line has a fixed length and says how many bytes
// behind it count, and their checksum:
//
//     {"stormgate_state":1,"bytes":"00000000000001f4","checksum":"...","header":"..."}
//
// Two ways to change it, and after each crash, at any moment, it holds what was there before the
// change or what was there after it, whole:
//
// * replace: everything anew, into PATH.new; sync, rename over PATH, sync the directory;
// * append: lines behind what counts; sync; then the first line, which is smaller than a sector and
//   makes them count; sync. What a crash left behind that does not count is no damage.
//
// So a change of one service among 10,000 costs its own few hundred bytes, and whatever counts has
// one checksum: a file that is cut off, or in which a bit has flipped, is not loaded at all, but
// set aside as PATH.corrupt. The checksum is SipHash over each line and the checksum before it. It
// is for accidents, not against somebody who can write the file: the key is known.
//
// The file is locked while it is open, so that two processes do not share it by mistake. Any one
// thread at a time.
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "control/text.h"

#define SG_STATE_FILE_HEADER_BYTES 128
#define SG_STATE_FILE_MAX_BYTES    (256u << 20) // of a file that is read

struct sg_state_file {
	char path[PATH_MAX];
	int fd;                  // -1: there is none yet
	uint64_t bytes;          // that count, behind the header
	uint64_t checksum;       // of these
	uint64_t replaced_bytes; // how many they were when the file was last replaced
};

// A complete line, without newline. Returns 0, or a negative errno that makes the file corrupt,
// with a sentence.
typedef int sg_state_file_line_fn(
	void *context, const char *line, size_t length, struct sg_error *error);

// Opens and locks the file, checks all of it, and only then gives its lines to `line`. No file is a
// good file without lines, and one that may not be written can be read all the same. Errors:
// -EBADMSG (corrupt; the sentence says how; it is not open then), -EBUSY (another process has it),
// -EINVAL (it is no regular file), or what the system gives.
int sg_state_file_open(struct sg_state_file *ret_file, const char *path,
	sg_state_file_line_fn *line, void *context, struct sg_error *error);
void sg_state_file_close(struct sg_state_file *file);
// Renames a file to PATH.corrupt, or PATH.corrupt.1 ... when there are such. Returns 0 or what the
// system gives; `ret_path` is where it lies.
int sg_state_file_set_aside(const char *path, char ret_path[PATH_MAX]);
// Another name for a file that will be replaced: PATH.refused, or PATH.refused.1 ... when there are
// such. As above.
int sg_state_file_copy(const char *path, char ret_path[PATH_MAX]);

// `lines`: complete lines with their newlines. When these return, the lines are on the disk, or a
// sentence says why not and the file is as it was. After a failure only replace may be tried.
// -ESTALE: somebody has taken the file away that is to be appended to.
int sg_state_file_replace(
	struct sg_state_file *file, const struct sg_text *lines, struct sg_error *error);
int sg_state_file_append(
	struct sg_state_file *file, const struct sg_text *lines, struct sg_error *error);

// Checks the bytes of a file and gives its lines to `line`: for sg_state_file_open and fuzzers.
// Errors: -EBADMSG, -ENOMEM.
int sg_state_file_parse(struct sg_state_file *file, const char *bytes, size_t length,
	sg_state_file_line_fn *line, void *context, struct sg_error *error);
