// What is seen in a config file's text before libconfig reads it.
#include "control/config_text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

// clang-format off
static const struct {
	const char *text;
	int line; // 0: nothing is wrong
	const char *part; // of the sentence
} rows[] = {
	{"", 0, ""},
	{"a = 1; b = -2147483648; c = 2147483647; d = 0x7fffffff;", 0, ""},
	{"a = 2147483648;", 1, "write 2147483648L"},
	{"a = 2147483648L; b = 99999999999LL;", 0, ""},
	{"a = -2147483649;", 1, "write -2147483649L"},
	{"a = 0xffffffff;", 1, "write 0xffffffffL"},
	{"a =\n\n 9223372036854775808L;", 3, "64 bits"},
	{"a = 1.5; b = 1e300; c = -2.5E-9; d4294967296 = true;", 0, ""},
	{"# 4294967296 @include \" /*\n// 4294967296 \"\n/* 4294967296 \"\n@include */ a = 1;", 0, ""},
	{"a = \"4294967296 @include # // /* \\\" \\\\\"; b = 4294967296;", 1, "write 4294967296L"},
	{"a = 1; @include \"x\"", 1, "@include"},
	{"\n\na = 1; /* open\n\n", 3, "comment"},
	{"/*/", 1, "comment"},
	{"/**/ a = 1;", 0, ""},
	{"\n\"open\n\n", 2, "string"},
	{"\"open\\\"", 1, "string"},
	{"\"open\\", 1, "string"},
	{"a = 1 / 2;", 0, ""},
};

static const struct {
	const char *text;
	int line;
	bool trailing;
} commas[] = {
	{"a = [1,2,];", 1, true},
	{"a = [1,2];", 1, false},
	{"a = (\n1,\n2,\n);", 4, true},
	{"a = (\n1,\n2, # last\n/* one */ );", 4, true},
	{"a = (\n1,\n2,\n);", 3, false},
	{"a = [\",]\"];", 1, false},
	{"a = { b = 1, };", 1, false}, // libconfig takes this one
	{"a = [1,]; b = \"open", 1, true},
	{"", 1, false},
};
// clang-format on

static void traps_of_libconfig_are_seen(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sg_error error = {0};
		int err = sg_config_text_check(rows[i].text, &error);

		if (err != (rows[i].line ? -EINVAL : 0) || error.line != rows[i].line ||
			!strstr(error.text, rows[i].part))
			fail_msg("%s: %d: %s", rows[i].text, error.line, error.text);
	}
}

static void trailing_commas_are_found(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(commas) / sizeof(commas[0]); i++) {
		if (sg_config_text_has_trailing_comma(commas[i].text, commas[i].line) !=
			commas[i].trailing)
			fail_msg("%s", commas[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(traps_of_libconfig_are_seen),
		cmocka_unit_test(trailing_commas_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
