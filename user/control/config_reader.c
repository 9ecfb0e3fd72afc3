// SPDX-License-Identifier: MIT
#include "user/control/config_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "user/control/config_text.h"

enum { PATH_MAX_BYTES = 160, DEPTH_MAX = 16, WORDS_BYTES = 400 };

static const char *const switch_words[] = { "auto", "on", "off", NULL };

/* ---- Places ------------------------------------------------------------------------------------------------------ */

unsigned int config_line(const config_setting_t *s)
{
	/* Elements of arrays have no line of their own in libconfig. */
	for (; s; s = config_setting_parent(s))
		if (config_setting_source_line(s))
			return config_setting_source_line(s);
	return 0;
}

/* The option of the command line that @s, or what holds it, was made from. */
static const char *origin(const config_setting_t *s, const config_setting_t **top)
{
	for (; s; s = config_setting_parent(s)) {
		if (config_setting_get_hook(s)) {
			*top = s;
			return config_setting_get_hook(s);
		}
	}
	*top = NULL;
	return NULL;
}

static void path_from(const config_setting_t *top, const config_setting_t *s, char *buf, size_t size)
{
	const config_setting_t *chain[DEPTH_MAX];
	unsigned int n = 0;
	size_t len = 0;

	buf[0] = '\0';
	for (; s && s != top && !config_setting_is_root(s) && n < DEPTH_MAX; s = config_setting_parent(s))
		chain[n++] = s;
	while (n > 0 && len < size) {
		const config_setting_t *at = chain[--n];
		int wrote;

		if (config_setting_name(at))
			wrote = snprintf(buf + len, size - len, "%s%s", len ? "." : "", config_setting_name(at));
		else
			wrote = snprintf(buf + len, size - len, "[%d]", config_setting_index(at));
		if (wrote < 0)
			break;
		len += (size_t)wrote;
	}
}

const char *config_path(const config_setting_t *s, char *buf, size_t size)
{
	path_from(NULL, s, buf, size);
	return buf;
}

/* One line for a terminal: a text out of a file may hold anything. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

/* @key: a key that @s has not, or NULL */
static int place_fault(const struct config_reader *r, const config_setting_t *s, const char *key)
{
	char path[PATH_MAX_BYTES];
	const config_setting_t *top;
	const char *option = origin(s, &top);
	const char *file = config_setting_source_file(s) ? config_setting_source_file(s) : r->file;
	unsigned int line = config_line(s);

	if (!r->f)
		return -EINVAL;
	path_from(top, s, path, sizeof(path));
	if (key) {
		size_t len = strlen(path);

		snprintf(path + len, sizeof(path) - len, "%s%s", len ? "." : "", key);
	}
	make_printable(path);
	make_printable(r->f->text);
	if (path[0])
		fault_prefix(r->f, "%s: ", path);
	if (option)
		fault_prefix(r->f, "%s: ", option);
	else if (line)
		fault_prefix(r->f, "%s:%u: ", file, line);
	else
		fault_prefix(r->f, "%s: ", file);
	return -EINVAL;
}

int config_fault(const struct config_reader *r, const config_setting_t *s, const char *fmt, ...)
{
	char text[sizeof(r->f->text)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	fault_set(r->f, EINVAL, "%s", text);
	return place_fault(r, s, NULL);
}

int config_fault_key(const struct config_reader *r, const config_setting_t *g, const char *name, const char *fmt, ...)
{
	char text[sizeof(r->f->text)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	fault_set(r->f, EINVAL, "%s", text);
	return place_fault(r, g, name);
}

int config_fault_text(const struct config_reader *r, const config_setting_t *s)
{
	return place_fault(r, s, NULL);
}

/* ---- Values ------------------------------------------------------------------------------------------------------ */

static const char *type_name(const config_setting_t *s)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_GROUP:
		return "a group { }";
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return "a number";
	case CONFIG_TYPE_FLOAT:
		return "a fraction";
	case CONFIG_TYPE_STRING:
		return "a string";
	case CONFIG_TYPE_BOOL:
		return "true or false";
	case CONFIG_TYPE_ARRAY:
		return "an array [ ]";
	case CONFIG_TYPE_LIST:
		return "a list ( )";
	default:
		return "nothing";
	}
}

const char *config_want_string(const struct config_reader *r, const config_setting_t *s, const char *what)
{
	if (config_is_string(s))
		return config_setting_get_string(s);
	config_fault(r, s, "%s where %s is wanted, in quotes", type_name(s), what);
	return NULL;
}

