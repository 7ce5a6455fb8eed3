// Any bytes as a config file: refused with a sentence, or read into settings and a state that
// passed validation.
#include "control/config_file.h"

#include <assert.h>

#include "target.h"

// libconfig 1.5 loses the strings that it has read when it refuses a file. The daemon exits then.
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig\n";
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct sg_settings settings; // too large for the stack
	struct sg_error error = {0};
	struct sg_state state;
	int err = sg_config_file_read_text((const char *)bytes, size, &settings, &state, &error);

	if (err) {
		assert(err < 0 && error.text[0] != '\0');
		return 0;
	}
	assert(settings.n_ports > 0);
	sg_state_fini(&state);
	return 0;
}
