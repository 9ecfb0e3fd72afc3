/* SPDX-License-Identifier: MIT */
/*
 * Private to user/control/config*.c: groups read by tables of keys.
 *
 * A group is described by an array of struct config_key. config_read_group() refuses keys that are not in the table and
 * values of the wrong type, range or spelling, and stores the rest. Keys are read in the table's order, not the
 * text's: what others refer to (ports) stands before those who refer to it (routes).
 *
 * Every error is anchored at a setting: "FILE:LINE: ports[1].queues: ...", or at the option of the command line from
 * which the setting was made.
 */
#ifndef USER_CONTROL_CONFIG_READER_H
#define USER_CONTROL_CONFIG_READER_H

#include <libconfig.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/fault.h"
#include "user/control/config.h"

struct config_reader {
	const char *file;	/* as shown in errors */
	struct config *config;	/* NULL when a file of rules is read */
	struct config_steer *steer;
	struct fault *f;
};

enum config_kind {
	CONFIG_KIND_UINT,	/* unsigned int, min..max */
	CONFIG_KIND_POW2,	/* the same, a power of two */
	CONFIG_KIND_U16,
	CONFIG_KIND_U32,
	CONFIG_KIND_BOOL,
	CONFIG_KIND_SWITCH,	/* enum config_switch */
	CONFIG_KIND_WORD,	/* an enum: the index in @words */
	CONFIG_KIND_DURATION,	/* unsigned int, "20us" in units of @unit nanoseconds, min..max of those */
	CONFIG_KIND_BYTES,	/* unsigned int, 65536 or "64K" */
	CONFIG_KIND_STRING,	/* char[@size], passed through @check */
	CONFIG_KIND_CUSTOM,	/* @read does it all */
};

struct config_key {
	const char *name;
	enum config_kind kind;
	bool required;
	size_t offset, size;			/* of the member in the object */
	uint64_t min, max, unit;
	const char *const *words;		/* ends with NULL */
	int (*check)(const char *text, size_t size, struct fault *f);
	int (*read)(struct config_reader *r, const config_setting_t *s, void *obj);
};

#define KEY_FIELD(type, field) .offset = offsetof(type, field), .size = sizeof(((type *)NULL)->field)

/** config_fault() - Say what is wrong with @s. Return: -EINVAL */
int config_fault(const struct config_reader *r, const config_setting_t *s, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** config_fault_key() - Say what is wrong with the key @name that group @g has not. Return: -EINVAL */
int config_fault_key(const struct config_reader *r, const config_setting_t *g, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/** config_fault_text() - Put the place in front of what a parser of values left in r->f. Return: -EINVAL */
int config_fault_text(const struct config_reader *r, const config_setting_t *s);

/** config_path() - "ports[1].queues". Return: @buf */
const char *config_path(const config_setting_t *s, char *buf, size_t size);

/**
 * config_read_group() - Read a group by its table.
 * @other: keys that exist elsewhere, with why not here, or NULL; ends with a NULL name
 */
struct config_elsewhere {
	const char *name;
	const char *why;
};
int config_read_group(struct config_reader *r, const config_setting_t *g, const struct config_key *keys, size_t n_keys,
		      const struct config_elsewhere *other, void *obj);

/**
 * config_read_list() - Call @fn for each element of a list ( ... ) or an array [ ... ].
 * @what: of the elements, for errors: "ports"
 */
int config_read_list(struct config_reader *r, const config_setting_t *s, unsigned int max, const char *what,
		     int (*fn)(struct config_reader *r, const config_setting_t *s, unsigned int index, void *obj),
		     void *obj);

/** config_want_string() - Return: the text, or NULL after a fault that names @what is wanted */
const char *config_want_string(const struct config_reader *r, const config_setting_t *s, const char *what);
int config_want_uint(const struct config_reader *r, const config_setting_t *s, uint64_t min, uint64_t max,
		     uint64_t *value);

/** config_want_word() - Return: the index in @words, or -EINVAL */
int config_want_word(const struct config_reader *r, const config_setting_t *s, const char *const *words);

/** config_line() - Where a setting starts; 0 = not from a text. */
unsigned int config_line(const config_setting_t *s);

static inline bool config_is_string(const config_setting_t *s)
{
	return config_setting_type(s) == CONFIG_TYPE_STRING;
}

static inline bool config_is_int(const config_setting_t *s)
{
	return config_setting_type(s) == CONFIG_TYPE_INT || config_setting_type(s) == CONFIG_TYPE_INT64;
}

/* config.c */
struct config *config_new(const char *file, struct fault *f);
int config_read_root(struct config_reader *r, const config_setting_t *root);

/* The sections, in files of their own; the last argument is what the key table says. */
int config_read_workers(struct config_reader *r, const config_setting_t *s, void *workers);
int config_read_control(struct config_reader *r, const config_setting_t *s, void *control);
int config_read_memory(struct config_reader *r, const config_setting_t *s, void *memory);
int config_read_busy_poll(struct config_reader *r, const config_setting_t *s, void *busy_poll);
int config_read_icmp(struct config_reader *r, const config_setting_t *s, void *icmp);
int config_read_neighbours(struct config_reader *r, const config_setting_t *s, void *neighbours);
int config_read_netlink(struct config_reader *r, const config_setting_t *s, void *netlink);
int config_read_trace(struct config_reader *r, const config_setting_t *s, void *trace);
int config_read_ports(struct config_reader *r, const config_setting_t *s, void *config);
int config_read_routes(struct config_reader *r, const config_setting_t *s, void *config);
int config_read_static_neighbours(struct config_reader *r, const config_setting_t *s, void *config);
int config_read_transit(struct config_reader *r, const config_setting_t *s, void *steer);
int config_read_rules(struct config_reader *r, const config_setting_t *s, void *steer);
int config_read_steer(struct config_reader *r, const config_setting_t *s, void *steer);

#endif
