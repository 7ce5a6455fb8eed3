// stormctl: the operator's client. Most verbs are one request to the daemon's socket (request.h);
// verbs.h says which are more.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "client.h"
#include "command_line.h"

// So that no socket becomes descriptor 1 where a shell has closed it (>&-); writing to this one
// fails.
static void occupy_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

// An answer that did not reach stdout is none. `code` is what was to be the exit status.
static int finish_stdout(int code)
{
	int err;

	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	err = errno;
	sg_log_error("the answer could not be written to stdout%s%s; what was asked for is %s",
		err ? ": " : "", err ? strerror(err) : "", code ? "not done" : "done");
	return EXIT_REFUSED;
}

int main(int argc, char **argv)
{
	struct command_line line;
	int code;

	occupy_standard_descriptors();
	sg_log_open("stormctl");
	if (command_line_parse(&line, argc, argv, &code)) {
		code = line.verb->run(&line);
		json_decref(line.params);
	}
	return finish_stdout(code);
}
