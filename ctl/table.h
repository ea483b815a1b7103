/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of short printable words, in columns as wide as they must be. */
#ifndef NSB_CTL_TABLE_H
#define NSB_CTL_TABLE_H

#include <stddef.h>
#include <stdio.h>

#define TABLE_CELL 41 /* bytes of a cell with its NUL */

typedef struct table {
	size_t n_columns, n_rows, room; /* the headings are row 0 */
	char (*cells)[TABLE_CELL];
} table;

/* A table with the headings and room for `n_rows` rows. -ENOMEM. The caller calls table_done(). */
int table_begin(table *ret, const char *const headings[], size_t n_columns, size_t n_rows);
void table_done(table *t);

/* The cells of a new row, all empty, to be filled from the left; NULL if there is no more room. */
char (*table_row(table *t))[TABLE_CELL];

/* Whatever is not printable ASCII becomes \\xNN, what is too long ends with "...", nothing is "-". */
void table_fill(char cell[TABLE_CELL], const char *words);

/* Prints the first `n_rows` rows, the headings among them, each line cut to `width` and ended by `end`. */
void table_print(FILE *out, const table *t, size_t n_rows, size_t width, const char *end);

#endif
