// `stormctl import ipvsadm`: rules of IPVS in, what apply takes out, or applied at once.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "client.h"
#include "command_line.h"
#include "ipvsadm.h"
#include "request.h"

#define MAX_FILE_BYTES ((size_t)64 << 20)
#define MAX_SENTENCES  20 // on one screen

struct refusals {
	const char *path;
	unsigned n;
};

static void on_refusal(void *context, unsigned line, const char *sentence)
{
	struct refusals *refusals = context;

	refusals->n++;
	if (refusals->n <= MAX_SENTENCES)
		sg_log_error("%s:%u: %s", refusals->path, line, sentence);
}

static int read_whole(FILE *file, char **ret_text, size_t *ret_length)
{
	size_t size = 65536, length = 0, n;
	char *text = malloc(size);

	while (text && (n = fread(text + length, 1, size - length, file)) > 0) {
		char *larger;

		length += n;
		if (length < size)
			continue;
		if (size >= MAX_FILE_BYTES) {
			free(text);
			return -EFBIG;
		}
		size *= 2;
		larger = realloc(text, size);
		if (!larger)
			free(text);
		text = larger;
	}
	if (!text || ferror(file)) {
		int err = text ? -errno : -ENOMEM;

		free(text);
		return err;
	}
	*ret_text = text;
	*ret_length = length;
	return 0;
}

static int load(const char *path, char **ret_text, size_t *ret_length)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	int err;

	if (file == stdin && isatty(STDIN_FILENO))
		sg_log_info("reads from this terminal; what was meant may be: ipvsadm -S -n | "
			    "stormctl import ipvsadm");
	err = file ? read_whole(file, ret_text, ret_length) : -errno;
	if (file && file != stdin)
		fclose(file);
	if (err)
		sg_log_error("%s: %s", path, strerror(-err));
	return err;
}

// Whether what was refused stands in the way.
static bool accept(const struct refusals *refusals, bool skip)
{
	if (refusals->n > MAX_SENTENCES)
		sg_log_error("%s: %u more lines are refused", refusals->path,
			refusals->n - MAX_SENTENCES);
	if (refusals->n > 0 && !skip)
		sg_log_error("nothing is imported: change these lines, or leave out their services "
			     "with --skip");
	return refusals->n == 0 || skip;
}

// When ipvsadm fails in front of the pipe, nothing comes: applied, that would be the end of all
// services.
static bool any(const struct refusals *refusals, const json_t *services)
{
	if (json_array_size(services) > 0)
		return true;
	sg_log_error(
		"%s: there is no service that could be imported: does ipvsadm -S -n print any?",
		refusals->path);
	return false;
}

static int import_services(struct command_line *line, json_t **ret_services)
{
	const char *path = command_line_value(line, "file");
	struct refusals refusals = {.path = path ? path : "-"};
	const struct ipvsadm_report report = {.refuse = on_refusal, .context = &refusals};
	char *text = NULL;
	size_t length = 0;

	if (load(refusals.path, &text, &length) < 0)
		return EXIT_REFUSED;
	*ret_services = ipvsadm_import(
		text, length, command_line_value(line, "masquerade-all") != NULL, &report);
	free(text);
	if (!*ret_services)
		sg_log_error("no memory is left for the services");
	else if (accept(&refusals, command_line_value(line, "skip") != NULL) &&
		 any(&refusals, *ret_services))
		return EXIT_DONE;
	json_decref(*ret_services);
	return EXIT_REFUSED;
}

int run_import(struct command_line *line)
{
	json_t *services;
	int code;

	if (command_line_value(line, "dry-run") && !command_line_value(line, "apply")) {
		sg_log_error("--dry-run says what --apply would change: give both");
		return EXIT_USAGE;
	}
	code = import_services(line, &services);
	if (code)
		return code;
	json_object_set_new(line->params, "services", services);
	if (command_line_value(line, "apply"))
		return request(line, "apply");
	print_json(line->params);
	return EXIT_DONE;
}
