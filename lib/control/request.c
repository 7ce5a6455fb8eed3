// JSON-RPC 2.0, see request.h.
#include "control/request.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refuse(char *message, size_t size, int code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static int refuse(char *message, size_t size, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(message, size, format, args);
	va_end(args);
	return code;
}

static int take_member(struct sg_request *request, const char *key, const json_t *value,
	char *message, size_t size)
{
	if (strcmp(key, "jsonrpc") == 0) {
		if (!json_is_string(value) || strcmp(json_string_value(value), "2.0") != 0)
			return refuse(
				message, size, SG_REQUEST_INVALID, "\"jsonrpc\" is not \"2.0\"");
	} else if (strcmp(key, "method") == 0) {
		if (!json_is_string(value))
			return refuse(
				message, size, SG_REQUEST_INVALID, "\"method\" is not a string");
		request->method = json_string_value(value);
	} else if (strcmp(key, "params") == 0) {
		if (!json_is_object(value))
			return refuse(message, size, SG_REQUEST_BAD_PARAMS,
				"\"params\" is not an object with named members");
		request->params = value;
	} else if (strcmp(key, "id") != 0) {
		return refuse(message, size, SG_REQUEST_INVALID,
			"unknown member \"%.60s\": a request has jsonrpc, id, method and params",
			key);
	}
	return 0;
}

static int take_members(struct sg_request *request, char *message, size_t size)
{
	const char *key;
	json_t *value;

	json_object_foreach(request->root, key, value)
	{
		int code = take_member(request, key, value, message, size);

		if (code)
			return code;
	}
	if (!request->id)
		return refuse(message, size, SG_REQUEST_INVALID,
			"\"id\" is missing, or neither a string nor an integer");
	if (!json_object_get(request->root, "jsonrpc"))
		return refuse(message, size, SG_REQUEST_INVALID, "\"jsonrpc\" is missing");
	if (!request->method)
		return refuse(message, size, SG_REQUEST_INVALID, "\"method\" is missing");
	if (request->params)
		return 0;
	if (json_object_set_new(request->root, "params", json_object()) < 0)
		return refuse(message, size, SG_REQUEST_FAILED, "no memory is left");
	request->params = json_object_get(request->root, "params");
	return 0;
}

// What the values of a line will take, from what jansson allocates for each kind. Brackets in
// strings count as well: it is a bound, not a parser.
static size_t estimate_bytes(const char *line, size_t length)
{
	static const uint16_t bytes[256] = {['{'] = 256, ['['] = 128, [':'] = 128, [','] = 48};
	size_t sum = length;

	for (size_t i = 0; i < length; i++)
		sum += bytes[(unsigned char)line[i]];
	return sum;
}

int sg_request_parse(
	struct sg_request *ret_request, const char *line, size_t length, char *message, size_t size)
{
	struct sg_request request = {0};
	json_error_t problem;
	const json_t *id;
	int code;

	*ret_request = request;
	if (estimate_bytes(line, length) > SG_REQUEST_MAX_BYTES)
		return refuse(message, size, SG_REQUEST_INVALID,
			"the line has too many values: they would take over %u MB",
			SG_REQUEST_MAX_BYTES >> 20);
	request.root = json_loadb(line, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
	if (!request.root && !problem.text[0]) // what jansson does without memory
		return refuse(message, size, SG_REQUEST_FAILED, "no memory is left for the line");
	if (!request.root)
		return refuse(message, size, SG_REQUEST_NO_JSON, "this is no JSON: %s (byte %d)",
			problem.text, problem.position);
	*ret_request = request;
	if (json_is_array(request.root))
		return refuse(message, size, SG_REQUEST_INVALID,
			"batches are not accepted: send one object a line, or one \"change\"");
	if (!json_is_object(request.root))
		return refuse(message, size, SG_REQUEST_INVALID, "a request is an object");
	id = json_object_get(request.root, "id");
	if (json_is_string(id) && json_string_length(id) > SG_REQUEST_MAX_ID_BYTES)
		return refuse(message, size, SG_REQUEST_INVALID, "\"id\" is longer than %d bytes",
			SG_REQUEST_MAX_ID_BYTES);
	if (json_is_string(id) || json_is_integer(id))
		request.id = id;
	code = take_members(&request, message, size);
	*ret_request = request;
	return code;
}

void sg_request_fini(struct sg_request *request)
{
	json_decref(request->root);
	*request = (struct sg_request){0};
}

void sg_request_begin_result(struct sg_text *text, const json_t *id)
{
	sg_text_append_string(text, "{\"jsonrpc\":\"2.0\",\"id\":");
	sg_text_append_json(text, id ? json_incref((json_t *)id) : json_null());
	sg_text_append_string(text, ",\"result\":");
}

void sg_request_end_result(struct sg_text *text)
{
	sg_text_append_string(text, "}");
}

void sg_request_write_result(struct sg_text *text, const json_t *id, json_t *result)
{
	sg_request_begin_result(text, id);
	sg_text_append_json(text, result);
	sg_request_end_result(text);
}

// A sentence may have been cut in the middle of a character, or quote a file's bytes.
static json_t *sentence(const char *message)
{
	json_t *text = json_string(message);
	char *ascii;

	if (text)
		return text;
	ascii = strdup(message);
	for (char *at = ascii; at && *at; at++) {
		if ((unsigned char)*at >= 0x80)
			*at = '?';
	}
	text = ascii ? json_string(ascii) : NULL;
	free(ascii);
	return text;
}

void sg_request_write_error(struct sg_text *text, const json_t *id, int code, const char *message)
{
	sg_text_append_json(text, json_pack("{s:s, s:o, s:{s:i, s:o}}", "jsonrpc", "2.0", "id",
					  id ? json_copy((json_t *)id) : json_null(), "error",
					  "code", code, "message", sentence(message)));
}
