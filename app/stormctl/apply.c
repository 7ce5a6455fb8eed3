// `stormctl apply`, `change` and `export`: services or changes from a file, and services to one.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "client.h"
#include "command_line.h"
#include "request.h"

static json_t *load_file(const char *path)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	json_error_t problem;
	json_t *object;
	int err;

	if (!file) {
		sg_log_error("%s: %s", path, strerror(errno));
		return NULL;
	}
	errno = 0;
	object = json_loadf(file, JSON_REJECT_DUPLICATES, &problem);
	err = ferror(file) ? errno : 0; // of a directory, for one
	if (file != stdin)
		fclose(file);
	if (err) {
		sg_log_error("%s: %s", path, strerror(err));
		json_decref(object);
		return NULL;
	}
	if (!object) {
		sg_log_error("%s:%d: %s", path, problem.line, problem.text);
	} else if (!json_is_object(object)) {
		sg_log_error("%s: it must hold one object", path);
		json_decref(object);
		object = NULL;
	}
	return object;
}

// The file's params, with --owner and --dry-run added. An owner that contradicts the file's is a
// mistake in one of the two.
int run_apply(struct command_line *line)
{
	const char *given = command_line_value(line, "owner");
	json_t *file = load_file(command_line_value(line, "file"));
	const char *owner = json_string_value(json_object_get(file, "owner"));

	if (!file)
		return EXIT_REFUSED;
	if (given && owner && strcmp(given, owner) != 0) {
		sg_log_error("--owner %s differs from the file's owner %s", given, owner);
		json_decref(file);
		return EXIT_REFUSED;
	}
	json_object_update(file, line->params);
	json_decref(line->params);
	line->params = file;
	return request(line, line->verb->words);
}

int run_export(struct command_line *line)
{
	line->json = false; // it is JSON in any case, and then print_export leaves out what apply
			    // refuses
	return request(line, "export");
}
