/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"
#include "ctl/tell.h"

#define GAP 2 /* blanks between columns */

int table_begin(table *ret, const char *const headings[], size_t n_columns, size_t n_rows)
{
	char(*row)[TABLE_CELL];

	*ret = (table){ .n_columns = n_columns, .room = n_rows + 1 };
	ret->cells = calloc(ret->room * n_columns, TABLE_CELL);
	if (ret->cells == NULL)
		return -ENOMEM;
	row = table_row(ret);
	for (size_t i = 0; i < n_columns; i++)
		table_fill(row[i], headings[i]);
	return 0;
}

void table_done(table *t)
{
	free(t->cells);
	*t = (table){ 0 };
}

char (*table_row(table *t))[TABLE_CELL]
{
	return t->n_rows < t->room ? &t->cells[t->n_rows++ * t->n_columns] : NULL;
}

void table_fill(char cell[TABLE_CELL], const char *words)
{
	NSB_FREE char *printable = tell_escape(words[0] != '\0' ? words : "-", false);

	if (printable == NULL)
		return;
	if (strlen(printable) > TABLE_CELL - 1)
		memcpy(printable + TABLE_CELL - 1 - 3, "...", 4);
	memcpy(cell, printable, strlen(printable) + 1);
}

static size_t column_width(const table *t, size_t column, size_t n_rows)
{
	size_t width = 0;

	for (size_t i = 0; i < n_rows; i++) {
		size_t length = strlen(t->cells[i * t->n_columns + column]);

		width = length > width ? length : width;
	}
	return width;
}

void table_print(FILE *out, const table *t, size_t n_rows, size_t width, const char *end)
{
	n_rows = n_rows < t->n_rows ? n_rows : t->n_rows;
	for (size_t i = 0; i < n_rows; i++) {
		size_t left = width, blanks = 0;

		for (size_t column = 0; column < t->n_columns && left > blanks; column++) {
			const char *cell = t->cells[i * t->n_columns + column];
			size_t length;

			left -= blanks;
			length = strlen(cell) < left ? strlen(cell) : left;
			fprintf(out, "%*s%.*s", (int)blanks, "", (int)length, cell);
			left -= length;
			/* the last column is as long as it is */
			blanks = column_width(t, column, n_rows) - strlen(cell) + GAP;
		}
		fputs(end, out);
	}
}
