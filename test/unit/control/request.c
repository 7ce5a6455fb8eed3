// JSON-RPC 2.0 lines: requests in, answers out.
#include "control/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flatten.h"

// clang-format off
static const struct {
	const char *line;
	int code; // 0: good
	const char *id; // that an answer would carry
} rows[] = {
	{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"}", 0, "1"},
	{"{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"status\",\"params\":{}}", 0, "\"a\""},
	{" {\"params\":{\"x\":[1]},\"method\":\"m\",\"id\":-5,\"jsonrpc\":\"2.0\"} ", 0, "-5"},
	{"", SG_REQUEST_NO_JSON, "null"},
	{"{", SG_REQUEST_NO_JSON, "null"},
	{"nonsense", SG_REQUEST_NO_JSON, "null"},
	{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"} x", SG_REQUEST_NO_JSON, "null"},
	{"{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"status\"}", SG_REQUEST_NO_JSON, "null"},
	{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}", SG_REQUEST_NO_JSON, "null"},
	{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\\u0000b\"}", SG_REQUEST_NO_JSON, "null"},
	{"5", SG_REQUEST_INVALID, "null"},
	{"\"status\"", SG_REQUEST_INVALID, "null"},
	{"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"}]", SG_REQUEST_INVALID, "null"},
	{"{}", SG_REQUEST_INVALID, "null"},
	{"{\"jsonrpc\":\"2.0\",\"method\":\"status\"}", SG_REQUEST_INVALID, "null"},
	{"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"status\"}", SG_REQUEST_INVALID, "null"},
	{"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"status\"}", SG_REQUEST_INVALID, "null"},
	{"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"status\"}", SG_REQUEST_INVALID, "null"},
	{"{\"jsonrpc\":\"1.0\",\"id\":7,\"method\":\"status\"}", SG_REQUEST_INVALID, "7"},
	{"{\"id\":7,\"method\":\"status\"}", SG_REQUEST_INVALID, "7"},
	{"{\"jsonrpc\":\"2.0\",\"id\":7}", SG_REQUEST_INVALID, "7"},
	{"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":5}", SG_REQUEST_INVALID, "7"},
	{"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"m\",\"extra\":1}", SG_REQUEST_INVALID, "7"},
	{"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"m\",\"params\":[1]}", SG_REQUEST_BAD_PARAMS, "7"},
	{"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"m\",\"params\":null}", SG_REQUEST_BAD_PARAMS, "7"},
};
// clang-format on

static void lines_are_told_apart(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sg_request request;
		struct sg_text text = {0};
		char message[200] = "";
		char *answer, *start;
		int code = sg_request_parse(
			&request, rows[i].line, strlen(rows[i].line), message, sizeof(message));

		if (code != rows[i].code)
			fail_msg("%s: %d (%s), not %d", rows[i].line, code, message, rows[i].code);
		assert_true((code == 0) == (message[0] == '\0'));
		if (!code)
			assert_true(json_is_object(request.params));
		sg_request_write_error(&text, request.id, -1, "x");
		answer = flatten(&text);
		start = strstr(answer, "\"id\":") + 5;
		assert_memory_equal(start, rows[i].id, strlen(rows[i].id));
		free(answer);
		sg_request_fini(&request);
	}
}

static void *allocate_nothing(size_t bytes)
{
	(void)bytes;
	return NULL;
}

// Not "no JSON", which it may well be.
static void a_line_for_which_no_memory_is_left_is_refused_as_such(void **unused)
{
	struct sg_request request;
	char message[200];
	int code;

	(void)unused;
	json_set_alloc_funcs(allocate_nothing, free);
	code = sg_request_parse(
		&request, rows[0].line, strlen(rows[0].line), message, sizeof(message));
	json_set_alloc_funcs(malloc, free);
	assert_int_equal(code, SG_REQUEST_FAILED);
	assert_non_null(strstr(message, "memory"));
	sg_request_fini(&request);
}

static void nesting_is_bounded(void **unused)
{
	size_t n = 100000;
	char *line = malloc(n + 1);
	struct sg_request request;
	char message[200];

	(void)unused;
	memset(line, '[', n);
	line[n] = '\0';
	assert_int_equal(
		sg_request_parse(&request, line, n, message, sizeof(message)), SG_REQUEST_NO_JSON);
	sg_request_fini(&request);
	free(line);
}

static void answers_are_one_line_of_json(void **unused)
{
	json_t *id = json_string("a\nb");
	struct sg_text text = {0};
	char *flat;

	(void)unused;
	sg_request_write_result(&text, id, json_pack("{s:i}", "x", 1));
	flat = flatten(&text);
	assert_string_equal(flat, "{\"jsonrpc\":\"2.0\",\"id\":\"a\\nb\",\"result\":{\"x\":1}}");
	free(flat);
	sg_request_begin_result(&text, id);
	sg_text_append_string(&text, "[1,2]");
	sg_request_end_result(&text);
	flat = flatten(&text);
	assert_string_equal(flat, "{\"jsonrpc\":\"2.0\",\"id\":\"a\\nb\",\"result\":[1,2]}");
	free(flat);
	sg_request_write_error(&text, NULL, -32000, "line\nbreak \"quoted\" \xff");
	flat = flatten(&text);
	assert_string_equal(flat, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32000,"
				  "\"message\":\"line\\nbreak \\\"quoted\\\" ?\"}}");
	free(flat);
	// Without memory for the result there is no answer, which is not half of one.
	sg_request_write_result(&text, id, NULL);
	assert_true(text.failed);
	sg_text_clear(&text);
	json_decref(id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_told_apart),
		cmocka_unit_test(a_line_for_which_no_memory_is_left_is_refused_as_such),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(answers_are_one_line_of_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
