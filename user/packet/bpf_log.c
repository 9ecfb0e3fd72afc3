// SPDX-License-Identifier: MIT
#include "user/packet/bpf_log.h"

#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <xdp/libxdp.h>

#include "common/log.h"

static char kernel_text[160];	/* control thread only */

static void note(const char *library, const char *fmt, va_list ap)
{
	static const char mark[] = "Kernel error message: ";
	char line[512], *text;
	size_t len;

	vsnprintf(line, sizeof(line), fmt, ap);
	len = strlen(line);
	while (len && (line[len - 1] == '\n' || line[len - 1] == ' '))
		line[--len] = '\0';
	if (!len)
		return;
	text = strstr(line, mark);
	if (text)
		snprintf(kernel_text, sizeof(kernel_text), "%.*s", (int)sizeof(kernel_text) - 1,
			 text + sizeof(mark) - 1);
	log_debug("%s: %s", library, line);
}

/* A refused step of a ladder is no warning to the user: the ladder tells him in its own words. */
static int from_libbpf(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	if (level != LIBBPF_DEBUG)
		note("libbpf", fmt, ap);
	return 0;
}

static int from_libxdp(enum libxdp_print_level level, const char *fmt, va_list ap)
{
	if (level != LIBXDP_DEBUG)
		note("libxdp", fmt, ap);
	return 0;
}

void bpf_log_init(void)
{
	libbpf_set_print(from_libbpf);
	libxdp_set_print(from_libxdp);
}

void bpf_log_clear(void)
{
	kernel_text[0] = '\0';
}

const char *bpf_log_kernel_text(void)
{
	return kernel_text;
}
