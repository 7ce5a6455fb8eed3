// Any bytes as the rules of IPVS: lines are refused with sentences that a terminal can show, and
// the services that remain are what `apply` reads, each under a name of its own.
#include "ipvsadm.h"

#include <assert.h>
#include <string.h>

#include "control/edit.h"
#include "control/spec_json.h"
#include "service/state.h"
#include "target.h"

static void on_refusal(void *context, unsigned line, const char *sentence)
{
	unsigned *n = context;

	assert(line > 0 && sentence[0] != '\0');
	for (; *sentence; sentence++)
		assert(*sentence >= ' ' && *sentence < 0x7f);
	(*n)++;
}

static void check_service(const json_t *object, const char *before)
{
	struct sg_service_spec *spec = sg_service_spec_create("", SG_EDIT_DEFAULT_OWNER);
	struct sg_error error = {0};
	int err = sg_spec_from_json(spec, object, true, &error);

	assert(err == 0);
	assert(spec->n_vips == 1 && spec->port > 0);
	assert(strcmp(before, spec->name) < 0);
	sg_service_spec_unref(spec);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	unsigned n_refused = 0;
	const struct ipvsadm_report report = {.refuse = on_refusal, .context = &n_refused};
	json_t *services = ipvsadm_import((const char *)bytes, size, size % 2 == 1, &report);
	const char *before = "";
	size_t i;
	json_t *service;

	assert(json_is_array(services));
	json_array_foreach(services, i, service)
	{
		check_service(service, before);
		before = json_string_value(json_object_get(service, "name"));
	}
	json_decref(services);
	return 0;
}
