// Pieces of a text against one long string.
#include "control/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "flatten.h"

// Everything that was appended comes out again, whatever the lengths and however it is taken.
static void nothing_is_lost_between_pieces(void **unused)
{
	char *twin = calloc(1, 8000000);
	struct sg_text text = {0}, tail = {0};
	size_t twin_length = 0, taken = 0;
	unsigned seed = 1;

	(void)unused;
	for (unsigned i = 0; i < 3000; i++) {
		size_t length = i % 100 == 0 ? 100000 : (size_t)(rand_r(&seed) % 300);
		char bytes[100000];

		memset(bytes, 'a' + (int)(i % 26), length);
		sg_text_append(i % 3 ? &text : &tail, bytes, length);
		if (i % 3 == 0)
			sg_text_move(&text, &tail);
		assert_null(tail.first);
		memcpy(twin + twin_length, bytes, length);
		twin_length += length;
		while (text.length > 400000) {
			size_t n = text.first->end - text.first->start;

			n = n > 1000 ? 1000 : n;
			assert_memory_equal(text.first->bytes + text.first->start, twin + taken, n);
			sg_text_take(&text, n);
			taken += n;
		}
		assert_int_equal(text.length, twin_length - taken);
		assert_true(text.size_bytes >= text.length);
	}
	while (text.length) {
		assert_int_equal(text.first->bytes[text.first->start], twin[taken++]);
		sg_text_take(&text, 1);
	}
	assert_int_equal(taken, twin_length);
	assert_int_equal(text.size_bytes, 0);
	free(twin);
}

static void formats_and_json_are_appended(void **unused)
{
	struct sg_text text = {0};
	char longer[2000];
	char *flat;

	(void)unused;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	sg_text_append_format(&text, "%d%s", 5, longer);
	assert_int_equal(text.length, 2000);
	sg_text_clear(&text);
	sg_text_append_string(&text, "{");
	sg_text_append_members(&text, json_pack("{s:i, s:b}", "a", 1, "b", 1));
	sg_text_append_string(&text, ",\"c\":");
	sg_text_append_json(&text, json_pack("[i]", 2));
	sg_text_append_string(&text, "}");
	flat = flatten(&text);
	assert_string_equal(flat, "{\"a\":1,\"b\":true,\"c\":[2]}");
	free(flat);
	sg_text_append_json(&text, NULL);
	assert_true(text.failed);
	sg_text_clear(&text);
	assert_false(text.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_between_pieces),
		cmocka_unit_test(formats_and_json_are_appended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