int config_want_uint(const struct config_reader *r, const config_setting_t *s, uint64_t min, uint64_t max,
		     uint64_t *value)
{
	long long v;

	if (!config_is_int(s))
		return config_fault(r, s, "%s where a number is wanted, %" PRIu64 " to %" PRIu64, type_name(s), min, max);
	v = config_setting_type(s) == CONFIG_TYPE_INT ? config_setting_get_int(s) : config_setting_get_int64(s);
	if (v < 0 || (uint64_t)v < min || (uint64_t)v > max)
		return config_fault(r, s, "%lld is out of range, %" PRIu64 " to %" PRIu64, v, min, max);
	*value = (uint64_t)v;
	return 0;
}

/* "a, b or c" */
static const char *join_words(const char *const *words, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (unsigned int i = 0; words[i] && len < size; i++) {
		const char *glue = i == 0 ? "" : words[i + 1] ? ", " : " or ";
		int wrote = snprintf(buf + len, size - len, "%s%s", glue, words[i]);

		if (wrote < 0)
			break;
		len += (size_t)wrote;
	}
	return buf;
}

int config_want_word(const struct config_reader *r, const config_setting_t *s, const char *const *words)
{
	char list[WORDS_BYTES];
	const char *text, *near;

	join_words(words, list, sizeof(list));
	if (!config_is_string(s))
		return config_fault(r, s, "%s where a word is wanted, in quotes: %s", type_name(s), list);
	text = config_setting_get_string(s);
	for (int i = 0; words[i]; i++)
		if (!strcmp(text, words[i]))
			return i;
	near = config_nearest(text, words);
	if (near)
		return config_fault(r, s, "\"%s\" is not known, did you mean \"%s\"? (%s)", text, near, list);
	return config_fault(r, s, "\"%s\" is not known; %s", text, list);
}

static int read_switch(const struct config_reader *r, const config_setting_t *s, enum config_switch *value)
{
	int word;

	if (config_setting_type(s) == CONFIG_TYPE_BOOL) {
		*value = config_setting_get_bool(s) ? CONFIG_ON : CONFIG_OFF;
		return 0;
	}
	if (!config_is_string(s))
		return config_fault(r, s, "%s where \"auto\", \"on\" or \"off\" is wanted", type_name(s));
	word = config_want_word(r, s, switch_words);
	if (word < 0)
		return word;
	*value = (enum config_switch)word;
	return 0;
}

static int read_duration(const struct config_reader *r, const config_setting_t *s, const struct config_key *k,
			 unsigned int *value)
{
	const char *text, *unit = k->unit == 1000 ? "us" : "ms";
	uint64_t ns;

	if (config_is_int(s))
		return config_fault(r, s, "a number without a unit, a duration such as \"20us\" or \"30s\" is wanted");
	text = config_want_string(r, s, "a duration such as \"20us\" or \"30s\"");
	if (!text)
		return -EINVAL;
	if (config_parse_duration(text, &ns, r->f))
		return config_fault_text(r, s);
	if (ns % k->unit)
		return config_fault(r, s, "\"%s\" is too fine, whole %s are wanted", text, unit);
	if (ns / k->unit < k->min || ns / k->unit > k->max)
		return config_fault(r, s, "\"%s\" is out of range, %" PRIu64 "%s to %" PRIu64 "%s", text, k->min, unit,
				    k->max, unit);
	*value = (unsigned int)(ns / k->unit);
	return 0;
}

static int read_bytes(const struct config_reader *r, const config_setting_t *s, const struct config_key *k,
		      unsigned int *value)
{
	uint64_t v = 0;

	if (config_is_string(s)) {
		if (config_parse_bytes(config_setting_get_string(s), &v, r->f))
			return config_fault_text(r, s);
		if (v < k->min || v > k->max)
			return config_fault(r, s, "%" PRIu64 " bytes are out of range, %" PRIu64 " to %" PRIu64, v, k->min,
					    k->max);
	} else {
		int err = config_want_uint(r, s, k->min, k->max, &v);

		if (err)
			return err;
	}
	*value = (unsigned int)v;
	return 0;
}

static int read_string(const struct config_reader *r, const config_setting_t *s, const struct config_key *k, char *to)
{
	const char *text = config_want_string(r, s, "a string");

	if (!text)
		return -EINVAL;
	if (k->check && k->check(text, k->size, r->f))
		return config_fault_text(r, s);
	if (strlen(text) >= k->size)
		return config_fault(r, s, "\"%s\" is too long, at most %zu characters", text, k->size - 1);
	snprintf(to, k->size, "%s", text);
	return 0;
}

