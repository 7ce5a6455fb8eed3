// Columns, see table.h.
#include "table.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(struct table *table, char *cell)
{
	if (table->n_cells == table->capacity) {
		table->capacity = table->capacity ? 2 * table->capacity : 64;
		table->cells = realloc(table->cells, table->capacity * sizeof(table->cells[0]));
	}
	if (!table->cells || !cell)
		abort(); // a client without memory for a table has nothing to clean up
	table->cells[table->n_cells++] = cell;
}

void table_init(struct table *table, const char *headings)
{
	char *copy = strdup(headings), *rest = copy;
	char *heading;

	*table = (struct table){0};
	while ((heading = strsep(&rest, " "))) {
		add(table, strdup(heading));
		table->n_columns++;
	}
	free(copy);
}

void table_text(struct table *table, const char *text)
{
	add(table, strdup(text));
}

void table_number(struct table *table, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	table_text(table, text);
}

static void format_scalar(const json_t *value, char *text, size_t size)
{
	if (json_is_string(value))
		snprintf(text, size, "%s", json_string_value(value));
	else if (json_is_integer(value))
		snprintf(text, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_boolean(value))
		snprintf(text, size, "%s", json_is_true(value) ? "yes" : "no");
	else
		snprintf(text, size, "-");
}

void table_member(struct table *table, const json_t *object, const char *member)
{
	const json_t *value = json_object_get(object, member);
	char text[1024] = "";
	size_t used = 0;

	if (!json_is_array(value)) {
		format_scalar(value, text, sizeof(text));
		table_text(table, text);
		return;
	}
	for (size_t i = 0; i < json_array_size(value) && used + 50 < sizeof(text); i++) {
		if (i)
			text[used++] = ',';
		format_scalar(json_array_get(value, i), text + used, sizeof(text) - used);
		used = strlen(text);
	}
	table_text(table, text);
}

void table_end_point(struct table *table, const json_t *object)
{
	const char *address = json_string_value(json_object_get(object, "address"));
	int port = (int)json_integer_value(json_object_get(object, "port"));
	char text[80];

	if (!address)
		address = "?";
	snprintf(text, sizeof(text), strchr(address, ':') ? "[%s]:%d" : "%s:%d", address, port);
	table_text(table, text);
}

void table_print(struct table *table)
{
	int widths[TABLE_MAX_COLUMNS] = {0};
	unsigned n = table->n_columns;
	bool right[TABLE_MAX_COLUMNS];

	for (unsigned column = 0; column < n; column++) {
		right[column] = table->cells[column][0] == '#';
		if (right[column])
			memmove(table->cells[column], table->cells[column] + 1,
				strlen(table->cells[column]));
	}
	for (unsigned i = 0; i < table->n_cells; i++) {
		int width = (int)strlen(table->cells[i]);

		if (width > widths[i % n])
			widths[i % n] = width;
	}
	for (unsigned i = 0; i < table->n_cells; i++) {
		bool last = i % n == n - 1;
		int width = last && !right[n - 1] ? 0 : widths[i % n];

		printf("%*s%s", right[i % n] ? width : -width, table->cells[i], last ? "\n" : "  ");
		free(table->cells[i]);
	}
	free(table->cells);
}
