// A scanner for libconfig's tokens, see config_text.h.
#include "control/config_text.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum token_kind {
	TOKEN_END,
	TOKEN_WORD, // a name, a number, true or false
	TOKEN_STRING,
	TOKEN_MARK, // any other single character
	TOKEN_OPEN_STRING,
	TOKEN_OPEN_COMMENT,
};

struct token {
	enum token_kind kind;
	const char *start;
	size_t length;
	int line; // where it begins
};

struct scanner {
	const char *at;
	int line;
};

static void step(struct scanner *scanner)
{
	if (*scanner->at == '\n')
		scanner->line++;
	scanner->at++;
}

static bool is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("_*.+-", c));
}

// Skips a comment, if one begins here. Returns false when it is never closed.
static bool skip_comment(struct scanner *scanner, bool *ret_skipped)
{
	const char *at = scanner->at;

	*ret_skipped = true;
	if (at[0] == '#' || (at[0] == '/' && at[1] == '/')) {
		while (*scanner->at && *scanner->at != '\n')
			step(scanner);
		return true;
	}
	*ret_skipped = at[0] == '/' && at[1] == '*';
	if (!*ret_skipped)
		return true;
	scanner->at += 2;
	while (*scanner->at && !(scanner->at[0] == '*' && scanner->at[1] == '/'))
		step(scanner);
	if (!*scanner->at)
		return false;
	scanner->at += 2;
	return true;
}

static bool skip_blanks(struct scanner *scanner)
{
	bool skipped = true;

	while (skipped) {
		while (*scanner->at && strchr(" \t\r\n\f", *scanner->at))
			step(scanner);
		if (!skip_comment(scanner, &skipped))
			return false;
	}
	return true;
}

static enum token_kind take_string(struct scanner *scanner)
{
	step(scanner);
	while (*scanner->at && *scanner->at != '"') {
		if (*scanner->at == '\\' && scanner->at[1])
			step(scanner);
		step(scanner);
	}
	if (!*scanner->at)
		return TOKEN_OPEN_STRING;
	step(scanner);
	return TOKEN_STRING;
}

static struct token next_token(struct scanner *scanner)
{
	struct token token = {.line = scanner->line, .start = scanner->at};

	if (!skip_blanks(scanner)) {
		token.kind = TOKEN_OPEN_COMMENT;
		return token;
	}
	token.start = scanner->at;
	token.line = scanner->line;
	if (*scanner->at == '\0') {
		token.kind = TOKEN_END;
	} else if (*scanner->at == '"') {
		token.kind = take_string(scanner);
	} else if (is_word_char(*scanner->at)) {
		token.kind = TOKEN_WORD;
		while (is_word_char(*scanner->at))
			step(scanner);
	} else {
		token.kind = TOKEN_MARK;
		step(scanner);
	}
	token.length = (size_t)(scanner->at - token.start);
	return token;
}

// Whether libconfig would take the word for an integer, and keep its value.
static int check_integer(const struct token *token, struct sg_error *error)
{
	int length = token->length > 40 ? 40 : (int)token->length;
	bool hex = length > 2 && token->start[0] == '0' && (token->start[1] | 0x20) == 'x';
	long long value;
	bool is_long;
	char *end;

	errno = 0;
	value = strtoll(token->start, &end, hex ? 16 : 10);
	is_long = *end == 'L';
	while (*end == 'L')
		end++;
	if (end != token->start + token->length)
		return 0; // a name or a floating-point number
	if (errno == ERANGE)
		return sg_error_set_at(error, -EINVAL, token->line,
			"the integer %.*s does not fit into 64 bits", length, token->start);
	if (!is_long && (value < INT_MIN || value > INT_MAX))
		return sg_error_set_at(error, -EINVAL, token->line,
			"the integer %.*s does not fit into 32 bits: write %.*sL", length,
			token->start, length, token->start);
	return 0;
}

int sg_config_text_check(const char *text, struct sg_error *error)
{
	struct scanner scanner = {.at = text, .line = 1};

	for (;;) {
		struct token token = next_token(&scanner);

		if (token.kind == TOKEN_END)
			return 0;
		if (token.kind == TOKEN_OPEN_COMMENT)
			return sg_error_set_at(
				error, -EINVAL, token.line, "a comment /* is never closed");
		if (token.kind == TOKEN_OPEN_STRING)
			return sg_error_set_at(error, -EINVAL, token.line,
				"the string that begins here is never closed");
		if (token.kind == TOKEN_MARK && *token.start == '@')
			return sg_error_set_at(error, -EINVAL, token.line,
				"@include is not supported: keep the configuration in one file");
		if (token.kind == TOKEN_WORD && check_integer(&token, error) < 0)
			return -EINVAL;
	}
}

bool sg_config_text_has_trailing_comma(const char *text, int line)
{
	struct scanner scanner = {.at = text, .line = 1};
	bool after_comma = false;

	for (;;) {
		struct token token = next_token(&scanner);
		char mark = token.kind == TOKEN_MARK ? *token.start : '\0';

		if (token.kind == TOKEN_END || token.kind == TOKEN_OPEN_COMMENT ||
			token.kind == TOKEN_OPEN_STRING || token.line > line)
			return false;
		if (after_comma && token.line == line && (mark == ']' || mark == ')'))
			return true;
		after_comma = mark == ',';
	}
}
