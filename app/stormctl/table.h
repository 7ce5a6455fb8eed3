// Aligned columns on stdout: cells are collected, then printed as wide as the widest of their
// column.
#pragma once

#include <stdint.h>

#include <jansson.h>

#define TABLE_MAX_COLUMNS 12

struct table {
	unsigned n_columns;
	char **cells; // row by row
	unsigned n_cells, capacity;
};

// `headings`: separated by blanks; one with a "#" in front is a column of numbers, at the right.
void table_init(struct table *table, const char *headings);
void table_text(struct table *table, const char *text);
void table_number(struct table *table, uint64_t number);
// A member of an object, whatever it is; "-" when it is absent. An array's elements are joined by
// commas.
void table_member(struct table *table, const json_t *object, const char *member);
// "10.0.0.2:80" or "[fd00::2]:80" of an object with address and port.
void table_end_point(struct table *table, const json_t *object);
// Prints and frees.
void table_print(struct table *table);
