/* SPDX-License-Identifier: MIT */
#include "common/fault.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int fault_set(struct fault *f, int err, const char *fmt, ...)
{
	va_list ap;

	if (f) {
		va_start(ap, fmt);
		vsnprintf(f->text, sizeof(f->text), fmt, ap);
		va_end(ap);
	}
	return -err;
}

int fault_errno(struct fault *f, const char *fmt, ...)
{
	int err = errno;
	va_list ap;
	size_t used;

	if (f) {
		va_start(ap, fmt);
		vsnprintf(f->text, sizeof(f->text), fmt, ap);
		va_end(ap);
		used = strlen(f->text);
		snprintf(f->text + used, sizeof(f->text) - used, ": %s", strerror(err));
	}
	return -err;
}

void fault_prefix(struct fault *f, const char *fmt, ...)
{
	char old[sizeof(f->text)];
	va_list ap;
	size_t used;

	if (!f)
		return;
	memcpy(old, f->text, sizeof(old));
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	used = strlen(f->text);
	snprintf(f->text + used, sizeof(f->text) - used, "%s", old);
}
