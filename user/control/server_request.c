// SPDX-License-Identifier: MIT
/* Requests as JSON: parsing, and arguments out of them. */
#include "user/control/server.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "user/control/config_text.h"

int server_parse_request(const char *line, size_t len, struct json_object **out, struct fault *f)
{
	struct json_tokener *tok = json_tokener_new_ex(SERVER_JSON_DEPTH);
	struct json_object *o, *cmd;
	enum json_tokener_error why;
	size_t used;

	if (!tok)
		return fault_set(f, ENOMEM, "no memory");
	if (len >= SERVER_REQUEST_MAX || memchr(line, '\0', len)) {
		json_tokener_free(tok);
		return fault_set(f, EINVAL, len >= SERVER_REQUEST_MAX ? "request too long" : "NUL byte in the request");
	}
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	o = json_tokener_parse_ex(tok, line, (int)len);
	why = json_tokener_get_error(tok);
	used = json_tokener_get_parse_end(tok);
	json_tokener_free(tok);
	/* A bare number is "continue" for the tokener: it cannot know that the line ends here. It is no object anyway. */
	if (why != json_tokener_success) {
		json_object_put(o);
		return fault_set(f, EINVAL, "no JSON object on one line: %s",
				 why == json_tokener_continue ? "it ends too early" : json_tokener_error_desc(why));
	}
	while (used < len && strchr(" \t\r", line[used]))
		used++;
	if (used != len) {
		json_object_put(o);
		return fault_set(f, EINVAL, "something follows the JSON object");
	}
	if (!json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		return fault_set(f, EINVAL, "a JSON object is wanted, such as {\"cmd\": \"status\"}");
	}
	if (!json_object_object_get_ex(o, "cmd", &cmd) || !json_object_is_type(cmd, json_type_string)) {
		json_object_put(o);
		return fault_set(f, EINVAL, "\"cmd\" is missing or no string");
	}
	*out = o;
	return 0;
}

int server_arg_uint(struct json_object *args, const char *name, uint64_t min, uint64_t max, uint64_t *value,
		    struct fault *f)
{
	struct json_object *o;
	uint64_t v;

	if (!json_object_object_get_ex(args, name, &o))
		return 0;
	if (!json_object_is_type(o, json_type_int))
		return fault_set(f, EINVAL, "\"%s\" is no whole number, %" PRIu64 " to %" PRIu64 " is wanted", name, min, max);
	/* json-c clamps negative numbers to 0 when asked for an unsigned one. */
	if (json_object_get_int64(o) < 0 && json_object_get_uint64(o) == 0)
		return fault_set(f, EINVAL, "\"%s\" is out of range, %" PRIu64 " to %" PRIu64, name, min, max);
	v = json_object_get_uint64(o);
	if (v < min || v > max)
		return fault_set(f, EINVAL, "\"%s\" is out of range, %" PRIu64 " to %" PRIu64, name, min, max);
	*value = v;
	return 0;
}

int server_arg_string(struct json_object *args, const char *name, const char **value, struct fault *f)
{
	struct json_object *o;

	if (!json_object_object_get_ex(args, name, &o))
		return 0;
	if (!json_object_is_type(o, json_type_string))
		return fault_set(f, EINVAL, "\"%s\" is no string", name);
	if (strlen(json_object_get_string(o)) != (size_t)json_object_get_string_len(o))
		return fault_set(f, EINVAL, "\"%s\" holds a NUL byte", name);
	*value = json_object_get_string(o);
	return 0;
}

int server_arg_bool(struct json_object *args, const char *name, bool *value, struct fault *f)
{
	struct json_object *o;

	if (!json_object_object_get_ex(args, name, &o))
		return 0;
	if (!json_object_is_type(o, json_type_boolean))
		return fault_set(f, EINVAL, "\"%s\" is neither true nor false", name);
	*value = json_object_get_boolean(o);
	return 0;
}

int server_arg_word(struct json_object *args, const char *name, const char *const *words, unsigned int *index,
		    struct fault *f)
{
	const char *text = NULL, *near;
	int err = server_arg_string(args, name, &text, f);

	if (err || !text)
		return err;
	for (unsigned int i = 0; words[i]; i++) {
		if (strcmp(words[i], text) != 0)
			continue;
		*index = i;
		return 0;
	}
	near = config_nearest(text, words);
	if (near)
		return fault_set(f, EINVAL, "\"%s\": \"%s\" is not known, did you mean \"%s\"?", name, text, near);
	return fault_set(f, EINVAL, "\"%s\": \"%s\" is not known", name, text);
}
