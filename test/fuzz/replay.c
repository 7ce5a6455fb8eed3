// Runs a fuzz target over the files of a directory: what the corpus once found stays found, without
// a fuzzer.
//
// usage: fuzz_TARGET DIRECTORY. Prints how many inputs were replayed; a directory without any is a
// mistake.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "target.h"

static uint8_t *load(const char *path, size_t *ret_size)
{
	FILE *file = fopen(path, "re");
	uint8_t *bytes;
	long size;

	if (!file || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0)
		return NULL;
	rewind(file);
	// Exactly as many bytes as the file has, so that a sanitizer sees one read too many.
	bytes = malloc(size > 0 ? (size_t)size : 1);
	*ret_size = bytes ? fread(bytes, 1, (size_t)size, file) : 0;
	fclose(file);
	return bytes;
}

int main(int argc, char **argv)
{
	DIR *directory = argc == 2 ? opendir(argv[1]) : NULL;
	const struct dirent *entry;
	unsigned n = 0;

	if (!directory) {
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	while ((entry = readdir(directory))) {
		char path[1024];
		uint8_t *bytes;
		size_t size;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
		bytes = load(path, &size);
		if (!bytes) {
			fprintf(stderr, "%s cannot be read\n", path);
			return 1;
		}
		// Named before it runs: a crash ends the process.
		printf("%s\n", path);
		fflush(stdout);
		LLVMFuzzerTestOneInput(bytes, size);
		free(bytes);
		n++;
	}
	closedir(directory);
	printf("%u inputs replayed\n", n);
	return n > 0 ? 0 : 1;
}
