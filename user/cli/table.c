// SPDX-License-Identifier: MIT
#include "user/cli/table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void out_of_memory(void)
{
	fputs("sluice: no memory\n", stderr);
	exit(1);
}

void table_init(struct table *t, const char *const *heads)
{
	memset(t, 0, sizeof(*t));
	t->heads = heads;
	while (heads[t->n_columns] && t->n_columns < TABLE_COLUMNS_MAX)
		t->n_columns++;
}

void table_add(struct table *t, const char *fmt, ...)
{
	va_list args;

	if (t->n_cells == t->size) {
		t->size = t->size ? 2 * t->size : 64;
		t->cells = realloc(t->cells, t->size * sizeof(*t->cells));
		if (!t->cells)
			out_of_memory();
	}
	va_start(args, fmt);
	if (vasprintf(&t->cells[t->n_cells], fmt, args) < 0)
		out_of_memory();
	va_end(args);
	/* What came over the socket is for a terminal now: no control characters. */
	for (char *c = t->cells[t->n_cells]; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	t->n_cells++;
}

static void print_cell(FILE *to, const char *text, int width, bool right, bool last)
{
	if (right)
		fprintf(to, "%*s", width, text);
	else if (last)
		fputs(text, to);
	else
		fprintf(to, "%-*s", width, text);
	fputs(last ? "\n" : "  ", to);
}

void table_print(struct table *t, FILE *to)
{
	int width[TABLE_COLUMNS_MAX] = { 0 };

	for (unsigned int c = 0; c < t->n_columns; c++)
		width[c] = (int)strlen(t->heads[c]) - (t->heads[c][0] == '>');
	if (t->n_columns == 0)
		return;
	for (size_t i = 0; i < t->n_cells; i++) {
		int len = (int)strlen(t->cells[i]);

		if (len > width[i % t->n_columns])
			width[i % t->n_columns] = len;
	}
	for (unsigned int c = 0; c < t->n_columns && t->n_cells; c++) {
		bool right = t->heads[c][0] == '>';

		print_cell(to, t->heads[c] + right, width[c], right, c + 1 == t->n_columns);
	}
	for (size_t i = 0; i < t->n_cells; i++) {
		unsigned int c = (unsigned int)(i % t->n_columns);

		print_cell(to, t->cells[i], width[c], t->heads[c][0] == '>', c + 1 == t->n_columns);
		free(t->cells[i]);
	}
	free(t->cells);
	table_init(t, t->heads);
}

const char *text_count(double v, char *buf, size_t size)
{
	static const char units[] = " kMGTPE";
	unsigned int u = 0;

	while (v >= 999.5 && u + 2 < sizeof(units)) {
		v /= 1000;
		u++;
	}
	if (u == 0)
		snprintf(buf, size, "%.0f", v);
	else
		snprintf(buf, size, "%.*f%c", v < 9.995 ? 2 : v < 99.95 ? 1 : 0, v, units[u]);
	return buf;
}

const char *text_duration(uint64_t ns, char *buf, size_t size)
{
	uint64_t s = ns / 1000000000;

	if (ns < 1000000)
		snprintf(buf, size, "%" PRIu64 "us", ns / 1000);
	else if (s < 1)
		snprintf(buf, size, "%" PRIu64 "ms", ns / 1000000);
	else if (s < 60)
		snprintf(buf, size, "%.1fs", (double)ns / 1e9);
	else if (s < 3600)
		snprintf(buf, size, "%" PRIu64 "m %" PRIu64 "s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, size, "%" PRIu64 "h %" PRIu64 "m", s / 3600, s / 60 % 60);
	else
		snprintf(buf, size, "%" PRIu64 "d %" PRIu64 "h", s / 86400, s / 3600 % 24);
	return buf;
}