static int read_key(struct config_reader *r, const config_setting_t *s, const struct config_key *k, void *obj)
{
	void *to = (char *)obj + k->offset;
	uint64_t v = 0;
	int err;

	switch (k->kind) {
	case CONFIG_KIND_UINT:
	case CONFIG_KIND_POW2:
	case CONFIG_KIND_U16:
	case CONFIG_KIND_U32:
		err = config_want_uint(r, s, k->min, k->max, &v);
		if (err)
			return err;
		if (k->kind == CONFIG_KIND_POW2 && (v & (v - 1)))
			return config_fault(r, s, "%" PRIu64 " is no power of two", v);
		if (k->kind == CONFIG_KIND_U16)
			*(uint16_t *)to = (uint16_t)v;
		else
			*(uint32_t *)to = (uint32_t)v;
		return 0;
	case CONFIG_KIND_BOOL:
		if (config_setting_type(s) != CONFIG_TYPE_BOOL)
			return config_fault(r, s, "%s where true or false is wanted", type_name(s));
		*(bool *)to = config_setting_get_bool(s);
		return 0;
	case CONFIG_KIND_SWITCH:
		return read_switch(r, s, to);
	case CONFIG_KIND_WORD:
		err = config_want_word(r, s, k->words);
		if (err < 0)
			return err;
		*(unsigned int *)to = (unsigned int)err;
		return 0;
	case CONFIG_KIND_DURATION:
		return read_duration(r, s, k, to);
	case CONFIG_KIND_BYTES:
		return read_bytes(r, s, k, to);
	case CONFIG_KIND_STRING:
		return read_string(r, s, k, to);
	case CONFIG_KIND_CUSTOM:
		return k->read(r, s, to);
	}
	return config_fault(r, s, "cannot be read");
}

/* ---- Groups and lists -------------------------------------------------------------------------------------------- */

static int unknown_key(struct config_reader *r, const config_setting_t *s, const struct config_key *keys, size_t n_keys,
		       const struct config_elsewhere *other)
{
	enum { KEYS_MAX = 40 };
	const char *names[KEYS_MAX + 1] = { NULL }, *near;
	char list[WORDS_BYTES];

	for (; other && other->name; other++)
		if (!strcmp(other->name, config_setting_name(s)))
			return config_fault(r, s, "%s", other->why);
	for (size_t i = 0; i < n_keys && i < KEYS_MAX; i++)
		names[i] = keys[i].name;
	near = config_nearest(config_setting_name(s), names);
	if (near)
		return config_fault(r, s, "unknown key, did you mean \"%s\"?", near);
	return config_fault(r, s, "unknown key; there are %s", join_words(names, list, sizeof(list)));
}

int config_read_group(struct config_reader *r, const config_setting_t *g, const struct config_key *keys, size_t n_keys,
		      const struct config_elsewhere *other, void *obj)
{
	if (!config_setting_is_group(g))
		return config_fault(r, g, "%s where a group { } is wanted", type_name(g));
	for (int i = 0; i < config_setting_length(g); i++) {
		const config_setting_t *s = config_setting_get_elem(g, (unsigned int)i);
		size_t k = 0;

		while (k < n_keys && strcmp(keys[k].name, config_setting_name(s)) != 0)
			k++;
		if (k == n_keys)
			return unknown_key(r, s, keys, n_keys, other);
	}
	for (size_t k = 0; k < n_keys; k++) {
		const config_setting_t *s = config_setting_get_member(g, keys[k].name);
		int err;

		if (!s && keys[k].required)
			return config_fault_key(r, g, keys[k].name, "missing");
		if (!s)
			continue;
		err = read_key(r, s, &keys[k], obj);
		if (err)
			return err;
	}
	return 0;
}

int config_read_list(struct config_reader *r, const config_setting_t *s, unsigned int max, const char *what,
		     int (*fn)(struct config_reader *r, const config_setting_t *s, unsigned int index, void *obj),
		     void *obj)
{
	if (!config_setting_is_list(s) && !config_setting_is_array(s))
		return config_fault(r, s, "%s where a list ( ) of %s is wanted", type_name(s), what);
	if ((unsigned int)config_setting_length(s) > max)
		return config_fault(r, s, "%d %s are too many, at most %u", config_setting_length(s), what, max);
	for (unsigned int i = 0; i < (unsigned int)config_setting_length(s); i++) {
		int err = fn(r, config_setting_get_elem(s, i), i, obj);

		if (err)
			return err;
	}
	return 0;
}
