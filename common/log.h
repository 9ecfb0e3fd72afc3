/* SPDX-License-Identifier: MIT */
/* Log lines for a person: to stderr, one line each, never per packet. */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/** log_set_level() - What is written from now on; the default is LOG_LEVEL_INFO. Any thread. */
void log_set_level(enum log_level level);

/** log_level_parse() - "error", "warn", "info" or "debug". Return: false for anything else */
bool log_level_parse(const char *text, enum log_level *level);

/** log_line() - Write one line "sluice: LEVEL: text", whole even when several threads write. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
