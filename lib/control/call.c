// The end of a request, see command.h.
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "control/command.h"
#include "control/control_internal.h"

// Sends `text` and frees the call.
static void finish(struct sg_call *call, struct sg_text *text)
{
	struct sg_control *control = call->control;

	control->answer(control->answer_context, call->connection, text);
	if (call->is_long && control->helper)
		sg_helper_discard(control->helper, call->request.root);
	else
		sg_request_fini(&call->request);
	free(call);
}

void sg_call_return(struct sg_call *call, json_t *result)
{
	struct sg_text text = {0};

	sg_request_write_result(&text, call->request.id, result);
	finish(call, &text);
}

void sg_call_return_text(struct sg_call *call, struct sg_text *text)
{
	finish(call, text);
}

void sg_call_refuse(struct sg_call *call, int code, const char *format, ...)
{
	struct sg_text text = {0};
	char message[600];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	sg_request_write_error(&text, call->request.id, code, message);
	finish(call, &text);
}

static int code_of(int err)
{
	if (err == -EBADMSG)
		return SG_REQUEST_BAD_PARAMS;
	return err == -ENOMEM ? SG_REQUEST_FAILED : SG_REQUEST_REFUSED;
}

void sg_call_refuse_error(struct sg_call *call, int err, const struct sg_error *error)
{
	sg_call_refuse(call, code_of(err), "%s", error->text);
}
