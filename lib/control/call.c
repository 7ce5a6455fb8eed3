// The end of a request, see command.h.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "control/command.h"
#include "control/control_internal.h"

// Sends `text` (NULL: memory ran out, which the server takes for the end of the connection) and
// frees both.
static void finish(struct sg_call *call, char *text)
{
	struct sg_control *control = call->control;

	control->answer(control->answer_context, call->connection, text);
	free(text);
	sg_request_fini(&call->request);
	free(call);
}

void sg_call_return(struct sg_call *call, json_t *result)
{
	finish(call, sg_request_format_result(call->request.id, result));
}

void sg_call_return_text(struct sg_call *call, const char *text)
{
	finish(call, text ? sg_request_format_result_text(call->request.id, text) : NULL);
}

void sg_call_refuse(struct sg_call *call, int code, const char *format, ...)
{
	char message[600];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	finish(call, sg_request_format_error(call->request.id, code, message));
}
