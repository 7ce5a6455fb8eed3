// Any bytes in the place of a state file: they are refused with a sentence, or they are what was
// written, and then writing what was read gives the same intents again.
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "control/config_file.h"
#include "control/intent.h"
#include "control/state_file.h"
#include "flatten.h"
#include "service/validate.h"
#include "target.h"

static const char config[] =
	"ports: ( { name = \"p0\"; device = \"net_tap0\"; addresses = [\"198.51.100.11/24\"]; } );"
	"snat: { addresses = [\"10.0.0.100\"]; };"
	"services: ( { name = \"web\"; vip = \"192.0.2.10\"; protocol = \"tcp\"; port = 80; "
	"backends = ( { address = \"10.0.0.2\"; port = 8080; } ); } );";

static struct sg_settings settings;

static int take_line(void *context, const char *line, size_t length, struct sg_error *error)
{
	int err = sg_intents_read(context, line, length, error);

	assert(err == 0 || error->text[0]);
	return err;
}

static void report(void *context, const char *sentence)
{
	(void)context;
	assert(sentence[0]);
}

static char *write_all(const struct sg_intents *intents)
{
	struct sg_text text = {0};

	for (unsigned i = 0; i < intents->n; i++)
		sg_intent_write(&text, &intents->all[i]);
	return flatten(&text);
}

static void read_again(struct sg_intents *intents, const char *lines)
{
	char *copy = strdup(lines), *at = copy, *line;
	struct sg_error error;

	while ((line = strsep(&at, "\n")) && line[0])
		assert(sg_intents_read(intents, line, strlen(line), &error) == 0);
	free(copy);
}

// Whatever was read merges into a state that is valid, and reads back as it was written.
static void check_intents(const struct sg_intents *intents)
{
	struct sg_error error = {0};
	struct sg_intents again = {0};
	struct sg_state file, state;
	char *first = write_all(intents), *second;
	unsigned n_left_out;

	assert(sg_config_file_read_text(config, strlen(config), &settings, &file, &error) == 0);
	assert(sg_intents_restore(
		       intents, &file, &settings, report, NULL, &state, &n_left_out, &error) == 0);
	assert(sg_validate_state(&state, NULL, &settings, &error) == 0);
	sg_state_fini(&state);
	sg_state_fini(&file);
	read_again(&again, first);
	second = write_all(&again);
	assert(strcmp(first, second) == 0);
	free(first);
	free(second);
	sg_intents_clear(&again);
}

// The bytes as a file, and as the lines of one whose checksum fits.
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct sg_state_file file = {.fd = -1};
	struct sg_intents intents = {0};
	struct sg_error error = {0};
	char *text = malloc(size + 1), *at = text, *line;

	memcpy(text, bytes, size);
	text[size] = '\0';
	if (sg_state_file_parse(&file, text, size, take_line, &intents, &error) == 0)
		check_intents(&intents);
	else
		assert(error.text[0]);
	sg_intents_clear(&intents);
	while ((line = strsep(&at, "\n")))
		if (take_line(&intents, line, strlen(line), &error))
			break;
	check_intents(&intents);
	sg_intents_clear(&intents);
	free(text);
	return 0;
}
