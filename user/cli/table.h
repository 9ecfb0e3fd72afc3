/* SPDX-License-Identifier: MIT */
/* Aligned columns for a terminal. */
#ifndef USER_CLI_TABLE_H
#define USER_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { TABLE_COLUMNS_MAX = 12 };

struct table {
	const char *const *heads;	/* '>' in front: right-aligned */
	unsigned int n_columns;
	unsigned int column;		/* of the next cell */
	char **cells;
	size_t n_cells, size;
};

/** table_init() - @heads: ends with NULL; a head that starts with '>' is of a column of numbers */
void table_init(struct table *t, const char *const *heads);

/** table_add() - The next cell; a row ends with its last column. */
void table_add(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** table_print() - Print and forget; nothing when there are no rows. */
void table_print(struct table *t, FILE *to);

/** text_count() - "999", "12.3k", "4.56M": three digits and a unit. Return: @buf */
const char *text_count(double v, char *buf, size_t size);

/** text_duration() - "3d 4h", "2m 5s", "1.2s", "34ms". Return: @buf */
const char *text_duration(uint64_t ns, char *buf, size_t size);

#endif
