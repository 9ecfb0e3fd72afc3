/* SPDX-License-Identifier: MIT */
/* One error, told to a person: what failed, on what, and why. */
#ifndef COMMON_FAULT_H
#define COMMON_FAULT_H

#include <stdarg.h>

struct fault {
	char text[512];		/* one line without newline, always terminated */
};

/**
 * fault_set() - Say what is wrong.
 * @f:   receives the text; may be NULL when nobody will read it
 * @err: positive errno that fits
 * @fmt: printf format
 *
 * Return: -@err, so that a caller can write "return fault_set(...)"
 */
int fault_set(struct fault *f, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/**
 * fault_errno() - The same for a failed system call: ": strerror(errno)" follows the text.
 *
 * Call it before anything that may change errno, such as close().
 * Return: -errno
 */
int fault_errno(struct fault *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * fault_prefix() - Put the place in front of a text that is already there ("port lan: ...").
 */
void fault_prefix(struct fault *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
